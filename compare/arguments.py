"""Options of the commands: argparse, with a user's mistakes as OptionError."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, NoReturn

import models
from minigrad.errors import OptionError
from minigrad.training.recipes import SETTINGS


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises OptionError, in one line, for what it does not understand."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(message)


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


def read_settings(model: str, given: Sequence[str]) -> dict[str, Any]:
    """A model's own settings, written as depth=6, shift=true or window_blocks=[0,2]: values as JSON has them.

    OptionError for a setting that the model does not have, or a value of another kind than its default.
    """
    own = SETTINGS.get(model, {})
    parameters = signature(models.find(model, "models")).parameters
    found = {}
    for text in given:
        name, _, written = text.partition("=")
        if name not in own:
            raise OptionError(f"--set {text}: {model} has {', '.join(own) or 'no settings of its own'}")
        default = parameters[name].default
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
