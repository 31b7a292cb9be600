"""Momentum and AutoPGD by hand, and on a trained network."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.attacks import APGD, MIFGSM, PGD
from minigrad.data import normalize, open_dataset
from minigrad.nn import functional as F
from models.reference import attacks as reference


class Hill(nn.Module):
    """Logits (0, -|x - top|^2): the loss of class 0 is largest at the top."""

    def __init__(self, top: float) -> None:
        super().__init__()
        self.top = top

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        height = -((x - self.top) ** 2).flatten(1).sum(1, keepdim=True)
        return mg.cat([height * 0, height], 1)


class Waves(nn.Module):
    """Logits (0, sum a sin(b x)): a loss of many hills."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        height = ((x * 9).sin() + 0.5 * (x * 23).cos()).flatten(1).sum(1, keepdim=True)
        return mg.cat([height * 0, height], 1)


UP: dict[str, Any] = {"target": "label", "direction": "ascend"}


def losses(model: nn.Module, x: mg.Tensor, labels: Any) -> np.ndarray:
    with mg.no_grad():
        return F.cross_entropy(model(x), mg.as_tensor(labels), reduction="none").numpy()


def test_checkpoints_are_the_papers() -> None:
    assert APGD(steps=100).checkpoints() == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize("steps", range(1, 130))
def test_checkpoints_without_rounding(steps: int) -> None:
    """ceil(p steps) with p as fractions: p = .7 of 10 steps is 7, not the 8 that 7.000000000000001 would give."""
    before, p, expected = Fraction(0), Fraction(22, 100), []
    while p <= 1:
        expected.append(ceil(p * steps))
        before, p = p, p + max(p - before - Fraction(3, 100), Fraction(6, 100))
    assert APGD(steps=steps).checkpoints() == reference.APGD(steps=steps).checkpoints() == expected


def test_the_first_steps_of_autopgd_by_hand() -> None:
    """Towards a top at .2, from 0 with epsilon .5: the first step, of 1, ends at the ball's edge, too far."""
    x = mg.zeros(1, 1, 1, 1, dtype=mg.float64)
    attack = APGD(steps=3, epsilon=0.5, **UP)
    assert attack.checkpoints()[:2] == [1, 2]
    at = [step.images.item() for step in attack.path(Hill(0.2), x, [0])]
    assert at[:2] == [0.0, 0.5]  # z = project(0 + 1)
    # At checkpoint 1 no step had helped: back to 0, the best, and half the size: z = .5, x = 0 + .75 .5 + .25 (0 - 0)
    assert at[2] == pytest.approx(0.375)


def test_autopgd_halves_its_steps_and_finds_the_top() -> None:
    x = mg.zeros(4, 1, 2, 2, dtype=mg.float64)
    labels = [0] * 4
    found = APGD(steps=60, epsilon=0.5, **UP)(Hill(0.1234), x, labels).numpy()
    fixed = PGD(steps=60, epsilon=0.5, alpha=0.1, **UP)(Hill(0.1234), x, labels).numpy()
    assert np.abs(found - 0.1234).max() < 1e-3 < np.abs(fixed - 0.1234).max()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("direction", ["ascend", "descend"])
def test_autopgd_ends_at_the_best_point_of_its_path(norm: Any, direction: Any) -> None:
    x = mg.tensor(np.random.default_rng(0).uniform(-1, 1, (9, 1, 2, 2)))
    labels = np.arange(9) % 2
    attack = APGD(norm=norm, steps=25, epsilon=0.6, target="label", direction=direction)
    steps = list(attack.path(Waves(), x, labels))
    sign = 1 if direction == "ascend" else -1
    best = np.max([sign * step.loss.numpy() for step in steps], axis=0)
    end = sign * losses(Waves(), steps[-1].moved, labels)
    assert (end >= best).all()
    assert (sign * steps[-1].loss.numpy() < best).any(), "no image had been at a better place: this shows nothing"


def test_momentum_remembers() -> None:
    """decay 0 is PGD; with more, v = decay v + g / mean |g|."""
    x = mg.tensor(np.random.default_rng(0).uniform(-1, 1, (5, 1, 3, 3)))
    labels = [0, 1, 0, 1, 0]
    options = UP | {"epsilon": 0.4, "alpha": 0.05, "steps": 8}
    plain = PGD(**options)(Waves(), x, labels).numpy()
    np.testing.assert_array_equal(MIFGSM(decay=0, **options)(Waves(), x, labels).numpy(), plain)
    v, at, moved_otherwise = 0.0, x.numpy(), False
    for step in MIFGSM(decay=0.9, **options).path(Waves(), x, labels):
        np.testing.assert_allclose(step.images.numpy(), at, atol=1e-12)
        g = step.gradient.numpy()
        v = 0.9 * v + g / np.abs(g).mean((1, 2, 3), keepdims=True)
        moved_otherwise |= bool((np.sign(v) != np.sign(g)).any())
        at = np.clip(at + 0.05 * np.sign(v), x.numpy() - 0.4, x.numpy() + 0.4)
    assert moved_otherwise


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, mg.Tensor, mg.Tensor]:
    """A small network after some steps on the embedded images, and images that it gets right mostly; all in float64."""
    mg.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 5 * 5, 10),
    ).double()  # fmt: skip
    data = open_dataset(None, "train", limit=640)
    images = np.stack([data.load(i, None) for i in range(len(data))])
    x, y = mg.tensor(normalize(images, data.mean, data.std)).double(), mg.tensor(data.labels)
    optimizer = mg.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(60):
        some = slice(step % 10 * 64, step % 10 * 64 + 64)
        loss = F.cross_entropy(model(x[some]), y[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.7
    return model, x[:64], y[:64]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_autopgd_is_no_weaker_than_pgd(trained: Any, norm: Any) -> None:
    """With PGD's steps at the usual 2.5 epsilon / steps, and at half and double of that."""
    model, x, y = trained
    epsilon = 0.3 if norm == "linf" else 3.0
    reached = losses(model, APGD(norm=norm, steps=20, epsilon=epsilon, **UP)(model, x, y), y).mean()
    for share in (1.25, 2.5, 5):
        pgd = PGD(norm=norm, steps=20, epsilon=epsilon, alpha=share * epsilon / 20, **UP)
        assert reached >= losses(model, pgd(model, x, y), y).mean()
    assert reached > losses(model, x, y).mean() + 1


def test_every_attack_beats_noise_of_its_size(trained: Any) -> None:
    model, x, y = trained
    for attack in (PGD(epsilon=0.2, alpha=0.05, **UP), MIFGSM(epsilon=0.2, alpha=0.05, **UP), APGD(epsilon=0.2, **UP)):
        assert (losses(model, attack(model, x, y), y) > losses(model, attack.noise(x), y)).mean() > 0.9
