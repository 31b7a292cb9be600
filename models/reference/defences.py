"""Training that defends, in PyTorch: the measure of minigrad.defences, under the same names, written from the formulas anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigrad.random import Generator  # random numbers of both frameworks are drawn alike
from models.reference.attacks.pgd import PGD, at_rest, direction_of, lengths, of_channels

Criterion = Callable[[Tensor, Tensor], Tensor]


def normal(generator: Generator, like: Tensor) -> Tensor:
    """Normal numbers of a tensor's shape, type and device."""
    return torch.from_numpy(generator.normal(0, 1, tuple(like.shape), like.cpu().numpy().dtype)).to(like.device)


class Defence:
    """inner, loss, backward, after: as minigrad.defences.Defence says."""

    criterion: Criterion
    replays: int = 1

    def inner(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """x'."""
        raise NotImplementedError

    def loss(self, model: nn.Module, images: Tensor, inner: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss to minimise, and the logits of x'."""
        logits = model(inner)
        return self.criterion(logits, targets), logits

    def after(self) -> None:
        """After the backward pass."""

    def symptoms(self, model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Any]:
        """What an epoch's line has to add."""
        return {}

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint has to hold."""
        return {}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take it back."""


@dataclass
class PGDTraining(Defence):
    """CE(z(x'), y), x' by PGD (Madry et al., 2018)."""

    attack: PGD
    criterion: Criterion = F.cross_entropy

    @property
    def generator(self) -> Generator:
        """The attack's."""
        return self.attack.generator

    def inner(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return self.attack(model, images, labels)


@dataclass(frozen=True)
class Near(PGD):
    """PGD from beside the image: d = 0.001 N(0, 1)."""

    start: float = 0.001

    def _first(self, v: Tensor) -> Tensor:
        return self._project(self.start * normal(self.generator, v), v)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """sum_k p_k (log p_k - log q_k) of each image, p and q by their logits."""
    return (p.softmax(1) * (p.log_softmax(1) - q.log_softmax(1))).sum(1)


@dataclass
class TRADES(PGDTraining):
    """CE(z(x), y) + beta KL(p(x) || p(x')), x' up that KL (Zhang et al., 2019)."""

    beta: float = 6.0

    def inner(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with at_rest(model), torch.no_grad():
            clean = model(images)
        return replace(self.attack, loss=lambda logits, classes: kl(clean, logits))(model, images, labels)

    def loss(self, model: nn.Module, images: Tensor, inner: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        clean, logits = model(images), model(inner)
        return self.criterion(clean, targets) + self.beta * kl(clean, logits).mean(), logits


@dataclass
class MART(PGDTraining):
    """BCE(p(x'), y) + beta KL(p(x) || p(x')) (1 - p_y(x)) (Wang et al., 2020)."""

    beta: float = 5.0

    def loss(self, model: nn.Module, images: Tensor, inner: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        clean, logits = model(images), model(inner)
        p, rows = logits.log_softmax(1), torch.arange(len(targets), device=targets.device)
        others = p.exp().index_put((rows, targets), torch.zeros_like(p[:, 0]))
        rival = others.argmax(1)
        left = p.index_put((rows, rival), torch.full_like(p[:, 0], -torch.inf)).logsumexp(1)  # log(1 - p_rival)
        known = clean.softmax(1)[rows, targets]
        loss = (-p[rows, targets] - left).mean() + self.beta * (kl(clean, logits) * (1 - known)).mean()
        return loss, logits


@dataclass
class Fast(PGDTraining):
    """One step of 1.25 epsilon from a uniform start (Wong et al., 2020)."""

    def symptoms(self, model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Any]:
        epsilon = self.attack.epsilon
        quarter = tuple(e / 4 for e in epsilon) if isinstance(epsilon, (tuple, list)) else epsilon / 4
        strong = replace(self.attack, steps=10, alpha=quarter, generator=Generator(0))
        once = replace(self.attack, generator=Generator(0))
        found = {}
        for name, attack in (("fast", once), ("pgd", strong)):
            x = attack(model, images, labels)
            with at_rest(model), torch.no_grad():
                logits = model(x)
            found[f"{name}_top1"] = 100 * int((logits.argmax(1) == labels).sum()) / len(labels)
        learnt = found["fast_top1"] > 90 / logits.shape[1] + 10
        return found | {"overfitted": learnt and found["pgd_top1"] < 0.5 * found["fast_top1"]}


@dataclass
class Free(PGDTraining):
    """Each batch several times, each gradient for the weights and for the perturbation (Shafahi et al., 2019)."""

    replays: int = 8
    perturbation: Tensor | None = field(default=None, repr=False)  # as the network sees it

    def inner(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        self._scale, shift = self.attack._units(images)
        if self.perturbation is None or self.perturbation.shape != images.shape:
            self.perturbation = torch.zeros_like(images)
        self.perturbation = self.perturbation.to(images)
        moved = images + self.perturbation
        if self.attack.clip is not None:
            low, high = ((bound - shift) / self._scale for bound in self.attack.clip)
            moved = torch.minimum(torch.maximum(moved, low), high)
        self._moved = moved.requires_grad_()
        return self._moved

    def after(self) -> None:
        if self._moved.grad is None or self.perturbation is None:
            return
        slope, epsilon = self._moved.grad / self._scale, of_channels(self.attack.epsilon, self._scale)
        way = slope.sign() if self.attack.norm == "linf" else direction_of(slope)
        d = self.perturbation * self._scale + of_channels(self.attack.alpha, self._scale) * way
        if self.attack.norm == "linf":
            d = d.clamp(-epsilon, epsilon)
        else:
            d = direction_of(d) * lengths(d).clamp(max=float(self.attack.epsilon)).to(d.dtype)
        self.perturbation = d / self._scale

    def state(self) -> dict[str, np.ndarray]:
        return {} if self.perturbation is None else {"perturbation": self.perturbation.cpu().numpy()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.perturbation = torch.from_numpy(arrays["perturbation"]) if "perturbation" in arrays else None


@dataclass
class Noise(Defence):
    """CE of x + sigma N(0, 1) (Cohen et al., 2019); with std in pixels."""

    sigma: float = 0.25
    std: Any = None
    criterion: Criterion = F.cross_entropy
    generator: Generator = field(default_factory=lambda: Generator(0), repr=False)

    def inner(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        std = of_channels(1.0 if self.std is None else self.std, images)
        return images + self.sigma / std * normal(self.generator, images)


DEFENCES = {"pgd": PGDTraining, "trades": TRADES, "mart": MART, "fast": Fast, "free": Free, "noise": Noise}


@dataclass(frozen=True)
class Smoothed:
    """A network under noise, with certified radii (Cohen et al., 2019, 3.2): minigrad.defences.Smoothed in PyTorch."""

    model: nn.Module
    sigma: float
    std: Any = None
    batch: int = 500
    seed: int = 0

    def votes(self, image: Tensor, count: int, generator: Generator) -> Tensor:
        """How often each class is the answer."""
        answers = []
        with at_rest(self.model), torch.no_grad():
            scale = self.sigma / of_channels(1.0 if self.std is None else self.std, image)
            for part in torch.ones(count).split(self.batch):
                many = image.repeat(len(part), 1, 1, 1)
                answers.append(self.model(many + normal(generator, many) * scale))
        logits = torch.cat(answers)
        return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).sum(0)

    def _generator(self, index: int) -> Generator:
        state = np.random.SeedSequence(self.seed, spawn_key=(int(index),)).generate_state(1, np.uint64)
        return Generator(int(state[0]) // 2)

    def predict(self, images: Tensor, n: int = 1000, alpha: float = 0.001, indices: Any = None) -> np.ndarray:
        """The class of each image; -1 where a two-sided binomial test does not rule out a tie."""
        from scipy.stats import binomtest

        found = []
        for i, index in enumerate(range(len(images)) if indices is None else indices):
            counts, classes = self.votes(images[i : i + 1], n, self._generator(index)).sort(
                descending=True, stable=True
            )
            p = binomtest(int(counts[0]), int(counts[:2].sum()), 0.5).pvalue
            found.append(int(classes[0]) if p <= alpha else -1)
        return np.array(found, np.int64)

    def certify(
        self, images: Tensor, n0: int = 100, n: int = 1000, alpha: float = 0.001, indices: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(classes, radii); -1 and 0 where nothing is certain."""
        from scipy.stats import binomtest, norm

        classes, radii = [], []
        for i, index in enumerate(range(len(images)) if indices is None else indices):
            generator = self._generator(index)
            likely = int(self.votes(images[i : i + 1], n0, generator).argmax())
            hits = int(self.votes(images[i : i + 1], n, generator)[likely])
            p = binomtest(hits, n, alternative="greater").proportion_ci(1 - alpha).low  # Clopper and Pearson's
            classes.append(likely if p > 0.5 else -1)
            radii.append(self.sigma * float(norm.ppf(p)) if p > 0.5 else 0.0)
        return np.array(classes, np.int64), np.array(radii)
