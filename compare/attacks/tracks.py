"""One attack on one batch in each framework, behind the same names: what python -m compare attacks calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import models
from compare.attacks.lines import Line, hits
from minigrad.data.dataset import ImageDataset
from minigrad.device import Device
from minigrad.errors import DeviceError, MinigradError
from minigrad.training.checkpoints import load_checked

TRACKS = ("minigrad", "torch")


@dataclass(frozen=True)
class Job:
    """What is attacked: a model with one or two checkpoints, on validation images."""

    model: str
    settings: dict[str, Any]
    image_size: int
    checkpoints: dict[str, Path]  # PLAIN, and DEFENDED if there is one
    data: ImageDataset
    device: str
    seed: int  # of the noise


@dataclass(frozen=True)
class Track:
    """A framework: its library, its models' create, its attacks' preset, its name of the device."""

    library: Any
    create: Callable[..., Any]
    preset: Callable[..., Any]
    device: Any

    def load(self, job: Job, path: Path) -> Any:
        """The model with the weights of a file, in evaluation mode. CheckpointError if they are another model's."""
        model = self.create(job.model, len(job.data.classes), job.data.channels, job.image_size, **job.settings)
        weights = load_checked(path, {key: tuple(value.shape) for key, value in model.state_dict().items()})
        arrays = {key: self.library.from_numpy(array) for key, array in weights.items()}
        model.load_state_dict(arrays, strict=False)
        return model.float().to(self.device).eval()

    def answer(self, model: Any, images: Any) -> Any:
        """The logits."""
        with self.library.no_grad():
            return model(images)


def open_track(name: str, device: str) -> Track:
    """The framework of that name. MinigradError if torch is asked for and missing; DeviceError if it finds no such GPU."""
    if name == "minigrad":
        import minigrad
        from minigrad.attacks import preset

        return Track(minigrad, models.create, preset, Device(device))
    try:
        import torch
    except ImportError as error:
        raise MinigradError(
            f'PyTorch cannot be imported ({error}): --tracks minigrad, or pip install -e ".[reference]"'
        ) from error
    from models import reference
    from models.reference.attacks import preset as their_preset

    if device != "cpu" and (Device(device).index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {device}: PyTorch finds no such GPU on this machine; --device cpu works")
    return Track(torch, reference.create, their_preset, torch.device(device.replace("gpu", "cuda")))


def noisy(inputs: np.ndarray, epsilon: float, draws: np.random.Generator) -> np.ndarray:
    """Inputs with uniform noise from -epsilon to epsilon; for all epsilons the same draws, only larger."""
    return inputs + epsilon * draws.uniform(-1, 1, inputs.shape).astype(inputs.dtype)


def attacked(
    track: Track, model: Any, inputs: np.ndarray, labels: np.ndarray, lines: Sequence[Line]
) -> dict[Line, str]:
    """The letters of one batch in all the lines of a path, which is walked once.

    inputs: float32 (N, C, H, W); labels (N,). What the network says after k steps, step k + 1 sees anyway; only the end
    asks for one more forward pass.
    """
    images = track.library.from_numpy(inputs).to(track.device)
    steps = lines[-1].steps
    after: dict[int, Any] = {}
    try:
        if steps:
            last = lines[-1]
            attack = track.preset(last.preset, steps=steps, epsilon=last.epsilon, alpha=last.alpha)
            for step in attack.path(model, images, track.library.from_numpy(labels).to(track.device)):
                after[step.index] = step.logits
                images = step.moved
        after[steps] = track.answer(model, images)
        logits = {line: after[line.steps].numpy(force=True) for line in lines}
        if not all(np.isfinite(values).all() for values in logits.values()):
            raise FloatingPointError("the network's answers are NaN or infinite")
    except FloatingPointError as error:
        raise MinigradError(f"{lines[-1]}: {error}") from error
    return {line: hits(values, labels) for line, values in logits.items()}
