"""Images for the tutorial: the embedded ones of Fashion-MNIST, as tensors."""

from __future__ import annotations

import functools

import numpy as np

from minigrad.data.normalize import normalize
from minigrad.data.sources import FASHION_CLASSES, open_dataset
from minigrad.ops.creation import from_numpy
from minigrad.tensor import Tensor

names = list(FASHION_CLASSES)
"""What the ten labels mean: names[9] is "Ankle boot"."""


@functools.cache
def _read(split: str) -> tuple[np.ndarray, np.ndarray]:
    data = open_dataset(None, split)
    pixels = np.stack([data.load(index, None) for index in range(len(data))])
    return np.ascontiguousarray(normalize(pixels, data.mean, data.std)), data.labels


def fashion(split: str, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` images of "train" (10,000) or "val" (2,000): float32 (count, 1, 28, 28), normalised; labels (count,)."""
    images, labels = _read(split)
    return from_numpy(images[:count].copy()), from_numpy(labels[:count].copy())
