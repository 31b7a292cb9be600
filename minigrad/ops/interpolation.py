"""Images at other sizes: interpolation between pixels, and pixels moved between channels and space.

Interpolation is linear in the image and works on each axis by itself: Y = A X B^T, where A (OH, H) says how much of each row
of X is in a row of Y. A bilinear row holds two numbers, (1 - t) and t, at the two neighbours of the place asked for; a nearest
one holds a single 1. So gX = A^T gY B.

Source for the shuffles: W. Shi et al., Real-Time Single Image and Video Super-Resolution (2016); X. Zhang et al., ShuffleNet
(2017).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.function import FusedFunction
from minigrad.ops.late import functional
from minigrad.tensor import Tensor, describe

Neighbours = tuple[np.ndarray, np.ndarray, np.ndarray]
"""For each place of an axis of the result: the neighbour before it, the one after it, and how far it is towards that (0 to 1)."""


class Interpolate(FusedFunction):
    """y[i] = (1 - t[i]) x[before[i]] + t[i] x[after[i]] along each of the last axes;  gX = A^T gY B.

    x (N, C, ...); `neighbours` has an entry for each axis after the second.
    """

    fresh = True

    def __init__(self, neighbours: Sequence[Neighbours]) -> None:
        self.neighbours = neighbours

    def _matrix(self, d: int, dtype: Any) -> np.ndarray:
        """A for axis 2 + d."""
        before, after, t = self.neighbours[d]
        matrix = np.zeros((len(t), self.size[d]), dtype)
        rows = np.arange(len(t))
        matrix[rows, before] = 1 - t
        matrix[rows, after] += t
        return matrix

    def definition(self, x: Tensor) -> Tensor:
        self.size = x.shape[2:]
        for d in range(len(self.neighbours)):
            matrix = Tensor(self._matrix(d, x.dtype)).to(x.device)
            x = (x.movedim(2 + d, -1) @ matrix.mT).movedim(-1, 2 + d)
        return x

    def forward(self, x: Any) -> Any:
        xp = backends.of(x).xp
        self.size = x.shape[2:]
        for d, (before, after, t) in enumerate(self.neighbours):
            start = xp.take(x, xp.asarray(before), axis=2 + d)
            if np.any(t):
                way = xp.asarray(t.reshape(-1, *[1] * (x.ndim - 3 - d)).astype(x.dtype))
                start *= 1 - way
                start += xp.take(x, xp.asarray(after), axis=2 + d) * way
            x = start
        return x

    def backward_arrays(self, gy: Any) -> Any:
        backend = backends.of(gy)
        for d in range(len(self.neighbours)):
            matrix = backend.xp.asarray(self._matrix(d, gy.dtype))
            gy = backend.xp.moveaxis(backend.matmul(backend.xp.moveaxis(gy, 2 + d, -1), matrix), -1, 2 + d)
        return gy


def _nearest(n: int, out: int, scale: float | None, exact: bool) -> Neighbours:
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
    return index, index, np.zeros(out)


def _linear(n: int, out: int, scale: float | None, align_corners: bool) -> Neighbours:
    """The two pixels around each pixel of the result. Corners aligned: first and last pixels lie on each other; else the
    images' edges do, and places beyond the outermost pixels' middles are moved there.
    """
    places = np.arange(out, dtype=np.float64)
    if align_corners:
        places = places * ((n - 1) / (out - 1) if out > 1 else 0.0)
    else:
        places = np.maximum((places + 0.5) * (1 / scale if scale else n / out) - 0.5, 0)
    before = np.minimum(places.astype(np.int64), n - 1)
    after = np.minimum(before + 1, n - 1)
    return before, after, np.clip(places - before, 0, 1)


# -- the functions, as torch names them ---------------------------------------------------------------------------------

MODES = {
    "nearest": (3, 4, 5),
    "nearest-exact": (3, 4, 5),
    "area": (3, 4),
    "linear": (3,),
    "bilinear": (4,),
    "trilinear": (5,),
}
"""The modes that are built, and the numbers of axes that each takes."""


def interpolate(
    input: Tensor,  # noqa: A002 - torch's name
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """input (N, C, L), (N, C, H, W) or (N, C, D, H, W) at another size: floor(scale_factor times its own), or `size`.

    mode: "nearest" (as torch has it, the pixel that holds the start of the new one), "nearest-exact" (the middle), "linear",
    "bilinear", "trilinear" (by the number of axes), "area" (adaptive_avg_pool). align_corners: see `_linear`.
    recompute_scale_factor: steps between places from the sizes rather than from scale_factor. "bicubic" and antialias are not
    built.
    """
    axes = input.ndim - 2
    if mode == "bicubic" or antialias:
        raise NotImplementedError(f"interpolate with mode={mode!r}, antialias={antialias} is not built")
    if mode not in MODES or input.ndim not in MODES[mode]:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {describe(input)}) for the modes "
            f"{' | '.join(MODES)}, each with its number of axes (got {mode})"
        )
    if mode in ("nearest", "nearest-exact", "area"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | trilinear"
            )
    if input.dtype.kind != "f":
        raise NotImplementedError(
            f"interpolate is not implemented for {describe(input)}: it takes floating point numbers"
        )
    sizes, scales = _sizes(input, axes, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return (
            functional.adaptive_avg_pool1d(input, sizes) if axes == 1 else functional.adaptive_avg_pool2d(input, sizes)
        )
    if 0 in sizes or 0 in input.shape[1:]:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {describe(input)} and output size {sizes}"
        )
    along = list(zip(input.shape[2:], sizes, scales, strict=True))
    if mode.startswith("nearest"):
        return Interpolate([_nearest(n, out, scale, mode == "nearest-exact") for n, out, scale in along])(input)
    return Interpolate([_linear(n, out, scale, bool(align_corners)) for n, out, scale in along])(input)


def _sizes(x: Tensor, axes: int, size: Any, scale_factor: Any, recompute: bool | None) -> tuple[list[int], list[Any]]:
    """The result's sizes, and the scale factors where they decide the steps."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "either size or scale_factor should be defined" if size is None
            else "only one of size or scale_factor should be defined"
        )  # fmt: skip
    given = scale_factor if size is None else size
    values = [given] * axes if isinstance(given, (int, float)) else list(given)
    if len(values) != axes:
        raise ValueError(
            f"Input and output must have the same number of spatial dimensions, but got input {describe(x)}, size {size} and "
            f"scale_factor {scale_factor}"
        )
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return [int(v) for v in values], [None] * axes
    sizes = [math.floor(n * v) for n, v in zip(x.shape[2:], values, strict=True)]
    return sizes, [None] * axes if recompute else values


def upsample(
    input: Tensor,  # noqa: A002
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The older name of interpolate."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return functional.interpolate(input, size, scale_factor, mode, align_corners)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:  # noqa: A002
    """(..., C r^2, H, W) to (..., C, H r, W r): y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]."""
    r = upscale_factor
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


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:  # noqa: A002
    """(..., C, H r, W r) to (..., C r^2, H, W): what pixel_shuffle takes apart, put back."""
    r = downscale_factor
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


def channel_shuffle(input: Tensor, groups: int) -> Tensor:  # noqa: A002
    """(N, C, ...) with channels dealt out: y[:, i groups + g] = x[:, g C / groups + i]."""
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got {describe(input)}")
    channels = input.shape[1]
    if groups < 1 or channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    x = input.reshape(input.shape[0], groups, channels // groups, *input.shape[2:])
    return _own(x.transpose(1, 2).reshape(input.shape))


def _own(y: Tensor) -> Tensor:
    """y in memory of its own, where nothing was moved and it would be a view of the input."""
    return y if y._base is None else y.clone()
