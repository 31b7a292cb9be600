"""A few numbers that stand for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np


class Summary(TypedDict):
    """How many values there are, and the points below which 0, 25, 50 and 75 % of them lie."""

    count: int
    min: float
    lower: float
    median: float
    upper: float


def summarize(values: Sequence[float]) -> Summary:
    """Minimum, lower quartile, median and upper quartile, interpolated linearly. ValueError for no values."""
    if not values:
        raise ValueError("there are no values to summarize")
    least, lower, median, upper = np.quantile(np.asarray(values, np.float64), (0, 0.25, 0.5, 0.75)).tolist()
    return Summary(count=len(values), min=least, lower=lower, median=median, upper=upper)


def paired_ratios(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> list[float]:
    """For each round: the median of our times over the median of theirs.

    Both were measured within moments of each other, so that what slows the whole machine for a while cancels out.
    """
    return [float(np.median(a) / np.median(b)) for a, b in zip(ours, theirs, strict=True)]


def relative_distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """|ours - theirs| / |theirs|, in 2-norms; 0 where both are zero, infinite where theirs alone is."""
    difference = float(np.linalg.norm((ours - theirs).ravel()))
    length = float(np.linalg.norm(theirs.ravel()))
    if difference == 0:
        return 0.0
    return difference / length if length else float("inf")
