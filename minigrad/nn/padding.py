"""Padding as layers: numbers put around the last axis, or the last two."""

from __future__ import annotations

from typing import Any

from minigrad.arguments import alone, integer
from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

Two = int | tuple[int, int]
Four = int | tuple[int, int, int, int]


def repeated(value: Any, times: int) -> tuple[int, ...]:
    """One number `times` times, or the numbers given, of which there must be as many (ValueError)."""
    if alone(value):
        return (integer(value, "padding"),) * times
    if len(value) != times:
        raise ValueError(f"padding must be one number or {times}, got {tuple(value)}")
    return tuple([integer(n, "padding") for n in value])


class _Pad(Module):
    """padding: one number for all sides, or (left, right) for 1d, (left, right, top, bottom) for 2d."""

    _shown = ":padding"

    mode = "constant"
    axes = 1

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__()
        self.padding = repeated(padding, 2 * self.axes)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)


class ConstantPad1d(_Pad):
    """The number `value` before and after the last axis; negative padding cuts off."""

    _shown = "padding value"

    def __init__(self, padding: Two, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)


class ConstantPad2d(ConstantPad1d):
    """The number `value` around the last two axes; negative padding cuts off."""

    axes = 2

    def __init__(self, padding: Four, value: float) -> None:
        super().__init__(padding, value)  # type: ignore[arg-type]


class ZeroPad1d(ConstantPad1d):
    """Zeros before and after the last axis; negative padding cuts off."""

    _shown = ":padding"

    def __init__(self, padding: Two) -> None:
        super().__init__(padding, 0.0)


class ZeroPad2d(ConstantPad2d):
    """Zeros around the last two axes; padding is one number or (left, right, top, bottom), negative ones cut off."""

    _shown = ":padding"

    def __init__(self, padding: Four) -> None:
        super().__init__(padding, 0.0)


class ReflectionPad1d(_Pad):
    """(N, C, L) or (C, L), mirrored at its ends: c b | a b c d | c b."""

    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Images (N, C, H, W) or (C, H, W), mirrored at their edges: c b | a b c d | c b."""

    mode, axes = "reflect", 2


class ReplicationPad1d(_Pad):
    """(N, C, L) or (C, L), with its ends repeated: a a | a b c d | d d."""

    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Images (N, C, H, W) or (C, H, W), with their edges repeated: a a | a b c d | d d."""

    mode, axes = "replicate", 2


class CircularPad1d(_Pad):
    """(N, C, L) or (C, L), going on from the other end: c d | a b c d | a b."""

    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        few, many = self.axes + 1, self.axes + 2
        if input.ndim not in (few, many):
            raise ValueError(f"expected {few}D or {many}D input (got {input.ndim}D input)")
        return super().forward(input)


class CircularPad2d(CircularPad1d):
    """Images (N, C, H, W) or (C, H, W), going on from the other edge: c d | a b c d | a b."""

    axes = 2
