"""Images at other sizes: interpolation between pixels, and pixels moved between channels and space.

Interpolation is linear in the image and works on each axis by itself: Y = A X B^T, where A (OH, H) says how much of each row
of X is in a row of Y. A nearest row of A holds a single 1; a bilinear one (1 - t) and t, at the two neighbours of the place
asked for; a bicubic one the four weights of Keys's kernel; with antialias, where the image shrinks, the kernel is as many times
wider, so that every pixel counts. So gX = A^T gY B.

Sources: R. Keys, Cubic Convolution Interpolation for Digital Image Processing (1981), for bicubic; for the shuffles, W. Shi et
al., Real-Time Single Image and Video Super-Resolution (2016), and X. Zhang et al., ShuffleNet (2017).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.fused import FusedOp
from minigrad.ops.common import alone, integer, real
from minigrad.ops.late import functional
from minigrad.ops.public import offer
from minigrad.tensor import Tensor, describe

Weights = tuple[np.ndarray, np.ndarray]
"""For each place of an axis of the result: the K elements that it is made of, and how much of each; both (out, K)."""


class Interpolate(FusedOp):
    """y[i] = sum over k of weight[i, k] x[index[i, k]] along each of the last axes;  gX = A^T gY B.

    x (N, C, ...); `weights` has an entry for each axis after the second.
    """

    fresh = True
    widens = True

    def __init__(self, weights: Sequence[Weights]) -> None:
        self.weights = weights

    def _matrix(self, d: int, dtype: Any) -> np.ndarray:
        """A for axis 2 + d."""
        index, weight = self.weights[d]
        matrix = np.zeros((len(index), self.size[d]), dtype)
        np.add.at(matrix, (np.arange(len(index))[:, None], index), weight.astype(dtype))
        return matrix

    def definition(self, x: Tensor) -> Tensor:
        self.size = x.shape[2:]
        for d in range(len(self.weights)):
            matrix = Tensor(self._matrix(d, x.dtype)).to(x.device)
            x = (x.movedim(2 + d, -1) @ matrix.mT).movedim(-1, 2 + d)
        return x

    def forward(self, x: Array) -> Array:
        xp = backends.of(x).xp
        self.size = x.shape[2:]
        for d, (index, weight) in enumerate(self.weights):
            total = None
            for k in range(index.shape[1]):
                if k and not np.any(weight[:, k]):
                    continue
                part = xp.take(x, xp.asarray(index[:, k]), axis=2 + d)
                if not np.all(weight[:, k] == 1):
                    part *= xp.asarray(weight[:, k].reshape(-1, *[1] * (x.ndim - 3 - d)).astype(x.dtype))
                if total is None:
                    total = part
                else:
                    total += part
            x = total
        return x

    def backward_arrays(self, gy: Array) -> Array:
        backend = backends.of(gy)
        for d in range(len(self.weights)):
            matrix = backend.xp.asarray(self._matrix(d, gy.dtype))
            gy = backend.xp.moveaxis(backend.matmul(backend.xp.moveaxis(gy, 2 + d, -1), matrix), -1, 2 + d)
        return gy


def _nearest(n: int, out: int, scale: float | None, exact: bool) -> Weights:
    """The pixel that holds the start (exact: the middle) of each pixel of the result, in torch's float32 steps."""
    step = np.float32(1 / scale) if scale else np.float32(n) / np.float32(out)
    places = np.arange(out, dtype=np.float32)
    if exact:
        index = np.floor((places + np.float32(0.5)) * step)
    elif out == n:
        index = places
    elif out == 2 * n:
        index = np.floor(places / 2)
    else:
        index = np.floor(places * step)
    index = np.minimum(index.astype(np.int64), n - 1)
    return index[:, None], np.ones((out, 1))


def _places(n: int, out: int, scale: float | None, align_corners: bool) -> np.ndarray:
    """Where each pixel of the result lies among those of the image. Corners aligned: first and last pixels lie on each other;
    else the images' edges do."""
    places = np.arange(out, dtype=np.float64)
    if align_corners:
        return places * ((n - 1) / (out - 1) if out > 1 else 0.0)
    return (places + 0.5) * (1 / scale if scale else n / out) - 0.5


def _linear(n: int, out: int, scale: float | None, align_corners: bool) -> Weights:
    """The two pixels around each pixel of the result; places beyond the outermost pixels' middles are moved there."""
    places = np.maximum(_places(n, out, scale, align_corners), 0)
    before = np.minimum(places.astype(np.int64), n - 1)
    t = np.clip(places - before, 0, 1)
    return np.stack([before, np.minimum(before + 1, n - 1)], 1), np.stack([1 - t, t], 1)


def _cubic(n: int, out: int, scale: float | None, align_corners: bool) -> Weights:
    """The four pixels around each pixel of the result; beyond the image's edge, its outermost pixels are repeated."""
    places = _places(n, out, scale, align_corners)
    index = np.floor(places).astype(np.int64)[:, None] + np.arange(-1, 3)
    return np.clip(index, 0, n - 1), _keys(places[:, None] - index, -0.75)


def _keys(x: np.ndarray, a: float) -> np.ndarray:
    """Keys's kernel: (a + 2) |x|^3 - (a + 3) |x|^2 + 1 up to 1, a |x|^3 - 5 a |x|^2 + 8 a |x| - 4 a from there to 2."""
    x = np.abs(x)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _antialias(n: int, out: int, scale: float | None, align_corners: bool, cubic: bool) -> Weights:
    """The pixels under the kernel, a triangle or Keys's with a = -1/2, which is as wide as a pixel of the result if that is the
    wider one. Weights sum to 1. As in Pillow, and as torch has it, corners aligned change the step between places alone.
    """
    step = ((n - 1) / (out - 1) if out > 1 else 0.0) if align_corners else 1 / scale if scale else n / out
    width = max(step, 1.0)
    support = (2 if cubic else 1) * width
    centre = step * (np.arange(out) + 0.5)
    start = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + support + 0.5).astype(np.int64), n)
    index = start[:, None] + np.arange(max(int((stop - start).max()), 1))
    x = (index - centre[:, None] + 0.5) / width
    weight = _keys(x, -0.5) if cubic else np.maximum(1 - np.abs(x), 0)
    weight = np.where(index < stop[:, None], weight, 0.0)
    return np.minimum(index, n - 1), weight / weight.sum(axis=1, keepdims=True)


# -- the functions, as torch names them ---------------------------------------------------------------------------------

MODES = {
    "nearest": (3, 4, 5),
    "nearest-exact": (3, 4, 5),
    "area": (3, 4, 5),
    "linear": (3,),
    "bilinear": (4,),
    "bicubic": (4,),
    "trilinear": (5,),
}
"""The modes, and the numbers of axes that each takes."""


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """input (N, C, L), (N, C, H, W) or (N, C, D, H, W) at another size: floor(scale_factor times its own), or `size`.

    mode: "nearest" (as torch has it, the pixel that holds the start of the new one), "nearest-exact" (the middle), "linear",
    "bilinear", "trilinear" (by the number of axes), "bicubic", "area" (adaptive_avg_pool). align_corners: see `_places`.
    recompute_scale_factor: steps between places from the sizes rather than from scale_factor. antialias, of bilinear and
    bicubic: a smaller image is made of all pixels, not of those next to its own.
    """
    axes = input.ndim - 2
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    if antialias and not (mode in ("bilinear", "bicubic") and input.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input, not "
            f"{describe(input)} and mode {mode!r}"
        )
    if mode not in MODES or input.ndim not in MODES[mode]:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {describe(input)}) for the modes "
            f"{' | '.join(MODES)}, each with its number of axes (got {mode})"
        )
    if input.dtype.kind != "f":
        raise NotImplementedError(
            f"interpolate is not implemented for {describe(input)}: it takes floating point numbers"
        )
    sizes, scales = _sizes(input, axes, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return _area(input, sizes)
    if 0 in sizes or 0 in input.shape[1:]:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {describe(input)} and output size {sizes}"
        )
    along = list(zip(input.shape[2:], sizes, scales, strict=True))
    if mode.startswith("nearest"):
        return Interpolate([_nearest(*a, mode == "nearest-exact") for a in along])(input)
    if antialias:
        return Interpolate([_antialias(*a, bool(align_corners), mode == "bicubic") for a in along])(input)
    weights = _cubic if mode == "bicubic" else _linear
    return Interpolate([weights(*a, bool(align_corners)) for a in along])(input)


def _area(x: Tensor, sizes: list[int]) -> Tensor:
    """Means over bins, of three axes: of the last two, then of the one before them."""
    if len(sizes) == 1:
        return functional.adaptive_avg_pool1d(x, sizes)
    if len(sizes) == 2:
        return functional.adaptive_avg_pool2d(x, sizes)
    flat = functional.adaptive_avg_pool2d(x.flatten(1, 2), sizes[1:])  # (N, C D, OH, OW)
    columns = flat.reshape(*x.shape[:3], sizes[1] * sizes[2])
    return functional.adaptive_avg_pool2d(columns, (sizes[0], None)).reshape(*x.shape[:2], *sizes)


def _sizes(x: Tensor, axes: int, size: Any, scale_factor: Any, recompute: bool | None) -> tuple[list[int], list[Any]]:
    """The result's sizes, and the scale factors where they decide the steps."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "either size or scale_factor should be defined" if size is None
            else "only one of size or scale_factor should be defined"
        )  # fmt: skip
    given = scale_factor if size is None else size
    values = [given] * axes if alone(given) else list(given)
    if len(values) != axes:
        raise ValueError(
            f"Input and output must have the same number of spatial dimensions, but got input {describe(x)}, size {size} and "
            f"scale_factor {scale_factor}"
        )
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return [integer(v, "size") for v in values], [None] * axes
    values = [real(v, "scale_factor") for v in values]
    sizes = [math.floor(n * v) for n, v in zip(x.shape[2:], values, strict=True)]
    return sizes, [None] * axes if recompute else values


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The older name of interpolate."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return functional.interpolate(input, size, scale_factor, mode, align_corners)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r^2, H, W) to (..., C, H r, W r): y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]."""
    r = integer(upscale_factor, "upscale_factor")
    if input.ndim < 3:
        raise RuntimeError(f"pixel_shuffle expects input to have at least 3 dimensions, but got {describe(input)}")
    if r < 1:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"{describe(input)} has {channels} channels, not divisible by {r * r}"
        )
    n = len(batch)
    x = input.reshape(*batch, channels // (r * r), r, r, height, width)
    x = x.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return _own(x.reshape(*batch, channels // (r * r), height * r, width * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) to (..., C r^2, H, W): what pixel_shuffle takes apart, put back."""
    r = integer(downscale_factor, "downscale_factor")
    if input.ndim < 3:
        raise RuntimeError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got {describe(input)}")
    if r < 1:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *batch, channels, height, width = input.shape
    if height % r or width % r:
        raise RuntimeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but {describe(input)} are not "
            f"divisible by {r}"
        )
    n = len(batch)
    x = input.reshape(*batch, channels, height // r, r, width // r, r)
    x = x.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return _own(x.reshape(*batch, channels * r * r, height // r, width // r))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, C, ...) with channels dealt out: y[:, i groups + g] = x[:, g C / groups + i]."""
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got {describe(input)}")
    channels, groups = input.shape[1], integer(groups, "groups")
    if groups < 1 or channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    x = input.reshape(input.shape[0], groups, channels // groups, *input.shape[2:])
    return _own(x.transpose(1, 2).reshape(input.shape))


def _own(y: Tensor) -> Tensor:
    """y in memory of its own, where nothing was moved and it would be a view of the input."""
    return y if y._base is None else y.clone()


offer("minigrad nn.functional", channel_shuffle, pixel_shuffle, pixel_unshuffle)
offer("nn.functional", interpolate, upsample)
