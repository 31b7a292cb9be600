"""The GPU backend with no GPU: a stand-in for cupy on NumPy, and CUDA kernels run on the CPU.

cupy = tests.emulator.install()      # from here on `import cupy` gives the stand-in
from minigrad.backends import gpu    # runs as on a GPU, .cu files included, slowly
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .array import HostReads
from .cuda_on_cpu import ORDERS, KernelError, compiler, thread_order
from .cupy_standin import make_modules
from .launches import Launches, counted, dry, totals, work
from .memory import POOL, CUDARuntimeError, Faults

__all__ = [
    "ORDERS",
    "POOL",
    "CUDARuntimeError",
    "Faults",
    "HostReads",
    "KernelError",
    "capturing",
    "compiler",
    "counted",
    "dry",
    "import_with",
    "install",
    "real_cupy",
    "standin",
    "thread_order",
    "totals",
    "work",
]


@functools.cache
def _modules() -> dict[str, ModuleType]:
    return make_modules()


def standin() -> Any:
    """The stand-in for cupy, without installing it."""
    return _modules()["cupy"]


def install() -> Any:
    """Put the stand-in in the place of cupy (and cupyx), and return it."""
    sys.modules.update(_modules())
    return standin()


@contextlib.contextmanager
def _without(*packages: str) -> Iterator[None]:
    """Inside, these packages have not been imported; afterwards, all is as it was."""

    def imported() -> dict[str, ModuleType]:
        return {n: m for n, m in sys.modules.items() if any(n == p or n.startswith(f"{p}.") for p in packages)}

    hidden = imported()
    for name in hidden:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in imported():
            del sys.modules[name]
        sys.modules.update(hidden)


def real_cupy() -> Any:
    """CuPy itself if it is installed and finds a GPU, else None; whether or not the stand-in is in its place."""
    if sys.modules.get("cupy") not in (None, standin()):
        return sys.modules["cupy"] if sys.modules["cupy"].cuda.is_available() else None
    with _without("cupy", "cupyx"):
        try:
            import cupy

            return cupy if cupy.cuda.is_available() else None
        except Exception:  # not installed, or its driver is not
            return None


def import_with(cupy: Any, name: str) -> ModuleType:
    """The module `name` on this cupy: the one that all import if this cupy is theirs, else a copy beside it."""
    if "cupy" not in sys.modules and cupy is standin():
        install()
    return importlib.import_module(name) if sys.modules.get("cupy") is cupy else _import_beside(cupy, name)


@functools.cache
def _import_beside(cupy: Any, name: str) -> ModuleType:
    parent, _, child = name.rpartition(".")
    package = importlib.import_module(parent)
    before = getattr(package, child, None)
    with _without("cupy", "cupyx", name):
        sys.modules.update(_modules() if cupy is standin() else {"cupy": cupy})
        module = importlib.import_module(name)
    setattr(package, child, before)
    return module


@contextlib.contextmanager
def capturing() -> Iterator[None]:
    """Inside, a host read or a copy from the host raises RuntimeError, as while a CUDA graph is captured; all else is done."""
    Launches.waits_refused = True
    try:
        yield
    finally:
        Launches.waits_refused = False
