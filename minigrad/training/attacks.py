"""Attacks as both scripts have them: from options to an attack's settings, which batches are attacked, what is reported."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.attacks import PRESETS as PRESETS
from minigrad.errors import OptionError
from minigrad.option import as_written
from minigrad.random import Generator

if TYPE_CHECKING:
    from minigrad.training.options import Options

ATTACK_STEPS, ALPHA = 10, 0.01
# A network is trained against the largest loss within epsilon (Madry et al. 2018, eq. 2.1): up the loss of the label, in
# steps that get as far as epsilon. Half of that way protects little: see README.
DEFENCE, DEFENCE_STEPS = "untargeted", 5


def attack_options(values: dict[str, Any], given: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Preset, steps and their size, which depend on what the attack is for. OptionError for settings of no attack.

    values: all options, whether `given` on the command line, of the checkpoint, or defaults; names: those of an attack.
    """
    adversarial = values["adversarial"] > 0 or "adversarial" in given
    preset, steps, alpha = values["attack"], values["attack_steps"], values["alpha"]
    if adversarial and preset is None:
        preset = DEFENCE
    stray = [name for name in given if name in names]
    if stray and not (adversarial or (values["evaluate"] and preset)):
        belongs = "--evaluate --attack PRESET, or to --adversarial"
        raise OptionError(f"{as_written(stray[0], given[stray[0]])} belongs to {belongs}")
    if steps is None:
        steps = DEFENCE_STEPS if adversarial else ATTACK_STEPS
    if alpha is None:
        epsilon = values["epsilon"]
        whole = [number / steps for number in epsilon] if isinstance(epsilon, list) else epsilon / steps
        alpha = whole if adversarial else ALPHA
    for name, value in (("epsilon", values["epsilon"]), ("alpha", alpha)):
        if isinstance(value, list) and values["norm"] != "linf":
            raise OptionError(f"{as_written(name, value)}: a number for each channel belongs to --norm linf")
    return {"attack": preset, "attack_steps": steps, "alpha": alpha}


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
