"""Attacks as both scripts have them: from options to an attack's settings, which batches are attacked, what is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from minigrad.attacks import Result, Stage
from minigrad.errors import OptionError
from minigrad.option import as_written, fraction
from minigrad.random import Generator
from minigrad.training.attack_kinds import KINDS, OPTION_OF, STEPPING, build
from minigrad.training.options import Options
from minigrad.training.ranks import BatchGenerator, current


def attack_settings(options: Options, mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    """What preset(options.attack, ...) of either framework takes, for images that were normalised by mean and std."""
    pixel = options.attack_units == "pixel"
    if sizes := epsilons(options):
        options = replace(options, epsilon=sizes[-1])
    for name in ("epsilon", "alpha"):
        value = getattr(options, name)
        if isinstance(value, list) and len(mean) not in (0, len(value)):
            raise OptionError(
                f"{as_written(name, value)}: {len(value)} numbers, but the images have {len(mean)} channels"
            )
    return {
        "steps": options.attack_steps,
        "alpha": options.alpha,
        "epsilon": options.epsilon,
        "norm": options.norm,
        "random_start": options.random_start or options.restarts > 1,
        "restarts": options.restarts,
        "units": options.attack_units,
        "clip": (0.0, 1.0) if pixel else None,
        "mean": tuple(mean) if pixel else None,
        "std": tuple(std) if pixel else None,
        "generator": BatchGenerator(options.seed),
    }


def make_attack(options: Options, library: Any, mean: Sequence[float], std: Sequence[float], classes: int) -> Any:
    """The attack that is asked for, made by a framework's attacks; None: none is.

    Of a range of epsilons it is the one at the largest. OptionError for AutoAttack on fewer than 4 classes.
    """
    if options.attack is None:
        return None
    kind = KINDS[options.attack]
    if classes < kind.classes:
        raise OptionError(f"--attack {options.attack} needs at least {kind.classes} classes, the data has {classes}")
    settings = attack_settings(options, mean, std)
    if kind.cls == "Patch":  # its pixels are from 0 to 1, whatever the units of others
        settings |= {"mean": tuple(mean), "std": tuple(std), "share": options.patch_share}
    attack = build(library, options.attack, settings)
    return Within(attack) if kind.nearest else attack


class Within:
    """An attack that looks for the smallest change, and leaves images as they are where that is larger than epsilon."""

    def __init__(self, attack: Any) -> None:
        self.attack, self.generator = attack, attack.generator

    def __call__(self, model: Any, images: Any, labels: Any, *targets: Any) -> Any:
        """The perturbed images."""
        found, distance = self.attack.nearest(model, images, labels, *targets)
        near = (distance <= self.attack.epsilon).reshape(-1, *(1 for _ in images.shape[1:]))
        return found.where(near, images)

    def at(self, epsilon: float) -> Within:
        """The same attack at another epsilon."""
        return Within(self.attack.at(epsilon))


class Attacker:
    """An attack as the scripts call it: perturbed images of a batch. AutoAttack's stages are added up in `result`."""

    def __init__(self, attack: Any) -> None:
        self.attack = attack
        self.result: Result | None = None

    def __call__(self, model: Any, images: Any, labels: Any) -> Any:
        """The perturbed images."""
        if not hasattr(self.attack, "run"):
            return self.attack(model, images, labels)
        found = self.attack.run(model, images, labels)
        self.result = found if self.result is None else self.result + found
        return found.images

    def stages(self) -> Result | None:
        """AutoAttack's stages on the images of all ranks; None of another attack."""
        own = self.result
        rows = [] if own is None else [[s.name, s.attacked, s.right, s.forward, s.backward] for s in own.stages]
        ranks = current().gather([0 if own is None else own.count, rows])
        parts = [Result(None, count, [Stage(*row) for row in rows]) for count, rows in ranks if rows]
        return reduce(lambda a, b: a + b, parts) if parts else None


def epsilons(options: Options) -> list[float]:
    """The numbers of a range --epsilon from:to:step, `to` among them where a whole number of steps gets there; else none."""
    if not isinstance(options.epsilon, str):
        return []
    start, end, step = (fraction(part) for part in options.epsilon.split(":"))
    return [start + i * step for i in range(int((end - start) / step + 1e-9) + 1)]


def described(options: Options, epsilon: float | None = None) -> str:
    """The attack in words: untargeted, 10 steps of 0.01 within 0.1 (linf, normalised). epsilon: one of a range."""
    if sizes := epsilons(options):
        chosen = sizes[-1] if epsilon is None else epsilon
        alpha = [number * chosen / sizes[-1] for number in each(options.alpha)]
        options = replace(options, epsilon=chosen, alpha=alpha)
    name = str(options.attack)
    if name == "patch":
        return f"patch of {options.patch_share:g} of the side, {options.attack_steps} steps of {written(options.alpha)}"
    kind, count = KINDS[name], options.attack_steps
    what = kind.steps_as if count != 1 else {"steps": "step", "queries": "query"}[kind.steps_as]
    steps = f", {count} {what}" if "attack_steps" in kind.takes else ", 1 step" if name == "fgsm" else ""
    size = f" of {written(options.alpha)}" if "alpha" in kind.takes else ""
    starts = f", {options.restarts} random starts" if options.restarts > 1 else ", random start"
    within = f"within {written(options.epsilon)} ({options.norm}, {options.attack_units})"
    return f"{name}{steps}{size} {within}{starts if options.random_start or options.restarts > 1 else ''}"


def each(value: float | list[float]) -> list[float]:
    """The numbers of a size."""
    return value if isinstance(value, list) else [value]


def written(value: Any) -> str:
    """0.1, or 0.1,0.2,0.3."""
    return ",".join(f"{number:g}" for number in (value if isinstance(value, list) else [value]))


def entry(options: Options) -> dict[str, Any]:
    """The attack for evaluation.json: its preset, its settings, and the seed of its random starts."""
    settings = attack_settings(options, (), ())
    unused = {"mean", "std", "generator"} | {
        OPTION_OF.get(name, name) for name in STEPPING - KINDS[str(options.attack)].takes
    }
    if options.attack == "patch":
        unused |= {"epsilon", "norm", "units", "clip"}
        settings |= {"share": options.patch_share}
    known = {name: settings[name] for name in settings if name not in unused}
    return {"preset": options.attack, **known, "seed": options.seed}


def attacked(options: Options, epoch: int, step: int, starts: Generator | None = None) -> bool:
    """Whether adversarial training attacks this batch: with probability --adversarial, drawn from (seed, epoch, step); --defence
    always does.

    So both training scripts attack the same batches, and a run that goes on in the middle those that it would have. For the same
    reason `starts`, the generator of the attack's random starts, begins anew, at a seed from (seed, epoch, step).
    """
    draws = np.random.Generator(np.random.Philox(np.random.SeedSequence(options.seed, spawn_key=(epoch, step, 0))))
    share, start = draws.random(), int(draws.integers(2**63))
    if starts is not None:
        starts.manual_seed(start)
    return options.defence is not None or bool(share < options.adversarial)
