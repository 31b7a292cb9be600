"""Indices: whether they are in range, and adding values where they point, repeats counted: the gradient of indexing.

CuPy's own scatter_add uses atomics, so the sums of repeats differ from run to run. Here the index is sorted (CuPy's
sort is stable), and one thread adds up each run of equal targets: the same sum every time. So an index that names one
place a million times is slow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .device import flag, xp
from .launch import kernel


def check_indices(
    index: Any,
    *,
    low: int = 0,
    high: int,
    ignore: int | None = None,
    error: type[Exception],
    message: str,
) -> None:
    """Raise the device's flag if an index is neither in low ... high - 1 nor `ignore`; the host is not waited for."""
    if index.size:
        flagged, number = flag(error, message)
        index, bounds = xp.ascontiguousarray(index, xp.int64), (low, high, low if ignore is None else ignore, number)
        check = kernel("indexing", "check_indices", np.dtype(np.float32))
        check.over(index.size, index, np.int64(index.size), *map(np.int64, bounds), flagged)


def _is_array(item: Any) -> bool:
    return isinstance(item, xp.ndarray | np.ndarray | list | bool | np.bool_)


def _leading_axes(index: tuple[Any, ...]) -> int | None:
    """k if the index is integer arrays for the first k axes and nothing else: whole rows are added then; else None."""
    whole_rows = index and all(isinstance(item, xp.ndarray) and item.dtype.kind in "iu" for item in index)
    return len(index) if whole_rows else None


def scatter_add(index: Any, values: Any, *, shape: tuple[int, ...]) -> Any:
    """out = zeros(shape); out[index] += values, where a place that the index names twice gets both.

    index: what NumPy takes: integers, slices, None, ..., boolean and integer arrays, or a tuple of these.
    """
    index = index if isinstance(index, tuple) else (index,)
    out = xp.zeros(shape, values.dtype)
    if not any(_is_array(item) for item in index):
        out[index] = values  # no place is named twice
        return out
    axes = _leading_axes(index) or len(shape)
    places = xp.arange(math.prod(shape[:axes]), dtype=xp.int64).reshape(shape[:axes])[index]
    values = xp.ascontiguousarray(xp.broadcast_to(values, places.shape + tuple(shape[axes:])))
    if values.size:
        places = places.ravel()
        order = xp.argsort(places)
        row = values.size // places.size
        add = kernel("indexing", "add_sorted_rows", values.dtype)
        add.over(values.size, places[order], order, values, out, np.int64(places.size), np.int64(row))
    return out
