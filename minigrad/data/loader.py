"""The loader: batches of a data set, loaded ahead by a thread or by worker processes."""

import math
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from minigrad.data.dataset import ImageDataset
from minigrad.data.sampling import epoch_order, load_images
from minigrad.data.workers import WorkerPool
from minigrad.errors import OptionError

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Batch:
    """images: uint8 (N, H, W, C). labels: int64 (N,). indices: int64 (N,), which images of the data set they are.

    On several ranks it is a part of a batch of `total` images, those from `first` on. share: N times the ranks over `total`, by
    which a mean loss is multiplied so that the mean over the ranks is the mean over the whole batch.
    """

    images: Images
    labels: npt.NDArray[np.int64]
    indices: Indices
    first: int = 0
    total: int = -1
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.total < 0:
            object.__setattr__(self, "total", len(self.labels))


class DataLoader:
    """Batches of a data set, epoch by epoch.

        with DataLoader(dataset, batch_size=256, train=True, workers=2, seed=2024) as loader:
            for batch in loader.epoch(0):
                ...

    train=True shuffles and augments; train=False gives the images in their order, as they are for evaluation. The order
    of an epoch follows from (seed, epoch), the augmentation of an image from (seed, epoch, index): nothing depends on
    the number of workers, and an epoch resumed at `start_batch` goes on exactly as it would have.

    workers=0 loads in this process, in a thread that stays `prefetch` batches ahead. workers=n starts n processes at
    the first epoch, each `prefetch` batches ahead, and keeps them until `close` (or the end of a `with` block). They do
    not run the main script again, so it needs no `if __name__ == "__main__"` guard, unless the data set's class stands
    in it.

    rank, ranks: each batch is divided, in its order, among so many processes, and this one loads its part.

    Raises:
        OptionError: an argument is out of range, or no batch is left because drop_last (by default: train) drops the
            only one.
        DataError: from `epoch`: an image cannot be read, or a worker died. The same with and without workers.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        train: bool,
        workers: int = 0,
        seed: int = 0,
        drop_last: bool | None = None,
        prefetch: int = 2,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        for option, value, least in [
            ("batch size", batch_size, 1),
            ("number of workers", workers, 0),
            ("seed", seed, 0),
            ("prefetch", prefetch, 1),
        ]:
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise OptionError(f"the {option} must be an integer, got {value!r}")
            if value < least:
                raise OptionError(f"the {option} must be {least} or more, got {value}")
        self.dataset = dataset
        batch_size, workers, seed, prefetch = (operator.index(n) for n in (batch_size, workers, seed, prefetch))
        self.batch_size = batch_size
        self.train = train
        self.workers = workers
        self.seed = seed
        self.drop_last = train if drop_last is None else drop_last
        self.prefetch = prefetch
        if not 0 <= rank < ranks:
            raise OptionError(f"the rank must be 0 to {ranks - 1}, got {rank}")
        self.rank, self.ranks = rank, ranks
        self._pool: WorkerPool | None = None
        self._epochs_begun = 0
        if len(self) == 0:
            raise OptionError(
                f"a batch size of {batch_size} is more than the {len(dataset)} images of {dataset.name}, and "
                f"incomplete batches are dropped: take a batch size of at most {len(dataset)}"
            )

    def __len__(self) -> int:
        """Batches an epoch."""
        batches = len(self.dataset) / self.batch_size
        return math.floor(batches) if self.drop_last else math.ceil(batches)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from start_batch on; those before it are skipped without being loaded.

        One epoch at a time: a new one ends the one before it.
        """
        if not 0 <= start_batch <= len(self):
            raise OptionError(f"start_batch must be 0 to {len(self)}, the batches of an epoch, got {start_batch}")
        return self._batches(epoch, start_batch)

    def _batches(self, epoch: int, start_batch: int) -> Iterator[Batch]:
        count = len(self.dataset)
        order = epoch_order(count, self.seed, epoch) if self.train else np.arange(count)
        starts = range(start_batch * self.batch_size, len(self) * self.batch_size, self.batch_size)
        whole = [order[start : start + self.batch_size] for start in starts]
        parts = [(len(batch) * self.rank // self.ranks, len(batch) * (self.rank + 1) // self.ranks) for batch in whole]
        selections = (batch[first:stop] for batch, (first, stop) in zip(whole, parts, strict=True))
        self._epochs_begun += 1
        this_epoch = self._epochs_begun
        for (indices, images), (first, stop), batch in zip(self._images(epoch, selections), parts, whole, strict=True):
            share = (stop - first) * self.ranks / len(batch)
            yield Batch(images, self.dataset.labels[indices], indices, first, len(batch), share)
            if self._epochs_begun != this_epoch:
                raise RuntimeError("this epoch has ended, because another one was begun on the same loader")

    def _images(self, epoch: int, selections: Iterable[Indices]) -> Iterator[tuple[Indices, Images]]:
        """(indices, images) for each selection, in order, loaded ahead."""
        if self.workers > 0:
            pool = self._pool = self._pool or WorkerPool(
                self.dataset, -(-self.batch_size // self.ranks), self.train, self.workers, self.seed, self.prefetch
            )
            try:
                yield from _ahead(lambda indices: pool.submit(epoch, indices), selections, self.workers * self.prefetch)
            finally:
                if pool.broken:
                    self.close()
            return
        thread = ThreadPoolExecutor(1, "minigrad.data")
        try:
            yield from _ahead(
                lambda indices: thread.submit(self._load, epoch, indices).result, selections, self.prefetch
            )
        finally:
            thread.shutdown(cancel_futures=True)

    def _load(self, epoch: int, indices: Indices) -> Images:
        size = self.dataset.image_size
        images = np.empty((len(indices), size, size, self.dataset.channels), np.uint8)
        load_images(self.dataset, indices, self.seed, epoch, self.train, images)
        return images

    def load(self, epoch: int, indices: Indices) -> Images:
        """Some images of the data set as this epoch has them, uint8 (N, H, W, C), now."""
        return self._load(epoch, indices)

    def close(self) -> None:
        """End the workers. The next epoch would start them again."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __enter__(self) -> "DataLoader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _ahead(
    submit: Callable[[Indices], Callable[[], Images]], selections: Iterable[Indices], depth: int
) -> Iterator[tuple[Indices, Images]]:
    """Each selection with its images, in order, while at most `depth` others are being loaded.

    `submit` begins to load a selection and returns the function that waits for its images.
    """
    upcoming = iter(selections)
    loading = deque((indices, submit(indices)) for indices in islice(upcoming, depth))
    while loading:
        indices, wait = loading.popleft()
        images = wait()
        for following in islice(upcoming, 1):
            loading.append((following, submit(following)))
        yield indices, images
