"""FAB in PyTorch: the measure of minigrad.attacks.FAB. Projections onto hyperplanes by bisection, from their definition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.reference.attacks.pgd import Threat, at_rest, each

HALVINGS = 200


def project_onto(x: Tensor, w: Tensor, b: Tensor, low: Tensor, high: Tensor, norm: str) -> Tensor:
    """The smallest d with w . (x + d) = b and low <= x + d <= high, of each row (N, D); or as near to the plane as the box goes.

    By the condition that any d is optimal which goes down |w . (x + d) - b| as steeply as its norm t allows: the smallest t that
    gets there is found by bisection.
    """
    c = (w * x).sum(1, keepdim=True) - b[:, None]
    way = -torch.sign(c * w)
    reach = torch.where(way > 0, high - x, x - low).clamp(min=0)
    if norm == "l1":
        return _one_by_one(way, w.abs(), reach, c.abs())
    step = (
        (lambda t: torch.minimum(t.expand_as(w), reach))
        if norm == "linf"
        else (lambda t: torch.minimum(t * w.abs(), reach))
    )
    gain = lambda t: (w.abs() * step(t)).sum(1, keepdim=True)  # noqa: E731
    least, most = torch.zeros_like(c), torch.ones_like(c)
    for _ in range(HALVINGS):
        most = torch.where((gain(most) < c.abs()) & (most < 1e12), most * 2, most)
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        enough = gain(middle) >= c.abs()
        least, most = torch.where(enough, least, middle), torch.where(enough, middle, most)
    return way * step(most)


def _one_by_one(way: Tensor, size: Tensor, reach: Tensor, wanted: Tensor) -> Tensor:
    d = torch.zeros_like(way)
    for i in range(len(way)):
        left = wanted[i, 0]
        for j in size[i].argsort(descending=True):
            if left <= 0 or size[i, j] == 0:
                break
            d[i, j] = torch.minimum(reach[i, j], left / size[i, j])
            left = left - d[i, j] * size[i, j]
    return way * d


@dataclass(frozen=True)
class Boundary:
    """One step: x before and after it, the nearest image so far that fools the model, and its distance."""

    index: int
    images: Tensor
    moved: Tensor
    nearest: Tensor
    size: Tensor


@dataclass(frozen=True)
class FAB(Threat):
    """Fast adaptive boundary attack (Croce and Hein, 2020); fields and draws are those of minigrad.attacks.FAB."""

    steps: int = 100
    epsilon: Any = 0.1
    norm: str = "linf"
    targeted: bool = False
    classes: int = 9
    restarts: int = 1
    eta: float = 1.05
    beta: float = 0.9
    alpha_max: float = 0.1

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
        """The nearest images that fool the model."""
        return self.nearest(model, images, labels)[0]

    def worst(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The perturbed images, as they are where none was found within epsilon, and which were found."""
        x, distance = self.nearest(model, images, labels)
        near = distance <= self.epsilon
        return torch.where(each(near, x), x, images), near

    def nearest(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The perturbed images, and how far they are: infinitely where none was found."""
        with at_rest(model), torch.no_grad():
            logits = model(images)
        best = images.clone()
        distance = torch.where(logits.argmax(1) != labels, 0.0, torch.inf).to(images)
        for rank in range(1, 1 + min(self.classes, logits.shape[1] - 1)) if self.targeted else [None]:
            for start in range(self.restarts):
                left = (distance > (self.epsilon if self.targeted or start else 0)).nonzero().flatten()
                if len(left):
                    radius = distance[left].clamp(max=self.epsilon) / 2 if start else None
                    *_, end = self._steps(model, images[left], labels[left], rank, radius)
                    better = end.size < distance[left]
                    best[left[better]], distance[left[better]] = end.nearest[better], end.size[better]
        return best, distance

    def path(
        self, model: nn.Module, images: Tensor, labels: Tensor, targets: Tensor | None = None
    ) -> Iterator[Boundary]:
        """The steps of the first start."""
        return self._steps(model, images, labels, 1 if self.targeted else None, None)

    def _steps(
        self, model: nn.Module, images: Tensor, labels: Tensor, rank: int | None, radius: Tensor | None
    ) -> Iterator[Boundary]:
        std, mean = self._units(images)
        v = images * std + mean
        low, high = (torch.full_like(v, bound) for bound in self.clip or (-1e12, 1e12))
        inside = lambda d: d if self.clip is None else (v + d).clamp(*self.clip) - v  # noqa: E731
        d = torch.zeros_like(v)
        if radius is not None:
            drawn = self._drawn(v)
            d = inside(drawn / each(self._length(drawn), v) * each(radius, v))
        target = None
        if rank is not None:
            with at_rest(model), torch.no_grad():
                target = likeliest_others(model(images), labels, rank)
        best, size = torch.zeros_like(v), torch.full((len(v),), torch.inf).to(v)
        for index in range(self.steps):
            gap, g = self._plane(model, images + d / std, labels, target, std)
            w, at = g.flatten(1), v + d
            b = (w * at.flatten(1)).sum(1) - gap
            a, a0 = (
                project_onto(x.flatten(1), w, b, low.flatten(1), high.flatten(1), self.norm).view_as(v) for x in (at, v)
            )
            here, there = (each(self._length(step), v).clamp(min=1e-8) for step in (a, a0))
            share = (here / (here + there)).clamp(max=self.alpha_max)
            new = inside((1 - share) * (d + self.eta * a) + share * self.eta * a0)
            with at_rest(model), torch.no_grad():
                wrong = model(images + new / std).argmax(1) != labels
            better = wrong & (self._length(new) < size)
            best, size = torch.where(each(better, v), new, best), torch.where(better, self._length(new), size)
            new = torch.where(each(wrong, v), self.beta * new, new)
            yield Boundary(index, images + d / std, images + new / std, images + best / std, size)
            d = new

    def _drawn(self, v: Tensor) -> Tensor:
        dtype = v.cpu().numpy().dtype
        draw = (
            self.generator.uniform(-1, 1, v.shape, dtype)
            if self.norm == "linf"
            else self.generator.normal(0, 1, v.shape, dtype)
        )
        return torch.from_numpy(draw).to(v)

    def _length(self, d: Tensor) -> Tensor:
        return torch.linalg.vector_norm(d.flatten(1), {"linf": torch.inf, "l2": 2, "l1": 1}[self.norm], dim=1)

    def _plane(
        self, model: nn.Module, x: Tensor, labels: Tensor, target: Tensor | None, std: Tensor
    ) -> tuple[Tensor, Tensor]:
        """z_s - z_y of the class s whose plane is nearest, or of the target, and its gradient in units."""
        every = torch.arange(len(x))
        with at_rest(model), torch.enable_grad():
            x = x.detach().requires_grad_()
            gaps = model(x)
            gaps = gaps - gaps[every, labels][:, None]
            slopes = [
                torch.autograd.grad(gaps[:, k].sum(), x, retain_graph=True)[0] / std for k in range(gaps.shape[1])
            ]
        gaps, g = gaps.detach(), torch.stack(slopes, 1)
        if target is None:
            dual = torch.linalg.vector_norm(g.flatten(2), {"linf": 1, "l2": 2, "l1": torch.inf}[self.norm], dim=2)
            away = gaps.abs() / (dual + 1e-12)
            away[every, labels] = torch.inf
            target = away.argmin(1)
        return gaps[every, target], g[every, target]


def likeliest_others(logits: Tensor, labels: Tensor, rank: int) -> Tensor:
    """The class with the rank-th largest logit beside the label."""
    return logits.scatter(1, labels[:, None], -torch.inf).argsort(1, descending=True)[:, rank - 1]
