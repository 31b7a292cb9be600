"""The project's networks in no special state, in both frameworks, and random batches for them.

A fresh network has ones and zeros in norms, biases and running statistics: a bias of 0 or a variance of 1 hides many an error.
So `build` puts random numbers in all these places.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

import models.reference
from compare.kit.distances import Arrays
from compare.kit.frameworks import framework_of
from minigrad.random import Generator


@lru_cache(maxsize=4)
def random_state(name: str, seed: int = 0, **settings: Any) -> Arrays:
    """Random float32 numbers for all of a model: no weight of a norm is 1, no bias 0, no variance 1.

    settings: what models.create takes, hashable; num_classes is 7 unless given.
    """
    import torch

    torch.manual_seed(seed)
    random = np.random.default_rng(seed + 3)
    model = models.reference.create(name, **{"num_classes": 7, **settings})
    arrays = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    for key, value in arrays.items():
        if key.endswith("running_var"):
            value[...] = random.uniform(0.5, 1.5, value.shape)
        elif value.dtype.kind == "f":
            value += random.normal(0, 0.05, value.shape).astype(value.dtype)
    return arrays


def build(
    package: Any,
    name: str,
    dtype: Any,
    device: str = "cpu",
    state: Mapping[str, np.ndarray] | None = None,
    **settings: Any,
) -> Any:
    """The model of `models` or of `models.reference` in `state` (None: random_state's); both draw the same masks.

    dtype: np.float32 or np.float64. settings: as for random_state.
    """
    model = package.create(name, generator=Generator(5), **{"num_classes": 7, **settings})
    wrap = framework_of(model).library.from_numpy
    state = random_state(name, **settings) if state is None else state
    model.load_state_dict({key: wrap(value) for key, value in state.items()})
    return (model.double() if dtype == np.float64 else model).to(device)


def random_batch(
    image_size: int, dtype: Any, seed: int = 0, images: int = 4, channels: int = 3, classes: int = 7
) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, C, H, W) ~ N(0, 1) and labels (N,). The numbers are float32's, so that both precisions see the same."""
    random = np.random.default_rng(seed)
    pixels = random.standard_normal((images, channels, image_size, image_size)).astype(np.float32)
    return pixels.astype(dtype), random.integers(0, classes, images)
