"""The options of --defence: their defaults, which depend on the defence, and what each defence does not use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigrad.errors import OptionError
from minigrad.option import as_written

DEFENCES = ("pgd", "trades", "mart", "fast", "free", "noise")
STEPS = {"pgd": 7, "trades": 10, "mart": 10}
"""How many steps the inner maximisation makes; the others make one, or none."""
ALPHA = {"pgd": 0.25, "trades": 0.25, "mart": 0.25, "fast": 1.25, "free": 1.0}
"""The size of a step, as a share of epsilon."""
BETA = {"trades": 6.0, "mart": 5.0}
REPLAYS, SIGMA = 8, 0.25
SETTINGS = ("attack_steps", "alpha", "beta", "replays", "noise")
"""What a defence has its own defaults of: those of a --config that is of another defence are not taken."""

_ATTACK = ("alpha", "epsilon", "norm", "attack_units")
USES: dict[str, tuple[str, ...]] = {
    "pgd": ("attack_steps", *_ATTACK),
    "trades": ("attack_steps", "beta", *_ATTACK),
    "mart": ("attack_steps", "beta", *_ATTACK),
    "fast": _ATTACK,
    "free": ("replays", *_ATTACK),
    "noise": ("noise", "attack_units"),
}
"""The options that each defence has."""
OF_DEFENCES = {name for names in USES.values() for name in names} | {
    "attack",
    "random_start",
    "restarts",
    "patch_share",
}
WITHOUT = {"mart": ("mixup", "label_smoothing"), "free": ("accumulate",)}
"""The options of training that do not go with a defence: MART's loss is of classes, free takes a step after each backward pass."""


def defence_options(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of --defence that depend on which it is. OptionError for those that it does not use, or that contradict it.

    values: all options, whether `given` on the command line, of the checkpoint, or defaults.
    """
    name = values["defence"]
    if values["adversarial"] or "adversarial" in given:
        raise OptionError(f"--adversarial and --defence {name} both say what to train on: give one of the two")
    for option in sorted(OF_DEFENCES - {*USES[name]}):
        if option in given:
            raise OptionError(f"{as_written(option, given[option])} has no effect: --defence {name} does not use it")
    for option in WITHOUT.get(name, ()):
        if values[option] not in (0, 1):
            raise OptionError(f"{as_written(option, values[option])} does not go with --defence {name}")
    if "norm" in USES[name] and values["norm"] not in ("linf", "l2"):
        raise OptionError(f"--norm {values['norm']}: --defence {name} has linf and l2 alone")
    epsilon, share = values["epsilon"], ALPHA.get(name, 0.0)
    if isinstance(epsilon, str):
        raise OptionError(f"--epsilon {epsilon}: a range is measured, with --evaluate; train at one epsilon")
    found: dict[str, Any] = {"attack_steps": values["attack_steps"] or STEPS.get(name, 1), "alpha": values["alpha"]}
    if found["alpha"] is None:
        found["alpha"] = [share * size for size in epsilon] if isinstance(epsilon, list) else share * epsilon
    if values["norm"] not in ("linf", "l2"):
        raise OptionError(f"--norm {values['norm']}: --defence {name} has linf and l2 alone")
    for option, value in (("epsilon", epsilon), ("alpha", found["alpha"])):
        if isinstance(value, list) and values["norm"] != "linf":
            raise OptionError(f"{as_written(option, value)}: a number for each channel belongs to --norm linf")
    for option, default in (("beta", BETA.get(name)), ("replays", REPLAYS), ("noise", SIGMA)):
        if option not in USES[name]:
            found[option] = None
        else:
            found[option] = default if values[option] is None else values[option]
    return found


def check_no_defence(given: Mapping[str, Any]) -> None:
    """OptionError for options of a defence where there is none."""
    for option, those in (("beta", "trades or mart"), ("replays", "free")):
        if option in given:
            raise OptionError(f"{as_written(option, given[option])} belongs to --defence {those}")
    if "noise" in given and "certify" not in given:
        raise OptionError(
            f"{as_written('noise', given['noise'])} belongs to --defence noise, or to --evaluate --certify"
        )
