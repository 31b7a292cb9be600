"""Convolution as a layer."""

from __future__ import annotations

from typing import Any

from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops.creation import empty
from minigrad.tensor import Tensor


def pair(value: int | tuple[int, ...] | list[int]) -> tuple[int, int]:
    """(height, width) from one number for both, or from two."""
    if isinstance(value, (tuple, list)):
        if len(value) == 1:
            return (value[0], value[0])
        if len(value) != 2:
            raise ValueError(f"expected one number or two (height, width), got {tuple(value)}")
        return (value[0], value[1])
    return (value, value)


class Conv2d(Module):
    """y[n,o,i,j] = b[o] + sum over c,k,l of w[o,c,k,l] x[n, c, i stride_h + k dilation_h - pad_h, j stride_w + ...].

    x (N, in_channels, H, W) or (in_channels, H, W); weight (out_channels, in_channels/groups, KH, KW); bias
    (out_channels,); y (N, out_channels, OH, OW) with OH = floor((H + 2 pad_h - dilation_h (KH-1) - 1) / stride_h) + 1.
    With groups, the o-th block of output channels sees the o-th block of input channels only.

    padding: a number, a pair, "valid" (none) or "same" (OH = H, for stride 1). padding_mode: "zeros", "reflect",
    "replicate" or "circular". The weight starts in U(-k, k), the bias too, with k = 1/sqrt(in_channels/groups*KH*KW)
    (torch's kaiming uniform with a = sqrt(5)).

    Raises ValueError for channels that groups does not divide, or an unknown padding.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of 'same', 'valid'")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                "padding_mode must be one of 'zeros', 'reflect', 'replicate', 'circular', "
                f"but got padding_mode='{padding_mode}'"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride)
        self.padding: str | tuple[int, int] = padding if isinstance(padding, str) else pair(padding)
        self.dilation = pair(dilation)
        self.groups = groups
        self.padding_mode = padding_mode
        if self.padding == "same" and self.stride != (1, 1):
            raise ValueError("padding='same' is not supported for strided convolutions")
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, dtype=dtype, device=device))
        bias_parameter = Parameter(empty((out_channels,), dtype=dtype, device=device)) if bias else None
        self.register_parameter("bias", bias_parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew, from torch's default distributions."""
        init.default_(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode == "zeros":
            return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        padded = F.pad(input, self._padding_of_input(), self.padding_mode)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _padding_of_input(self) -> tuple[int, ...]:
        """(left, right, top, bottom) as F.pad wants it."""
        if self.padding == "valid":
            return (0, 0, 0, 0)
        if isinstance(self.padding, str):  # "same"
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            top, left = (total // 2 for total in totals)
            return (left, totals[1] - left, top, totals[0] - top)
        vertical, horizontal = self.padding
        return (horizontal, horizontal, vertical, vertical)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text
