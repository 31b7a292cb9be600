"""One training step in each framework, behind the same methods: what the commands of this room call in turn.

Only the framework that is asked for is imported. The steps are those of train_minigrad.py and train_torch.py, by the
model's recipe but for a low learning rate:

    forward    logits = model(images), loss = cross-entropy
    backward   gradients forgotten, loss.backward()
    update     for the vision transformer, gradients clipped to a norm of 1 and a step of AdamW; else SGD with momentum

and, beside them, an attack on the batch by its name, as --attack of the scripts has it; it leaves the model as it was.

Dropout and drop path draw the same masks in every track, so that what they compute can be compared in training mode.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

import models
from minigrad.errors import DeviceError, MinigradError
from minigrad.random import Generator

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Job:
    """What is trained, and how. threads: None leaves each framework its own default. settings: the model's own."""

    model: str
    batch: int
    image_size: int
    device: str
    threads: int | None
    seed: int
    classes: int = 100
    channels: int = 3
    settings: dict[str, Any] = field(default_factory=dict)
    optimizer: str = "sgd"
    lr: float = 0.01  # low: weights that stay where they began keep hundreds of steps on one batch alike
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_grad: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON can hold it."""
        return asdict(self)

    def model_from(self, create: Callable[..., Any]) -> Any:
        """The model by `models.create` or its twin, with a generator of masks that starts at the seed."""
        masks = Generator(self.seed)
        return create(self.model, self.classes, self.channels, self.image_size, masks, **self.settings)


def make_start(job: Job) -> Arrays:
    """The start that all tracks share: "images" (N, H, W, C) ~ N(0, 1), "labels" (N,), and the weights "model.KEY".

    The weights are minigrad's initialisation.
    """
    import minigrad

    random = np.random.default_rng(job.seed)
    images = random.standard_normal((job.batch, job.image_size, job.image_size, job.channels), np.float32)
    labels = random.integers(0, job.classes, job.batch)
    minigrad.manual_seed(job.seed)
    weights = job.model_from(models.create).state_dict()
    return {
        "images": images,
        "labels": labels,
        **{f"model.{key}": value.numpy() for key, value in weights.items()},
    }


def weights_of(arrays: Arrays) -> Arrays:
    """The state_dict within a start, or within what is saved after the first steps."""
    return _part(arrays, "model.")


def gradients_of(arrays: Arrays) -> Arrays:
    """The gradients within what is saved after the first steps."""
    return _part(arrays, "gradient.")


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


class Track(ABC):
    """A model in training on one batch. Making a Track imports its framework; `build` makes the rest.

    minigrad has torch's names, so most of a step is the same text for both.
    """

    def __init__(self, job: Job, library: Any, create: Callable[..., Any], device: Any) -> None:
        self.job, self.library, self.create, self.device = job, library, create, device
        self.loss_function = library.nn.CrossEntropyLoss()
        if job.threads is not None:
            library.set_num_threads(job.threads)

    def rehearse(self) -> None:
        """Train a network of a few numbers for one step: what the framework loads on first use is then loaded."""
        nn = self.library.nn
        layers = [
            nn.Conv2d(1, 2, 3),
            nn.BatchNorm2d(2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(2),
        ]
        layers += [nn.TransformerEncoderLayer(4, 2, 8, 0.0, "gelu", batch_first=True), nn.Flatten()]
        self.begin(nn.Sequential(*layers, nn.Linear(8, 2)), np.ones((2, 8, 8, 1), np.float32), np.arange(2))
        self.forward()
        self.backward()
        self.update()
        del self.model, self.optimizer, self.images, self.labels, self.last_loss

    def build(self, start: Arrays) -> None:
        """Make model, batch and optimizer out of `make_start`'s arrays."""
        model = self.job.model_from(self.create)
        model.load_state_dict({key: self.library.from_numpy(array) for key, array in weights_of(start).items()})
        self.begin(model, start["images"], start["labels"])

    def begin(self, model: Any, images: np.ndarray, labels: np.ndarray) -> None:
        """Take a model to the device, with a batch: images (N, H, W, C), seen as (N, C, H, W) without a copy."""
        self.model = model.to(self.device)
        self.images = self.library.from_numpy(images).permute(0, 3, 1, 2).to(self.device)
        self.labels = self.library.from_numpy(labels).to(self.device)
        self.optimizer = self.make_optimizer()

    def make_optimizer(self) -> Any:
        """The job's, over all the parameters."""
        job, parameters, optim = self.job, self.model.parameters(), self.library.optim
        if job.optimizer == "adamw":
            return optim.AdamW(parameters, lr=job.lr, weight_decay=job.weight_decay)
        return optim.SGD(parameters, lr=job.lr, momentum=job.momentum, weight_decay=job.weight_decay)

    @property
    def network(self) -> Any:
        """What is called for the logits."""
        return self.model

    def forward(self) -> None:
        """Logits and loss of the batch."""
        self.last_loss = self.loss_function(self.network(self.images), self.labels)

    def backward(self) -> None:
        """The parameters' gradients."""
        self.optimizer.zero_grad()
        self.last_loss.backward()

    def update(self) -> None:
        """Gradients clipped, if the job says so, and a step of the optimizer."""
        if self.job.clip_grad:
            self.library.nn.utils.clip_grad_norm_(self.model.parameters(), self.job.clip_grad)
        self.optimizer.step()

    def attacked(self, preset: str, steps: int) -> Any:
        """The batch after so many steps of an attack; the model stays as it is. ValueError for an unknown preset."""
        return self.presets(preset, steps=steps)(self.network, self.images, self.labels)

    def loss(self) -> float:
        """The loss of the last forward pass."""
        return float(self.last_loss.item())

    def weights(self) -> Arrays:
        """The model's state_dict, on the host."""
        return {key: self.to_numpy(value) for key, value in self.model.state_dict().items()}

    def gradients(self) -> Arrays:
        """The gradients that the last step of the optimizer took (clipped), under their parameters' keys, on the host."""
        return {key: np.array(self.to_numpy(value.grad)) for key, value in self.model.named_parameters()}

    def to_numpy(self, value: Any) -> np.ndarray:
        """A tensor's values, on the host."""
        return value.detach().cpu().numpy()

    @property
    @abstractmethod
    def presets(self) -> Callable[..., Any]:
        """The framework's `preset(name, **options)`: an attack. Loaded when it is asked for."""

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

    @property
    def presets(self) -> Callable[..., Any]:
        from minigrad.attacks import preset

        return preset

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


class DefinitionTrack(MinigradTrack):
    """minigrad with the textbook's convolution, unfold and a matrix product, as `train_minigrad.py --conv definition`."""

    def forward(self) -> None:
        with self.library.definitions("conv2d"):
            super().forward()

    def backward(self) -> None:
        with self.library.definitions("conv2d"):
            super().backward()

    def attacked(self, preset: str, steps: int) -> Any:
        with self.library.definitions("conv2d"):
            return super().attacked(preset, steps)


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

    @property
    def presets(self) -> Callable[..., Any]:
        from models.reference.attacks import preset

        return preset

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
        from minigrad.backends.cpu import device as memory

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

    def op_rows(self, steps: int) -> list[dict[str, Any]]:
        """torch.profiler's view of a training step: of each op calls, seconds of its own and bytes, as means over steps."""
        from torch.profiler import ProfilerActivity, profile

        on_gpu = self.device.type == "cuda"
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        with profile(activities=activities, profile_memory=True) as watched:
            for _ in range(steps):
                self.forward()
                self.backward()
                self.update()
            self.synchronize()
        kind = "device" if on_gpu else "cpu"
        rows = []
        for event in watched.key_averages():
            seconds, made = getattr(event, f"self_{kind}_time_total"), getattr(event, f"self_{kind}_memory_usage")
            rows.append(
                {"op": event.key, "calls": event.count / steps, "seconds": seconds / 1e6 / steps, "made": made / steps}
            )
        return sorted(rows, key=lambda row: -row["seconds"])


class CompiledTrack(TorchTrack):
    """PyTorch with torch.compile; its first step takes a minute or two."""

    def build(self, start: Arrays) -> None:
        super().build(start)
        self.compiled = self.library.compile(self.model)

    @property
    def network(self) -> Any:
        return self.compiled


class UnfoldTrack(TorchTrack):
    """PyTorch with the convolution written by hand, as `train_torch.py --custom-conv`; or as the original wrote it, which
    kept the unfolded columns."""

    def __init__(self, job: Job, keep_columns: bool = False) -> None:
        super().__init__(job)
        self.keep_columns = keep_columns

    def begin(self, model: Any, images: np.ndarray, labels: np.ndarray) -> None:
        from models.reference.unfold_conv import use_unfold_convolutions

        super().begin(use_unfold_convolutions(model, self.keep_columns), images, labels)


# By name, in the order in which they are measured; minigrad is what the others are compared with.
TRACKS: dict[str, Callable[[Job], Track]] = {
    "minigrad": MinigradTrack,
    "torch": TorchTrack,
    "torch channels-last": lambda job: TorchTrack(job, channels_last=True),
    "torch compiled": CompiledTrack,
    "minigrad definition": DefinitionTrack,
    "torch custom-conv": UnfoldTrack,
    "torch custom-conv, columns kept": lambda job: UnfoldTrack(job, keep_columns=True),
}
