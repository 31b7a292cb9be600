"""One training step in each framework, behind the same methods: what the commands of this room call in turn.

Only the framework that is asked for is imported. The steps are those of train_minigrad.py and train_torch.py:

    forward    logits = model(images), loss = cross-entropy
    backward   gradients forgotten, loss.backward()
    update     optimizer.step(): SGD with momentum and weight decay
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import models
from minigrad.errors import DeviceError, MinigradError

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Job:
    """What is trained, and how. threads: None leaves each framework its own default."""

    model: str
    batch: int
    image_size: int
    device: str
    threads: int | None
    seed: int
    classes: int = 100
    channels: int = 3
    lr: float = 0.01  # low: weights that stay where they began keep hundreds of steps on one batch alike
    momentum: float = 0.9
    weight_decay: float = 1e-4

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON can hold it."""
        return asdict(self)


def make_start(job: Job) -> Arrays:
    """The start that all tracks share: "images" (N, H, W, C) ~ N(0, 1), "labels" (N,), and the weights "model.KEY".

    The weights are minigrad's initialisation.
    """
    import minigrad

    random = np.random.default_rng(job.seed)
    images = random.standard_normal((job.batch, job.image_size, job.image_size, job.channels), np.float32)
    labels = random.integers(0, job.classes, job.batch)
    minigrad.manual_seed(job.seed)
    weights = models.create(job.model, job.classes, job.channels).state_dict()
    return {
        "images": images,
        "labels": labels,
        **{f"model.{key}": value.numpy() for key, value in weights.items()},
    }


def weights_of(start: Arrays) -> Arrays:
    """The state_dict within a start."""
    return {key.removeprefix("model."): array for key, array in start.items() if key.startswith("model.")}


class Track(ABC):
    """A model in training on one batch. Making a Track imports its framework; `build` makes the rest.

    minigrad has torch's names, so most of a step is the same text for both.
    """

    def __init__(self, job: Job, library: Any, create: Callable[[str, int, int], Any], device: Any) -> None:
        self.job, self.library, self.create, self.device = job, library, create, device
        self.loss_function = library.nn.CrossEntropyLoss()
        if job.threads is not None:
            library.set_num_threads(job.threads)

    def rehearse(self) -> None:
        """Train a network of a few numbers for one step: what the framework loads on first use is then loaded."""
        nn = self.library.nn
        layers = [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.begin(nn.Sequential(*layers, nn.Linear(2, 2)), np.ones((2, 8, 8, 1), np.float32), np.arange(2))
        self.forward()
        self.backward()
        self.update()
        del self.model, self.optimizer, self.images, self.labels, self.last_loss

    def build(self, start: Arrays) -> None:
        """Make model, batch and optimizer out of `make_start`'s arrays."""
        model = self.create(self.job.model, self.job.classes, self.job.channels)
        model.load_state_dict({key: self.library.from_numpy(array) for key, array in weights_of(start).items()})
        self.begin(model, start["images"], start["labels"])

    def begin(self, model: Any, images: np.ndarray, labels: np.ndarray) -> None:
        """Take a model to the device, with a batch: images (N, H, W, C), seen as (N, C, H, W) without a copy."""
        self.model = model.to(self.device)
        self.images = self.library.from_numpy(images).permute(0, 3, 1, 2).to(self.device)
        self.labels = self.library.from_numpy(labels).to(self.device)
        self.optimizer = self.library.optim.SGD(
            self.model.parameters(), lr=self.job.lr, momentum=self.job.momentum, weight_decay=self.job.weight_decay
        )

    def forward(self) -> None:
        """Logits and loss of the batch."""
        self.last_loss = self.loss_function(self.model(self.images), self.labels)

    def backward(self) -> None:
        """The parameters' gradients."""
        self.optimizer.zero_grad()
        self.last_loss.backward()

    def update(self) -> None:
        """A step of the optimizer."""
        self.optimizer.step()

    def loss(self) -> float:
        """The loss of the last forward pass."""
        return float(self.last_loss.item())

    def weights(self) -> Arrays:
        """The model's state_dict, on the host."""
        return {key: value.detach().cpu().numpy() for key, value in self.model.state_dict().items()}

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""

    @abstractmethod
    def memory(self) -> int:
        """Bytes in use: resident memory of the process; on a GPU, of the framework's pool."""

    @abstractmethod
    def peak_memory(self) -> int:
        """The most bytes in use since `reset_peak_memory`."""

    @abstractmethod
    def reset_peak_memory(self) -> None:
        """Let `peak_memory` count from now."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Versions, threads, and which kernels the framework has chosen for this machine."""


class MinigradTrack(Track):
    """minigrad as train_minigrad.py runs it."""

    def __init__(self, job: Job) -> None:
        import minigrad

        super().__init__(job, minigrad, models.create, minigrad.get_device(job.device))

    def synchronize(self) -> None:
        self.library.synchronize(self.device)

    def memory(self) -> int:
        return self.library.memory_allocated(self.device)

    def peak_memory(self) -> int:
        return self.library.max_memory_allocated(self.device)

    def reset_peak_memory(self) -> None:
        self.library.reset_peak_memory_stats(self.device)

    def facts(self) -> dict[str, Any]:
        facts = {"version": self.library.__version__, "numpy": np.__version__, "device": str(self.device)}
        if self.device.type == "gpu":
            import cupy

            return facts | {"cupy": cupy.__version__}
        from minigrad.backends import cpu

        return facts | {"threads": cpu.get_num_threads(), "openblas_core": cpu.blas_core()}


class TorchTrack(Track):
    """PyTorch as train_torch.py runs it, images and weights in `layout`: its own default, or channels-last."""

    def __init__(self, job: Job, channels_last: bool = False) -> None:
        try:
            import torch
        except ImportError as error:
            raise MinigradError(f"this command measures against PyTorch, which cannot be imported: {error}") from error
        import models.reference

        if job.device != "cpu" and not torch.cuda.is_available():
            raise DeviceError(f"--device {job.device}: PyTorch finds no GPU on this machine; --device cpu works")
        device = torch.device(job.device.replace("gpu", "cuda"))
        super().__init__(job, torch, models.reference.create, device)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def begin(self, model: Any, images: np.ndarray, labels: np.ndarray) -> None:
        super().begin(model.to(memory_format=self.layout), images, labels)
        self.images = self.images.contiguous(memory_format=self.layout)

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            self.library.cuda.synchronize(self.device)

    def memory(self) -> int:
        return self._meters.memory_allocated(*self._which)

    def peak_memory(self) -> int:
        return self._meters.max_memory_allocated(*self._which)

    def reset_peak_memory(self) -> None:
        self._meters.reset_peak_memory_stats(*self._which)

    @property
    def _meters(self) -> Any:
        """The pool's meters; for the CPU, where torch has none, the process's, which the operating system keeps."""
        if self.device.type == "cuda":
            return self.library.cuda
        from minigrad.backends.cpu import memory

        return memory

    @property
    def _which(self) -> tuple[Any, ...]:
        return (self.device,) if self.device.type == "cuda" else ()

    def facts(self) -> dict[str, Any]:
        torch = self.library
        facts = {"version": torch.__version__, "numpy": np.__version__, "device": str(self.device)}
        if self.device.type == "cuda":
            return facts | {
                "gpu": torch.cuda.get_device_name(self.device),
                "cuda": torch.version.cuda,
                "cudnn": torch.backends.cudnn.version(),
            }
        onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
        return facts | {
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": (onednn[1] if onednn else "yes") if torch.backends.mkldnn.is_available() else "no",
        }


class CompiledTrack(TorchTrack):
    """PyTorch with torch.compile; its first step takes a minute or two."""

    def build(self, start: Arrays) -> None:
        super().build(start)
        self.compiled = self.library.compile(self.model)

    def forward(self) -> None:
        self.last_loss = self.loss_function(self.compiled(self.images), self.labels)


# By name, in the order in which they are measured; minigrad is what the others are compared with.
TRACKS: dict[str, Callable[[Job], Track]] = {
    "minigrad": MinigradTrack,
    "torch": TorchTrack,
    "torch channels-last": lambda job: TorchTrack(job, channels_last=True),
    "torch compiled": CompiledTrack,
}
