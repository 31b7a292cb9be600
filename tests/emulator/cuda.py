"""cupy.cuda's stand-in, and RawModule: kernels run by the CUDA emulator."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import cuda_on_cpu
from .array import HostReads, host_access, ndarray
from .memory import CURRENT, POOL, CUDARuntimeError, Faults, MemoryHook


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
        for array in arrays:
            order = sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], axis))
            if not array.transpose(order).flags.c_contiguous:
                raise cuda_on_cpu.KernelError(
                    f"{self.name}: an array of shape {array.shape} and strides {array.strides} has gaps, "
                    "and kernels see no strides"
                )
        self._kernel(grid, block, [arg._array if isinstance(arg, ndarray) else arg for arg in args], shared_mem)
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
    """A device: one, unless a test has more. One processor, so that grids stay small."""

    attributes = {"MultiProcessorCount": 1}
    compute_capability = "90"

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
        return POOL.total - POOL.used_bytes(), POOL.total


class Stream:
    """A stream: everything is done at once, so there is nothing to wait for. While it is captured, host reads raise."""

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.ptr = 0 if null else id(self)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def use(self) -> Stream:
        return self

    def synchronize(self) -> None:
        host_access("Stream.synchronize")

    def begin_capture(self, mode: Any = None) -> None:
        if self.ptr == 0:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported: the null stream cannot be captured")
        HostReads.capturing = True

    def end_capture(self) -> None:
        """Ends the capture. What ran inside has been checked, not recorded: there is no graph to launch again."""
        HostReads.capturing = False


Stream.null = Stream(null=True)


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
    module.is_available = lambda: True
    module.get_device_id = lambda: CURRENT.device
    module.get_current_stream = lambda: Stream.null
    module.Device, module.Stream, module.MemoryHook = Device, Stream, MemoryHook
    return module
