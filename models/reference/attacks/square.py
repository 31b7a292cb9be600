"""The square attack in PyTorch, image by image: the measure of minigrad.attacks.Square."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from minigrad.attacks import Misclassified
from models.reference.attacks.criteria import margin
from models.reference.attacks.pgd import Threat, at_rest


@dataclass(frozen=True)
class Query:
    """The best images so far, and their margins."""

    index: int
    images: Tensor
    margin: Tensor


@dataclass(frozen=True)
class Square(Threat):
    """Random search by squares (Andriushchenko et al., 2020); fields and draws are those of minigrad.attacks.Square."""

    queries: int = 5000
    epsilon: Any = 0.1
    norm: str = "linf"
    p: float = 0.8
    criterion: Any = field(default_factory=Misclassified)

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
        """The perturbed images."""
        return self.worst(model, images, labels, targets)[0]

    def worst(
        self, model: nn.Module, images: Tensor, labels: Tensor, targets: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The perturbed images, and which are successes: those are left alone from then on."""
        aim = {"labels": labels, "targets": targets}[self.criterion.needs]
        assert aim is not None
        x = self._first(images)
        best = self._ask(model, x, aim)
        for index in range(self.queries - 1):
            left = (best >= 0).nonzero().flatten()
            if not len(left):
                break
            tried = self._tried(images[left], x[left], index)
            asked = self._ask(model, tried, aim[left])
            better = asked < best[left]
            x[left[better]], best[left[better]] = tried[better], asked[better]
        return x, best < 0

    def path(
        self, model: nn.Module, images: Tensor, labels: Tensor | None = None, targets: Tensor | None = None
    ) -> Iterator[Query]:
        """The queries, of all images to the end."""
        aim = {"labels": labels, "targets": targets}[self.criterion.needs]
        assert aim is not None
        x = self._first(images)
        best = self._ask(model, x, aim)
        yield Query(0, x.clone(), best.clone())
        for index in range(self.queries - 1):
            tried = self._tried(images, x, index)
            asked = self._ask(model, tried, aim)
            better = asked < best
            x[better], best[better] = tried[better], asked[better]
            yield Query(index + 1, x.clone(), best.clone())

    def _ask(self, model: nn.Module, x: Tensor, aim: Tensor) -> Tensor:
        with at_rest(model), torch.no_grad():
            return margin(self.criterion, model(x), aim)

    def _first(self, images: Tensor) -> Tensor:
        std, mean = self._units(images)
        v = images * std + mean
        n, c, h, w = v.shape
        if self.norm == "linf":
            return images + self._project(self._epsilon(v) * self._signs((n, c, 1, w), v), v) / std
        side = max(min(h, w) // 5, 1)
        rows, columns = h // side, w // side
        signs = torch.from_numpy(self.generator.integers(0, 2, (n, c, rows, columns)) * 2 - 1).to(v)
        turned, d = self.generator.integers(0, 2, (rows, columns)), torch.zeros_like(v)
        for i in range(rows):
            for j in range(columns):
                top, left = (h - rows * side) // 2 + i * side, (w - columns * side) // 2 + j * side
                tile = torch.from_numpy(shape_of(side)).to(v)
                tile = tile.T if turned[i, j] else tile
                d[:, :, top : top + side, left : left + side] = signs[:, :, i, j, None, None] * tile
        return images + self._stretched(d, v) / std

    def _tried(self, images: Tensor, x: Tensor, index: int) -> Tensor:
        std, mean = self._units(images)
        v, d = images * std + mean, (x - images) * std
        n, c, h, w = v.shape
        p = self.p / 2 ** np.searchsorted([10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000], index)
        side = int(round((p * h * w) ** 0.5))
        if self.norm == "linf":
            side = min(max(side, 1), h, w)
            tops, lefts = (self.generator.integers(0, size - side + 1, (n,)) for size in (h, w))
            color = self._epsilon(v) * self._signs((n, c, 1, 1), v)
            for i in range(n):
                d[i, :, tops[i] : tops[i] + side, lefts[i] : lefts[i] + side] = color[i]
            return images + self._project(d, v) / std
        side = max(side, 3)
        side = min(side + 1 - side % 2, h, w)
        corners = [[self.generator.integers(0, size - side + 1, (n,)) for size in (h, w)] for _ in range(2)]
        signs, turned = self._signs((n, c, 1, 1), v), self.generator.integers(0, 2, (n,))
        for i in range(n):
            here, there = (
                (slice(None), slice(top[i], top[i] + side), slice(left[i], left[i] + side)) for top, left in corners
            )
            tile = torch.from_numpy(shape_of(side)).to(v)
            old, spare = d[i][here].clone(), (self.epsilon**2 - (d[i] ** 2).sum()).clamp(min=0) / c
            mask = torch.zeros(h, w, dtype=torch.bool)
            mask[here[1:]] = mask[there[1:]] = True
            freed = (d[i] ** 2 * mask).sum((1, 2), keepdim=True)
            new = signs[i] * (tile.T if turned[i] else tile) + old / (
                old.square().sum((1, 2), keepdim=True).sqrt() + 1e-12
            )
            new = new / (new.square().sum((1, 2), keepdim=True).sqrt() + 1e-12) * (spare + freed).sqrt()
            d[i][there] = 0
            d[i][here] = new
        return images + self._stretched(d, v) / std

    def _stretched(self, d: Tensor, v: Tensor) -> Tensor:
        return self._project(d * self.epsilon / (d.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12), v)

    def _signs(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return torch.from_numpy(self.generator.integers(0, 2, shape) * 2 - 1).to(like)


def shape_of(side: int) -> np.ndarray:
    """Two pyramids of growing rectangles, the lower one upside down, as a whole of length 1."""

    def pyramid(h: int, w: int) -> np.ndarray:
        made = np.zeros((h, w))
        for k in range(max(h // 2, w // 2) + 1):
            rows, columns = (slice(max(size // 2 - k, 0), size // 2 + k + 1) for size in (h, w))
            made[rows, columns] += 1 / (k + 1) ** 2
        return np.asarray(made / max(float(np.linalg.norm(made)), 1e-12))

    both = np.concatenate([pyramid(side // 2, side), -pyramid(side - side // 2, side)])
    return np.asarray(both / np.linalg.norm(both))
