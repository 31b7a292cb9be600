"""Arrays before they are tensors: what Tensor(...) and minigrad.tensor(...) make of lists, numbers and arrays."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.arguments import is_tensor, sizes
from minigrad.size import Size


def built(given: tuple[Any, ...], data: Any, size: Any, dtype: np.dtype) -> Any:
    """What Tensor(*given, data=, size=) holds: zeros of sizes that are given one by one or as a Size, or one sequence's numbers.

    A Tensor's array is taken as it is; an array too, but for code within as_torch, for which it is of `dtype` as torch's is.
    """
    if len(given) == 1 and (isinstance(given[0], bool) or not isinstance(given[0], (int, np.integer))):
        (data,), given = given, ()
        if isinstance(data, Size):
            data, size = None, data
        elif data is None:
            raise TypeError("Tensor(): data must be a sequence, an array or a Tensor, not None")
    if (data is not None) + (size is not None) + bool(given) > 1:
        raise TypeError("Tensor() takes sizes, or one sequence, array or Tensor as its data")
    if data is None:
        return np.zeros(sizes(*given, size=size) if given or size is not None else 0, dtype)
    if is_tensor(data):
        return data.array
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return from_lists(list(data), inferred=False).astype(dtype)
    if isinstance(data, np.generic) or not isinstance(getattr(data, "dtype", None), np.dtype):
        raise TypeError(
            f"Tensor(): data must be a sequence, an array or a Tensor, not {data!r} ({type(data).__name__}). "
            "minigrad.tensor makes a tensor of a number, minigrad.empty(2, 3) one of a size."
        )
    if data.dtype.kind not in "biuf":
        raise TypeError(f"can't convert an array of type {data.dtype}: supported are bool, integers and floats")
    return data.astype(dtype, copy=False) if "__as_torch__" in sys._getframe(2).f_builtins else data


def from_lists(data: Any, inferred: bool = True) -> np.ndarray:
    """Numbers and nested lists as an array; `inferred`: of the type that torch infers (float32 for Python's floats)."""
    if isinstance(data, np.generic):
        return np.asarray(data)
    try:
        array = np.array(_detached(data))
    except ValueError as error:
        raise ValueError(f"expected sequences of one length at every level: {error}") from error
    if array.size == 0 and array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        if array.dtype.kind == "c":
            raise NotImplementedError("complex tensors are not built")
        raise TypeError(f"can't make a tensor of {type(data).__name__} holding {array.dtype}")
    if inferred and array.dtype == np.float64 and not _holds_float64(data):
        return array.astype(np.float32)
    return array


def _detached(data: Any) -> Any:
    if is_tensor(data):
        return data.detach().numpy(force=True)
    return [_detached(d) for d in data] if isinstance(data, (list, tuple)) else data


def _holds_float64(data: Any) -> bool:
    """Whether a NumPy or Tensor float64 is inside (Python's floats are float32 here, as in torch)."""
    if isinstance(data, (list, tuple)):
        return len(data) > 0 and _holds_float64(data[0])
    return getattr(data, "dtype", None) == np.float64


def is_array(x: Any) -> bool:
    """Whether x is an array of NumPy's or CuPy's."""
    return hasattr(x, "dtype") and hasattr(x, "strides") and not isinstance(x, np.generic) and not is_tensor(x)


def memory_of(array: Any) -> Any:
    """The array that owns the memory which `array` is a view of."""
    while is_array(getattr(array, "base", None)):
        array = array.base
    return array
