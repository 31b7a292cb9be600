"""In torch: what minigrad has and torch has not, or has otherwise. And calls of both that need more than a name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from compare.gradients.derivatives import resolve
from minigrad.random import Generator

SEED = 5
"""Of the masks, in both frameworks."""
ALPHA = 1.7580993408473766
"""Minus the limit of SELU at -infinity."""


def hardsigmoid(x: Tensor) -> Tensor:
    """torch's own, without its gradient's float32 sixth."""
    return torch.where((x > -3) & (x < 3), (x + 3) / 6, ((x.detach() + 3) / 6).clamp(0, 1))


def conv2d_relu(
    x: Tensor, w: Tensor, b: Tensor, stride: Any, padding: Any, dilation: Any, groups: int, pool: Any = None
) -> Tensor:
    """max_pool(relu(conv(x))), step by step; no pool: the ReLU's result."""
    y = F.conv2d(x, w, b, stride, padding, dilation, groups).relu()
    return y if pool is None else F.max_pool2d(y, *pool)


def batch_norm(framework: Any, x: Any, mean: Any, var: Any, w: Any, b: Any, training: bool) -> Any:
    """y, and the running statistics afterwards, which have no gradients."""
    mean, var = mean.detach().clone(), var.detach().clone()
    return framework.nn.functional.batch_norm(x, mean, var, w, b, training, 0.3, 1e-3), mean, var


def multi_head(framework: Any, q: Any, k: Any, v: Any, w: Any, b: Any, out: Any, out_b: Any) -> Any:
    """Attention of two heads, and its weights."""
    function = framework.nn.functional.multi_head_attention_forward
    return function(q, k, v, q.shape[-1], 2, w, b, None, None, False, 0.0, out, out_b)


def shifted_window_attention(*args: Any) -> Any:
    """torchvision's."""
    from torchvision.models.swin_transformer import shifted_window_attention as function

    return function(*args)


def window_partition(x: Tensor, window: tuple[int, int], shift: tuple[int, int]) -> Tensor:
    """By unfold of the padded, rolled image: another way than minigrad's."""
    (h, w), (height, width) = window, x.shape[1:3]
    x = F.pad(x, (0, 0, 0, -width % w, 0, -height % h)).roll((-shift[0], -shift[1]), (1, 2))
    return x.unfold(1, h, h).unfold(2, w, w).permute(0, 1, 2, 4, 5, 3).reshape(-1, h, w, x.shape[3])


def window_reverse(windows: Tensor, window: tuple[int, int], height: int, width: int) -> Tensor:
    """By fold: another way than minigrad's."""
    (h, w), channels = window, windows.shape[3]
    rows, columns = -(-height // h), -(-width // w)
    patches = windows.reshape(-1, rows * columns, h, w, channels).permute(0, 4, 2, 3, 1).flatten(1, 3)
    return F.fold(patches, (rows * h, columns * w), window, stride=window)[:, :, :height, :width].permute(0, 2, 3, 1)


# -- dropout, by the masks that a generator of minigrad draws


def masked(name: str) -> Callable[..., Any]:
    """minigrad's function of that name, with a generator of its own."""

    def call(framework: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve(framework, name)(*args, **kwargs, generator=Generator(SEED))

    return call


def kept(shape: tuple[int, ...], p: float, like: Tensor, generator: Generator | None = None) -> Tensor:
    """1 with probability 1 - p, else 0."""
    return torch.from_numpy((generator or Generator(SEED)).uniform(0, 1, shape) >= p).to(like.dtype)


def dropout(x: Tensor, p: float, generator: Generator | None = None) -> Tensor:
    """Of elements."""
    return x * kept(tuple(x.shape), p, x, generator) / (1 - p)


def dropout_of_channels(x: Tensor, p: float, generator: Generator | None = None) -> Tensor:
    """Of channels of x (N, C, ...)."""
    return x * kept((*x.shape[:2], *(1,) * (x.ndim - 2)), p, x, generator) / (1 - p)


def stochastic_depth(x: Tensor, p: float, mode: str = "row", generator: Generator | None = None) -> Tensor:
    """Of samples of x (N, ...)."""
    return x * kept((x.shape[0] if mode == "row" else 1, *(1,) * (x.ndim - 1)), p, x, generator) / (1 - p)


def alpha_dropout(x: Tensor, p: float, training: bool = True, generator: Generator | None = None) -> Tensor:
    """To SELU's limit, then to mean 0 and variance 1 (Klambauer et al. 2017)."""
    a = 1 / math.sqrt((1 - p) * (1 + p * ALPHA**2))
    stays = kept(tuple(x.shape), p, x, generator)
    return a * (x * stays - ALPHA * (1 - stays)) + a * ALPHA * p
