"""One line an op: `check("nn.functional.softmax", (2, 3), dim=1)` compares minigrad's op of that name with torch's.

Compared, on every input layout and on the device asked for: values, shapes and dtypes; gradients and gradients of gradients
under random cotangents; the fast path against the definition. In float64 to 1e-10 of the largest element; in float32 no
further from torch's float64 than twice torch's own float32 is (and two units in the last place of the largest element, since
torch's error is sometimes nought by luck; on a GPU also what CUDA's functions may err). Finite differences check the
gradients once more, without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

import minigrad
from compare.gradients.derivatives import (
    DIRECTIONS,
    FLOOR_32,
    PARTS,
    SEEDS,
    TOLERANCE_64,
    Distance,
    Drawn,
    Given,
    Outcome,
    as_numpy,
    cast,
    distances,
    draw_inputs,
    flat,
    positive,
    resolve,
    run_minigrad,
    run_torch,
    tensor,
)
from minigrad.autograd import grad

__all__ = ["FLOOR_32", "RECORDS", "TOLERANCE_64", "Drawn", "Given", "check", "positive", "resolve"]

CUDA_ULP = 4
"""The largest error, in units in the last place, that the CUDA C++ Programming Guide documents for a function of single
precision that an op calls (powf, tanf, acoshf, erfcf); a host's err by about 1. tests/emulator/arithmetic.py errs as much."""
CUDA_FLOOR = {part: order * CUDA_ULP * float(np.finfo(np.float32).eps) for order, part in enumerate(PARTS, 1)}
"""What that makes of the largest element: once in a value, once more in each order of differentiation."""

RECORDS: dict[str, dict[str, Any]] = {}
"""What the checks of this run measured, by name: `pytest --record FILE` writes it down for docs/reference.md."""


def _layouts(array: np.ndarray) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Ways to lay the same values out in memory."""
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {"contiguous": lambda a: a.copy()}
    if array.ndim >= 2:
        ways["transposed"] = lambda a: np.ascontiguousarray(a.T).T
    if array.ndim >= 1:
        ways["strided"] = lambda a: np.repeat(a, 2, axis=-1)[..., ::2]
    if array.ndim == 4:
        ways["channels_last"] = lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return ways


def check(
    name: str, *inputs: Any, device: str = "cpu", order: int = 2, differences: bool = True, float32: bool = True,
    layouts: bool = True, seed: int = 0, minigrad_call: Any = None, torch_call: Any = None, **kwargs: Any,
) -> None:  # fmt: skip
    """Compares minigrad's `name` with torch's on inputs: shapes (drawn at random), Given, Drawn, numbers, lists.

    order: how many times to differentiate. differences: whether finite differences make sense here (no kinks at the inputs).
    """
    ours, theirs = minigrad_call or resolve(minigrad, name), torch_call or resolve(torch, name)
    arrays = draw_inputs(inputs, np.random.default_rng(seed))

    def of_minigrad(arrays: list[Any], kwargs: Any, note: Any = None) -> Outcome:
        return run_minigrad(ours, arrays, kwargs, SEEDS, DIRECTIONS, device, order, note)

    def of_torch(arrays: list[Any], kwargs: Any) -> Outcome:
        return run_torch(theirs, arrays, kwargs, SEEDS, DIRECTIONS, order)

    exact = of_torch(arrays, kwargs)
    ways = {"contiguous"}
    if layouts:
        ways = {way for a in arrays if isinstance(a, np.ndarray) for way in _layouts(a)} or ways
    for way in sorted(ways):
        laid = [_layouts(a).get(way, np.copy)(a) if isinstance(a, np.ndarray) else a for a in arrays]
        note = partial(_note_ops, name) if way == min(ways) else None
        _compare(name, f"float64, {way}", of_minigrad(laid, kwargs, note), exact)
    with minigrad.definitions():
        _compare(name, "float64, definition", of_minigrad([_copied(a) for a in arrays], kwargs), exact)
    if differences and order:
        finite_differences(name, ours, arrays, kwargs, device)
    if not float32 or not any(isinstance(a, np.ndarray) and a.dtype == np.float64 for a in arrays):
        return
    rounded, narrow = cast(arrays, np.float64, np.float32), cast(kwargs, np.float64, np.float32)
    exact = of_torch(cast(rounded, np.float32, np.float64), kwargs)
    of_torchs = of_torch(cast(rounded, None, None), narrow)
    _compare(name, "float32", of_minigrad(rounded, narrow), of_torchs, exact, None if device == "cpu" else arrays)


def _compare(
    name: str,
    way: str,
    ours: Outcome,
    torchs: Outcome,
    exact: Outcome | None = None,
    inputs: Sequence[Any] | None = None,
) -> None:
    """inputs: on a GPU those of the call, whose functions may err as CUDA's do; None on a CPU."""
    for found in distances(ours, torchs, exact):
        allowed = found.allowed + (0.0 if inputs is None else _cuda_floor(found, inputs))
        label = f"{name}, {way}: {found.place}"
        assert found.problem is None, f"{label}: {found.problem}"
        _note(name, found.part, found.error, found.torchs, found.wide)
        assert found.error <= allowed, (
            f"{label}: off by {found.error:.3g} of the largest element, {allowed:.3g} allowed\n"
            + "\n".join(map(str, found.arrays))
        )


def _cuda_floor(found: Distance, inputs: Sequence[Any]) -> float:
    """What CUDA's functions may err, of the largest element. A value may be a difference of numbers of the inputs' size."""
    sizes = [float(np.abs(a).max()) for a in inputs if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.size]
    value = float(np.abs(found.arrays[1]).max(initial=0)) if found.arrays else 0.0
    cancelled = max(1.0, min(max(sizes, default=0.0), 1.0) / value) if found.part == "value" and value else 1.0
    return CUDA_FLOOR[found.part] * cancelled


def _note(name: str, part: str, error: float, torchs: float | None, wide: bool) -> None:
    """Remembers the largest errors of a name: in float64, and in float32 beside torch's own."""
    record = RECORDS.setdefault(name, {})
    if torchs is not None:
        if error >= record.get("float32", 0.0):
            record["float32"], record["torch float32"] = error, torchs
    elif wide:
        record[part] = max(record.get(part, 0.0), error)


def _note_ops(name: str, inputs: list[Any], outputs: list[Any]) -> None:
    """Remembers, from a name's first case, the shapes that went in and out and the ops that the graph is made of."""
    record = RECORDS.setdefault(name, {})
    record["cases"] = record.get("cases", 0) + 1
    if "ops" in record:
        return
    stack, seen, names = [y._node for y in outputs if isinstance(y, minigrad.Tensor)], set(), []
    while stack:
        node = stack.pop()
        if node is not None and node.order not in seen:
            seen.add(node.order)
            names.append(f"{type(node).__module__}.{type(node).__qualname__}")
            stack.extend(edge[0] for edge in node.edges if type(edge) is tuple)
    if names:
        record["ops"] = list(dict.fromkeys(reversed(names)))
    shapes = [[list(t.shape) for t in ts if hasattr(t, "shape")] for ts in (inputs, outputs)]
    record.setdefault("shapes", shapes)


def _copied(a: Any) -> Any:
    return a.copy() if isinstance(a, np.ndarray) else a


def finite_differences(name: str, call: Any, arrays: list[Any], kwargs: Any, device: str, step: float = 1e-6) -> None:
    """The directional derivative by central differences against the gradient's, along one random direction."""
    floats = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype == np.float64]
    if not floats:
        return
    random = np.random.default_rng(7)
    directions = {i: random.uniform(-1, 1, arrays[i].shape) for i in floats}

    def value(t: float) -> tuple[float, list[Any], list[Any]]:
        moved = [np.asarray(a + t * directions[i]) if i in directions else a for i, a in enumerate(arrays)]
        tensors = [tensor(a, device) if isinstance(a, np.ndarray) else a for a in moved]
        extra = {k: minigrad.from_numpy(v).to(device) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
        outputs = [y for y in flat(call(*tensors, **extra)) if isinstance(y, minigrad.Tensor) and y.requires_grad]
        weights = [np.random.default_rng(300 + k).uniform(-1, 1, y.shape) for k, y in enumerate(outputs)]
        total = sum(float((as_numpy(y) * w).sum()) for y, w in zip(outputs, weights, strict=True))
        return total, tensors, [(y, tensor(w, device, False)) for y, w in zip(outputs, weights, strict=True)]

    _, tensors, pairs = value(0.0)
    if not pairs:
        return
    ys, ws = zip(*pairs, strict=True)
    gradients = grad(ys, [tensors[i] for i in floats], ws, allow_unused=True)
    slope = sum(
        float((as_numpy(g) * directions[i]).sum()) for i, g in zip(floats, gradients, strict=True) if g is not None
    )
    measured = (value(step)[0] - value(-step)[0]) / (2 * step)
    scale = max(abs(slope), abs(measured), 1.0)
    assert abs(slope - measured) <= 1e-6 * scale, f"{name}: finite differences give {measured}, the gradient {slope}"
