"""Chapter 8, optimizers: the largest learning rate, a step of Adam, a schedule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.exercises.judge import exercise, expect, judges


@exercise
def largest_rate(curvatures):
    """Gradient descent on the sum of c x^2 / 2, one x for each curvature c, converges below this learning rate."""


@judges(largest_rate)
def _(answer: Any) -> None:
    mistakes = {
        "the steepest direction decides, not the flattest": 2.0,
        "it may step past the bottom, up to twice as far": 0.04,
    }
    expect(answer([1.0, 25.0]), 0.08, "largest_rate([1, 25])", mistakes)
    expect(answer([0.5, 0.1, 4.0]), 0.5, "largest_rate([0.5, 0.1, 4])")


@exercise
def adam_step(p, m, v, g, t, lr):
    """Step number t = 1, 2, ... of Adam on arrays, with beta1 = 0.9, beta2 = 0.999, eps = 1e-8. Returns (p, m, v)."""


@judges(adam_step)
def _(answer: Any) -> None:
    p, m, v, g = np.array([1.0, 2.0]), np.array([0.1, -0.2]), np.array([0.04, 0.01]), np.array([0.5, -0.1])
    m1, v1 = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    for t in (1, 3):
        m2, v2 = m1 / (1 - 0.9**t), v1 / (1 - 0.999**t)
        right = p - 0.01 * m2 / (np.sqrt(v2) + 1e-8)
        mistakes = {
            "the averages start at zero: divide them by 1 - beta^t": [p - 0.01 * m1 / (np.sqrt(v1) + 1e-8), m1, v1],
            "m and v are kept as they are; the correction is for the step only": [right, m2, v2],
            "divide by the root of v": [p - 0.01 * m2 / (v2 + 1e-8), m1, v1],
        }
        expect(np.stack(answer(p.copy(), m.copy(), v.copy(), g, t, 0.01)), [right, m1, v1], f"step {t}", mistakes)


@exercise
def cosine(step, steps, lr):
    """The rate at `step` of `steps`: lr at 0, half a cosine down to 0 at the end."""


@judges(cosine)
def _(answer: Any) -> None:
    for step in (0, 25, 50, 100):
        right = 0.2 * (1 + math.cos(math.pi * step / 100)) / 2
        mistakes = {
            "this is a straight line": 0.2 * (1 - step / 100),
            "half a period, pi, not a whole one": 0.2 * (1 + math.cos(2 * math.pi * step / 100)) / 2,
        }
        expect(answer(step, 100, 0.2), right, f"cosine({step}, 100, 0.2)", mistakes)
