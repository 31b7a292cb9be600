"""An attack's settings as plain numbers, whatever kind of number, array or Tensor they were given as."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minigrad.tensor import Tensor, describe

Amount = Any
"""A number, or one for each channel: a sequence, array or Tensor (C,), (C, 1, 1) or (1, C, 1, 1). Kept as a tuple."""


def integer(name: str, value: Any) -> int:
    """A whole number of any library. ValueError unless it is at least 1."""
    try:
        found = operator.index(value)
    except TypeError:
        found = 0
    if found < 1:
        raise ValueError(f"{name} must be an integer and at least 1, got {value}")
    return found


def amount(name: str, value: Any) -> float | tuple[float, ...]:
    """A number, or a tuple of one for each channel. ValueError for anything else."""
    plain = value.detach().cpu() if hasattr(value, "detach") else value
    try:
        array = np.asarray(plain)
        if array.dtype.kind not in "iufO" or any(isinstance(part, (str, type(None))) for part in array.flat):
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, or one for each channel, got {value!r}") from None
    if array.size == 1:
        return array.item()
    shape = array.shape[1:] if array.ndim in (2, 4) and array.shape[0] == 1 else array.shape
    if not array.size or len(shape) not in (1, 3) or shape[1:] != (1,) * (len(shape) - 1):
        raise ValueError(
            f"{name} must be a number, or one for each channel, of shape (C,), (C, 1, 1) or (1, C, 1, 1): "
            f"got the shape {array.shape}"
        )
    return tuple(array.ravel().tolist())


def size(name: str, value: Any) -> float | tuple[float, ...]:
    """As `amount`. ValueError unless finite and at least 0."""
    found = amount(name, value)
    if not all(0 <= number < float("inf") for number in each(found)):
        raise ValueError(f"{name} must be finite and at least 0, got {found if isinstance(found, tuple) else value}")
    return found


def each(value: float | tuple[float, ...]) -> tuple[float, ...]:
    """The numbers of an amount."""
    return value if isinstance(value, tuple) else (value,)


def scaled(value: Any, factor: float) -> Any:
    """An amount times a number."""
    return tuple([factor * number for number in value]) if isinstance(value, tuple) else factor * value


def written(value: Any, form: str = "g") -> str:
    """An amount as --epsilon takes it: 0.1, or 0.1,0.2,0.3."""
    return ",".join(f"{number:{form}}" for number in each(value))


def per_channel(name: str, values: Any, images: Tensor) -> Tensor:
    """Numbers of images (N, C, ...), one for each channel, as (1, C, 1, ...). ValueError if there are not C."""
    if images.ndim < 2 or images.shape[1] != len(values):
        raise ValueError(f"{name} {len(values)} channels, the images are {describe(images)}")
    return images.new_tensor(list(values)).reshape(1, -1, *(1 for _ in images.shape[2:]))
