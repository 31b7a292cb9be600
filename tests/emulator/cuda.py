"""cupy.cuda's stand-in, and RawModule: kernels run by the CUDA emulator."""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import cuda_on_cpu, nccl
from .array import host_access, ndarray
from .launches import Launches, Order, note, traffic
from .memory import (
    CURRENT,
    GUARD,
    GUARD_BYTES,
    POOL,
    CUDARuntimeError,
    Faults,
    MemoryHook,
    Pool,
    using_allocator,
)

TAKE_STRIDES = ("attention", "attention_backward", "product")
"""The kernels that are given the strides of their arrays."""


class RawKernel:
    """A kernel of a RawModule. Its arrays must have no gaps (kernels see no strides); stray writes beside them are seen."""

    def __init__(self, kernel: cuda_on_cpu.Kernel) -> None:
        self._kernel = kernel
        self.name = kernel.name

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shared_mem: int = 0
    ) -> None:
        Faults.check()
        arrays = [arg for arg in args if isinstance(arg, ndarray)]
        if any(array.device.id != CURRENT.device for array in arrays):
            raise cuda_on_cpu.KernelError(
                f"{self.name}: an array of another GPU than the current one, {CURRENT.device}"
            )
        if any(isinstance(arg, np.ndarray) for arg in args):
            raise TypeError(f"{self.name}: a numpy.ndarray cannot be passed to a kernel")
        for array in () if self.name in TAKE_STRIDES else arrays:
            order = sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], axis))
            if not array.transpose(order).flags.c_contiguous:
                raise cuda_on_cpu.KernelError(
                    f"{self.name}: an array of shape {array.shape} and strides {array.strides} has gaps, "
                    "and kernels see no strides"
                )
        note("kernel", self.name, traffic(args, None))
        Order.touch(self.name, args)
        run = functools.partial(self._run, grid, block, args, shared_mem)
        if Launches.graph is not None:
            Launches.graph.record(run, None, args)
        else:
            run()

    def _run(self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], shared_mem: int) -> None:
        """Runs it on the CPU; in a dry run its arguments are looked at only."""
        values = [arg._array if isinstance(arg, ndarray) else arg for arg in args]
        self._kernel(grid, block, values, shared_mem, dry=Launches.dry)
        for place, array in enumerate(args):
            if isinstance(array, ndarray) and not array._allocation.is_intact():
                raise cuda_on_cpu.KernelError(
                    f"{self.name} wrote outside of the array at argument {place}, {array.shape}"
                )


class RawModule:
    """cupy.RawModule(code=..., options=..., backend="nvrtc"), compiled when a kernel is first asked for."""

    def __init__(self, *, code: str, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        if backend != "nvrtc":
            raise ValueError("kernels are compiled by nvrtc: machines with a GPU need not have nvcc")
        self._code, self._options = code, options
        self._module: cuda_on_cpu.Module | None = None

    def get_function(self, name: str) -> RawKernel:
        if self._module is None:
            self._module = cuda_on_cpu.Module(self._code, self._options)
        return RawKernel(self._module.get_function(name))


class Device:
    """A device: one, unless a test has more. One processor, so that grids stay small; no tensor cores, unless a test asks for
    them: they are slow to emulate."""

    attributes = {"MultiProcessorCount": 1}
    compute_capability = "75"

    def __init__(self, device: int | None = None) -> None:
        self.id = CURRENT.device if device is None else device
        if self.id >= Faults.devices:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self._before: list[int] = []

    def __enter__(self) -> Device:
        self._before.append(CURRENT.device)
        CURRENT.device = self.id
        return self

    def __exit__(self, *_: object) -> None:
        CURRENT.device = self._before.pop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def use(self) -> None:
        CURRENT.device = self.id

    def synchronize(self) -> None:
        host_access("Device.synchronize")

    @property
    def mem_info(self) -> tuple[int, int]:
        return max(0, POOL.total - POOL.used_bytes()), POOL.total


class Graph:
    """A captured graph: what was launched, in its order, to be launched again on the same memory."""

    def __init__(self) -> None:
        self._work: list[tuple[Callable[[], Any], ndarray | None]] = []
        self._used: list[Any] = []

    def record(self, again: Callable[[], Any], result: ndarray | None, used: Sequence[Any]) -> None:
        """One launch, and the array that holds its result, if it does not write into its arguments. Until the graph is
        launched nothing is computed: the array holds no numbers."""
        if Stream.current is not Stream.capturing:
            raise RuntimeError("cudaErrorStreamCaptureImplicit: work on another stream than the one that is captured")
        if result is not None:
            result._allocation.buffer[GUARD_BYTES : GUARD_BYTES + result._allocation.requested] = GUARD
        self._work.append((again, result))
        self._used += used

    def upload(self, stream: Any = None) -> None:
        """Nothing to do here: CUDA brings the graph to the device."""

    def launch(self, stream: Any = None) -> None:
        """Do all of it again: one launch."""
        Faults.check()
        if Launches.graph is not None:
            raise RuntimeError("a graph is launched while a stream is being captured")
        note("graph", f"{len(self._work)} nodes")
        Order.touch("a graph", self._used, None if stream is None else stream.number)
        counters, Launches.counters = Launches.counters, []
        try:
            for again, result in self._work:
                made = again()
                if result is not None:
                    result._array[...] = made._array
        finally:
            Launches.counters = counters


class Stream:
    """A stream: everything is done at once, so there is nothing to wait for. While it is captured, host reads raise."""

    null: Stream
    current: Stream
    capturing: Stream | None = None
    _numbers = itertools.count(1)

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.ptr = 0 if null else id(self)
        self.number = 0 if null else next(Stream._numbers)
        self._before: list[Stream] = []

    def __enter__(self) -> Stream:
        self._before.append(Stream.current)
        return self.use()

    def __exit__(self, *_: object) -> None:
        self._before.pop().use()

    def use(self) -> Stream:
        Stream.current, Order.current = self, self.number
        return self

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """What is asked of the stream from now on comes after the event."""
        Order.merge(Order.clock(self.number), event.clock)

    def is_capturing(self) -> bool:
        return Stream.capturing is self

    def synchronize(self) -> None:
        host_access("Stream.synchronize")
        Order.waited(self.number)

    def begin_capture(self, mode: Any = None) -> None:
        if self.ptr == 0:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported: the null stream cannot be captured")
        if Launches.graph is not None:
            raise RuntimeError("cudaErrorIllegalState: a stream is being captured already")
        Launches.graph, Stream.capturing = Graph(), self

    def end_capture(self) -> Graph:
        """The graph of what was launched since begin_capture."""
        graph = Launches.graph
        Launches.graph = Stream.capturing = None
        return graph


class Event:
    """cupy.cuda.Event: a point in a stream's work."""

    done = True

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.clock: dict[int, int] = {}

    def record(self, stream: Stream | None = None) -> None:
        """It comes after what the stream was asked for so far."""
        self.clock = dict(Order.clock((stream or Stream.current).number))

    def synchronize(self) -> None:
        host_access("Event.synchronize")
        Order.merge(Order.host, self.clock)


Stream.null = Stream.current = Stream(null=True)


def make_module() -> types.ModuleType:
    """The module `cupy.cuda`."""
    module: Any = types.ModuleType("cupy.cuda")
    runtime: Any = types.ModuleType("cupy.cuda.runtime")
    runtime.getDeviceCount = lambda: Faults.devices
    runtime.getDevice = lambda: CURRENT.device
    runtime.CUDARuntimeError = CUDARuntimeError
    runtime.driverGetVersion = lambda: 13000
    runtime.deviceSynchronize = Device().synchronize
    runtime.getDeviceProperties = lambda device: {"name": b"CUDA on CPU", "totalGlobalMem": 2**34}
    runtime.memGetInfo = lambda: Device().mem_info
    runtime.runtimeGetVersion = lambda: 13000
    module.runtime = runtime
    module.nccl = nccl.make_module()
    module.is_available = lambda: True
    module.get_device_id = lambda: CURRENT.device
    module.get_current_stream = lambda: Stream.current
    module.Device, module.Stream, module.MemoryHook, module.Event = Device, Stream, MemoryHook, Event
    module.MemoryPool, module.using_allocator = Pool, using_allocator
    return module
