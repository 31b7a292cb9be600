"""How far arrays are apart: the two measures that every command uses. NaN is passed on, so that it is near to nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Arrays = dict[str, np.ndarray]


def norm_distance(ours: np.ndarray | Iterable[np.ndarray], exact: np.ndarray | Iterable[np.ndarray]) -> float:
    """|ours - exact| / |exact| in 2-norms, summed in float64; of several arrays as if they were one.

    0 where the two are equal, infinite where `exact` alone is zero.
    """
    some, right = ([x] if isinstance(x, np.ndarray | np.generic) else list(x) for x in (ours, exact))
    off = _norm(a.astype(np.float64) - b for a, b in zip(some, right, strict=True))
    size = _norm(b.astype(np.float64) for b in right)
    return 0.0 if off == 0 else off / size if size else float("inf")


def _norm(arrays: Iterable[np.ndarray]) -> float:
    return float(np.linalg.norm([np.linalg.norm(array.ravel()) for array in arrays]))


def largest_error(ours: np.ndarray, exact: np.ndarray, least: float = 0.0) -> float:
    """max |ours - exact| / max |exact|; where the largest element is `least` or less, max |ours - exact| itself."""
    if not ours.size:
        return 0.0
    size = np.abs(exact).max()
    return float(np.abs(ours - exact).max() / (1.0 if size <= least else size))
