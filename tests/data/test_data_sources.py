"""open_dataset: the embedded images, torchvision's sets by name, and what it refuses."""

import gzip
import os
import runpy
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad.data import ArrayDataset, open_dataset, sources
from minigrad.data.dataset import balanced_selection
from minigrad.errors import DataError, OptionError

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_embedded_images_need_no_torch_and_no_pillow():
    loaded = run_python(
        "import sys, minigrad.data as data\n"
        "train = data.open_dataset(None, 'train')\n"
        "next(data.DataLoader(train, 4, train=True).epoch(0))\n"
        "print([m for m in ('torch', 'torchvision', 'PIL') if m in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("split, per_class", [("train", 1000), ("val", 200)])
def test_embedded_images(split, per_class):
    dataset = open_dataset(None, split)
    assert len(dataset) == 10 * per_class
    assert dataset.name == "fashion-mnist-small" and len(dataset.classes) == 10
    assert dataset.channels == 1 and dataset.image_size == 28
    assert dataset.labels.dtype == np.int64
    np.testing.assert_array_equal(np.bincount(dataset.labels), [per_class] * 10)
    image = dataset.load(0, None)
    assert image.shape == (28, 28, 1) and image.dtype == np.uint8
    assert not np.array_equal(
        open_dataset("Fashion-MNIST-small", "train").load(1, None), open_dataset(None, "val").load(1, None)
    )


def test_mean_and_std_are_those_of_the_embedded_training_images():
    with np.load(sources.EMBEDDED) as file:
        pixels = file["train_images"] / 255
    dataset = open_dataset(None, "val")
    assert dataset.mean == (pytest.approx(pixels.mean(), abs=1e-12),)
    assert dataset.std == (pytest.approx(pixels.std(), abs=1e-12),)
    assert os.path.getsize(sources.EMBEDDED) < 6e6
    assert "Zalando SE" in (sources.EMBEDDED.parent / "LICENSE").read_text()


def test_a_broken_embedded_file_is_named(tmp_path, monkeypatch):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(sources.EMBEDDED.read_bytes()[:1000])
    monkeypatch.setattr(sources, "EMBEDDED", broken)
    with pytest.raises(DataError, match="broken.npz"):
        open_dataset(None, "train")


def test_image_size_resizes():
    dataset = open_dataset(None, "val", image_size=40, limit=3)
    assert dataset.image_size == 40
    assert dataset.load(0, None).shape == (40, 40, 1)
    assert dataset.load(0, np.random.default_rng(0)).shape == (40, 40, 1)


def small_set(padding: int = 2) -> ArrayDataset:
    images = np.random.default_rng(0).integers(1, 256, (1, 6, 6, 3), np.uint8)
    return ArrayDataset("small", ["one"], images, np.zeros(1, np.int64), (0.5,) * 3, (0.5,) * 3, padding)


def test_small_images_are_cropped_with_padding_and_flipped():
    """Over many draws, each of the 5 x 5 shifts and 2 orientations comes, and nothing else."""
    dataset = small_set()
    image = dataset.load(0, None)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
    possible = {}
    for top in range(5):
        for left in range(5):
            crop = padded[top : top + 6, left : left + 6]
            possible[crop.tobytes()] = (top, left, False)
            possible[crop[:, ::-1].tobytes()] = (top, left, True)
    rng = np.random.default_rng(1)
    seen = [possible[dataset.load(0, rng).tobytes()] for _ in range(1000)]
    assert len(set(seen)) == 50
    assert 400 < sum(flip for _, _, flip in seen) < 600


def test_evaluation_leaves_small_images_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 1), np.uint8)
    dataset = ArrayDataset("small", ["a"], images, np.zeros(3, np.int64), (0.5,), (0.5,), 2)
    for index in range(3):
        np.testing.assert_array_equal(dataset.load(index, None), images[index])


def test_limit_selects_the_classes_in_turn():
    labels = np.array([2, 2, 2, 0, 0, 1, 2])
    assert balanced_selection(labels, 1).tolist() == [3]
    assert balanced_selection(labels, 3).tolist() == [0, 3, 5]
    assert balanced_selection(labels, 5).tolist() == [0, 1, 3, 4, 5]
    assert balanced_selection(labels, 6).tolist() == [0, 1, 2, 3, 4, 5]
    assert balanced_selection(labels, 99).tolist() == balanced_selection(labels, None).tolist() == list(range(7))
    dataset = open_dataset(None, "train", limit=25)
    assert len(dataset) == 25 and np.bincount(dataset.labels).tolist() == [3] * 5 + [2] * 5


def test_options_out_of_range():
    for arguments in [
        {"split": "test"},
        {"split": "val", "limit": 0},
        {"split": "val", "image_size": 0},
    ]:
        with pytest.raises(OptionError):
            open_dataset(None, **arguments)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(DataError, match="'CIFAR11'.*fashion-mnist-small, FashionMNIST, CIFAR10, CIFAR100") as caught:
        open_dataset("CIFAR11", "train")
    assert "\n" not in str(caught.value)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def fashion_files(counts: dict[str, int]) -> dict[str, bytes]:
    """The four idx files, with as many random images of each of 10 classes as counts says."""
    files = {}
    for prefix, per_class in counts.items():
        labels = np.random.default_rng(per_class).permutation(np.repeat(np.arange(10, dtype=np.uint8), per_class))
        images = np.random.default_rng(1).integers(0, 256, (len(labels), 28, 28), np.uint8)
        files[f"{prefix}-images-idx3-ubyte"] = idx(images)
        files[f"{prefix}-labels-idx1-ubyte"] = idx(labels)
    return files


@pytest.mark.parametrize("name", ["FashionMNIST", "fashionmnist"])
def test_fashion_mnist_by_name_reads_the_files_that_are_there(tmp_path, name):
    pytest.importorskip("torchvision")
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file, content in fashion_files({"train": 3, "t10k": 2}).items():
        (raw / file).write_bytes(content)
    train, val = (open_dataset(f"{name}:{tmp_path}", split) for split in ("train", "val"))
    assert (len(train), len(val)) == (30, 20)
    assert train.name == "FashionMNIST" and train.channels == 1 and train.image_size == 28
    assert train.classes == sources.FASHION_CLASSES
    assert train.load(0, None).shape == (28, 28, 1) and type(train.labels) is np.ndarray
    assert train.load(29, None).tobytes() == (raw / "train-images-idx3-ubyte").read_bytes()[-784:]


class FakeCIFAR:
    """What torchvision's CIFAR gives: data and a list of targets."""

    classes = ["a", "b"]

    def __init__(self, root, train, download):
        assert download
        self.data = np.random.default_rng(train).integers(0, 256, (6, 32, 32, 3), np.uint8)
        self.targets = [0, 1, 1, 0, 1, 0]


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar(monkeypatch, name):
    datasets = pytest.importorskip("torchvision.datasets")
    monkeypatch.setattr(datasets, name, FakeCIFAR)
    dataset = open_dataset(name.lower(), "train", limit=4)
    assert isinstance(dataset, ArrayDataset)
    assert dataset.name == name and dataset.channels == 3 and dataset.image_size == 32 and dataset.padding == 4
    assert dataset.labels.tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(dataset.load(2, None), FakeCIFAR("", True, True).data[2])
    assert len(dataset.mean) == len(dataset.std) == 3


def test_no_network_says_where_the_files_go(monkeypatch, tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")

    def no_network(root, train, download):
        raise RuntimeError("Error downloading train-images:\nTried https://...,\ngot: no network\n")

    monkeypatch.setattr(datasets, "FashionMNIST", no_network)
    with pytest.raises(DataError, match="put train-images.*FashionMNIST/raw.*no network") as caught:
        open_dataset(f"FashionMNIST:{tmp_path}", "val")
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_torchvision_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match="pip install torchvision"):
        open_dataset("CIFAR10", "train")


def test_the_tool_makes_the_embedded_file(tmp_path, monkeypatch, capsys):
    """From small idx files; with the real ones it is the same code."""
    files = fashion_files({"train": 1005, "t10k": 201})
    for name, content in files.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content, 1))
    tool = str(ROOT / "tools" / "make_embedded_images.py")
    for output in ("a.npz", "b.npz"):
        monkeypatch.setattr(sys, "argv", [tool, str(tmp_path), "--output", str(tmp_path / output)])
        runpy.run_path(tool, run_name="__main__")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as made:
        assert made["train_images"].shape == (10000, 28, 28, 1) and made["val_images"].shape == (2000, 28, 28, 1)
        np.testing.assert_array_equal(np.bincount(made["train_labels"]), [1000] * 10)
        labels = np.frombuffer(files["t10k-labels-idx1-ubyte"], np.uint8, offset=8)
        images = np.frombuffer(files["t10k-images-idx3-ubyte"], np.uint8, offset=16).reshape(-1, 28, 28, 1)
        np.testing.assert_array_equal(made["val_images"][made["val_labels"] == 3], images[labels == 3][:200])
    assert "mean" in capsys.readouterr().out
