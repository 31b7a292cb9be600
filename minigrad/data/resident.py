"""A data set as one block of bytes for a device's memory, and each image's augmentation as numbers by which a kernel makes it.

What the kernels make of them (minigrad/backends/gpu/cuda/images.cu) are the very pixels that `ImageDataset.load` gives.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.dataset import ArrayDataset, ImageDataset
from minigrad.data.decode import read_rgb, size_of
from minigrad.data.folder import FolderDataset
from minigrad.data.loader import DataLoader
from minigrad.data.sampling import sample_rng
from minigrad.errors import DataError

THREADS, AT_ONCE = 8, 256  # image files that are read at a time, and brought to the device together
FIELDS = (
    "offset", "width", "height", "mirrored", "red", "green", "blue", "turned", "xx", "xy", "x0", "yx", "yy", "y0",
    "left", "top", "region_width", "region_height", "target_width", "target_height", "target_left", "target_top",
    "columns_first",
)  # fmt: skip
"""A place: the image's first byte and its size; then, in this order: whether it is mirrored, its channels' factors, its rotation
(from a pixel's place to where it comes from), the region that is cut, the size to which that is resized, the crop of the result."""
UNCHANGED = {"red": 1.0, "green": 1.0, "blue": 1.0}


class Resident:
    """The images of a data set as bytes (H, W, C), one after the other; `sizes` (N, 2) are their widths and heights.

    plain: whether no image is ever turned, coloured or resized. blocks() gives the bytes; place(index, rng) the numbers FIELDS of
    what load(index, rng) gives.
    """

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset, self.image_size, self.channels = dataset, dataset.image_size, dataset.channels
        self.sizes = self._sizes()
        ends = np.cumsum(self.sizes.prod(axis=1) * self.channels)
        self.offsets, self.nbytes = np.concatenate([[0], ends[:-1]]), int(ends[-1])
        self.longest = int(self.sizes.max())
        self.plain = isinstance(dataset, ArrayDataset) and dataset.native_size == dataset.image_size

    def _sizes(self) -> npt.NDArray[np.int64]:
        if isinstance(self.dataset, ArrayDataset):
            _, height, width, _ = self.dataset.padded.shape
            return np.tile(np.array([[width, height]], np.int64), (len(self.dataset), 1))
        from minigrad.data import transforms

        assert isinstance(self.dataset, FolderDataset)
        short = transforms.resize_size(self.image_size)
        with ThreadPoolExecutor(THREADS, "minigrad.resident") as threads:
            found = list(threads.map(size_of, self.dataset.files))
        return np.array([transforms.size_of_short_side(*size, short) for size in found], np.int64)

    def blocks(self) -> Iterator[tuple[npt.NDArray[np.uint8], int]]:
        """The bytes of some images at a time, in their order, and how many those are. DataError if one cannot be read."""
        if isinstance(self.dataset, ArrayDataset):
            for first in range(0, len(self.dataset), AT_ONCE):
                padded = self.dataset.padded[first : first + AT_ONCE]
                yield padded.reshape(-1), len(padded)
            return
        with ThreadPoolExecutor(THREADS, "minigrad.resident") as threads:
            for first in range(0, len(self.dataset), AT_ONCE):
                some = range(first, min(first + AT_ONCE, len(self.dataset)))
                yield np.concatenate(list(threads.map(self._pixels, some))), len(some)

    def _pixels(self, index: int) -> npt.NDArray[np.uint8]:
        from minigrad.data import transforms

        image = read_rgb(self.dataset.files[index])  # type: ignore[attr-defined]
        pixels = np.asarray(transforms.resize_short_side(image, transforms.resize_size(self.image_size)))
        if pixels.shape[1::-1] != tuple(self.sizes[index]):
            raise DataError(f"{self.dataset.files[index]} has another size than before")  # type: ignore[attr-defined]
        return pixels.reshape(-1)

    def place(self, index: int, rng: np.random.Generator | None) -> npt.NDArray[np.float64]:
        """The numbers FIELDS of an image, augmented with the draws that load(index, rng) makes."""
        width, height = map(int, self.sizes[index])
        found = {"offset": int(self.offsets[index]), "width": width, "height": height, **UNCHANGED}
        found |= (
            self._array_place(width, rng)
            if isinstance(self.dataset, ArrayDataset)
            else self._file_place(width, height, rng)
        )
        found["columns_first"] = self._columns_first(found)
        return np.array([found.get(name, 0) for name in FIELDS], np.float64)

    def _columns_first(self, found: dict[str, float]) -> bool:
        """Whether Pillow resizes the region along its columns before its rows: from 13 on, where that loses the most pixels."""
        if self.plain:
            return False
        from minigrad.data import transforms

        lost, lost_across = (found[f"region_{side}"] - found[f"target_{side}"] for side in ("height", "width"))
        return transforms.PILLOW >= 13 and lost > max(0, 2 * lost_across)

    def _array_place(self, width: int, rng: np.random.Generator | None) -> dict[str, float]:
        data = self.dataset
        assert isinstance(data, ArrayDataset)
        (top, left, flip), size = data.drawn(rng), data.native_size
        return _region(width - left - size if flip else left, top, size, size, self.image_size) | {"mirrored": flip}

    def _file_place(self, width: int, height: int, rng: np.random.Generator | None) -> dict[str, float]:
        """As transforms.train_transform draws, or transforms.eval_transform cuts, after the resize of the short side."""
        from minigrad.data import transforms

        size = self.image_size
        if rng is None:
            return _region(*transforms.center_of(width, height, size), size, size, size)
        mirrored, factors = rng.random() < 0.5, rng.uniform(1 - transforms.COLOUR, 1 + transforms.COLOUR, 3)
        angle = rng.uniform(-transforms.DEGREES, transforms.DEGREES)
        found = {"mirrored": mirrored, **dict(zip(UNCHANGED, factors.tolist(), strict=True))}
        inner = transforms.box_of_rotation(width, height, angle)
        if inner is not None:
            found |= {"turned": 1} | _rotation(width, height, angle)
        left, top, right, bottom = inner or (0, 0, width, height)
        box = transforms.random_box(right - left, bottom - top, rng)
        if box is not None:
            return found | _region(left + box[0], top + box[1], box[2] - box[0], box[3] - box[1], size)
        across, down = transforms.size_of_short_side(right - left, bottom - top, size)
        target_left, target_top = transforms.center_of(across, down, size)
        target = {"target_width": across, "target_height": down, "target_left": target_left, "target_top": target_top}
        return found | _region(left, top, right - left, bottom - top, size) | target


def _region(left: int, top: int, width: int, height: int, size: int) -> dict[str, Any]:
    """A region, resized to size x size."""
    region = {"left": left, "top": top, "region_width": width, "region_height": height}
    return region | {"target_width": size, "target_height": size}


def _rotation(width: int, height: int, angle: float) -> dict[str, float]:
    """Where each pixel of Image.rotate(angle) comes from: the numbers of Pillow's affine transform, rounded as it rounds them."""
    turn = -math.radians(angle % 360)
    xx, xy, yx, yy = (round(f(turn), 15) for f in (math.cos, math.sin, lambda t: -math.sin(t), math.cos))
    x, y = width / 2, height / 2
    x0, y0 = xx * -x + xy * -y + 0.0 + x, yx * -x + yy * -y + 0.0 + y
    return {"xx": xx, "xy": xy, "x0": x0, "yx": yx, "yy": yy, "y0": y0}


class PlaceLoader(DataLoader):
    """A loader of a resident data set: the `images` of its batches are places (N, len(FIELDS)), float64, to be made there."""

    def __init__(self, resident: Resident, batch_size: int, train: bool, **more: int | bool) -> None:
        super().__init__(resident.dataset, batch_size, train, **more)  # type: ignore[arg-type]
        self.resident = resident

    def _load(self, epoch: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        places = [
            self.resident.place(index, sample_rng(self.seed, epoch, index) if self.train else None)
            for index in indices.tolist()
        ]
        return np.stack(places)  # type: ignore[return-value]
