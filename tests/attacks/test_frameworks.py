"""The attacks of both frameworks take the same steps, step by step: every attack, norm, target, unit, and several networks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
import models
from minigrad import attacks
from models.reference import attacks as reference
from tests.attacks.pytorch import PIXELS, batch, both, make, same_steps, tensors

pytestmark = pytest.mark.filterwarnings(
    "error::minigrad.attacks.AttackWarning"
)  # gradients of zero would prove nothing

KINDS = ["PGD", "MIFGSM", "APGD"]
BALLS: list[dict[str, Any]] = [
    {"norm": "linf", "epsilon": 0.05, "alpha": 0.02},
    {"norm": "l2", "epsilon": 0.5, "alpha": 0.2},
    {"norm": "linf", "epsilon": 0.05, "alpha": 0.02, "clip": (-1.5, 1.5)},
    {"norm": "l2", "epsilon": 0.5, "alpha": 0.2, "clip": (-1.5, 1.5)},
    {"norm": "linf", "epsilon": 8 / 255, "alpha": 3 / 255, "clip": (0.0, 1.0), **PIXELS},
    {"norm": "l2", "epsilon": 0.3, "alpha": 0.1, "clip": (0.0, 1.0), **PIXELS},
    {"norm": "l2", "epsilon": 0.3, "alpha": 0.1, **PIXELS},
]
AIMS = [(t, d) for t in ("least-likely", "label", "most-likely", "given") for d in ("descend", "ascend")]
NETWORKS: dict[str, dict[str, Any]] = {
    "simplenet": {},
    "simplenet-bn": {},
    "resnet18": {},
    "vit": {
        "image_size": 32,
        "patch_size": 8,
        "dim": 24,
        "depth": 2,
        "heads": 2,
        "window_size": 2,
        "window_blocks": (0,),
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "ball", BALLS, ids=lambda b: "-".join(k if k in ("clip", "units") else str(v) for k, v in b.items())
)
@pytest.mark.parametrize("random_start", [False, True])
def test_norms_units_and_boxes(kind: str, ball: dict[str, Any], random_start: bool, device: str) -> None:
    options = ball | {"random_start": random_start, "target": "label", "direction": "ascend", "steps": 6}
    data = batch()
    if ball.get("clip") == (0.0, 1.0):  # the images' pixels have to be from 0 to 1
        data = (data[0] / 2, *data[1:])
    same_steps(*make(kind, **options), both(), data, device)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("target", "direction"), AIMS)
def test_targets_and_directions(kind: str, target: str, direction: str) -> None:
    steps = same_steps(*make(kind, target=target, direction=direction, alpha=0.05), both(), batch(5))
    gain = (steps[-1].loss - steps[0].loss).numpy().mean()
    same_classes = (steps[-1].classes == steps[0].classes).all().item()
    assert not same_classes or (gain > 0) == (direction == "ascend")


@pytest.mark.parametrize("name", attacks.PRESETS)
@pytest.mark.parametrize("retarget", [False, True])
def test_presets(name: str, retarget: bool) -> None:
    pair = [track.preset(name, retarget=retarget, alpha=0.03) for track in (attacks, reference)]
    same_steps(*pair, both(), batch(4))


@pytest.mark.parametrize("size", [(12, 10), (17, 9), (8, 8)])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_batches_and_sizes(count: int, size: tuple[int, int]) -> None:
    same_steps(*make("PGD", steps=4), both(), batch(count, size))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("kind", "norm"), [("PGD", "linf"), ("APGD", "l2")])
def test_networks(name: str, kind: str, norm: str) -> None:
    pair = make(kind, norm=norm, epsilon=0.1 if norm == "linf" else 1.0, alpha=0.03, steps=5)
    same_steps(*pair, both(name, **NETWORKS[name]), batch(2, (32, 32)))


def test_every_network_is_attacked_here() -> None:
    assert set(NETWORKS) == set(models.MODELS)


def test_fgsm() -> None:
    for norm in ("linf", "l2"):
        same_steps(*make("FGSM", epsilon=0.2, norm=norm), both(), batch())


def test_a_long_autopgd(device: str) -> None:
    """Long enough for several halvings: what is remembered at checkpoints counts."""
    pair = make("APGD", steps=50, target="label", direction="ascend", epsilon=0.4, random_start=True)
    same_steps(*pair, both(), batch(6), device)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["label", "given"])
@pytest.mark.parametrize("direction", ["descend", "ascend"])
def test_restarts(kind: str, target: str, direction: str) -> None:
    options = {"target": target, "direction": direction, "random_start": True, "restarts": 4, "steps": 3}
    ours, theirs = make(kind, epsilon=0.5, alpha=0.1, **options)
    networks, (x, y) = both(), tensors(batch(6))
    found, expected = ours(networks[0], *x).numpy(), theirs(networks[1], *y).numpy()
    assert np.abs(found - expected).max() <= 1e-10


def test_momentum_and_autopgd_have_settings_of_their_own() -> None:
    same_steps(*make("MIFGSM", decay=0.3), both(), batch())
    same_steps(*make("APGD", steps=30, rho=0.4, momentum=0.5, epsilon=0.3), both(), batch())


def hill(framework: Any) -> Any:
    """Logits (0, -|x - .01|^2): images of zeros are nearly at the top, and large steps only lead away from it."""

    class Hill(framework.nn.Module):
        def forward(self, x: Any) -> Any:
            height = -((x - 0.01) ** 2).flatten(1).sum(1, keepdim=True)
            return framework.cat([height * 0, height], 1)

    return Hill()


@pytest.mark.parametrize("rho", [0.0, 0.75])
def test_autopgd_that_has_just_halved_its_steps_waits_for_another_checkpoint(rho: float) -> None:
    """rho = 0: only where nothing got better since the last checkpoint, and the step was not halved there."""
    data = np.zeros((2, 1, 1, 3)), np.zeros(2, np.int64), np.zeros(2, np.int64)
    pair = make("APGD", steps=100, epsilon=0.5, rho=rho, target="label", direction="ascend")
    same_steps(*pair, (hill(minigrad), hill(torch)), data)


@pytest.mark.parametrize("kind", KINDS)
def test_fields_and_defaults_are_the_same(kind: str) -> None:
    listed = [
        [(f.name, f.default) for f in fields(getattr(track, kind)) if f.name not in ("loss", "generator")]
        for track in (attacks, reference)
    ]
    assert listed[0] == listed[1]


def test_in_float32_the_paths_stay_together_but_for_signs_of_what_is_nearly_zero() -> None:
    """One step: pixels where the signs differ have gradients within float32's rounding of zero."""
    networks, data = both("simplenet", np.float32), batch(4, (32, 32), np.float32)
    x, y = tensors(data)
    ours, theirs = make("PGD", alpha=0.01, steps=1)
    (a,), (b,) = ours.path(networks[0], *x), theirs.path(networks[1], *y)
    apart = np.abs(a.moved.numpy() - b.moved.numpy()) > 1e-5
    assert np.abs(b.gradient.numpy()[apart]).max(initial=0) <= 1e-5 * np.abs(b.gradient.numpy()).max()
    assert apart.mean() < 1e-3


def test_the_twin_leaves_its_model_alone() -> None:
    _, theirs = both()
    before = {key: value.clone() for key, value in theirs.state_dict().items()}
    next(theirs.parameters()).requires_grad_(False)
    theirs[1].eval()
    reference.PGD()(theirs, *tensors(batch())[1])
    assert all(torch.equal(before[key], value) for key, value in theirs.state_dict().items())
    assert all(p.grad is None for p in theirs.parameters())
    assert [p.requires_grad for p in theirs.parameters()] == [False] + [True] * (len(list(theirs.parameters())) - 1)
    assert [m.training for m in theirs] == [i != 1 for i in range(len(theirs))]
    theirs.train().requires_grad_(True)
    assert minigrad.Generator is reference.Generator
