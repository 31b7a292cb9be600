"""A network's card: all that is known of it besides its code. It stands in the network's file, and nowhere else.

The scripts' options and recipes, the commands of compare and the tests read the cards, through `models.MODELS`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from minigrad.option import Option


@dataclass(frozen=True)
class Recipe:
    """What a network is trained with. lr: the highest rate; clip_grad: 0 for any length; warmup: in epochs."""

    epochs: int = 15
    batch_size: int = 32
    optimizer: str = "sgd"
    lr: float = 0.05
    weight_decay: float = 1e-4
    clip_grad: float = 0.0
    warmup: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """The recipe by the names of the scripts' options."""
        return asdict(self)


SMALL_IMAGES = Recipe()
"""SGD on images of some 30 pixels."""
FOLDER = Recipe(epochs=60, batch_size=256, lr=0.1, warmup=5.0)
"""SGD on a folder of photographs."""


def none_idle(settings: dict[str, Any]) -> dict[str, str]:
    """No setting of a network is without effect."""
    return {}


def unchanged(settings: dict[str, Any], given: Container[str], image_size: int) -> dict[str, Any]:
    """The settings of a network whose defaults depend on nothing else."""
    return settings


@dataclass(frozen=True)
class Card:
    """The facts of one network. Its class has the same name in models and, written with PyTorch, in models/reference."""

    cls: str
    title: str  # what pages call it
    parameters: int  # at 3 channels and 100 classes
    layer: str  # the last one that keeps places apart: where Grad-CAM looks
    head: str = "fc"  # the last layer: the one for the classes
    small_images: Recipe = SMALL_IMAGES
    folder: Recipe = FOLDER
    options: Mapping[str, Option] = field(default_factory=dict)  # of the settings that it alone has
    complete: Callable[[dict[str, Any], Container[str], int], dict[str, Any]] = unchanged  # settings, given, image size
    idle: Callable[[dict[str, Any]], dict[str, str]] = none_idle  # {setting that the others leave without effect: why}
    notes: str = ""  # what --help says of its defaults
    small: Mapping[str, Any] = field(default_factory=dict)  # settings at which second gradients are quickly checked
    pretrained: str | None = None  # torchvision's weights for it
    image_layers: tuple[str, ...] | None = None  # where all layers but these give tokens (N, h, w, K)
    lockstep: tuple[int, int] = (32, 3)  # images a step and seeds, with which compare lockstep takes minutes
    module: str = ""  # the file, set where it is found
