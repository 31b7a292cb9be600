"""Chapter 10, second derivatives: Hessian times vector, what kind of point it is, a gradient penalty."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.exercises.judge import exercise, expect, judges, require


def _f(x: Any) -> Any:
    return (x**3).sum() + x[0] * x[1] * x[2]


@exercise
def hessian_vector(f, x, v):
    """H v of a function f of a tensor x (n,), with two backward passes and no matrix; v (n,). Only mg.autograd.grad."""


@judges(hessian_vector)
def _(answer: Any) -> None:
    x, v = mg.tensor([1.0, 2.0, 3.0], dtype=mg.float64), mg.tensor([1.0, 0.0, -1.0], dtype=mg.float64)
    H = np.array([[6.0, 3.0, 2.0], [3.0, 12.0, 1.0], [2.0, 1.0, 18.0]])
    g = 3 * x.array**2 + np.array([6.0, 3.0, 2.0])
    words = {"this is the gradient, times v": g * v.array, "this is H without v": H.sum(1)}
    expect(answer(_f, x.clone().requires_grad_(), v), H @ v.array, "H v", words)


@exercise
def kind(hessian):
    """What a point of gradient zero is, from its Hessian, an array (n, n): "minimum", "maximum" or "saddle"."""


@judges(kind)
def _(answer: Any) -> None:
    cases = {
        "minimum": [[2.0, 1.0], [1.0, 2.0]], "maximum": [[-2.0, 0.5], [0.5, -1.0]], "saddle": [[1.0, 3.0], [3.0, 1.0]],
    }  # fmt: skip
    for right, hessian in cases.items():
        got = answer(np.array(hessian))
        hint = ". The diagonal is not enough: look at the eigenvalues" if right == "saddle" else ""
        require(got == right, f"{hessian} belongs to a {right}, not to {got!r}{hint}")


@exercise
def penalty(f, x):
    """The mean over the rows of x (N, D) of the squared length of f's gradient at the row; f(x) is (N,), row by row.

    A tensor that can be differentiated, for a loss.
    """


@judges(penalty)
def _(answer: Any) -> None:
    w = mg.tensor([2.0, -1.0], dtype=mg.float64, requires_grad=True)
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]], dtype=mg.float64)
    got = answer(lambda x: x**2 @ w, x)
    g = 2 * x.array * w.array
    mistakes = {
        "this is the mean length, without the square": np.sqrt((g**2).sum(1)).mean(),
        "a mean over the rows, not a sum": (g**2).sum(),
        "the sum over D, then the mean over the rows": (g**2).mean(),
    }
    expect(got.detach(), (g**2).sum(1).mean(), "penalty", mistakes)
    require(got.requires_grad, "the result is cut off from the graph: create_graph=True records the backward pass")
    got.backward()
    expect(w.grad, (8 * x.array**2 * w.array).mean(0), "its gradient in the parameters")
