"""Indices: whether they are in range; adding where they point, counting repeats, and assigning there.

CuPy's own scatter_add uses atomics, so the sums of repeats differ from run to run. Here the index is sorted (CuPy's
sort is stable), and one thread adds up each run of equal targets: the same sum every time. So an index that names one
place a million times is slow.

CuPy gives repeated places of an assignment no order, so which value stays could differ from run to run. Here each value is
first replaced by the last one for its place: in whatever order they are written, that one stays, as in NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import Array
from .device import flag, xp
from .launch import UINT8, kernel


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


def _names_places(item: Any) -> bool:
    """Whether a part of an index holds integers, which may name a place twice."""
    return isinstance(item, list) or (_is_array(item) and getattr(item, "dtype", UINT8).kind in "iu")


def _leading_axes(index: tuple[Any, ...]) -> int | None:
    """k if the index is integer arrays for the first k axes and nothing else: whole rows are added then; else None."""
    whole_rows = index and all(isinstance(item, xp.ndarray) and item.dtype.kind in "iu" for item in index)
    return len(index) if whole_rows else None


def assign(out: Array, index: Any, values: Array) -> None:
    """out[index] = values, in place; where the index names a place twice, the last value stays.

    index: as in scatter_add; values: an array that broadcasts to out[index], or a number.
    """
    index = index if isinstance(index, tuple) else (index,)
    if getattr(values, "ndim", 0) and any(_names_places(item) for item in index):
        values = _last_of_each(out.shape, index, values)
    out[index] = values


def _last_of_each(shape: tuple[int, ...], index: tuple[Any, ...], values: Array) -> Array:
    """The values, each replaced by the last one that goes to its place: its rank among the sorted places finds it."""
    axes = _leading_axes(index) or len(shape)
    places = _places(shape[:axes], index)
    whole = places.shape + tuple(shape[axes:])
    if values.ndim > len(whole):  # leading axes of length 1, as NumPy takes them
        values = values.reshape(values.shape[values.ndim - len(whole) :])
    values = xp.broadcast_to(values, whole)
    if not values.size:
        return values
    places = places.ravel()
    order = xp.argsort(places)
    ranked = places[order]
    last = xp.empty_like(order)
    last[order] = order[xp.searchsorted(ranked, ranked, "right") - 1]
    return values.reshape(places.size, -1)[last].reshape(whole)


def _places(shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    """Which elements of an array of that shape the index names, as their numbers in the order of memory."""
    return xp.arange(math.prod(shape), dtype=xp.int64).reshape(shape)[index]


def scatter_add(index: Any, values: Array, *, shape: tuple[int, ...]) -> Array:
    """out = zeros(shape); out[index] += values, where a place that the index names twice gets both.

    index: what NumPy takes: integers, slices, None, ..., boolean and integer arrays, or a tuple of these.
    """
    index = index if isinstance(index, tuple) else (index,)
    out = xp.zeros(shape, values.dtype)
    if not any(_is_array(item) for item in index):
        out[index] = values  # no place is named twice
        return out
    axes = _leading_axes(index) or len(shape)
    places = _places(shape[:axes], index)
    values = xp.ascontiguousarray(xp.broadcast_to(values, places.shape + tuple(shape[axes:])))
    if values.size:
        places = places.ravel()
        order = xp.argsort(places)
        row = values.size // places.size
        add = kernel("indexing", "add_sorted_rows", values.dtype)
        add.over(values.size, places[order], order, values, out, np.int64(places.size), np.int64(row))
    return out
