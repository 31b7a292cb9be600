"""Randomised smoothing: a network asked under noise, so often that within a radius its answer is certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.attacks import untouched
from minigrad.attacks.amounts import Amount, integer
from minigrad.attacks.attack import check_images, check_logits
from minigrad.defences.training import noise
from minigrad.grad_mode import no_grad
from minigrad.random import Generator
from minigrad.tensor import Tensor

ABSTAINED = -1
"""The class of an image on which the votes decide nothing."""


@dataclass(frozen=True)
class Smoothed:
    """The classifier g(x) = argmax_c P(f(x + sigma N(0, 1)) = c), whose answers come with a radius in the 2-norm.

    No x' with |x' - x|_2 < radius has another g, with a probability of at least 1 - alpha over the noise drawn here. sigma and the
    radius are in the units of the network's input, or with std, a number for each channel, in pixels (values from 0 to 1).

    Each image's noise follows from (seed, its index): not from the others of a batch, nor from `batch`, how many noisy images the
    network sees at a time. The network is in eval mode meanwhile, and afterwards as before.

    Source: J. Cohen et al., Certified Adversarial Robustness via Randomized Smoothing (2019), 3.2.
    """

    model: Callable[[Tensor], Tensor]
    sigma: float
    std: Amount | None = None
    batch: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise ValueError(f"sigma must be finite and above 0, got {self.sigma}")

    def votes(self, image: Tensor, count: int, generator: Generator) -> np.ndarray:
        """How often f answers each class under `count` draws of noise: (M,) integers. image: (1, C, H, W)."""
        check_images(image)
        found: Any = 0
        with untouched(self.model), no_grad():
            for first in range(0, count, self.batch):
                many = image.expand(min(self.batch, count - first), *image.shape[1:])
                logits = check_logits(self.model(many + noise(generator, many, self.sigma, self.std)))
                found = found + np.bincount(logits.argmax(1).numpy(force=True), minlength=logits.shape[1])
        return found

    def predict(
        self, images: Tensor, n: int = 1000, alpha: float = 0.001, indices: Sequence[int] | None = None
    ) -> np.ndarray:
        """The class of each image, (N,): the one with the most votes of n, ABSTAINED where a tie is not ruled out at alpha."""
        integer("n", n)
        check_alpha(alpha)
        votes = [self.votes(images[i : i + 1], n, g) for i, g in enumerate(self._generators(len(images), indices))]
        return np.array([winner(row, alpha) for row in votes], np.int64)

    def certify(
        self, images: Tensor, n0: int = 100, n: int = 1000, alpha: float = 0.001, indices: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(classes, radii) of images (N, C, H, W), each (N,); ABSTAINED and 0 where nothing is certain.

        n0 votes choose the class, n others count how likely it is: radius = sigma Phi^-1(p), p the lower bound of Clopper and
        Pearson at alpha, where p > 1/2. indices: the images' own, (N,), 0, 1, ... by default.
        """
        integer("n0", n0), integer("n", n)
        check_alpha(alpha)
        classes, radii = np.full(len(images), ABSTAINED), np.zeros(len(images))
        for i, generator in enumerate(self._generators(len(images), indices)):
            likely = int(self.votes(images[i : i + 1], n0, generator).argmax())
            p = lower_bound(int(self.votes(images[i : i + 1], n, generator)[likely]), n, alpha)
            if p > 0.5:
                classes[i], radii[i] = likely, self.sigma * quantile(p)
        return classes, radii

    def _generators(self, count: int, indices: Sequence[int] | None) -> list[Generator]:
        """A stream of random numbers for each image."""
        own = range(count) if indices is None else indices
        if len(own) != count:
            raise ValueError(f"indices must be one for each of {count} images, got {len(own)}")
        seeds = [
            np.random.SeedSequence(self.seed, spawn_key=(int(index),)).generate_state(1, np.uint64) for index in own
        ]
        return [Generator(int(seed[0] >> np.uint64(1))) for seed in seeds]


def check_alpha(alpha: float) -> None:
    """ValueError unless alpha is a probability, above 0 and below 1."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be above 0 and below 1, got {alpha}")


def lower_bound(hits: int, n: int, alpha: float) -> float:
    """The lower bound of Clopper and Pearson: the p at which `hits` of n or more are as unlikely as alpha."""
    from scipy.special import betaincinv

    return float(betaincinv(hits, n - hits + 1, alpha)) if hits else 0.0


def quantile(p: float) -> float:
    """Phi^-1(p), of the standard normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(p))


def winner(votes: np.ndarray, alpha: float) -> int:
    """The class with the most votes; ABSTAINED if, were it a toss between it and the second, so many were likelier than alpha."""
    from scipy.special import bdtrc

    first, second = np.argsort(-votes, kind="stable")[:2]
    won, both = int(votes[first]), int(votes[first] + votes[second])
    p = min(1.0, 2 * float(bdtrc(won - 1, both, 0.5)))  # two-sided: the distribution is symmetric
    return int(first) if p <= alpha else ABSTAINED
