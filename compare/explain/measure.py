"""The maps of chosen images in each framework, and how far the two are apart."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import models
from compare.kit.arguments import read_trained
from compare.kit.distances import largest_error
from compare.kit.frameworks import FRAMEWORKS
from minigrad.data import normalize, open_dataset
from minigrad.data.dataset import ImageDataset
from minigrad.errors import MinigradError, OptionError
from minigrad.training.recipes import model_settings

TOLERANCE = 1e-6  # of the largest number; some 1e-13 are seen
UNSEEN = 1e-9  # of noise on images in units of their deviation: a grey level is some 1e-2

LAYERS = {name: card.layer for name, card in models.MODELS.items()}  # where Grad-CAM looks; then comes an average


@dataclass(frozen=True)
class Subject:
    """What is explained: a model with its weights, images of a data set, and the layer of Grad-CAM."""

    model: str
    settings: dict[str, Any]
    image_size: int
    weights: Path
    data: ImageDataset
    rows: list[int]
    layer: str


@dataclass(frozen=True)
class Explanation:
    """The answers of one framework for R images, and its maps, on the host."""

    logits: np.ndarray  # (R, classes)
    classes: np.ndarray  # (R,): those that the maps explain
    maps: dict[str, np.ndarray]  # by name, (R, H, W)


def make_subject(options: argparse.Namespace) -> Subject:
    """What the options and the checkpoint say. OptionError, DataError, CheckpointError for what is not there."""
    weights, model, source, image_size, settings = read_trained(options)
    data = open_dataset(source, "val", image_size)
    if beyond := [row for row in options.rows if row >= len(data)]:
        raise OptionError(f"--rows: {data.name} has {len(data)} validation images, there is no row {beyond[0]}")
    if options.mosaic:
        check_mosaics(data.labels[options.rows])
        image_size *= 2
    layer = options.layer or LAYERS[model]
    return Subject(model, model_settings(model, image_size, settings), image_size, weights, data, options.rows, layer)


def explain(name: str, subject: Subject, pixels: np.ndarray, classes: np.ndarray | None) -> Explanation:
    """The maps of one framework, of `classes` (None: of those that it predicts). pixels: uint8 (R, H, W, C)."""
    framework, layer = FRAMEWORKS[name](), subject.layer
    shape = (len(subject.data.classes), subject.data.channels, subject.image_size)
    model = framework.load(subject.weights, subject.model, *shape, **subject.settings).double()
    names = [name for name, _ in model.named_modules() if name]
    if layer not in names:
        raise OptionError(f"--layer {layer}: {subject.model} has {', '.join(names)}")

    images = framework.tensor(inputs(pixels, subject.data))
    with framework.library.no_grad():
        logits = model(images)
    asked = logits.argmax(1) if classes is None else framework.tensor(classes)
    images_at = models.MODELS[subject.model].image_layers
    reshape = None if images_at is None or layer in images_at else tokens_to_maps
    try:
        grad_cam = framework.attribution.grad_cam(model, images, layer, asked, reshape)
    except ValueError as error:  # the layer runs twice, or gives no maps
        raise OptionError(f"--layer {layer}: {error}") from error
    maps = {
        "saliency": framework.attribution.saliency(model, images, asked),
        "SmoothGrad": framework.attribution.smooth_grad(model, images, asked),
        "Grad-CAM": grad_cam,
    }
    if not all(bool(values.isfinite().all()) for values in (logits, *maps.values())):
        raise MinigradError(f"{subject.weights}: logits or gradients of these images are NaN or infinite")
    return Explanation(logits.numpy(), asked.numpy(), {name: values.numpy() for name, values in maps.items()})


def inputs(pixels: np.ndarray, data: Any) -> np.ndarray:
    """What the network sees, float64 (R, C, H, W): normalised by data.mean and data.std, and no two pixels alike.

    In a flat area all windows of a max pool are ties, and a framework's rounding would decide where the gradient goes.
    Noise that nobody can see decides instead, the same for both frameworks.
    """
    images = normalize(pixels, data.mean, data.std).astype(np.float64)
    return images + UNSEEN * np.random.default_rng(0).standard_normal(images.shape)


def tokens_to_maps(tokens: Any) -> Any:
    """(N, h, w, K) to (N, K, h, w), in either framework; what has not four axes stays as it is."""
    return tokens.permute(0, 3, 1, 2) if tokens.ndim == 4 else tokens


def check_mosaics(labels: np.ndarray) -> None:
    """OptionError unless these are four labels, all different, or several times that."""
    if len(labels) % 4 or any(len(set(four)) < 4 for four in labels.reshape(-1, 4)):
        raise OptionError(
            f"--mosaic takes rows four at a time, of four different labels, not of labels {labels.tolist()}"
        )


def mosaics(pixels: np.ndarray) -> np.ndarray:
    """Four images (H, W, C) after four put together, two by two, each such picture (2H, 2W, C) four times: (R, 2H, 2W, C)."""
    count, height, width, channels = pixels.shape
    pairs = pixels.reshape(count // 4, 2, 2, height, width, channels)  # (four, row, column, H, W, C)
    together = pairs.swapaxes(2, 3).reshape(count // 4, 2 * height, 2 * width, channels)
    return together.repeat(4, axis=0)


def own_share(maps: np.ndarray) -> float:
    """How much of each map (R, 2H, 2W) lies in the quarter that its class comes from, on average."""
    count, height, width = maps.shape
    quarters = maps.reshape(count, 2, height // 2, 2, width // 2).sum((2, 4)).reshape(count // 4, 4, 4)
    own, whole = quarters.diagonal(axis1=1, axis2=2), quarters.sum(2)
    return float(np.mean(own / np.where(whole == 0, 1.0, whole)))


def compare_frameworks(ours: Explanation, theirs: Explanation) -> bool:
    """Whether the frameworks differ by no more than rounding; prints by how much."""
    pairs = {"logits": (ours.logits, theirs.logits)}
    pairs |= {name: (values, theirs.maps[name]) for name, values in ours.maps.items()}
    apart = {name: largest_difference(*pair) for name, pair in pairs.items()}
    agree = all(difference <= TOLERANCE for difference in apart.values())
    print("minigrad and torch differ by " + ", ".join(f"{value:.1e} ({name})" for name, value in apart.items()), end="")
    print(" of an image's largest number" if agree else f": MORE THAN {TOLERANCE:g}, NOT THE SAME COMPUTATION")
    return agree


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest error of an image's numbers, of its largest; the largest over the images. NaN if one is."""
    return float(np.max([largest_error(a, b) for a, b in zip(ours, theirs, strict=True)]))
