"""The parts of a page on robustness, each from a network and images to plain figures, in either framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from compare.kit.attacks import SHARE, Threat, make
from compare.kit.frameworks import Framework
from compare.kit.letters import accuracy
from compare.kit.networks import BATCH, answers
from minigrad.data import normalize

STEPS = 10
ATTACKS = ("fgsm", "pgd", "mifgsm", "apgd", "apgd-dlr", "square")
SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)  # of epsilon, where the curve is measured
RADII = (0.0, 0.5, 1.0, 1.5)  # times sigma
VOTES = 50, 1e-3  # that choose the class of a smoothed network; the chance that a certificate is wrong


@dataclass(frozen=True)
class Effort:
    """How much is asked for: AutoAttack's steps and queries, steps of APGD and FAB, votes, strengths of corruptions."""

    steps: int = 20
    queries: int = 300
    votes: int = 200
    strengths: tuple[int, ...] = (3,)


QUICK, FULL = Effort(), Effort(100, 5000, 1000, (1, 2, 3, 4, 5))


@dataclass(frozen=True)
class Subject:
    """A network, uint8 images (N, H, W, C) and their labels, and what is done to them."""

    framework: Framework
    model: Any
    pixels: np.ndarray
    labels: np.ndarray
    mean: Any
    std: Any
    threat: Threat
    effort: Effort
    sigma: float
    seed: int

    @property
    def inputs(self) -> np.ndarray:
        """The images as the network sees them."""
        return normalize(self.pixels, self.mean, self.std)

    def tensors(self) -> list[tuple[Any, Any]]:
        """Batches of images and labels."""
        x, tensor = self.inputs, self.framework.tensor
        starts = range(0, len(x), BATCH)
        return [(tensor(x[i : i + BATCH]), tensor(self.labels[i : i + BATCH])) for i in starts]

    def right(self, inputs: np.ndarray) -> str:
        """A letter for each image: see kit.letters."""
        return answers(self.framework, self.model, inputs, self.labels)

    def under(self, attack: Callable[..., Any]) -> str:
        """The letters under an attack."""
        moved = [attack(self.model, x, y).numpy(force=True) for x, y in self.tensors()]
        return self.right(np.concatenate(moved))


def clean(subject: Subject) -> Any:
    """The letters of the images as they are."""
    return subject.right(subject.inputs)


def attacks(subject: Subject) -> Any:
    """{attack: letters}."""
    counts = {"square": subject.effort.queries, "apgd": subject.effort.steps, "apgd-dlr": subject.effort.steps}
    steps = {name: counts.get(name, STEPS) for name in ATTACKS}
    made = {name: make(subject.framework, name, subject.threat, count, subject.seed) for name, count in steps.items()}
    return {name: subject.under(attack) for name, attack in made.items()}


def autoattack(subject: Subject) -> Any:
    """{"stages": [...], "letters"}: what each stage left, and which images stand them all."""
    effort = subject.effort
    attack = subject.framework.attacks.AutoAttack(
        steps=effort.steps, queries=effort.queries, generator=_generator(subject), **subject.threat.settings()
    )
    results = [attack.run(subject.model, x, y) for x, y in subject.tensors()]
    total = results[0]
    for result in results[1:]:
        total = total + result
    letters = subject.right(np.concatenate([result.images.numpy(force=True) for result in results]))
    return {"stages": total.rows(), "letters": letters}


def curve(subject: Subject) -> Any:
    """[{"epsilon", "pgd", "noise"}]: letters under PGD, and under noise, a random point of the same ball."""
    rows = [{"epsilon": 0.0, "pgd": clean(subject), "noise": clean(subject)}]
    for share in SHARES:
        threat = replace(subject.threat, epsilon=share * subject.threat.epsilon)
        attack = make(subject.framework, "pgd", threat, STEPS, subject.seed)
        rows.append(
            {"epsilon": threat.epsilon, "pgd": subject.under(attack), "noise": subject.right(noisy(subject, threat))}
        )
    return rows


def noisy(subject: Subject, threat: Threat) -> np.ndarray:
    """The images at random points of the ball and box, the same in both frameworks."""
    import minigrad
    from minigrad.attacks import PGD

    attack = PGD(generator=_generator(subject), **threat.settings())
    return attack.noise(minigrad.from_numpy(subject.inputs)).numpy()


def nearest(subject: Subject) -> Any:
    """{norm: {attack: {"median", "found", "of"}}}: of the images that are right; median None: infinite."""
    library, steps = subject.framework.attacks, subject.effort.steps
    found: dict[str, Any] = {}
    for norm in ("linf", "l2"):
        settings = subject.threat.settings(norm=norm)
        kinds = {
            "DeepFool": library.DeepFool(**settings),
            "FAB": library.FAB(steps=steps, generator=_generator(subject), **settings),
        }
        if norm == "l2":
            kinds["DDN"] = library.DDN(steps=5 * steps, **settings)
        found[norm] = {name: _distances(subject, attack) for name, attack in kinds.items()}
    return found


def _distances(subject: Subject, attack: Any) -> dict[str, Any]:
    sizes = [attack.nearest(subject.model, x, y)[1].numpy(force=True) for x, y in subject.tensors()]
    far = np.concatenate(sizes)
    far = far[far > 0]
    middle = float(np.median(far)) if len(far) else np.inf
    return {"median": middle if np.isfinite(middle) else None, "found": int(np.isfinite(far).sum()), "of": len(far)}


def corruptions(subject: Subject) -> Any:
    """{kind: [accuracy at each strength, in percent]}."""
    from minigrad.data.corruptions import KINDS, corrupt

    def accuracy_of(kind: str, strength: int) -> float:
        made = corrupt(subject.pixels, kind, strength, subject.seed)
        return accuracy(subject.right(normalize(made, subject.mean, subject.std)), "top1")

    return {kind: [accuracy_of(kind, strength) for strength in subject.effort.strengths] for kind in KINDS}


def certified(subject: Subject) -> Any:
    """{"sigma", "votes", "alpha", "radii", "accuracy", "letters"}: right for certain within each radius, in percent."""
    first, alpha = VOTES
    smoothed = import_module(f"{subject.framework.tools}.defences").Smoothed(
        subject.model, subject.sigma, tuple(subject.std), seed=subject.seed
    )
    images = subject.framework.tensor(subject.inputs)
    classes, radii = (np.asarray(found) for found in smoothed.certify(images, first, subject.effort.votes, alpha))
    right, bounds = classes == subject.labels, [share * subject.sigma for share in RADII]
    shares = [100 * float((right & (radii > bound)).mean()) for bound in bounds]
    return {"sigma": subject.sigma, "votes": subject.effort.votes, "alpha": alpha, "radii": bounds, "accuracy": shares}


def audit(subject: Subject) -> Any:
    """{"title", "checks": [[name, passed, figures]]} of PGD on the network; of PyTorch's through FromTorch."""
    import minigrad
    from minigrad.attacks import FromTorch, preset
    from minigrad.attacks import audit as measured

    model = subject.model if subject.framework.name == "minigrad" else FromTorch(subject.model)
    attack = preset("untargeted", **subject.threat.settings(alpha=subject.threat.epsilon / SHARE, steps=STEPS))
    data = [(minigrad.from_numpy(subject.inputs), subject.labels)]
    report = measured(model, attack, data, queries=subject.effort.queries)
    return {
        "title": report.title,
        "checks": [[check.name, bool(check.passed), check.figures] for check in report.checks],
    }


def _generator(subject: Subject) -> Any:
    from minigrad.random import Generator

    return Generator(subject.seed)


PARTS: Mapping[str, Callable[[Subject], Any]] = {
    part.__name__: part for part in (clean, attacks, autoattack, curve, nearest, corruptions, certified, audit)
}
