"""One's own images, as a network takes them: any size and kind, turned as their EXIF says, and made what it was trained on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigrad import program
from minigrad.commands.arguments import Arguments, Parser
from minigrad.commands.network import Network
from minigrad.data import normalize, open_dataset
from minigrad.data.decode import read_rgb
from minigrad.data.folder import EXTENSIONS
from minigrad.errors import DataError, OptionError, printable

if TYPE_CHECKING:
    from PIL import Image

EXAMPLES = 5
LONGEST = 4.0  # times the short side: what is cropped away of a longer image is not resized before


@dataclass(frozen=True)
class Photo:
    """An image as a network sees it. name: of its file; pixels: uint8 (H, W, C); label: of an example, None for one's own."""

    name: str
    pixels: np.ndarray
    label: int | None = None


def add_images(parser: Parser, nargs: str = "*") -> None:
    """The positional IMAGE..., and how they are read."""
    without = "" if nargs == "+" else "; without any, examples of the data that the network learnt from"
    parser.add_argument(
        "images",
        nargs=nargs,
        default=[],
        metavar="IMAGE",
        help=f"image files, or folders of them, of any size and kind{without}",
    )
    parser.flag("--invert", "dark and bright change places, for a network that learnt bright things on black ground")


def read_photos(options: Arguments, network: Network) -> list[Photo]:
    """The images that the options name, or some examples. DataError, which names the file, for one that is no image."""
    if not options.images:
        if options.invert:
            raise OptionError("--invert is for images of one's own: name IMAGE files")
        return examples(network)
    photos = [
        Photo(printable(name), as_pixels(read_rgb(name, upright=True), network)) for name in files(options.images)
    ]
    if options.invert:
        return [Photo(photo.name, 255 - photo.pixels) for photo in photos]
    if network.channels == 1 and not network.photographs and all(bright_ground(photo.pixels) for photo in photos):
        program.note("the network learnt bright things on black ground; --invert turns these images into that")
    return photos


def files(names: Sequence[str]) -> list[str]:
    """The files named, and for each folder those in it that are images by their ending, sorted."""
    found: list[str] = []
    for name in names:
        if os.path.isdir(name):
            inside = sorted(str(path) for path in Path(name).iterdir() if path.name.lower().endswith(EXTENSIONS))
            if not inside:
                raise DataError(f"{name} holds no images ({', '.join(EXTENSIONS)})")
            found += inside
        else:
            found.append(name)
    return found


def as_pixels(image: Image.Image, network: Network) -> np.ndarray:
    """An RGB image as uint8 (size, size, channels): resized and cropped as the network's own images were."""
    from minigrad.data.transforms import center_crop, eval_transform, resize_array

    width, height = image.size
    size, short = network.image_size, min(width, height)
    if network.photographs:
        if max(width, height) > LONGEST * short:  # cropped first, or resizing it would take all memory
            half_w, half_h = min(width, LONGEST * short) / 2, min(height, LONGEST * short) / 2
            image = image.crop(
                (round(width / 2 - half_w), round(height / 2 - half_h), round(width / 2 + half_w), round(height / 2 + half_h))
            )  # fmt: skip
        pixels = np.asarray(eval_transform(image if network.channels == 3 else image.convert("L"), size))
        return pixels if pixels.ndim == 3 else pixels[..., None]
    square = center_crop(image, short)
    pixels = np.asarray(square if network.channels == 3 else square.convert("L"))
    return resize_array(pixels if pixels.ndim == 3 else pixels[..., None], size)


def bright_ground(pixels: np.ndarray) -> bool:
    """Whether an image's edge is brighter than its middle, and bright: a thing on white paper."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return float(np.median(edge)) > 127


def examples(network: Network, count: int = EXAMPLES) -> list[Photo]:
    """The first validation image of each of the first classes, of the data that the network learnt from."""
    data = open_dataset(network.data, "val", network.image_size)
    rows = [int(np.argmax(data.labels == k)) for k in np.unique(data.labels)[:count]]
    if len(data.classes) != len(network.classes) or data.channels != network.channels:
        raise DataError(f"{data.name} has other classes than the network: name IMAGE files, or the data with --data")
    return [Photo(f"{data.name} {row}", data.load(row, None), int(data.labels[row])) for row in rows]


def inputs_of(photos: Sequence[Photo], network: Network) -> np.ndarray:
    """What the network sees: float32 (N, C, H, W), normalised."""
    return normalize(np.stack([photo.pixels for photo in photos]), network.mean, network.std)
