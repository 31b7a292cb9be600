"""Gradient attacks on images: small changes that a network is wrong about.

N images of shape (C, H, W); x0 the images as they are, x the perturbed ones, y the labels (N,).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from minigrad.attacks.amounts import Amount, amount, each, integer, size
from minigrad.attacks.gradient import Loss, Model, cross_entropy, loss_and_gradient, untouched
from minigrad.attacks.space import Space
from minigrad.dtypes import int64
from minigrad.grad_mode import no_grad
from minigrad.ops.creation import as_tensor
from minigrad.random import Generator
from minigrad.tensor import Tensor, describe

Choice = Callable[[Tensor], Tensor]
"""From logits (N, M) to the classes (N,) whose loss an attack looks at."""

CHOICES = {
    "norm": ("linf", "l2"),
    "target": ("least-likely", "label", "most-likely", "given"),
    "direction": ("descend", "ascend"),
    "units": ("normalised", "pixel"),
}


class AttackWarning(UserWarning):
    """An attack could not do what its name says: it met gradients of zero."""


@dataclass(frozen=True)
class Step:
    """One step of an attack: where it stood, what it saw there, and where it went. The last one went where the attack ends."""

    index: int
    images: Tensor  # x, before the step
    logits: Tensor  # model(x)
    classes: Tensor  # (N,): whose loss the step goes down or up
    loss: Tensor  # of each image (N,), or one number, as the loss function gives it
    gradient: Tensor  # d loss / d x
    moved: Tensor  # x after the step


@dataclass(frozen=True)
class PGD:
    """Projected gradient descent: `steps` steps of size alpha, each projected into the ball of epsilon around the image.

        x <- project(x -+ alpha sign(g))          norm "linf"
        x <- project(x -+ alpha g / |g|_2)        norm "l2",   g = d loss(model(x), class) / dx,  x in `units`

    minus to "descend", plus to "ascend". The class is the `target`: the "least-likely" or the "most-likely" one by the
    model's own logits, chosen anew at each step (retarget) or once on the clean images, the "label", or the ones "given".
    Descending on the least likely class pushes images there; ascending on the label pushes them away from the truth.

    An attack is a plain value: make one, call it with model, images and labels. It touches nothing of the model (gradients,
    running statistics, mode) and draws from its own generator. Where g is so near zero that float32 cannot tell its sign,
    two machines may step to different sides there: the same attack then ends in other images, about equally strong.

    Args:
        steps: at least 1; each costs one forward and one backward pass.
        alpha, epsilon: size of a step and of the ball, in `units`; finite, at least 0. In the max norm either may be a number
            for each channel: a sequence, array or Tensor (C,), (C, 1, 1) or (1, C, 1, 1).
        norm: "linf" or "l2", of one image's perturbation.
        target, direction, retarget: see above.
        random_start: begin at a random point of the ball instead of at the image.
        restarts: begin so many times (random_start), and keep of each image the end with the largest loss of its label
            (target "given": that went furthest in the attack's direction); one more forward pass for each.
        clip: (low, high), the values that stay valid; None: any.
        units: "normalised", those of the network's input; or "pixel", those of the image before (v - mean) / std: epsilon
            8/255 and clip (0, 1), say. Pixel units need mean and std, a number for each channel.
        loss: loss(logits, classes), for each image (N,), or summed, or averaged: it makes no difference, for only the
            gradient's direction within an image counts.
        generator: where random starts come from; successive calls go on in its stream.

    The defaults are the handout's: least likely class, descend, 10 steps, alpha .01, epsilon .1, no random start, no clip.

    Raises ValueError for values outside of these, labels or targets (used or not) outside the model's classes, or images
    outside of clip. Gradients of zero are said by an AttackWarning: those images stay where they are. FloatingPointError if
    loss or gradient are not finite.

    Source: A. Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks (2018), 2.1; the least likely
    class: A. Kurakin et al., Adversarial Examples in the Physical World (2017), 2.3.
    """

    steps: int = 10
    alpha: Amount = 0.01
    epsilon: Amount = 0.1
    norm: Literal["linf", "l2"] = "linf"
    target: Literal["least-likely", "label", "most-likely", "given"] = "least-likely"
    direction: Literal["descend", "ascend"] = "descend"
    retarget: bool = True
    random_start: bool = False
    restarts: int = 1
    clip: tuple[float, float] | None = None
    units: Literal["normalised", "pixel"] = "normalised"
    mean: Amount | None = None
    std: Amount | None = None
    loss: Loss = cross_entropy
    generator: Generator = field(default_factory=lambda: Generator(0), compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("steps", "restarts"):
            self._set(name, integer(name, getattr(self, name)))
        for name in ("alpha", "epsilon"):
            self._set(name, size(name, getattr(self, name)))
        for name in ("mean", "std"):
            if getattr(self, name) is not None:
                self._set(name, each(amount(name, getattr(self, name))))
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts without random_start would all end at the same place")
        if self.norm == "l2" and (isinstance(self.epsilon, tuple) or isinstance(self.alpha, tuple)):
            raise ValueError(
                'a number for each channel belongs to the norm "linf": a ball of the norm "l2" has one radius '
                '(in units="pixel" it is one of pixels)'
            )
        if self.clip is not None:
            low, high = (bound if type(bound) in (int, float) else float(bound) for bound in self.clip)
            if not low < high:
                raise ValueError(f"clip must be (low, high) with low < high, got {self.clip}")
            self._set("clip", (low, high))
        if self.units == "pixel" and (self.mean is None or self.std is None):
            raise ValueError("pixel units need the mean and std that the images were normalised with")
        if self.std is not None and not all(value > 0 for value in self.std):
            raise ValueError(f"std must be above 0 in each channel, got {self.std}")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen

    def __call__(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> Tensor:
        """The perturbed images (N, C, H, W), of the dtype and on the device of `images`.

        Args:
            model: images (N, C, H, W) -> logits (N, classes).
            labels: (N,) integers; needed for target "label", and for restarts.
            targets: (N,) integers, for target "given".
        """
        best = self._attempt(model, images, labels, targets)
        if self.restarts == 1:
            return best
        best_score = self._score(model, best, labels, targets)
        for _ in range(self.restarts - 1):
            x = self._attempt(model, images, labels, targets)
            score = self._score(model, x, labels, targets)
            better = score > best_score
            best, best_score = pick(better, x, best), pick(better, score, best_score)
        return best

    def _attempt(self, model: Model, images: Tensor, labels: Any, targets: Any) -> Tensor:
        """Where one start ends."""
        x = images
        for step in self.path(model, images, labels, targets):
            x = step.moved
        return x

    def _score(self, model: Model, x: Tensor, labels: Any, targets: Any) -> Tensor:
        """How far each image (N,) has come: what the restarts are compared by."""
        name, classes, sign = ("targets", targets, self._sign) if self.target == "given" else ("labels", labels, 1.0)
        if classes is None:
            raise ValueError(f"restarts need {name}, to tell which end is the worst")
        with untouched(model), no_grad():
            logits = check_logits(model(x))
            return sign * cross_entropy(logits, check_classes(classes, logits, name))

    def path(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> Iterator[Step]:
        """The iterates of one start, each computed when it is asked for."""
        space, x, choose = self._start(images, labels, targets)
        alpha = space.amount("alpha", self.alpha)
        momentum = None
        for index in range(self.steps):
            logits, classes, loss, gradient = self._look(model, x, choose)
            with no_grad():
                check_step(index, loss, gradient)
                if not self.retarget:
                    choose = always(classes)
                momentum = self._momentum(space.slope(gradient), momentum)
                moved = space.move(x, momentum, self._sign * alpha)
            yield Step(index, x, logits, classes, loss, gradient, moved)
            x = moved

    def space(self, x0: Tensor) -> Space:
        """The threat model: where the perturbed images of x0 may lie."""
        mean, std = (self.mean, self.std) if self.units == "pixel" else (None, None)
        return Space(x0, self.epsilon, self.norm, self.clip, mean, std)

    def noise(self, images: Tensor) -> Tensor:
        """A random point of the same ball and box: what an attack has to beat."""
        with no_grad():
            return self.space(images.detach()).random(self.generator)

    def _start(self, images: Tensor, labels: Any, targets: Any) -> tuple[Space, Tensor, Choice]:
        """Where the attack may go, where it begins, and whose loss is meant."""
        _check_images(images)
        with no_grad():
            images = images.detach()
            space = self.space(images)
            x = space.random(self.generator) if self.random_start else images
        return space, x, self._choice(labels, targets)

    def _look(self, model: Model, x: Tensor, choose: Choice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(logits, classes, losses, gradient) at x."""
        with batch_axis(x):
            return loss_and_gradient(model, x, choose, self.loss)

    @property
    def _sign(self) -> float:
        """Which way the loss is to go: 1 up, -1 down."""
        return -1.0 if self.direction == "descend" else 1.0

    def _momentum(self, slope: Tensor, before: Tensor | None) -> Tensor:
        """Which way to step, given the slope (the gradient in units) and the way of the step before."""
        return slope

    def _choice(self, labels: Any, targets: Any) -> Choice:
        """Whose loss is meant. Labels and targets are checked wherever they are given, used or not."""
        name = {"label": "labels", "given": "targets"}.get(self.target)
        given = {key: value for key, value in (("labels", labels), ("targets", targets)) if value is not None}
        if name is not None and name not in given:
            raise ValueError(f"target {self.target!r} needs {name}")

        def choose(logits: Tensor) -> Tensor:
            check_logits(logits)
            classes = {key: check_classes(value, logits, key) for key, value in given.items()}
            if name is not None:
                return classes[name]
            return logits.argmin(1) if self.target == "least-likely" else logits.argmax(1)

        return choose


NO_BATCH = "is the batch axis missing? images[None] is a batch of one image"


@contextmanager
def batch_axis(images: Tensor) -> Iterator[None]:
    """A ValueError that asks for the batch axis, where a model refuses images of three axes: they may be one (C, H, W)."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError) as error:
        if images.ndim != 3 or NO_BATCH in str(error):
            raise
        raise ValueError(f"the model refuses images that are {describe(images)}: {NO_BATCH} ({error})") from error


def check_logits(logits: Tensor) -> Tensor:
    """The logits (N, M) of a model. ValueError for another number of axes."""
    if logits.ndim != 2:
        raise ValueError(f"the model gives {describe(logits)}, not logits (N, classes): {NO_BATCH}")
    return logits


def always(classes: Tensor) -> Choice:
    """The same classes, whatever the logits."""
    return lambda logits: classes


def pick(which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Image by image, `yes` where `which` (N,) holds, and `no` elsewhere."""
    return yes.where(which.reshape(-1, *(1 for _ in yes.shape[1:])), no)


def check_classes(given: Any, logits: Tensor, name: str) -> Tensor:
    """`given` as classes (N,) on the logits' device. ValueError unless they are integers that the logits (N, M) have."""
    check_logits(logits)
    classes = as_tensor(given).to(logits.device)
    count, most = logits.shape[0], logits.shape[1]
    if classes.shape != (count,) or classes.dtype.kind not in "iu":
        raise ValueError(f"{name} must be {count} integers, got {describe(classes)}")
    if count and not 0 <= classes.min().item() <= classes.max().item() < most:
        raise ValueError(
            f"{name} must be classes from 0 to {most - 1}, got {classes.min().item()} to {classes.max().item()}"
        )
    return classes.to(int64)


def _check_images(images: Tensor) -> None:
    if not isinstance(images, Tensor) or images.ndim < 2 or images.dtype.kind != "f":
        raise ValueError(f"images must be a floating-point Tensor (N, C, H, W), got {describe(images)}")


def check_step(index: int, loss: Tensor, gradient: Tensor) -> None:
    """FloatingPointError if loss or gradient are not finite; at the first step, an AttackWarning if images have none."""
    for name, value in (("loss", loss), ("gradient", gradient)):
        if not value.isfinite().all():
            raise FloatingPointError(f"the {name} is NaN or infinite in step {index + 1} of the attack")
    if index > 0:
        return
    still = len(gradient) - int((gradient != 0).flatten(1).any(1).sum().item())
    if still:
        warnings.warn(
            f"the gradient of the loss is zero for {still} of {len(gradient)} images, which stay as they are: the model "
            "does not depend on them there, or hides its gradient. That is no robustness",
            AttackWarning,
            stacklevel=5,  # the line that calls the attack
        )
