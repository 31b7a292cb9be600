"""Worker processes that load images into memory which they share with the main process.

Each worker has a pipe to the main process, over which it gets tasks and says that they are done, and its own slots in
the shared memory, one for each batch that it may be ahead. The memory is an unnamed file, held open by the processes
and by nothing else: however they end, it is gone with the last of them. A worker whose pipe closes ends, so none
outlives the main process; one that dies closes its pipe, so the main process never waits for it in vain.
"""

import math
import multiprocessing
import signal
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.dataset import ImageDataset
from minigrad.data.sampling import load_images
from minigrad.errors import DataError


class WorkerPool:
    """`workers` processes, each at most `prefetch` batches ahead.

    `broken` is True once a worker has died: the pool is then of no more use.
    """

    def __init__(
        self, dataset: ImageDataset, batch_size: int, train: bool, workers: int, seed: int, prefetch: int
    ) -> None:
        self.broken = False
        self._workers = workers
        self._prefetch = prefetch
        self._submitted = 0
        self._connections: list[Connection] = []
        self._processes: list[Any] = []
        # Runs when the pool is closed or collected, and at the end of the program.
        self._end = weakref.finalize(self, _end_processes, self._connections, self._processes)

        # Not fork: a forked child of a process with threads (BLAS's, say) can find a lock that is held for ever.
        context = multiprocessing.get_context("spawn")
        size = dataset.image_size
        shape = (workers, prefetch, batch_size, size, size, dataset.channels)
        memory = context.RawArray("B", math.prod(shape))  # in an unlinked file in /dev/shm, or where there is space
        self._slots = np.frombuffer(memory, np.uint8).reshape(shape)
        with _quiet_start(dataset):
            for worker in range(workers):
                ours, theirs = context.Pipe()
                self._connections.append(ours)
                process = context.Process(
                    target=_work, args=(theirs, memory, shape, worker, dataset, seed, train), daemon=True
                )
                process.start()
                self._processes.append(process)
                theirs.close()  # so that the worker alone holds its end, and its death closes the pipe

    def submit(self, epoch: int, indices: npt.NDArray[np.int64]) -> Callable[[], npt.NDArray[np.uint8]]:
        """Begin to load a batch; returns the function that waits for it and returns the images, uint8 (N, H, W, C).

        Tasks go to the workers in turn. Once more than workers * prefetch are under way, the slot of the oldest is used
        again, so that one must have been waited for, or given up.
        """
        ticket = self._submitted
        self._submitted += 1
        worker, slot = ticket % self._workers, ticket // self._workers % self._prefetch
        try:
            self._connections[worker].send((ticket, slot, epoch, indices))
        except OSError:
            pass  # it died: `wait` will find the pipe closed, and say so in the batches' order
        return lambda: self._wait(ticket, worker, slot, indices)

    def _wait(self, ticket: int, worker: int, slot: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        answered = -1
        while answered != ticket:  # earlier tickets belong to an epoch that was given up
            try:
                answered, error, details = self._connections[worker].recv()
            except (EOFError, OSError):
                self.broken = True
                raise DataError(self._obituary(worker)) from None
        if error is not None:
            raise DataError(error) from (RuntimeError(details) if details else None)
        # A copy: the slot is filled again while the caller still works with this batch.
        return self._slots[worker, slot, : len(indices)].copy()

    def _obituary(self, worker: int) -> str:
        process = self._processes[worker]
        process.join(timeout=5)
        reason = f"exit code {process.exitcode}"
        if process.exitcode is not None and process.exitcode < 0:
            reason = f"signal {-process.exitcode}"
        hint = "; was the memory used up? Try fewer workers" if process.exitcode == -9 else ""
        return f"data worker {worker} (process {process.pid}) died while it loaded images ({reason}){hint}"

    def close(self) -> None:
        """End the workers and wait for them."""
        self._end()


def _end_processes(connections: list[Connection], processes: list[Any]) -> None:
    for connection in connections:
        connection.close()
    for process in processes:
        process.terminate()  # they hold nothing that could be left half done
    for process in processes:
        process.join()


@contextmanager
def _quiet_start(dataset: ImageDataset) -> Iterator[None]:
    """While processes are started: Ctrl-C held back, and the main script out of sight.

    A child inherits the signal mask, so a Ctrl-C never reaches it, not even while it imports; the main process gets its
    own as soon as the mask is lifted. And a child that saw the main script would run it again up to its `__main__`
    guard, with all that it imports (torch: seconds and hundreds of megabytes a worker), only to find classes defined
    there.
    """
    blocking = hasattr(signal, "pthread_sigmask")  # not on Windows
    if blocking:
        resource_tracker.ensure_running()  # the first process would start it, which lifts the mask
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main = sys.modules["__main__"]
    if type(dataset).__module__ != "__main__":
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if blocking:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(
    connection: Connection,
    memory: Any,
    shape: tuple[int, ...],
    worker: int,
    dataset: ImageDataset,
    seed: int,
    train: bool,
) -> None:
    """A worker's life: load what the pipe asks for until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where masks do not exist
    slots = np.frombuffer(memory, np.uint8).reshape(shape)[worker]
    try:
        while True:
            ticket, slot, epoch, indices = connection.recv()
            error = _try_to_load(dataset, indices, seed, epoch, train, slots[slot, : len(indices)])
            connection.send((ticket, *error))
    except (EOFError, OSError):
        pass  # the main process closed the pipe, or is gone


def _try_to_load(dataset: ImageDataset, *arguments: Any) -> tuple[str | None, str | None]:
    """(None, None), or what went wrong in one line, with the traceback if it is not the data's fault."""
    try:
        load_images(dataset, *arguments)
    except DataError as error:
        return str(error), None
    except Exception as error:
        return f"a data worker failed: {type(error).__name__}: {error}", traceback.format_exc()
    return None, None
