"""DeepFool, Carlini and Wagner's attack and DDN in PyTorch: the measure of those of minigrad.attacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigrad.attacks import Misclassified
from models.reference.attacks.boundary import FAB
from models.reference.attacks.criteria import margin
from models.reference.attacks.pgd import Threat, at_rest, direction_of, each


@dataclass(frozen=True)
class DeepFool(Threat):
    """Steps onto the nearest linearised boundary (Moosavi-Dezfooli et al., 2016)."""

    steps: int = 50
    epsilon: Any = 0.1
    norm: str = "l2"
    overshoot: float = 0.02

    def nearest(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The perturbed images, and how far they are, image by image."""
        plane = FAB(norm=self.norm)._plane
        std, mean = self._units(images)
        found, sizes = images.clone(), torch.full((len(images),), torch.inf).to(images)
        for i in range(len(images)):
            x0, y = images[i : i + 1], labels[i : i + 1]
            v, r, x = x0 * std + mean, torch.zeros_like(x0), x0
            for step in range(self.steps + 1):
                with at_rest(model), torch.no_grad():
                    if model(x).argmax(1) != y:
                        found[i], sizes[i] = x[0], self._length((x - x0) * std)
                        break
                if step == self.steps:
                    break
                inside = r if self.clip is None else (v + r).clamp(*self.clip) - v
                gap, w = plane(model, x0 + inside / std, y, None, std)
                if self.norm == "l2":
                    r = r - gap / (w**2).sum() * w
                else:
                    r = r - gap / w.abs().sum() * w.sign()
                moved = (1 + self.overshoot) * r
                moved = moved if self.clip is None else (v + moved).clamp(*self.clip) - v
                x = x0 + moved / std
        return found, sizes

    def _length(self, d: Tensor) -> Tensor:
        return d.flatten().norm(p={"linf": torch.inf, "l2": 2}[self.norm])


@dataclass(frozen=True)
class CW(Threat):
    """Carlini and Wagner's attack (2017), with torch's own Adam."""

    steps: int = 200
    epsilon: Any = 1.0
    norm: str = "l2"
    lr: float = 0.01
    search: int = 9
    initial: float = 1e-3
    confidence: float = 0.0
    criterion: Any = field(default_factory=Misclassified)

    def nearest(self, model: nn.Module, images: Tensor, labels: Tensor, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and how far they are."""
        aim = {"labels": labels, "targets": targets}[self.criterion.needs]
        std, mean = self._units(images)
        v = images * std + mean
        assert self.clip is not None
        low, high = self.clip
        with at_rest(model), torch.no_grad():
            fooled = margin(self.criterion, model(images), aim) < 0
        best, size = images.clone(), torch.where(fooled, 0.0, torch.inf).to(images)
        c, least, most = (torch.full((len(v),), start).to(v) for start in (self.initial, 0.0, 1e10))
        for _ in range(self.search):
            w = torch.atanh(((v - low) / (high - low) * 2 - 1).clamp(-1, 1) * 0.999999).requires_grad_()
            adam, succeeded = torch.optim.Adam([w], lr=self.lr), torch.zeros(len(v), dtype=torch.bool)
            for _ in range(self.steps):
                new = low + (high - low) * (w.tanh() + 1) / 2
                with at_rest(model):
                    gap = margin(self.criterion, model((new - mean) / std), aim)
                square = (new - v).flatten(1).square().sum(1)
                loss = square + c * (gap + self.confidence).clamp(min=0)
                (w.grad,) = torch.autograd.grad(loss.sum(), w)
                adam.step()
                good = gap + self.confidence < 0
                succeeded |= good
                better = good & (square.sqrt() < size)
                best, size = (t.detach() for t in (
                    torch.where(each(better, v), (new - mean) / std, best), torch.where(better, square.sqrt(), size)
                ))  # fmt: skip
            least, most = torch.where(succeeded, least, c), torch.where(succeeded, c, most)
            c = torch.where(most < 1e9, (least + most) / 2, c * 10)
        return best, size


@dataclass(frozen=True)
class DDN(Threat):
    """Decoupled direction and norm (Rony et al., 2019)."""

    steps: int = 100
    epsilon: Any = 1.0
    norm: str = "l2"
    gamma: float = 0.05
    radius: float = 1.0

    def nearest(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The perturbed images, and how far they are."""
        std, mean = self._units(images)
        v = images * std + mean
        d, r = torch.zeros_like(v), torch.full((len(v),), self.radius).to(v)
        best, size = torch.zeros_like(v), torch.full((len(v),), torch.inf).to(v)
        for step in range(self.steps + 1):
            with at_rest(model):
                x = (images + d / std).requires_grad_()
                logits = model(x)
                (g,) = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), x)
            wrong, far = logits.argmax(1) != labels, d.flatten(1).norm(dim=1)
            better = wrong & (far < size)
            best, size = torch.where(each(better, v), d, best), torch.where(better, far, size)
            d = d + (0.01 + 0.99 * (1 + cos(pi * step / self.steps)) / 2) * direction_of(g / std)
            r = torch.where(wrong, r * (1 - self.gamma), r * (1 + self.gamma))
            d = each(r, v) * direction_of(d)
            d = d if self.clip is None else (v + d).clamp(*self.clip) - v
        return images + best / std, size
