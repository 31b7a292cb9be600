"""What a data set is, and the one that is held in memory."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from minigrad.errors import OptionError


class ImageDataset(ABC):
    """Labelled images of one split, all of one size.

    Attributes:
        name: short, fit for a folder's name.
        classes: the classes' names; label k means classes[k].
        channels: 1 (grey) or 3 (RGB).
        image_size: height and width, in pixels, of what `load` returns.
        mean, std: of each channel, over pixels scaled to [0, 1]; what `normalize` takes.
        labels: int64 (len(self),), each in [0, len(classes)).
    """

    def __init__(
        self,
        name: str,
        classes: list[str],
        labels: npt.NDArray[np.int64],
        channels: int,
        image_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        self.name = name
        self.classes = classes
        self.labels = labels
        self.channels = channels
        self.image_size = image_size
        self.mean = mean
        self.std = std

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def load(self, index: int, rng: np.random.Generator | None) -> npt.NDArray[np.uint8]:
        """Image `index`, uint8 (H, W, C): augmented with draws from rng, or, with None, as it is for evaluation."""


class ArrayDataset(ImageDataset):
    """Small images held in memory, uint8 (N, H, W, C): Fashion-MNIST, CIFAR.

    Augmentation: the image with `padding` black pixels on every side, cropped at random to its own size, then mirrored
    left to right with probability 1/2 (He et al. 2015, section 4.2, for CIFAR). An `image_size` other than the images'
    own is a bilinear resize at the end, for training and for evaluation.
    """

    def __init__(
        self,
        name: str,
        classes: list[str],
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        padding: int,
        image_size: int | None = None,
    ) -> None:
        _, height, width, channels = images.shape
        if height != width:
            raise ValueError(f"images must be square, got {height}x{width}")
        super().__init__(name, classes, labels, channels, image_size or height, mean, std)
        self.native_size = height
        self.padding = padding
        # Padded once for all images, so that a random crop is no more than a slice.
        sides = (padding, padding)
        self.padded = np.pad(images, ((0, 0), sides, sides, (0, 0)))

    def drawn(self, rng: np.random.Generator | None) -> tuple[int, int, bool]:
        """Where an image's crop begins in its padded form (row, column), and whether it is mirrored; with None, as it is."""
        if rng is None:
            return self.padding, self.padding, False
        shifts = 2 * self.padding + 1
        return int(shifts * rng.random()), int(shifts * rng.random()), bool(rng.random() < 0.5)

    def load(self, index: int, rng: np.random.Generator | None) -> npt.NDArray[np.uint8]:
        (top, left, flip), size = self.drawn(rng), self.native_size
        image = self.padded[index, top : top + size, left : left + size]
        if flip:
            image = image[:, ::-1]
        if self.image_size == size:
            return image
        from minigrad.data import transforms

        return transforms.resize_array(image, self.image_size)


def balanced_selection(labels: npt.NDArray[np.int64], limit: int | None) -> npt.NDArray[np.int64]:
    """The indices of the first `limit` images, taken in turns over the classes, in ascending order.

    The first image of each class comes first (classes in ascending order), then the second of each, and so on. So the
    selection is the same for every seed, a smaller one is part of a larger one, and no class has more than one image
    above another unless that one has run out. None, or a limit above the number of images, selects all.

    Raises:
        OptionError: limit is below 1.
    """
    if limit is None:
        return np.arange(len(labels))
    if limit < 1:
        raise OptionError(f"the limit on the number of images must be 1 or more, got {limit}")
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])  # where each image's class begins in `order`
    turn = np.empty(len(labels), np.int64)
    turn[order] = np.arange(len(labels)) - starts  # how many images of the same class come before this one
    return np.sort(np.lexsort((labels, turn))[:limit])
