"""One change for all images: a universal perturbation, and a patch; found on some images, and good for others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

from minigrad.attacks.amounts import Amount, amount, each, integer, per_channel, size
from minigrad.attacks.attack import Attack, aim_of, always, check_classes, check_images, check_logits
from minigrad.attacks.gradient import Model, loss_and_gradient, untouched
from minigrad.attacks.losses import cross_entropy
from minigrad.autograd import enable_grad, grad
from minigrad.grad_mode import no_grad
from minigrad.nn import functional as F
from minigrad.ops.creation import as_tensor, from_numpy, ones_like, zeros_like
from minigrad.random import Generator
from minigrad.tensor import Tensor

Batches = Iterable[tuple[Tensor, Any]]
"""(images, labels), which are gone through more than once."""


class Fitted:
    """What both attacks are: `fit` finds the change on batches of images, and gives an attack that makes it on any."""

    steps: int
    perturbation: Tensor | None

    def fit(self, model: Model, batches: Batches) -> Self:
        """The attack with its change found: `steps` passes over the batches. ValueError where there are none."""
        *_, last = self.path(model, batches)
        return last

    def path(self, model: Model, batches: Batches) -> Iterator[Self]:
        """The attack after each step, which is one of each batch in each pass."""
        found, batches = self, list(batches)
        if not batches:
            raise ValueError("a change for all images is found on some: give batches of (images, labels)")
        for _ in range(self.steps):
            for images, labels in batches:
                check_images(images)
                aim_of("labels", labels, None)
                found = found._step(model, images.detach(), labels)
                yield found

    def _step(self, model: Model, images: Tensor, labels: Any) -> Self:
        raise NotImplementedError

    def _found(self) -> Tensor:
        if self.perturbation is None:
            raise ValueError(f"{type(self).__name__} has to be fitted first: attack.fit(model, batches)")
        return self.perturbation


@dataclass(frozen=True)
class Universal(Fitted, Attack):
    """A universal perturbation: one d with |d| <= epsilon that raises the loss of as many images as it can.

        d <- project(d + alpha sign(sum_i dL_i / dx_i)),   L_i = min(CE(z(box(x_i + d)), y_i), cap)

    over the images of a batch, batch by batch. The cap keeps a few images, on which the loss has no bound, from taking all. In the
    norm "l2" a step goes along the gradient's direction. The box (`clip`) is passed by the gradient as if it were not there.

    steps: passes over the batches. Fields of the threat model: as PGD says. perturbation: d, (1, C, H, W), once it is found.

    Source: A. Shafahi et al., Universal Adversarial Training (2020), section 3; the notion: S. Moosavi-Dezfooli et al.,
    Universal Adversarial Perturbations (2017).
    """

    steps: int = 10
    alpha: Amount = 0.01
    epsilon: Amount = 0.1
    norm: Literal["linf", "l2"] = "linf"
    clip: tuple[float, float] | None = None
    units: Literal["normalised", "pixel"] = "normalised"
    mean: Amount | None = None
    std: Amount | None = None
    cap: float = 9.0
    generator: Generator = field(default_factory=lambda: Generator(0), compare=False, repr=False)
    perturbation: Tensor | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._set("steps", integer("steps", self.steps))
        self._set("alpha", size("alpha", self.alpha))
        self._check_threat()
        if not self.cap > 0:
            raise ValueError(f"cap must be above 0, got {self.cap}")

    def _perturbed(self, model: Model, images: Tensor, labels: Any, targets: Any) -> Tensor:
        check_images(images)
        found = self._found()
        if found.shape[1:] != images.shape[1:]:
            raise ValueError(f"the perturbation was found on images {found.shape[1:]}, these are {images.shape[1:]}")
        with no_grad():
            return self.space(images.detach()).box(images.detach() + found.to(images))

    def _step(self, model: Model, images: Tensor, labels: Any) -> Self:
        ball = replace(self, clip=None).space(zeros_like(images[:1]))
        before = zeros_like(images[:1]) if self.perturbation is None else self.perturbation
        moved = self.space(images).box(images + before)
        classes = always(as_tensor(labels).to(images.device))

        def capped(logits: Tensor, classes: Tensor) -> Tensor:
            return cross_entropy(logits, check_classes(classes, logits, "labels")).clamp(max=self.cap)

        gradient = loss_and_gradient(model, moved, classes, capped)[3]
        with no_grad():
            slope = ball.slope(gradient.sum(0, keepdim=True))
            return replace(self, perturbation=ball.move(before, slope, ball.amount("alpha", self.alpha)))


@dataclass(frozen=True)
class Patch(Fitted):
    """An adversarial patch: a square picture that, anywhere in an image, makes the network blind for the rest.

        x' = (1 - m) x + m warped(p),   p <- clamp(p + alpha sign(sum_i dCE(z(x'_i), y_i) / dp), 0, 1)

    warped turns p by up to `angle` degrees, scales it by a factor of `scales`, and puts it where it fits (the expectation over
    transformations); m is 1 where it lies. With a `target` the step goes down the loss of that class instead.

    p begins at random, and has pixels from 0 to 1, which mean and std, a number for each channel, make images of. share: the
    patch's side, in sides of the image. steps: passes over the batches. perturbation: p, (1, C, P, P), once it is found. Each
    call draws new places.

    Source: T. Brown et al., Adversarial Patch (2017), eq. 1.
    """

    mean: Amount
    std: Amount
    steps: int = 10
    alpha: float = 0.05
    share: float = 0.3
    angle: float = 20.0
    scales: tuple[float, float] = (0.9, 1.1)
    target: int | None = None
    generator: Generator = field(default_factory=lambda: Generator(0), compare=False, repr=False)
    perturbation: Tensor | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        integer("steps", self.steps), size("alpha", self.alpha)
        for name in ("mean", "std"):
            object.__setattr__(self, name, each(amount(name, getattr(self, name))))
        low, high = self.scales
        if not 0 < self.share * low <= self.share * high <= 1 / np.sqrt(2):
            raise ValueError(
                f"share {self.share:g} at scales {low:g} to {high:g}: a patch, turned, has to fit the image"
            )

    def __call__(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> Tensor:
        """The images with the patch, each at a place of its own."""
        check_images(images)
        with no_grad():
            return self._applied(images.detach(), self._found().to(images), self._places(images))

    def _step(self, model: Model, images: Tensor, labels: Any) -> Self:
        p = (
            (self._start(images) if self.perturbation is None else self.perturbation.to(images))
            .detach()
            .requires_grad_()
        )
        with untouched(model), enable_grad():
            logits = check_logits(model(self._applied(images, p, self._places(images))))
            aim = np.full(len(images), self.target) if self.target is not None else labels
            loss = cross_entropy(logits, check_classes(aim, logits, "labels" if self.target is None else "target"))
            gradient: Any = grad(loss.sum(), p)[0]
        with no_grad():
            step = gradient.sign() * (self.alpha if self.target is None else -self.alpha)
            return replace(self, perturbation=(p.detach() + step).clamp(0, 1))

    def _start(self, images: Tensor) -> Tensor:
        """A patch of random pixels: in a flat one, windows of max pools would tie."""
        side = max(round(self.share * min(images.shape[2:])), 1)
        drawn = self.generator.uniform(0, 1, (1, images.shape[1], side, side), images.dtype)
        return from_numpy(drawn).to(images.device)

    def _places(self, images: Tensor) -> Tensor:
        """theta (N, 2, 3): from places in the image to places in the patch, each from -1 to 1."""
        count = len(images)
        drawn = self.generator.uniform(0, 1, (count, 4), np.float64)
        turn = np.deg2rad(self.angle) * (2 * drawn[:, 0] - 1)
        half = self.share * (self.scales[0] + (self.scales[1] - self.scales[0]) * drawn[:, 1])
        spare = 1 - half * (np.abs(np.cos(turn)) + np.abs(np.sin(turn)))
        x, y = (spare * (2 * drawn[:, k] - 1) for k in (2, 3))
        cos, sin = np.cos(turn) / half, np.sin(turn) / half
        theta = np.stack([cos, sin, -cos * x - sin * y, -sin, cos, sin * x - cos * y], 1).reshape(count, 2, 3)
        return from_numpy(theta.astype(images.dtype)).to(images.device)

    def _applied(self, images: Tensor, p: Tensor, theta: Tensor) -> Tensor:
        """The images with the patch p on them."""
        grid = F.affine_grid(theta, images.shape, align_corners=False)
        mean, std = (per_channel("mean and std have", each(v), images) for v in (self.mean, self.std))
        shown = ((p - mean) / std).expand(len(images), *p.shape[1:])
        mask = F.grid_sample(ones_like(shown[:, :1]), grid, align_corners=False)
        return images * (1 - mask) + F.grid_sample(shown, grid, align_corners=False)
