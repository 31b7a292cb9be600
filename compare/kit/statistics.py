"""A few numbers that stand for many, and whether two samples are the same as far as a few seeds can tell.

Seed by seed both frameworks start from the same weights and see the same batches, so the paired t test looks at the differences
of two runs of one seed. Where each framework drew its own start, Welch's test looks at the two samples. They are called different
if p is below LEVEL, 1 %; else equal, and the interval says how large a difference could still be hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

LEVEL = 0.01


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


def geometric_mean(values: np.ndarray) -> float:
    """exp(mean(log(values)))."""
    return float(np.exp(np.log(values).mean()))


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and its standard error s / sqrt(n); of one value, None."""
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    return float(np.mean(values)), error


def paired(ours: Sequence[float], theirs: Sequence[float], resolution: float = 0.0) -> dict[str, Any]:
    """Student's paired t test (Student 1908): d = mean of the n differences, s their standard deviation,

        t = d / (s / sqrt(n)),   n - 1 degrees of freedom.

    resolution: the least that a value can change by, of an accuracy one image. A spread s below it counts as it: three
    differences of just one image each prove nothing.

    Returns {"difference", "error", "p", "low", "high", "equal"}: ours less theirs, with its interval of confidence 1 - LEVEL;
    after one seed only the difference is known, the rest is None.
    """
    differences = np.subtract(ours, theirs, dtype=np.float64)
    n = len(differences)
    if n < 2:
        return _found(float(differences.mean()), None, 0)
    spread = max(float(differences.std(ddof=1)), resolution)
    return _found(float(differences.mean()), spread / n**0.5, n - 1)


def welch(ours: Sequence[float], theirs: Sequence[float], resolution: float = 0.0) -> dict[str, Any]:
    """Welch's t test (Welch 1947) for samples of unlike variance: with e = s^2 / n of each,

        t = d / sqrt(e1 + e2),   (e1 + e2)^2 / (e1^2 / (n1 - 1) + e2^2 / (n2 - 1)) degrees of freedom.

    resolution and result: as of `paired`.
    """
    difference = float(np.mean(ours) - np.mean(theirs))
    if min(len(ours), len(theirs)) < 2:
        return _found(difference, None, 0)
    samples = [
        (max(float(np.std(sample, ddof=1)), resolution) ** 2 / len(sample), len(sample)) for sample in (ours, theirs)
    ]
    total = sum(e for e, _ in samples)
    below = sum(e**2 / (n - 1) for e, n in samples)
    return _found(difference, total**0.5, total**2 / below if below else len(ours) + len(theirs) - 2)


def _found(difference: float, error: float | None, freedom: float) -> dict[str, Any]:
    """p (two-sided), interval and answer, from Student's distribution."""
    if error is None:
        return {"difference": difference, "error": None, "p": None, "low": None, "high": None, "equal": None}
    from scipy.stats import t

    if error:
        p = 2 * float(t.sf(abs(difference) / error, freedom))
    else:
        p = 0.0 if difference else 1.0
    reach = float(t.ppf(1 - LEVEL / 2, freedom)) * error
    return {
        "difference": difference,
        "error": error,
        "p": p,
        "low": difference - reach,
        "high": difference + reach,
        "equal": p >= LEVEL,
    }


TESTS = {"shared": paired, "own": welch}
NAMES = {"shared": "paired t test", "own": "Welch's t test"}
