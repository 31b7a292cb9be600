"""python -m compare explain: where a trained network looks, as a picture: saliency, SmoothGrad and Grad-CAM of chosen images.

A row of the picture is a validation image with what the network says of it; the magnitude of the gradient of a class's logit
with respect to the image (saliency; SmoothGrad takes the mean gradient of noisy copies); and, over the image, Grad-CAM: how
much each place of a layer's maps speaks for that class. docs/attribution.md says how to read them.

--mosaic asks whether a map finds what it is about: four images of four labels make one, twice as large, and each label is
explained. Printed is the share of each map within its label's quarter, of which 25 % would be chance (M. Boehle et al.,
Convolutional Dynamic Alignment Networks, 2021, call it the localisation metric).

With --track both PyTorch computes the same maps from the same weights, and the largest differences are printed; the picture
is minigrad's. Everything is computed on the CPU in float64, in which the two tracks can be told apart from rounding.

A checkpoint of a run brings model, settings, data and image size along; beside a file of weights alone they have to be given.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import models
from compare.explain.picture import Row, draw
from compare.kit.arguments import Parser, add_trained, read_trained
from compare.kit.result import check_writable
from minigrad.data import normalize, open_dataset
from minigrad.data.dataset import ImageDataset
from minigrad.errors import MinigradError, OptionError
from minigrad.training.checkpoints import load_checked
from minigrad.training.recipes import model_settings
from minigrad.weights import write_atomically

MOST_ROWS = 32
TOLERANCE = 1e-6  # of the largest number; some 1e-13 are seen
UNSEEN = 1e-9  # of noise on images in units of their deviation: a grey level is some 1e-2

LAYERS = {name: card.layer for name, card in models.MODELS.items()}  # where Grad-CAM looks; then comes an average


@dataclass(frozen=True)
class Job:
    """What is looked at: a model with its weights, images of a data set, and the layer of Grad-CAM."""

    model: str
    settings: dict[str, Any]
    image_size: int
    weights: Path
    data: ImageDataset
    rows: list[int]
    layer: str


@dataclass(frozen=True)
class Explanation:
    """What one track says of R images, on the host."""

    logits: np.ndarray  # (R, classes)
    classes: np.ndarray  # (R,): those that the maps explain
    maps: dict[str, np.ndarray]  # by name, (R, H, W)


def run(arguments: Sequence[str]) -> int:
    """Compute the maps, print what the network says, draw. Returns 0, or 1 if the two tracks differ."""
    options = parse(arguments)
    job = make_job(options)
    pixels = np.stack([job.data.load(row, None) for row in job.rows])
    labels = job.data.labels[job.rows]
    if options.mosaic:
        pixels = mosaics(pixels)

    found: dict[str, Explanation] = {}
    classes = labels if options.of == "label" or options.mosaic else None
    for track in ["minigrad", "torch"] if options.track == "both" else [options.track]:
        found[track] = explain(track, job, pixels, classes)
        classes = found[track].classes  # the second track explains what the first one does
    shown = next(iter(found.values()))

    rows = []
    for i, row in enumerate(job.rows):
        maps = {name: values[i] for name, values in shown.maps.items()}
        rows.append(Row(row, pixels[i], job.data.classes, labels[i], shown.classes[i], shown.logits[i], maps))
        print(rows[-1])
    write_atomically(options.out, draw(rows))
    print(f"{options.out}: {', '.join(shown.maps)} at {job.layer}")
    if options.mosaic:
        shares = ", ".join(f"{100 * own_share(values):.0f} % of {name}" for name, values in shown.maps.items())
        print(f"within the label's own quarter (25 % would be chance): {shares}")
    return compare_tracks(found["minigrad"], found["torch"]) if options.track == "both" else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. OptionError for what is unknown, out of range, or cannot be written."""
    parser = Parser("explain", __doc__)
    add_trained(parser)
    add = parser.add_argument
    add("--rows", type=row_numbers, default=[0, 1, 2, 3], help="validation images, counted from 0 (0,1,2,3)")
    add("--of", choices=["prediction", "label"], default="prediction", help="the class that is explained (prediction)")
    add("--mosaic", action="store_true", help="explain the labels of four images at a time, put together to one")
    add("--layer", help=f"of Grad-CAM ({', '.join(f'{model}: {name}' for model, name in LAYERS.items())})")
    add("--track", choices=["minigrad", "torch", "both"], default="minigrad", help="who computes (minigrad)")
    add("--out", type=Path, default=Path("explain.png"), metavar="FILE.png", help="the picture (explain.png)")
    options = parser.parse_args(arguments)
    if options.out.suffix.lower() != ".png":
        raise OptionError(f"--out {options.out}: the picture is a PNG, a name that ends in .png is wanted")
    check_writable(options.out, "--out")
    return options


def row_numbers(text: str) -> list[int]:
    """An argparse type: numbers of images such as 0,4,17."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len(parts) > MOST_ROWS:
        raise argparse.ArgumentTypeError(f"up to {MOST_ROWS} row numbers such as 0,4,17 are wanted, not {text!r}")
    return [int(part) for part in parts]


def make_job(options: argparse.Namespace) -> Job:
    """What the options and the checkpoint say. OptionError, DataError, CheckpointError for what is not there."""
    weights, model, source, image_size, settings = read_trained(options)
    data = open_dataset(source, "val", image_size)
    if beyond := [row for row in options.rows if row >= len(data)]:
        raise OptionError(f"--rows: {data.name} has {len(data)} validation images, there is no row {beyond[0]}")
    if options.mosaic:
        check_mosaics(data.labels[options.rows])
        image_size *= 2
    layer = options.layer or LAYERS[model]
    return Job(model, model_settings(model, image_size, settings), image_size, weights, data, options.rows, layer)


def explain(track: str, job: Job, pixels: np.ndarray, classes: np.ndarray | None) -> Explanation:
    """The maps of one track, of `classes` (None: of those that it predicts). pixels: uint8 (R, H, W, C)."""
    library, attribution, create = open_track(track)
    model = create(job.model, len(job.data.classes), job.data.channels, job.image_size, **job.settings)
    weights = load_checked(job.weights, {key: tuple(value.shape) for key, value in model.state_dict().items()})
    model.load_state_dict({key: library.from_numpy(array) for key, array in weights.items()}, strict=False)
    model.double().eval()
    names = [name for name, _ in model.named_modules() if name]
    if job.layer not in names:
        raise OptionError(f"--layer {job.layer}: {job.model} has {', '.join(names)}")

    images = library.from_numpy(inputs(pixels, job.data))
    with library.no_grad():
        logits = model(images)
    asked = logits.argmax(1) if classes is None else library.from_numpy(classes)
    images_at = models.MODELS[job.model].image_layers
    reshape = None if images_at is None or job.layer in images_at else tokens_to_maps
    try:
        grad_cam = attribution.grad_cam(model, images, job.layer, asked, reshape)
    except ValueError as error:  # the layer runs twice, or gives no maps
        raise OptionError(f"--layer {job.layer}: {error}") from error
    maps = {
        "saliency": attribution.saliency(model, images, asked),
        "SmoothGrad": attribution.smooth_grad(model, images, asked),
        "Grad-CAM": grad_cam,
    }
    if not all(bool(values.isfinite().all()) for values in (logits, *maps.values())):
        raise MinigradError(f"{job.weights}: logits or gradients of these images are NaN or infinite")
    return Explanation(logits.numpy(), asked.numpy(), {name: values.numpy() for name, values in maps.items()})


def inputs(pixels: np.ndarray, data: ImageDataset) -> np.ndarray:
    """What the network sees, float64 (R, C, H, W): normalised, and no two pixels alike.

    In a flat area all windows of a max pool are ties, and a framework's rounding would decide where the gradient goes.
    Noise that nobody can see decides instead, the same for both tracks.
    """
    images = normalize(pixels, data.mean, data.std).astype(np.float64)
    return images + UNSEEN * np.random.default_rng(0).standard_normal(images.shape)


def open_track(track: str) -> tuple[Any, Any, Any]:
    """(framework, its attribution, its models' create). MinigradError if torch is asked for and missing."""
    if track == "minigrad":
        import minigrad
        from minigrad import attribution

        return minigrad, attribution, models.create
    try:
        import torch
    except ImportError as error:
        raise MinigradError(f'--track torch and both take PyTorch ({error}): pip install -e ".[reference]"') from error
    from models import reference
    from models.reference import attribution as their_attribution

    return torch, their_attribution, reference.create


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


def compare_tracks(ours: Explanation, theirs: Explanation) -> int:
    """Print how far the tracks are apart. Returns 1 if that is more than rounding."""
    pairs = {"logits": (ours.logits, theirs.logits)}
    pairs |= {name: (values, theirs.maps[name]) for name, values in ours.maps.items()}
    apart = {name: largest_difference(*pair) for name, pair in pairs.items()}
    agree = all(difference <= TOLERANCE for difference in apart.values())
    print("minigrad and torch differ by " + ", ".join(f"{value:.1e} ({name})" for name, value in apart.items()), end="")
    print(" of an image's largest number" if agree else f": MORE THAN {TOLERANCE:g}, NOT THE SAME COMPUTATION")
    return 0 if agree else 1


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """max |ours - theirs| / max |theirs| of each image, the largest over the images; 0 where both are zero."""
    axes = tuple(range(1, ours.ndim))
    apart, size = np.abs(ours - theirs).max(axes), np.abs(theirs).max(axes)
    with np.errstate(divide="ignore"):
        return float(np.where(apart == 0, 0.0, apart / np.where(apart == 0, 1.0, size)).max())
