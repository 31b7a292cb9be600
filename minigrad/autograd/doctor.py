"""The gradient doctor: which op's gradient is wrong, and how it looks wrong.

A gradient that disagrees with finite differences says only that some op is wrong. So the ops that ran are noted, and each is
run again by itself on the inputs that it had, its gradient held against differences of its own forward. The Jacobian of the
one that is wrong is then compared with the measured one for the mistakes that people make: a sign, a factor, a transpose, a
sum left out, a term left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.autograd.calls import grad
from minigrad.autograd.differences import (
    Differences,
    Index,
    WrongForm,
    analytic_jacobian,
    as_tuple,
    copy_of,
    on_host,
)
from minigrad.autograd.observer import Observer, only_observers, recorded, user_line
from minigrad.grad_mode import enable_grad
from minigrad.op import Op
from minigrad.tensor import Tensor

MOST_ELEMENTS = 20_000
"""Jacobians with more elements than this are not made in full: one random direction has to do."""


@dataclass
class Finding:
    """One op whose gradient disagrees with its own forward."""

    op: str
    """Its name."""
    called_at: str
    """file:line of the user's call."""
    input: int
    """Which of its inputs the gradient is wrong for."""
    how: str
    """How it looks wrong, as far as can be told."""
    index: Index | None = None
    """The worst element of that input."""
    analytic: float | None = None
    numeric: float | None = None

    def __str__(self) -> str:
        worst = (
            f", worst at [{', '.join(map(str, self.index))}]: {self.analytic:.6g} against {self.numeric:.6g}"
            if (self.index is not None)
            else ""
        )
        return f"{self.op}, called at {self.called_at}: the gradient of its input {self.input} has {self.how}{worst}"


def diagnose(
    fn: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3
) -> list[Finding]:
    """The ops that fn(*inputs) runs and whose gradients are wrong, in the order in which they ran; [] if all are right.

    Each op is checked alone, in float64, on the inputs that it has in fn. Points where an op has a kink are passed over.
    """
    with _Ops() as ops, enable_grad():
        fn(*as_tuple(inputs))
    findings = []
    with only_observers(), enable_grad():
        for node, given, where in ops.seen:
            findings += _examine(node, given, where, eps, atol, rtol)
    return findings


class _Ops(Observer):
    """Notes every op of a graph, with copies of its inputs."""

    def __init__(self) -> None:
        self.seen: list[tuple[Op, list[Any], str]] = []
        self._given: list[list[Any]] = []

    def before_forward(self, node: Op, inputs: tuple[Any, ...]) -> None:
        self._given.append([copy_of(x) for x in inputs])

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        given = self._given.pop()
        if recorded(node, outputs):
            self.seen.append((node, given, user_line()))


def _examine(node: Op, given: list[Any], where: str, eps: float, atol: float, rtol: float) -> list[Finding]:
    """One op's gradients against differences of its forward: along a random direction first, in full if they disagree."""
    inputs = [x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in given]
    for i, need in enumerate(node.needs):
        if need:
            inputs[i] = copy_of(inputs[i]).requires_grad_()
    differences = Differences(node.again, inputs, eps)
    if not differences.connected or any(y.array is None or y.dtype != np.float64 for y in differences.outputs):
        return []  # some ops are given their result when they are made, and have none when they are run again
    findings = []
    for i in differences.wrt:
        try:
            close = _agrees_along(differences, i, atol, rtol)
            found = None if close else _worst_disagreement(node, differences, i, where, atol, rtol)
        except WrongForm as form:
            found = Finding(node.name(), where, i, _wrong_form(form))
        if found is not None:
            findings.append(found)
    return findings


def _agrees_along(differences: Differences, i: int, atol: float, rtol: float) -> bool:
    random = np.random.default_rng(0)
    x = differences.inputs[i]
    direction = random.uniform(0.5, 1, x.numel()) * random.choice([-1, 1], x.numel())
    measured = differences.directional({i: direction})
    weights = [random.uniform(0.5, 1, y.numel()) for y in differences.outputs]
    starts = [Tensor(w.reshape(y.shape)).to(y.device) for w, y in zip(weights, differences.outputs, strict=True)]
    (gradient,) = grad(differences.outputs, x, starts, retain_graph=True, allow_unused=True)
    if gradient is not None and gradient.shape != x.shape:
        raise WrongForm(i, x, gradient)
    analytic = 0.0 if gradient is None else on_host(gradient) @ direction
    numeric = sum(w @ m for w, m in zip(weights, measured, strict=True))
    return bool(abs(analytic - numeric) <= atol + rtol * abs(numeric))


def _worst_disagreement(
    node: Op, differences: Differences, i: int, where: str, atol: float, rtol: float
) -> Finding | None:
    x = differences.inputs[i]
    if x.numel() * sum(y.numel() for y in differences.outputs) > MOST_ELEMENTS:
        return Finding(node.name(), where, i, "another value along a random direction (too large to look at in full)")
    for o, (a, n) in enumerate(
        zip(analytic_jacobian(differences.outputs, differences.inputs, i), differences.jacobian(i), strict=True)
    ):
        for row, element in disagreements(a, n, atol, rtol):
            if not differences.is_kink(i, element, o, row, a[row, element]):
                index = tuple(int(k) for k in np.unravel_index(element, x.shape))
                return Finding(
                    node.name(), where, i, how(a, n, x.shape), index, float(a[row, element]), float(n[row, element])
                )
    return None


def disagreements(a: np.ndarray, n: np.ndarray, atol: float, rtol: float) -> list[tuple[int, int]]:
    """The places where |a - n| > atol + rtol |n| (NaN always), the worst first."""
    with np.errstate(invalid="ignore"):
        excess = np.abs(a - n) - (atol + rtol * np.abs(n))
    excess = np.where(np.isnan(excess), np.inf, excess)
    places = np.argwhere(excess > 0)
    order = np.argsort(-excess[tuple(places.T)], kind="stable")
    return [(int(row), int(element)) for row, element in places[order]]


def how(a: np.ndarray, n: np.ndarray, shape: Sequence[int]) -> str:
    """How the Jacobian a (outputs, inputs) of an input of `shape` differs from the measured n: what follows "has"."""
    if not (np.isfinite(a).all() and np.isfinite(n).all()):
        return "NaN or Inf" if np.isfinite(n).all() else "no finite difference to be held against: NaN or Inf"
    tolerance = 1e-4 * max(np.abs(n).max(), 1e-8)

    def same(p: np.ndarray, q: np.ndarray) -> bool:
        return bool(np.abs(p - q).max() <= tolerance)

    if same(a, np.zeros_like(a)):
        return "nothing: it is zero or None, where it should not be"
    if same(n, np.zeros_like(n)):
        return "a value, where it should be zero: the function does not depend on this input here"
    if same(a, -n):
        return "the wrong sign"
    factor = float((a * n).sum() / (n * n).sum())
    if abs(factor) > 1e-6 and np.abs(a - factor * n).max() <= tolerance * max(1, abs(factor)):
        return f"a constant factor of {factor:.6g}{_origin(factor, len(a), shape)}"
    if len(shape) == 2 and shape[0] == shape[1]:
        if same(a.reshape(-1, *shape).swapaxes(1, 2).reshape(a.shape), n):
            return "the transpose of what is right"
    if same(np.abs(a), np.abs(n)):
        return f"the wrong sign at {int((np.abs(a - n) > tolerance).sum())} of {a.size} places"
    wrong = np.abs(a - n) > tolerance
    if (np.abs(a[wrong]) <= tolerance).all():
        return (
            f"nothing at {int(wrong.sum())} places of {int((np.abs(n) > tolerance).sum())}, and the right values elsewhere: a "
            "sum over a broadcast axis, or one of several paths, is left out"
        )
    if same(a - n, np.full_like(n, (a - n).flat[0])):
        return f"the constant {(a - n).flat[0]:.6g} too much"
    return f"other values at {int(wrong.sum())} of {a.size} places"


def _origin(factor: float, outputs: int, shape: Sequence[int]) -> str:
    """Where a factor may come from."""
    lengths = {n: f"the length of axis {d}" for d, n in reversed(list(enumerate(shape)))}
    lengths.setdefault(int(np.prod(shape)), "the number of elements")
    lengths.setdefault(outputs, "the number of outputs")
    for length, name in lengths.items():
        if length > 1 and abs(factor * length - 1) < 1e-4:
            return f", 1 / {name}: a mean where a sum belongs?"
        if length > 1 and abs(factor / length - 1) < 1e-4:
            return f", {name}: a sum where a mean belongs?"
    return ": one of two equal paths left out?" if abs(factor - 0.5) < 1e-4 else ""


def _wrong_form(form: WrongForm) -> str:
    """A gradient of another shape than its input: is a sum over broadcast axes missing, or is it transposed?"""
    got, shape = form.gradient.shape, form.shape
    what = f"the shape {list(got)}, and its input {list(shape)}"
    if got == shape[::-1]:
        return f"{what}: is it transposed?"
    padded = (1,) * (len(got) - len(shape)) + tuple(shape)
    axes = [d for d, (g, n) in enumerate(zip(got, padded, strict=False)) if g != n]
    if len(got) >= len(shape) and all(padded[d] == 1 for d in axes):
        axes = sorted({*axes, *range(len(got) - len(shape))})
        return f"{what}: the sum over the broadcast {'axis' if len(axes) == 1 else 'axes'} {str(axes)[1:-1]} is missing"
    return what
