"""The networks, on minigrad; their twins in PyTorch are in models/reference, under the same names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from minigrad.errors import OptionError

if TYPE_CHECKING:
    from minigrad.nn import Module

# name: (module, class), here and in models/reference. Imported when asked for, so that neither track loads the other's.
MODELS = {
    "simplenet": ("simplenet", "SimpleNet"),
    "simplenet-bn": ("simplenet", "SimpleNetBN"),
}


def find(name: str, package: str) -> type:
    """The class of a model in `package`. OptionError, with the names that exist, for an unknown one."""
    if name not in MODELS:
        raise OptionError(f"unknown model {name!r}: there are {', '.join(MODELS)}")
    module, cls = MODELS[name]
    return getattr(import_module(f"{package}.{module}"), cls)


def create(name: str, num_classes: int, channels: int = 3) -> Module:
    """A new model on minigrad; minigrad.manual_seed decides its weights. OptionError for an unknown name."""
    return find(name, "models")(num_classes=num_classes, channels=channels)
