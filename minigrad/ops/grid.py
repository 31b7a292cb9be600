"""Images sampled at places of one's choice: affine_grid and grid_sample, the two halves of a spatial transformer.

M. Jaderberg et al., Spatial Transformer Networks (2015). Places are in units of the image: -1 and 1 are its borders (the
centres of the border pixels with align_corners), x to the right, y down. Both are made of other ops, and so have all their
gradients, with respect to the image and to the places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.op import in_float32
from minigrad.ops.arithmetic import remainder
from minigrad.ops.choice import clamp, where
from minigrad.ops.creation import arange
from minigrad.ops.public import offer
from minigrad.ops.rounding import floor
from minigrad.ops.shape import stack
from minigrad.tensor import Tensor, describe

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


def _axis(n: int, align_corners: bool, like: Tensor) -> Tensor:
    """The places of n pixels along an axis, from -1 to 1."""
    k = arange(n, dtype=like.dtype, device=like.device)
    if align_corners:
        return k * (2 / (n - 1)) - 1 if n > 1 else k * 0
    return (k * 2 + 1) / n - 1


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The place (x, y)^T = theta (j, i, 1)^T of each pixel (i, j) of an image of `size`: (N, H, W, 2).

    theta (N, 2, 3), size (N, C, H, W). NotImplementedError for volumes: theta (N, 3, 4).
    """
    if len(size) != 4:
        raise NotImplementedError("affine_grid() only supports 4D sizes, for 2D affine grids, in minigrad")
    if theta.ndim != 3 or theta.shape[1:] != (2, 3) or theta.shape[0] != size[0]:
        raise RuntimeError(
            f"Expected a batch of 2D affine matrices of shape Nx2x3 for size {list(size)}. Got {describe(theta)}."
        )
    n, _, height, width = size
    aligned = bool(align_corners)
    x = _axis(width, aligned, theta).reshape(1, width).expand(height, width)
    y = _axis(height, aligned, theta).reshape(height, 1).expand(height, width)
    base = stack([x, y, x * 0 + 1], -1).reshape(1, height * width, 3)
    return (base.expand(n, -1, -1) @ theta.transpose(1, 2)).reshape(n, height, width, 2)


def _reflected(p: Tensor, low: float, high: float) -> Tensor:
    """Places thrown back at the borders low and high as often as it takes."""
    if high <= low:
        return p * 0
    span = high - low
    distance = remainder(p - low, 2 * span)
    return where(distance > span, 2 * span - distance, distance) + low


def _pixels(p: Tensor, n: int, padding: str, aligned: bool) -> Tensor:
    """Places from -1 to 1 as numbers of pixels, brought into the image as the padding has it."""
    p = (p + 1) * ((n - 1) / 2) if aligned else ((p + 1) * n - 1) / 2
    return _padded(p, n, padding, aligned)


def _padded(p: Tensor, n: int, padding: str, aligned: bool) -> Tensor:
    if padding == "reflection":
        p = _reflected(p, 0, n - 1) if aligned else _reflected(p, -0.5, n - 0.5)
    return p if padding == "zeros" else clamp(p, 0, n - 1)


def _cubic(t: Tensor) -> list[Tensor]:
    """Keys's weights of the pixels at -1, 0, 1, 2 for a place t between 0 and 1, A = -0.75."""
    a = -0.75

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


@in_float32
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """y[n, :, i, j] = the image x[n] at the place grid[n, i, j] = (x, y).

    input (N, C, H, W), grid (N, OH, OW, 2), result (N, C, OH, OW). mode: "bilinear", "nearest" or "bicubic" (Keys's kernel);
    padding_mode: "zeros", "border" or "reflection", for places outside of the image.
    """
    if mode not in MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if input.ndim == 5:
        raise NotImplementedError("grid_sample() of volumes is not built in minigrad, which is made for images")
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] != input.shape[0]:
        raise RuntimeError(
            f"grid_sampler(): expected 4D input and grid (N, H, W, 2) with the same batch size, got {describe(input)} and "
            f"{describe(grid)}"
        )
    aligned = bool(align_corners)
    height, width = input.shape[2:]
    early = "zeros" if mode == "bicubic" else padding_mode  # bicubic brings each of its pixels into the image by itself
    x = _pixels(grid[..., 0], width, early, aligned)
    y = _pixels(grid[..., 1], height, early, aligned)
    images = input.permute(0, 2, 3, 1)
    which = arange(len(input), device=input.device).reshape(-1, 1, 1)

    def at(row: Tensor, column: Tensor) -> Tensor:
        """The pixels (N, OH, OW, C) at whole places; nought outside of the image."""
        if mode == "bicubic":
            row, column = (_padded(p, n, padding_mode, aligned) for p, n in ((row, height), (column, width)))
        inside = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
        found = images[which, clamp(row, 0, height - 1).long(), clamp(column, 0, width - 1).long()]
        return found * inside.to(found.dtype).unsqueeze(-1)

    if mode == "nearest":
        flat = (clamp(y, 0, 0) + clamp(x, 0, 0)).unsqueeze(-1)  # nought, and so is its gradient: torch's are zeros too
        return (at(y.detach().round(), x.detach().round()) + flat).permute(0, 3, 1, 2)
    top, left = floor(y.detach()), floor(x.detach())
    if mode == "bilinear":
        rows, columns = ([1 - (p - start), p - start] for p, start in ((y, top), (x, left)))
        first = 0
    else:
        rows, columns = (_cubic(p - start) for p, start in ((y, top), (x, left)))
        first = -1
    total: Any = None
    for i, of_row in enumerate(rows, first):
        for j, of_column in enumerate(columns, first):
            part = at(top + i, left + j) * (of_row * of_column).unsqueeze(-1)
            total = part if total is None else total + part
    return total.permute(0, 3, 1, 2)


offer("nn.functional", affine_grid, grid_sample)
