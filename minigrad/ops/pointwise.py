"""What element-wise ops are made of: one operand, two that broadcast, a constant one; and copies.

Notation: z = f(x, y), gz = dL/dz comes in, gx = dL/dx and gy = dL/dy go out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.memory_format import MemoryFormat, laid_out, preserve_format
from minigrad.op import HALF, Op
from minigrad.ops.common import quiet, shape_of, sum_to
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe


class Unary(Op):
    """z = f(x), where the array libraries call f `ufunc`."""

    elementwise = True
    ufunc: ClassVar[str]

    def forward(self, x: Array) -> Array:
        with quiet():
            return getattr(backends.of(x).xp, self.ufunc)(x)


class Broadcasting(Op):
    """Element by element, operands that broadcast: remembers their shapes, so that gradients can be summed back to them."""

    elementwise = True

    def _record(self, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        Op._record(self, inputs, outputs)
        self.shapes = [x.array.shape if isinstance(x, Tensor) else () for x in inputs]


class Binary(Broadcasting):
    """z = f(x, y), where f is `compute`."""

    def forward(self, x: Array, y: Array) -> Array:
        with quiet():
            if not (shape_of(x) and shape_of(y)) and (half := _beside_a_number(x, y)) is not None:
                return self.compute(*half).astype(HALF)
            return self.compute(x, y)

    def compute(self, x: Array, y: Array) -> Array:
        """z from arrays (one of them may be a number)."""
        raise NotImplementedError

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        needs_x, needs_y = self.asked_for
        return (
            sum_to(self.gx(gz), self.shapes[0]) if needs_x else None,
            sum_to(self.gy(gz), self.shapes[1]) if needs_y else None,
        )

    def gx(self, gz: Tensor) -> Tensor:
        """The gradient of x before it is summed to x's shape."""
        raise NotImplementedError

    def gy(self, gz: Tensor) -> Tensor:
        """The gradient of y before it is summed to y's shape."""
        raise NotImplementedError


def _beside_a_number(x: Any, y: Any) -> tuple[Any, Any] | None:
    """A float16 array beside a Python number, as float32: float16 may not hold the number. None for anything else."""
    if isinstance(y, (int, float)):
        return (x.astype(np.float32), y) if x.dtype == HALF else None
    return (x, y.astype(np.float32)) if isinstance(x, (int, float)) and y.dtype == HALF else None


class ZeroGradient(Op):
    """z, a piecewise constant function of x;  gx = 0."""

    def __init__(self, shape: tuple[int, ...], z: Tensor) -> None:
        self.shape, self.z = shape, z.array

    def forward(self, x: Array) -> Array:
        z, self.z = self.z, None
        return z

    def backward(self, gz: Tensor) -> Tensor:
        return sum_to(zeros_like(gz), self.shape)


def with_zero_gradient(z: Tensor, *inputs: Any) -> Tensor:
    """z as part of the graph of those inputs that it is a piecewise constant function of."""
    for x in inputs:
        if isinstance(x, Tensor) and x._requires_grad and z.is_floating_point():
            z = ZeroGradient(x.shape, z)(x)
    return z


class Cast(Op):
    """The same numbers in another type; the gradient in the type that they had."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype

    def forward(self, x: Array) -> Array:
        self.before = x.dtype
        with quiet():
            return x.astype(self.dtype)

    def _record(self, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        if self.dtype.kind == "f":  # integers and bools have no gradient
            super()._record(inputs, outputs)

    def backward(self, gz: Tensor) -> Tensor:
        return gz.to(self.before)


class Clone(Op):
    """z = a copy of x, laid out as x is;  gx = gz."""

    def forward(self, x: Array) -> Array:
        return x.copy(order="K")

    def backward(self, gz: Tensor) -> Tensor:
        return gz


class LayOut(Clone):
    """z = a copy of x, laid out in the order asked for;  gx = gz."""

    def __init__(self, memory_format: MemoryFormat) -> None:
        self.memory_format = memory_format

    def forward(self, x: Array) -> Array:
        return laid_out(x, self.memory_format)


def clone(input: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """A copy that is part of the graph, its elements in memory in the input's order unless memory_format is given."""
    return (Clone() if memory_format is None or memory_format is preserve_format else LayOut(memory_format))(input)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of x's shape, type, device and layout."""
    return Tensor._wrap(backends.of(x.array).xp.zeros_like(x.array))


def ones_like(x: Tensor) -> Tensor:
    """Ones of x's shape, type, device and layout."""
    return Tensor._wrap(backends.of(x.array).xp.ones_like(x.array))


# -- what may come in ------------------------------------------------------------------------------------------------


def tensors(name: str, *inputs: Any) -> None:
    """Raises TypeError unless all are Tensors, as torch's ops that take no numbers do."""
    for position, x in enumerate(inputs, 1):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}(): argument {position} must be Tensor, not {type(x).__name__}")


def no_bools(name: str, *inputs: Any) -> None:
    """Raises NotImplementedError for a bool tensor."""
    for x in inputs:
        if isinstance(x, Tensor) and x.array.dtype.kind == "b":
            raise NotImplementedError(f"{name} is not implemented for bools, as {describe(x)}")


def floats_only(name: str, *inputs: Any) -> None:
    """Raises NotImplementedError unless every Tensor among the inputs is one of floats."""
    for x in inputs:
        if isinstance(x, Tensor) and x.array.dtype.kind != "f":
            raise NotImplementedError(f"{name} is implemented for floating point only, not for {describe(x)}")


offer("minigrad Tensor", clone)
offer("Tensor", ones_like, zeros_like)
