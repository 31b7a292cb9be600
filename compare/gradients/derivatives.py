"""What a call computes in both frameworks, values and gradients of both orders, and how far apart the results are.

Cotangents and directions are random: a cotangent of ones cannot see errors in the gradients of softmax or of a norm. They
are float32's numbers in both precisions, so that both take the same. The tests of ops (tests/checking.py) and `python -m
compare gradients` measure with what is here. It imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

import minigrad
import minigrad.nn.functional
from compare.kit.distances import largest_error
from minigrad.autograd import grad

TOLERANCE_64 = 1e-10
"""In float64, of the largest element."""

FLOOR_32 = 2 * float(np.finfo(np.float32).eps)
"""In float32, of the largest element: torch's own error is sometimes nought by luck."""

PARTS = ("value", "first", "second")

SEEDS = list(range(100, 140))
"""Of the cotangents, one an output."""
DIRECTIONS = list(range(200, 400))
"""Of the directions along which gradients are differentiated again, one an input."""


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


def draw_inputs(inputs: Sequence[Any], random: np.random.Generator) -> list[Any]:
    """Arrays for shapes, Drawn and Given; numbers, lists and None as they are."""
    result = []
    for x in inputs:
        if isinstance(x, tuple) and all(isinstance(n, int) for n in x):
            x = Drawn(x)
        result.append(x.array(random) if isinstance(x, Drawn) else x.array() if isinstance(x, Given) else x)
    return result


def cast(given: Any, old: Any, new: Any) -> Any:
    """Arrays of one precision in another; copies of the others; what is no array as it is. Lists and dictionaries too."""
    if isinstance(given, dict):
        return {key: cast(value, old, new) for key, value in given.items()}
    if isinstance(given, list):
        return [cast(value, old, new) for value in given]
    if not isinstance(given, np.ndarray):
        return given
    return given.astype(new) if given.dtype == old else given.copy()


def flat(result: Any) -> list[Any]:
    """The outputs of a call, one after another, however they are nested."""
    if isinstance(result, (tuple, list)):
        return [x for r in result for x in flat(r)]
    return [result]


@dataclass
class Outcome:
    """Everything that one framework computed: outputs, first and second gradients, as arrays (None: no gradient).

    first: as a plain backward pass gives them. taped: again, by a pass that is itself recorded, where a fused op of minigrad
    takes its definition's way; of torch, the same list. Empty where no second gradients were asked for.
    """

    outputs: list[Any]
    first: list[Any]
    second: list[Any]
    taped: list[Any] = field(default_factory=list)


def derive(
    outputs: list[Any],
    inputs: list[Any],
    cotangents: list[Any],
    directions: Callable[[int, Any], Any],
    grad_of: Any,
    order: int,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Gradients of the outputs; gradients of (gradients . directions) by inputs and cotangents; the recorded gradients."""
    roots = [(y, c) for y, c in zip(outputs, cotangents, strict=True) if c is not None and y.requires_grad]
    if not roots or not inputs or not order:
        return [], [], []
    ys, cs = zip(*roots, strict=True)
    plain = list(grad_of(ys, inputs, cs, retain_graph=order > 1, allow_unused=True))
    if order == 1:
        return plain, [], []
    taped = list(grad_of(ys, inputs, cs, create_graph=True, allow_unused=True))
    again = [(g, directions(i, g)) for i, g in enumerate(taped) if g is not None and g.requires_grad]
    if not again:
        return plain, [], taped
    gs, ds = zip(*again, strict=True)
    return plain, list(grad_of(gs, [*inputs, *cs], ds, allow_unused=True)), taped


def as_numpy(x: Any) -> Any:
    """A tensor's array; numbers and None as they are."""
    if x is None or isinstance(x, (bool, int, float)):
        return x
    return x.detach().numpy(force=True)


def tensor(array: np.ndarray, device: str, requires_grad: bool = True) -> minigrad.Tensor:
    """A leaf of minigrad; floating-point numbers are differentiated."""
    made = minigrad.from_numpy(array).to(device).detach()
    return made.requires_grad_() if array.dtype.kind == "f" and requires_grad else made


def run_minigrad(
    call: Any,
    arrays: list[Any],
    kwargs: Any,
    cots: list[int],
    dirs: list[int],
    device: str,
    order: int,
    note: Callable[[list[Any], list[Any]], None] | None = None,
    leaves: Sequence[minigrad.Tensor] = (),
) -> Outcome:
    """minigrad's results of call(*arrays, **kwargs), differentiated by its arrays and by `leaves`, tensors that it holds.

    cots, dirs: seeds (SEEDS, DIRECTIONS). note: is shown the tensors that went in and came out.
    """
    tensors = [tensor(a, device) if isinstance(a, np.ndarray) else a for a in arrays]
    inputs = [t for t in tensors if isinstance(t, minigrad.Tensor) and t.requires_grad] + list(leaves)
    kwargs = {k: minigrad.from_numpy(v).to(device) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    outputs = flat(call(*tensors, **kwargs))
    if note is not None:
        note(tensors, outputs)
    cotangents = [None if c is None else tensor(c, device) for c in matching(cots, outputs)]
    found = derive(outputs, inputs, cotangents, lambda i, g: tensor(draw(dirs[i], g), device, False), grad, order)
    return Outcome(*[[as_numpy(x) for x in xs] for xs in (outputs, *found)])


def run_torch(
    call: Any,
    arrays: list[Any],
    kwargs: Any,
    cots: list[int],
    dirs: list[int],
    order: int,
    leaves: Sequence[torch.Tensor] = (),
) -> Outcome:
    """torch's results, of the same arguments."""
    tensors = [
        torch.from_numpy(a.copy()).requires_grad_(a.dtype.kind == "f") if isinstance(a, np.ndarray) else a
        for a in arrays
    ]
    inputs = [t for t in tensors if isinstance(t, torch.Tensor) and t.requires_grad] + list(leaves)
    kwargs = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    outputs = flat(call(*tensors, **kwargs))
    cotangents = [None if c is None else torch.from_numpy(c).requires_grad_() for c in matching(cots, outputs)]
    found = derive(
        outputs, inputs, cotangents, lambda i, g: torch.from_numpy(draw(dirs[i], g)), torch.autograd.grad, order
    )
    return Outcome(*[[as_numpy(x) for x in xs] for xs in (outputs, *found)])


def matching(seeds: list[int], outputs: list[Any]) -> list[Any]:
    """A random cotangent for each floating-point output that has a gradient."""
    result = []
    for seed, y in zip(seeds, outputs, strict=False):
        floating = not isinstance(y, (bool, int, float)) and y.is_floating_point()
        result.append(draw(seed, y) if floating and y.requires_grad else None)
    return result


def draw(seed: int, like: Any) -> np.ndarray:
    """Numbers of [-1, 1) of a tensor's shape and type; the same in float32 and float64."""
    dtype = np.float32 if str(like.dtype).endswith("float32") else np.float64
    return np.asarray(np.random.default_rng(seed).uniform(-1, 1, tuple(like.shape)).astype(np.float32), dtype)


class Distance(NamedTuple):
    """How far one array of minigrad's is from torch's, of the largest element."""

    part: str  # one of PARTS
    place: str  # "output 0", "gradient of input 1", "second gradient 2"
    error: float = 0.0
    torchs: float | None = None  # torch's own float32 error; None in float64
    allowed: float = 0.0
    wide: bool = False  # whether the array is float64's
    problem: str | None = None  # what is not a matter of distance: shape, type, NaN; integers that differ
    arrays: tuple[Any, ...] = ()  # ours and the one that it is compared with

    @property
    def fine(self) -> bool:
        return self.problem is None and self.error <= self.allowed


def distances(ours: Outcome, torchs: Outcome, exact: Outcome | None = None) -> Iterator[Distance]:
    """Every array of `ours` against that of `torchs`. exact: None in float64; else torch's float64, against which both are
    measured: ours may be TOLERANCE_64 of the largest element off, or FLOOR_32 more than twice torch's own float32 error."""
    for part, place, of_ours, of_torch in (
        ("value", "output", "outputs", "outputs"),
        ("first", "gradient of input", "first", "first"),
        ("first", "recorded gradient of input", "taped", "taped"),
        ("second", "second gradient", "second", "second"),
    ):
        a, b = getattr(ours, of_ours), _of_torch(torchs, of_torch)
        e = [None] * len(b) if exact is None else _of_torch(exact, of_torch)
        if len(a) != len(b):
            yield Distance(part, place, problem=f"{len(a)} results against torch's {len(b)}")
            continue
        for i, arrays in enumerate(zip(a, b, e, strict=True)):
            yield _distance(part, f"{place} {i}", *arrays, exact is not None)


def _of_torch(torchs: Outcome, which: str) -> list[Any]:
    """torch's arrays; of plain gradients the recorded ones, where torch contradicts itself (logit at NaN and at -0)."""
    arrays = getattr(torchs, which)
    if which != "first" or not torchs.taped:
        return arrays
    return [
        plain if plain is None or taped is None or _same_specials(plain, taped) else taped
        for plain, taped in zip(arrays, torchs.taped, strict=True)
    ]


def _same_specials(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether NaN and infinities are in the same places."""
    return np.array_equal(np.where(np.isfinite(a), 0, a), np.where(np.isfinite(b), 0, b), equal_nan=True)


def _distance(part: str, place: str, a: Any, b: Any, exact: Any, single: bool) -> Distance:
    if a is None and b is None:
        return Distance(part, place)
    # An absent gradient and one of zeros mean the same.
    a = np.zeros_like(b) if a is None else a
    b = np.zeros_like(a) if b is None else b
    exact = np.zeros_like(b, np.float64) if exact is None and single else exact
    if np.shape(a) != np.shape(b):
        return Distance(part, place, problem=f"shape {np.shape(a)} against torch's {np.shape(b)}")
    kinds = np.asarray(a).dtype, np.asarray(b).dtype
    if kinds[0] != kinds[1]:
        return Distance(part, place, problem=f"{kinds[0]} against torch's {kinds[1]}")
    if kinds[1].kind != "f":
        return Distance(part, place, problem=None if np.array_equal(a, b) else f"{a} against torch's {b}")
    wide = kinds[1] == np.float64
    if not _same_specials(a, b):
        return Distance(part, place, problem="NaN or Inf differ")
    special = ~np.isfinite(b)
    reference = exact if single else b
    a, b, reference = (np.where(special, 0, np.asarray(v, np.float64)) for v in (a, b, reference))
    if not a.size:
        return Distance(part, place, wide=wide)
    cancelled = 1e-6  # inputs and cotangents are of order 1
    error = largest_error(a, reference, cancelled)
    if not single:
        return Distance(part, place, error, None, TOLERANCE_64 if wide else FLOOR_32, wide, None, (a, reference))
    torchs = largest_error(b, reference, cancelled)
    return Distance(part, place, error, torchs, 2 * torchs + FLOOR_32, wide, None, (a, reference))
