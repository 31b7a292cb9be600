"""Of each image a letter, whether a network is right about it; accuracies of letters, and how far two of them are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigrad.training.meters import target_ranks

# The label is the network's first answer, or among the first five, or neither.
FIRST, FIVE, MISS = "1", "5", "-"
TOP = {"top1": FIRST, "top5": FIRST + FIVE}

MOST_POINTS, MOST_ERRORS = 0.3, 3.0


def hits(logits: np.ndarray, labels: np.ndarray) -> str:
    """A letter for each image, from logits (N, classes) and labels (N,)."""
    ranks = target_ranks(logits, labels)
    return "".join(FIRST if rank < 1 else FIVE if rank < 5 else MISS for rank in ranks.tolist())


def accuracy(found: str, top: str) -> float:
    """Percentage of hits; top: "top1" or "top5"."""
    return 100 * sum(letter in TOP[top] for letter in found) / len(found)


def accuracy_error(percentage: float, images: int) -> float:
    """The standard error of a percentage of so many images, in points."""
    return (percentage * (100 - percentage) / images) ** 0.5


@dataclass(frozen=True)
class Difference:
    """How far two accuracies on the same images are apart, in points, and the standard error of that."""

    points: float
    error: float

    @property
    def alike(self) -> bool:
        """Whether the first could as well be the second: up to MOST_POINTS, and MOST_ERRORS standard errors beyond."""
        return abs(self.points) <= MOST_POINTS + MOST_ERRORS * self.error + 1e-9

    def __str__(self) -> str:
        return f"{self.points:+.2f} ± {self.error:.2f}"


def difference(ours: str, theirs: str, top: str) -> Difference:
    """Ours less theirs. Of N images, a are hits of ours alone and b of theirs alone:

        points = 100 (a - b) / N,    error = 100 sqrt(a + b) / N.

    The images that both judge alike say nothing. Were neither better, a coin would decide for each of the others whose hit it
    is, and a - b have the variance a + b (the test of McNemar, 1947).
    """
    pairs = [(x in TOP[top], y in TOP[top]) for x, y in zip(ours, theirs, strict=True)]
    a, b = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
    return Difference(100 * (a - b) / len(pairs), 100 * (a + b) ** 0.5 / len(pairs))
