"""What an attack does, by hand: where it ends on linear models, its targets, its random starts, restarts, balls and boxes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.attacks import APGD, FGSM, MIFGSM, PGD, AttackWarning, preset
from minigrad.nn import functional as F
from tests.attacks.pytorch import PIXELS, batch, both, tensors

STD = np.array(PIXELS["std"]).reshape(1, 3, 1, 1)


class Linear(nn.Module):
    """Logits (w . x, 0): the loss of class 0 falls along w."""

    def __init__(self, w: np.ndarray) -> None:
        super().__init__()
        self.w = nn.Parameter(mg.tensor(w))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        logit = (x * self.w).flatten(1).sum(1, keepdim=True)
        return mg.cat([logit, logit * 0], 1)


def linear(device: str = "cpu") -> tuple[Linear, np.ndarray, mg.Tensor]:
    """A linear model, its weights, one of which is 0, and three images."""
    random = np.random.default_rng(0)
    w = random.uniform(-1, 1, (3, 4, 5))
    w[0, 0, 0] = 0
    return Linear(w).to(device), w, mg.tensor(random.uniform(-1, 1, (3, 3, 4, 5)), device=device)


@pytest.mark.parametrize("make", [PGD, MIFGSM, APGD])
@pytest.mark.parametrize("epsilon", [0.3, 0.0])
def test_the_end_on_a_linear_model_in_the_max_norm(make: Any, epsilon: float, device: str) -> None:
    model, w, x = linear(device)
    found = make(epsilon=epsilon, alpha=0.1, target="label", direction="ascend")(model, x, [0, 0, 0])
    assert found.device == x.device and found.dtype == x.dtype
    np.testing.assert_allclose(found.numpy(force=True), x.numpy(force=True) - epsilon * np.sign(w), atol=1e-12)


@pytest.mark.parametrize("make", [PGD, MIFGSM, APGD])
def test_the_end_on_a_linear_model_in_the_2_norm(make: Any) -> None:
    model, w, x = linear()
    found = make(norm="l2", epsilon=2.0, alpha=0.5, target="label", direction="ascend")(model, x, [1, 1, 1])
    np.testing.assert_allclose(found.numpy(), x.numpy() + 2 * w / np.linalg.norm(w), atol=1e-12)


def test_the_ends_in_pixel_units() -> None:
    """Of the images before normalisation: x = (v - mean) / std, so the gradient there is g / std."""
    model, w, x = linear()
    options = {"target": "given", "direction": "descend", "epsilon": 0.2, "alpha": 0.05} | PIXELS
    found = PGD(**options)(model, x, targets=[1, 1, 1])
    np.testing.assert_allclose(found.numpy(), x.numpy() - 0.2 * np.sign(w) / STD, atol=1e-12)
    found = PGD(norm="l2", **options)(model, x, targets=[1, 1, 1])
    slope = w / STD[0]
    np.testing.assert_allclose(found.numpy(), x.numpy() - 0.2 * slope / np.linalg.norm(slope) / STD, atol=1e-12)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_ends_in_a_box(norm: Any) -> None:
    model, w, x = linear()
    attack = PGD(norm=norm, epsilon=5.0, alpha=1.0, steps=30, clip=(-1, 1), target="label", direction="ascend")
    found = attack(model, x, [0, 0, 0]).numpy()
    assert np.abs(found).max() == 1.0
    if norm == "linf":
        np.testing.assert_array_equal(found, np.where(w == 0, x.numpy(), -np.sign(w)))
    assert (attack.space(x).size(mg.tensor(found)).numpy() <= 5 + 1e-12).all()
    pixels = replace(attack, units="pixel", clip=(0.0, 1.0), epsilon=9.0, mean=[0.5] * 3, std=[0.5] * 3)
    np.testing.assert_allclose(np.abs(pixels(model, x, [0, 0, 0]).numpy()).max(), 1, atol=1e-12)


def test_an_image_of_zeros_in_the_2_norm() -> None:
    """Nothing is divided by the image's norm: only the gradient's and the perturbation's count."""
    model, w, _ = linear()
    attack = PGD(norm="l2", epsilon=1.5, alpha=0.5, target="label", direction="ascend")
    found = attack(model, mg.zeros(2, 3, 4, 5, dtype=mg.float64), [0, 0])
    np.testing.assert_allclose(found.numpy(), np.stack([-1.5 * w / np.linalg.norm(w)] * 2), atol=1e-12)


def test_gradients_too_small_to_square_still_count() -> None:
    """In float32 the squares of these are 0."""
    x = mg.zeros(2, 3, 2, 2)
    model = Linear(np.full((3, 2, 2), 1e-25, np.float32))
    found = PGD(norm="l2", epsilon=1.0, alpha=1.0, target="label", direction="ascend")(model, x, [0, 0])
    np.testing.assert_allclose(found.numpy(), -np.ones((2, 3, 2, 2)) / 12**0.5, rtol=1e-5)


def test_fgsm_is_one_step_of_epsilon() -> None:
    model, w, x = linear()
    np.testing.assert_allclose(
        FGSM(0.25)(model, x, [0, 1, 0]).numpy()[1], (x.numpy()[1] + 0.25 * np.sign(w)), atol=1e-12
    )
    assert FGSM(0.25) == PGD(steps=1, alpha=0.25, epsilon=0.25, target="label", direction="ascend")
    with pytest.raises(TypeError, match="steps"):
        FGSM(0.25, steps=3)


def test_presets_are_what_they_are_called() -> None:
    assert preset("handout") == PGD()
    assert preset("report") == PGD(direction="ascend")
    assert preset("untargeted", steps=3) == PGD(steps=3, target="label", direction="ascend")
    with pytest.raises(ValueError, match="unknown preset 'strong': there are handout, report, untargeted"):
        preset("strong")


def test_the_class_is_chosen_anew_or_once() -> None:
    """Going far for the least likely class makes another one the least likely."""
    (model, _), ((x, _, _), _) = both(), tensors(batch(6))
    options = {"alpha": 0.5, "epsilon": 2.0}
    anew, once = (list(PGD(retarget=r, **options).path(model, x)) for r in (True, False))
    for step in anew:
        np.testing.assert_array_equal(step.classes.numpy(), step.logits.numpy().argmin(1))
    for step in once:
        np.testing.assert_array_equal(step.classes.numpy(), once[0].logits.numpy().argmin(1))
    assert any((step.classes != anew[0].classes).any() for step in anew)


def test_steps_are_linked() -> None:
    (model, _), ((x, y, _), _) = both(), tensors(batch())
    for make in (PGD, MIFGSM, APGD):
        attack = make(target="label", direction="ascend", steps=5)
        steps = list(attack.path(model, x, y))
        assert [step.index for step in steps] == list(range(5))
        np.testing.assert_array_equal(steps[0].images.numpy(), x.numpy())
        for a, b in zip(steps[:-1], steps[1:], strict=True):
            np.testing.assert_array_equal(a.moved.numpy(), b.images.numpy())
        np.testing.assert_array_equal(steps[-1].moved.numpy(), attack(model, x, y).numpy())


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("count", [4, 5])
def test_summed_averaged_and_single_losses_lead_to_the_same_images(norm: Any, count: int) -> None:
    (model, _), ((x, y, _), _) = both(), tensors(batch(count))
    results = [
        PGD(norm=norm, alpha=0.03, target="label", direction="ascend", loss=loss)(model, x, y).numpy()
        for loss in (
            lambda logits, classes: F.cross_entropy(logits, classes, reduction="none"),
            lambda logits, classes: F.cross_entropy(logits, classes, reduction="sum"),
            lambda logits, classes: F.cross_entropy(logits, classes),
        )
    ]
    assert np.abs(results[0] - x.numpy()).max() > 0.01
    for result in results[1:]:
        if norm == "linf" or count == 4:
            np.testing.assert_array_equal(result, results[0])
        else:  # a fifth of a gradient is rounded
            np.testing.assert_allclose(result, results[0], atol=1e-14)


def test_images_do_not_know_their_batch() -> None:
    (model, _), ((x, y, _), _) = both(), tensors(batch(5))
    for make in (PGD, MIFGSM, APGD):
        attack = make(target="label", direction="ascend", epsilon=0.3, steps=12)
        together = attack(model, x, y).numpy()
        alone = np.concatenate([attack(model, x[i : i + 1], y[i : i + 1]).numpy() for i in range(5)])
        np.testing.assert_allclose(alone, together, atol=1e-12)


def test_random_starts_fill_the_max_norm_ball_evenly(device: str) -> None:
    x = mg.ones(500, 2, 3, 3, dtype=mg.float64, device=device)
    away = (PGD(epsilon=0.4).noise(x) - x).numpy(force=True) / 0.4
    assert np.abs(away).max() <= 1 + 1e-12
    even = np.linspace(-1, 1, away.size)
    assert np.abs(np.sort(away, axis=None) - even).max() < 0.05


def test_random_starts_fill_the_2_norm_ball_evenly(device: str) -> None:
    """The share of the ball within radius r is r^n; directions have no preference."""
    x = mg.ones(3000, 1, 2, 3, dtype=mg.float64, device=device)
    away = (PGD(norm="l2", epsilon=0.4).noise(x) - x).numpy(force=True).reshape(3000, 6) / 0.4
    radius = np.linalg.norm(away, axis=1)
    assert radius.max() <= 1
    assert np.abs(np.sort(radius**6) - np.linspace(0, 1, 3000)).max() < 0.05
    directions = away / radius[:, None]
    assert np.abs(directions.mean(0)).max() < 0.03
    assert np.abs(directions.T @ directions / 3000 - np.eye(6) / 6).max() < 0.02


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_stay_in_ball_and_box(norm: Any) -> None:
    x = mg.tensor(batch(20)[0] / 2)
    attack = PGD(norm=norm, epsilon=0.3, clip=(0.2, 0.8), **PIXELS)
    inside = mg.tensor(np.clip(x.numpy() * STD + np.array(PIXELS["mean"]).reshape(1, 3, 1, 1), 0.2, 0.8))
    x = (inside - mg.tensor(PIXELS["mean"], dtype=mg.float64).reshape(1, 3, 1, 1)) / mg.tensor(STD)
    found = attack.noise(x)
    pixels = found.numpy() * STD + np.array(PIXELS["mean"]).reshape(1, 3, 1, 1)
    assert pixels.min() >= 0.2 - 1e-12 and pixels.max() <= 0.8 + 1e-12
    assert 0.1 < attack.space(x).size(found).numpy().max() <= 0.3 + 1e-12


def test_random_numbers_are_the_attacks_own_and_go_on() -> None:
    x = mg.tensor(batch()[0])
    first, second = PGD(), PGD()
    a, b = first.noise(x).numpy(), first.noise(x).numpy()
    assert not (a == b).all()
    np.testing.assert_array_equal(second.noise(x).numpy(), a)
    np.testing.assert_array_equal(second.noise(x).numpy(), b)


@pytest.mark.parametrize("make", [PGD, APGD])
def test_restarts_are_never_worse_than_one_start(make: Any) -> None:
    (model, _), ((x, y, _), _) = both(), tensors(batch(16))
    options = {"target": "label", "direction": "ascend", "random_start": True, "epsilon": 1.0, "alpha": 0.4, "steps": 3}
    loss = []
    for restarts in (1, 2, 8):
        moved = make(restarts=restarts, generator=mg.Generator(1), **options)(model, x, y)
        with mg.no_grad():
            loss.append(F.cross_entropy(model.eval()(moved), y, reduction="none").numpy())
        model.train()
    assert (loss[1] >= loss[0]).all() and (loss[2] >= loss[1]).all()
    assert (loss[2] > loss[0] + 1e-6).any()


def test_restarts_go_by_the_direction_when_targets_are_given() -> None:
    (model, _), ((x, _, targets), _) = both(), tensors(batch(16))
    for direction, sign in (("descend", -1), ("ascend", 1)):
        loss = []
        for restarts in (1, 6):
            attack = PGD(
                target="given", direction=direction, random_start=True, epsilon=1.0, steps=2, restarts=restarts
            )  # fmt: skip
            moved = attack(model, x, targets=targets)
            with mg.no_grad():
                loss.append(sign * F.cross_entropy(model.eval()(moved), targets, reduction="none").numpy())
            model.train()
        assert (loss[1] >= loss[0]).all() and (loss[1] > loss[0]).any()


def test_float32_stays_float32_and_the_images_as_they_are(device: str) -> None:
    (model, _), images = both("toy", np.float32), batch(3, (12, 10), np.float32)[0]
    for units in ({}, PIXELS):
        for norm in ("linf", "l2"):
            x = mg.tensor(images, device=device)
            attack = PGD(norm=norm, random_start=True, **units)
            found = attack(model.to(device), x)
            assert found.dtype == mg.float32 and found.device == device and not found.requires_grad
            np.testing.assert_array_equal(x.numpy(force=True), images)
            assert x.grad is None and not x.requires_grad
    model.to("cpu")


def test_no_images() -> None:
    model, _, x = linear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in (PGD, MIFGSM, APGD):
            for norm in ("linf", "l2"):
                assert make(norm=norm, random_start=True, clip=(-1, 1))(model, x[:0]).shape == (0, 3, 4, 5)


class Deaf(nn.Module):
    """Logits that do not depend on the images, or only on the first of them."""

    def __init__(self, hears_the_first: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(mg.tensor([1.0, 2.0]))
        self.hears_the_first = hears_the_first

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        logits = self.bias + mg.zeros(len(x), 2)
        if self.hears_the_first:
            heard = mg.zeros(len(x), 1, 1, 1)
            heard[0] = 1.0
            logits = logits + (x * heard).flatten(1).sum(1, keepdim=True) * mg.tensor([1.0, -1.0])
        return logits


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("make", [PGD, MIFGSM, APGD])
def test_a_model_that_does_not_look_at_its_input_is_named_and_the_images_stay(make: Any, norm: Any) -> None:
    x = mg.randn(3, 1, 2, 2)
    with pytest.warns(AttackWarning, match="zero for 3 of 3 images, which stay as they are") as said:
        found = make(norm=norm)(Deaf(False), x)
    assert [warning.filename for warning in said] == [__file__]
    np.testing.assert_array_equal(found.numpy(), x.numpy())
    model = Deaf(False)  # as a function, its bias goes on asking for gradients: there is a graph, but not to the images
    with pytest.warns(AttackWarning, match="zero for 3 of 3 images"):
        np.testing.assert_array_equal(make(norm=norm)(lambda images: model(images), x).numpy(), x.numpy())
    assert model.bias.grad is None
    with pytest.warns(AttackWarning, match="zero for 2 of 3 images"):
        found = make(norm=norm)(Deaf(True), x)
    np.testing.assert_array_equal(found.numpy()[1:], x.numpy()[1:])
    assert (found.numpy()[0] != x.numpy()[0]).all()
