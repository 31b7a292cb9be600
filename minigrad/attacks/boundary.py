"""FAB: the smallest change that fools the model, found by steps onto its linearised decision boundary."""

from __future__ import annotations

from collections.abc import Generator as Generator_
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from minigrad.attacks.amounts import Amount, amount, integer
from minigrad.attacks.attack import (
    Attack,
    aim_of,
    batch_axis,
    check_answers,
    check_classes,
    check_images,
    indices,
    pick,
    put,
)
from minigrad.attacks.gradient import Model, untouched
from minigrad.attacks.hyperplane import project_onto
from minigrad.attacks.losses import of_class
from minigrad.attacks.space import Space
from minigrad.autograd import enable_grad, grad
from minigrad.grad_mode import no_grad
from minigrad.ops.creation import zeros_like
from minigrad.tensor import Tensor

TINY = 1e-12
SHORT = 1e-8  # the least distance that weighs in the mean of the two projections


@dataclass(frozen=True)
class Boundary:
    """One step towards the decision boundary: x before and after it, and the nearest image so far that fools the model."""

    index: int
    images: Tensor  # x, before the step
    moved: Tensor  # x after it
    nearest: Tensor  # x0 where none has been found
    size: Tensor  # (N,): its distance from x0 in the attack's norm and units, infinite where none has been found


@dataclass(frozen=True)
class MinimumNorm(Attack):
    """The base of the attacks that look for the smallest change that fools the model, by the norm and in the units.

    `epsilon` is the radius within which `worst`, and so AutoAttack and the epsilons of a curve, call an image fooled; the search
    goes on beyond it. Called, they return the smallest found, and images as they are where they found none, or were none
    needed: the model is wrong about them as they are.
    """

    def _perturbed(self, model: Model, images: Tensor, labels: Any, targets: Any) -> Tensor:
        """The perturbed images (N, C, H, W) nearest to `images`: see the class."""
        return self.nearest(model, images, labels, targets)[0]

    def worst(self, model: Model, images: Tensor, labels: Any, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, as they are where none was found within epsilon, and which were found."""
        x, distance = self.nearest(model, images, labels, targets)
        near = distance <= self.epsilon
        return pick(near, x, images.detach()), near

    def nearest(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and their distances (N,) in the attack's norm and units: infinite where none was found."""
        raise NotImplementedError

    def _check_threat(self) -> None:
        super()._check_threat()
        if isinstance(self.epsilon, tuple):
            raise ValueError(f"a distance is one number: epsilon must be one, got {self.epsilon}")

    def _at_each(
        self, epsilons: Sequence[Any], model: Model, images: Tensor, labels: Any, targets: Any
    ) -> list[Tensor]:
        """One search, at the largest epsilon: within each epsilon what was found there, elsewhere the image as it is."""
        found, distance = self.at(max(epsilons)).nearest(model, images, labels, targets)
        return [pick(distance <= epsilon, found, images.detach()) for epsilon in epsilons]


@dataclass(frozen=True)
class FAB(MinimumNorm):
    """Fast adaptive boundary attack: steps onto the linearised boundary, biased towards the image, and back when over it.

        x <- box((1 - a) (x + eta d) + a (x0 + eta d0)),   a = min(|d| / (|d| + |d0|), alpha_max)

    d and d0 are the smallest changes (hyperplane.project_onto) that take x and x0 onto the plane on which the linearised
    difference z_s - z_y is zero; s is the class whose plane is nearest, or with `targeted` the likeliest of the others, then the
    second likeliest, and so on, `classes` of them, each for the images that are right within epsilon still. Where the model
    is wrong at the new x, that is kept if it is the nearest so far, and x goes back to x0 + beta (x - x0).

    Args:
        steps: of each start and class; each costs two forward and one backward passes (not `targeted`: one for each class).
        targeted, classes: see above. The second costs less for many classes.
        restarts: begin so many times, from the second on at a random point at half of min(epsilon, the distance so far).
        eta: at least 1: how far beyond the plane. beta: from 0 to 1: how far back. alpha_max: from 0 to 1.
        epsilon: see MinimumNorm. norm, clip, units, mean, std, generator: as PGD's; epsilon is one number.

    Raises ValueError for values outside of these or labels outside the model's classes.

    Source: F. Croce and M. Hein, Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack (2020),
    algorithm 1, without its final search; the targeted one as in AutoAttack (2020).
    """

    norms = ("linf", "l2", "l1")

    steps: int = 100
    epsilon: Amount = 0.1
    norm: Literal["linf", "l2", "l1"] = "linf"
    targeted: bool = False
    classes: int = 9
    restarts: int = 1
    eta: float = 1.05
    beta: float = 0.9
    alpha_max: float = 0.1

    def __post_init__(self) -> None:
        for name in ("steps", "classes", "restarts"):
            self._set(name, integer(name, getattr(self, name)))
        self._check_threat()
        for name, low, high in (("eta", 1.0, float("inf")), ("beta", 0.0, 1.0), ("alpha_max", 0.0, 1.0)):
            value = amount(name, getattr(self, name))
            if isinstance(value, tuple) or not low <= value <= high:
                raise ValueError(f"{name} must be {'at least 1' if name == 'eta' else 'from 0 to 1'}, got {value}")
            self._set(name, value)

    def nearest(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and their distances (N,): see MinimumNorm."""
        labels = aim_of("labels", labels, targets)
        with untouched(model):
            best, distance, labels, logits = clean_answers(self, model, images, labels)
            ranks = range(1, 1 + min(self.classes, logits.shape[1] - 1)) if self.targeted else [None]
            for rank in ranks:
                for start in range(self.restarts):
                    left = indices(distance > (self.epsilon if self.targeted or start else 0.0))
                    if len(left):
                        found, near = self._run(model, images[left].detach(), labels[left], rank, start, distance[left])
                        better = near < distance[left]
                        best = put(best, left, pick(better, found, best[left]))
                        distance = put(distance, left, near.minimum(distance[left]))
        return best, distance

    def _run(
        self, model: Model, x: Tensor, labels: Tensor, rank: int | None, start: int, distance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Where one start ends."""
        radius = None if start == 0 else distance.clamp(max=self.epsilon) / 2
        *_, last = self._steps(model, x, labels, rank, radius)
        return last.nearest, last.size

    def path(
        self, model: Model, images: Tensor, labels: Any = None, targets: Any = None
    ) -> Generator_[Boundary, None, None]:
        """The steps of the first start: towards the nearest class or, if `targeted`, the likeliest of the others."""
        labels = aim_of("labels", labels, targets)
        with untouched(model):
            images, _, labels, _ = clean_answers(self, model, images, labels)
            yield from self._steps(model, images, labels, 1 if self.targeted else None, None)

    def _steps(
        self, model: Model, images: Tensor, labels: Tensor, rank: int | None, radius: Tensor | None
    ) -> Generator_[Boundary, None, None]:
        with no_grad():
            space = self.space(images)
            x = (
                images
                if radius is None
                else space.box(images + space.direction(self.generator) * each_of(radius, images))
            )
            aims = None if rank is None else likeliest_others(model(images), labels, rank)
            nearest, distance = images, (images * 0).flatten(1).sum(1) + float("inf")
        for index in range(self.steps):
            gap, slope = nearest_plane(model, space, x, labels, aims)
            with no_grad():
                moved = self._towards(space, x, gap, slope)
                wrong = model(moved).argmax(1) != labels
                far = space.size(moved)
                better = wrong & (far < distance)
                nearest, distance = pick(better, moved, nearest), far.where(better, distance)
                moved = pick(wrong, images + (moved - images) * self.beta, moved)
            yield Boundary(index, x, moved, nearest, distance)
            x = moved

    def _towards(self, space: Space, x: Tensor, gap: Tensor, slope: Tensor) -> Tensor:
        """The next x: between the nearest points of the plane to x and to x0, beyond the plane by eta, in the box."""
        at, at0 = (space.in_units(of).flatten(1) for of in (x, space.x0))
        w = slope.flatten(1)
        b = (w * at).sum(1) - gap
        low, high = (None if bound is None else space.in_units(bound).flatten(1) for bound in space.bounds())
        d, d0 = (project_onto(of, w, b, low, high, self.norm).reshape(x.shape) for of in (at, at0))
        here, there = (each_of(space.length(of), x).clamp(min=SHORT) for of in (d, d0))
        share = (here / (here + there)).clamp(max=self.alpha_max)
        moved = (x + d * self.eta * space.unit) * (1 - share) + (space.x0 + d0 * self.eta * space.unit) * share
        return space.box(moved)


def clean_answers(attack: Attack, model: Model, images: Tensor, labels: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The images; 0 where the model is wrong already, else infinity; labels as classes; the logits. All are checked."""
    check_images(images)
    with no_grad(), batch_axis(images):
        logits = check_answers(model(images), images)
        attack.space(images.detach())
        labels = check_classes(labels, logits, "labels")
        zero = logits[:, 0] * 0
        return images.detach(), zero.where(logits.argmax(1) != labels, float("inf")), labels, logits


def nearest_plane(model: Model, space: Space, x: Tensor, labels: Tensor, aims: Tensor | None) -> tuple[Tensor, Tensor]:
    """z_s - z_y (N,) and its gradient with respect to x in units: s is the aim, or the class whose linearised plane is nearest."""
    with enable_grad():
        x = x.detach().requires_grad_()
        logits = model(x)
        truth = of_class(logits, labels)
        if aims is not None:
            gap = of_class(logits, aims) - truth
            return gap.detach(), space.slope(_slope(gap, x))
        nearest: tuple[Tensor, ...] = ()
        for i in range(logits.shape[1]):
            gap = logits[:, i] - truth
            slope = space.slope(_slope(gap, x, keep=True))
            with no_grad():
                gap = gap.detach()
                away = (gap.abs() / (space.dual_length(slope) + TINY)).where(labels != i, float("inf"))
                found = (away, gap, slope)
                near = away < nearest[0] if nearest else away == away
                nearest = (
                    tuple(pick(near, new, old) for new, old in zip(found, nearest, strict=True)) if nearest else found
                )
        return nearest[1], nearest[2]


def _slope(value: Tensor, x: Tensor, keep: bool = False) -> Tensor:
    """The gradient of the sum of `value` (N,) with respect to x: zeros where it does not depend on x."""
    if not value.requires_grad:
        return zeros_like(x)
    found: Any = grad(value.sum(), x, allow_unused=True, retain_graph=keep)[0]
    return zeros_like(x) if found is None else found


def likeliest_others(logits: Tensor, labels: Tensor, rank: int) -> Tensor:
    """Of each image the class with the `rank`-th largest logit of those other than the label: (N,)."""
    order = logits.argsort(1, descending=True)
    others = order[order != labels.reshape(-1, 1)].reshape(len(labels), -1)
    return others[:, rank - 1]


def each_of(values: Tensor, images: Tensor) -> Tensor:
    """A number for each image (N,), in a shape that broadcasts over the images."""
    return values.reshape(-1, *(1 for _ in images.shape[1:]))
