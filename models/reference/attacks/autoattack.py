"""AutoAttack in PyTorch: the measure of minigrad.attacks.AutoAttack, and what train_torch.py attacks with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from minigrad.attacks import Result, Stage
from models.reference.attacks.boundary import FAB, likeliest_others
from models.reference.attacks.pgd import APGD, Threat, at_rest, each
from models.reference.attacks.square import Square


@dataclass(frozen=True)
class APGDT(APGD):
    """AutoPGD on the targeted DLR loss, towards the likeliest classes beside the label, one after the other."""

    target: str = "given"
    direction: str = "descend"
    steps: int = 100
    random_start: bool = True
    loss: Any = "dlr-targeted"
    classes: int = 9

    def __call__(self, model: nn.Module, images: Tensor, labels: Any = None, targets: Any = None) -> Tensor:
        """The perturbed images."""
        return (
            super().__call__(model, images, labels, targets)
            if targets is not None
            else self.worst(model, images, labels)[0]
        )

    def worst(self, model: nn.Module, images: Tensor, labels: Tensor, targets: Any = None) -> tuple[Tensor, Tensor]:
        """The first wrong iterate of each image, and whether there was one."""
        if targets is not None:
            return super().worst(model, images, labels, targets)
        with at_rest(model), torch.no_grad():
            logits = model(images)
        found, wrong = images.clone(), torch.zeros(len(images), dtype=torch.bool)
        for rank in range(1, 1 + min(self.classes, logits.shape[1] - 1)):
            left = (~wrong).nonzero().flatten()
            if not len(left):
                break
            aims = likeliest_others(logits[left], labels[left], rank)
            x, fooled = super().worst(model, images[left], labels[left], aims)
            found[left] = x if rank == 1 else torch.where(each(fooled, x), x, found[left])
            wrong[left] = fooled
        return found, wrong

    def path(self, model: nn.Module, images: Tensor, labels: Any = None, targets: Any = None) -> Any:
        """The steps of one start towards the targets, else towards the likeliest class beside the label."""
        if targets is None:
            with at_rest(model), torch.no_grad():
                targets = likeliest_others(model(images), labels, 1)
        return super().path(model, images, labels, targets)


@dataclass(frozen=True)
class AutoAttack(Threat):
    """The worst case of several attacks; fields, draws and stages are those of minigrad.attacks.AutoAttack."""

    version: str = "standard"
    epsilon: Any = 0.1
    norm: str = "linf"
    steps: int = 100
    queries: int = 5000
    classes: int = 9
    batch_size: int | None = None
    stages: dict[str, Any] | None = field(default=None, hash=False)

    def attacks(self) -> dict[str, Any]:
        """The stages by name."""
        if self.stages is not None:
            return self.stages
        threat = {n: getattr(self, n) for n in ("epsilon", "norm", "clip", "units", "mean", "std", "generator")}
        more = 5 if self.version == "plus" else 1
        start: dict[str, Any] = {
            "steps": self.steps,
            "target": "label",
            "direction": "ascend",
            "random_start": True,
            "restarts": more,
        }
        of = {
            "apgd-ce": APGD(**start, **threat),
            "apgd-dlr": APGD(loss="dlr", **start, **threat),
            "fab": FAB(steps=self.steps, restarts=more, **threat),
            "square": Square(queries=self.queries, **threat),
            "apgd-t": APGDT(steps=self.steps, classes=self.classes, **threat),
            "fab-t": FAB(steps=self.steps, targeted=True, classes=self.classes, **threat),
        }
        return of if self.version == "plus" else {name: of[name] for name in ("apgd-ce", "apgd-t", "fab-t", "square")}

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, targets: Any = None) -> Tensor:
        """The perturbed images."""
        found: Any = self.run(model, images, labels).images
        return found

    def run(
        self, model: nn.Module, images: Tensor, labels: Tensor, progress: Callable[[Stage], None] = lambda stage: None
    ) -> Result:
        """Attack, and note what each stage did."""
        counts = {"forward": 0, "backward": 0}

        def count(module: nn.Module, given: tuple[Any, ...]) -> None:
            counts["forward"] += len(given[0])
            counts["backward"] += len(given[0]) if given[0].requires_grad else 0

        def answer(x: Tensor) -> Tensor:
            with torch.no_grad():
                return model(x).argmax(1)

        handle = model.register_forward_pre_hook(count)
        try:
            with at_rest(model):
                found, right, stages = images.clone(), answer(images) == labels, []
                for name, attack in [("clean", None), *self.attacks().items()]:
                    left = right.nonzero().flatten()
                    for some in left.split(self.batch_size or max(len(left), 1)) if attack else ():
                        x, _ = attack.worst(model, images[some], labels[some])
                        fooled = answer(x) != labels[some]
                        found[some[fooled]], right[some[fooled]] = x[fooled], False
                    number = len(left) if attack else len(images)
                    stages.append(Stage(name, number, int(right.sum()), counts["forward"], counts["backward"]))
                    counts.update(forward=0, backward=0)
                    progress(stages[-1])
        finally:
            handle.remove()
        return Result(found, len(images), stages)  # type: ignore[arg-type]
