"""The gradient doctor: which op's gradient is wrong, what the mistake is, and the line to look at.

A gradient that disagrees with finite differences says only that some op is wrong. So the ops that ran are noted, and each is
run again by itself on the inputs that it had, its gradient compared with differences of its own forward. First its backward
is called twice, and with twice the gradient coming in: the results must be the same, and twice as large. Then the Jacobian
is compared with the measured one, and the mistake is named (minigrad/autograd/mistakes.py).
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.autograd.calls import grad
from minigrad.autograd.differences import (
    MOST_ELEMENTS,
    Differences,
    Index,
    WrongForm,
    analytic_jacobian,
    as_tuple,
    copy_of,
    disagreements,
    like,
    on_host,
)
from minigrad.autograd.function import Node, recorded_forward
from minigrad.autograd.mistakes import Evidence, name_mistake
from minigrad.autograd.observer import Observer, only_observers, recorded, user_line
from minigrad.fused import FusedOp
from minigrad.grad_mode import enable_grad
from minigrad.op import Op
from minigrad.tensor import Tensor


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
    """What the mistake is, as far as its Jacobian shows."""
    look_at: str = ""
    """file:line of the backward, at the gradient that it returns for this input; "" if it has no source."""
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
        look = f"; look at {self.look_at}" if self.look_at else ""
        return (
            f"{self.op}, called at {self.called_at}: the gradient of its input {self.input} has {self.how}{worst}{look}"
        )


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
            found = _not_linear(differences, i)
            if found is None and not _agrees_along(differences, i, atol, rtol):
                found = _worst_disagreement(node, differences, i, atol, rtol)
        except WrongForm as form:
            found = {"how": _wrong_form(form)}
        if found is not None:
            findings.append(
                Finding(op=node.name(), called_at=where, input=i, look_at=line_of_gradient(node, i), **found)
            )
    return findings


def _pulled_back(differences: Differences, i: int, weights: list[np.ndarray]) -> np.ndarray:
    """The gradient of input i, flattened, from these gradients of the outputs."""
    x = differences.inputs[i]
    starts = [like(w, y) for w, y in zip(weights, differences.outputs, strict=True)]
    (gradient,) = grad(differences.outputs, x, starts, retain_graph=True, allow_unused=True)
    if gradient is None:
        return np.zeros(x.numel())
    if gradient.shape != x.shape:
        raise WrongForm(i, x, gradient)
    return on_host(gradient)


def _random_weights(differences: Differences) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.uniform(0.5, 1, y.numel()) for y in differences.outputs]


def _not_linear(differences: Differences, i: int) -> dict[str, Any] | None:
    """A backward is a linear function of the gradient that comes in, and of nothing that changes from call to call."""
    weights = _random_weights(differences)
    first, again = (_pulled_back(differences, i, weights) for _ in range(2))
    double = _pulled_back(differences, i, [2 * w for w in weights])
    if not (np.isfinite(first).all() and np.isfinite(again).all() and np.isfinite(double).all()):
        return None
    small = 1e-6 * max(np.abs(first).max(initial=0), 1e-12)
    if np.abs(again - first).max(initial=0) > small:
        more = (
            "it is added to what an earlier call left" if np.abs(again - 2 * first).max() <= small else "it is random"
        )
        return {"how": f"another value at the second call of backward with the same gradient: {more}"}
    if np.abs(double - 2 * first).max(initial=0) <= small:
        return None
    if np.abs(double - first).max(initial=0) <= small:
        return {"how": "the same value whatever gradient comes in: the upstream gradient is forgotten"}
    if np.abs(double - 4 * first).max(initial=0) <= small:
        return {"how": "a value that grows with the square of the gradient that comes in: it is multiplied in twice"}
    return {"how": "a value that is not linear in the gradient that comes in: a term without the upstream gradient?"}


def _agrees_along(differences: Differences, i: int, atol: float, rtol: float) -> bool:
    random = np.random.default_rng(1)
    size = differences.inputs[i].numel()
    direction = random.uniform(0.5, 1, size) * random.choice([-1, 1], size)
    measured = differences.directional({i: direction})
    weights = _random_weights(differences)
    analytic = _pulled_back(differences, i, weights) @ direction
    numeric = sum(w @ m for w, m in zip(weights, measured, strict=True))
    return bool(abs(analytic - numeric) <= atol + rtol * abs(numeric))


def _worst_disagreement(node: Op, differences: Differences, i: int, atol: float, rtol: float) -> dict[str, Any] | None:
    x = differences.inputs[i]
    if x.numel() * sum(y.numel() for y in differences.outputs) > MOST_ELEMENTS:
        return {"how": "another value along a random direction (too large to look at in full)"}
    jacobians = analytic_jacobian(differences.outputs, differences.inputs, i), differences.jacobian(i)
    for o, (a, n) in enumerate(zip(*jacobians, strict=True)):
        for row, element in disagreements(a, n, atol, rtol):
            if not differences.is_kink(i, element, o, row, a[row, element]):
                return {
                    "how": name_mistake(Evidence(a, n, differences, i, o, _own_graph(node))),
                    "index": tuple(int(k) for k in np.unravel_index(element, x.shape)),
                    "analytic": float(a[row, element]),
                    "numeric": float(n[row, element]),
                }
    return None


def _own_graph(node: Op) -> Callable[..., Any] | None:
    """The op's forward as a function of tensors whose ops are recorded: a fused op's definition, a Function's forward."""
    if isinstance(node, FusedOp):
        return node.definition
    if isinstance(node, Node):
        return functools.partial(recorded_forward, node.op)
    return None


def line_of_gradient(node: Op, i: int) -> str:
    """file:line of a backward, where it returns the gradient of input i; "" if its source is not to be had."""
    function = node.op.backward if isinstance(node, Node) else getattr(node, "backward_arrays", node.backward)
    function = inspect.unwrap(getattr(function, "__func__", function))
    try:
        lines, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
        file = inspect.getsourcefile(function)
    except (OSError, SyntaxError, TypeError):
        return ""
    returns = [k for k in ast.walk(tree) if isinstance(k, ast.Return) and k.value is not None]
    line = 1
    if returns:
        value = max(returns, key=lambda k: k.lineno).value
        assert value is not None
        line = value.elts[i].lineno if isinstance(value, ast.Tuple) and i < len(value.elts) else value.lineno
    return f"{file}:{start + line - 1}"


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
