"""One change for all images, in PyTorch: the measure of minigrad.attacks.universal, written from the formulas anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigrad.random import Generator  # places of both frameworks are drawn alike
from models.reference.attacks.pgd import Threat, at_rest, direction_of, lengths, of_channels

Batches = Iterable[tuple[Tensor, Tensor]]


class Fitted:
    """fit and path: as in minigrad."""

    steps: int

    def fit(self, model: nn.Module, batches: Batches) -> Self:
        """The attack after all steps."""
        *_, last = self.path(model, list(batches))
        return last

    def path(self, model: nn.Module, batches: Batches) -> Iterator[Self]:
        """The attack after each step."""
        found = self
        for _ in range(self.steps):
            for images, labels in batches:
                found = found._step(model, images, labels)
                yield found

    def _step(self, model: nn.Module, images: Tensor, labels: Tensor) -> Self:
        raise NotImplementedError


@dataclass(frozen=True)
class Universal(Fitted, Threat):
    """d <- project(d + alpha sign(sum dL/dx)), L = min(CE, cap) (Shafahi et al., 2020)."""

    steps: int = 10
    alpha: Any = 0.01
    epsilon: Any = 0.1
    norm: str = "linf"
    clip: tuple[float, float] | None = None
    units: str = "normalised"
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    cap: float = 9.0
    generator: Generator = field(default_factory=lambda: Generator(0), compare=False, repr=False)
    perturbation: Tensor | None = field(default=None, compare=False, repr=False)  # as the network sees it

    def __call__(self, model: nn.Module, images: Tensor, labels: Any = None, targets: Any = None) -> Tensor:
        """box(x + d)."""
        scale, shift = self._units(images)
        assert self.perturbation is not None, "fit first"
        v = (images + self.perturbation) * scale + shift
        return ((v if self.clip is None else v.clamp(*self.clip)) - shift) / scale

    def _step(self, model: nn.Module, images: Tensor, labels: Tensor) -> Self:
        scale, _ = self._units(images)
        d = torch.zeros_like(images[:1]) if self.perturbation is None else self.perturbation * scale
        with at_rest(model), torch.enable_grad():
            x = replace(self, perturbation=d / scale)(model, images).requires_grad_()
            loss = F.cross_entropy(model(x), labels, reduction="none")
            (g,) = torch.autograd.grad(loss.minimum(torch.tensor(self.cap, dtype=loss.dtype)).sum(), x)
        slope, epsilon = g.sum(0, keepdim=True) / scale, of_channels(self.epsilon, d)
        if self.norm == "linf":
            d = (d + of_channels(self.alpha, d) * slope.sign()).clamp(-epsilon, epsilon)
        else:
            d = d + self.alpha * direction_of(slope)
            d = direction_of(d) * lengths(d).clamp(max=float(self.epsilon)).to(d.dtype)
        return replace(self, perturbation=d / scale)


@dataclass(frozen=True)
class Patch(Fitted):
    """x' = (1 - m) x + m warped(p) (Brown et al., 2017)."""

    mean: Sequence[float]
    std: Sequence[float]
    steps: int = 10
    alpha: float = 0.05
    share: float = 0.3
    angle: float = 20.0
    scales: tuple[float, float] = (0.9, 1.1)
    target: int | None = None
    generator: Generator = field(default_factory=lambda: Generator(0), compare=False, repr=False)
    perturbation: Tensor | None = field(default=None, compare=False, repr=False)

    def __call__(self, model: nn.Module, images: Tensor, labels: Any = None, targets: Any = None) -> Tensor:
        """The images with the patch."""
        assert self.perturbation is not None, "fit first"
        return self._applied(images, self.perturbation.to(images))

    def _step(self, model: nn.Module, images: Tensor, labels: Tensor) -> Self:
        p = self.perturbation
        if p is None:
            side = max(round(self.share * min(images.shape[2:])), 1)
            p = torch.from_numpy(
                self.generator.uniform(0, 1, (1, images.shape[1], side, side), images.cpu().numpy().dtype)
            )
        p = p.to(images).detach().requires_grad_()
        with at_rest(model), torch.enable_grad():
            aim = labels if self.target is None else torch.full_like(labels, self.target)
            loss = F.cross_entropy(model(self._applied(images, p)), aim, reduction="sum")
            (g,) = torch.autograd.grad(loss, p)
        sign = 1 if self.target is None else -1
        return replace(self, perturbation=(p.detach() + sign * self.alpha * g.sign()).clamp(0, 1))

    def _applied(self, images: Tensor, p: Tensor) -> Tensor:
        """Each image's patch, turned by a, of half-side h, at the centre c: (x, y) in the image is R(-a) ((x, y) - c) / h there."""
        drawn = torch.from_numpy(self.generator.uniform(0, 1, (len(images), 4), np.float64))
        a = self.angle * torch.pi / 180 * (2 * drawn[:, 0] - 1)
        h = self.share * (self.scales[0] + (self.scales[1] - self.scales[0]) * drawn[:, 1])
        rotation = torch.stack([a.cos(), a.sin(), -a.sin(), a.cos()], 1).view(-1, 2, 2) / h[:, None, None]
        centre = (1 - h * (a.cos().abs() + a.sin().abs()))[:, None] * (2 * drawn[:, 2:] - 1)
        theta = torch.cat([rotation, -rotation @ centre[..., None]], 2).to(images)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        shown = (p - of_channels(self.mean, p)) / of_channels(self.std, p)
        both = torch.cat([shown, torch.ones_like(shown[:, :1])], 1).expand(len(images), -1, -1, -1)
        warped = F.grid_sample(both, grid, align_corners=False)
        return images * (1 - warped[:, -1:]) + warped[:, :-1]
