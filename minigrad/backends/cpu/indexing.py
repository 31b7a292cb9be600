"""Indices: whether they are in range; adding where they point, counting repeats, and assigning there."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["assign", "check_indices", "scatter_add"]


def check_indices(
    index: np.ndarray, *, low: int = 0, high: int, ignore: int | None = None, error: type[Exception], message: str
) -> None:
    """Raises `error` of the first index that is neither in low ... high - 1 nor `ignore`: {} in the message stands for it."""
    wrong = (index < low) | (index >= high)
    if ignore is not None:
        wrong &= index != ignore
    if wrong.any():
        raise error(message.replace("{}", str(index[wrong].flat[0])))


def assign(out: np.ndarray, index: Any, values: Any) -> None:
    """out[index] = values, in place; where the index names an element twice, the last value stays."""
    out[index] = values


def scatter_add(index: Any, values: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    """zeros(shape) with out[index] += values, an element that the index names twice added to twice.

    index is what NumPy takes; values broadcast to the shape of out[index] and give the dtype. IndexError as NumPy's.
    """
    out = np.zeros(shape, values.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(np.asarray(part) if isinstance(part, list) else part for part in parts)
    if all(_names_once(part) for part in parts):
        out[parts] += values
    elif len(parts) == 1 and out.ndim > 1:
        _add_rows(out, parts[0], values)
    else:
        np.add.at(out, parts, values)
    return out


def _names_once(part: Any) -> bool:
    """Slices, integers, new axes and masks cannot name an element twice."""
    if part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)):
        return True
    return isinstance(part, np.ndarray) and part.dtype == np.bool_


def _add_rows(out: np.ndarray, index: np.ndarray, values: np.ndarray) -> None:
    """out[index] += values for an index into the first axis: rows sorted by where they go, each run of them summed."""
    values = np.broadcast_to(values, (*index.shape, *out.shape[1:])).reshape(index.size, *out.shape[1:])
    index = index.reshape(-1)
    outside = (index < -len(out)) | (index >= len(out))
    if outside.any():
        raise IndexError(f"index {index[outside][0]} is out of bounds for axis 0 with size {len(out)}")
    if index.size:
        index = np.where(index < 0, index + len(out), index)
        order = np.argsort(index, kind="stable")
        where, starts = np.unique(index[order], return_index=True)
        out[where] = np.add.reduceat(values[order], starts, axis=0)
