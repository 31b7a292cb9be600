"""Networks in both frameworks with the same weights, images for them, and the steps of attacks compared."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

import minigrad
import models
import models.reference
from minigrad import attacks
from models.reference import attacks as reference

CLASSES = 5
PIXELS = {"units": "pixel", "mean": (0.45, 0.4, 0.5), "std": (0.2, 0.25, 0.3)}


def toy(nn: Any) -> Any:
    """Everything a small network for images is made of, in the framework whose nn is given."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, stride=2),
        nn.GELU(),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, CLASSES),
    )


@cache
def both(name: str = "toy", dtype: Any = np.float64, **settings: Any) -> tuple[Any, Any]:
    """minigrad's network and torch's, in training mode, batch norm's statistics those of some images."""
    minigrad.manual_seed(3)
    if name == "toy":
        ours, theirs = toy(minigrad.nn), toy(torch.nn)
    else:
        ours = models.create(name, CLASSES, 3, **settings)
        theirs = models.reference.create(name, CLASSES, 3, **settings)
    theirs.load_state_dict({key: torch.from_numpy(value.numpy().copy()) for key, value in ours.state_dict().items()})
    torch.manual_seed(5)
    for _ in range(10):
        theirs(torch.randn(8, 3, 32, 32))
    ours.load_state_dict({key: minigrad.from_numpy(value.numpy().copy()) for key, value in theirs.state_dict().items()})
    return (ours.double(), theirs.double()) if dtype == np.float64 else (ours, theirs)


def batch(count: int = 3, size: tuple[int, int] = (12, 10), dtype: Any = np.float64) -> tuple[np.ndarray, ...]:
    """(images, labels, targets), labels and targets never the same."""
    random = np.random.default_rng(count)
    labels = random.integers(0, CLASSES, count)
    targets = (labels + random.integers(1, CLASSES, count)) % CLASSES
    return random.uniform(-1.5, 1.5, (count, 3, *size)).astype(dtype), labels, targets


def make(kind: str, **options: Any) -> tuple[Any, Any]:
    """The attack of this name in both frameworks, each with random numbers of the same seed."""
    return tuple(
        getattr(track, kind)(**options, generator=minigrad.Generator(7))
        for track in (attacks, reference)
    )  # fmt: skip


def tensors(arrays: Any, device: str = "cpu") -> tuple[list[Any], list[Any]]:
    """The same arrays as tensors of both frameworks."""
    return [minigrad.tensor(a, device=device) for a in arrays], [torch.from_numpy(a) for a in arrays]


def same_steps(ours: Any, theirs: Any, networks: Any, data: Any, device: str = "cpu") -> Any:
    """Step by step: what each framework sees, and where it goes, to 1e-10. Returns minigrad's steps.

    In float64 the two gradients differ by some 1e-16 of their largest element. A pixel whose gradient is as near to zero
    as that may have another sign, and the paths part there by 2 alpha; the images of these tests have none.
    """
    x, y = tensors(data, device)
    steps = list(ours.path(networks[0].to(device), *x))
    expected = list(theirs.path(networks[1], *y))
    networks[0].to("cpu")
    assert len(steps) == len(expected) == ours.steps
    for a, b in zip(steps, expected, strict=True):
        assert a.index == b.index and a.classes.numpy(force=True).tolist() == b.classes.tolist()
        for name in ("images", "logits", "loss", "gradient", "moved"):
            found, wanted = getattr(a, name).numpy(force=True), getattr(b, name).numpy()
            assert found.shape == wanted.shape and found.dtype == wanted.dtype
            scale = np.abs(wanted).max() if name == "gradient" else 1.0
            assert np.abs(found - wanted).max() <= 1e-10 * scale, f"{name} of step {a.index + 1}"
    return steps
