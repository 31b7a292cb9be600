"""What an attack refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.attacks import APGD, FGSM, MIFGSM, PGD, preset
from minigrad.nn import functional as F
from tests.attacks.pytorch import CLASSES, PIXELS, batch, tensors, toy

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": -0.1}, "epsilon must be finite and at least 0, got -0.1"),
        ({"epsilon": INF}, "epsilon must be finite and at least 0, got inf"),
        ({"epsilon": NAN}, "epsilon must be finite and at least 0, got nan"),
        ({"alpha": -1}, "alpha must be finite and at least 0, got -1"),
        ({"alpha": NAN}, "alpha must be finite"),
        ({"steps": 0}, "steps must be an integer and at least 1, got 0"),
        ({"steps": 2.5}, "steps must be an integer and at least 1, got 2.5"),
        ({"restarts": 0, "random_start": True}, "restarts must be an integer and at least 1, got 0"),
        ({"restarts": 2}, "restarts without random_start would all end at the same place"),
        ({"norm": "l3"}, "norm must be one of linf, l2.*, got 'l3'"),
        ({"target": "truth"}, "target must be one of least-likely, label, most-likely, given, got 'truth'"),
        ({"direction": "up"}, "direction must be one of descend, ascend, got 'up'"),
        ({"units": "grey"}, "units must be one of normalised, pixel, got 'grey'"),
        ({"units": "pixel"}, "pixel units need the mean and std"),
        ({"clip": (1, 0)}, "clip must be \\(low, high\\) with low < high, got \\(1, 0\\)"),
        (PIXELS | {"std": (0.1, 0.0, 0.1)}, "std must be above 0 in each channel"),
    ],
)
@pytest.mark.parametrize("make", [PGD, MIFGSM, APGD, lambda **options: preset("report", **options)])
def test_settings(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_settings_of_the_variants() -> None:
    for make, options, message in (
        (FGSM, {"epsilon": -1}, "alpha must be finite and at least 0"),
        (MIFGSM, {"decay": -1}, "decay must be finite and at least 0, got -1"),
        (MIFGSM, {"decay": NAN}, "decay must be finite"),
        (APGD, {"rho": 1.5}, "rho must be from 0 to 1, got 1.5"),
        (APGD, {"momentum": -0.1}, "momentum must be from 0 to 1, got -0.1"),
        (APGD, {"retarget": True}, "chooses its classes once"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**options)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, CLASSES], f"must be classes from 0 to {CLASSES - 1}, got 0 to {CLASSES}"),
        ([0, -1, 1], "got -1 to 1"),
        ([0, 1], r"must be 3 integers, got int64\[2\]"),
        ([[0, 1, 2]], r"must be 3 integers, got int64\[1, 3\]"),
        ([0.0, 1.0, 2.0], r"must be 3 integers, got float32\[3\]"),
        ([True, False, True], r"must be 3 integers, got bool\[3\]"),
        (1, r"must be 3 integers, got int64\[\]"),
        (None, "needs"),
    ],
)
@pytest.mark.parametrize("make", [PGD, APGD])
def test_labels_and_targets(make: Any, labels: Any, message: str) -> None:
    (x, _, _), _ = tensors(batch(3, dtype=np.float32))
    model = toy(nn)
    with pytest.raises(ValueError, match=message) as said:
        make(target="label")(model, x, labels)
    assert "labels" in str(said.value)
    with pytest.raises(ValueError, match=message) as said:
        make(target="given")(model, x, [0, 1, 2], targets=labels)
    assert "targets" in str(said.value)
    if labels is None:
        with pytest.raises(ValueError, match="restarts need labels"):
            make(random_start=True, restarts=2)(model, x)
        return
    with pytest.raises(ValueError, match=message):  # given, though the least likely class needs none
        make(target="least-likely")(model, x, labels)


def test_images() -> None:
    model = toy(nn)
    for images in (np.zeros((1, 3, 8, 8), np.float32), mg.zeros(1, 3, 8, 8, dtype=mg.int64), mg.zeros(3)):
        with pytest.raises(ValueError, match=r"images must be a floating-point Tensor \(N, C, H, W\)"):
            PGD()(model, images)
    with pytest.raises(ValueError, match="mean and std have 3 channels, the images are"):
        PGD(**PIXELS)(model, mg.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_images_outside_of_the_box(norm: Any) -> None:
    (x, _, _), _ = tensors(batch(3, dtype=np.float32))
    model = toy(nn)
    with pytest.raises(ValueError, match=r"the images reach from -1.4\d+ to 1.4\d+, outside the clip range \(0, 1\)"):
        PGD(norm=norm, clip=(0, 1))(model, x)
    for clip in ((0, 2), (-2, 0)):  # on one side
        with pytest.raises(ValueError, match="outside the clip range"):
            PGD(norm=norm, clip=clip)(model, x)
    with pytest.raises(ValueError, match="in other units, or normalised"):
        PGD(norm=norm, clip=(0, 1), **PIXELS)(model, x * 4)
    with pytest.raises(ValueError, match="outside the clip range"):
        PGD(norm=norm, clip=(0, 1)).noise(x)
    rounded = mg.tensor(np.array([[[[1 + 1e-6, 0.5]]]], np.float32))  # what rounding does is no mistake
    found = PGD(norm=norm, clip=(0, 1)).noise(rounded)
    assert 0 <= found.min().item() and found.max().item() <= 1


class Broken(nn.Module):
    """Gives `bad` in one logit, or only in the gradient, from its n-th call on."""

    def __init__(self, bad: float, at: int, in_gradient: bool = False) -> None:
        super().__init__()
        self.body, self.bad, self.at, self.in_gradient, self.calls = toy(nn), bad, at, in_gradient, 0

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        self.calls += 1
        logits = self.body(x)
        if self.calls < self.at:
            return logits
        if self.in_gradient:  # the root of 0 has no slope
            return logits + (x * 0).sqrt().flatten(1).sum(1, keepdim=True) * mg.tensor([1.0] + [0.0] * (CLASSES - 1))
        return logits + mg.tensor([self.bad] + [0.0] * (CLASSES - 1))


@pytest.mark.parametrize("make", [PGD, MIFGSM, APGD])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("at", [1, 3, 4])
def test_nan_in_the_model(make: Any, norm: Any, at: int) -> None:
    (x, y, _), _ = tensors(batch(3, dtype=np.float32))
    attack = make(norm=norm, steps=4, target="label")
    with pytest.raises(FloatingPointError, match=f"the loss is NaN or infinite in step {at} of the attack"):
        attack(Broken(NAN, at), x, y)
    with pytest.raises(FloatingPointError, match=f"the gradient is NaN or infinite in step {at} of the attack"):
        attack(Broken(NAN, at, in_gradient=True), x, y)


def test_nan_in_the_images() -> None:
    (x, _, _), _ = tensors(batch(3, dtype=np.float32))
    x[0, 0, 0, 0] = NAN
    with pytest.raises(FloatingPointError, match="the loss is NaN or infinite in step 1"):
        PGD()(toy(nn), x)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_autopgd_needs_a_loss_for_each_image(reduction: str) -> None:
    (x, y, _), _ = tensors(batch(3, dtype=np.float32))
    attack = APGD(target="label", loss=lambda logits, classes: F.cross_entropy(logits, classes, reduction=reduction))
    with pytest.raises(ValueError, match=r"a loss for each of the 3 images, got one of shape \(\)"):
        attack(toy(nn), x, y)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8])
def test_labels_of_any_integers(dtype: type) -> None:
    mg.manual_seed(0)
    model = mg.nn.Sequential(mg.nn.Flatten(), mg.nn.Linear(12, 5))
    images, labels = mg.randn(4, 3, 2, 2), np.array([0, 1, 4, 2])
    attack = preset("untargeted")
    assert (
        attack(model, images, labels.astype(dtype)).numpy().tobytes() == attack(model, images, labels).numpy().tobytes()
    )
