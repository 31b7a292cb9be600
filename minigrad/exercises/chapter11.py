"""Chapter 11, where a network looks: the gradient at the pixels, and a class activation map."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import nn
from minigrad.exercises.judge import exercise, expect, judges, require


@exercise
def input_gradient(model, images, k):
    """The gradient of the score of class k in the pixels of each image: images (N, C, H, W), the result too.

    No parameter of the model gets a gradient by it.
    """


@judges(input_gradient)
def _(answer: Any) -> None:
    mg.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double()
    images = mg.tensor(np.arange(8.0).reshape(2, 1, 2, 2))
    row = model[1].weight.array[1].reshape(1, 1, 2, 2)
    right = np.concatenate([row, row])
    mistakes = {
        "this is of all scores together": np.broadcast_to(
            model[1].weight.array.sum(0).reshape(1, 1, 2, 2), right.shape
        ),
        "images do not see each other: add their scores up, do not average them": right / 2,
    }
    expect(answer(model, images, 1), right, "input_gradient", mistakes)
    require(
        model[1].weight.grad is None, "the weight has a gradient now: use mg.autograd.grad with respect to the images"
    )


@exercise
def class_activation_map(maps, weight):
    """relu(sum over k of weight[k] maps[k]) of arrays maps (K, h, w), weight (K,): (h, w), divided by its largest number.

    A map of zeros stays one.
    """


@judges(class_activation_map)
def _(answer: Any) -> None:
    maps = np.array([[[1.0, 2.0], [0.0, 1.0]], [[0.0, 3.0], [1.0, 0.0]]])
    mistakes = {
        "what speaks against the class, the negative part, is cut off": np.array([[2.0, 1.0], [-1.0, 2.0]]) / 2,
        "it is not divided by its largest number": [[2.0, 1.0], [0.0, 2.0]],
    }
    expect(answer(maps, np.array([2.0, -1.0])), [[1.0, 0.5], [0.0, 1.0]], "class_activation_map", mistakes)
    with np.errstate(all="ignore"):
        expect(answer(maps, np.array([-1.0, -1.0])), np.zeros((2, 2)), "a map of zeros, which must not be divided by 0")
