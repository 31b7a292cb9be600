"""Unfold, fold and convolution.

Notation: x (N, C, H, W) images; w (O, C/G, KH, KW) kernels in G groups; b (O); y (N, O, OH, OW). L = OH OW places, and
OH = (H + 2 ph - dh (KH - 1) - 1) / sh + 1, likewise OW.

The reference implementation (`Conv2d.definition`) unfolds x into the columns that each output sees, U (N, C KH KW, L), and
convolution is a matrix product Y = W U + b. So gW = sum over the batch of gY U^T, gX = fold(W^T gY), gb = the sum of gY. The
kernels (`backends`) do the same a chunk at a time, and never keep the columns.

Source: K. Chellapilla, S. Puri, P. Simard, High Performance Convolutional Neural Networks for Document Processing (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from minigrad import backends
from minigrad.backends import Array
from minigrad.backends.kernels import Gradients
from minigrad.backends.taps import cut_bit
from minigrad.fused import FusedOp
from minigrad.op import Op
from minigrad.ops.choice import ReluGradient, where
from minigrad.ops.common import IntOrPair, Pair, alone, integer, pair
from minigrad.ops.pooling import MaxPool2d, PoolScatter, as_pool, check_pool
from minigrad.ops.public import offer
from minigrad.ops.reduction import exact_sum
from minigrad.tensor import Tensor, describe
from minigrad.window import Window


class Unfold(Op):
    """U[n, (c, i, j), (oh, ow)] = x[n, c, oh sh + i dh - ph, ow sw + j dw - pw], 0 outside;  gx = fold(gU)."""

    fresh = True
    widens = True

    def __init__(self, window: Window) -> None:
        self.window = window

    def forward(self, x: Array) -> Array:
        self.size = x.shape[2:]
        return backends.of(x).unfold(x, window=self.window)

    def backward(self, gu: Tensor) -> Tensor:
        return Fold(self.size, self.window)(gu)


class Fold(Op):
    """x = the sum, at each pixel, of all columns' entries that unfold would take from it;  gU = unfold(gx)."""

    fresh = True
    widens = True

    def __init__(self, size: Pair, window: Window) -> None:
        self.size, self.window = size, window

    def forward(self, u: Array) -> Array:
        return backends.of(u).fold(u, output_size=self.size, window=self.window)

    def backward(self, gx: Tensor) -> Tensor:
        return Unfold(self.window)(gx)


class Conv2d(FusedOp):
    """Y = W U + b with U = unfold(x);  gX = fold(W^T gY),  gW = sum gY U^T,  gb = sum gY."""

    fresh = True
    widens = True
    saves = {0: 1, 1: 0}

    def __init__(self, window: Window) -> None:
        self.window = window

    def definition(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        n, groups, (out, _, kh, kw) = x.shape[0], self.window.groups, w.shape
        height, width = self.window.output_size(x.shape[2:])
        u = Unfold(self.window)(x)
        u = u.reshape(n, groups, w.shape[1] * kh * kw, height * width)
        y = w.reshape(groups, out // groups, w.shape[1] * kh * kw) @ u
        y = y.reshape(n, out, height, width)
        return y if b is None else y + b.reshape(1, out, 1, 1)

    def forward(self, x: Array, w: Array, b: Array | None) -> Array:
        self.shape = x.shape
        return backends.of(x).conv2d(x, w, b, window=self.window)

    def backward_arrays(self, gy: Array) -> Array:
        return self.convolution_gradients(gy, None)

    def convolution_gradients(self, gy: Array, y: Array | None) -> Gradients:
        """(gx, gw, gb); with the output y of a fused ReLU, gy passes unless y <= 0."""
        x, w, _ = self.arrays
        needs = (*self.asked_for, False)[:3]
        return backends.of(gy).conv2d_backward(gy, x, w, y, x_shape=self.shape, window=self.window, needs=needs)


class ConvTranspose2d(FusedOp):
    """The adjoint of convolution in x: Y = fold(W^T X) + b;  gX = W unfold(gY),  gW = sum X unfold(gY)^T,  gb = sum gY.

    X (N, C, H, W), W (C, O/G, KH, KW), b (O) or None, Y (N, O, *size): what conv2d with W would take from Y to X.
    """

    fresh = True
    widens = True
    saves = {0: 1, 1: 0}

    def __init__(self, size: Pair, window: Window) -> None:
        self.size, self.window = size, window

    def definition(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        n, channels, height, width = x.shape
        groups, (_, out, kh, kw) = self.window.groups, w.shape
        columns = w.reshape(groups, channels // groups, out * kh * kw).mT @ x.reshape(
            n, groups, channels // groups, height * width
        )
        columns = columns.reshape(n, groups * out * kh * kw, height * width)
        y = Fold(self.size, self.window)(columns)
        return y if b is None else y + b.reshape(1, groups * out, 1, 1)

    def _gradients(self, g: Array, x: Array | None, w: Array | None, needs: tuple[bool, bool, bool]) -> Gradients:
        """Those of the convolution that this one is the adjoint of."""
        backward = backends.of(g).conv2d_backward
        return backward(g, x, w, None, x_shape=self.shape, window=self.window, needs=needs)

    def forward(self, x: Array, w: Array, b: Array | None) -> Array:
        self.shape = x.shape[0], w.shape[1] * self.window.groups, *self.size
        y = self._gradients(x, None, w, (True, False, False))[0]
        if b is not None:
            y += b.reshape(1, -1, 1, 1)
        return y

    def backward_arrays(self, gy: Array) -> Array:
        x, w, _ = self.arrays
        needs_x, needs_w, needs_b = (*self.asked_for, False)[:3]
        gx = gw = None
        if needs_x:
            gx = backends.of(gy).conv2d(gy, w, None, window=self.window)
        if needs_w:
            gw = self._gradients(x, gy, None, (False, True, False))[1]
        return gx, gw, exact_sum(gy, (0, 2, 3)) if needs_b else None


class Conv2dRelu(Conv2d):
    """Y = max(W U + b, 0): convolution and ReLU in one pass, saving the result once;  gy passes unless Y <= 0."""

    saves_output = True

    def definition(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        return super().definition(x, w, b).relu()

    def forward(self, x: Array, w: Array, b: Array | None) -> Array:
        self.shape = x.shape
        return backends.of(x).conv2d(x, w, b, window=self.window, relu=True)

    def backward_arrays(self, gy: Array) -> Array:
        return self.convolution_gradients(gy, self.output_array)

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The ReLU's part from the saved output, the rest through the definition of the convolution, linear in x and w."""
        gy = ReluGradient()(gradients[0], self.output.detach())
        return super().differentiate(super().definition, gy)


class Conv2dReluMaxPool2d(Conv2d):
    """P = max_pool2d(max(W U + b, 0)): the full-size map is never stored.

    The gradient of P goes to each window's winner, if it was above zero: a map of the convolution's size, made a chunk at a
    time, from which the convolution's gradients follow. The taps tell which were: P itself is not kept.
    """

    keeps = ("tap",)

    def __init__(self, window: Window, pool: Window) -> None:
        super().__init__(window)
        self.pool = pool

    def definition(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        return MaxPool2d(self.pool)(super().definition(x, w, b).relu())

    def forward(self, x: Array, w: Array, b: Array | None) -> Array:
        self.shape = x.shape
        p, self.tap = backends.of(x).conv2d_relu_max_pool2d(x, w, b, window=self.window, pool=self.pool)
        return p

    def backward_arrays(self, gp: Array) -> Array:
        x, w, _ = self.arrays
        needs = (*self.asked_for, False)[:3]
        return backends.of(gp).conv2d_relu_max_pool2d_backward(
            gp, x, w, self.tap, x_shape=self.shape, window=self.window, pool=self.pool, needs=needs
        )

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The ReLU's and the pool's part from the taps, the rest through the definition of the convolution."""
        size, bit = self.window.output_size(self.shape[2:]), cut_bit(self.tap.dtype)
        gp = where(Tensor._wrap(self.tap >= bit), 0.0, gradients[0])
        gy = PoolScatter(self.tap & (bit - 1), (*gp.shape[:2], *size), self.pool)(gp)
        return super().differentiate(super().definition, gy)


# -- the functions, as torch names them ---------------------------------------------------------------------------------


def unfold(
    input: Tensor,
    kernel_size: IntOrPair,
    dilation: IntOrPair = 1,
    padding: IntOrPair = 0,
    stride: IntOrPair = 1,
) -> Tensor:
    """(N, C, H, W) to (N, C KH KW, L): the columns that each place of a sliding window sees. (C, H, W) works too."""
    if input.ndim == 3:
        return unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
    if input.ndim != 4:
        raise RuntimeError(f"Expected 3D or 4D (batch mode) tensor for input, but got {describe(input)}")
    if input.dtype.kind != "f":
        raise NotImplementedError(f"unfold is not implemented for {describe(input)}: it takes floating point numbers")
    if not input.shape[1]:
        raise RuntimeError(f"Expected an input of at least one channel, but got {describe(input)}")
    window = Window(pair(kernel_size), pair(stride), pair(padding), pair(dilation))
    _positive(kernel_size=window.kernel, dilation=window.dilation, stride=window.stride)
    if min(window.output_size(input.shape[2:])) < 1:
        raise RuntimeError(
            f"Given input with spatial size {list(input.shape[2:])}, kernel_size={window.kernel}, "
            f"dilation={window.dilation}, padding={window.padding}, the array of sliding blocks would be empty"
        )
    return Unfold(window)(input)


def fold(
    input: Tensor,
    output_size: IntOrPair,
    kernel_size: IntOrPair,
    dilation: IntOrPair = 1,
    padding: IntOrPair = 0,
    stride: IntOrPair = 1,
) -> Tensor:
    """(N, C KH KW, L) to (N, C, H, W): the sum of the columns' entries at each pixel. The adjoint of unfold."""
    if input.ndim == 2:
        return fold(input.unsqueeze(0), output_size, kernel_size, dilation, padding, stride).squeeze(0)
    if input.ndim != 3:
        raise RuntimeError(f"Expected 2D or 3D (batch mode) tensor for input, but got {describe(input)}")
    size, window = pair(output_size), Window(pair(kernel_size), pair(stride), pair(padding), pair(dilation))
    k, d, p, s = window.kernel, window.dilation, window.padding, window.stride
    _positive(kernel_size=k, dilation=d, stride=s)
    counts = window.output_size(size)
    if not input.shape[1] or input.shape[1] % (k[0] * k[1]) or input.shape[2] != counts[0] * counts[1]:
        raise RuntimeError(
            f"fold of {describe(input)}: expected its axis 1 to be divisible by {k[0] * k[1]} and its axis 2 to be "
            f"{counts[0]} * {counts[1]}, given output_size={size}, kernel_size={k}, dilation={d}, padding={p}, stride={s}"
        )
    return Fold(size, window)(input)


def _positive(**values: Pair) -> None:
    for name, value in values.items():
        if min(value) < 1:
            raise RuntimeError(f"{name} should be greater than zero, but got {value}")


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of input (N, C, H, W), or (C, H, W), with weight (O, C/groups, KH, KW), plus bias (O).

    y[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, c, i sh + u dh - ph, j sw + v dw - pw].
    padding: numbers, "valid" (none) or "same" (the output has the input's size; stride 1 only).
    """
    if input.ndim == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    return _convolve(Conv2d, input, weight, bias, stride, padding, dilation, groups)


def _single(value: Any, name: str) -> int:
    """One number, given alone or as a sequence of one."""
    if alone(value):
        return integer(value, name)
    if len(value) != 1:
        raise RuntimeError(f"{name} should be one integer, got {value}")
    return integer(value[0], name)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of input (N, C, L), or (C, L), with weight (O, C/groups, K), plus bias (O).

    y[n, o, i] = b[o] + sum over c, u of w[o, c, u] x[n, c, i s + u d - p]: conv2d with images of one row.
    """
    if input.ndim not in (2, 3) or weight.ndim != 3:
        raise RuntimeError(
            f"Expected 2D (unbatched) or 3D (batched) input to conv1d, but got {describe(input)}, weight {describe(weight)}"
        )
    s, d = (1, _single(stride, "stride")), (1, _single(dilation, "dilation"))
    p = padding if isinstance(padding, str) else (0, _single(padding, "padding"))
    return conv2d(input.unsqueeze(-2), weight.unsqueeze(2), bias, s, p, d, groups).squeeze(-2)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The adjoint of conv1d: input (N, C, L) or (C, L), weight (C, O/groups, K); conv_transpose2d with one row."""
    if input.ndim not in (2, 3) or weight.ndim != 3:
        raise RuntimeError(
            "Expected 2D (unbatched) or 3D (batched) input to conv_transpose1d, but got "
            f"{describe(input)}, weight {describe(weight)}"
        )
    s, d = (1, _single(stride, "stride")), (1, _single(dilation, "dilation"))
    p, extra = (0, _single(padding, "padding")), (0, _single(output_padding, "output_padding"))
    return conv_transpose2d(input.unsqueeze(-2), weight.unsqueeze(2), bias, s, p, extra, groups, d).squeeze(-2)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
) -> Tensor:
    """The adjoint of conv2d: input (N, C, H, W) or (C, H, W), weight (C, O/groups, KH, KW), bias (O).

    y[n, o, i sh + u dh - ph, j sw + v dw - pw] sums w[c, o, u, v] x[n, c, i, j]; the result has
    (H - 1) sh - 2 ph + dh (KH - 1) + 1 + output_padding rows, output_padding being less than stride or dilation.
    """
    if input.ndim == 3:
        x = input.unsqueeze(0)
        return conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation).squeeze(0)
    if input.ndim != 4 or weight.ndim != 4:
        raise RuntimeError(
            "Expected 3D (unbatched) or 4D (batched) input to conv_transpose2d, but got "
            f"{describe(input)}, weight {describe(weight)}"
        )
    s, p, d = pair(stride, "stride"), pair(padding, "padding"), pair(dilation, "dilation")
    extra, groups = pair(output_padding, "output_padding"), integer(groups, "groups")
    _positive(stride=s, dilation=d)
    if min(p) < 0 or min(extra) < 0:
        raise RuntimeError(f"negative padding is not supported, got padding {p} and output_padding {extra}")
    if groups < 1 or input.shape[1] % groups or input.shape[1] != weight.shape[0]:
        raise RuntimeError(
            f"Given transposed=1, groups={groups}, weight of size {list(weight.shape)}, expected input{list(input.shape)} "
            f"to have {weight.shape[0]} channels, a multiple of groups, but got {input.shape[1]} channels instead"
        )
    out = weight.shape[1] * groups
    if bias is not None and bias.shape != (out,):
        raise RuntimeError(
            f"Given transposed=1, weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {out} elements, "
            f"but got bias {describe(bias)}"
        )
    _check_types("conv_transpose2d", input, weight, bias)
    if any(extra[i] >= max(s[i], d[i]) for i in range(2)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding {extra}, stride {s} "
            f"and dilation {d}"
        )
    window = Window(tuple(weight.shape[2:]), s, p, d, groups)
    height, width = window.input_size(input.shape[2:])
    size = height + extra[0], width + extra[1]
    if min(size) < 1:
        raise RuntimeError(
            f"Given input size per channel: {tuple(input.shape[2:])}. Calculated output size per channel: {size}. "
            "Output size is too small"
        )
    if all(extra[i] < s[i] for i in range(2)):
        return ConvTranspose2d(size, window)(input, weight, bias)
    # So much padding at the end is no size that conv2d would give x from: made without padding, then cut and filled up.
    window = replace(window, padding=(0, 0))
    y = ConvTranspose2d(window.input_size(input.shape[2:]), window)(input, weight, None)
    y = y.pad((-p[1], extra[1] - p[1], -p[0], extra[0] - p[0]))
    return y if bias is None else y + bias.reshape(1, out, 1, 1)


def _check_types(name: str, x: Tensor, w: Tensor, b: Tensor | None) -> None:
    """Raises where the inputs are not of one floating-point type."""
    if any(t is not None and t.dtype != x.dtype for t in (w, b)) or x.dtype.kind != "f":
        kinds = ", ".join(describe(t) for t in (x, w, b) if t is not None)
        raise RuntimeError(f"{name} expects input, weight and bias of one floating point type, but got {kinds}")


def conv2d_relu(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """relu(conv2d(...)) as one op: the same values, with one pass over memory less and the result saved once."""
    return _convolve(Conv2dRelu, input, weight, bias, stride, padding, dilation, groups)


def conv2d_relu_max_pool2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: IntOrPair,
    padding: IntOrPair | str,
    dilation: IntOrPair,
    groups: int,
    pool: tuple[IntOrPair, IntOrPair | None, IntOrPair, IntOrPair, bool],
) -> Tensor:
    """max_pool2d(relu(conv2d(...)), *pool) as one op: the map before the pool is never stored.

    pool = (kernel, stride, padding, dilation, ceil_mode), as max_pool2d takes them.
    """
    return _convolve(Conv2dReluMaxPool2d, input, weight, bias, stride, padding, dilation, groups, as_pool(*pool))


def _convolve(
    op: type[Conv2d], x: Tensor, w: Tensor, b: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int,
    *more: Window,
) -> Tensor:  # fmt: skip
    """Checks the arguments as torch does, and runs the op."""
    if x.ndim != 4 or w.ndim != 4:
        raise RuntimeError(
            f"Expected 3D (unbatched) or 4D (batched) input to conv2d, but got {describe(x)}, weight {describe(w)}"
        )
    s, d = pair(stride, "stride"), pair(dilation, "dilation")
    _positive(stride=s, dilation=d)
    groups = integer(groups, "groups")
    if groups < 1 or w.shape[0] % groups:
        raise RuntimeError(f"groups={groups} must be positive and divide the weight's {w.shape[0]} output channels")
    if x.shape[1] != w.shape[1] * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(w.shape)}, expected input{list(x.shape)} to have "
            f"{w.shape[1] * groups} channels, but got {x.shape[1]} channels instead"
        )
    if b is not None and b.shape != (w.shape[0],):
        raise RuntimeError(
            f"Given weight of size {list(w.shape)}, expected bias to be 1-dimensional with {w.shape[0]} elements, but got bias "
            f"of size {list(b.shape)} instead"
        )
    _check_types("conv2d", x, w, b)
    kernel = tuple(w.shape[2:])
    if isinstance(padding, str):
        x, padding = _named_padding(x, kernel, padding, s, d)
    p = pair(padding, "padding")
    if min(p) < 0:
        raise RuntimeError(f"negative padding is not supported, got {p}")
    window = Window(kernel, s, p, d, groups)
    size = window.output_size(x.shape[2:])
    if min(size) < 1:
        raise RuntimeError(
            f"Calculated padded input size per channel: {tuple(n + 2 * q for n, q in zip(x.shape[2:], p, strict=True))}. "
            f"Kernel size: {kernel}, dilation {d}. Kernel size can't be greater than actual input size"
        )
    shape = (x.shape[0], w.shape[0] if x.shape[1] else 0, *size)
    for pool in more:
        check_pool(pool, shape)
    if not x.shape[1]:  # of no channels torch makes none
        nothing = x.reshape(-1) * w.reshape(-1)
        return (nothing if b is None else nothing + b.sum()).reshape(shape)
    return op(window, *more)(x, w, b)


def _named_padding(x: Tensor, kernel: Any, name: str, stride: Pair, dilation: Pair) -> tuple[Tensor, Pair]:
    if name == "valid":
        return x, (0, 0)
    if name != "same":
        raise RuntimeError(f"padding must be 'valid' or 'same' as a string, got {name!r}")
    if stride != (1, 1):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    before = [t // 2 for t in totals]
    extra = [t - 2 * a for t, a in zip(totals, before, strict=True)]
    if any(extra):  # an even kernel: one more row or column at the end, as in torch
        x = x.pad((0, extra[1], 0, extra[0]))
    return x, (before[0], before[1])


offer("minigrad nn.functional", conv1d, conv2d, conv_transpose1d, conv_transpose2d)
offer("nn.functional", fold, unfold, _conv2d_relu=conv2d_relu, _conv2d_relu_max_pool2d=conv2d_relu_max_pool2d)
