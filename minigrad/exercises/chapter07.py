"""Chapter 7, why depth is hard: an initialisation that keeps the variance, and batch norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.exercises.judge import exercise, expect, judges, require


@exercise
def start(fan_in, fan_out, random):
    """Weights (fan_out, fan_in) that keep the mean square through a linear layer and a ReLU; random: a numpy Generator."""


@judges(start)
def _(answer: Any) -> None:
    w = np.asarray(answer(400, 300, np.random.default_rng(0)))
    require(w.shape == (300, 400), f"the shape is {w.shape}, but should be (fan_out, fan_in) = (300, 400)")
    ratio = float((w**2).mean() * 400)
    require(
        abs(ratio - 1) > 0.1,
        "the variance is 1 / fan_in: right without a ReLU. It halves the mean square; make up for it",
    )
    require(abs(ratio - 8 / 3) > 0.1, "the variance is 2 / fan_out: the sum in a linear layer runs over fan_in numbers")
    require(abs(ratio - 2) < 0.1, f"the mean square of the weights is {ratio:.3f} / fan_in")
    require(abs(w.mean()) < 0.01, "the mean should be 0")


@exercise
def survives(ratio, layers):
    """What is left of a gradient of length 1 after `layers` layers, each of which makes it `ratio` times as long."""


@judges(survives)
def _(answer: Any) -> None:
    expect(answer(0.5, 10), 0.5**10, "survives(0.5, 10)", {"layers multiply, they do not add up": 5.0})
    expect(answer(2.0, 3), 8.0, "survives(2, 3)")


@exercise
def batch_norm(x, eps):
    """x (N, C) with each column's mean taken off, divided by sqrt(variance + eps); the variance is the mean square, over N."""


@judges(batch_norm)
def _(answer: Any) -> None:
    x = np.array([[1.0, -10.0], [2.0, 0.0], [6.0, 40.0]])
    centred = x - x.mean(0)
    right = centred / np.sqrt(x.var(0) + 0.1)
    mistakes = {
        "this divides by N - 1; batch norm divides by N": centred / np.sqrt(x.var(0, ddof=1) + 0.1),
        "the mean is over each row: that is layer norm": (x - x.mean(1, keepdims=True))
        / np.sqrt(x.var(1, keepdims=True) + 0.1),
        "eps belongs under the root": centred / (x.std(0) + 0.1),
        "the mean and the variance are over the batch, for each column alone": (x - x.mean()) / np.sqrt(x.var() + 0.1),
    }
    expect(answer(x, 0.1), right, "batch_norm of 3 rows", mistakes)
