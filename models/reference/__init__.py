"""The networks in PyTorch: what those in models/ are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models import MODELS, find

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["MODELS", "create"]


def create(name: str, num_classes: int, channels: int = 3) -> Module:
    """A new model in PyTorch; torch.manual_seed decides its weights. OptionError for an unknown name."""
    return find(name, "models.reference")(num_classes=num_classes, channels=channels)
