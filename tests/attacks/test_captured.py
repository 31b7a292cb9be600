"""attacks.captured(): gradient steps as CUDA graphs have the numbers of the steps as they are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import attacks, nn
from tests import emulator

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(emulator.compiler() is None, reason="no g++ to emulate CUDA with")]
ATTACKS = {
    "handout": attacks.preset("handout", steps=6),
    "label": attacks.PGD(steps=6, target="label", direction="ascend", epsilon=0.2, alpha=0.05),
    "once": attacks.PGD(steps=6, retarget=False, loss="cw"),
    "apgd": attacks.APGD(steps=6, target="label", direction="ascend"),
}


def network() -> Any:
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
    return model.to("gpu").eval()


def batch(count: int = 3) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    images = random.standard_normal((count, 1, 6, 6)).astype(np.float32)
    return tuple(minigrad.from_numpy(x).to("gpu") for x in (images, np.arange(count) % 4))


@pytest.mark.parametrize("name", ATTACKS)
def test_the_numbers_are_those_of_the_steps_as_they_are(name: str) -> None:
    model, (images, labels) = network(), batch()
    plain = ATTACKS[name](model, images, labels).numpy(force=True)
    with attacks.captured(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            np.testing.assert_array_equal(ATTACKS[name](model, images, labels).numpy(force=True), plain)
            if emulator.real_cupy() is None:
                with emulator.counted() as launches:
                    steps = list(ATTACKS[name].path(model, images, labels))
                assert emulator.totals(launches)["graph"] >= 1
        assert len({step.gradient.array.data.ptr for step in steps}) == 6  # none is overwritten


def test_weights_may_change_and_be_replaced() -> None:
    model, (images, labels) = network(), batch()
    attack = ATTACKS["label"]
    with attacks.captured():
        attack(model, images, labels)
        with minigrad.no_grad():
            model[0].weight.mul_(-1.5)
        changed = attack(model, images, labels).numpy(force=True)
        model[4].weight = nn.Parameter(model[4].weight.detach() * -1)
        replaced = attack(model, images, labels).numpy(force=True)
    np.testing.assert_array_equal(attack(model, images, labels).numpy(force=True), replaced)
    model[4].weight = nn.Parameter(model[4].weight.detach() * -1)
    np.testing.assert_array_equal(attack(model, images, labels).numpy(force=True), changed)
    assert (changed != replaced).any()


def test_another_shape_and_other_models_run_as_they_are() -> None:
    model, attack = network(), ATTACKS["label"]
    with attacks.captured():
        attack(model, *batch())
        with pytest.warns(RuntimeWarning, match=r"\[2, 1, 6, 6\], \[2\] is not captured"):
            fewer = attack(model, *batch(2)).numpy(force=True)
        function = attack(lambda x: model(x), *batch()).numpy(force=True)
    np.testing.assert_array_equal(attack(model, *batch(2)).numpy(force=True), fewer)
    np.testing.assert_array_equal(attack(model, *batch()).numpy(force=True), function)
