"""One line an op: `check("nn.functional.softmax", (2, 3), dim=1)` holds minigrad's op of that name against torch's.

Compared, on every input layout and on the device asked for: values, shapes and dtypes; gradients and gradients of gradients
under random cotangents; the fast road against the definition. In float64 to 1e-10 of the largest element; in float32 no
further from torch's float64 than twice torch's own float32 is (and two units in the last place of the largest element, since
torch's error is sometimes nought by luck). Finite differences check the gradients once more, without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import minigrad
import minigrad.nn.functional
from minigrad.autograd import grad

RECORDS: dict[str, dict[str, Any]] = {}
"""What the checks of this run measured, by name: `pytest --record FILE` writes it down for docs/reference.md."""

TOLERANCE_64 = 1e-10
FLOOR_32 = 2 * np.finfo(np.float32).eps


@dataclass
class Given:
    """An input with given values. Floats are differentiated, and cast to the precision under test."""

    values: Any
    dtype: Any = None

    def array(self) -> np.ndarray:
        return np.array(self.values, self.dtype)


@dataclass
class Drawn:
    """A random input of a shape, from [low, high)."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0

    def array(self, random: np.random.Generator) -> np.ndarray:
        return random.uniform(self.low, self.high, self.shape)


def positive(*shape: int) -> Drawn:
    """A random input from [0.5, 2.5)."""
    return Drawn(shape, 0.5, 2.5)


def resolve(root: Any, name: str) -> Callable[..., Any]:
    """minigrad's or torch's object of a dotted name."""
    for part in name.split("."):
        root = getattr(root, part)
    return root


def _arrays(inputs: Sequence[Any], random: np.random.Generator) -> list[Any]:
    result = []
    for x in inputs:
        if isinstance(x, tuple) and all(isinstance(n, int) for n in x):
            x = Drawn(x)
        result.append(x.array(random) if isinstance(x, Drawn) else x.array() if isinstance(x, Given) else x)
    return result


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


def _flat(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)):
        return [x for r in result for x in _flat(r)]
    return [result]


@dataclass
class Outcome:
    """Everything that one framework computed: outputs, first and second gradients, as arrays (None: no gradient)."""

    outputs: list[Any]
    first: list[Any]
    second: list[Any]


def _derive(
    outputs: list[Any],
    inputs: list[Any],
    cotangents: list[Any],
    directions: Callable[[int, Any], Any],
    grad_of: Any,
    order: int,
) -> tuple[list[Any], list[Any]]:
    """Gradients of the outputs, and gradients of (gradients . directions), with respect to inputs and cotangents."""
    roots = [(y, c) for y, c in zip(outputs, cotangents, strict=True) if c is not None and y.requires_grad]
    if not roots or not inputs or not order:
        return [], []
    ys, cs = zip(*roots, strict=True)
    if order == 1:
        return list(grad_of(ys, inputs, cs, allow_unused=True)), []
    first = list(grad_of(ys, inputs, cs, create_graph=True, allow_unused=True))
    again = [(g, directions(i, g)) for i, g in enumerate(first) if g is not None and g.requires_grad]
    if not again:
        return first, []
    gs, ds = zip(*again, strict=True)
    return first, list(grad_of(gs, [*inputs, *cs], ds, allow_unused=True))


def _as_numpy(x: Any) -> Any:
    if x is None or isinstance(x, (bool, int, float)):
        return x
    return x.detach().numpy(force=True) if isinstance(x, minigrad.Tensor) else x.detach().numpy(force=True)


def run_minigrad(
    call: Any, arrays: list[Any], kwargs: Any, cots: list[Any], dirs: list[Any], device: str, order: int, name: str = ""
) -> Outcome:
    tensors = [_tensor(a, device) if isinstance(a, np.ndarray) else a for a in arrays]
    inputs = [t for t in tensors if isinstance(t, minigrad.Tensor) and t.requires_grad]
    kwargs = {k: minigrad.from_numpy(v).to(device) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    outputs = _flat(call(*tensors, **kwargs))
    if name:
        _note_ops(name, tensors, outputs)
    cotangents = [None if c is None else _tensor(c, device) for c in _matching(cots, outputs)]
    first, second = _derive(
        outputs, inputs, cotangents, lambda i, g: _tensor(_draw(dirs[i], g), device, False), grad, order
    )
    return Outcome(*[[_as_numpy(x) for x in xs] for xs in (outputs, first, second)])


def _tensor(array: np.ndarray, device: str, requires_grad: bool = True) -> minigrad.Tensor:
    tensor = minigrad.from_numpy(array).to(device).detach()
    return tensor.requires_grad_() if array.dtype.kind == "f" and requires_grad else tensor


def run_torch(call: Any, arrays: list[Any], kwargs: Any, cots: list[Any], dirs: list[Any], order: int) -> Outcome:
    tensors = [
        torch.from_numpy(a.copy()).requires_grad_(a.dtype.kind == "f") if isinstance(a, np.ndarray) else a
        for a in arrays
    ]
    inputs = [t for t in tensors if isinstance(t, torch.Tensor) and t.requires_grad]
    kwargs = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    outputs = _flat(call(*tensors, **kwargs))
    cotangents = [None if c is None else torch.from_numpy(c).requires_grad_() for c in _matching(cots, outputs)]
    first, second = _derive(
        outputs, inputs, cotangents, lambda i, g: torch.from_numpy(_draw(dirs[i], g)), torch.autograd.grad, order
    )
    return Outcome(*[[_as_numpy(x) for x in xs] for xs in (outputs, first, second)])


def _matching(seeds: list[int], outputs: list[Any]) -> list[Any]:
    """A random cotangent for each floating-point output."""
    result = []
    for seed, y in zip(seeds, outputs, strict=False):
        floating = not isinstance(y, (bool, int, float)) and y.is_floating_point()
        result.append(_draw(seed, y) if floating and y.requires_grad else None)
    return result


def _draw(seed: int, like: Any) -> np.ndarray:
    dtype = np.float32 if str(like.dtype).endswith("float32") else np.float64
    return np.asarray(np.random.default_rng(seed).uniform(-1, 1, tuple(like.shape)), dtype)


def _compare(what: str, ours: list[Any], torchs: list[Any], yardstick: list[Any] | None) -> None:
    """yardstick None: float64, to TOLERANCE_64. Else torch's float64 results, against which both are measured."""
    assert len(ours) == len(torchs), f"{what}: {len(ours)} results against torch's {len(torchs)}"
    for i, (a, b) in enumerate(zip(ours, torchs, strict=True)):
        label = f"{what} {i}"
        if a is None or b is None:
            # An absent gradient and one of zeros mean the same.
            other = a if b is None else b
            assert other is None or not np.any(other), f"{label}: {'none' if a is None else 'some'} against torch's"
            continue
        assert np.shape(a) == np.shape(b), f"{label}: shape {np.shape(a)} against torch's {np.shape(b)}"
        assert np.asarray(a).dtype == np.asarray(b).dtype, (
            f"{label}: {np.asarray(a).dtype} against torch's {np.asarray(b).dtype}"
        )
        reference = b if yardstick is None else yardstick[i]
        if np.asarray(b).dtype.kind != "f":
            assert np.array_equal(a, b), f"{label}: {a} against torch's {b}"
            continue
        wide = np.asarray(b).dtype == np.float64
        special = ~np.isfinite(b)
        assert np.array_equal(np.where(special, a, 0), np.where(special, b, 0), equal_nan=True), (
            f"{label}: NaN or Inf differ"
        )
        a, b, reference = (np.where(special, 0, np.asarray(v, np.float64)) for v in (a, b, reference))
        if not a.size:
            continue
        largest = np.abs(reference).max()
        scale = largest if largest > 1e-6 else 1.0  # below that, what cancelled: inputs and cotangents are of order 1
        error = np.abs(a - reference).max() / scale
        _note(what, error, None if yardstick is None else np.abs(b - reference).max() / scale, wide)
        if yardstick is None:
            allowed = TOLERANCE_64 if wide else FLOOR_32
        else:
            allowed = 2 * np.abs(b - reference).max() / scale + FLOOR_32
        assert error <= allowed, (
            f"{label}: off by {error:.3g} of the largest element, {allowed:.3g} allowed\n{a}\n{reference}"
        )


def check(
    name: str, *inputs: Any, device: str = "cpu", order: int = 2, differences: bool = True, float32: bool = True,
    layouts: bool = True, seed: int = 0, minigrad_call: Any = None, torch_call: Any = None, **kwargs: Any,
) -> None:  # fmt: skip
    """Holds minigrad's `name` against torch's on inputs: shapes (drawn at random), Given, Drawn, numbers, lists.

    order: how many times to differentiate. differences: whether finite differences make sense here (no kinks at the inputs).
    """
    ours, theirs = minigrad_call or resolve(minigrad, name), torch_call or resolve(torch, name)
    arrays = _arrays(inputs, np.random.default_rng(seed))
    seeds, dirs = list(range(100, 140)), list(range(200, 260))
    exact = run_torch(theirs, arrays, kwargs, seeds, dirs, order)
    ways = {"contiguous"}
    if layouts:
        ways = {way for a in arrays if isinstance(a, np.ndarray) for way in _layouts(a)} or ways
    for way in sorted(ways):
        laid = [_layouts(a).get(way, np.copy)(a) if isinstance(a, np.ndarray) else a for a in arrays]
        result = run_minigrad(ours, laid, kwargs, seeds, dirs, device, order, name if way == min(ways) else "")
        _compare_all(f"{name}, float64, {way}", result, exact, None)
    with minigrad.definitions():
        result = run_minigrad(ours, [_copied(a) for a in arrays], kwargs, seeds, dirs, device, order)
    _compare_all(f"{name}, float64, definition", result, exact, None)
    if differences and order:
        finite_differences(name, ours, arrays, kwargs, device)
    if not float32 or not any(isinstance(a, np.ndarray) and a.dtype == np.float64 for a in arrays):
        return
    rounded = [a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a for a in arrays]
    widened = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a for a in rounded]
    narrow = {
        k: v.astype(np.float32) if isinstance(v, np.ndarray) and v.dtype == np.float64 else v for k, v in kwargs.items()
    }
    single = run_torch(theirs, rounded, narrow, seeds, dirs, order)
    exact = run_torch(theirs, widened, kwargs, seeds, dirs, order)
    result = run_minigrad(ours, [_copied(a) for a in rounded], narrow, seeds, dirs, device, order)
    _compare_all(f"{name}, float32", result, single, exact)


def _note(what: str, error: float, torchs: float | None, wide: bool) -> None:
    """Remembers the largest errors of a name: in float64, and in float32 beside torch's own."""
    record = RECORDS.setdefault(what.split(",")[0], {})
    if torchs is not None:
        if error >= record.get("float32", 0.0):
            record["float32"], record["torch float32"] = float(error), float(torchs)
    elif wide:
        part = "second" if "second" in what else "first" if "gradient" in what else "value"
        record[part] = max(record.get(part, 0.0), float(error))


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


def _compare_all(what: str, ours: Outcome, torchs: Outcome, yardstick: Outcome | None) -> None:
    for part, label in (("outputs", "output"), ("first", "gradient of input"), ("second", "second gradient")):
        reference = None if yardstick is None else getattr(yardstick, part)
        _compare(f"{what}: {label}", getattr(ours, part), getattr(torchs, part), reference)


def finite_differences(name: str, call: Any, arrays: list[Any], kwargs: Any, device: str, step: float = 1e-6) -> None:
    """The directional derivative by central differences against the gradient's, along one random direction."""
    floats = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype == np.float64]
    if not floats:
        return
    random = np.random.default_rng(7)
    directions = {i: random.uniform(-1, 1, arrays[i].shape) for i in floats}

    def value(t: float) -> tuple[float, list[Any], list[Any]]:
        moved = [np.asarray(a + t * directions[i]) if i in directions else a for i, a in enumerate(arrays)]
        tensors = [_tensor(a, device) if isinstance(a, np.ndarray) else a for a in moved]
        extra = {k: minigrad.from_numpy(v).to(device) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
        outputs = [y for y in _flat(call(*tensors, **extra)) if isinstance(y, minigrad.Tensor) and y.requires_grad]
        weights = [np.random.default_rng(300 + k).uniform(-1, 1, y.shape) for k, y in enumerate(outputs)]
        total = sum(float((_as_numpy(y) * w).sum()) for y, w in zip(outputs, weights, strict=True))
        return total, tensors, [(y, _tensor(w, device, False)) for y, w in zip(outputs, weights, strict=True)]

    _, tensors, pairs = value(0.0)
    if not pairs:
        return
    ys, ws = zip(*pairs, strict=True)
    gradients = grad(ys, [tensors[i] for i in floats], ws, allow_unused=True)
    slope = sum(
        float((_as_numpy(g) * directions[i]).sum()) for i, g in zip(floats, gradients, strict=True) if g is not None
    )
    measured = (value(step)[0] - value(-step)[0]) / (2 * step)
    scale = max(abs(slope), abs(measured), 1.0)
    assert abs(slope - measured) <= 1e-6 * scale, f"{name}: finite differences give {measured}, the gradient {slope}"
