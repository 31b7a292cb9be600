"""What every attack is: a frozen value with a threat model, called with a model, images and labels; and its checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from math import inf, isfinite
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np

from minigrad.attacks.amounts import Amount, amount, each, size, written
from minigrad.attacks.criteria import Criterion, Misclassified, check_criterion
from minigrad.attacks.gradient import Model, check_output, untouched
from minigrad.attacks.space import Space
from minigrad.dtypes import int64
from minigrad.errors import did_you_mean
from minigrad.grad_mode import no_grad
from minigrad.ops.creation import as_tensor
from minigrad.random import Generator
from minigrad.tensor import Tensor, describe

Choice = Callable[[Tensor], Tensor]
"""From logits (N, M) to the classes (N,) whose loss an attack looks at."""


class AttackWarning(UserWarning):
    """An attack could not do what its name says: it met gradients of zero."""


@dataclass(frozen=True)
class Curve:
    """What an attack made at each of E epsilons; as a string, a table."""

    epsilons: list[Any]
    images: list[Tensor]
    """The perturbed images at each epsilon."""

    success: np.ndarray
    """Whether each image is a success at each epsilon: (E, N) bools."""

    @property
    def accuracy(self) -> list[float]:
        """The share of images that are no success, at each epsilon."""
        return [float(row) for row in 1 - self.success.mean(1)] if self.success.size else [0.0] * len(self.epsilons)

    def __str__(self) -> str:
        rows = [(written(epsilon), f"{share:.1%}") for epsilon, share in zip(self.epsilons, self.accuracy, strict=True)]
        width = max(len(epsilon) for epsilon, _ in [*rows, ("epsilon", "")])
        return "\n".join(f"{epsilon:{width}} {share:>9}" for epsilon, share in [("epsilon", "accuracy"), *rows])


class Ball:
    """What every attack has besides: fields of its own, for their defaults are, and what they may be.

    epsilon: size of the ball, in `units`; finite, at least 0. In the max norm a number for each channel, too.
    norm: of one image's perturbation, one of the class's `norms`.
    """

    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    epsilon: Amount
    norm: Any


@dataclass(frozen=True, kw_only=True)
class Attack(Ball):
    """The base of the attacks, which are frozen dataclasses: the rest of the threat model, by keyword.

    Args:
        clip: (low, high), the values that stay valid; None: any.
        units: "normalised", those of the network's input; or "pixel", those of the image before (v - mean) / std: epsilon
            8/255 and clip (0, 1), say. Pixel units need mean and std, a number for each channel.
        generator: where random numbers come from; successive calls go on in its stream.
    """

    clip: tuple[float, float] | None = None
    units: Literal["normalised", "pixel"] = "normalised"
    mean: Amount | None = None
    std: Amount | None = None
    generator: Generator = field(default_factory=lambda: Generator(0), compare=False, repr=False)

    @overload
    def __call__(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> Tensor: ...

    @overload
    def __call__(
        self, model: Model, images: Tensor, labels: Any = None, targets: Any = None, *, epsilons: Sequence[Any],
        criterion: Any = None,
    ) -> Curve: ...  # fmt: skip

    def __call__(
        self, model: Model, images: Tensor, labels: Any = None, targets: Any = None, *,
        epsilons: Sequence[Any] | None = None, criterion: Any = None,
    ) -> Tensor | Curve:  # fmt: skip
        """The perturbed images (N, C, H, W), of the dtype and on the device of `images`; with epsilons a curve of them.

        Args:
            model: images (N, C, H, W) -> logits (N, classes).
            labels: (N,) integers, where the attack, or the criterion, needs them.
            targets: (N,) integers, for attacks that lead to a class that is given.
            epsilons: the attack is made at each of them, as `at` gives it, instead of at its own.
            criterion: when an image of the curve is a success; by default the attack's own, or Misclassified().
        """
        if epsilons is None:
            if criterion is not None:
                raise ValueError("a criterion judges a curve: give epsilons, too")
            return self._perturbed(model, images, labels, targets)
        found = check_criterion(getattr(self, "criterion", Misclassified()) if criterion is None else criterion)
        sizes = [size("epsilons", value) for value in epsilons]
        if not sizes:
            raise ValueError("epsilons must be one number at least")
        perturbed = self._at_each(sizes, model, images, labels, targets)
        success = [self._judged(found, model, x, labels, targets) for x in perturbed]
        return Curve(sizes, perturbed, np.stack(success))

    def at(self, epsilon: Any) -> Self:
        """The same attack at another epsilon; steps of a size `alpha` in proportion."""
        changes = {"epsilon": epsilon}
        own, new = self.epsilon, size("epsilon", epsilon)
        if "alpha" in vars(self) and own != new and all(each(own)):
            alpha = vars(self)["alpha"]
            count = max(len(each(value)) for value in (own, new, alpha))
            spread = [each(value) * (count if len(each(value)) == 1 else 1) for value in (alpha, new, own)]
            found = tuple(a * (to / of) for a, to, of in zip(*spread, strict=True))
            changes["alpha"] = found[0] if len(set(found)) == 1 else found
        return replace(self, **changes)

    def _perturbed(self, model: Model, images: Tensor, labels: Any, targets: Any) -> Tensor:
        """The perturbed images."""
        raise NotImplementedError

    def _at_each(
        self, epsilons: Sequence[Any], model: Model, images: Tensor, labels: Any, targets: Any
    ) -> list[Tensor]:
        """The perturbed images at each epsilon."""
        return [self.at(epsilon)._perturbed(model, images, labels, targets) for epsilon in epsilons]

    def _judged(self, criterion: Criterion, model: Model, x: Tensor, labels: Any, targets: Any) -> np.ndarray:
        """Which images are successes, (N,)."""
        aim = aim_of(criterion.needs, labels, targets)
        with untouched(model), no_grad():
            logits = check_logits(model(x))
            margin = criterion.margin(logits, check_classes(aim, logits, criterion.needs))
        return np.asarray(margin.numpy(force=True) < 0)

    def worst(self, model: Model, images: Tensor, labels: Any) -> tuple[Tensor, Tensor]:
        """Perturbed images (N, C, H, W), and which of them the model gets wrong, (N,): what AutoAttack asks for."""
        x = self(model, images, labels)
        with untouched(model), no_grad():
            return x, model(x).argmax(1) != as_tensor(labels).to(x.device)

    def space(self, x0: Tensor) -> Space:
        """The threat model: where the perturbed images of x0 may lie. ValueError for images that are none, or outside of clip."""
        check_images(x0)
        mean, std = (self.mean, self.std) if self.units == "pixel" else (None, None)
        return Space(x0, self.epsilon, self.norm, self.clip, mean, std)

    @property
    def _threat(self) -> dict[str, Any]:
        """The fields of the threat model: those of another attack with the same one."""
        return {name: getattr(self, name) for name in ("epsilon", "norm", *(f.name for f in fields(Attack)))}

    def noise(self, images: Tensor) -> Tensor:
        """A random point of the same ball and box: what an attack has to beat."""
        with no_grad():
            return self.space(images.detach()).random(self.generator)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen

    def _check_threat(self) -> None:
        """The fields of the threat model as plain numbers. ValueError for values outside of what they may be."""
        self._set("epsilon", size("epsilon", self.epsilon))
        for name in ("mean", "std"):
            if getattr(self, name) is not None:
                self._set(name, each(amount(name, getattr(self, name))))
        for name, known in (("norm", self.norms), ("units", ("normalised", "pixel"))):
            self._check_choice(name, known)
        if self.norm != "linf" and isinstance(self.epsilon, tuple):
            self._refuse_channels()
        if self.clip is not None:
            self._set("clip", box_of(self.clip))
        if self.units == "pixel" and (self.mean is None or self.std is None):
            raise ValueError("pixel units need the mean and std that the images were normalised with")
        if self.std is not None and not all(value > 0 for value in self.std):
            raise ValueError(f"std must be above 0 in each channel, got {self.std}")
        if not all(map(isfinite, (*(self.mean or ()), *(self.std or ())))):
            raise ValueError(f"mean and std must be finite, got {self.mean} and {self.std}")
        if not isinstance(self.generator, Generator):
            raise ValueError(f"generator must be a minigrad.Generator, got {self.generator!r}")

    def _check_choice(self, name: str, known: Sequence[str]) -> None:
        if getattr(self, name) not in known:
            given = getattr(self, name)
            raise ValueError(
                f"{name} must be one of {', '.join(known)}, got {given!r}{did_you_mean(str(given), known)}"
            )

    def _refuse_channels(self) -> None:
        raise ValueError(
            f'a number for each channel belongs to the norm "linf": a ball of the norm "{self.norm}" has one radius '
            '(in units="pixel" it is one of pixels)'
        )


def box_of(clip: Any) -> tuple[float, float]:
    """(low, high), two finite numbers. ValueError for anything else."""
    try:
        low, high = (bound if type(bound) in (int, float) else float(bound) for bound in clip)
        if isinstance(clip, str) or not -inf < low < high < inf:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(f"clip must be (low, high) with low < high, got {clip!r}: two finite numbers") from None
    return low, high


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


def check_logits(logits: Tensor, images: Tensor | None = None) -> Tensor:
    """The logits (N, M) of a model. ValueError for another number of axes, for one class, or not a row for each of `images`."""
    check_output(logits, images)
    if logits.ndim != 2:
        raise ValueError(f"the model gives {describe(logits)}, not logits (N, classes): {NO_BATCH}")
    if logits.shape[1] < 2:
        raise ValueError(f"the model gives {describe(logits)}, of no two classes: an attack leads from one to another")
    return logits


def check_answers(logits: Tensor, images: Tensor) -> Tensor:
    """As check_logits. FloatingPointError, too, where the answers to the images as they are are NaN or infinite."""
    if not bool(check_logits(logits, images).isfinite().all()):
        what = (
            "the model's answers are NaN or infinite"
            if bool(images.isfinite().all())
            else "the images are NaN or infinite"
        )
        raise FloatingPointError(f"{what}, before any attack")
    return logits


def check_maps(images: Tensor, attack: str) -> None:
    """ValueError unless the images have rows and columns: (N, C, H, W)."""
    check_images(images)
    if images.ndim != 4:
        raise ValueError(f"{attack} needs images (N, C, H, W), got {describe(images)}: {NO_BATCH}")


def always(classes: Tensor) -> Choice:
    """The same classes, whatever the logits."""
    return lambda logits: classes


def pick(which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Image by image, `yes` where `which` (N,) holds, and `no` elsewhere."""
    return yes.where(which.reshape(-1, *(1 for _ in yes.shape[1:])), no)


def aim_of(needs: str, labels: Any, targets: Any) -> Any:
    """The labels or the targets, as is needed. ValueError where they are not given."""
    given = {"labels": labels, "targets": targets}[needs]
    if given is None:
        raise ValueError(f"this attack needs {needs}")
    return given


def indices(which: Tensor) -> Tensor:
    """Where `which` (N,) holds: int64, ascending."""
    return which.nonzero().flatten()


def put(into: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """`into`, but with `values` at these places along the first axis: a copy."""
    made = into.detach().clone()
    made[index] = values
    return made


def tensor_of(name: str, given: Any) -> Tensor:
    """Labels or targets as a Tensor. ValueError where they are nothing that can be one."""
    try:
        return as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be integers, a Tensor, an array or a list, got {str(given):.60}") from None


def check_classes(given: Any, logits: Tensor, name: str) -> Tensor:
    """`given` as classes (N,) on the logits' device. ValueError unless they are integers that the logits (N, M) have."""
    check_logits(logits)
    classes = tensor_of(name, given).to(logits.device)
    count, most = logits.shape[0], logits.shape[1]
    if classes.shape != (count,) or classes.dtype.kind not in "iu":
        raise ValueError(f"{name} must be {count} integers, got {describe(classes)}")
    if count and not 0 <= classes.min().item() <= classes.max().item() < most:
        raise ValueError(
            f"{name} must be classes from 0 to {most - 1}, got {classes.min().item()} to {classes.max().item()}"
        )
    return classes.to(int64)


def check_images(images: Tensor) -> None:
    if not isinstance(images, Tensor) or images.ndim < 2 or images.dtype.kind != "f":
        found = describe(images) if isinstance(images, Tensor) else f"a {type(images).__name__}"
        raise ValueError(f"images must be a floating-point Tensor (N, C, H, W), got {found}")
