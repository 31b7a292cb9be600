"""The GPUs under torch.cuda's names, by CuPy. Without a GPU is_available() is False, and what needs one raises DeviceError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from minigrad import backends
from minigrad.captured import CapturedStep as CapturedStep
from minigrad.device import Device, get_device, is_gpu_available
from minigrad.errors import DeviceError
from minigrad.errors import explain_missing as _explain_missing


def is_available() -> bool:
    """Whether CuPy is installed and finds a GPU."""
    return is_gpu_available()


def device_count() -> int:
    """How many GPUs there are."""
    return backends.get("gpu").device_count() if is_available() else 0


def current_device() -> int:
    """The number of the GPU that this thread works on."""
    return int(_gpu().xp.cuda.runtime.getDevice())


def set_device(device: Any) -> None:
    """The GPU that this thread works on from now on."""
    _which(device).use()


@contextmanager
def device(device: Any) -> Iterator[None]:
    """Within it this thread works on that GPU."""
    with _which(device):
        yield


def synchronize(device: Any = None) -> None:
    """Waits until the GPU has done what it was given."""
    _which(device).synchronize()


def empty_cache() -> None:
    """Gives back to the system the memory that CuPy's pool keeps for later."""
    if is_available():
        _gpu().xp.get_default_memory_pool().free_all_blocks()


def memory_allocated(device: Any = None) -> int:
    """Bytes in use on a GPU; 0 without one."""
    return _measured("memory_allocated", device)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes in use since the start, or since reset_peak_memory_stats; 0 without a GPU."""
    return _measured("max_memory_allocated", device)


def memory_reserved(device: Any = None) -> int:
    """Bytes that CuPy's pool holds, in use or kept for later; 0 without a GPU."""
    if not is_available():
        return 0
    with _which(device):
        return int(_gpu().xp.get_default_memory_pool().total_bytes())


def reset_peak_memory_stats(device: Any = None) -> None:
    """Starts max_memory_allocated anew."""
    with _which(device):
        _gpu().reset_peak_memory_stats()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of a GPU."""
    free, total = _which(device).mem_info
    return int(free), int(total)


def get_device_name(device: Any = None) -> str:
    """What the GPU is called."""
    return get_device_properties(device).name


def get_device_properties(device: Any = None) -> Any:
    """.name, .total_memory, .major and .minor of a GPU."""
    found = _which(device)
    properties = _gpu().xp.cuda.runtime.getDeviceProperties(int(found.id))
    major, minor = get_device_capability(device)
    return SimpleNamespace(
        name=properties["name"].decode(), total_memory=int(properties["totalGlobalMem"]), major=major, minor=minor
    )


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The GPU's compute capability."""
    capability = str(_which(device).compute_capability)
    return int(capability[:-1]), int(capability[-1])


def manual_seed(seed: int) -> None:
    """Does nothing: there is one generator for all devices, which minigrad.manual_seed seeds."""


def manual_seed_all(seed: int) -> None:
    """Does nothing, as manual_seed."""


def _gpu() -> Any:
    return backends.get("gpu")


def _which(device: Any) -> Any:
    """CuPy's Device of a GPU: of that number or name, or the current one for None. DeviceError without one."""
    gpu = _gpu()
    found = Device("gpu", current_device()) if device is None else get_device(device)
    if found.type != "cuda":
        raise DeviceError(f"a GPU is wanted, not {found}")
    return gpu.xp.cuda.Device(found.index)


def _measured(what: str, device: Any) -> int:
    if not is_available():
        return 0
    with _which(device):
        return int(getattr(_gpu(), what)())


_explain_missing(__name__)
