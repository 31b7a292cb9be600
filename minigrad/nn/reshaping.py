"""Layers that move numbers about and compute nothing: Flatten, Unflatten, Unfold, Fold."""

from __future__ import annotations

from minigrad.arguments import integer
from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.nn.pooling import Size
from minigrad.tensor import Tensor


class Flatten(Module):
    """Axes start_dim to end_dim become one: by default (N, C, H, W) to (N, C*H*W)."""

    _shown = "start_dim end_dim"

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Module):
    """Axis `dim` becomes axes of the sizes `unflattened_size` (one of them may be -1): the inverse of Flatten."""

    _shown = "dim unflattened_size"

    def __init__(self, dim: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        super().__init__()
        if isinstance(dim, str):
            raise NotImplementedError("Unflatten of a named axis is not built: give its number")
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"unflattened_size must be a tuple of ints, got {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = type(unflattened_size)([integer(n, "unflattened_size") for n in unflattened_size])

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)


class Unfold(Module):
    """The patches under a sliding window as columns: (N, C, H, W) to (N, C*KH*KW, L), L the number of positions."""

    _shown = "kernel_size dilation padding stride"

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Module):
    """Columns of patches added up into an image: (N, C*KH*KW, L) to (N, C, *output_size). The transpose of Unfold."""

    _shown = "output_size kernel_size dilation padding stride"

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
