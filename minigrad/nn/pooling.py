"""Pooling as layers. Images are (N, C, H, W) or (C, H, W), sequences (N, C, L) or (C, L)."""

from __future__ import annotations

from typing import Any

from minigrad.nn import functional as F
from minigrad.nn.conv import pair
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

One = int | tuple[int]
Size = int | tuple[int, int]


class _MaxPoolNd(Module):
    """The largest value of each window, per channel.

    OH = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, with ceil instead of floor in ceil_mode.
    Padding never wins. stride is kernel_size unless given. With return_indices also the winners' places.
    """

    _shown = "kernel_size stride padding dilation ceil_mode"

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
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

    def _arguments(self) -> dict[str, Any]:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        return {name: getattr(self, name) for name in names}


class MaxPool1d(_MaxPoolNd):
    """The largest value of each window, per channel: (N, C, L) to (N, C, OL). The places count along L.

    OL = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; the rest is as MaxPool2d has it.
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool1d(input, **self._arguments())


class MaxPool2d(_MaxPoolNd):
    """The largest value of each window, per channel: (N, C, H, W) to (N, C, OH, OW).

    OH = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, with ceil instead of floor in ceil_mode.
    Padding never wins. stride is kernel_size unless given. With return_indices also the winners' places, i*W + j.
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(input, **self._arguments())


class _AvgPoolNd(Module):
    _shown = "kernel_size stride padding"


class AvgPool1d(_AvgPoolNd):
    """The mean of each window, per channel: (N, C, L) to (N, C, OL); the rest is as AvgPool2d has it."""

    def __init__(
        self,
        kernel_size: One,
        stride: One | None = None,
        padding: One = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = _single(kernel_size if stride is None else stride)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPoolNd):
    """The mean of each window, per channel: (N, C, H, W) to (N, C, OH, OW).

    OH = floor((H + 2 padding - kernel_size) / stride) + 1, with ceil instead of floor in ceil_mode. stride is
    kernel_size unless given. Padding is zeros that count unless count_include_pad is False; divisor_override is what
    each sum is divided by instead of the number of pixels.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class MaxUnpool2d(Module):
    """Each number of y at the place that MaxPool2d(..., return_indices=True) found it at, zeros elsewhere.

    input and indices (N, C, OH, OW) to (N, C, H, W), H = (OH - 1) stride - 2 padding + kernel_size, or as `output_size`
    says at the call. stride is kernel_size unless given.
    """

    _shown = "kernel_size stride padding"

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size = pair(kernel_size)
        self.stride = pair(kernel_size if stride is None else stride)
        self.padding = pair(padding)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class LPPool2d(Module):
    """(sum over each window of x^p)^(1/p), per channel, p = norm_type: (N, C, H, W) to (N, C, OH, OW).

    ValueError for norm_type 0.
    """

    _shown = "norm_type kernel_size stride ceil_mode"

    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        if norm_type == 0:
            raise ValueError(f"norm_type must be a non-zero value, but got {norm_type}")
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class _AdaptivePool(Module):
    _shown = "output_size"

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size


class AdaptiveAvgPool1d(_AdaptivePool):
    """Means over bins, so that any L becomes output_size: bin i is places floor(i L/OL) to ceil((i+1) L/OL)."""

    def __init__(self, output_size: One) -> None:
        super().__init__(output_size)

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePool):
    """Means over bins, so that any (H, W) becomes output_size: bin i is rows floor(i H/OH) to ceil((i+1) H/OH).

    output_size: one number, a pair, or None in a place that keeps its size. (N, C, H, W) to (N, C, OH, OW).
    """

    def __init__(self, output_size: int | None | tuple[int | None, int | None]) -> None:
        super().__init__(output_size)

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest value of each of AdaptiveAvgPool1d's bins; with return_indices also the winners' places."""

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest value of each of AdaptiveAvgPool2d's bins; with return_indices also the winners' places, i*W + j."""

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


def _single(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
