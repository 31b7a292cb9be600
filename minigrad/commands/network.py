"""A trained network with all that it takes to show it other images: classes, image size, normalisation.

The network that comes with minigrad is a SimpleNet-BN trained on the embedded images, by tools/make_trained_weights.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.commands.arguments import Arguments, Parser
from minigrad.data import open_dataset
from minigrad.data.dataset import ImageDataset
from minigrad.data.folder import MEAN, STD, FolderDataset
from minigrad.data.sources import EMBEDDED, EMBEDDED_MEAN, EMBEDDED_STD
from minigrad.errors import CheckpointError, OptionError
from minigrad.nn import Module
from minigrad.training.checkpoints import check_finite, check_weights, find_checkpoint, read_state
from minigrad.training.recipes import model_settings, models
from minigrad.weights import Arrays, load_weights

EMBEDDED_WEIGHTS = EMBEDDED.with_name("simplenet_bn.safetensors")
IMAGENET_SIZE = 224


@dataclass(frozen=True)
class Network:
    """A network in evaluation mode. classes: their names; mean, std: of each channel, over pixels scaled to [0, 1].

    photographs: whether images are resized and cropped as those of folders are, not just made square.
    """

    name: str
    module: Module
    settings: Mapping[str, Any]
    weights: Path
    classes: Sequence[str]
    image_size: int
    mean: Sequence[float]
    std: Sequence[float]
    photographs: bool
    data: str | None

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return len(self.mean)


def add_network(parser: Parser) -> None:
    """The options from which `read_network` reads."""
    parser.option(
        "--weights", "-w", metavar="RUN", help="a run folder (its best), a checkpoint, a file of weights, or imagenet; "
        "without it the network that comes with minigrad: SimpleNet-BN on Fashion-MNIST",
    )  # fmt: skip
    parser.option("--model", help="the network, beside a file of weights alone (simplenet)")
    parser.option("--data", help="the data set that names the classes, beside a file of weights alone")
    parser.option("--image-size", type=parser.number(8, 4096), help="pixels a side (those of the training)")


def read_network(options: Arguments) -> Network:
    """The network that the options name. OptionError, CheckpointError for what is not there, or does not fit together."""
    import models as networks

    if options.model is not None:
        networks.find(options.model, "models")
    if options.weights == "imagenet":
        return _imagenet(options)
    path = find_checkpoint(options.weights or EMBEDDED_WEIGHTS, "best.safetensors")
    state = read_state(path) or {}
    stored, weights = state.get("options", {}), load_weights(path)
    name = options.model or stored.get("model", "simplenet")
    if stored and name != stored["model"]:
        raise OptionError(f"--model {name} contradicts {path}, which is a {stored['model']}: leave it out")
    facts = _facts(options, state, weights, name)
    size = options.image_size or stored.get("image_size") or facts.pop("image_size")
    facts.pop("image_size", None)
    settings = model_settings(name, size, stored.get("settings", {}))
    module = _module(name, len(facts["classes"]), len(facts["mean"]), size, settings, weights, path)
    return Network(name, module, settings, path, image_size=size, **facts)


def _module(
    name: str, classes: int, channels: int, size: int, settings: Mapping[str, Any], weights: Arrays, path: Path
) -> Module:
    """The network with those weights, in evaluation mode. CheckpointError if they are another network's."""
    import minigrad
    import models as networks

    module = networks.create(name, classes, channels, size, **settings)
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    check_weights(weights, shapes, path, models()[name].head)
    check_finite(weights, path)
    module.load_state_dict({key: minigrad.from_numpy(array) for key, array in weights.items()}, strict=False)
    return module.float().eval()


def _facts(options: Arguments, state: Mapping[str, Any], weights: Arrays, name: str) -> dict[str, Any]:
    """classes, mean, std, photographs, data and image_size: the checkpoint's, else those of --data, else the usual ones."""
    dataset = state.get("dataset", {})
    source = options.data if options.data is not None else state.get("options", {}).get("data")
    if options.data is None and "class_names" in dataset:
        return {
            "classes": dataset["class_names"],
            "mean": dataset["mean"],
            "std": dataset["std"],
            "photographs": dataset["photographs"],
            "data": source,
            "image_size": None,
        }
    if options.data is not None or state:
        return _of_dataset(open_dataset(source, "val", options.image_size), source)
    count, channels = _classes_and_channels(weights, name)
    grey = channels == 1
    return {
        "classes": [f"class {k}" for k in range(count)],
        "mean": EMBEDDED_MEAN if grey else MEAN[:1] * channels if channels != 3 else MEAN,
        "std": EMBEDDED_STD if grey else STD[:1] * channels if channels != 3 else STD,
        "photographs": not grey,
        "data": None,
        "image_size": 28 if grey else 128,
    }


def _of_dataset(data: ImageDataset, source: str | None) -> dict[str, Any]:
    return {
        "classes": data.classes,
        "mean": data.mean,
        "std": data.std,
        "photographs": isinstance(data, FolderDataset),
        "data": source,
        "image_size": data.image_size,
    }


def _classes_and_channels(weights: Arrays, name: str) -> tuple[int, int]:
    """How many classes and channels weights are for: their last layer's rows, their first convolution's planes."""
    head = f"{models()[name].head}.weight"
    first = next((array for array in weights.values() if array.ndim == 4), None)
    if head not in weights or first is None:
        raise CheckpointError(f"these weights have no {head}: they are no {name}'s; --model names the network")
    return len(weights[head]), first.shape[1]


def _imagenet(options: Arguments) -> Network:
    """ResNet-18 with torchvision's ImageNet weights, which are downloaded the first time."""
    from minigrad.training.weights import imagenet_classes, initial_weights

    name, size = options.model or "resnet18", options.image_size or IMAGENET_SIZE
    classes = imagenet_classes(name)
    settings = model_settings(name, size, {})
    import models as networks

    shapes = {
        key: tuple(value.shape) for key, value in networks.create(name, len(classes), 3, size).state_dict().items()
    }
    weights = initial_weights("imagenet", name, shapes, models()[name].head)
    module = _module(name, len(classes), 3, size, settings, weights, Path("imagenet"))
    return Network(name, module, settings, Path("imagenet"), classes, size, MEAN, STD, True, None)


def logits_of(network: Network, inputs: np.ndarray, batch: int = 32) -> np.ndarray:
    """The logits (N, classes) of float32 images (N, C, H, W), without gradients, some images at a time."""
    import minigrad

    with minigrad.no_grad():
        parts = [
            network.module(minigrad.from_numpy(inputs[i : i + batch])).numpy() for i in range(0, len(inputs), batch)
        ]
    return np.concatenate(parts)
