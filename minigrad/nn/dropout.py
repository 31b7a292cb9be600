"""Dropout as layers (Hinton et al. 2012, https://arxiv.org/abs/1207.0580).

Masks are drawn from `generator`, a minigrad.Generator; None: from the default one.
"""

from __future__ import annotations

from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.ops.late import given
from minigrad.random import Generator
from minigrad.tensor import Tensor


class _DropoutNd(Module):
    _shown = "p inplace"

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace
        self.generator = generator


class Dropout(_DropoutNd):
    """In training, each number becomes 0 with probability p and is divided by 1 - p otherwise; in evaluation y = x."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace, **given(generator=self.generator))


class Dropout1d(_DropoutNd):
    """Dropout of whole channels of (N, C, L) or (C, L) (Tompson et al. 2015, arXiv:1411.4280)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace, **given(generator=self.generator))


class Dropout2d(_DropoutNd):
    """Dropout of whole channels of (N, C, H, W) or (C, H, W) (Tompson et al. 2015, arXiv:1411.4280)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace, **given(generator=self.generator))


class AlphaDropout(_DropoutNd):
    """Dropout to SELU's negative limit that keeps mean and variance (Klambauer et al. 2017, arXiv:1706.02515)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, **given(generator=self.generator))


class StochasticDepth(Module):
    """In training, each sample becomes 0 with probability p and is divided by 1 - p otherwise; in evaluation y = x.

    mode: "row" decides for each sample, "batch" once for all (Huang et al. 2016, arXiv:1603.09382). torchvision.ops'
    layer; its errors, ValueError for another p or mode, come when it is called.
    """

    _shown = "p mode"

    def __init__(self, p: float, mode: str, *, generator: Generator | None = None) -> None:
        super().__init__()
        self.p = p
        self.mode = mode
        self.generator = generator

    def forward(self, input: Tensor) -> Tensor:
        return F.stochastic_depth(input, self.p, self.mode, self.training, **given(generator=self.generator))


class DropPath(StochasticDepth):
    """StochasticDepth sample by sample, under timm's name."""

    def __init__(self, drop_prob: float = 0.0, *, generator: Generator | None = None) -> None:
        super().__init__(drop_prob, "row", generator=generator)
