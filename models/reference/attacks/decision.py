"""HopSkipJump in PyTorch, image by image in the attack's units: the measure of minigrad.attacks.HopSkipJump."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from minigrad.attacks import Misclassified
from models.reference.attacks.criteria import margin
from models.reference.attacks.pgd import Threat, at_rest, each

HALVINGS, TRIES = 25, 100


@dataclass(frozen=True)
class HopSkipJump(Threat):
    """Decisions alone (Chen et al., 2020, algorithms 1 and 2); fields and draws are those of minigrad.attacks.HopSkipJump."""

    steps: int = 20
    epsilon: Any = 1.0
    norm: str = "l2"
    samples: int = 100
    criterion: Any = field(default_factory=Misclassified)

    def nearest(self, model: nn.Module, images: Tensor, labels: Tensor, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and how far they are: infinitely where no random image is a success."""
        aim = {"labels": labels, "targets": targets}[self.criterion.needs]
        std, mean = self._units(images)
        found, distance = images.clone(), torch.zeros(len(images)).to(images)
        for i in range(len(images)):

            def succeeds(v: Tensor, label: Tensor = aim[i : i + 1]) -> Tensor:
                with at_rest(model), torch.no_grad():
                    return margin(self.criterion, model((v - mean) / std), label.expand(len(v))) < 0

            v0 = images[i : i + 1] * std + mean
            if not succeeds(v0):
                v = self._walk(v0, succeeds)
                distance[i] = torch.inf if v is None else self._length(v - v0)
                found[i] = images[i] if v is None else ((v - mean) / std)[0]
        return found, distance

    def _walk(self, v0: Tensor, succeeds: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Where the walk along the boundary of one image (1, C, H, W) ends; None where it cannot begin."""
        assert self.clip is not None
        (low, high), n = self.clip, v0.numel()
        dtype = v0.cpu().numpy().dtype
        starts = (
            self._tensor(low + (high - low) * self.generator.uniform(0, 1, v0.shape, dtype), v0) for _ in range(TRIES)
        )
        v = next((start for start in starts if succeeds(start)), None)
        if v is None:
            return None
        theta, root = (n**-1.5, n**0.5) if self.norm == "l2" else (n**-2.0, float(n))
        v = self._boundary(v0, v, succeeds, theta)
        for t in range(1, self.steps + 1):
            far = self._length(v - v0)
            delta = 0.1 * (high - low) if t == 1 else root * theta * far
            way, size = self._way(v, succeeds, delta, round(self.samples * t**0.5)), far / t**0.5
            for _ in range(HALVINGS):
                tried = (v + size * way).clamp(low, high)
                if succeeds(tried):
                    v = self._boundary(v0, tried, succeeds, theta)
                    break
                size /= 2
        return v

    def _boundary(self, v0: Tensor, v: Tensor, succeeds: Callable[[Tensor], Tensor], theta: float) -> Tensor:
        """The success nearest to v0 on the way to v, by halving: of the blend in l2, of the largest change in linf."""
        if self.norm == "l2":
            at, most, least = (lambda s: (1 - s) * v0 + s * v), 1.0, theta
        else:
            most = self._length(v - v0)
            at, least = (lambda s: v0 + (v - v0).clamp(-s, s)), min(most * theta, theta)
        low, high = 0.0, most
        for _ in range(HALVINGS):
            if high - low <= least:
                break
            middle = (low + high) / 2
            low, high = (low, middle) if succeeds(at(middle)) else (middle, high)
        return at(high)

    def _way(self, v: Tensor, succeeds: Callable[[Tensor], Tensor], delta: float, count: int) -> Tensor:
        """The mean of random directions, each weighed by whether it succeeds: of length 1, or its signs."""
        assert self.clip is not None
        shape, dtype = (count, *v.shape[1:]), v.cpu().numpy().dtype
        draw = (
            self.generator.normal(0, 1, shape, dtype)
            if self.norm == "l2"
            else self.generator.uniform(-1, 1, shape, dtype)
        )
        u = self._tensor(draw, v)
        u = u / each(u.flatten(1).norm(dim=1), u)
        tried = (v + delta * u).clamp(*self.clip)
        phi = torch.where(succeeds(tried), 1.0, -1.0).to(v)
        weight = phi if phi.mean().abs() == 1 else phi - phi.mean()
        g = ((tried - v) / delta * each(weight, v)).mean(0, keepdim=True)
        return g.sign() if self.norm == "linf" else g / g.norm().clamp(min=1e-12)

    def _length(self, d: Tensor) -> float:
        return float(d.abs().max() if self.norm == "linf" else d.norm())

    def _tensor(self, drawn: Any, like: Tensor) -> Tensor:
        return torch.from_numpy(drawn).to(like)
