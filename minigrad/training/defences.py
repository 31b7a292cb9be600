"""Defences as both scripts have them: from options to a defence, and what a run says of it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minigrad.errors import OptionError
from minigrad.training.attacks import attack_settings, written
from minigrad.training.options import Options
from minigrad.training.ranks import BatchGenerator, current


def make_defence(
    options: Options, library: Any, attacks: Any, mean: Sequence[float], std: Sequence[float], criterion: Callable
) -> Any:
    """The defence that is asked for, made by a framework's defences and attacks; None: none is.

    criterion: the loss of logits and targets. OptionError for a defence that several ranks cannot make.
    """
    name = options.defence
    if name is None or options.evaluate:
        return None
    made = library.DEFENCES[name]
    if name == "noise":
        pixel = tuple(std) if options.attack_units == "pixel" else None
        return made(options.noise, pixel, criterion, BatchGenerator(options.seed))
    settings = attack_settings(options, mean, std) | {"target": "label", "direction": "ascend"}
    settings["random_start"] = name in ("pgd", "fast")
    if name == "free":
        if current().size > 1:
            raise OptionError("--defence free keeps the perturbation of one process: it does not go with several ranks")
        return made(attacks.PGD(**settings), criterion, options.replays)
    attack = (library.Near if name in ("trades", "mart") else attacks.PGD)(**settings)
    return made(attack, criterion, options.beta) if options.beta is not None else made(attack, criterion)


def defence_in_words(options: Options) -> str:
    """The line that a run begins with: trades, beta 6, 10 steps of 0.025 within 0.1 (linf, pixel)."""
    name = options.defence
    if name == "noise":
        return f"noise of {options.noise:g} ({options.attack_units})"
    more = f", beta {options.beta:g}" if options.beta is not None else ""
    more += f", each batch {options.replays} times" if options.replays is not None else ""
    steps = f"{options.attack_steps} step{'s' if options.attack_steps != 1 else ''}"
    size = f"{written(options.alpha)} within {written(options.epsilon)} ({options.norm}, {options.attack_units})"
    return f"{name}{more}, {steps} of {size}"


def symptoms_in_words(symptoms: Mapping[str, Any]) -> str:
    """Of a fast defence: how a batch fares under its one step, and under PGD; catastrophic overfitting by its name."""
    if "pgd_top1" not in symptoms:
        return ""
    shares = f"{symptoms['fast_top1']:.1f} % under the one step, {symptoms['pgd_top1']:.1f} % under PGD"
    if not symptoms["overfitted"]:
        return f"\n  of a training batch right: {shares}"
    text = (
        f"catastrophic overfitting: of a training batch right: {shares}. A smaller --alpha, or --defence pgd, avoids it"
    )
    return "\n" + textwrap.fill(text, 80, initial_indent="  ", subsequent_indent="  ")
