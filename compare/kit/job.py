"""A job: a model, a batch and an optimizer; and its training step, in each implementation of it.

The steps are those of train_minigrad.py and train_torch.py, by the model's recipe but for a low learning rate:

    forward    logits = model(images), loss = cross-entropy
    backward   gradients set to None, loss.backward()
    update     for the vision transformer, gradients clipped to a norm of 1 and a step of AdamW; else SGD with momentum

Beside them stands an attack on the batch by its name, as --attack of the scripts has it; it leaves the model as it was.

Dropout and drop path draw the same masks in every implementation, so that their results can be compared in training mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

import models
from compare.kit.distances import Arrays
from compare.kit.frameworks import FRAMEWORKS
from minigrad.random import Generator


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

    @classmethod
    def by_recipe(cls, recipe: Mapping[str, Any], *given: Any, **more: Any) -> Job:
        """A job with the optimizer, weight decay and clipping of a recipe."""
        taken = {name: recipe[name] for name in ("optimizer", "weight_decay", "clip_grad")}
        return replace(cls(*given, **more), **taken)

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON can hold it."""
        return asdict(self)

    def model_from(self, create: Callable[..., Any]) -> Any:
        """The model by a framework's `create`, with a generator of masks that starts at the seed."""
        masks = Generator(self.seed)
        return create(self.model, self.classes, self.channels, self.image_size, masks, **self.settings)


def make_start(job: Job) -> Arrays:
    """The common start: "images" (N, H, W, C) ~ N(0, 1), "labels" (N,), and minigrad's initial weights as "model.KEY"."""
    import minigrad

    random = np.random.default_rng(job.seed)
    images = random.standard_normal((job.batch, job.image_size, job.image_size, job.channels), np.float32)
    labels = random.integers(0, job.classes, job.batch)
    minigrad.manual_seed(job.seed)
    weights = job.model_from(models.create).state_dict()
    return {"images": images, "labels": labels, **{f"model.{key}": value.numpy() for key, value in weights.items()}}


def part(arrays: Arrays, name: str) -> Arrays:
    """Of a start, or of what is saved after the first steps: what stands as "NAME.KEY", under KEY ("model", "gradient")."""
    return {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}


@dataclass(frozen=True)
class Implementation:
    """A framework, and which of its ways a step takes.

    channels_last: images and weights in torch's other memory format. compiled: torch.compile, whose first step takes a
    minute or two. convolution: "definition", minigrad's unfold and a matrix product (`train_minigrad.py --conv definition`);
    "unfold", the same by hand in PyTorch (`train_torch.py --custom-conv`); "unfold, kept", as the original wrote that one,
    with the unfolded columns kept for the backward pass.
    """

    framework: str
    channels_last: bool = False
    compiled: bool = False
    convolution: str | None = None


IMPLEMENTATIONS = {
    "minigrad": Implementation("minigrad"),
    "torch": Implementation("torch"),
    "torch channels-last": Implementation("torch", channels_last=True),
    "torch compiled": Implementation("torch", compiled=True),
    "minigrad definition": Implementation("minigrad", convolution="definition"),
    "torch custom-conv": Implementation("torch", convolution="unfold"),
    "torch custom-conv, columns kept": Implementation("torch", convolution="unfold, kept"),
}
"""By name, in the order in which they are measured; minigrad is what the others are compared with."""


class Training:
    """A model in training on one batch, in an implementation. Making one imports its framework; `build` makes the rest."""

    def __init__(self, name: str, job: Job) -> None:
        self.job, self.implementation = job, IMPLEMENTATIONS[name]
        self.framework = FRAMEWORKS[self.implementation.framework](job.device, job.threads)
        self.library = self.framework.library
        self.loss_function = self.library.nn.CrossEntropyLoss()
        self.model: Any = None

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
        layers += [nn.TransformerEncoderLayer(4, 2, 8, 0.0, "gelu", batch_first=True), nn.Flatten(), nn.Linear(8, 2)]
        self.begin(nn.Sequential(*layers), np.ones((2, 8, 8, 1), np.float32), np.arange(2))
        self.step()
        del self.model, self.network, self.optimizer, self.images, self.labels, self.last_loss

    def build(self, start: Arrays, dtype: str = "float32") -> None:
        """Make model, batch and optimizer out of `make_start`'s arrays."""
        model = self.job.model_from(self.framework.create)
        model.load_state_dict({key: self.library.from_numpy(array) for key, array in part(start, "model").items()})
        self.begin(model.double() if dtype == "float64" else model, start["images"], start["labels"])
        if self.implementation.compiled:
            self.network = self.library.compile(self.model)

    def begin(self, model: Any, images: np.ndarray, labels: np.ndarray) -> None:
        """Take a model to the device, with a batch: images (N, H, W, C), seen as (N, C, H, W) without a copy."""
        how = self.implementation
        if how.convolution in ("unfold", "unfold, kept"):
            from models.reference.unfold_conv import use_unfold_convolutions

            model = use_unfold_convolutions(model, how.convolution == "unfold, kept")
        self.images = self.library.from_numpy(images).permute(0, 3, 1, 2)
        if how.framework == "torch":
            layout = self.library.channels_last if how.channels_last else self.library.contiguous_format
            model, self.images = model.to(memory_format=layout), self.images.contiguous(memory_format=layout)
        self.model = self.network = model.to(self.framework.device)
        self.images, self.labels = self.images.to(self.framework.device), self.framework.tensor(labels)
        self.optimizer = self.make_optimizer()

    def make_optimizer(self) -> Any:
        """The job's, over all the parameters."""
        job, parameters, optim = self.job, self.model.parameters(), self.library.optim
        if job.optimizer == "adamw":
            return optim.AdamW(parameters, lr=job.lr, weight_decay=job.weight_decay)
        return optim.SGD(parameters, lr=job.lr, momentum=job.momentum, weight_decay=job.weight_decay)

    def _convolving(self) -> AbstractContextManager[Any]:
        """minigrad's definition of the convolution, if that is the implementation."""
        return self.library.definitions("conv2d") if self.implementation.convolution == "definition" else nullcontext()

    def forward(self) -> None:
        """Logits and loss of the batch."""
        with self._convolving():
            self.last_loss = self.loss_function(self.network(self.images), self.labels)

    def backward(self) -> None:
        """The parameters' gradients."""
        self.optimizer.zero_grad()
        with self._convolving():
            self.last_loss.backward()

    def update(self) -> None:
        """Gradients clipped, if the job says so, and a step of the optimizer."""
        if self.job.clip_grad:
            self.library.nn.utils.clip_grad_norm_(self.model.parameters(), self.job.clip_grad)
        self.optimizer.step()

    def step(self) -> None:
        """All three."""
        self.forward()
        self.backward()
        self.update()

    def attacked(self, preset: str, steps: int) -> Any:
        """The batch after so many steps of an attack; the model stays as it is. ValueError for an unknown preset."""
        with self._convolving():
            return self.framework.preset(preset, steps=steps)(self.network, self.images, self.labels)

    def loss(self) -> float:
        """The loss of the last forward pass."""
        return float(self.last_loss.item())

    def weights(self) -> Arrays:
        """The model's state_dict, on the host."""
        return {key: value.numpy(force=True) for key, value in self.model.state_dict().items()}

    def gradients(self) -> Arrays:
        """The gradients that the last step of the optimizer took (clipped), under their parameters' keys, on the host."""
        return {key: np.array(value.grad.numpy(force=True)) for key, value in self.model.named_parameters()}
