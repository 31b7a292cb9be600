"""Make minigrad/data/embedded/fashion_mnist_small.npz from the four files of Fashion-MNIST.

    python tools/make_embedded_images.py /usr/share/datasets/fashion-mnist

The folder holds train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and
t10k-labels-idx1-ubyte.gz, as Debian's package dataset-fashion-mnist or
https://github.com/zalandoresearch/fashion-mnist have them. From the training files the first 1,000 images of each of
the 10 classes are taken, from the test files the first 200, in the files' order. Prints the mean and the standard
deviation of the training pixels, which stand as constants in minigrad/data/sources.py.

The file is the same whenever it is made, up to the version of zlib that packs it.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

TRAIN_PER_CLASS = 1000
VAL_PER_CLASS = 200
OUTPUT = Path(__file__).resolve().parent.parent / "minigrad" / "data" / "embedded" / "fashion_mnist_small.npz"


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The array of bytes in an idx file: 00 00 08 (uint8), the number of axes, each axis's length, the values."""
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path} is not an idx file of bytes")
    axes = data[3]
    shape = tuple(np.frombuffer(data, ">u4", axes, offset=4).tolist())
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def first_of_each_class(labels: npt.NDArray[np.uint8], per_class: int) -> npt.NDArray[np.int64]:
    """The indices of the first `per_class` images of each class, in ascending order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[:per_class] for k in np.unique(labels)]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the embedded Fashion-MNIST images.")
    parser.add_argument("source", type=Path, help="the folder with the four idx .gz files")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()

    arrays = {}
    for split, prefix, per_class in [("train", "train", TRAIN_PER_CLASS), ("val", "t10k", VAL_PER_CLASS)]:
        images = read_idx(options.source / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(options.source / f"{prefix}-labels-idx1-ubyte.gz")
        chosen = first_of_each_class(labels, per_class)
        arrays[f"{split}_images"] = images[chosen][..., None]
        arrays[f"{split}_labels"] = labels[chosen]
    np.savez_compressed(options.output, **arrays)

    pixels = arrays["train_images"] / 255
    print(f"{options.output}: {options.output.stat().st_size} bytes; mean {pixels.mean()!r}, std {pixels.std()!r}")


if __name__ == "__main__":
    main()
