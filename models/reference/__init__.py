"""The networks in PyTorch: the measure of those in models/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models import build, cards

if TYPE_CHECKING:
    from torch.nn import Module

    from minigrad.random import Generator

__all__ = ["MODELS", "create"]

MODELS = cards()


def create(
    name: str,
    num_classes: int,
    channels: int = 3,
    image_size: int = 128,
    generator: Generator | None = None,
    **settings: Any,
) -> Module:
    """A new model in PyTorch; torch.manual_seed decides its weights.

    Dropout and drop path draw their masks from `generator`, minigrad's, so that both frameworks can be given the same ones;
    None: from PyTorch's own. `settings` are the model's own. OptionError for an unknown name or setting.
    """
    return build(name, "models.reference", num_classes, channels, image_size, generator, settings)
