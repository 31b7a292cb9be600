"""Chapter 12, attacks: one step, the way back into the ball, and a sound comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.exercises.judge import exercise, expect, judges, require


@exercise
def fgsm(x, gradient, epsilon, low, high):
    """One step of size epsilon that raises the loss, of arrays; the result lies in [low, high] as images must."""


@judges(fgsm)
def _(answer: Any) -> None:
    x, g = np.array([0.1, 0.5, 0.95, 0.5]), np.array([-3.0, 0.001, 2.0, 0.0])
    mistakes = {
        "this lowers the loss": [0.2, 0.4, 0.85, 0.5],
        "pixels leave the range that images have": [0.0, 0.6, 1.05, 0.5],
        "use the sign of the gradient: each pixel goes the whole epsilon": np.clip(x + 0.1 * g, 0, 1),
    }
    expect(answer(x, g, 0.1, 0.0, 1.0), [0.0, 0.6, 1.0, 0.5], "fgsm", mistakes)


@exercise
def project(x, start, epsilon):
    """x brought back into the ball around `start`: of arrays (N, D), rows whose x - start is longer than epsilon are shortened.

    Length is sqrt(sum of squares), of each row alone; rows inside stay as they are.
    """


@judges(project)
def _(answer: Any) -> None:
    start = np.array([[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]])
    x = start + np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    mistakes = {
        "this is the ball of the max norm": start + np.clip(x - start, -1, 1),
        "rows inside the ball stay where they are": start + np.array([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]]),
        "the ball lies around start, not around 0": np.array([[0.6, 0.8], [0.3, 0.4], [0.5**0.5, 0.5**0.5]]),
    }
    with np.errstate(all="ignore"):
        expect(answer(x, start, 1.0), start + np.array([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]), "project", mistakes)


@exercise
def robust_accuracy(model, attacks, images, labels):
    """The share of images that stay right whatever the attack: each of `attacks` is called with (model, images, labels).

    An image counts if the model is right about it clean and under every attack.
    """


@judges(robust_accuracy)
def _(answer: Any) -> None:
    images, labels = mg.tensor([[1.0], [2.0], [3.0], [-1.0]]), mg.tensor([1, 1, 1, 1])

    def model(x: Any) -> Any:
        return mg.cat([-x, x], 1)

    def first(model: Any, x: Any, y: Any) -> Any:
        return x - mg.tensor([[5.0], [0.0], [0.0], [-9.0]])

    def second(model: Any, x: Any, y: Any) -> Any:
        return x - mg.tensor([[0.0], [5.0], [0.0], [-9.0]])

    mistakes = {
        "the worst attack is chosen for each image, not for all together": 0.75,
        "images that are wrong without an attack do not count": 0.5,
    }
    expect(answer(model, [first, second], images, labels), 0.25, "robust_accuracy", mistakes)
    require(
        float(numbers_of(answer(model, [], images, labels))) == 0.75,
        "without attacks it is the plain accuracy, 0.75 here",
    )


def numbers_of(value: Any) -> Any:
    """A number, or a tensor's."""
    return value.item() if hasattr(value, "item") else value
