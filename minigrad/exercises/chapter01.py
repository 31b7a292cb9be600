"""Chapter 1, a derivative is a slope: central differences, the best step, a gradient of two numbers."""

from __future__ import annotations

import math
from typing import Any

from minigrad.exercises.judge import NotYet, exercise, expect, judges


@exercise
def central(f, x, h):
    """The central difference of f at x with step h."""


@judges(central)
def _(answer: Any) -> None:
    mistakes = {
        "this is the forward difference; step to the other side too": 6.1,
        "the two points are 2 h apart, not h": 12.0,
        "the sign is wrong": -6.0,
    }
    expect(answer(lambda x: x * x, 3.0, 0.1), 6.0, "central(x^2, 3, 0.1)", mistakes)
    expect(answer(lambda x: x**3, 2.0, 0.5), 12.25, "central(x^3, 2, 0.5)")


@exercise
def best_step(f, slope, x):
    """Of the steps 10^-1, 10^-2, ... 10^-14, the one whose central difference at x is nearest to `slope`."""


@judges(best_step)
def _(answer: Any) -> None:
    for f, slope, x, name in ((math.sin, math.cos(1.0), 1.0, "sin at 1"), (math.exp, math.exp(2.0), 2.0, "exp at 2")):
        h = answer(f, slope, x)
        if not isinstance(h, float):
            raise NotYet(f"best_step gives {h!r}, which is no step")
        errors = [abs((f(x + 10.0**-k) - f(x - 10.0**-k)) / (2 * 10.0**-k) - slope) for k in range(1, 15)]
        error = abs((f(x + h) - f(x - h)) / (2 * h) - slope)
        if error > min(errors):
            words = "the smallest step is not the best: rounding" if h < 1e-9 else "another step is nearer"
            raise NotYet(f"for {name} the step {h:g} leaves an error of {error:.1e}. {words}")


@exercise
def gradient(f, x, y, h):
    """The pair (slope of f(x, y) in x with y held fixed, slope in y with x held fixed), by central differences."""


@judges(gradient)
def _(answer: Any) -> None:
    def f(x: float, y: float) -> float:
        return x * x * y

    mistakes = {
        "the two slopes are the wrong way round": (4.0, 12.0),
        "move x and y one at a time, not together": (16.0, 16.0),
    }
    expect(answer(f, 2.0, 3.0, 1e-4), (12.0, 4.0), "gradient(x^2 y, 2, 3)", mistakes, atol=1e-6)
