"""minigrad and PyTorch behind one interface: library, models, attacks, attribution, device, memory.

minigrad has torch's names, so what is written for a framework's `library` is the same text for both. Only the framework that
is asked for is imported.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.device import Device
from minigrad.errors import DeviceError, MinigradError
from minigrad.training.checkpoints import load_checked


class Framework(ABC):
    """A library on a device. Making one imports it: MinigradError if it is missing, DeviceError if it finds no such GPU.

    device: as minigrad names it ("cpu", "gpu:1"); `self.device` is the library's own. threads: None leaves its default.
    """

    name: str
    models: str
    """The package of its models."""

    tools: str
    """The package of its attacks and of its attribution."""

    library: Any
    device: Any

    def __init__(self, device: str = "cpu", threads: int | None = None) -> None:
        self.open(device)
        if threads is not None:
            self.library.set_num_threads(threads)

    @abstractmethod
    def open(self, device: str) -> None:
        """Import the library, find the device."""

    def create(self, model: str, *given: Any, **settings: Any) -> Any:
        """A new model, on the host: what `models.create` takes."""
        return import_module(self.models).create(model, *given, **settings)

    def load(self, path: Path, model: str, *given: Any, **settings: Any) -> Any:
        """The model with the weights of a file, in float32, in evaluation mode. CheckpointError if they are another model's."""
        made = self.create(model, *given, **settings)
        weights = load_checked(path, {key: tuple(value.shape) for key, value in made.state_dict().items()})
        made.load_state_dict({key: self.library.from_numpy(array) for key, array in weights.items()}, strict=False)
        return made.float().to(self.device).eval()

    def tensor(self, array: np.ndarray) -> Any:
        """An array on the device."""
        return self.library.from_numpy(array).to(self.device)

    @property
    def preset(self) -> Callable[..., Any]:
        """`preset(name, **options)`: an attack, by its name."""
        return self.attacks.preset

    @property
    def attacks(self) -> Any:
        """PGD, APGD, AutoAttack and the others, by the same names in both."""
        return import_module(f"{self.tools}.attacks")

    @property
    def attribution(self) -> Any:
        """saliency, smooth_grad, grad_cam."""
        return import_module(f"{self.tools}.attribution")

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""

    @property
    @abstractmethod
    def _meters(self) -> Mapping[str, Callable[[], int]]:
        """memory_allocated, max_memory_allocated, reset_peak_memory_stats."""

    def memory(self) -> int:
        """Bytes in use: resident memory of the process; on a GPU, of the framework's pool."""
        return self._meters["memory_allocated"]()

    def peak_memory(self) -> int:
        """The most bytes in use since `reset_peak_memory`."""
        return self._meters["max_memory_allocated"]()

    def reset_peak_memory(self) -> None:
        """Let `peak_memory` begin now."""
        self._meters["reset_peak_memory_stats"]()

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Versions, threads, and which kernels the framework has chosen for this machine."""


METERS = ("memory_allocated", "max_memory_allocated", "reset_peak_memory_stats")


class Minigrad(Framework):
    """minigrad, as train_minigrad.py runs it."""

    name, models, tools = "minigrad", "models", "minigrad"

    def open(self, device: str) -> None:
        import minigrad

        self.library, self.device = minigrad, minigrad.get_device(device)

    def synchronize(self) -> None:
        self.library.synchronize(self.device)

    @property
    def _meters(self) -> Mapping[str, Callable[[], int]]:
        return {name: partial(getattr(self.library, name), self.device) for name in METERS}

    def facts(self) -> dict[str, Any]:
        facts = {"version": self.library.__version__, "numpy": np.__version__, "device": str(self.device)}
        if self.device.type == "cuda":
            return facts | {"cupy": import_module("cupy").__version__}
        from minigrad.backends import cpu

        return facts | {"threads": cpu.get_num_threads(), "openblas_core": cpu.blas_core()}


class Torch(Framework):
    """PyTorch, as train_torch.py runs it."""

    name, models, tools = "torch", "models.reference", "models.reference"

    def open(self, device: str) -> None:
        try:
            import torch
        except ImportError as error:
            hint = "pip install torch torchvision, or --tracks minigrad where a command has it"
            raise MinigradError(f"PyTorch cannot be imported ({error}): {hint}") from error
        if device != "cpu" and (Device(device).index or 0) >= torch.cuda.device_count():
            raise DeviceError(f"--device {device}: PyTorch finds no such GPU on this machine; --device cpu works")
        self.library, self.device = torch, torch.device(device.replace("gpu", "cuda"))

    @property
    def on_gpu(self) -> bool:
        """Whether the device is one."""
        return self.device.type == "cuda"

    def synchronize(self) -> None:
        if self.on_gpu:
            self.library.cuda.synchronize(self.device)

    @property
    def _meters(self) -> Mapping[str, Callable[[], int]]:
        """The pool's meters; for the CPU, where torch has none, the process's, which the operating system keeps."""
        if self.on_gpu:
            return {name: partial(getattr(self.library.cuda, name), self.device) for name in METERS}
        from minigrad.backends import cpu

        return {name: getattr(cpu, name) for name in METERS}

    def facts(self) -> dict[str, Any]:
        torch = self.library
        facts = {"version": torch.__version__, "numpy": np.__version__, "device": str(self.device)}
        if self.on_gpu:
            gpu = {"gpu": torch.cuda.get_device_name(self.device), "cuda": torch.version.cuda}
            return facts | gpu | {"cudnn": torch.backends.cudnn.version()}
        onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
        return facts | {
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": (onednn[1] if onednn else "yes") if torch.backends.mkldnn.is_available() else "no",
        }

    def op_rows(self, step: Callable[[], None], steps: int) -> list[dict[str, Any]]:
        """torch.profiler's view of `step`: of each op calls, seconds of its own and bytes, as means over so many steps."""
        from torch.profiler import ProfilerActivity, profile

        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self.on_gpu else [])]
        with profile(activities=activities, profile_memory=True) as watched:
            for _ in range(steps):
                step()
            self.synchronize()
        kind = "device" if self.on_gpu else "cpu"
        rows = []
        for event in watched.key_averages():
            seconds, made = getattr(event, f"self_{kind}_time_total"), getattr(event, f"self_{kind}_memory_usage")
            row = {"op": event.key, "calls": event.count, "seconds": seconds / 1e6, "made": made}
            rows.append({key: value if key == "op" else value / steps for key, value in row.items()})
        return sorted(rows, key=lambda row: -row["seconds"])


FRAMEWORKS: dict[str, type[Framework]] = {"minigrad": Minigrad, "torch": Torch}
"""By name; minigrad is what is compared, torch what it is compared with."""


def framework_of(model: Any) -> Framework:
    """The framework that a model's class comes from, on the model's device. MinigradError for any other."""
    packages = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    name = next((name for name in FRAMEWORKS if name in packages), None)
    if name is None:
        raise MinigradError(f"{type(model).__name__} is no Module of minigrad.nn or torch.nn")
    framework = FRAMEWORKS[name]()
    framework.device = next((p.device for p in model.parameters()), framework.device)
    return framework


def leave_cores() -> None:
    """Where both frameworks share a process: torch's threads spin while they wait, and take the cores from minigrad's.

    The variable is read when torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
