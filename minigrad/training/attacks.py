"""Attacks as both scripts have them: from options to an attack's settings, which batches are attacked, what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from minigrad.attacks import PRESETS, Result, Stage
from minigrad.errors import OptionError
from minigrad.option import as_written, fraction
from minigrad.random import Generator
from minigrad.training.options import Options
from minigrad.training.ranks import BatchGenerator, current
from minigrad.training.recipes import AUTO, FITTED, IDLE

AUTO_CLASSES = 4  # that the targeted DLR loss needs


def build(library: Any, name: str, settings: Mapping[str, Any]) -> Any:
    """The attack of a name in ATTACKS, made by a framework's attacks: minigrad.attacks, or models.reference.attacks."""
    if name in PRESETS:
        return library.preset(name, **settings)
    aimed = {"target": "label", "direction": "ascend", **settings}
    if name == "fgsm":
        return library.FGSM(**{key: value for key, value in aimed.items() if key not in ("steps", "alpha")})
    return library.MIFGSM(**aimed) if name == "mifgsm" else library.APGD(**aimed)


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
    settings = attack_settings(options, mean, std)
    if options.attack in FITTED:
        return _one_for_all(options, library, settings, mean, std)
    if (version := AUTO.get(options.attack)) is None:
        return build(library, options.attack, settings)
    if classes < AUTO_CLASSES:
        raise OptionError(f"--attack {options.attack} needs at least {AUTO_CLASSES} classes, the data has {classes}")
    threat = {name: settings[name] for name in ("epsilon", "norm", "units", "clip", "mean", "std", "generator")}
    return library.AutoAttack(version=version, **threat)


def _one_for_all(
    options: Options, library: Any, settings: Mapping[str, Any], mean: Sequence[float], std: Sequence[float]
) -> Any:
    """The universal perturbation, or the patch, that is yet to be found."""
    steps, generator = options.attack_steps, settings["generator"]
    if options.attack == "patch":
        return library.Patch(tuple(mean), tuple(std), steps, options.alpha, options.patch_share, generator=generator)
    shared = ("steps", "alpha", "epsilon", "norm", "units", "clip", "mean", "std", "generator")
    return library.Universal(**{name: settings[name] for name in shared})


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
    if options.attack in AUTO:
        return f"{options.attack} within {written(options.epsilon)} ({options.norm}, {options.attack_units})"
    if options.attack in FITTED:
        passes = f"{options.attack_steps} pass{'' if options.attack_steps == 1 else 'es'} over training images"
        limits = f"within {written(options.epsilon)} ({options.norm}, {options.attack_units})"
        where = f"of {options.patch_share:g} of the side" if options.attack == "patch" else limits
        return f"{options.attack} {where}, {passes}, steps of {written(options.alpha)}"
    idle = IDLE.get(str(options.attack), ())
    steps = f"{options.attack_steps} step{'s' if options.attack_steps > 1 else ''}"
    starts = f", {options.restarts} random starts" if options.restarts > 1 else ", random start"
    return (
        f"{options.attack}, {'1 step' if 'attack_steps' in idle else steps}"
        f"{'' if 'alpha' in idle else f' of {written(options.alpha)}'} within {written(options.epsilon)} ({options.norm}, "
        f"{options.attack_units})" + (starts if options.random_start or options.restarts > 1 else "")
    )


def each(value: float | list[float]) -> list[float]:
    """The numbers of a size."""
    return value if isinstance(value, list) else [value]


def written(value: Any) -> str:
    """0.1, or 0.1,0.2,0.3."""
    return ",".join(f"{number:g}" for number in (value if isinstance(value, list) else [value]))


def entry(options: Options) -> dict[str, Any]:
    """The attack for evaluation.json: its preset, its settings, and the seed of its random starts."""
    settings = attack_settings(options, (), ())
    if options.attack in AUTO:
        settings = {name: settings[name] for name in ("epsilon", "norm", "units", "clip")}
    if options.attack in FITTED:
        kept = (
            ("steps", "alpha", "epsilon", "norm", "units", "clip")
            if options.attack == "universal"
            else ("steps", "alpha")
        )
        settings = {name: settings[name] for name in kept}
        settings |= {"share": options.patch_share} if options.attack == "patch" else {}
    known = {name: settings[name] for name in settings if name not in ("mean", "std", "generator")}
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
