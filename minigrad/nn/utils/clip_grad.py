"""Gradient clipping (Pascanu et al. 2013, https://arxiv.org/abs/1211.5063, algorithm 1)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.op import HALF
from minigrad.tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


def _alike(arrays: Sequence[Any]) -> bool:
    """Whether the kernels take the arrays: none twice, of one type, float32 or float64, in one library."""
    kinds = {(x.dtype, type(x)) for x in arrays}
    return len(kinds) == 1 and arrays[0].dtype in (np.float32, np.float64) and len({*map(id, arrays)}) == len(arrays)


def _norm(x: Any, p: float) -> Any:
    """The p-norm of all numbers of an array, as a 0-d array: (sum |x|^p)^(1/p); inf: the largest |x|."""
    xp = backends.of(x).xp
    if x.dtype == HALF:  # squares leave its range long before their root does
        return _norm(x.astype(np.float32), p).astype(HALF)
    if p == 2:
        return xp.sqrt(xp.sum(x * x))
    if p == math.inf:
        return xp.max(xp.abs(x))
    if p == -math.inf:
        return xp.min(xp.abs(x))
    if p == 0:
        return xp.sum(x != 0).astype(x.dtype)
    return xp.sum(xp.abs(x) ** x.dtype.type(p)) ** x.dtype.type(1 / p)


def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The p-norm of all tensors as if they were one vector: the norm of their norms. A 0-d Tensor; 0 for no tensors.

    `foreach` chooses among torch's implementations and means nothing here.

    Raises RuntimeError with `error_if_nonfinite` if it is NaN or infinite.
    """
    arrays = [t.array for t in ([tensors] if isinstance(tensors, Tensor) else tensors)]
    norm_type = float(norm_type)
    if not arrays:
        return Tensor(np.zeros((), np.float32))
    xp = backends.of(arrays[0]).xp
    if norm_type == 2 and _alike(arrays):
        total = Tensor(backends.of(arrays[0]).norm(arrays))
    else:
        total = Tensor(xp.asarray(_norm(xp.stack([xp.asarray(_norm(x, norm_type)) for x in arrays]), norm_type)))
    if error_if_nonfinite and not bool(xp.isfinite(total.array)):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients in place by min(1, max_norm / (total_norm + 1e-6)); returns the total norm before that.

    The total norm is that of all gradients as one vector (`get_total_norm`). No number is read back from a GPU, unless
    `error_if_nonfinite`. `foreach` chooses among torch's implementations and means nothing here.

    Raises RuntimeError with `error_if_nonfinite` if the norm is NaN or infinite; the gradients are as they were then.
    """
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    arrays = [gradient.array for gradient in gradients]
    if arrays and _alike(arrays):
        backends.of(total.array).clip(arrays, total.array, largest=float(max_norm))
    else:
        factor = backends.of(total.array).xp.minimum(float(max_norm) / (total.array + 1e-6), 1.0)
        with np.errstate(invalid="ignore"):  # an infinite norm makes NaN of infinite gradients, as in torch
            for array in arrays:
                array *= factor.astype(array.dtype)
    for gradient in gradients:
        gradient._bump_version()
    return total


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Cut the gradients' numbers in place to [-clip_value, clip_value]. `foreach` means nothing here."""
    clip_value = float(clip_value)
    for gradient in _gradients(parameters):
        xp = backends.of(gradient.array).xp
        xp.clip(gradient.array, -clip_value, clip_value, out=gradient.array)
        gradient._bump_version()


def _gradients(parameters: Tensors) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    found = list(parameters)
    if not found and isinstance(parameters, Iterator):  # most likely used up before
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    return [parameter.grad for parameter in found if parameter.grad is not None]
