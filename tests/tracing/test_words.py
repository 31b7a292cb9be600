"""Formulas with numbers: they are those of the docstrings, and are shown only where they give what the op gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.arithmetic import Mul
from minigrad.tracing.words import formula, in_numbers


def steps(function: Any, *inputs: mg.Tensor) -> Any:
    with mg.trace() as t:
        function(*inputs).backward()
    return t


def test_a_docstring_is_read() -> None:
    found = formula(Mul())
    assert found.forward == "z = x y" and found.output == "z"
    assert found.gradients == {"gx": "gz y", "gy": "gz x"}
    assert found.of_input(1) == "gy = gz x"


def test_numbers_stand_for_the_names() -> None:
    x, y = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0, requires_grad=True)
    t = steps(lambda x, y: x * y, x, y)
    assert in_numbers(t.nodes[0]) == "z = x y = 2 * 3 = 6"
    assert in_numbers(t.nodes[0], t.visits[0], 0) == "gx = gz y = 1 * 3 = 3"
    assert in_numbers(t.nodes[0], t.visits[0], 1) == "gy = gz x = 1 * 2 = 2"


def test_the_sum_over_what_was_broadcast_is_written_out() -> None:
    x, b = mg.tensor([1.0, 2.0, 4.0], requires_grad=True), mg.tensor(0.5, requires_grad=True)
    t = steps(lambda x, b: (x * b).sum(), x, b)
    assert in_numbers(t.nodes[0], t.visits[1], 1) == "gy = sum of gz x = 1 * 4 + 1 * 2 + 1 * 1 = 7"


def test_powers_and_functions() -> None:
    x = mg.tensor([-3.0], requires_grad=True)
    t = steps(lambda x: (x**2).sum(), x)
    assert in_numbers(t.nodes[0]) == "z[0] = x^y = (-3)^2 = 9"
    assert in_numbers(t.nodes[0], t.visits[1], 0) == "gx[0] = gz y x^(y-1) = 1 * 2 * (-3)^(2 - 1) = -6"
    t = steps(lambda x: x.tanh().sum(), mg.tensor([0.5], requires_grad=True))
    assert in_numbers(t.nodes[0]) == "z[0] = tanh x = tanh 0.5 = 0.4621"
    assert in_numbers(t.nodes[0], t.visits[1], 0) == "gx[0] = gz (1 - z^2) = 1 * (1 - 0.4621^2) = 0.7864"


def test_a_matrix_product_is_written_out_for_one_element() -> None:
    x = mg.tensor([[1.0, 2.0]], dtype=mg.float64, requires_grad=True)
    y = mg.tensor([[3.0], [4.0]], dtype=mg.float64, requires_grad=True)
    t = steps(lambda x, y: (x @ y).sum(), x, y)
    assert in_numbers(t.nodes[0]) == "Z[0, 0] = 2 * 4 + 1 * 3 = 11"
    assert in_numbers(t.nodes[0], t.visits[1], 1) == "gY[1, 0] = 2 * 1 = 2"


def test_an_op_that_does_not_do_what_its_docstring_says_gets_no_numbers() -> None:
    class Wrong(mg.Op):
        """z = 2 x;  gx = 3 gz."""

        def forward(self, x: Any) -> Any:
            return x * 2

        def backward(self, gz: mg.Tensor) -> mg.Tensor:
            return gz * 2

    t = steps(lambda x: Wrong()(x), mg.tensor(5.0, requires_grad=True))
    assert in_numbers(t.nodes[0]) == "z = 2 x = 2 * 5 = 10"
    assert in_numbers(t.nodes[0], t.visits[0], 0) == ""


@pytest.mark.parametrize(
    "name", "exp log sin cos tan sqrt square reciprocal sigmoid tanh sinh cosh atan log1p expm1".split()
)
def test_elementwise_ops_are_shown_with_numbers(name: str) -> None:
    x = mg.tensor(np.array([0.3, 0.8]), requires_grad=True)
    t = steps(lambda x: getattr(x, name)().sum(), x)
    visit = t.visits[1]
    assert in_numbers(visit.node), formula(visit.node.op)
    assert in_numbers(visit.node, visit, 0), formula(visit.node.op)
