"""Attacks that look for the smallest change: DeepFool, Carlini and Wagner's, and the one that decouples direction and norm."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi
from typing import Any, Literal

from minigrad.attacks.amounts import Amount, integer, size
from minigrad.attacks.attack import aim_of, check_classes, indices, pick, put
from minigrad.attacks.boundary import MinimumNorm, clean_answers, each_of, nearest_plane
from minigrad.attacks.criteria import Criterion, Misclassified, check_criterion
from minigrad.attacks.gradient import Model, loss_and_gradient, untouched
from minigrad.attacks.hyperplane import project_onto
from minigrad.attacks.losses import cross_entropy
from minigrad.attacks.space import Space
from minigrad.autograd import enable_grad, grad
from minigrad.grad_mode import no_grad
from minigrad.tensor import Tensor


@dataclass(frozen=True)
class DeepFool(MinimumNorm):
    """Steps onto the nearest linearised boundary, until the model is wrong: small changes for few steps.

        x <- box(x0 + (1 + overshoot) r),   r <- r + the smallest d that takes box(x0 + r) onto the nearest plane z_i = z_y

    The source has no box: where it is in the way, r goes on growing until the others have made up for what it takes.

    Args:
        steps: at most; each costs a forward pass and a backward pass for each class.
        overshoot: how far beyond the boundary, at least 0.
        epsilon: see MinimumNorm. norm "linf" or "l2", clip, units, mean, std: as PGD's; epsilon is one number.

    Source: S. Moosavi-Dezfooli et al., DeepFool: a Simple and Accurate Method to Fool Deep Neural Networks (2016), algorithm 2.
    """

    steps: int = 50
    epsilon: Amount = 0.1
    norm: Literal["linf", "l2"] = "l2"
    overshoot: float = 0.02

    def __post_init__(self) -> None:
        self._set("steps", integer("steps", self.steps))
        self._set("overshoot", _number("overshoot", self.overshoot))
        self._check_threat()

    def nearest(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and their distances (N,): see MinimumNorm."""
        with untouched(model):
            found, distance, labels, _ = clean_answers(self, model, images, aim_of("labels", labels, targets))
            left = indices(distance > 0)
            total = found[left] * 0
            for _ in range(self.steps):
                if not len(left):
                    break
                x0, y = images[left].detach(), labels[left]
                space = self.space(x0)
                gap, slope = nearest_plane(model, space, space.box(x0 + total), y, None)
                with no_grad():
                    at, w = space.in_units(x0 + total).flatten(1), slope.flatten(1)  # gap and slope alone decide d
                    d = project_onto(at, w, (w * at).sum(1) - gap, None, None, self.norm).reshape(x0.shape)
                    total = total + d * space.unit
                    moved = space.box(x0 + total * (1 + self.overshoot))
                    wrong = model(moved).argmax(1) != y
                    out, stay = indices(wrong), indices(~wrong)
                    found = put(found, left[out], moved[out])
                    distance = put(distance, left[out], space.size(moved)[out])
                    left, total = left[stay], total[stay]
        return found, distance


@dataclass(frozen=True)
class CW(MinimumNorm):
    """Carlini and Wagner's attack: the smallest change by the 2-norm, by Adam on a penalty whose weight is searched for.

        minimise |v - v0|^2 + c max(margin(model(x)) + confidence, 0),   v = low + (high - low) (tanh(w) + 1) / 2

    v is x in the attack's units, within clip by that. c is searched for each image: halved (between the bounds) where the attack
    succeeded, else multiplied by 10 or moved to the middle; the smallest success of all is kept.

    Args:
        steps: of Adam, for each c; each costs a forward and a backward pass. lr: its rate. search: how many c are tried.
        initial: the first c. confidence: by how much of the logits a success has to lead.
        criterion: when an image is a success; its margin is what goes down.
        clip: (low, high), needed. epsilon: see MinimumNorm. units, mean, std: as PGD's.

    Source: N. Carlini and D. Wagner, Towards Evaluating the Robustness of Neural Networks (2017), VI.A.
    """

    norms = ("l2",)

    steps: int = 200
    epsilon: Amount = 1.0
    norm: Literal["l2"] = "l2"
    lr: float = 0.01
    search: int = 9
    initial: float = 1e-3
    confidence: float = 0.0
    criterion: Criterion = field(default_factory=Misclassified)

    def __post_init__(self) -> None:
        for name in ("steps", "search"):
            self._set(name, integer(name, getattr(self, name)))
        for name in ("lr", "initial", "confidence"):
            self._set(name, _number(name, getattr(self, name)))
        self._check_threat()
        check_criterion(self.criterion)
        if self.clip is None:
            raise ValueError(
                "Carlini and Wagner's attack needs clip: it moves between the lowest and the highest value"
            )

    def nearest(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and their distances (N,): see MinimumNorm."""
        aim = aim_of(self.criterion.needs, labels, targets)
        with untouched(model):
            found, _, _, logits = clean_answers(self, model, images, aim)
            classes = check_classes(aim, logits, self.criterion.needs)
            with no_grad():
                zero = logits[:, 0] * 0
                distance = zero.where(self.criterion.margin(logits, classes) < 0, float("inf"))
                space = self.space(images.detach())
                c, low, high = zero + self.initial, zero, zero + 1e10
            for _ in range(self.search):
                nearest, size = self._descend(model, space, classes, c)
                better, succeeded = size < distance, size < float("inf")
                found, distance = pick(better, nearest, found), size.where(better, distance)
                low, high = low.where(succeeded, c), c.where(succeeded, high)
                c = ((low + high) / 2).where(high < 1e9, c * 10)
        return found, distance

    def _descend(self, model: Model, space: Space, classes: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest success on the way of Adam at these c, and its distance: infinite where there was none."""
        low, high = space.bounds()
        assert low is not None and high is not None
        inside = ((space.x0 - low) / (high - low) * 2 - 1).clamp(-1, 1) * 0.999999
        w = ((1 + inside) / (1 - inside)).log() / 2  # artanh
        nearest, size = space.x0, c * 0 + float("inf")
        mean, square = w * 0, w * 0
        for step in range(1, self.steps + 1):
            with enable_grad():
                w = w.detach().requires_grad_()
                x = low + (high - low) * ((w.tanh() + 1) / 2)
                away = (x - space.x0) / space.unit
                margin = self.criterion.margin(model(x), classes)
                loss = (away * away).flatten(1).sum(1) + c * (margin + self.confidence).clamp(min=0)
                g: Any = grad(loss.sum(), w)[0]
            with no_grad():
                x, margin = x.detach(), margin.detach()
                far = space.size(x)
                better = (margin + self.confidence < 0) & (far < size)
                nearest, size = pick(better, x, nearest), far.where(better, size)
                mean, square = mean * 0.9 + g * 0.1, square * 0.999 + g * g * 0.001
                rate = self.lr / (1 - 0.9**step)
                w = w.detach() - mean * rate / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
        return nearest, size


@dataclass(frozen=True)
class DDN(MinimumNorm):
    """Decoupled direction and norm: gradient steps on a sphere that shrinks where the model is wrong, and grows where it is right.

        d <- d + a g / |g|;   r <- (1 - gamma) r where x is wrong, else (1 + gamma) r;   x <- box(x0 + r d / |d|)

    g is the gradient of the label's loss at x; a falls from 1 to .01 along a cosine. The smallest wrong x is kept.

    Args:
        steps: each costs a forward and a backward pass. gamma: above 0, below 1. radius: the first r.
        epsilon: see MinimumNorm. clip, units, mean, std: as PGD's.

    Source: J. Rony et al., Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial Attacks and Defenses (2019),
    algorithm 1, without its quantisation.
    """

    norms = ("l2",)

    steps: int = 100
    epsilon: Amount = 1.0
    norm: Literal["l2"] = "l2"
    gamma: float = 0.05
    radius: float = 1.0

    def __post_init__(self) -> None:
        self._set("steps", integer("steps", self.steps))
        for name in ("gamma", "radius"):
            self._set(name, _number(name, getattr(self, name)))
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma must be above 0 and below 1, got {self.gamma}")
        self._check_threat()

    def nearest(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and their distances (N,): see MinimumNorm."""
        with untouched(model):
            found, distance, labels, _ = clean_answers(self, model, images, aim_of("labels", labels, targets))
            space = self.space(found)
            x, radius = found, each_of(_zeros(distance) + self.radius, found)
            for step in range(self.steps):
                logits, _, _, gradient = loss_and_gradient(model, x, lambda _: labels, cross_entropy)
                with no_grad():
                    wrong = logits.argmax(1) != labels
                    far = space.size(x)
                    better = wrong & (far < distance)
                    found, distance = pick(better, x, found), far.where(better, distance)
                    rate = 0.01 + 0.99 * (1 + cos(pi * step / self.steps)) / 2
                    slope = space.slope(gradient)
                    d = (x - space.x0) / space.unit + slope * (rate / _length(space, slope))
                    radius = radius * pick(wrong, _zeros(radius) + 1 - self.gamma, _zeros(radius) + 1 + self.gamma)
                    x = space.box(space.x0 + d * (radius / _length(space, d)) * space.unit)
            with no_grad():
                far = space.size(x)
                better = (model(x).argmax(1) != labels) & (far < distance)
                return pick(better, x, found), far.where(better, distance)


def _zeros(x: Tensor) -> Tensor:
    return x.new_zeros(x.shape)


def _length(space: Space, d: Tensor) -> Tensor:
    """Of each image, for a division: (N, 1, 1, 1)."""
    length = space.length(d)
    return each_of(length.where(length > 0, 1.0), d)


def _number(name: str, value: Any) -> float:
    """A finite number of at least 0. ValueError otherwise."""
    found = size(name, value)
    if isinstance(found, tuple):
        raise ValueError(f"{name} must be one number, got {found}")
    return found
