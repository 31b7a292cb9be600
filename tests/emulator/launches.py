"""What the host gives the stand-in's device to do: every launch is noted for whoever counts, and recorded during a capture.

A launch is what costs a real GPU's driver a call: a kernel, a product by cuBLAS, an element-wise function of CuPy's, a reduction,
a copy within the device, a fill, a sort, a copy to or from the host, a graph. Launches that one call of CuPy makes of others
(a product that first copies an operand) are noted one by one.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

KINDS = ("kernel", "product", "elementwise", "reduction", "copy", "fill", "sort", "graph", "to device", "to host")
OF_THE_HOST = ("to device", "to host", "wait")
"""What is no launch of work: copies between the machines, and the host's waiting."""


@dataclass(frozen=True)
class Launch:
    """One piece of work: its kind, its name, and the bytes of the arrays that it reads and writes."""

    kind: str
    name: str
    bytes: int


class Launches:
    """Who counts, whether arithmetic is left out (`dry`), and the graph that is being captured, if any."""

    counters: list[list[Launch]] = []
    dry = False
    graph: Any = None
    waits_refused = False
    inside = False  # a launch: what it calls is part of it


def refuse_in_capture(what: str) -> None:
    """RuntimeError for what the host may not do while a stream is captured."""
    if Launches.graph is not None or Launches.waits_refused:
        raise RuntimeError(f"{what} while a stream is being captured: cudaErrorStreamCaptureUnsupported")


class Order:
    """Which work comes after which: a clock for each stream, with the ticks of the others that it has waited for.

    Work on a block of memory has to come after all work on it that was asked for before, whatever the stream: by an event that
    the stream waits for, or because the host has waited. Else a GPU may do both at once, which RuntimeError says.
    """

    current = 0  # the number of the current stream; 0 is the default one
    clocks: dict[int, dict[int, int]] = {}
    host: dict[int, int] = {}  # what the host has waited for

    @classmethod
    def clock(cls, stream: int) -> dict[int, int]:
        """The stream's, after what the host has waited for."""
        clock = cls.clocks.setdefault(stream, {stream: 0})
        cls.merge(clock, cls.host)
        return clock

    @staticmethod
    def merge(clock: dict[int, int], other: dict[int, int]) -> None:
        for stream, tick in other.items():
            if clock.get(stream, 0) < tick:
                clock[stream] = tick

    @classmethod
    def touch(cls, what: str, values: Any, stream: int | None = None) -> None:
        """Work on these arrays, on that stream or the current one; what is captured is work once its graph is launched."""
        if Launches.graph is not None:
            return
        number = cls.current if stream is None else stream
        clock = cls.clock(number)
        clock[number] = clock.get(number, 0) + 1
        for array in _arrays(values):
            other, tick = array._allocation.last
            if clock.get(other, 0) < tick:
                raise RuntimeError(f"a race: {what} on stream {number} does not wait for work on stream {other}")
            array._allocation.last = (number, clock[number])

    @classmethod
    def waited(cls, stream: int | None = None) -> None:
        """The host has waited for a stream, or for all."""
        for number in cls.clocks if stream is None else [stream]:
            cls.merge(cls.host, cls.clocks.get(number, {}))


def note(kind: str, name: str, bytes: int = 0) -> None:
    """Tell whoever counts."""
    for counter in Launches.counters:
        counter.append(Launch(kind, name, bytes))


@contextlib.contextmanager
def counted() -> Iterator[list[Launch]]:
    """Inside, launches are added to the list."""
    launches: list[Launch] = []
    Launches.counters.append(launches)
    try:
        yield launches
    finally:
        Launches.counters = [other for other in Launches.counters if other is not launches]


@contextlib.contextmanager
def dry() -> Iterator[None]:
    """Inside, arrays have their shapes, types and addresses, but kernels, products and long element-wise functions compute
    nothing: a step of any size is counted in seconds, and memory that nobody wrote to is zero."""
    Launches.dry = True
    try:
        yield
    finally:
        Launches.dry = False


def totals(launches: list[Launch]) -> Counter[str]:
    """How many launches there are of each kind."""
    return Counter(launch.kind for launch in launches)


def work(launches: list[Launch]) -> int:
    """How many launches there are in all; copies between the machines and waits are none."""
    return sum(launch.kind not in OF_THE_HOST for launch in launches)


def launch(kind: str, name: str, function: Callable[..., Any], writes: bool = False) -> Callable[..., Any]:
    """The function as a launch of that kind. writes: into its arguments; else its result is new memory, or no launch at all
    where it is a view of the first argument."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if Launches.inside:
            return function(*args, **kwargs)
        Launches.inside = True
        try:
            graph, out = Launches.graph, kwargs.get("out")
            into = writes or out is not None
            if graph is not None and into:
                result = args[0] if out is None else out
            else:
                result = function(*args, **kwargs)
            if result is NotImplemented or (not into and is_view(result, args)):
                return result
            used = (*args, *kwargs.values())
            note(kind, name, traffic(used, result))
            Order.touch(name, (*used, result))
            if graph is not None:
                graph.record(functools.partial(function, *args, **kwargs), None if into else result, (*used, result))
            return result
        finally:
            Launches.inside = False

    return run


def _arrays(values: Any) -> Iterator[Any]:
    for value in values:
        if hasattr(value, "_allocation"):
            yield value
        elif isinstance(value, list | tuple):
            yield from _arrays(value)


def is_view(result: Any, args: Any) -> bool:
    """Whether the result is one of the arguments, or lies in the memory of one."""
    made = list(_arrays([result]))
    return bool(made) and all(any(r._allocation is a._allocation for a in _arrays(args)) for r in made)


def traffic(args: Any, result: Any) -> int:
    """Bytes of the arrays among the arguments and of the results, each array once."""
    found = {(a._array.ctypes.data, a.nbytes): a.nbytes for a in (*_arrays(args), *_arrays([result]))}
    return sum(found.values())
