"""Pooling: the largest, the mean or a norm of each window.

A max pool remembers, for each window, which of its KH KW places won (its `tap`, the first among equals): one byte. Its
gradient is sent there; reading at the winners and adding at the winners are each other's adjoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.fused import FusedOp
from minigrad.op import HALF, Op, in_float32
from minigrad.ops.common import IntOrPair, Pair, alone, integer, pair, real
from minigrad.ops.indexing import gather
from minigrad.ops.late import functional
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe
from minigrad.window import Window


class MaxPool2d(FusedOp):
    """y = the largest of each window;  gx = gy added at each window's winner."""

    fresh = True
    widens = True
    keeps = ("tap",)

    def __init__(self, window: Window) -> None:
        self.window = window

    def definition(self, x: Tensor) -> Tensor:
        window = self.window
        (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
        height, width = window.output_size(x.shape[2:])
        (above, below), (left, right) = window.border(x.shape[2:])
        lowest = -float("inf") if x.dtype.kind == "f" else int(np.iinfo(x.dtype).min)
        x = x.pad((left, right, above, below), value=lowest)
        windows = [
            x[:, :, i * dh : i * dh + (height - 1) * sh + 1 : sh, j * dw : j * dw + (width - 1) * sw + 1 : sw]
            for i in range(kh)
            for j in range(kw)
        ]
        from minigrad.ops.shape import stack

        return stack(windows).max(0).values

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        y, self.tap = backends.of(x).max_pool2d(x, window=self.window)
        return y

    def backward_arrays(self, gy: Array) -> Array:
        return backends.of(gy).max_pool2d_backward(gy, self.tap, x_shape=self.shape, window=self.window)

    def differentiate(self, definition: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """From the winners, which are saved, rather than the input, which is not."""
        return (PoolScatter(self.tap, self.shape, self.window)(gradients[0]),)


class PoolScatter(Op):
    """x = zeros with y added at each window's winner;  gy = gx at the winners."""

    widens = True

    def __init__(self, tap: Array, shape: tuple[int, ...], window: Window) -> None:
        self.tap, self.shape, self.window = tap, shape, window

    def forward(self, y: Array) -> Array:
        return backends.of(y).max_pool2d_backward(y, self.tap, x_shape=self.shape, window=self.window)

    def backward(self, gx: Tensor) -> Tensor:
        return PoolGather(self.tap, self.shape, self.window)(gx)


class PoolGather(Op):
    """y = x at each window's winner;  gx = zeros with gy added there."""

    widens = True

    def __init__(self, tap: Array, shape: tuple[int, ...], window: Window) -> None:
        self.tap, self.shape, self.window = tap, shape, window

    def forward(self, x: Array) -> Array:
        return backends.of(x).max_pool2d_gather(x, self.tap, window=self.window)

    def backward(self, gy: Tensor) -> Tensor:
        return PoolScatter(self.tap, self.shape, self.window)(gy)


class MaxUnpool(Op):
    """y[..., i[..., l]] = x[..., l], zeros elsewhere;  gx = gy at i."""

    saves = {1: 0}

    def __init__(self, places: int) -> None:
        self.places = places

    def forward(self, x: Array, index: Array) -> Array:
        backend = backends.of(x)
        y = backend.xp.zeros((*x.shape[:-1], self.places), x.dtype)
        if x.size:
            rows = y.reshape(-1, self.places)
            row = backend.xp.arange(len(rows))[:, None]
            backend.assign(rows, (row, index.reshape(len(rows), -1)), x.reshape(len(rows), -1))
        return y

    def backward(self, gy: Tensor) -> tuple[Tensor, None]:
        return gather(gy, -1, self.inputs[1]), None


class AvgPool2d(FusedOp):
    """y = the sum of each window / divisor;  gx = gy / divisor, added at every pixel of its window.

    The sum is taken along the columns of each window first, then along the rows of that: KH + KW additions, not KH KW.
    The divisor is a number, or (OH, OW) where windows that hang over an edge hold fewer pixels.
    """

    fresh = True
    widens = True

    def __init__(self, window: Window, divisor: Any) -> None:
        self.window, self.divisor = window, divisor

    def definition(self, x: Tensor) -> Tensor:
        window, size = self.window, x.shape[2:]
        (kh, kw), (sh, sw), (height, width) = window.kernel, window.stride, window.output_size(size)
        (above, below), (left, right) = window.border(size)
        x = x.pad((left, right, above, below))
        total = None
        for i in range(kh):
            for j in range(kw):
                tap = x[:, :, i : i + (height - 1) * sh + 1 : sh, j : j + (width - 1) * sw + 1 : sw]
                total = tap if total is None else total + tap
        assert total is not None
        return total / (Tensor._wrap(self.divisor) if self.divisor.__class__ is not float else self.divisor)

    def _offsets(self, i: int) -> list[tuple[slice, ...]]:
        """For each of the window's offsets along axis 2 + i, where all windows see it."""
        k, s, out = self.window.kernel[i], self.window.stride[i], self.window.output_size(self.shape[2:])[i]
        return [(slice(None),) * (2 + i) + (slice(j, j + (out - 1) * s + 1, s),) for j in range(k)]

    def forward(self, x: Array) -> Array:
        xp = backends.of(x).xp
        self.shape = x.shape
        border = self.window.border(x.shape[2:])
        if any(max(sides) for sides in border):
            padded = xp.zeros_like(
                x, shape=(*x.shape[:2], *(n + sum(b) for n, b in zip(x.shape[2:], border, strict=True)))
            )
            padded[self._inside(border)] = x
            x = padded
        for i in (0, 1):
            first, *others = self._offsets(i)
            y = x[first].copy(order="K")
            for offset in others:
                y += x[offset]
            x = y
        x /= self.divisor
        return x

    def _inside(self, border: tuple[Pair, Pair]) -> tuple[slice, ...]:
        """Where the image lies within its border."""
        return (slice(None), slice(None), *(slice(b[0], b[0] + n) for b, n in zip(border, self.shape[2:], strict=True)))

    def backward_arrays(self, gy: Array) -> Array:
        xp, border = backends.of(gy).xp, self.window.border(self.shape[2:])
        g = gy / self.divisor
        for i in (1, 0):
            shape = list(g.shape)
            shape[2 + i] = self.shape[2 + i] + sum(border[i])
            gx = xp.zeros_like(g, shape=tuple(shape))
            for offset in self._offsets(i):
                gx[offset] += g
            g = gx
        return g[self._inside(border)]


class AdaptiveAvgPool2d(FusedOp):
    """y[i, j] = the mean of x over rows floor(i H/OH) to ceil((i+1) H/OH) and the like columns: Y = A X B^T.

    A (OH, H) and B (OW, W) hold 1/n where a row or column belongs to a bin of n.
    """

    widens = True

    def __init__(self, size: Pair) -> None:
        self.size = size

    def definition(self, x: Tensor) -> Tensor:
        rows, columns = (self._averages(x, i) for i in (0, 1))
        return rows @ x @ columns.mT

    def _averages(self, x: Tensor, i: int) -> Tensor:
        n, bins = x.shape[2 + i], self.size[i]
        matrix = np.zeros((bins, n), x.dtype)
        for k in range(bins):
            start, stop = k * n // bins, -(-(k + 1) * n // bins)
            matrix[k, start:stop] = 1 / (stop - start)
        return Tensor(matrix).to(x.device)

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return backends.of(x).adaptive_avg_pool2d(x, output_size=self.size)

    def backward_arrays(self, gy: Array) -> Array:
        return backends.of(gy).adaptive_avg_pool2d_backward(gy, x_shape=self.shape)


# -- the functions, as torch names them ---------------------------------------------------------------------------------


def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window of input (N, C, H, W) or (C, H, W); stride is the kernel's size unless given.

    return_indices: also the winners' places, int64, counted through the flattened (H, W).
    """
    if input.ndim == 3:
        result = max_pool2d(input.unsqueeze(0), kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return tuple([r.squeeze(0) for r in result]) if return_indices else result.squeeze(0)
    if input.ndim != 4:
        raise RuntimeError(f"non-empty 3D or 4D (batch mode) tensor expected for input, but got {describe(input)}")
    if input.dtype.kind == "b":
        raise NotImplementedError(f"max_pool2d is not implemented for {describe(input)}")
    window = as_pool(kernel_size, stride, padding, dilation, ceil_mode)
    check_pool(window, input.shape)
    y = MaxPool2d(window)(input)
    return (y, _flat_indices(input, window)) if return_indices else y


def as_pool(
    kernel_size: IntOrPair, stride: IntOrPair | None, padding: IntOrPair, dilation: IntOrPair, ceil_mode: bool
) -> Window:
    """max_pool2d's arguments as a window."""
    kernel, step = pair(kernel_size), pair(_given(stride, kernel_size))
    return Window(kernel, step, pair(padding), pair(dilation), ceil_mode=ceil_mode)


def _given(stride: Any, kernel_size: IntOrPair) -> IntOrPair:
    """The stride; the kernel's size where there is none: None, or a sequence of nothing."""
    return stride if stride is not None and (alone(stride) or len(stride) > 0) else kernel_size


def check_pool(window: Window, shape: tuple[int, ...]) -> None:
    """Raises as torch does where the window does not fit."""
    kernel, stride, padding, dilation = window.kernel, window.stride, window.padding, window.dilation
    if 0 in shape[1:]:
        raise RuntimeError(f"Expected an input with no axis of size 0 but the batch, but got {list(shape)}")
    if min(*kernel, *stride, *dilation) < 1:
        raise RuntimeError(f"kernel size {kernel}, stride {stride} and dilation {dilation} should be greater than zero")
    for i in range(2):
        if padding[i] < 0 or padding[i] > kernel[i] // 2:
            raise RuntimeError(
                f"pad should be at most half of kernel size, but got pad={padding[i]} and kernel_size={kernel[i]}"
            )
    if min(window.output_size(shape[2:])) < 1:
        raise RuntimeError(f"Given input size: {tuple(shape[1:])}. Output size is too small for kernel size {kernel}")


def _flat_indices(x: Tensor, window: Window) -> Tensor:
    """The winners' places in the flattened image, from their taps."""
    backend = backends.of(x.array)
    kernel, stride, padding, dilation = window.kernel, window.stride, window.padding, window.dilation
    _, tap = backend.max_pool2d(x.array.astype(np.float32) if x.dtype == HALF else x.array, window=window)
    tap = tap.astype(np.int64)
    i, j = tap // kernel[1], tap % kernel[1]
    rows = backend.xp.arange(tap.shape[2])[:, None] * stride[0] - padding[0]
    columns = backend.xp.arange(tap.shape[3])[None, :] * stride[1] - padding[1]
    return Tensor._wrap((rows + i * dilation[0]) * x.shape[3] + columns + j * dilation[1])


def _floats_only(name: str, x: Tensor) -> None:
    if x.dtype.kind != "f":
        raise NotImplementedError(f"{name} is not implemented for {describe(x)}: it takes floating point numbers")


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """max_pool2d, and the winners' places: int64, counted through the flattened (H, W)."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def _row(value: Any, name: str, other: int) -> Pair:
    """One number, given alone or as a sequence of one, for images of one row."""
    if not alone(value):
        if len(value) != 1:
            raise RuntimeError(f"{name} should be one integer, got {value}")
        value = value[0]
    return other, integer(value, name)


def _rows(name: str, x: Tensor) -> Tensor:
    """(N, C, L) or (C, L) as images of one row."""
    if x.ndim not in (2, 3):
        raise RuntimeError(f"{name}(): Expected 2D or 3D (batch mode) tensor for input, but got {describe(x)}")
    return x.unsqueeze(-2)


def max_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest of each window of input (N, C, L) or (C, L); stride is the kernel's size unless given.

    return_indices: also the winners' places along L, int64.
    """
    x, kernel = _rows("max_pool1d", input), _row(kernel_size, "kernel_size", 1)
    step = _row(_given(stride, kernel_size), "stride", 1)
    p, d = _row(padding, "padding", 0), _row(dilation, "dilation", 1)
    result = max_pool2d(x, kernel, step, p, d, ceil_mode, return_indices)
    return tuple([r.squeeze(-2) for r in result]) if return_indices else result.squeeze(-2)


def avg_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of input (N, C, H, W) or (C, H, W); stride is the kernel's size unless given.

    count_include_pad: whether the zeros of the padding count in the mean. divisor_override: what sums are divided by.
    """
    if input.ndim == 3:
        return avg_pool2d(
            input.unsqueeze(0), kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        ).squeeze(0)
    if input.ndim != 4:
        raise RuntimeError(f"avg_pool2d(): Expected 3D or 4D (batch mode) tensor for input, but got {describe(input)}")
    _floats_only("avg_pool2d", input)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    window = as_pool(kernel_size, stride, padding, 1, ceil_mode)
    check_pool(window, input.shape)
    kernel, counted = window.kernel, []
    for n, out, k, s, p in zip(
        input.shape[2:], window.output_size(input.shape[2:]), kernel, window.stride, window.padding, strict=True
    ):
        start = np.arange(out) * s - p
        stop = np.minimum(start + k, n + p)
        counted.append(stop - start if count_include_pad else np.minimum(stop, n) - np.maximum(start, 0))
    rows, columns = counted
    divisor: Any = float(kernel[0] * kernel[1]) if divisor_override is None else float(integer(divisor_override))
    if divisor_override is None and not (np.all(rows == kernel[0]) and np.all(columns == kernel[1])):
        counts = (rows[:, None] * columns).astype(input.dtype)
        divisor = backends.of(input.array).xp.asarray(counts)
    return AvgPool2d(window, divisor)(input)


def avg_pool1d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of input (N, C, L) or (C, L); stride is the kernel's size unless given."""
    x, kernel = _rows("avg_pool1d", input), _row(kernel_size, "kernel_size", 1)
    step = _row(_given(stride, kernel_size), "stride", 1)
    return avg_pool2d(x, kernel, step, _row(padding, "padding", 0), ceil_mode, count_include_pad).squeeze(-2)


@in_float32
def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p over each window)^(1/p), p = norm_type, of input (N, C, H, W) or (C, H, W); 0 where the sum is not positive."""
    kernel, norm_type = pair(kernel_size), real(norm_type, "norm_type")
    mean = functional.avg_pool2d(input**norm_type, kernel, stride, 0, ceil_mode)
    return (mean.sign() * functional.relu(mean.abs()) * (kernel[0] * kernel[1])) ** (1.0 / norm_type)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros, but each element of input (N, C, H, W) or (C, H, W) where max_pool2d found it: at `indices` of the flattened image.

    output_size: the image's (H, W), or its whole shape; by default the smallest that such windows come from.
    """
    kernel = pair(kernel_size)
    step, p = pair(_given(stride, kernel_size)), pair(padding)
    if input.ndim not in (3, 4) or indices.shape != input.shape:
        raise RuntimeError(
            f"Expected a 3D or 4D input with indices of its shape, but got {describe(input)} and {describe(indices)}"
        )
    if indices.dtype != np.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype}")
    if output_size is None:
        size = Window(kernel, step, p).input_size(input.shape[-2:])
    else:
        height, width = [integer(n, "output_size") for n in output_size][-2:]
        size = height, width
    places = size[0] * size[1]
    message = f"Found an invalid max index: {{}} (output volumes are of size {size[0]}x{size[1]})"
    backends.of(indices.array).check_indices(indices.array, high=places, error=RuntimeError, message=message)
    flat = MaxUnpool(places)(input.flatten(-2), indices.flatten(-2))
    return flat.unflatten(-1, size)


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The mean of each of OL bins of input (N, C, L) or (C, L)."""
    return adaptive_avg_pool2d(_rows("adaptive_avg_pool1d", input), _row(output_size, "output_size", 1)).squeeze(-2)


def adaptive_max_pool1d(input: Tensor, output_size: int | Sequence[int], return_indices: bool = False) -> Any:
    """The largest of each of OL bins of input (N, C, L) or (C, L), and where along L it is if asked for."""
    x = _rows("adaptive_max_pool1d", input)
    result = adaptive_max_pool2d(x, _row(output_size, "output_size", 1), return_indices)
    return tuple([r.squeeze(-2) for r in result]) if return_indices else result.squeeze(-2)


def adaptive_max_pool1d_with_indices(input: Tensor, output_size: int | Sequence[int]) -> Any:
    """adaptive_max_pool1d and where the largest are: what torch calls torch.adaptive_max_pool1d."""
    return adaptive_max_pool1d(input, output_size, return_indices=True)


def adaptive_max_pool2d(
    input: Tensor,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
) -> Any:
    """The largest of each of OH x OW bins of input (N, C, H, W) or (C, H, W); None keeps an axis's size.

    return_indices: also the winners' places, int64, counted through the flattened (H, W): the first among equals.
    """
    if input.ndim not in (3, 4):
        raise RuntimeError(f"adaptive_max_pool2d(): Expected 3D or 4D tensor, but got {describe(input)}")
    _floats_only("adaptive_max_pool2d", input)
    size = _adaptive_size(input, output_size)
    if not input.shape[-3]:
        raise RuntimeError(f"adaptive_max_pool2d(): Expected at least one channel, but got {describe(input)}")
    index = Tensor._wrap(_winners(input.array, size))
    y = gather(input.flatten(-2), -1, index.flatten(-2)).unflatten(-1, size)
    return (y, index) if return_indices else y


def _winners(x: Array, size: Pair) -> Array:
    """Where in its flattened image the largest element of each bin lies: the first among equals, but the last NaN."""
    xp = backends.of(x).xp
    height, width = x.shape[-2:]
    rows, columns = (_bin_elements(n, out) for n, out in zip((height, width), size, strict=True))
    # (OH, OW, KH KW): the places of every bin's elements; smaller bins name their last row or column again.
    places = rows[:, None, :, None] * width + columns[None, :, None, :]
    places = places.reshape(*size, rows.shape[1] * columns.shape[1])
    places = xp.asarray(np.sort(places, axis=-1))
    seen = x.reshape(*x.shape[:-2], height * width)[..., places]
    unknown = seen != seen
    last = seen.shape[-1] - 1 - xp.argmax(unknown[..., ::-1], axis=-1)
    winner = xp.where(unknown.any(axis=-1), last, xp.argmax(seen, axis=-1))
    return xp.take_along_axis(xp.broadcast_to(places, seen.shape), winner[..., None], -1)[..., 0].astype(np.int64)


def _bin_elements(n: int, bins: int) -> np.ndarray:
    """The elements of each bin, floor(i n / bins) to ceil((i + 1) n / bins), as rows of one length."""
    i = np.arange(bins)
    start, stop = i * n // bins, -(-(i + 1) * n // bins)
    if not bins:
        return np.zeros((0, 1), np.int64)
    longest = int((stop - start).max())
    return np.minimum(start[:, None] + np.arange(longest), stop[:, None] - 1)


def _adaptive_size(x: Tensor, output_size: int | Sequence[int | None] | None) -> Pair:
    sizes: Any = (output_size, output_size) if output_size is None or alone(output_size) else output_size
    if len(sizes) != 2:
        raise RuntimeError(f"output_size must be one integer or two, got {output_size}")
    size = tuple([n if v is None else integer(v, "output_size") for v, n in zip(sizes, x.shape[-2:], strict=True)])
    if min(size) < 0 or 0 in x.shape[-2:]:
        raise RuntimeError(f"adaptive pooling of {describe(x)} to {size}: the sizes of the image must be positive")
    return size  # type: ignore[return-value]


def adaptive_avg_pool2d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    """The mean of each of OH x OW bins of input (N, C, H, W) or (C, H, W); None keeps an axis's size."""
    if input.ndim == 3:
        return adaptive_avg_pool2d(input.unsqueeze(0), output_size).squeeze(0)
    if input.ndim != 4:
        raise RuntimeError(f"adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got {describe(input)}")
    _floats_only("adaptive_avg_pool2d", input)
    return AdaptiveAvgPool2d(_adaptive_size(input, output_size))(input)


offer("minigrad nn.functional", adaptive_avg_pool1d, avg_pool1d, max_pool1d, max_pool2d)
offer("minigrad", adaptive_max_pool1d=adaptive_max_pool1d_with_indices)
offer(
    "nn.functional",
    adaptive_avg_pool2d, adaptive_max_pool1d, adaptive_max_pool2d, avg_pool2d, lp_pool2d, max_pool2d_with_indices,
    max_unpool2d,
)  # fmt: skip
