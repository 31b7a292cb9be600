"""What decides a batch: the order of an epoch, and each image's own random draws. Both follow from the seed alone."""

import numpy as np
import numpy.typing as npt

from minigrad.data.dataset import ImageDataset


def epoch_order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The indices 0 ... count-1 in the shuffled order of one epoch, from (seed, epoch)."""
    return _generator(seed, epoch).permutation(count)


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers that augment image `index` in one epoch, from (seed, epoch, index)."""
    return _generator(seed, epoch, index)


def _generator(seed: int, *key: int) -> np.random.Generator:
    # A new one for each image: Philox is the quickest of NumPy's to set up.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def load_images(
    dataset: ImageDataset,
    indices: npt.NDArray[np.int64],
    seed: int,
    epoch: int,
    train: bool,
    out: npt.NDArray[np.uint8],
) -> None:
    """Fill out, uint8 (len(indices), H, W, C), with the images, augmented if train."""
    for row, index in zip(out, indices.tolist(), strict=True):
        row[...] = dataset.load(index, sample_rng(seed, epoch, index) if train else None)
