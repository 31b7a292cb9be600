"""Options of the commands: argparse, with a user's mistakes as OptionError; and the trained network that they name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import models
from minigrad.errors import MinigradError, OptionError, did_you_mean
from minigrad.option import Help, helpful, refuse_empty
from minigrad.training.checkpoints import find_checkpoint, read_state
from minigrad.training.recipes import recipe


class Parser(argparse.ArgumentParser):
    """The options of `python -m compare COMMAND`. OptionError, in one line, for what it does not understand.

    about: the command's docstring; --help shows what follows its first paragraph.
    """

    def __init__(self, command: str, about: str | None) -> None:
        super().__init__(
            prog=f"python -m compare {command}",
            description=(about or "").partition("\n\n")[2],
            formatter_class=Help,
            allow_abbrev=False,
        )

    def add(self, name: str, **settings: Any) -> None:
        """An option; those of several commands are what COMMON has, but for the settings given."""
        self.add_argument(name, **COMMON.get(name, {}) | settings)

    def flag(self, name: str, **settings: Any) -> None:
        """An option that is on or off: --name and, where it has a default, --no-name."""
        given = "default" in settings
        self.add(name, action=argparse.BooleanOptionalAction if given else "store_true", **settings)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found = super().parse_args(args, namespace)
        refuse_empty(args or ())
        return found

    def error(self, message: str) -> NoReturn:
        raise OptionError(helpful(self, message))


def count(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: a whole number from `least` to `most`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"a whole number from {least} to {most} is wanted, not {text!r}")
        return value

    return convert


def some_of(what: str, known: Sequence[str]) -> Callable[[str], list[str]]:
    """An argparse type: names, with commas between them, each once."""

    def convert(text: str) -> list[str]:
        names = text.split(",")
        if set(names) - set(known) or len(set(names)) < len(names):
            near = next((did_you_mean(name, known) for name in names if name not in known), "")
            raise argparse.ArgumentTypeError(f"{what} are some of {','.join(known)}, each once, not {text!r}{near}")
        return names

    return convert


SEED = count(0, 2**31 - 1)
COMMON: dict[str, dict[str, Any]] = {
    "--model": {"choices": list(models.MODELS), "default": "simplenet", "help": "the network (simplenet)"},
    "--set": {
        "action": "append", "default": [], "metavar": "NAME=VALUE", "help": "a setting of the model: depth=6, shift=true",
    },
    "--batch": {"type": count(1, 65536), "help": "images a step"},
    "--image-size": {"type": count(8, 4096)},
    "--data": {"help": "as in training: a folder, or a data set's name (the embedded Fashion-MNIST)"},
    "--seed": {"type": SEED, "default": 2024, "help": "decides weights and batch (2024)"},
    "--threads": {"type": count(1, 1024), "help": "threads of each framework (its own default)"},
    "--device": {"default": "cpu", "help": "cpu, gpu, gpu:1, or auto: a GPU if there is one (%(default)s)"},
}  # fmt: skip
"""Options of several commands."""


def need_torch(option: str = "this command") -> None:
    """MinigradError, in one line, where PyTorch is not installed; nothing is imported for it."""
    if find_spec("torch") is None:
        raise MinigradError(f"{option} needs PyTorch, which is missing: pip install torch torchvision")


class Trained(NamedTuple):
    """A trained network, and the images that it is looked at with."""

    checkpoint: Path
    model: str
    source: str | None  # of the images, as --data has it
    image_size: int
    settings: dict[str, Any]  # the model's own, as far as they were given


def add_trained(parser: Parser) -> None:
    """The options from which `read_trained` reads."""
    parser.add(
        "--weights", required=True, help="a run folder (its best checkpoint), a checkpoint, or a file of weights"
    )
    parser.add("--model", default=None, help="the network (the checkpoint's, or simplenet)")
    parser.add("--set")
    parser.add(
        "--data", help="as in training: a folder, or a data set's name (the checkpoint's, or the embedded images)"
    )
    parser.add("--image-size", help="pixels a side (the checkpoint's, or the data's own)")


def read_trained(options: argparse.Namespace) -> Trained:
    """What the options say, and where they are silent the checkpoint. OptionError, CheckpointError for what is not there."""
    checkpoint = find_checkpoint(options.weights, "best.safetensors")
    stored = (read_state(checkpoint) or {}).get("options", {})
    model = options.model or stored.get("model", "simplenet")
    source = options.data or stored.get("data")
    image_size = options.image_size or recipe(source, model, None)["image_size"]
    settings = read_settings(model, options.set)
    if stored.get("model") == model:
        settings = stored.get("settings", {}) | settings  # older checkpoints, of models without any, have none
        if options.image_size is None and (options.data is None or settings):  # the ViT takes images of one size
            image_size = stored["image_size"]
    return Trained(checkpoint, model, source, image_size, settings)


def read_settings(model: str, given: Sequence[str]) -> dict[str, Any]:
    """A model's own settings, written as depth=6, shift=true or window_blocks=[0,2]: values as JSON has them.

    OptionError for a setting that the model does not have, or a value of another kind than its default.
    """
    own = models.settings_of(model)
    found = {}
    for text in given:
        name, _, written = text.partition("=")
        if name not in own:
            near = did_you_mean(name, own)
            raise OptionError(f"--set {text}: {model} has {', '.join(own) or 'no settings of its own'}{near}")
        default = own[name]
        try:
            value = json.loads(written, parse_constant=lambda constant: None)  # NaN, Infinity
        except ValueError:
            value = None
        if not _alike(value, default):
            raise OptionError(f"--set {text}: a value such as {name}={json.dumps(default)} is wanted")
        found[name] = value
    return found


def _alike(value: Any, default: Any) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list) and all(_alike(item, 0) for item in value)
    return type(value) is type(default) or (type(default) is float and type(value) is int)
