"""Runs that mathematics decides: what one computes, another must give to the last digits, on any processor.

Where float32 rounds, it decides more than digits: which of equal numbers wins in the window of a max pool, on which side of 0
the input of a ReLU lies, which sign a gradient has that is 0 but for rounding. A step of training or of an attack makes a
difference of 1e-7 there into one of 1e-2, another one on each processor. `in_float64` leaves such places a width of 1e-16, and
`without_ties` takes away those of no width at all: the background of the embedded images is one number, so that the windows
of a pool tie there.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from minigrad.data import ArrayDataset

GRAIN = 64  # grey levels


def without_ties(patch: pytest.MonkeyPatch) -> None:
    """Every image gets a grain of its own, over three quarters of its contrast."""
    load = ArrayDataset.load

    def grained(self: ArrayDataset, index: int, rng: Any) -> np.ndarray:
        image = load(self, index, rng)
        return image - image // 4 + np.random.default_rng(index).integers(0, GRAIN, image.shape, np.uint8)

    patch.setattr(ArrayDataset, "load", grained)


def in_float64(patch: pytest.MonkeyPatch, *tracks: str) -> None:
    """Both scripts (or those of the `tracks`), and the networks of `compare attacks` and `transfer`, compute in float64."""
    for name in (
        "minigrad.training.run",
        *(f"compare.{c}" for c in ("attacks.measure", "attacks.examples", "transfer.measure")),
    ):
        module = importlib.import_module(name)
        patch.setattr(module, "normalize", widened(module.normalize, lambda x: x.astype(np.float64)))
    for name in tracks or ("minigrad", "torch"):
        script = importlib.import_module(f"train_{name}")
        patch.setattr(script, "create", widened(script.create, lambda model: model.double()))
    framework = importlib.import_module("compare.kit.frameworks").Framework
    patch.setattr(framework, "load", widened(framework.load, lambda model: model.double()))


def widened(make: Any, widen: Any) -> Any:
    return lambda *arguments, **settings: widen(make(*arguments, **settings))
