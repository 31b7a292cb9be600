"""What is refused, in which words; and that a model is left as it was found, errors or not."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.attribution import grad_cam, input_times_gradient, localisation_map, saliency, smooth_grad
from tests.attacks.pytorch import batch
from tests.attacks.test_untouched import Fragile, state, used_model

MAPS = {
    "saliency": saliency,
    "input-times-gradient": input_times_gradient,
    "smooth-grad": lambda model, x, classes=None: smooth_grad(model, x, classes, samples=3),
    "grad-cam": lambda model, x, classes=None: grad_cam(model, x, "body.2", classes),
}


def images(count: int = 4) -> mg.Tensor:
    return mg.tensor(batch(count, dtype=np.float32)[0])


def hooks(model: nn.Module) -> list[int]:
    return [len(module._forward_hooks) for module in model.modules()]


@pytest.mark.parametrize("kind", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("within", [nullcontext, mg.no_grad, mg.definitions])
def test_nothing_is_touched(kind: Any, within: Any) -> None:
    model, x = used_model(), images()
    before, their_hooks, pixels = state(model), hooks(model), x.numpy().copy()
    with within():
        maps = kind(model, x)
    assert state(model) == before and hooks(model) == their_hooks
    assert np.array_equal(x.numpy(), pixels) and x.grad is None and not x.requires_grad
    assert maps.numpy().any() and not maps.requires_grad
    assert not any(model.seen_training)


@pytest.mark.parametrize("kind", MAPS.values(), ids=MAPS)
def test_images_that_ask_for_gradients_get_none(kind: Any) -> None:
    model, x = used_model(), images().requires_grad_()
    maps = kind(model, x)
    assert x.grad is None and x.requires_grad and not maps.requires_grad


@pytest.mark.parametrize("kind", MAPS.values(), ids=MAPS)
def test_nothing_is_touched_when_the_model_fails(kind: Any) -> None:
    model: Fragile = used_model()
    before, their_hooks = state(model), hooks(model)
    model.fails_at = 1
    with pytest.raises(RuntimeError, match="broken in the middle"):
        kind(model, images())
    assert state(model) == before and hooks(model) == their_hooks


@pytest.mark.parametrize("kind", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 1, 2, 5], "classes must be classes from 0 to 4, got 0 to 5"),
        ([0, -1, 2, 3], "got -1 to 3"),
        ([0, 1], r"classes must be 4 integers, got int64[2]"),
        ([0.0] * 4, "classes must be 4 integers, got float32[4]"),
        (2, "classes must be 4 integers, got int64[]"),
    ],
)
def test_classes(kind: Any, classes: Any, message: str) -> None:
    model = used_model()
    before = state(model)
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(model, images(), classes)
    assert state(model) == before


@pytest.mark.parametrize("kind", MAPS.values(), ids=MAPS)
def test_images(kind: Any) -> None:
    for wrong, name in (
        (np.zeros((1, 3, 8, 8)), "ndarray"),
        (mg.zeros(3, 8, 8), "float32[3, 8, 8]"),
        (mg.zeros(1, 3, 8, 8, dtype=mg.uint8), "uint8[1, 3, 8, 8]"),
    ):
        message = f"images must be a floating-point Tensor (N, C, H, W), got {name}"
        with pytest.raises(ValueError, match=re.escape(message)):
            kind(used_model(), wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples must be an integer and at least 1, got 0"),
        ({"samples": 1.5}, "samples must be an integer and at least 1, got 1.5"),
        ({"noise": -0.1}, "noise must be finite and at least 0, got -0.1"),
        ({"noise": float("nan")}, "noise must be finite and at least 0, got nan"),
    ],
)
def test_settings_of_smooth_grad(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        smooth_grad(used_model(), images(), **options)


class Odd(nn.Module):
    """Layers that run twice, never, and that give no maps."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never, self.both, self.flat = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), Two(), nn.Flatten()

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.flat(self.both(self.twice(self.twice(x)))[0])


class Two(nn.Module):
    """Gives a pair."""

    def forward(self, x: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("nowhere", "the model has no layer 'nowhere': it has twice, never, both, flat"),
        ("", "the model has no layer '': it has twice"),
        ("twice", "the layer must run once in the model's forward, and it ran 2 times"),
        ("never", "the layer must run once in the model's forward, and it ran 0 times"),
        ("both", "the layer's output must be a floating-point Tensor (N, K, h, w), got tuple"),
        ("flat", "the layer's output must be (N, K, h, w), got float32[4, 360]"),
    ],
)
def test_layers(layer: str, message: str) -> None:
    model = Odd().train()
    before, their_hooks = state(model), hooks(model)
    for kind in (localisation_map, grad_cam):
        with pytest.raises(ValueError, match=re.escape(message)):
            kind(model, images(), layer)
    assert state(model) == before and hooks(model) == their_hooks


def test_a_layer_of_another_model() -> None:
    with pytest.raises(ValueError, match="it ran 0 times"):
        grad_cam(used_model(), images(), nn.Conv2d(3, 3, 1))
