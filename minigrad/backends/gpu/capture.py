"""A CUDA graph: work that is recorded once and launched as one from then on, with new numbers from the host each time.

While a graph is captured nothing is computed, nothing can be read, and nothing can come from the host but by a list
(`launch.numbers_listed`): arrays with what has to be in them before each launch. That is what optimizers compute on the host (a
table of addresses, rates and corrections) and the random masks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from .device import copy_in, flag_may_be_up, pools, xp
from .launch import Listed, numbers_listed, numbers_renewed


class Capture:
    """A stream and memory of its own for a graph, and the graph."""

    def __init__(self) -> None:
        self.stream, self.pool = xp.cuda.Stream(non_blocking=True), xp.cuda.MemoryPool()
        self.graph: Any = None
        self.drawn: Listed = []
        self.computed: Listed = []
        pools.append(self.pool)

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """Within it, work is done on the stream, after all that was asked for before, with the pool's memory."""
        outside = xp.cuda.get_current_stream()
        _after(self.stream, outside)
        try:
            with self.stream, xp.cuda.using_allocator(self.pool.malloc):
                yield
        finally:
            _after(outside, self.stream)

    def record(self, first: Callable[[], Any], then: Callable[[], Any]) -> Any:
        """Capture first() and then(), of which `renew` runs `then` again on the host; returns what first() returned."""
        self.stream.begin_capture()
        try:
            with numbers_listed() as drawn:
                result = first()
            with numbers_listed() as computed:
                then()
        finally:
            graph = self.stream.end_capture()
        self.graph, self.drawn, self.computed = graph, drawn, computed
        for array, numbers in (*drawn, *computed):
            copy_in(array, numbers() if callable(numbers) else numbers)
        return result

    def renew(self, then: Callable[[], Any]) -> None:
        """Draw the random numbers anew, and let then() compute its numbers anew: both go where the graph reads them."""
        for array, numbers in self.drawn:
            if callable(numbers):
                copy_in(array, numbers())
        with numbers_renewed(self.computed):
            then()

    def launch(self) -> None:
        """Do all of it: one launch."""
        self.graph.launch(self.stream)
        flag_may_be_up()

    def close(self) -> None:
        """Give the memory back."""
        self.graph, self.drawn, self.computed = None, [], []
        if self.pool in pools:
            pools.remove(self.pool)


def _after(stream: Any, other: Any) -> None:
    """What is asked of the stream from now on waits for what the other has been asked for; the host waits for neither."""
    event = xp.cuda.Event(disable_timing=True)
    event.record(other)
    stream.wait_event(event)
