"""From what --data says to a data set: the embedded images, one of torchvision's by name, or a folder."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.dataset import ArrayDataset, ImageDataset, balanced_selection
from minigrad.data.folder import open_folder
from minigrad.errors import DataError, OptionError, did_you_mean

EMBEDDED = Path(__file__).parent / "embedded" / "fashion_mnist_small.npz"  # made by tools/make_embedded_images.py
EMBEDDED_NAME = "fashion-mnist-small"
EMBEDDED_MEAN, EMBEDDED_STD = (0.2866816471588635,), (0.3540125726600868,)  # of its training images, as below
DEFAULT_ROOT = "data"
LEAST_SIZE = 8  # pixels; below, cropping after a rotation can leave nothing

FASHION_CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]


@dataclass(frozen=True)
class _TorchvisionSet:
    """One of torchvision's data sets. mean and std are those of its training images, over pixels scaled to [0, 1]."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: int
    files: str  # where a user without a network puts what


TORCHVISION_SETS = {
    known.name.lower(): known
    for known in (
        _TorchvisionSet(
            "FashionMNIST",
            (0.2860405969887955,),
            (0.35302424451492254,),
            2,
            "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
            "t10k-labels-idx1-ubyte.gz in {root}/FashionMNIST/raw",
        ),
        _TorchvisionSet(
            "CIFAR10",
            (0.49139968, 0.48215841, 0.44653091),
            (0.24703223, 0.24348513, 0.26158784),
            4,
            "cifar-10-python.tar.gz in {root}",
        ),
        _TorchvisionSet(
            "CIFAR100",
            (0.50707516, 0.48654887, 0.44091784),
            (0.26733429, 0.25643846, 0.27615047),
            4,
            "cifar-100-python.tar.gz in {root}",
        ),
    )
}


def open_dataset(
    source: str | os.PathLike[str] | None,
    split: str,
    image_size: int | None = None,
    limit: int | None = None,
) -> ImageDataset:
    """Open one split of a data set.

    Args:
        source: None or "fashion-mnist-small", the embedded 10,000 + 2,000 images of Fashion-MNIST; "FashionMNIST",
            "CIFAR10" or "CIFAR100" (in any case), torchvision's, kept in ./data, or elsewhere with "CIFAR10:/path", and
            downloaded unless the files are there; or a folder, with MiniPlaces' lists or a folder for each class
            (`minigrad.data.folder.open_folder` says how they are laid out).
        split: "train" or "val". torchvision's test images are "val".
        image_size: height and width of the images in pixels; None: 28 for Fashion-MNIST, 32 for CIFAR, 128 for folders.
        limit: at most so many images: the first of each class in turn, then the second of each, and so on, whatever the
            seed (`minigrad.data.dataset.balanced_selection`).

    Raises:
        DataError: there is no such data set, or its files are missing or broken.
        OptionError: split, image_size or limit is out of range.
    """
    if split not in ("train", "val"):
        raise OptionError(f"the split must be 'train' or 'val', got {split!r}")
    if image_size is not None and image_size < LEAST_SIZE:
        raise OptionError(f"the image size must be {LEAST_SIZE} or more, got {image_size}")
    if source is None:
        return _open_embedded(split, image_size, limit)
    text = os.fspath(source)
    name, _, root = text.partition(":")
    if text.lower() == EMBEDDED_NAME:
        return _open_embedded(split, image_size, limit)
    if name.lower() in TORCHVISION_SETS:
        return _open_torchvision(TORCHVISION_SETS[name.lower()], root or DEFAULT_ROOT, split, image_size, limit)
    if not os.path.exists(text):
        names = ", ".join([EMBEDDED_NAME, *(known.name for known in TORCHVISION_SETS.values())])
        near = did_you_mean(text, [EMBEDDED_NAME, *(known.name for known in TORCHVISION_SETS.values())])
        raise DataError(f"no folder {text!r} exists, nor is it a known data set ({names}){near}")
    return open_folder(Path(text), split, image_size, limit)


def _remove_empty(folder: Path) -> None:
    """Remove a folder, as far as nothing but folders is in it."""
    for place, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(place)


def _open_embedded(split: str, image_size: int | None, limit: int | None) -> ArrayDataset:
    try:
        with np.load(EMBEDDED, allow_pickle=False) as file:
            images, labels = file[f"{split}_images"], file[f"{split}_labels"].astype(np.int64)
    except Exception as error:  # a broken archive shows in many ways
        raise DataError(f"the embedded images in {EMBEDDED} cannot be read: {error}") from error
    chosen = balanced_selection(labels, limit)
    return ArrayDataset(
        EMBEDDED_NAME,
        FASHION_CLASSES,
        images[chosen],
        labels[chosen],
        EMBEDDED_MEAN,
        EMBEDDED_STD,
        padding=2,
        image_size=image_size,
    )


def _open_torchvision(
    known: _TorchvisionSet, root: str, split: str, image_size: int | None, limit: int | None
) -> ArrayDataset:
    try:
        from torchvision import datasets
    except ImportError:
        raise DataError(f"{known.name} is read by torchvision, which is missing: pip install torchvision") from None
    opener: Callable[..., Any] = getattr(datasets, known.name)
    made = next((folder for folder in [*reversed(Path(root).parents), Path(root)] if not folder.exists()), None)
    try:
        # Looks for the files first, and reads CIFAR's pickles only if their checksums are right.
        opened = opener(root, train=split == "train", download=True)
    except Exception as error:  # no network, a full disk, broken files: torchvision raises many kinds
        reason = " ".join(str(error).split())
        where = known.files.format(root=root)
        if made is not None:  # nothing was downloaded into a new folder
            _remove_empty(made)
        raise DataError(
            f"{known.name} is not in {root!r} and cannot be downloaded: put {where} ({type(error).__name__}: {reason})"
        ) from error
    images: npt.NDArray[np.uint8] = np.asarray(opened.data)
    labels: npt.NDArray[np.int64] = np.asarray(opened.targets, np.int64)
    if images.ndim == 3:
        images = images[..., None]  # grey: (N, H, W)
    chosen = balanced_selection(labels, limit)
    return ArrayDataset(
        known.name,
        list(opened.classes),
        images[chosen],
        labels[chosen],
        known.mean,
        known.std,
        known.padding,
        image_size,
    )
