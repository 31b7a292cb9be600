"""Convolutions, and their transposes, as layers."""

from __future__ import annotations

from typing import Any

from minigrad.arguments import alone, integer
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops.creation import empty
from minigrad.tensor import Tensor

One = int | tuple[int] | list[int]
Two = int | tuple[int, int] | list[int]


def sizes(value: Any, axes: int) -> tuple[int, ...]:
    """A number for each of the axes, from one number for all, or from one for each."""
    if alone(value):
        return (integer(value),) * axes
    if len(value) not in (1, axes):
        raise ValueError(f"expected one number or {axes}, got {tuple(value)}")
    return tuple([integer(n) for n in value]) * (axes if len(value) == 1 else 1)


def pair(value: int | tuple[int, ...] | list[int]) -> tuple[int, int]:
    """(height, width) from one number for both, or from two."""
    return sizes(value, 2)  # type: ignore[return-value]


class _ConvNd(Module):
    """What all convolutions share: arguments, parameters, how they start and how they print."""

    axes: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...] | list[int],
        stride: int | tuple[int, ...] | list[int],
        padding: str | int | tuple[int, ...] | list[int],
        dilation: int | tuple[int, ...] | list[int],
        output_padding: int | tuple[int, ...] | list[int],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        in_channels, out_channels, groups = (integer(n) for n in (in_channels, out_channels, groups))
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
        self.kernel_size = sizes(kernel_size, self.axes)
        self.stride = sizes(stride, self.axes)
        self.padding: str | tuple[int, ...] = padding if isinstance(padding, str) else sizes(padding, self.axes)
        self.dilation = sizes(dilation, self.axes)
        self.output_padding = sizes(output_padding, self.axes)
        self.groups = groups
        self.padding_mode = padding_mode
        if self.padding == "same" and any(n != 1 for n in self.stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
        channels = (out_channels, in_channels // groups)
        if self.transposed:
            channels = (in_channels, out_channels // groups)
        self.weight = Parameter(empty((*channels, *self.kernel_size), dtype=dtype, device=device))
        bias_parameter = Parameter(empty((out_channels,), dtype=dtype, device=device)) if bias else None
        self.register_parameter("bias", bias_parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew, from torch's default distributions."""
        init.default_(self.weight, self.bias)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * self.axes:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.axes:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self.axes:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Forward(_ConvNd):
    """What Conv1d and Conv2d share: padding by other things than zeros is a step of its own."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution with another weight and bias: torch's name, for the subclasses that make their own."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._padding_of_input(), self.padding_mode), 0
        convolve = F.conv1d if self.axes == 1 else F.conv2d
        return convolve(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def _padding_of_input(self) -> tuple[int, ...]:
        """(left, right, top, bottom) as F.pad wants it: the last axis first."""
        if self.padding == "valid":
            return (0,) * (2 * self.axes)
        if isinstance(self.padding, str):  # "same"
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            sides = [(total // 2, total - total // 2) for total in totals]
        else:
            sides = [(n, n) for n in self.padding]
        return tuple(n for side in reversed(sides) for n in side)


class Conv1d(_Forward):
    """y[n,o,i] = b[o] + sum over c,k of w[o,c,k] x[n, c, i stride + k dilation - pad].

    x (N, in_channels, L) or (in_channels, L); weight (out_channels, in_channels/groups, K); y (N, out_channels, OL).
    Everything else is as Conv2d has it.
    """

    axes = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: One,
        stride: One = 1,
        padding: str | One = 0,
        dilation: One = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device, dtype
        )  # fmt: skip


class Conv2d(_Forward):
    """y[n,o,i,j] = b[o] + sum over c,k,l of w[o,c,k,l] x[n, c, i stride_h + k dilation_h - pad_h, j stride_w + ...].

    x (N, in_channels, H, W) or (in_channels, H, W); weight (out_channels, in_channels/groups, KH, KW); bias
    (out_channels,); y (N, out_channels, OH, OW) with OH = floor((H + 2 pad_h - dilation_h (KH-1) - 1) / stride_h) + 1.
    With groups, the o-th block of output channels sees the o-th block of input channels only.

    padding: a number, a pair, "valid" (none) or "same" (OH = H, for stride 1). padding_mode: "zeros", "reflect",
    "replicate" or "circular". The weight starts in U(-k, k), the bias too, with k = 1/sqrt(in_channels/groups*KH*KW)
    (torch's kaiming uniform with a = sqrt(5)).

    Raises ValueError for channels that groups does not divide, or an unknown padding.
    """

    axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Two,
        stride: Two = 1,
        padding: str | Two = 0,
        dilation: Two = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device, dtype
        )  # fmt: skip


class _ConvTransposeNd(_ConvNd):
    """What ConvTranspose1d and ConvTranspose2d share: an output size may be asked for at the call."""

    transposed = True
    padding: tuple[int, ...]  # type: ignore[assignment]  # never "same" or "valid"

    def __init__(self, *arguments: Any) -> None:
        padding_mode = arguments[9]
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(*arguments)

    def _output_padding(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """What must be added to the smallest output for output_size: (OH, OW), or with (N, C) or (C) before it."""
        if output_size is None:
            return self.output_padding
        wanted = tuple(output_size)
        before = 2 if input.ndim == self.axes + 2 else 1
        if len(wanted) == before + self.axes:
            wanted = wanted[before:]
        if len(wanted) != self.axes:
            raise ValueError(
                f"ConvTranspose{self.axes}D: for {input.ndim}D input, output_size must have {self.axes} or "
                f"{before + self.axes} elements (got {len(wanted)})"
            )
        smallest = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[before:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        largest = [n + s - 1 for n, s in zip(smallest, self.stride, strict=True)]
        if not all(low <= n <= high for low, n, high in zip(smallest, wanted, largest, strict=True)):
            raise ValueError(
                f"requested an output size of {list(wanted)}, but valid sizes range from {smallest} to {largest} "
                f"(for an input of {tuple(input.shape[before:])})"
            )
        return tuple(n - low for n, low in zip(wanted, smallest, strict=True))


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of Conv1d: each x[n,c,i] adds w[c,:,:] to y from i stride - pad on, in steps of dilation.

    x (N, in_channels, L) or (in_channels, L); weight (in_channels, out_channels/groups, K); y (N, out_channels, OL).
    Everything else is as ConvTranspose2d has it.
    """

    axes = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: One,
        stride: One = 1,
        padding: One = 0,
        output_padding: One = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: One = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        added = self._output_padding(input, output_size)
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, added, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTransposeNd):
    """The transpose of Conv2d: each x[n,c,i,j] adds w[c,:,:,:] to y from (i, j) stride - pad on, in steps of dilation.

    x (N, in_channels, H, W) or (in_channels, H, W); weight (in_channels, out_channels/groups, KH, KW); bias
    (out_channels,); y (N, out_channels, OH, OW) with
    OH = (H - 1) stride_h - 2 pad_h + dilation_h (KH - 1) + output_padding_h + 1.

    A strided convolution maps several input sizes to one: which of them OH is, output_padding says, or `output_size`,
    (OH, OW), at the call (ValueError if the convolution maps it to another size). Both start in U(-k, k), with
    k = 1/sqrt(out_channels/groups*KH*KW) as in torch.
    """

    axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Two,
        stride: Two = 1,
        padding: Two = 0,
        output_padding: Two = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Two = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        added = self._output_padding(input, output_size)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, added, self.groups, self.dilation
        )
