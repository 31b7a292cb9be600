"""Attacks as both scripts have them: from options to an attack's settings, which batches are attacked, what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.attacks import PRESETS
from minigrad.errors import OptionError
from minigrad.option import as_written
from minigrad.random import Generator
from minigrad.training.options import Options

ATTACKS = (*PRESETS, "apgd", "fgsm", "mifgsm")
"""What --attack takes: the presets, which are PGD; and APGD, FGSM and MI-FGSM, away from the label."""


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
        "generator": Generator(options.seed),
    }


def described(options: Options) -> str:
    """The attack in words: untargeted, 10 steps of 0.01 within 0.1 (linf, normalised)."""
    steps = f"{options.attack_steps} step{'s' if options.attack_steps > 1 else ''}"
    starts = f", {options.restarts} random starts" if options.restarts > 1 else ", random start"
    return (
        f"{options.attack}, {steps} of {_written(options.alpha)} within {_written(options.epsilon)} ({options.norm}, "
        f"{options.attack_units})" + (starts if options.random_start or options.restarts > 1 else "")
    )


def _written(value: float | list[float]) -> str:
    """0.1, or 0.1,0.2,0.3."""
    return ",".join(f"{number:g}" for number in (value if isinstance(value, list) else [value]))


def entry(options: Options) -> dict[str, Any]:
    """The attack for evaluation.json: its preset, its settings, and the seed of its random starts."""
    settings = attack_settings(options, (), ())
    known = {name: settings[name] for name in settings if name not in ("mean", "std", "generator")}
    return {"preset": options.attack, **known, "seed": options.seed}


def attacked(options: Options, epoch: int, step: int, starts: Generator | None = None) -> bool:
    """Whether adversarial training attacks this batch: with probability --adversarial, drawn from (seed, epoch, step).

    So both training scripts attack the same batches, and a run that goes on in the middle those that it would have. For the same
    reason `starts`, the generator of the attack's random starts, begins anew, at a seed from (seed, epoch, step).
    """
    draws = np.random.Generator(np.random.Philox(np.random.SeedSequence(options.seed, spawn_key=(epoch, step, 0))))
    share, start = draws.random(), int(draws.integers(2**63))
    if starts is not None:
        starts.manual_seed(start)
    return bool(share < options.adversarial)
