"""The networks, on minigrad; their PyTorch versions are in models/reference, under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad.errors import OptionError

if TYPE_CHECKING:
    from minigrad.nn import Module
    from minigrad.random import Generator


class Entry(NamedTuple):
    """Where a model is found, here and in models/reference, and the name of its last layer: the one for the classes."""

    module: str
    cls: str
    head: str = "fc"


# Imported when asked for, so that neither framework loads the other's.
MODELS = {
    "simplenet": Entry("simplenet", "SimpleNet"),
    "simplenet-bn": Entry("simplenet", "SimpleNetBN"),
    "resnet18": Entry("resnet", "ResNet18"),
    "vit": Entry("vit", "SimpleViT", "head"),
}


def find(name: str, package: str) -> type:
    """The class of a model in `package`. OptionError, with the names that exist, for an unknown one."""
    if name not in MODELS:
        raise OptionError(f"unknown model {name!r}: there are {', '.join(MODELS)}")
    entry = MODELS[name]
    return getattr(import_module(f"{package}.{entry.module}"), entry.cls)


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
        raise OptionError(f"{name} has no {', '.join(unknown)}: its settings are {', '.join(takes)}")
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
