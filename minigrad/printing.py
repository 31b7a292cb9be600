"""How tensors are printed: as torch prints them, digit for digit and line for line.

All numbers of a tensor share one width. Floats have four digits after the point; whole numbers end in a point; numbers that
differ by more than 1000 times, over 1e8 or under 1e-4 are in scientific notation. Of more than 1000 elements the first and the
last three along each axis are shown. `set_printoptions` changes all of these.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.device import CPU, to_device
from minigrad.tensor import Tensor


@dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()
_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors are printed; what is None stays, but for sci_mode.

    Args:
        precision: digits after the point (4).
        threshold: of more elements than these, the edges alone are shown (1000).
        edgeitems: how many at each end of an axis (3).
        linewidth: characters a line (80).
        profile: "default", "short" or "full": values for the four above, which those that are given override.
        sci_mode: whether floats are in scientific notation; None: where it is needed.

    TypeError for what is no such number; nothing is set then.
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    chosen = _PROFILES.get(profile or "", {}) | {name: value for name, value in given.items() if value is not None}
    plain = {name: float(value) if name == "threshold" else operator.index(value) for name, value in chosen.items()}
    for name, value in plain.items():
        setattr(_options, name, value)
    _options.sci_mode = None if sci_mode is None else bool(sci_mode)


def get_printoptions() -> dict[str, Any]:
    """The options, as set_printoptions takes them."""
    return asdict(_options)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Within it tensors are printed by these options, those of set_printoptions."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


def text(tensor: Tensor) -> str:
    """A tensor's repr: its numbers, and whatever of size, type, device and graph goes without saying no longer."""
    kind = type(tensor).__name__
    start = "tensor(" if kind in ("Tensor", "Parameter") else f"{kind}("
    array, notes = tensor.array, []
    if tensor.is_cuda:
        notes.append(f"device='{tensor.device}'")
    if (not array.size and array.ndim != 1) or (array.size and not _options.edgeitems):
        notes.append(f"size={tuple(array.shape)}")
    if array.dtype != np.float32 and not (array.size and array.dtype in (np.int64, np.bool_)):
        notes.append(f"dtype={array.dtype}")
    try:
        node: Any = tensor.grad_fn
    except RuntimeError:  # a view of what was changed since
        node = "<Invalid>"
    if node is not None:
        notes.append(f"grad_fn={node}")
    elif tensor._requires_grad:
        notes.append("requires_grad=True")
    return _with_notes(start + numbers(array, len(start)), notes, len(start))


def _with_notes(shown: str, notes: list[str], indent: int) -> str:
    """The notes behind the numbers, on lines of their own where they do not fit."""
    length = len(shown) - shown.rfind("\n") + 1
    for note in notes:
        # A type counts with the "torch." that it has there, so that lines break where torch's do.
        width = len(note) + (len("torch.") if note.startswith("dtype=") else 0)
        if length + width + 2 > _options.linewidth:
            shown += ",\n" + " " * indent + note
            length = indent + width
        else:
            shown += ", " + note
            length += width + 2
    return shown + ")"


def numbers(array: Any, indent: int) -> str:
    """The numbers of an array in nested brackets, whose lines after the first are indented."""
    if not array.size:
        return "[]"
    edge = _options.edgeitems
    shape, summarised = array.shape, array.size > _options.threshold
    if summarised and not edge:
        return "[...]" if shape else _formatter(_host(array))[1](array.item())
    if summarised:
        xp = backends.of(array).xp
        for d, n in enumerate(shape):
            if n > 2 * edge:
                before = (slice(None),) * d
                array = xp.concatenate([array[(*before, slice(edge))], array[(*before, slice(-edge, None))]], d)
    host = _host(array)
    cut = tuple([summarised and n > 2 * edge for n in shape])
    return _nested(host.tolist(), cut, indent, *_formatter(host))


def _host(array: Any) -> np.ndarray:
    return to_device(array, CPU)


def _nested(values: Any, cut: tuple[bool, ...], indent: int, width: int, form: Callable[[Any], str]) -> str:
    """Nested lists as text; cut: along which axes something was left out in the middle."""
    if not cut:
        return form(values)
    if len(cut) == 1:
        shown, dots = [form(value) for value in values], " ..."
    else:
        shown, dots = [_nested(value, cut[1:], indent + 1, width, form) for value in values], "..."
    if cut[0]:
        shown.insert(_options.edgeitems, dots)
    if len(cut) > 1:
        return "[" + ("," + "\n" * (len(cut) - 1) + " " * (indent + 1)).join(shown) + "]"
    in_a_line = max(1, (_options.linewidth - indent) // (width + 2))
    lines = [", ".join(shown[i : i + in_a_line]) for i in range(0, len(shown), in_a_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _formatter(array: np.ndarray) -> tuple[int, Callable[[Any], str]]:
    """(the width that all numbers share, how a number becomes text of that width)."""
    if array.dtype.kind != "f":
        width = max([1, *[len(str(value)) for value in array.reshape(-1).tolist()]])
        return width, lambda value: str(value).rjust(width)
    flat = array.reshape(-1)
    shown = flat[np.isfinite(flat) & (flat != 0)].astype(np.float64)
    if not shown.size:
        return 1, lambda value: _whole(value)
    smallest, largest = float(np.abs(shown).min()), float(np.abs(shown).max())
    scientific = _options.sci_mode
    if scientific is None:
        scientific = largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4
    if scientific:
        kind = f".{_options.precision}e"
    elif bool((shown == np.ceil(shown)).all()):
        width = max([len(_whole(value)) for value in shown.tolist()])
        return width, lambda value: _whole(value).rjust(width)
    else:
        kind = f".{_options.precision}f"
    width = max([len(format(value, kind)) for value in shown.tolist()])
    return width, lambda value: format(value, kind).rjust(width)


def _whole(value: float) -> str:
    """A float that is a whole number ends in a point."""
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
