"""Pooling as layers. Images are (N, C, H, W) or (C, H, W)."""

from __future__ import annotations

from typing import Any

from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

Size = int | tuple[int, int]


class MaxPool2d(Module):
    """The largest value of each window, per channel: (N, C, H, W) to (N, C, OH, OW).

    OH = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, with ceil instead of floor in ceil_mode.
    Padding never wins. stride is kernel_size unless given. With return_indices also the winners' places, i*W + j.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AdaptiveAvgPool2d(Module):
    """Means over bins, so that any (H, W) becomes output_size: bin i is rows floor(i H/OH) to ceil((i+1) H/OH).

    output_size: one number, a pair, or None in a place that keeps its size. (N, C, H, W) to (N, C, OH, OW).
    """

    def __init__(self, output_size: int | None | tuple[int | None, int | None]) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
