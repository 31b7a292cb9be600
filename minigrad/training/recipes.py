"""The recipes: what each model is trained with on each kind of images, and the settings that a model has of its own.

Both stand on the models' cards (`models/card.py`); here they are looked up.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from minigrad.attacks import PRESETS
from minigrad.errors import OptionError
from minigrad.option import as_written, fraction

if TYPE_CHECKING:
    from models.card import Card

# The data sets known by name, and the size of their images.
SMALL_IMAGES = {"fashion-mnist-small": 28, "fashionmnist": 28, "cifar10": 32, "cifar100": 32}
OF_OPTIMIZER = {"adamw": {"lr": 1e-3, "weight_decay": 0.01}}
"""What an optimizer wants that is not the recipe's; of sgd, what the plain recipe says."""

ATTACKS = (*PRESETS, "apgd", "fgsm", "mifgsm")
"""What --attack takes: the presets, which are PGD; and APGD, FGSM and MI-FGSM, away from the label."""
IDLE = {"fgsm": ("attack_steps", "alpha"), "apgd": ("alpha",)}
"""The settings that an attack does not use: FGSM makes one step of epsilon, APGD chooses its steps."""
ATTACK_STEPS, ALPHA = 10, 0.01
CURVE_SHARE = 4  # alpha is epsilon / 4 where epsilon is a range
# A network is trained against the largest loss within epsilon (Madry et al. 2018, eq. 2.1): up the loss of the label, in
# steps that get as far as epsilon. Half of that way protects little: see docs/training.md.
DEFENCE, DEFENCE_STEPS = "untargeted", 5

AUTO = {"autoattack": "standard", "autoattack-plus": "plus"}
"""What --attack has beside the presets, and the version of AutoAttack that it is."""

FITTED = {"universal": ("patch_share",), "patch": ("epsilon", "norm", "attack_units")}
"""The attacks that are one change for all images, found on training images; and, beside random starts, what each does not use."""
PATCH_ALPHA, PATCH_SHARE = 0.05, 0.3

TUNED = ("attack_steps", "alpha", "random_start", "restarts")  # of the presets: AutoAttack has nothing to tune


def models() -> Mapping[str, Card]:
    """The cards of all networks, which know minigrad.nn, as this package does not."""
    from models import MODELS

    return MODELS


def recipe(data: str | None, model: str, optimizer: str | None) -> dict[str, Any]:
    """The defaults that depend on the data set, the model and the optimizer (None: the recipe's own): see defaults()."""
    from models.card import FOLDER
    from models.card import SMALL_IMAGES as SMALL

    name = (data or "fashion-mnist-small").lower().partition(":")[0]
    card, small = models()[model], name in SMALL_IMAGES
    found = {"image_size": SMALL_IMAGES.get(name, 128), **(card.small_images if small else card.folder).as_dict()}
    found["workers"] = 0 if small else min(os.cpu_count() or 1, 8)
    if optimizer not in (None, found["optimizer"]):
        plain = (SMALL if small else FOLDER).as_dict()
        found |= OF_OPTIMIZER.get(str(optimizer), {name: plain[name] for name in ("lr", "weight_decay")})
    return found


def model_settings(model: str, image_size: int, given: dict[str, Any]) -> dict[str, Any]:
    """All the settings of a model, the given ones and the defaults. OptionError for one that it does not have."""
    from models import settings_of

    card = models()[model]
    for name in given:
        if name not in card.options:
            having = ", ".join(other for other, its in models().items() if name in its.options)
            raise OptionError(f"{model} has no {as_written(name, given[name])}: that is an option of {having}")
    return card.complete({**settings_of(model), **given}, given, image_size)


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
    for name in IDLE.get(preset, ()):
        if name in given:
            raise OptionError(f"{as_written(name, given[name])} has no effect: --attack {preset} does not use it")
    curve = isinstance(values["epsilon"], str)
    _check_kind(preset, adversarial, values["epsilon"], given)
    _check_fitted(preset, adversarial, values["epsilon"], given)
    if steps is None:
        steps = DEFENCE_STEPS if adversarial else ATTACK_STEPS
    if alpha is None:
        epsilon = values["epsilon"]
        if curve:
            alpha = fraction(epsilon.split(":")[1]) / CURVE_SHARE
        else:
            whole = [number / steps for number in epsilon] if isinstance(epsilon, list) else epsilon / steps
            alpha = whole if adversarial else PATCH_ALPHA if preset == "patch" else ALPHA
    for name, value in (("epsilon", values["epsilon"]), ("alpha", alpha)):
        if isinstance(value, list) and values["norm"] != "linf":
            raise OptionError(f"{as_written(name, value)}: a number for each channel belongs to --norm linf")
    return {"attack": preset, "attack_steps": steps, "alpha": alpha}


def _check_kind(attack: str | None, adversarial: bool, epsilon: Any, given: dict[str, Any]) -> None:
    """OptionError for what does not go with AutoAttack, or with a range of epsilons."""
    if isinstance(epsilon, str) and adversarial:
        raise OptionError(f"--epsilon {epsilon}: a range is measured, with --evaluate; train at one epsilon")
    if attack not in AUTO:
        return
    if adversarial:
        raise OptionError(f"--attack {attack} measures, with --evaluate: train on one of the presets")
    if tuned := [name for name in given if name in TUNED]:
        raise OptionError(f"{as_written(tuned[0], given[tuned[0]])}: --attack {attack} has nothing to tune")
    if isinstance(epsilon, list):
        raise OptionError(f"{as_written('epsilon', epsilon)}: --attack {attack} takes one number")


def _check_fitted(attack: str | None, adversarial: bool, epsilon: Any, given: dict[str, Any]) -> None:
    """OptionError for what does not go with one change for all images."""
    if "patch_share" in given and attack != "patch":
        raise OptionError(f"{as_written('patch_share', given['patch_share'])} belongs to --attack patch")
    if attack not in FITTED:
        return
    if adversarial:
        raise OptionError(f"--attack {attack} measures, with --evaluate: train on one of the presets")
    for name in ("random_start", "restarts", "audit", *FITTED[attack]):
        if name in given:
            raise OptionError(f"{as_written(name, given[name])} has no effect: --attack {attack} does not use it")
    if isinstance(epsilon, str):
        raise OptionError(f"--epsilon {epsilon}: --attack {attack} is found at one epsilon")


def defaults() -> str:
    """What --help says of the defaults."""
    from models.card import Recipe

    kinds = {"small images": "small_images", "a folder": "folder"}
    rows: list[list[str]] = []
    for kind, attribute in kinds.items():
        rows.append([kind, *(f.name.replace("_", "-") for f in fields(Recipe))])
        for model, card in models().items():
            values = getattr(card, attribute).as_dict()
            rows.append([f" {model}", *(f"{v:g}" if name != "optimizer" else v for name, v in values.items())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = (" ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    notes = _NOTES.format("\n".join(card.notes for card in models().values() if card.notes))
    return "\n".join(
        ["defaults by data set and model, as far as an option is not given:", *(f" {row}" for row in table), "", notes]
    )


_NOTES = """\
small images: the embedded ones, FashionMNIST (28 pixels), CIFAR10, CIFAR100 (32); a folder (MiniPlaces): 128 pixels.
With another --optimizer than the table's: adamw --lr 0.001 --weight-decay 0.01; sgd as for simplenet.
{}
The warm-up is by default at most half of the epochs.
On --resume the options are the checkpoint's."""
