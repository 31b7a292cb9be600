"""python -m compare explain: where a trained network looks, as a picture: saliency, SmoothGrad and Grad-CAM of chosen images.

A row of the picture is a validation image with what the network says of it, the magnitude of the logit's gradient with
respect to the image (saliency; SmoothGrad is its mean over noisy copies) and, over the image, Grad-CAM: how much each
place of a layer speaks for the class. docs/attribution.md says how to read them. With --track both PyTorch computes the
same maps from the same weights, and the largest difference is printed. Everything is computed on the CPU in float64, in
which the two tracks can be told apart from rounding.

The options of a checkpoint of a run (model, its settings, data, image size) need not be given again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import models
from compare.arguments import Parser, count
from compare.heatmaps import Row, draw
from compare.speed import read_settings
from minigrad.data import normalize, open_dataset
from minigrad.data.dataset import ImageDataset
from minigrad.errors import MinigradError, OptionError
from minigrad.training.checkpoints import check_weights, find_checkpoint, read_state
from minigrad.training.recipes import SETTINGS, model_settings, recipe
from minigrad.weights import Arrays, load_weights, write_atomically

MOST_ROWS = 32
TOLERANCE = 1e-6  # of a map's largest number; float64 gives some 1e-13


class Layer(NamedTuple):
    """Where Grad-CAM looks, and what brings the layer's output into the shape (N, K, h, w)."""

    name: str
    reshape: Callable[[Any], Any] | None = None


def tokens_to_maps(tokens: Any) -> Any:
    """(N, h, w, K) to (N, K, h, w)."""
    return tokens.permute(0, 3, 1, 2)


# The last layer whose places can be told apart: after it comes an average over them, then the linear layer for the classes.
LAYERS = {
    "simplenet": Layer("features"),
    "simplenet-bn": Layer("features"),
    "resnet18": Layer("layer4"),
    "vit": Layer("norm", tokens_to_maps),
}


@dataclass(frozen=True)
class Job:
    """What is looked at: a model with its weights, and images of a data set."""

    model: str
    settings: dict[str, Any]
    image_size: int
    weights: Path
    data: ImageDataset
    rows: list[int]
    layer: Layer


@dataclass(frozen=True)
class Explanation:
    """What one track says of R images, all on the host."""

    logits: np.ndarray  # (R, classes)
    maps: dict[str, np.ndarray]  # by name, (R, H, W)


def run(arguments: Sequence[str]) -> int:
    """Compute the maps, print what the network says, draw. Returns 0, or 1 if the two tracks differ."""
    options = parse(arguments)
    job = make_job(options)
    weights = load_weights(job.weights)
    pixels = np.stack([job.data.load(row, None) for row in job.rows])
    images = normalize(pixels, job.data.mean, job.data.std).astype(np.float64)
    labels = job.data.labels[job.rows]

    tracks = ["minigrad", "torch"] if options.track == "both" else [options.track]
    found: dict[str, Explanation] = {}
    classes = labels if options.of == "label" else None
    for track in tracks:
        found[track] = explain(track, job, weights, images, classes)
        if classes is None:  # the second track explains what the first one predicts
            classes = found[track].logits.argmax(1)
    explanation = found[tracks[0]]
    rows = [
        Row(
            f"row {row}",
            image,
            job.data.classes,
            label,
            logits,
            {name: maps[i] for name, maps in explanation.maps.items()},
        )
        for i, (row, image, label, logits) in enumerate(zip(job.rows, pixels, labels, explanation.logits, strict=True))
    ]
    for row in rows:
        print(row.describe())
    write_atomically(
        options.out, draw(rows, "class explained: " + ("the label" if options.of == "label" else "the prediction"))
    )
    print(f"{options.out}: {job.model}, {', '.join(explanation.maps)}")
    return compare_tracks(found) if options.track == "both" else 0
