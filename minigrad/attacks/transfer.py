"""Attacks that are made on one network and work on others: diverse inputs, translation invariance, variance tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.attacks.amounts import amount, integer
from minigrad.attacks.attack import Attack, always, batch_axis, check_classes, check_logits, check_maps
from minigrad.attacks.gradient import Model, loss_and_gradient, untouched
from minigrad.attacks.pgd import Run
from minigrad.attacks.variants import MIFGSM
from minigrad.grad_mode import no_grad
from minigrad.nn import functional as F
from minigrad.ops.creation import from_numpy
from minigrad.tensor import Tensor


@dataclass(frozen=True)
class DIFGSM(MIFGSM):
    """MI-FGSM whose gradient is that of an input which is resized and padded at random, with probability p at each step.

    Images (N, C, H, W) are shrunk to a side between `share` of theirs and their own (nearest neighbour), and padded with zeros to
    their size again, at a random place; one draw for the batch. What fools the network in all these places fools others, too.

    Source: C. Xie et al., Improving Transferability of Adversarial Examples with Input Diversity (2019), 3.3.
    """

    p: float = 0.5
    share: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("p", "share"):
            value = amount(name, getattr(self, name))
            if isinstance(value, tuple) or not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {value}")
            self._set(name, value)

    def _look(self, model: Model, run: Run) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        check_maps(run.x, "DI-FGSM")
        drawn = self._draw(run.x.shape[-2:])
        with untouched(model):
            return super()._look(model if drawn is None else lambda x: model(resized(x, *drawn)), run)

    def _draw(self, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, list[int]] | None:
        """The rows and columns that the smaller image takes from the larger one, and the padding: left, right, top, bottom."""
        if float(self.generator.uniform(0, 1, (), np.float64)) >= self.p:
            return None
        share = self.share + (1 - self.share) * float(self.generator.uniform(0, 1, (), np.float64))
        places: list[np.ndarray] = []
        padding: list[int] = []
        for length in size:
            small = max(int(length * share), 1)
            before = int(self.generator.integers(0, length - small + 1, ()))
            places.append(np.arange(small) * length // small)
            padding = [before, length - small - before, *padding]
        return places[0], places[1], padding


def resized(x: Tensor, rows: np.ndarray, columns: np.ndarray, padding: list[int]) -> Tensor:
    """These rows and columns of the images, padded with zeros."""
    picked = x.index_select(2, from_numpy(rows).to(x.device)).index_select(3, from_numpy(columns).to(x.device))
    return F.pad(picked, padding)


@dataclass(frozen=True)
class TIFGSM(MIFGSM):
    """MI-FGSM whose gradient is smoothed by a Gaussian kernel: the mean over small shifts of the image, for one backward pass.

    Images (N, C, H, W). The kernel is `kernel` pixels a side, an odd number, of the standard deviation `sigma`.

    Source: Y. Dong et al., Evading Defenses to Transferable Adversarial Examples by Translation-Invariant Attacks (2019), eq. 7.
    """

    kernel: int = 7
    sigma: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("kernel", integer("kernel", self.kernel))
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")
        sigma = amount("sigma", self.sigma)
        if isinstance(sigma, tuple) or not 0 < sigma < float("inf"):
            raise ValueError(f"sigma must be above 0, got {sigma}")
        self._set("sigma", sigma)

    def _look(self, model: Model, run: Run) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        check_maps(run.x, "TI-FGSM")
        logits, classes, loss, gradient = super()._look(model, run)
        channels = gradient.shape[1]
        weight = from_numpy(gaussian(self.kernel, self.sigma).astype(gradient.dtype)).to(gradient.device)
        smooth = F.conv2d(
            gradient,
            weight.reshape(1, 1, *weight.shape).expand(channels, 1, -1, -1),
            padding=self.kernel // 2,
            groups=channels,
        )
        return logits, classes, loss, smooth


def gaussian(side: int, sigma: float) -> np.ndarray:
    """exp(-(i^2 + j^2) / 2 sigma^2) around the middle, of sum 1: (side, side)."""
    line = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * sigma**2))
    return np.asarray(np.outer(line, line) / np.outer(line, line).sum())


@dataclass(frozen=True)
class VMIFGSM(MIFGSM):
    """MI-FGSM whose gradient is corrected by its variance: by how it differed, around the last x, from its mean there.

        g' = g + v,   v <- mean of g at x + U(-beta epsilon, beta epsilon) over `samples` draws, - g

    Each step costs 1 + samples forward and backward passes.

    Source: X. Wang and K. He, Enhancing the Transferability of Adversarial Attacks through Variance Tuning (2021), algorithm 1.
    """

    samples: int = 20
    beta: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("samples", integer("samples", self.samples))
        beta = amount("beta", self.beta)
        if isinstance(beta, tuple) or not 0 <= beta < float("inf"):
            raise ValueError(f"beta must be finite and at least 0, got {beta}")
        self._set("beta", beta)

    def _look(self, model: Model, run: Run) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits, classes, loss, gradient = super()._look(model, run)
        variance = run.extra
        total = gradient * 0
        for _ in range(self.samples):
            drawn = from_numpy(self.generator.uniform(-self.beta, self.beta, run.x.shape, run.x.dtype)).to(run.x.device)
            near = run.x + drawn * run.space.epsilon * run.space.unit
            with batch_axis(near):
                total = total + loss_and_gradient(model, near, always(classes), self.loss_function(run.labels))[3]
        run.extra = total / self.samples - gradient
        return logits, classes, loss, gradient if variance is None else gradient + variance


@dataclass(frozen=True)
class Transfer:
    """How right M models are about images that were attacked on each of them; as a string, a table, a row a source."""

    names: list[str]
    clean: list[float]
    """The accuracy of each model on the images as they are."""

    accuracy: list[list[float]]
    """accuracy[i][j]: of model j on the images attacked on model i."""

    def __str__(self) -> str:
        width = max(map(len, [*self.names, "attacked on"]))
        lines = ["  ".join([f"{'attacked on':{width}}", *(f"{name:>8}" for name in self.names)])]
        for name, row in zip(["(clean)", *self.names], [self.clean, *self.accuracy], strict=True):
            cells = [f"{share:{max(len(other), 8)}.1%}" for other, share in zip(self.names, row, strict=True)]
            lines.append("  ".join([f"{name:{width}}", *cells]))
        return "\n".join(lines)


def transfer(models: Mapping[str, Model], attack: Attack, images: Tensor, labels: Any) -> Transfer:
    """Attack the images on each of the models, and ask all of them about the results.

    Args:
        models: by name; PyTorch networks as FromTorch(network). All take the same images (N, C, H, W).
        labels: (N,) integers.

    Raises ValueError where there is no model or no image, and what the attack raises.
    """
    if not models or not len(images):
        raise ValueError("a table of transfer needs models and images")

    def accuracy(x: Tensor) -> list[float]:
        shares = []
        for model in models.values():
            with untouched(model), no_grad():
                logits = check_logits(model(x))
                right = logits.argmax(1) == check_classes(labels, logits, "labels")
                shares.append(int(right.sum().item()) / len(x))
        return shares

    return Transfer(
        list(models), accuracy(images), [accuracy(attack(model, images, labels)) for model in models.values()]
    )
