"""How a GPU computes in single precision where a CPU does otherwise: subnormals count as 0, CUDA's functions err by some ulp.

CuPy compiles everything with -ftz=true (cupy/cuda/compiler.py). The errors are the largest that the CUDA C++ Programming Guide
documents (Mathematical Functions Appendix); here each result is moved by as many units in the last place, up or down as its bits
have it, unless it is exact. So a test that passes here allows CUDA's library, not only the host's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .launches import Launches

ULP = {
    "exp": 1, "exp2": 2, "expm1": 1, "log": 1, "log2": 1, "log10": 2, "log1p": 1, "sin": 2, "cos": 2, "tan": 4, "arcsin": 2,
    "arccos": 2, "arctan": 2, "arctan2": 3, "sinh": 3, "cosh": 2, "tanh": 2, "arcsinh": 3, "arccosh": 4, "arctanh": 3,
    "power": 4, "pow": 4, "hypot": 3, "cbrt": 1, "logaddexp": 3,
}  # fmt: skip
"""Of each function of single precision, the documented error; logaddexp is CuPy's own, of expf and log1pf."""
SMALLEST = np.finfo(np.float32).tiny


def flushed(value: Any) -> Any:
    """The value with float32's subnormal numbers as zeros of their sign."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype == np.float32:
        subnormal = (np.abs(value) < SMALLEST) & (value != 0)
        if np.any(subnormal):
            return np.where(subnormal, np.copysign(np.float32(0), value), value)
    return value


def erring(name: str, function: Callable, values: list[Any], result: Any) -> Any:
    """The result of a function in single precision, as far off as CUDA's may be."""
    if name not in ULP or getattr(result, "dtype", None) != np.float32 or not np.size(result):
        return result
    wide = [np.asarray(v, np.float64) if isinstance(v, np.ndarray | np.generic) else v for v in values]
    exact = np.asarray(function(*wide))
    rounded = exact.astype(np.float32)
    bits = rounded.view(np.int32)
    steps = (bits.astype(np.int64) * 2654435761 >> 13) % (2 * ULP[name] + 1) - ULP[name]
    moved = (bits + steps).astype(np.int32).view(np.float32)
    movable = np.isfinite(rounded) & (exact != rounded) & (np.abs(rounded) > 2 * SMALLEST) & np.isfinite(moved)
    movable &= np.abs(moved - exact) <= ULP[name] * np.spacing(np.abs(rounded))
    return np.where(movable, moved, rounded)


def compute(name: str, function: Callable, values: list[Any], **kwargs: Any) -> Any:
    """function(*values) as a GPU computes it."""
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    if Launches.dry and max((array.size for array in arrays), default=0) > 2**18:
        few = [value[(slice(0, 1),) * value.ndim] if isinstance(value, np.ndarray) else value for value in values]
        return np.zeros(np.broadcast_shapes(*(array.shape for array in arrays)), function(*few, **kwargs).dtype)
    values = [flushed(value) for value in values]
    return flushed(erring(name, function, values, function(*values, **kwargs)))
