"""The networks, on minigrad; the PyTorch versions are in models/reference, under the same names.

A file with a network ends with its cards (`models/card.py`): CARDS = {"simplenet": Card(...)}. That is all that it takes
to add a network to the scripts and to the commands of compare; those that use PyTorch find its other version in a file of
the same name in models/reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from minigrad.errors import OptionError, did_you_mean
from models.card import Card

if TYPE_CHECKING:
    from minigrad.nn import Module
    from minigrad.random import Generator

Entry = Card  # its former name
MODELS: Mapping[str, Card]
"""The networks by name, from the smallest to the largest."""


@cache
def cards() -> dict[str, Card]:
    """The cards of all files here."""
    files = [file.name for file in iter_modules(__path__) if not file.ispkg]
    found = {
        name: replace(card, module=file)
        for file in files
        for name, card in getattr(import_module(f"{__name__}.{file}"), "CARDS", {}).items()
    }
    return dict(sorted(found.items(), key=lambda item: item[1].parameters))


def __getattr__(name: str) -> Any:
    """MODELS is read when it is first asked for: `from models import create` loads no network."""
    if name == "MODELS":
        return cards()
    raise AttributeError(f"module 'models' has no attribute {name!r}")


COMMON = ("num_classes", "channels", "image_size", "generator")
"""What every network may be given; all else that its class takes are settings of its own."""


def find(name: str, package: str) -> type:
    """The class of a model in `package`. OptionError, with the names that exist, for an unknown one."""
    if name not in cards():
        raise OptionError(f"unknown model {name!r}{did_you_mean(name, cards())}: there are {', '.join(cards())}")
    card = cards()[name]
    return getattr(import_module(f"{package}.{card.module}"), card.cls)


def settings_of(name: str) -> dict[str, Any]:
    """The settings that a network alone has, with the defaults of its class."""
    parameters = signature(find(name, "models")).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in COMMON}


def build(
    name: str,
    package: str,
    num_classes: int,
    channels: int,
    image_size: int,
    generator: Generator | None,
    settings: Mapping[str, Any],
) -> Any:
    """A model of `package`: given what every model is given, as far as its class takes it, and its own `settings`.

    OptionError for a setting that the model does not have, a value that it refuses with ValueError, or a size for which the
    memory does not suffice.
    """
    cls = find(name, package)
    takes = signature(cls).parameters
    if unknown := [key for key in settings if key not in takes]:
        near = did_you_mean(unknown[0], takes)
        raise OptionError(f"{name} has no {', '.join(unknown)}: its settings are {', '.join(takes)}{near}")
    common = {"num_classes": num_classes, "channels": channels, "image_size": image_size, "generator": generator}
    try:
        return cls(**{key: value for key, value in common.items() if key in takes}, **settings)
    except (ValueError, MemoryError, RuntimeError) as error:  # RuntimeError: how torch says that memory is short
        raise OptionError(f"{name}: {error}") from error


def create(
    name: str,
    num_classes: int,
    channels: int = 3,
    image_size: int = 128,
    generator: Generator | None = None,
    **settings: Any,
) -> Module:
    """A new model on minigrad; minigrad.manual_seed decides its weights.

    Dropout and drop path draw their masks from `generator` (None: from minigrad's default one). `settings` are the
    model's own: create("vit", 100, depth=6). OptionError for an unknown name or setting.
    """
    return build(name, "models", num_classes, channels, image_size, generator, settings)
