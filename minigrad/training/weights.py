"""The weights that a run starts from (--weights): torchvision's ImageNet ones, or a file's. The head may be another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import CheckpointError, OptionError
from minigrad.training.checkpoints import check_finite, check_weights, find_checkpoint
from minigrad.training.recipes import models
from minigrad.weights import Arrays, load_weights, to_arrays

Shapes = Mapping[str, tuple[int, ...]]


def initial_weights(source: str | Path, model: str, expected: Shapes, head: str) -> Arrays:
    """The weights {key: array} to put into a new model before it trains, by load_state_dict(..., strict=False).

    Args:
        source: "imagenet", torchvision's weights of ResNet-18 (ResNet18_Weights.IMAGENET1K_V1); or a run folder (its
            best checkpoint), a checkpoint, or a file of weights, safetensors or torch's, of any name.
        model: the model's name, "resnet18".
        expected: {key: shape} of the model's state_dict.
        head: the name of its last layer, "fc". Where nothing but the number of classes differs its keys are left out:
            the model's own new head stays.

    Prints how many keys are loaded, and which are not. Counts of batch norms that the file does not have are 0.

    Raises:
        OptionError: "imagenet" for a model that torchvision has no such weights of.
        CheckpointError: the file is missing, damaged, of another architecture (which keys, which shapes), or has NaN in
            it; or the ImageNet weights are neither in torchvision's cache nor to be downloaded (where to put them).
    """
    if source == "imagenet":
        name, weights = _imagenet(model)
    else:
        path = find_checkpoint(source, "best.safetensors")
        name, weights = str(path), load_weights(path, expected)
    wanted, why = expected, ""
    if classes := _other_classes(weights, expected, head):
        why = f" ({classes[0]} classes there, {classes[1]} here)"
        weights = {key: array for key, array in weights.items() if not key.startswith(f"{head}.")}
        wanted = {key: shape for key, shape in expected.items() if not key.startswith(f"{head}.")}
    check_weights(weights, wanted, name)
    check_finite(weights, name)
    fresh = [key for key in expected if key not in wanted]
    uncounted = {key: np.zeros(wanted[key], np.int64) for key in wanted if key not in weights}  # batch norm's counts
    print(
        f"weights: {name}: {len(weights)} of {len(expected)} keys loaded"
        + (f", fresh: {', '.join(fresh)}{why}" if fresh else "")
        + (f", at 0: num_batches_tracked of {len(uncounted)} batch norms" if uncounted else "")
    )
    return {**weights, **uncounted}


def _other_classes(weights: Arrays, expected: Shapes, head: str) -> tuple[int, int] | None:
    """(classes of the weights, classes of the model) where these are all that differs between their heads."""
    key = f"{head}.weight"
    found, wanted = weights[key].shape if key in weights else (), tuple(expected[key])
    return (found[0], wanted[0]) if found[1:] == wanted[1:] and found[:1] != wanted[:1] else None


def _published(model: str) -> Any:
    """torchvision's entry of ImageNet weights for the network of that name. OptionError, CheckpointError where there is none."""
    pretrained = models()[model].pretrained
    if pretrained is None:
        having = ", ".join(name for name, card in models().items() if card.pretrained)
        raise OptionError(f"--weights imagenet is for {having} alone, not for {model}, which takes --weights FILE")
    try:
        import torch  # noqa: F401
        import torchvision
    except ImportError as error:
        raise CheckpointError(
            f"--weights imagenet takes torch and torchvision ({error}): pip install torchvision; "
            "without them --weights FILE reads .safetensors files"
        ) from error
    return getattr(torchvision.models, pretrained).IMAGENET1K_V1


def imagenet_classes(model: str) -> list[str]:
    """The names of the 1,000 classes of --weights imagenet. OptionError, CheckpointError as `initial_weights` has them."""
    return list(_published(model).meta["categories"])


def _imagenet(model: str) -> tuple[str, Arrays]:
    """(file, weights) of torchvision's network of that name, from its cache or by its download; either is checked for its hash."""
    published = _published(model)
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name
    if file.is_file():
        _check_hash(file)
        return str(file), load_weights(file)
    try:
        state = published.get_state_dict(check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # no network, a full disk, a wrong hash: torch raises many kinds
        raise CheckpointError(
            f"the ImageNet weights cannot be downloaded ({type(error).__name__}: {error}): put {published.url} at {file}, "
            "or give a file with --weights FILE"
        ) from error
    return published.url, to_arrays(state)


def _check_hash(file: Path) -> None:
    """CheckpointError unless the SHA-256 of a file begins as its name ends: resnet18-f37072fd.pth."""
    promised = file.stem.rpartition("-")[2]
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if not found.startswith(promised):
        raise CheckpointError(
            f"{file} is not what its name says: its SHA-256 begins with {found[: len(promised)]}, not {promised}; "
            "delete it, and it is downloaded again"
        )
