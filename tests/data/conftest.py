"""Small image folders to read, and the sample of MiniPlaces where it lies beside the checkout."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "miniplaces-sample.tar"


@pytest.fixture(scope="session")
def random_image() -> Callable[[int, int, int], Image.Image]:
    """A function of (seed, width, height): noise enlarged to soft blobs, as photographs are softer than noise."""

    def draw(seed: int, width: int, height: int) -> Image.Image:
        small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8))
        return small.resize((width, height), Image.Resampling.BICUBIC)

    return draw


@pytest.fixture
def miniplaces(tmp_path: Path, random_image: Callable[[int, int, int], Image.Image]) -> Callable[..., Path]:
    """A function that writes a folder in MiniPlaces' layout: 3 classes, 12 training and 6 validation images."""

    def write(name: str = "places", lists: str = ".", train: int = 12, val: int = 6) -> Path:
        root = tmp_path / name
        (root / lists).mkdir(parents=True, exist_ok=True)
        for split, count in [("train", train), ("val", val)]:
            lines = []
            for i in range(count):
                path = f"train/a/class{i % 3}/{i}.jpg" if split == "train" else f"val/{i}.jpg"
                file = root / lists / "images" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                random_image(i, 40 + i, 48).save(file)
                lines.append(f"{path} {i % 3}\n")
            (root / lists / f"{split}.txt").write_text("".join(lines))
        return root

    return write


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the MiniPlaces sample."""
    if not SAMPLE.is_file():
        pytest.skip("no MiniPlaces sample beside the checkout")
    folder = tmp_path_factory.mktemp("sample")
    with tarfile.open(SAMPLE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "miniplaces"
