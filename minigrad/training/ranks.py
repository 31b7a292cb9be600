"""A run on several ranks: processes that mpiexec or torchrun has started, each with its share of every batch.

N ranks give the run of one, to rounding: the batch is the global one and each rank takes its rows of it, random masks are drawn
for the whole batch and each rank uses its rows, sums are over all ranks. Rank 0 alone prints and writes. What a framework does
itself (averaging gradients, batch norm over ranks) is in the scripts. A run by itself is rank 0 of 1, and nothing is sent.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigrad.distributed as dist
from minigrad.backends.cpu import set_num_threads
from minigrad.data import Batch, ImageDataset
from minigrad.distributed.exchange import on_host
from minigrad.distributed.group import current as process_group
from minigrad.distributed.launch import Launch, launched
from minigrad.distributed.watch import end_process
from minigrad.errors import DeviceError, MinigradError, OptionError, RankError, is_device_failure, one_line
from minigrad.option import as_written
from minigrad.program import Interrupted
from minigrad.random import Generator
from minigrad.training.meters import Meter

SETTLE = 3.0  # seconds in which an error of the framework's turns out to be a lost rank's
SHOWN = 16  # images that are compared between the ranks


class Ranks:
    """This process's place among the ranks of the run, and what they do together."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.rank, self.size = launch.rank, launch.world_size
        self.batch: Batch | None = None  # whose rows are being worked on
        self.add_up: Callable[[np.ndarray], np.ndarray] = self._by_ours

    @property
    def first(self) -> bool:
        """Whether this rank is the one that prints and writes."""
        return self.rank == 0

    def _by_ours(self, numbers: np.ndarray) -> np.ndarray:
        return on_host(process_group(), numbers)

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """The sums over the ranks of a few numbers: themselves, on one."""
        if self.size == 1:
            return [float(number) for number in numbers]
        return self.add_up(np.array(numbers, np.float64)).tolist()

    def total(self, meter: Meter) -> Meter:
        """What all ranks have counted together, with the details of all images; on one, the meter itself."""
        if self.size == 1:
            return meter
        found = self.step(meter, False)[0]
        table = meter.table(found.images)
        found.take(self.add_up(table.ravel()).reshape(table.shape))
        return found

    def step(self, meter: Meter, asked_to_stop: bool) -> tuple[Meter, bool]:
        """What all ranks have counted together, and whether any of them was asked to stop."""
        own = meter.state()
        *sums, asked = self.sum([*own.values(), asked_to_stop])
        kinds = {name: type(number) for name, number in own.items()}
        return Meter.restored({name: kinds[name](total) for name, total in zip(own, sums, strict=True)}), asked > 0

    def gather(self, value: Any) -> list[Any]:
        """[what each rank gives], for all; values are small, and JSON can hold them."""
        return [value] if self.size == 1 else self._watch.gather(value)

    @property
    def _watch(self) -> Any:
        return process_group().watch

    def from_first(self, make: Callable[[], Any]) -> Any:
        """What rank 0 makes, on all ranks."""
        return self.gather(make() if self.first else None)[0]

    def agree(self, what: str, value: Mapping[str, Any]) -> None:
        """RankError, on all ranks, that says where they differ, unless all give the same."""
        for rank, other in enumerate(self.gather(dict(value))):
            for name in value:
                if other.get(name) != (mine := self.gather_form(value[name])):
                    pair = sorted([(rank, other.get(name)), (self.rank, mine)])
                    texts = " and ".join(f"{_shown(name, v, what)} on rank {r}" for r, v in pair)
                    raise RankError(f"the ranks have other {what}: {texts}")

    @staticmethod
    def gather_form(value: Any) -> Any:
        """A value as it comes back from `gather`: tuples are lists there."""
        return [Ranks.gather_form(v) for v in value] if isinstance(value, (list, tuple)) else value

    def shared_among(self, count: int) -> int:
        """How much each rank on this machine has of `count`: processes, threads."""
        return -(-count // self.launch.local_size)

    def device(self, asked: str, gpus: Callable[[], int]) -> str:
        """The device's name, where each rank on a machine takes a GPU of its own. DeviceError if there are too few of them."""
        if self.launch.local_size == 1 or asked == "cpu":
            return asked
        if ":" in asked:
            raise DeviceError(
                f"--device {asked}: {self.launch.local_size} ranks want a GPU each; --device gpu gives them out"
            )
        count = gpus()
        if count == 0:
            return "cpu" if asked == "auto" else asked
        if count < self.launch.local_size:
            raise DeviceError(
                f"{self.launch.local_size} ranks on this machine and {count} GPU{'s' if count > 1 else ''}: start one rank a GPU"
            )
        return f"gpu:{self.launch.local_rank}"

    def meeting_point(self) -> tuple[str, int]:
        """(host, port) of rank 0, on all ranks, where another library's ranks can meet."""
        return tuple(self.from_first(self._free_port))

    def _free_port(self) -> tuple[str, int]:
        host = "127.0.0.1" if self.launch.local_size == self.size else socket.gethostname()
        with socket.socket() as found:
            found.bind(("", 0))
            return host, found.getsockname()[1]

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, known to the generators while they are worked on, but for those that leave this rank without an image."""
        try:
            for batch in batches:
                self.batch = batch
                if len(batch.labels):
                    yield batch
        finally:
            self.batch = None


class BatchGenerator(Generator):
    """A stream of random numbers for the images of a batch: on several ranks, this rank's rows of those for the whole batch.

    So dropout, drop path and the random starts of attacks are what they are on one rank. An array whose first axis is the
    images, or k for each image, is drawn for all of them; anything else is the same on all ranks.
    """

    def _rows(self, shape: Any, draw: Callable[[Any], np.ndarray]) -> np.ndarray:
        batch = current().batch
        dims = (shape,) if isinstance(shape, int) else tuple(shape)
        if batch is None or batch.total == len(batch.labels) or not dims or dims[0] % len(batch.labels):
            return draw(shape)
        each = dims[0] // len(batch.labels)
        return draw((each * batch.total, *dims[1:]))[each * batch.first : each * (batch.first + len(batch.labels))]

    def uniform(self, low: float, high: float, shape: Any, dtype: Any = np.float32) -> np.ndarray:
        return self._rows(shape, lambda whole: super(BatchGenerator, self).uniform(low, high, whole, dtype))

    def normal(self, mean: float, std: float, shape: Any, dtype: Any = np.float32) -> np.ndarray:
        return self._rows(shape, lambda whole: super(BatchGenerator, self).normal(mean, std, whole, dtype))

    def integers(self, low: int, high: int, shape: Any, dtype: Any = np.int64) -> np.ndarray:
        return self._rows(shape, lambda whole: super(BatchGenerator, self).integers(low, high, whole, dtype))


class _State:
    ranks = Ranks(Launch())


def current() -> Ranks:
    """The ranks of the run that this process belongs to."""
    return _State.ranks


@contextmanager
def together() -> Iterator[None]:
    """Within, the processes that a launcher has started are the ranks of one run; an error of one ends all, with one line."""
    launch = launched()
    if launch.world_size == 1 or dist.is_initialized():
        yield
        return
    if launch.rank:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # rank 0 speaks
    _share_processors(launch)
    try:
        dist.init_process_group()
    except MinigradError as error:
        if launch.rank:
            time.sleep(1)  # rank 0 says the same, if it is the same
        print(one_line(error), file=sys.stderr, flush=True)
        end_process(2)
    _State.ranks = Ranks(launch)
    process_group().watch.announces = True
    try:
        yield
    except (SystemExit, Interrupted):
        raise
    except BaseException as error:
        _give_up(error)
    finally:
        _State.ranks = Ranks(Launch())
    dist.destroy_process_group()


def _share_processors(launch: Launch) -> None:
    """Ranks on one machine divide its processors, unless the environment says how many threads each has."""
    if "MINIGRAD_NUM_THREADS" not in os.environ and "OMP_NUM_THREADS" not in os.environ:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = max(1, min(usable, (os.cpu_count() or 1) // launch.local_size))
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for torch, and for the processes that load images
        set_num_threads(threads)


def _give_up(error: BaseException) -> None:
    """End this process after an error, and the others: rank 0 prints one line for all of them."""
    watch = process_group().watch
    known = isinstance(error, (MinigradError, FloatingPointError, OSError, MemoryError)) or is_device_failure(error)
    if isinstance(error, KeyboardInterrupt):
        watch.fail("stopped")
        end_process(130)
    if not known:  # a lost rank shows in the framework's own collectives as well, at the same time
        until = time.monotonic() + SETTLE
        while watch.fault is None and time.monotonic() < until:
            time.sleep(0.05)
        if watch.fault is None and "imed out" in str(error):
            watch.report_stuck(watch.limit)
            time.sleep(SETTLE)
    if watch.fault is None and not known:
        traceback.print_exception(error)
        watch.fail(f"{type(error).__name__}: {error}")
        end_process(1)
    if watch.fault is None:
        watch.fail(one_line(error).removeprefix("error: "))
    end_process(2)


def fingerprint(images: ImageDataset) -> dict[str, Any]:
    """What ranks have to agree on about a data set: names, classes, labels, files, and some of the images."""
    crc = zlib.crc32(np.ascontiguousarray(images.labels).tobytes())
    for file in getattr(images, "files", ()):
        crc = zlib.crc32("/".join(str(file).split("/")[-2:]).encode(), crc)
    shown = sorted({round(i) for i in np.linspace(0, len(images) - 1, SHOWN)}) if len(images) else []
    for row in shown:
        crc = zlib.crc32(np.ascontiguousarray(images.load(row, None)).tobytes(), crc)
    return {
        "name": images.name,
        "images": len(images),
        "classes": len(images.classes),
        "image_size": images.image_size,
        "mean and std": [*map(float, images.mean), *map(float, images.std)],
        "checksum": crc,
    }


def checksums(arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    """{name: a checksum} of weights, or of all that a checkpoint has."""
    return {name: zlib.crc32(np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()}


def _shown(name: str, value: Any, what: str) -> str:
    """An option as it is written, or a part and its value."""
    if what == "options":
        return as_written(name, value) if value not in (None, False) else f"no --{name.replace('_', '-')}"
    return f"{name} {value}"


def check_shared(options: Any) -> None:
    """OptionError for what several ranks cannot do together."""
    size = current().size
    if size > 1 and options.save_adversarial is not None:
        raise OptionError(f"--save-adversarial writes the images of one process: {size} ranks have a part each")


def check_batch(batch_size: int) -> None:
    """OptionError if a batch has fewer images than there are ranks."""
    if batch_size < current().size:
        raise OptionError(
            f"--batch-size {batch_size} is less than the {current().size} ranks, each of which needs an image"
        )
