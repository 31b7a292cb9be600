"""The kernels: what is not plain array arithmetic, for NumPy (`cpu`) and for CuPy (`gpu`), as kernels.py lists them.

Ops never ask which library they are on: `of(array)` is the backend that serves an array.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from minigrad.backends import cpu
from minigrad.backends.kernels import Array, Kernels
from minigrad.backends.precision import cuda, cudnn

if TYPE_CHECKING:
    from minigrad.backends import gpu

    _: tuple[Kernels, Kernels] = (cpu, gpu)  # mypy holds both to the list, name by name

__all__ = ["Array", "Kernels", "cuda", "cudnn", "get", "keeping_layout", "of"]


def of(array: Array) -> Kernels:
    """The backend whose kernels take `array`: cpu for a NumPy array or scalar, gpu for any other."""
    if type(array) is np.ndarray or isinstance(array, (np.ndarray, np.generic)):
        return cpu
    return get("gpu")


def keeping_layout(function: Callable[..., Array], *arrays: Array) -> Array:
    """function(*arrays), element by element: the result lies in memory as the arrays do. Numbers may be among them."""
    for array in arrays:
        if type(array) is np.ndarray:  # NumPy keeps the order of axes by itself
            return function(*arrays)
        if hasattr(array, "strides"):
            return of(array).keeping_layout(function, *arrays)
    return function(*arrays)


def get(device_type: str) -> Kernels:
    """The backend called "cpu" or "gpu"; the latter, and CuPy with it, is imported when first asked for."""
    if device_type == "cpu":
        return cpu
    if device_type == "gpu":
        return importlib.import_module("minigrad.backends.gpu")  # type: ignore[return-value]
    raise ValueError(f"unknown device type {device_type!r}: expected 'cpu' or 'gpu'")
