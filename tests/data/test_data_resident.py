"""Images that a GPU keeps and augments are the very pixels that the loader gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.backends import get
from minigrad.data import ArrayDataset, open_dataset
from minigrad.data.resident import FIELDS, PlaceLoader, Resident
from minigrad.data.sampling import sample_rng
from tests import emulator

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(emulator.compiler() is None, reason="no g++ to emulate CUDA with"),
]
SIZES = [(40, 30), (30, 64), (36, 36), (128, 20), (16, 90)]  # the last two have rotations that are bounded by two edges


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs of several sizes, of smooth colours and noise."""
    from PIL import Image

    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for i, (width, height) in enumerate(SIZES):
            x, y, c = np.meshgrid(np.arange(width), np.arange(height), np.arange(3), indexing="xy")
            pixels = 128 + 90 * np.sin(x / 7 + y / 5 + c) + random.normal(0, 25, x.shape)
            (tmp_path / split / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                tmp_path / split / f"class{i % 2}" / f"{i}.png"
            )
    return tmp_path


def taken(resident: Resident, places: np.ndarray) -> np.ndarray:
    """The pixels (N, H, W, C) that the kernels make of the places."""
    gpu: Any = get("gpu")
    images = gpu.Images(resident.nbytes, resident.longest, resident.image_size, resident.channels, resident.plain)
    for block, _ in resident.blocks():
        images.fill(block)
    zero, one = (gpu.from_host(np.full(resident.channels, value, np.float32)) for value in (0, 1))
    return gpu.to_host(images.take(gpu.from_host(places), zero, one)).transpose(0, 2, 3, 1)


def compare(data: Any, epochs: int, indices: list[int]) -> int:
    """All draws of these epochs, and the images as they are for evaluation; how many."""
    resident = Resident(data)
    draws = [(index, (3, epoch, index)) for epoch in range(epochs) for index in indices]
    wanted = [data.load(index, sample_rng(*key)) for index, key in draws] + [
        data.load(index, None) for index in indices
    ]
    places = [resident.place(index, sample_rng(*key)) for index, key in draws] + [
        resident.place(i, None) for i in indices
    ]
    np.testing.assert_array_equal(taken(resident, np.stack(places)), np.stack(wanted))
    return len(places)


def test_photographs_are_pillows_to_the_bit(folder: Path) -> None:
    data = open_dataset(folder, "train", image_size=16)
    assert compare(data, 30, list(range(len(SIZES)))) == 155
    resident = Resident(data)
    places = np.stack([resident.place(i, sample_rng(3, e, i)) for i in range(len(SIZES)) for e in range(30)])
    columns = dict(zip(FIELDS, places.T, strict=True))
    assert 0 < columns["turned"].mean() < 1 and 0 < columns["mirrored"].mean() < 1
    assert (columns["target_height"] > 16).any()  # where no try fits


@pytest.mark.parametrize("image_size", [None, 20])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_shifted_mirrored_and_resized_alike(image_size: int | None, channels: int) -> None:
    random = np.random.default_rng(1)
    images, labels = random.integers(0, 256, (5, 12, 12, channels), np.uint8), np.arange(5) % 2
    numbers = (0.5,) * channels
    data = ArrayDataset("random", ["a", "b"], images, labels, numbers, numbers, padding=2, image_size=image_size)
    assert Resident(data).plain == (image_size is None)
    compare(data, 6, list(range(5)))


def test_a_loader_gives_places_in_the_loaders_order(folder: Path) -> None:
    data = open_dataset(folder, "train", image_size=16)
    with PlaceLoader(Resident(data), 2, True, seed=5, drop_last=True) as loader:
        batches = list(loader.epoch(1))
    assert [batch.images.shape for batch in batches] == [(2, len(FIELDS))] * 2
    from minigrad.data import DataLoader

    with DataLoader(data, 2, True, seed=5) as plain:
        for ours, theirs in zip(batches, plain.epoch(1), strict=True):
            np.testing.assert_array_equal(ours.labels, theirs.labels)
            np.testing.assert_array_equal(taken(Resident(data), ours.images), theirs.images)
