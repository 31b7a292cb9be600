"""Training that defends: of each batch an inner maximisation makes images, an outer minimisation the loss to train on.

x images (N, C, H, W), x' what the inner maximisation makes of them, y their labels, z the logits, p = softmax(z).
The network is in eval mode and frozen during the inner maximisation, as in the code of TRADES and MART, and in the mode that it
has during the outer one, where batch norm takes each of x and x' that the loss asks for as a batch of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigrad.attacks import PGD, AttackWarning, untouched
from minigrad.attacks.amounts import Amount, each, integer, per_channel, size
from minigrad.attacks.attack import check_images
from minigrad.attacks.pgd import Run
from minigrad.grad_mode import no_grad
from minigrad.nn import functional as F
from minigrad.ops.creation import as_tensor, from_numpy, zeros_like
from minigrad.random import Generator
from minigrad.tensor import Tensor

Model = Callable[[Tensor], Tensor]
Criterion = Callable[[Tensor, Tensor], Tensor]
"""From logits (N, M) and targets to the mean loss of the batch."""

PROBE_STEPS = 10  # of the PGD that looks for catastrophic overfitting
COLLAPSE, LEARNT = 0.5, 0.1  # catastrophic: what `overfitted` says


class Defence:
    """What every defence is. A training step is

        inner = defence.inner(model, images, labels)
        loss, logits = defence.loss(model, images, inner, labels)
        loss.backward()
        defence.after()

    criterion: the loss of logits and targets (N,), or (N, M) where the defence says so; cross-entropy. generator: where
    random numbers come from. replays: how often each batch is to be trained on in a row.
    """

    criterion: Criterion
    generator: Generator
    replays: int = 1

    def inner(self, model: Model, images: Tensor, labels: Any) -> Tensor:
        """x' (N, C, H, W): what the inner maximisation makes of the images."""
        raise NotImplementedError

    def loss(self, model: Model, images: Tensor, inner: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss to minimise, and the logits (N, M) of x'."""
        logits = model(inner)
        return self.criterion(logits, targets), logits

    def after(self) -> None:
        """To be called after the backward pass."""

    def symptoms(self, model: Model, images: Tensor, labels: Any) -> dict[str, Any]:
        """What an epoch's line has to add about how the training goes; it leaves model and generator as they are."""
        return {}

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint has to hold, beside the generator."""
        return {}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` gave."""


@dataclass
class PGDTraining(Defence):
    """PGD training: min E [ max_{|x' - x| <= epsilon} CE(z(x'), y) ], the inner maximum by PGD from a random start.

    attack: a PGD that goes up the loss of the label. Source: A. Madry et al., Towards Deep Learning Models Resistant to
    Adversarial Attacks (2018), eq. 2.1.
    """

    attack: PGD
    criterion: Criterion = F.cross_entropy

    @property
    def generator(self) -> Generator:  # type: ignore[override]
        """The attack's."""
        return self.attack.generator

    def inner(self, model: Model, images: Tensor, labels: Any) -> Tensor:
        with quiet():
            return self.attack(model, images, labels)


@dataclass(frozen=True)
class Near(PGD):
    """PGD that begins right beside the image: x + start N(0, 1), in `units`, projected. Where else would a loss that is least
    at x itself have a gradient?

    Source: H. Zhang et al. (2019), algorithm 1.
    """

    start: float = 0.001

    def _start(self, images: Tensor, labels: Any, targets: Any) -> Run:
        run = super()._start(images, labels, targets)
        with no_grad():
            drawn = from_numpy(self.generator.normal(0, 1, images.shape, images.dtype)).to(images.device)
            run.x = run.space.project(run.space.x0 + drawn * self.start * run.space.unit)
        return run


@dataclass
class TRADES(PGDTraining):
    """CE(z(x), y) + beta KL(p(x) || p(x')), x' the maximum of KL(p(x) || p(x')) within epsilon; targets may be (N, M).

    beta trades accuracy on clean images for robustness. attack: a Near, whose own loss is not used. Both terms, and both sides of
    KL, have gradients in the outer minimisation; in the inner one p(x) is constant.

    Source: H. Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy (2019), eq. 5, algorithm 1.
    """

    attack: Near
    criterion: Criterion = F.cross_entropy
    beta: float = 6.0

    def __post_init__(self) -> None:
        check_near(self.attack, self.beta)

    def inner(self, model: Model, images: Tensor, labels: Any) -> Tensor:
        with untouched(model), no_grad():
            clean = F.softmax(model(images), 1)

        def apart(logits: Tensor, classes: Tensor) -> Tensor:
            return F.kl_div(F.log_softmax(logits, 1), clean, reduction="none").sum(1)

        with quiet():
            return replace(self.attack, loss=apart)(model, images, labels)

    def loss(self, model: Model, images: Tensor, inner: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        clean, logits = model(images), model(inner)
        apart = F.kl_div(F.log_softmax(logits, 1), F.softmax(clean, 1), reduction="batchmean")
        return self.criterion(clean, targets) + self.beta * apart, logits


@dataclass
class MART(PGDTraining):
    """BCE(p(x'), y) + beta KL(p(x) || p(x')) (1 - p_y(x)), x' by PGD up the cross-entropy; targets are classes (N,).

        BCE(p, y) = -log p_y - log(1 - max_{k != y} p_k)

    It asks the more of an image the less the network knows it. beta is the paper's lambda; attack: a Near. criterion is not used.

    Source: Y. Wang et al., Improving Adversarial Robustness Requires Revisiting Misclassified Examples (2020), eq. 8 to 12.
    """

    attack: Near
    criterion: Criterion = F.cross_entropy
    beta: float = 5.0

    def __post_init__(self) -> None:
        check_near(self.attack, self.beta)

    def loss(self, model: Model, images: Tensor, inner: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        clean, logits = model(images), model(inner)
        known = F.softmax(clean, 1)
        apart = F.kl_div(F.log_softmax(logits, 1), known, reduction="none").sum(1)
        unsure = 1 - known.gather(1, targets.reshape(-1, 1)).squeeze(1)
        return boosted_cross_entropy(logits, targets).mean() + self.beta * (apart * unsure).mean(), logits


def check_near(attack: PGD, beta: float) -> None:
    """ValueError unless the attack begins beside the image and goes up the loss of the label, and beta is finite, at least 0."""
    if not isinstance(attack, Near) or (attack.target, attack.direction) != ("label", "ascend"):
        raise ValueError('this defence trains against Near(target="label", direction="ascend")')
    size("beta", beta)


def boosted_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """-log p_y - log(1 - max_{k != y} p_k) of each image, (N,). 1 - p_k is the sum of the others: their log sum exp is exact."""
    own = F.one_hot(classes, logits.shape[1]).to(logits.dtype) > 0
    rival = logits.detach().masked_fill(own, -np.inf).argmax(1)
    others = logits.masked_fill(F.one_hot(rival, logits.shape[1]).to(logits.dtype) > 0, -np.inf)
    return F.cross_entropy(logits, classes, reduction="none") + logits.logsumexp(1) - others.logsumexp(1)


@dataclass
class Fast(PGDTraining):
    """PGD training of one step: from a uniform start, alpha = 1.25 epsilon along the sign of the gradient, projected.

    So cheap a training may suddenly learn to resist that one step and nothing else: catastrophic overfitting. `symptoms` looks
    for it: {"fast_top1", "pgd_top1"}, how many of the images (percent) are right after the step, and after PGD of 10
    steps of epsilon / 4; and whether the network is "overfitted", as `overfitted` has it.

    Source: E. Wong et al., Fast is better than free: Revisiting adversarial training (2020), algorithm 3, and 5.1.
    """

    def symptoms(self, model: Model, images: Tensor, labels: Any) -> dict[str, Any]:
        found = {}
        for name, attack in probes(self.attack).items():
            with quiet(), untouched(model), no_grad():
                logits = model(attack(model, images, labels))
                right = logits.argmax(1) == as_tensor(labels).to(images.device)
            found[f"{name}_top1"] = 100 * int(right.sum().item()) / len(images)
        return found | {"overfitted": overfitted(found["fast_top1"], found["pgd_top1"], logits.shape[1])}


def overfitted(fast: float, pgd: float, classes: int) -> bool:
    """Whether of the images (percent) that are right after one step PGD leaves less than half; of a network that has learnt
    something: after one step it is a tenth of the way from chance to 100 %, at least."""
    chance = 100 / classes
    return fast > chance + LEARNT * (100 - chance) and pgd < COLLAPSE * fast


def probes(attack: Any) -> dict[str, Any]:
    """The one step of a fast defence, and the PGD that it is compared with; their random numbers are always the same."""
    quarter = tuple([number / 4 for number in each(attack.epsilon)])
    alpha = quarter if len(quarter) > 1 else quarter[0]
    strong = replace(attack, steps=PROBE_STEPS, alpha=alpha, generator=Generator(0))
    return {"fast": replace(attack, generator=Generator(0)), "pgd": strong}


@dataclass
class Free(PGDTraining):
    """Each batch is trained on `replays` times in a row, and each backward pass serves both the weights and the perturbation:

        x' = box(x + d);  w <- w - lr dL/dw;  d <- project(d + alpha sign(dL/dx')),  L = CE(z(x'), y)

    d goes on from batch to batch, from 0; it is projected into the ball alone, x' into the box (`clip`). Of the attack, which makes
    no steps of its own, the threat model and alpha are used; the paper's alpha is epsilon. In norm "l2" d moves along the
    gradient's direction. d is part of `state`.

    Source: A. Shafahi et al., Adversarial Training for Free! (2019), algorithm 1.
    """

    attack: PGD
    criterion: Criterion = F.cross_entropy
    replays: int = 8
    perturbation: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        integer("replays", self.replays)

    def inner(self, model: Model, images: Tensor, labels: Any) -> Tensor:
        check_images(images)
        with no_grad():
            if self.perturbation is None or self.perturbation.shape != images.shape:
                self.perturbation = zeros_like(images)
            space = self.attack.space(images)
            moved = space.box(images + self.perturbation.to(images))
        self._moved = moved.detach().requires_grad_()
        return self._moved

    def after(self) -> None:
        gradient, moved = self._moved.grad, self._moved.detach()
        if gradient is None:
            return
        with no_grad():
            ball = replace(self.attack, clip=None).space(zeros_like(moved))
            assert self.perturbation is not None
            alpha = ball.amount("alpha", self.attack.alpha)
            self.perturbation = ball.move(self.perturbation.to(moved), ball.slope(gradient), alpha)

    def state(self) -> dict[str, np.ndarray]:
        return {} if self.perturbation is None else {"perturbation": self.perturbation.numpy(force=True)}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.perturbation = from_numpy(arrays["perturbation"]) if "perturbation" in arrays else None


@dataclass
class Noise(Defence):
    """Cross-entropy of x + sigma N(0, 1): what a network needs to be smoothed with certified radii (`defences.Smoothed`).

    sigma is in the units of the network's input, or with std, a number for each channel, in pixels (values from 0 to 1).
    Targets may be (N, M). Source: J. Cohen et al., Certified Adversarial Robustness via Randomized Smoothing (2019), 3.3.
    """

    sigma: float = 0.25
    std: Amount | None = None
    criterion: Criterion = F.cross_entropy
    generator: Generator = field(default_factory=lambda: Generator(0), repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise ValueError(f"sigma must be finite and above 0, got {self.sigma}")

    def inner(self, model: Model, images: Tensor, labels: Any) -> Tensor:
        check_images(images)
        return images + noise(self.generator, images, self.sigma, self.std)


def noise(generator: Generator, images: Tensor, sigma: float, std: Amount | None) -> Tensor:
    """Normal numbers of the shape of the images, sigma times as large; with std in pixels."""
    drawn = from_numpy(generator.normal(0, 1, images.shape, images.dtype)).to(images.device) * sigma
    return drawn if std is None else drawn / per_channel("std has", each(std), images)


class quiet(warnings.catch_warnings):
    """Within it no AttackWarning: in training an image without a gradient is one that the network is sure of."""

    def __enter__(self) -> None:  # type: ignore[override]
        super().__enter__()
        warnings.simplefilter("ignore", AttackWarning)


DEFENCES = {"pgd": PGDTraining, "trades": TRADES, "mart": MART, "fast": Fast, "free": Free, "noise": Noise}
"""The defences by the names that --defence takes."""
