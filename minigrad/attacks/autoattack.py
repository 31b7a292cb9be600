"""AutoAttack: four attacks, or six, of different kinds, each on the images that stood all before it; a table of the stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from minigrad.attacks.amounts import Amount, integer
from minigrad.attacks.attack import (
    Attack,
    aim_of,
    batch_axis,
    check_answers,
    check_classes,
    check_images,
    check_maps,
    indices,
    put,
)
from minigrad.attacks.boundary import FAB, likeliest_others
from minigrad.attacks.gradient import Model, untouched
from minigrad.attacks.losses import CLASSES, need_classes
from minigrad.attacks.square import Square
from minigrad.attacks.variants import APGD
from minigrad.dtypes import bool_
from minigrad.grad_mode import no_grad
from minigrad.tensor import Tensor


@dataclass(frozen=True)
class APGDT(APGD):
    """AutoPGD on the targeted DLR loss, towards one class after the other: the `classes` likeliest ones beside the label.

    Each class is for the images that are right still. An image that none has fooled ends where the likeliest class led it.
    Called with targets it leads there alone.

    Source: F. Croce and M. Hein, Reliable Evaluation of Adversarial Robustness (2020), 4.
    """

    target: Literal["least-likely", "label", "most-likely", "given"] = "given"
    direction: Literal["descend", "ascend"] = "descend"
    steps: int = 100
    random_start: bool = True
    loss: Any = "dlr-targeted"
    classes: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("classes", integer("classes", self.classes))
        if self.target != "given":
            raise ValueError(
                f"APGDT chooses its targets itself, or takes the ones given: target is not {self.target!r}"
            )

    def _perturbed(self, model: Model, images: Tensor, labels: Any, targets: Any) -> Tensor:
        """The perturbed images (N, C, H, W)."""
        return (
            super()._perturbed(model, images, labels, targets)
            if targets is not None
            else self.worst(model, images, labels)[0]
        )

    def worst(self, model: Model, images: Tensor, labels: Any, targets: Any = None) -> tuple[Tensor, Tensor]:
        """Of each image the first iterate of any class that the model gets wrong, and whether there was one: (N,)."""
        if targets is not None:
            return super().worst(model, images, labels, targets)
        labels, logits = _answers(model, images, labels)
        found, wrong = images.detach(), images.new_zeros(len(images), dtype=bool_)
        with untouched(model):
            for rank in range(1, 1 + min(self.classes, logits.shape[1] - 1)):
                left = indices(~wrong)
                if not len(left):
                    break
                aims = likeliest_others(logits[left], labels[left], rank)
                x, fooled = super().worst(model, images[left], labels[left], aims)
                take = fooled | (fooled == fooled) if rank == 1 else fooled
                found, wrong = put(found, left[indices(take)], x[indices(take)]), put(wrong, left, fooled)
        return found, wrong

    def path(self, model: Model, images: Tensor, labels: Any = None, targets: Any = None) -> Any:
        """The steps of one start towards the targets, or where none are given towards the likeliest class beside the label."""
        if targets is None:
            labels, logits = _answers(model, images, labels)
            targets = likeliest_others(logits, labels, 1)
        return super().path(model, images, labels, targets)


@dataclass(frozen=True)
class Stage:
    """What one attack of several did: on how many images it was, how many of them it left right, what it asked the model for."""

    name: str
    attacked: int
    right: int
    forward: int  # images that the model was asked about
    backward: int  # images whose gradient it was asked for

    def __add__(self, other: Stage) -> Stage:
        return Stage(
            self.name, *(getattr(self, n) + getattr(other, n) for n in ("attacked", "right", "forward", "backward"))
        )


@dataclass(frozen=True)
class Result:
    """What AutoAttack found: the perturbed images (None where results were added up), and the stages; as a string, a table."""

    images: Tensor | None
    count: int
    stages: list[Stage]

    @property
    def right(self) -> int:
        """How many images stand all attacks."""
        return self.stages[-1].right

    @property
    def accuracy(self) -> float:
        """Their share: the robust accuracy."""
        return self.right / self.count if self.count else 0.0

    def __add__(self, other: Result) -> Result:
        """The result on both sets of images."""
        stages = [a + b for a, b in zip(self.stages, other.stages, strict=True)]
        return Result(None, self.count + other.count, stages)

    def rows(self) -> list[dict[str, Any]]:
        """The stages as plain numbers, for JSON."""
        return [vars(stage) | {"accuracy": stage.right / self.count if self.count else 0.0} for stage in self.stages]

    def __str__(self) -> str:
        lines = [f"{'stage':10} {'attacked':>8} {'right':>8} {'accuracy':>9} {'forward':>10} {'backward':>10}"]
        for s in self.stages:
            share = f"{s.right / self.count:.1%}" if self.count else "-"
            lines.append(f"{s.name:10} {s.attacked:>8,} {s.right:>8,} {share:>9} {s.forward:>10,} {s.backward:>10,}")
        return "\n".join(lines)


@dataclass(frozen=True)
class AutoAttack(Attack):
    """Attacks of different kinds one after the other: an image that one of them fools is out, those still right go on.

        standard:  APGD-CE, APGD-T, FAB-T, Square
        plus:      APGD-CE and APGD-DLR with 5 starts, FAB with 5 starts, Square, APGD-T, FAB-T

    100 steps of each start, 5,000 queries of Square, the 9 likeliest classes of the targeted ones; nothing to tune. An image's
    worst case over all of them is robust accuracy as the field reports it. Called, it returns the perturbed images, images that
    stood all as they are; `run` returns the table of stages, too.

    Args:
        version: see above.
        stages: attacks of your own instead, by name: {"pgd": PGD(...), "square": Square(...)}. Their epsilon counts.
        steps, queries, classes: smaller ones make it cheaper, and the figure no longer AutoAttack's.
        batch_size: so many images at a time; None: all.
        epsilon, norm, clip, units, mean, std, generator: as PGD's. The figure is AutoAttack's with units "pixel", clip (0, 1).

    Raises ValueError for values outside of these, and where a loss needs more classes than the model has (4).

    Source: F. Croce and M. Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
    Attacks (2020), 6.
    """

    version: Literal["standard", "plus"] = "standard"
    epsilon: Amount = 0.1
    norm: Literal["linf", "l2"] = "linf"
    steps: int = 100
    queries: int = 5000
    classes: int = 9
    batch_size: int | None = None
    stages: dict[str, Attack] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        for name in ("steps", "queries", "classes", *(["batch_size"] if self.batch_size is not None else [])):
            self._set(name, integer(name, getattr(self, name)))
        self._check_threat()
        self._check_choice("version", ("standard", "plus"))
        if self.stages is None:
            if isinstance(self.epsilon, tuple):
                raise ValueError(
                    f"AutoAttack's FAB measures distances by one number: epsilon must be one, got {self.epsilon}"
                )
        elif not self.stages or not all(isinstance(attack, Attack) for attack in self.stages.values()):
            raise ValueError("stages must be attacks by name, one at least")

    def attacks(self) -> dict[str, Attack]:
        """The stages in their order, by name."""
        if self.stages is not None:
            return self.stages
        threat, plus = self._threat, self.version == "plus"
        starts: dict[str, Any] = {"steps": self.steps, "random_start": True, "restarts": 5 if plus else 1}
        starts |= threat | {"target": "label", "direction": "ascend"}
        found: dict[str, Attack] = {"apgd-ce": APGD(loss="ce", **starts)}
        targeted: dict[str, Attack] = {
            "apgd-t": APGDT(steps=self.steps, classes=self.classes, **threat),
            "fab-t": FAB(steps=self.steps, classes=self.classes, targeted=True, **threat),
        }
        square = {"square": Square(queries=self.queries, **threat)}
        if not plus:
            return found | targeted | square
        fab = FAB(steps=self.steps, restarts=5, **threat)
        return found | {"apgd-dlr": APGD(loss="dlr", **starts), "fab": fab} | square | targeted

    def _perturbed(self, model: Model, images: Tensor, labels: Any, targets: Any) -> Tensor:
        """The perturbed images (N, C, H, W), of the dtype and on the device of `images`."""
        found = self.run(model, images, aim_of("labels", labels, targets)).images
        assert found is not None
        return found

    def worst(self, model: Model, images: Tensor, labels: Any, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The perturbed images, and which of them the model gets wrong, (N,)."""
        x = self(model, images, labels)
        labels, logits = _answers(model, x, labels)
        return x, logits.argmax(1) != labels

    def run(
        self, model: Model, images: Tensor, labels: Any, progress: Callable[[Stage], None] = lambda stage: None
    ) -> Result:
        """Attack, and note what each stage did. `progress` is called after each."""
        check_images(images)
        counted = _Counted(model)
        with untouched(model):
            labels, logits = _answers(counted, images, labels)
            self._check_stages(images, logits)
            with no_grad():
                found, right = images.detach(), logits.argmax(1) == labels
            stages = [counted.stage("clean", len(images), right)]
            progress(stages[0])
            for name, attack in self.attacks().items():
                left = indices(right)
                size = self.batch_size or len(left) or 1
                for start in range(0, len(left), size):
                    some = left[start : start + size]
                    x, _ = attack.worst(counted, images[some], labels[some])
                    with no_grad():
                        fooled = counted(x).argmax(1) != labels[some]
                        out = indices(fooled)
                        found, right = put(found, some[out], x[out]), put(right, some, ~fooled)
                stages.append(counted.stage(name, len(left), right))
                progress(stages[-1])
        return Result(found, len(images), stages)

    def _check_stages(self, images: Tensor, logits: Tensor) -> None:
        """What a later stage would refuse, said before the first."""
        for attack in self.attacks().values():
            with no_grad():
                attack.space(images.detach())
            if isinstance(attack, Square):
                check_maps(images, "the square attack")
            if isinstance(loss := getattr(attack, "loss", ""), str) and loss in CLASSES:
                need_classes(logits, CLASSES[loss], loss)


class _Counted:
    """A model, and how many images it was asked about since the last stage."""

    def __init__(self, model: Model) -> None:
        self.model, self.forward, self.backward = model, 0, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.forward += len(x)
        self.backward += len(x) if x.requires_grad else 0
        return self.model(x)

    def stage(self, name: str, attacked: int, right: Tensor) -> Stage:
        """What there was, and the counters at zero again."""
        found = Stage(name, attacked, int(right.sum().item()), self.forward, self.backward)
        self.forward = self.backward = 0
        return found


def _answers(model: Model, images: Tensor, labels: Any) -> tuple[Tensor, Tensor]:
    """The labels as classes (N,), and the logits (N, M) of the images."""
    check_images(images)
    with untouched(model), no_grad(), batch_axis(images):
        logits = check_answers(model(images), images)
        return check_classes(aim_of("labels", labels, None), logits, "labels"), logits
