"""The recipes: what each model is trained with on each kind of images, and the settings that a model has of its own."""

from __future__ import annotations

import os
from typing import Any

from minigrad.errors import OptionError

# The data sets known by name, and the size of their images.
SMALL_IMAGES = {"fashion-mnist-small": 28, "fashionmnist": 28, "cifar10": 32, "cifar100": 32}

_SMALL = {
    "epochs": 15, "batch_size": 32, "optimizer": "sgd", "lr": 0.05, "weight_decay": 1e-4, "clip_grad": 0.0, "warmup": 1.0,
}  # fmt: skip
_FOLDER = _SMALL | {"epochs": 60, "batch_size": 256, "lr": 0.1, "warmup": 5.0}
_VIT = {"optimizer": "adamw", "weight_decay": 0.05, "clip_grad": 1.0}

SMALL, FOLDER = "small images", "a folder"
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    SMALL: {
        "simplenet": _SMALL,
        "simplenet-bn": _SMALL,
        "resnet18": _SMALL | {"lr": 0.02},
        "vit": _SMALL | _VIT | {"lr": 1e-3},
    },
    FOLDER: {
        "simplenet": _FOLDER,
        "simplenet-bn": _FOLDER | {"epochs": 90, "lr": 0.5},
        "resnet18": _FOLDER,
        "vit": _FOLDER | _VIT | {"epochs": 90, "lr": 0.01},
    },
}

# The settings that a model has beyond those of all models. None: it depends on other options, see model_settings.
SETTINGS: dict[str, dict[str, Any]] = {
    "vit": {
        "patch_size": None,
        "dim": 192,
        "depth": 4,
        "heads": 4,
        "mlp_ratio": 4.0,
        "qkv_bias": True,
        "drop_path": 0.1,
        "dropout": 0.0,
        "window_size": 4,
        "window_blocks": None,
        "shift": False,
        "relative_positions": False,
        "absolute_positions": True,
    }
}

# The options of an attack, and what they are where nothing is said. None: attack_options decides, with the names below.
ATTACK: dict[str, Any] = {
    "attack": None, "attack_steps": None, "alpha": None, "epsilon": 0.1, "norm": "linf", "attack_units": "normalised",
    "random_start": False, "restarts": 1,
}  # fmt: skip
ATTACK_STEPS, ALPHA = 10, 0.01
# A network is trained against the largest loss within epsilon (Madry et al. 2018, eq. 2.1): up the loss of the label, in
# steps that get as far as epsilon. Half of that way protects little: see README.
DEFENCE, DEFENCE_STEPS = "untargeted", 5


def recipe(data: str | None, model: str, optimizer: str | None) -> dict[str, Any]:
    """The defaults that depend on the data set, the model and the optimizer (None: the recipe's own): see defaults()."""
    name = (data or "fashion-mnist-small").lower().partition(":")[0]
    kind = SMALL if name in SMALL_IMAGES else FOLDER
    found = {"image_size": SMALL_IMAGES.get(name, 128), **RECIPES[kind][model]}
    found["workers"] = 0 if kind == SMALL else min(os.cpu_count() or 1, 8)
    if optimizer not in (None, found["optimizer"]):
        plain = RECIPES[kind]["simplenet"]
        other = {"lr": 1e-3, "weight_decay": 0.01} if optimizer == "adamw" else plain
        found |= {"lr": other["lr"], "weight_decay": other["weight_decay"]}
    return found


def model_settings(model: str, image_size: int, given: dict[str, Any]) -> dict[str, Any]:
    """All the settings of a model, the given ones and the defaults. OptionError for one that it does not have."""
    own = SETTINGS.get(model, {})
    for name in given:
        if name not in own:
            having = ", ".join(other for other, settings in SETTINGS.items() if name in settings)
            raise OptionError(f"{model} has no {as_written(name, given[name])}: that is an option of {having}")
    chosen = {**own, **given}
    if "patch_size" in own and chosen["patch_size"] is None:
        chosen["patch_size"] = 16 if image_size >= 64 else 4
    if "window_blocks" in own:
        blocks = range(chosen["depth"])
        if chosen["window_blocks"] is None:
            chosen["window_blocks"] = [block for block in (0, 2) if block in blocks]
        elif chosen["window_blocks"] == "all":
            chosen["window_blocks"] = list(blocks)
    return chosen


def attack_options(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Preset, steps and their size, which depend on what the attack is for. OptionError for settings of no attack.

    values: all options, whether `given` on the command line, of the checkpoint, or defaults.
    """
    adversarial = values["adversarial"] > 0 or "adversarial" in given
    preset, steps, alpha = values["attack"], values["attack_steps"], values["alpha"]
    if adversarial and preset is None:
        preset = DEFENCE
    stray = [name for name in ATTACK if name in given]
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


def as_written(name: str, value: Any) -> str:
    """An option as it is written on the command line: --depth 4, --no-qkv-bias, --window-blocks 0,2."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    if isinstance(value, list):
        value = ",".join(map(str, value)) or "none"
    return f"--{option} {value}"


def defaults() -> str:
    """What --help says of the defaults."""
    names = list(_SMALL)
    rows = []
    for kind, recipes in RECIPES.items():
        rows.append([kind, *(name.replace("_", "-") for name in names)])
        for model, values in recipes.items():
            numbers = (values[name] if name == "optimizer" else f"{values[name]:g}" for name in names)
            rows.append([f"  {model}", *numbers])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(
        ["defaults by data set and model, as far as an option is not given:", *(f"  {row}" for row in table), _NOTES]
    )


_NOTES = """\
small images: the embedded ones, FashionMNIST (28 pixels), CIFAR10, CIFAR100 (32); a folder (MiniPlaces): 128 pixels.
With another --optimizer than the table's: adamw --lr 0.001 --weight-decay 0.01; sgd as for simplenet.
--patch-size is 16 for images of 64 pixels and more, 4 for smaller ones. --window-blocks are 0,2.
The warm-up is by default at most half of the epochs.
On --resume the options are the checkpoint's."""
