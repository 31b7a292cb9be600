"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from minigrad.ops.shape import cat
from minigrad.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """One vector of all the numbers, in the order of the parameters; gradients flow back through it.

    Raises RuntimeError if the parameters live on different devices.
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give each parameter its stretch of the vector. As in torch, they share the vector's memory from then on.

    Raises TypeError if vec is not a Tensor, ValueError if it has fewer numbers than the parameters (nothing is changed
    then).
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, but got: {type(vec).__name__}")
    parameters = list(parameters)
    wanted = sum(parameter.numel() for parameter in parameters)
    if vec.ndim != 1 or vec.numel() < wanted:
        raise ValueError(f"expected a vector of {wanted} numbers, got a tensor of shape {tuple(vec.shape)}")
    start = 0
    for parameter in parameters:
        stretch = vec.data[start : start + parameter.numel()]
        parameter.data = stretch.reshape(*parameter.shape)
        start += parameter.numel()
