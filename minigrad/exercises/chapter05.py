"""Chapter 5, a network by hand: cross-entropy without overflow, its gradient, a step of SGD with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.exercises.judge import exercise, expect, judges


@exercise
def cross_entropy(z, t):
    """-log softmax(z)[t] of scores z (C,) and a label t. It is finite for any finite z."""


@judges(cross_entropy)
def _(answer: Any) -> None:
    z = np.array([1.0, 2.0, 0.5])
    logs = z - np.log(np.exp(z).sum())
    words = {
        "the sign: a loss is small where the probability is large": logs[1],
        "this is the probability": np.exp(logs[1]),
    }
    expect(answer(z, 1), -logs[1], "cross_entropy([1, 2, 0.5], 1)", words)
    overflow = {"e^1000 overflows: take the largest score off first": np.inf}
    expect(answer(np.array([1000.0, 0.0]), 1), 1000.0, "cross_entropy([1000, 0], 1)", overflow)


@exercise
def cross_entropy_gradient(z, t):
    """The gradient of the loss above in z: (C,)."""


@judges(cross_entropy_gradient)
def _(answer: Any) -> None:
    z = np.array([0.0, np.log(3.0)])
    mistakes = {"this is p alone; take 1 off at the label": [0.25, 0.75], "the sign is wrong": [0.75, -0.75]}
    expect(answer(z, 0), [-0.75, 0.75], "the gradient at [0, log 3], label 0", mistakes)


@exercise
def momentum_step(p, v, g, lr, momentum):
    """One step of SGD with momentum on numbers: v becomes momentum v + g, p becomes p - lr v. Returns (p, v)."""


@judges(momentum_step)
def _(answer: Any) -> None:
    mistakes = {
        "p moves by the new v, not by the old one": (0.8, 2.8),
        "p moves against the gradient": (1.28, 2.8),
        "the learning rate belongs to p, not to v": (0.9, 1.9),
    }
    expect(answer(1.0, 2.0, 1.0, 0.1, 0.9), (0.72, 2.8), "momentum_step(1, 2, 1, 0.1, 0.9)", mistakes)
