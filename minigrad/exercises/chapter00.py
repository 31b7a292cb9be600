"""Chapter 0, ten lines: the share of right answers, and the number of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import nn
from minigrad.exercises.judge import exercise, expect, judges
from minigrad.ops.creation import tensor


@exercise
def accuracy(scores, labels):
    """The share, from 0 to 1, of the rows of `scores` (N, C) whose largest score is at the label; labels (N,)."""


@judges(accuracy)
def _(answer: Any) -> None:
    scores = tensor([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    labels = tensor([1, 0, 0, 0])
    words = {
        "a share is asked for, not a number of images": 3,
        "this is in percent": 75,
        "this is the share of wrong answers": 0.25,
    }
    expect(answer(scores, labels), 0.75, "accuracy of 4 images, 3 of them right", words)
    expect(answer(scores[:2], labels[:2]), 1.0, "accuracy of 2 images, both right")


@exercise
def count_parameters(sizes):
    """How many numbers the linear layers of a network have; sizes = [784, 64, 10] means two layers, 784 to 64 and 64 to 10."""


@judges(count_parameters)
def _(answer: Any) -> None:
    for sizes in ([784, 64, 10], [5, 3], [2, 16, 16, 3]):
        layers = [nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False)]
        right = sum(p.numel() for layer in layers for p in layer.parameters())
        products = int(np.dot(sizes[1:], sizes[:-1]))
        words = {"each layer also has a bias: as many numbers as it gives": products}
        expect(answer(sizes), right, f"count_parameters({sizes})", words)
