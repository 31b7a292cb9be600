"""Data sets, augmentation and the loader: what both training scripts read their batches from.

    from minigrad.data import DataLoader, normalize, open_dataset

    train = open_dataset(None, "train")         # None: the embedded Fashion-MNIST images; or a folder, or "CIFAR10"
    with DataLoader(train, batch_size=128, train=True, seed=2024) as loader:
        for batch in loader.epoch(0):
            x = normalize(batch.images, train.mean, train.std)  # float32 (N, C, H, W), channels-last in memory
            y = batch.labels                                    # int64 (N,)

Everything here is NumPy arrays. The order of the images and each image's augmentation follow from (seed, epoch, index)
alone: the number of workers, the machine and a resume in the middle change nothing. What a user can get wrong raises
`minigrad.errors.DataError` or `OptionError`, with one line that names the file and what would be right.

`minigrad.data.corruptions` has the 15 corruptions of ImageNet-C.

Pillow is imported when the first image is decoded or resized, torchvision when one of its data sets is asked for.
"""

from minigrad.data.dataset import ArrayDataset, ImageDataset
from minigrad.data.folder import FolderDataset
from minigrad.data.loader import Batch, DataLoader
from minigrad.data.normalize import normalize
from minigrad.data.sources import open_dataset
from minigrad.errors import explain_missing as _explain_missing

__all__ = ["ArrayDataset", "Batch", "DataLoader", "FolderDataset", "ImageDataset", "normalize", "open_dataset"]

_explain_missing(__name__)
