"""Dropout of whole channels or whole samples, and dropout that keeps mean and variance of SELU networks.

Sources: J. Tompson et al., Efficient Object Localization Using Convolutional Networks (2015), for channels; G. Huang et al.,
Deep Networks with Stochastic Depth (2016), for samples; G. Klambauer et al., Self-Normalizing Neural Networks (2017), for
alpha dropout.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from minigrad.ops.choice import where
from minigrad.ops.common import drawn, real
from minigrad.ops.public import offer
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor, describe

ALPHA = 1.7580993408473766
"""Minus the limit of SELU at -infinity: its scale times its alpha."""


def _kept(shape: tuple[int, ...], p: float, like: Tensor, generator: Generator | None) -> Tensor:
    """Which elements stay: True with probability 1 - p."""
    random = generator or default_generator
    return drawn(lambda: random.uniform(0, 1, shape, np.float32) >= p, like)


def _factor(shape: tuple[int, ...], p: float, like: Tensor, generator: Generator | None) -> Tensor:
    """0 with probability p, else 1 / (1 - p): made on the host, so that a GPU has nothing to do but to multiply."""
    random, size = generator or default_generator, 0.0 if p == 1 else 1 / (1 - p)
    return drawn(lambda: (random.uniform(0, 1, shape, np.float32) >= p).astype(like.dtype) * size, like)


def _check(p: float) -> float:
    p = real(p, "p")
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


def _drop_channels(x: Tensor, p: float, training: bool, inplace: bool, generator: Generator | None) -> Tensor:
    """x (N, C, ...) with each channel of each sample zeroed with probability p, the others scaled by 1 / (1 - p)."""
    if not training or p == 0:
        return x
    if x.ndim < 2:
        raise RuntimeError(f"Feature dropout requires at least 2 dimensions in the input, but got {describe(x)}")
    factor = _factor((*x.shape[:2], *(1,) * (x.ndim - 2)), p, x, generator)
    return x._in_place(lambda y: y * factor) if inplace else x * factor


def dropout1d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """In training, zeros each channel of input (N, C, L) or (C, L) with probability p and scales the others by 1 / (1 - p)."""
    p = _check(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received {describe(input)}")
    if input.ndim == 3:
        return _drop_channels(input, p, training, inplace, generator)
    result = _drop_channels(input.unsqueeze(0), p, training, False, generator).squeeze(0)
    return input._in_place(lambda x: result) if inplace else result


def dropout2d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """In training, zeros each channel of input (N, C, H, W) with probability p and scales the others by 1 / (1 - p).

    As in torch, and with its warning, an input of three axes is (N, C, L).
    """
    p = _check(p)
    if input.ndim not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated and will result in an error in a "
            "future release. To retain the behavior and silence this warning, please use dropout instead.",
            stacklevel=2,
        )
    elif input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input "
            "is interpreted as shape (N, C, L), where C is the channel dim. Please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _drop_channels(input, p, training, inplace, generator)


def alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """In training, sets each element to SELU's lower limit with probability p, then restores mean 0 and variance 1.

    y = a (x or -ALPHA) + b with a = ((1 - p) (1 + p ALPHA^2))^(-1/2), b = a p ALPHA. Klambauer et al. (2017), section 2.
    """
    p = _check(p)
    if not training or p == 0:
        return input
    if p == 1:
        return input._in_place(lambda x: x * 0.0) if inplace else input * 0.0
    a = 1 / math.sqrt((1 - p) * (1 + p * ALPHA**2))
    kept = _kept(input.shape, p, input, generator)

    def dropped(x: Tensor) -> Tensor:
        return where(kept, x, -ALPHA) * a + a * ALPHA * p

    return input._in_place(dropped) if inplace else dropped(input)


def stochastic_depth(
    input: Tensor,
    p: float,
    mode: str,
    training: bool = True,
    generator: Generator | None = None,
) -> Tensor:
    """In training, zeros each sample of input (N, ...) with probability p and scales the others by 1 / (1 - p).

    mode: "row" decides for each sample, "batch" once for all of them. As torchvision.ops.stochastic_depth; Huang et al.
    (2016), where p was the probability to stay and the scaling was done in evaluation. ValueError for another p or mode.
    """
    p = real(p, "p")
    if not 0 <= p <= 1:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    return input * _factor((rows, *(1,) * (input.ndim - 1)), p, input, generator)


offer("nn.functional", alpha_dropout, dropout1d, dropout2d, stochastic_depth)
