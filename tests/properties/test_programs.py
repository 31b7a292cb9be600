"""Random programs, with values used once, twice and never: on the scalar engine, on minigrad, and on torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minigrad
from minigrad.autograd import grad
from tests.properties.scalar_engine import Value, value
from tests.properties.strategies import tries

LANES = 3

INSTRUCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x y": lambda x, y: x * y,
    "x / (y^2 + 1)": lambda x, y: x / (y * y + 1),
    "1 / (x^2 + 1)": lambda x, y: 1 / (x * x + 1),
    "3 - 2 x": lambda x, y: 3 - 2 * x,
    "-x": lambda x, y: -x,
    "exp tanh x": lambda x, y: x.tanh().exp(),
    "log(x^2 + 1/2)": lambda x, y: (x * x + 0.5).log(),
    "sin x": lambda x, y: x.sin(),
    "tanh x": lambda x, y: x.tanh(),
    "sigmoid x": lambda x, y: x.sigmoid(),
    "relu x": lambda x, y: x.relu(),
    "|x|": lambda x, y: x.abs(),
    "max(x, y)": lambda x, y: x.maximum(y),
    "min(x, y)": lambda x, y: x.minimum(y),
    "(x^2 + 1/3)^1.7": lambda x, y: (x * x + 1 / 3) ** 1.7,
    "(x^2 + 1/3)^tanh y": lambda x, y: (x * x + 1 / 3) ** y.tanh(),
}

Program = tuple[list[Any], list[tuple[str, int, int]]]


@st.composite
def programs(draw: Any) -> Program:
    """Inputs, each one number or one a lane; and instructions on the values so far, by their places from the end."""
    number = st.integers(-8, 8).map(lambda n: n / 4)  # zeros and equals, where the kinks are, among them
    inputs = draw(st.lists(st.one_of(number, st.lists(number, min_size=LANES, max_size=LANES)), min_size=1, max_size=4))
    place = st.integers(1, 6)
    steps = draw(st.lists(st.tuples(st.sampled_from(sorted(INSTRUCTIONS)), place, place), min_size=1, max_size=14))
    return inputs, steps


def run(inputs: list[Any], steps: list[tuple[str, int, int]]) -> Any:
    """The sum of the program's last three values."""
    values = list(inputs)
    for name, i, j in steps:
        values.append(INSTRUCTIONS[name](values[-min(i, len(values))], values[-min(j, len(values))]))
    return sum(values[-3:-1], values[-1])


def on_scalars(program: Program) -> tuple[float, list[np.ndarray]]:
    """The sum over the lanes, and its gradients."""
    inputs, steps = program
    shared = [None if isinstance(x, list) else Value(x) for x in inputs]
    lanes = [
        [Value(x[lane]) if isinstance(x, list) else s for x, s in zip(inputs, shared, strict=True)]
        for lane in range(LANES)
    ]
    total = value(0.0)
    for lane in lanes:
        total = total + run(lane, steps)
    total.backward()
    gradients = [
        np.array([lane[i].grad for lane in lanes]) if isinstance(x, list) else np.array(lanes[0][i].grad)
        for i, x in enumerate(inputs)
    ]
    return total.number, gradients


def on_tensors(framework: Any, grad_of: Any, program: Program, order: int, device: str) -> list[Any]:
    """The sum over the lanes, its gradients, and the gradients of a weighted sum of those, as NumPy's."""
    tensors = [framework.tensor(x, dtype=framework.float64, device=device, requires_grad=True) for x in program[0]]
    # Zeros of one number a lane, so that what is the same in all lanes counts in each.
    total = (run(tensors, program[1]) + framework.zeros(LANES, dtype=framework.float64, device=device)).sum()
    results = [total]
    if total.requires_grad:
        first = grad_of(total, tensors, create_graph=order > 1, allow_unused=True, materialize_grads=True)
        results += first
        weighted = sum((g * (i + 1)).sin().sum() for i, g in enumerate(first))
        if order > 1 and weighted.requires_grad:
            results += grad_of(weighted, tensors, allow_unused=True, materialize_grads=True)
        elif order > 1:
            results += [framework.zeros_like(x) for x in tensors]
    return [x.detach().numpy(force=True) for x in results]


def close(ours: Any, theirs: Any) -> None:
    """Equal to 1e-10 of the largest number."""
    scale = max(1.0, max((np.abs(b).max() for b in theirs), default=0.0))
    for a, b in zip(ours, theirs, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * scale)


def tame(program: Program) -> tuple[float, list[np.ndarray]]:
    """The scalar engine's results, where they are numbers of ordinary size."""
    try:
        total, gradients = on_scalars(program)
    except OverflowError:
        assume(False)
        raise
    assume(np.isfinite(total) and abs(total) < 1e6 and all(np.abs(g).max() < 1e6 for g in gradients))
    return total, gradients


@tries(150)
@given(program=programs())
def test_programs_on_scalars(program: Program, device: str) -> None:
    """minigrad's numbers and gradients are those of the scalar engine."""
    total, gradients = tame(program)
    close(on_tensors(minigrad, grad, program, 1, device), [total, *gradients])


@tries(150)
@given(program=programs())
def test_programs_on_torch(program: Program) -> None:
    """minigrad's numbers, gradients and second gradients are torch's."""
    torch = pytest.importorskip("torch")
    tame(program)
    close(on_tensors(minigrad, grad, program, 2, "cpu"), on_tensors(torch, torch.autograd.grad, program, 2, "cpu"))
