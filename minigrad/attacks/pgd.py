"""Gradient attacks on images: small changes that a network is wrong about.

N images of shape (C, H, W); x0 the images as they are, x the perturbed ones, y the labels (N,).
"""

from __future__ import annotations

import warnings
from collections.abc import Generator as Generator_
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from minigrad.attacks.amounts import Amount, integer, size
from minigrad.attacks.attack import (
    Attack,
    AttackWarning,
    Choice,
    always,
    batch_axis,
    check_classes,
    check_images,
    check_logits,
    indices,
    pick,
    put,
    tensor_of,
)
from minigrad.attacks.captured import graphs_for
from minigrad.attacks.gradient import Model, loss_and_gradient, untouched
from minigrad.attacks.losses import LOSSES, NAMES, Loss, cross_entropy, dlr_targeted
from minigrad.attacks.space import Space
from minigrad.dtypes import bool_
from minigrad.grad_mode import no_grad
from minigrad.nn import Module
from minigrad.tensor import Tensor

CHOICES = {
    "target": ("least-likely", "label", "most-likely", "given"),
    "direction": ("descend", "ascend"),
}


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


Path = Generator_[Step, Tensor | None, None]


@dataclass
class Run:
    """What one start of an attack goes on with: N images, labels and targets, if there are any, and classes once chosen."""

    space: Space
    x: Tensor
    labels: Tensor | None = None
    targets: Tensor | None = None
    chosen: Tensor | None = None
    extra: Tensor | None = None  # what a kind of attack remembers
    looked: bool = field(default=False, init=False)  # whether its labels and targets have been checked

    def keep(self, index: Tensor) -> None:
        """Go on with these images alone."""
        self.space, self.x = self.space.keep(index), self.x[index]
        for name in ("labels", "targets", "chosen", "extra"):
            if (value := getattr(self, name)) is not None:
                setattr(self, name, value[index])


@dataclass(frozen=True)
class PGD(Attack):
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
        norm: "linf" or "l2", of one image's perturbation; "l1", the sum of its numbers, of which a step changes the hundredth with
            the steepest slope; "l0", how many of its C H W numbers change: epsilon is a count, alpha the largest change of a step.
        target, direction, retarget: see above.
        random_start: begin at a random point of the ball instead of at the image.
        restarts: begin so many times (random_start), and keep of each image the end with the largest loss of its label
            (target "given": that went furthest in the attack's direction); one more forward pass for each.
        clip: (low, high), the values that stay valid; None: any.
        units: "normalised", those of the network's input; or "pixel", those of the image before (v - mean) / std: epsilon
            8/255 and clip (0, 1), say. Pixel units need mean and std, a number for each channel.
        loss: "ce", cross-entropy; "cw", the margin max_(i != y) z_i - z_y; "dlr", the difference of logits ratio, which no
            scale of the logits changes; "dlr-targeted", the ratio from the label to the target, which needs labels beside
            the target. Or loss(logits, classes), for each image (N,), or summed, or averaged: it makes no difference, for
            only the gradient's direction within an image counts.
        generator: where random starts come from; successive calls go on in its stream.

    The defaults are the handout's: least likely class, descend, 10 steps, alpha .01, epsilon .1, no random start, no clip.

    Raises ValueError for values outside of these, labels or targets (used or not) outside the model's classes, or images
    outside of clip. Gradients of zero are said by an AttackWarning: those images stay where they are. FloatingPointError if
    loss or gradient are not finite.

    Source: A. Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks (2018), 2.1; the least likely
    class: A. Kurakin et al., Adversarial Examples in the Physical World (2017), 2.3; "l1": F. Tramer and D. Boneh, Adversarial
    Training and Robustness for Multiple Perturbations (2019), 4; "l0": F. Croce and M. Hein, Sparse and Imperceivable
    Adversarial Attacks (2019), 3.2.
    """

    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1", "l0")

    steps: int = 10
    alpha: Amount = 0.01
    epsilon: Amount = 0.1
    norm: Literal["linf", "l2", "l1", "l0"] = "linf"
    target: Literal["least-likely", "label", "most-likely", "given"] = "least-likely"
    direction: Literal["descend", "ascend"] = "descend"
    retarget: bool = True
    random_start: bool = False
    restarts: int = 1
    loss: Literal["ce", "dlr", "dlr-targeted", "cw"] | Loss = "ce"

    def __post_init__(self) -> None:
        for name in ("steps", "restarts"):
            self._set(name, integer(name, getattr(self, name)))
        self._set("alpha", size("alpha", self.alpha))
        self._check_threat()
        for name, known in CHOICES.items():
            self._check_choice(name, known)
        if not callable(self.loss):
            self._check_choice("loss", NAMES)
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts without random_start would all end at the same place")
        if self.norm != "linf" and isinstance(self.alpha, tuple):
            self._refuse_channels()
        if self.loss == "dlr-targeted" and self.target == "label":
            raise ValueError(
                "the loss 'dlr-targeted' leads from the label to a target: aim at another class than the label"
            )

    def _perturbed(self, model: Model, images: Tensor, labels: Any, targets: Any) -> Tensor:
        """The perturbed images; labels are needed for target "label", and for restarts, targets for target "given"."""
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

    def path(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> Path:
        """The iterates of one start, each computed when it is asked for.

        As a generator it may be sent the indices (int64) of the images to go on with: the others leave the batch.
        """
        run = self._start(images, labels, targets)
        alpha = run.space.amount("alpha", self.alpha)
        momentum = None
        for index in range(self.steps):
            logits, classes, loss, gradient = self._look(model, run)
            with no_grad():
                check_step(index, loss, gradient)
                if not self.retarget or self.target in ("label", "given"):  # those are checked once
                    run.chosen = classes
                momentum = self._momentum(run.space.slope(gradient), momentum)
                moved = run.space.move(run.x, momentum, self._sign * alpha)
            keep = yield Step(index, run.x, logits, classes, loss, gradient, moved)
            run.x = moved
            if keep is not None:
                run.keep(keep)
                momentum = momentum[keep]

    def worst(self, model: Model, images: Tensor, labels: Any, targets: Any = None) -> tuple[Tensor, Tensor]:
        """Of each image the first iterate that the model gets wrong, else where it ends; and whether it is wrong: (N,).

        An image leaves the batch as soon as the model is wrong about it; restarts are for those that are right still.
        """
        with untouched(model):
            found, wrong = images.detach(), images.new_zeros(len(images), dtype=bool_)
            labels, targets = (
                None if given is None else tensor_of(name, given).to(images.device)
                for name, given in (("labels", labels), ("targets", targets))
            )
            for _ in range(self.restarts):
                left = indices(~wrong)
                if len(left):
                    aims = None if targets is None else targets[left]
                    x, fooled = self._first_wrong(model, images[left].detach(), labels[left], aims)
                    found, wrong = put(found, left, x), put(wrong, left, fooled)
        return found, wrong

    def _first_wrong(
        self, model: Model, images: Tensor, labels: Tensor, targets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """`worst` of one start."""
        found, wrong = images, images.new_zeros(len(images), dtype=bool_)
        left, path = indices(~wrong), self.path(model, images, labels, targets)
        step = next(path)
        while True:
            with no_grad():
                fooled = step.logits.argmax(1) != labels[left]
                found = put(found, left, step.moved if not fooled.any() else pick(fooled, step.images, step.moved))
                wrong, keep = put(wrong, left, fooled), indices(~fooled)
                left, end = left[keep], step.moved[keep]
            if not len(left):
                path.close()
                return found, wrong
            try:
                step = path.send(keep)
            except StopIteration:
                break
        with no_grad():
            return found, put(wrong, left, model(end).argmax(1) != labels[left])

    def _start(self, images: Tensor, labels: Any, targets: Any) -> Run:
        """Where the attack may go, where it begins, and whose loss is meant."""
        check_images(images)
        with no_grad():
            images = images.detach()
            space = self.space(images)
            x = space.random(self.generator) if self.random_start else images
        pairs = (("labels", labels), ("targets", targets))
        return Run(space, x, *(None if given is None else tensor_of(name, given) for name, given in pairs))

    def _look(self, model: Model, run: Run) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(logits, classes, losses, gradient) where the attack is."""
        graphs = graphs_for(model, run.x, self.loss) if run.looked else None
        if graphs is not None and isinstance(model, Module):
            return graphs.look(model, run.x, str(self.loss), run.chosen, self.target == "least-likely")
        choose = self._choice(run.labels, run.targets) if run.chosen is None else always(run.chosen)
        with batch_axis(run.x):
            found = loss_and_gradient(model, run.x, choose, self.loss_function(run.labels))
        run.looked = True
        return found

    def loss_function(self, labels: Any = None) -> Loss:
        """loss(logits, classes) of these labels, which "dlr-targeted" needs."""
        if callable(self.loss):
            return self.loss
        if self.loss in LOSSES:
            return LOSSES[self.loss]
        if labels is None:
            raise ValueError("the loss 'dlr-targeted' needs labels, beside the target")
        return lambda logits, classes: dlr_targeted(logits, check_classes(labels, logits, "labels"), classes)

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


def check_step(index: int, loss: Tensor, gradient: Tensor) -> None:
    """FloatingPointError if loss or gradient are not finite; at the first step, an AttackWarning if images have none."""
    finite = {"loss": loss.isfinite().all(), "gradient": gradient.isfinite().all()}
    if not (finite["loss"] & finite["gradient"]):  # one look for both: a GPU is waited for
        for name in [name for name in finite if not finite[name]]:
            raise FloatingPointError(f"the {name} is NaN or infinite in step {index + 1} of the attack")
    if index > 0:
        return
    still = len(gradient) - int((gradient != 0).flatten(1).any(1).sum().item())
    if still:
        warnings.warn(
            f"the gradient of the loss is zero for {still} of {len(gradient)} images, which stay as they are: the model "
            "does not depend on them there, or hides its gradient. That is no robustness",
            AttackWarning,
            stacklevel=6,  # the line that calls the attack
        )
