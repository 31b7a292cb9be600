"""Jacobians two ways: from the gradients, a row an output, and from finite differences, a column an input element.

J[o, i] = d y_o / d x_i for one output and one input, both flattened in the order of their indices. Always NumPy's float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.autograd.calls import grad
from minigrad.tensor import Tensor, describe

Index = tuple[int, ...]

MOST_ELEMENTS = 20_000
"""Jacobians with more elements than this are not made in full: one random direction has to do."""


def as_tuple(value: Any) -> tuple[Any, ...]:
    """One thing, or several, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def differentiable(outputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The outputs that gradients can start from."""
    return tuple([y for y in outputs if isinstance(y, Tensor) and y.requires_grad])


def on_host(x: Tensor) -> np.ndarray:
    """A copy of the numbers, flattened: a view would change with what it is a view of."""
    return np.array(x.detach().numpy(force=True), np.float64).ravel()


def like(values: np.ndarray, x: Tensor) -> Tensor:
    """Numbers as a tensor of x's shape, type and device."""
    return Tensor(np.array(values.reshape(x.shape), x.dtype)).to(x.device)


class Differences:
    """A function at a point, nudged along its inputs.

    The inputs are changed in place, and put back: a function that reaches them otherwise than through its arguments is
    measured rightly too.
    """

    def __init__(self, fn: Callable[..., Any], inputs: Sequence[Any], eps: float) -> None:
        self.fn, self.inputs, self.eps = fn, tuple(inputs), eps
        self.wrt = [i for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.requires_grad]
        outputs = as_tuple(fn(*self.inputs))
        found = differentiable(outputs)
        self.connected = bool(found)
        """Whether any output requires a gradient. If none does, all that are floats are measured."""
        self.places = [
            i for i, y in enumerate(outputs)
            if isinstance(y, Tensor) and (y.requires_grad if found else y.is_floating_point())
        ]  # fmt: skip
        self.outputs = [outputs[i] for i in self.places]

    def values(self) -> list[np.ndarray]:
        """The outputs as things are now."""
        outputs = as_tuple(self.fn(*self.inputs))
        return [on_host(outputs[i]) for i in self.places]

    @contextmanager
    def _moved(self, i: int, where: Any, to: Any) -> Iterator[None]:
        array = self.inputs[i].array
        before = array[where].copy()
        array[where] = to
        try:
            yield
        finally:
            array[where] = before

    def along(self, i: int, element: int, step: float) -> list[np.ndarray]:
        """The outputs with one element of input i moved by step."""
        array = self.inputs[i].array
        where = np.unravel_index(element, array.shape)
        with self._moved(i, where, float(array[where]) + step):
            return self.values()

    def directional(self, directions: dict[int, np.ndarray]) -> list[np.ndarray]:
        """(f(x + eps u) - f(x - eps u)) / (2 eps) for each output; u: directions of the inputs, flattened."""
        ends = []
        before = {i: self.inputs[i].array.copy() for i in directions}
        try:
            for sign in (1, -1):
                for i, u in directions.items():
                    x = self.inputs[i]
                    x.array[...] = before[i] + like(sign * self.eps * u, x).array
                ends.append(self.values())
        finally:
            for i, array in before.items():
                self.inputs[i].array[...] = array
        return [(a - b) / (2 * self.eps) for a, b in zip(*ends, strict=True)]

    def jacobian(self, i: int) -> list[np.ndarray]:
        """The Jacobian of each output with respect to input i, by central differences."""
        columns = []
        for element in range(self.inputs[i].numel()):
            high, low = self.along(i, element, self.eps), self.along(i, element, -self.eps)
            columns.append([(a - b) / (2 * self.eps) for a, b in zip(high, low, strict=True)])
        return [
            np.stack([c[o] for c in columns], 1) if columns else np.zeros((y.numel(), 0))
            for o, y in enumerate(self.outputs)
        ]

    def is_kink(self, i: int, element: int, output: int, row: int, analytic: float) -> bool:
        """Whether y[row] of an output has two slopes there, one on either side, or jumps, and `analytic` lies between them.

        The slopes on both sides of a smooth point draw together as the step shrinks: their gap is the step times the
        second derivative. That of a kink stays.
        """

        def slopes(step: float) -> tuple[float, float]:
            high, middle, low = (self.along(i, element, s)[output][row] for s in (step, 0.0, -step))
            below, above = (middle - low) / step, (high - middle) / step
            return min(below, above), max(below, above)

        (low, high), (narrow_low, narrow_high) = slopes(self.eps), slopes(self.eps / 8)
        gap, narrow_gap = high - low, narrow_high - narrow_low
        noise = 64 * np.finfo(np.float64).eps * max(1.0, abs(self.values()[output][row])) / self.eps
        between = low - 0.01 * gap <= analytic <= high + 0.01 * gap
        return bool(narrow_gap > 0.5 * gap and narrow_gap > noise and between)


class WrongForm(Exception):
    """A gradient that has not its input's shape."""

    def __init__(self, i: int, x: Tensor, gradient: Tensor) -> None:
        self.input, self.shape, self.gradient = i, x.shape, gradient
        super().__init__(f"the gradient of input {i}, {describe(x)}, is {describe(gradient)}")


def analytic_jacobian(outputs: Sequence[Tensor], inputs: Sequence[Any], i: int) -> list[np.ndarray]:
    """The Jacobian of each output with respect to input i, from one backward pass for each element of the outputs."""
    x = inputs[i]
    found = []
    for y in outputs:
        rows = np.zeros((y.numel(), x.numel()))
        for element in range(y.numel()):
            start = np.zeros(y.numel())
            start[element] = 1
            (gradient,) = grad(y, x, like(start, y), retain_graph=True, allow_unused=True)
            if gradient is None:
                break
            if gradient.shape != x.shape:
                raise WrongForm(i, x, gradient)
            rows[element] = on_host(gradient)
        found.append(rows)
    return found


def has_overlap(x: Tensor) -> bool:
    """Whether an axis longer than one has stride 0: its elements cannot be moved one at a time."""
    return x.numel() > 0 and any(n > 1 and s == 0 for n, s in zip(x.shape, x.stride(), strict=True))


def copy_of(x: Any) -> Any:
    """A Tensor with the same numbers in memory of its own, outside the graph; anything else as it is."""
    if not isinstance(x, Tensor):
        return x
    xp = backends.of(x.array).xp
    return Tensor(xp.array(x.array, copy=True, order="K"))


def disagreements(a: np.ndarray, n: np.ndarray, atol: float, rtol: float) -> list[tuple[int, int]]:
    """The places where |a - n| > atol + rtol |n| (NaN always), the worst first."""
    with np.errstate(invalid="ignore"):
        excess = np.abs(a - n) - (atol + rtol * np.abs(n))
    excess = np.where(np.isnan(excess), np.inf, excess)
    places = np.argwhere(excess > 0)
    order = np.argsort(-excess[tuple(places.T)], kind="stable")
    return [(int(row), int(element)) for row, element in places[order]]
