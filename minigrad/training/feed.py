"""Batches of the loader as what a network sees, on its device; and what steps there were worth, read seldom.

On a GPU the host waits for neither: bytes go there by a stream of their own and are normalised by a kernel, loss and hits stay.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.device import Device
from minigrad.grad_mode import no_grad
from minigrad.tensor import Tensor
from minigrad.training.meters import Meter
from minigrad.training.mixing import Mixing, mix
from minigrad.training.progress import Progress
from minigrad.training.run import Data


class Feed:
    """Brings batches to a device: `send` what the loader gives, at once; `receive` it there, as a part of the step.

        sent = feed.send(batch.images, batch.labels)
        images, targets = feed.receive(*sent)         # (N, C, H, W) float32; labels (N,), or targets (N, classes) if mixed

    On a CPU images are normalised when they are sent. On a GPU their bytes are copied beside the step before, and normalised by
    `receive`, which a captured step may have in it. What is sent is for work that is asked for before the next `send`.
    """

    def __init__(self, data: Data, device: Device, split: str) -> None:
        """split: "train" or "val". Where `keep_on` has brought its images to the device, its loader gives places."""
        self.data, self.device, self.images = data, device, data.kept.get(split)
        self._conveyor: Any = None
        if device.type == "cuda":
            self._gpu = _gpu()
            mean, std = (np.asarray(value, np.float64) for value in (data.val.mean, data.val.std))
            self._conveyor = self._gpu.Conveyor()
            self._shift, self._scale = (
                self._gpu.from_host(values.astype(np.float32), index=device.index or 0)
                for values in (255 * mean, 1 / (255 * std))
            )

    def send(self, images: np.ndarray, labels: np.ndarray, mixing: Mixing | None = None) -> tuple[Tensor, ...]:
        """The images (N, H, W, C) uint8 and labels (N,) of a batch, and how it is to be mixed, on their way to the device."""
        arrays = (images, labels, *(mixing or ()))
        found = (self.data.inputs(images), *arrays[1:]) if self._conveyor is None else self._conveyor.bring(arrays)
        return tuple([Tensor._wrap(array) for array in found])

    @no_grad()
    def receive(self, images: Tensor, labels: Tensor, *mixing: Tensor) -> tuple[Tensor, Tensor]:
        """What the network sees of it, and the targets, from what `send` gave."""
        if self.images is not None:
            images = Tensor._wrap(self.images.take(images.array, self._shift, self._scale))
        elif self._conveyor is not None:
            images = Tensor._wrap(self._gpu.normalize_bytes(images.array, self._shift, self._scale))
        if not mixing:
            return images, labels
        classes = backends.of(images.array).xp.arange(self.data.num_classes)
        shares, other = (given.array for given in mixing)
        inputs, targets = mix(images.array, labels.array, shares, other, classes)
        return Tensor._wrap(inputs), Tensor._wrap(targets)


def keep_on(data: Data, device: Device) -> None:
    """--data-on-device: bring all images to the GPU's memory, where each Feed finds them. DataError if one cannot be read."""
    for name, resident in data.resident.items():
        images = _gpu().Images(
            resident.nbytes, resident.longest, resident.image_size, resident.channels, resident.plain
        )
        with Progress(f"{name} images to {device}", len(resident.sizes), 1, data.print_freq) as progress:
            for block, count in resident.blocks():
                images.fill(block)
                progress.update(count)
        data.kept[name] = images


class Tally:
    """What each training step is worth, in a table on the GPU, until somebody reads it: loss, hits, and the gradient's norm."""

    def __init__(self, device: Device, steps: int) -> None:
        self._gpu = _gpu()
        self._rows = self._gpu.xp.zeros((steps, 4), np.float64)
        self._counted: list[int] = []  # images of each step in the table

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, norm: Tensor | None = None) -> None:
        """Count a step: its mean loss, logits (N, classes), labels (N,) and the norm of its gradient. The host does not wait."""
        row = self._rows[len(self._counted)]
        self._counted.append(len(labels))
        length = None if norm is None else norm.array
        self._gpu.count_hits(loss.array, logits.array, labels.array, length, row)

    @property
    def is_full(self) -> bool:
        """Whether it has to be read before a step more is counted."""
        return len(self._counted) == len(self._rows)

    def read(self) -> list[tuple[Meter, float | None]]:
        """The steps since it was last read, each as a meter, with the norm of its gradient if one was given. Waits."""
        counted, self._counted = self._counted, []
        rows = self._gpu.to_host(self._rows[: len(counted)]).tolist() if counted else []
        return [
            (Meter.of(images, *row[:3]), None if math.isnan(row[3]) else row[3])
            for images, row in zip(counted, rows, strict=True)
        ]


def _gpu() -> Any:
    """The backend with what it has beside the kernels of all backends."""
    return backends.get("gpu")
