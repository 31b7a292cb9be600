"""The recipes: what each model is trained with on each kind of images, and the settings that a model has of its own.

Both stand on the models' cards (`models/card.py`); here they are looked up.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from minigrad.errors import OptionError
from minigrad.option import as_written, fraction
from minigrad.training.attack_kinds import FITTED, KINDS, STEPPING

if TYPE_CHECKING:
    from models.card import Card

# The data sets known by name, and the size of their images.
SMALL_IMAGES = {"fashion-mnist-small": 28, "fashionmnist": 28, "cifar10": 32, "cifar100": 32}
OF_OPTIMIZER = {"adamw": {"lr": 1e-3, "weight_decay": 0.01}}
"""What an optimizer wants that is not the recipe's; of sgd, what the plain recipe says."""

ALPHA = 0.01
PATCH_ALPHA, PATCH_SHARE = 0.05, 0.3
CURVE_SHARE = 4  # alpha is epsilon / 4 where epsilon is a range
# A network is trained against the largest loss within epsilon (Madry et al. 2018, eq. 2.1): up the loss of the label, in
# steps that get as far as epsilon. Half of that way protects little: see docs/training.md.
DEFENCE, DEFENCE_STEPS = "untargeted", 5


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
    """Attack, steps, their size and norm, which depend on what the attack is for. OptionError for settings of no attack.

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
    curve = isinstance(values["epsilon"], str)
    if curve and adversarial:
        raise OptionError(f"--epsilon {values['epsilon']}: a range is measured, with --evaluate; train at one epsilon")
    norm = values["norm"]
    if preset is not None:
        norm = check_kind(preset, given, norm, values["epsilon"], values["attack_units"])
        if adversarial and not KINDS[preset].trains:
            raise OptionError(f"--attack {preset} measures, with --evaluate: train on {DEFENCE}, say")
    if steps is None:
        steps = DEFENCE_STEPS if adversarial or preset is None else KINDS[preset].steps
    if alpha is None:
        epsilon = values["epsilon"]
        if curve:
            alpha = fraction(epsilon.split(":")[1]) / CURVE_SHARE
        else:
            whole = [number / steps for number in epsilon] if isinstance(epsilon, list) else epsilon / steps
            alpha = whole if adversarial else PATCH_ALPHA if preset == "patch" else ALPHA
    for name, value in (("epsilon", values["epsilon"]), ("alpha", alpha)):
        if isinstance(value, list) and norm != "linf":
            raise OptionError(f"{as_written(name, value)}: a number for each channel belongs to --norm linf")
    return {"attack": preset, "attack_steps": steps, "alpha": alpha, "norm": norm}


def check_kind(attack: str, given: Collection[str] | dict[str, Any], norm: str, epsilon: Any, units: str) -> str:
    """The norm of an attack: the one asked for, or its own. OptionError for options that an attack does not know.

    given: the options of the command line, by name.
    """
    kind, written = KINDS[attack], given if isinstance(given, dict) else dict.fromkeys(given, True)
    if idle := [name for name in given if name in STEPPING - kind.takes]:
        option = as_written(idle[0], written[idle[0]])
        if not kind.takes:
            raise OptionError(f"{option}: --attack {attack} has nothing to tune")
        raise OptionError(f"{option} has no effect: --attack {attack} does not use it")
    if idle := [name for name in given if name in kind.idle]:
        raise OptionError(f"{as_written(idle[0], written[idle[0]])} has no effect: --attack {attack} does not use it")
    if attack in FITTED and isinstance(epsilon, str):
        raise OptionError(f"--epsilon {epsilon}: --attack {attack} is found at one epsilon")
    if "norm" not in given and norm == "linf":
        norm = kind.norms[0]
    if norm not in kind.norms:
        raise OptionError(f"--norm {norm}: --attack {attack} has {' and '.join(kind.norms)} alone")
    if norm == "l0" and not isinstance(epsilon, str) and epsilon < 1:
        written_epsilon = as_written("epsilon", epsilon)
        raise OptionError(f"{written_epsilon}: --norm l0 counts an image's numbers that change, 1 at least")
    if isinstance(epsilon, list) and "alpha" not in kind.takes and attack not in ("apgd", "fgsm"):
        raise OptionError(f"{as_written('epsilon', epsilon)}: --attack {attack} takes one number")
    if kind.bounded and units != "pixel":
        raise OptionError(f"--attack {attack} needs to know how dark and bright pixels can be: --attack-units pixel")
    return norm


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
