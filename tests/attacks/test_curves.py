"""Many epsilons at once: the curve is the attack at each of them, and what counts as success is the criterion's to say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.attacks import APGD, FAB, PGD, Attack, AutoAttack, Confidence, Square, Targeted, TopK
from tests.attacks.pytorch import batch, both, tensors
from tests.attacks.test_autoattack import BALLS, data_for

UP: dict[str, Any] = {"target": "label", "direction": "ascend", "steps": 5}


@pytest.mark.parametrize("attack", [PGD(epsilon=0.2, alpha=0.1, **UP), APGD(**UP), Square(queries=20)])
def test_a_curve_is_the_attack_at_each_epsilon(attack: Attack) -> None:
    x, y, _ = tensors(data_for(BALLS[0], 10))[0]
    model, sizes = both()[0], [0.0, 0.1, 0.4]
    attack.generator.manual_seed(1)
    curve = attack(model, x, y, epsilons=sizes)
    attack.generator.manual_seed(1)
    for size, images, success in zip(sizes, curve.images, curve.success, strict=True):
        np.testing.assert_array_equal(images.numpy(), attack.at(size)(model, x, y).numpy())
        with mg.no_grad():
            assert (success == (model.eval()(images).argmax(1) != y).numpy()).all()
        model.train()
    assert curve.epsilons == sizes and curve.accuracy[0] == 1.0 > curve.accuracy[2]
    assert str(curve).splitlines()[0].split() == ["epsilon", "accuracy"] and "100.0%" in str(curve)


def test_at_keeps_steps_in_proportion() -> None:
    attack = PGD(epsilon=0.2, alpha=0.05)
    assert attack.at(0.1) == PGD(epsilon=0.1, alpha=0.025) and attack.at(0.2) == attack
    assert attack.at((0.1, 0.4)) == PGD(epsilon=(0.1, 0.4), alpha=(0.025, 0.1))
    assert PGD(epsilon=(0.1, 0.2), alpha=0.1).at(0.2).alpha == pytest.approx((0.2, 0.1))
    assert PGD(epsilon=0, alpha=0.1).at(0.3) == PGD(epsilon=0.3, alpha=0.1)
    assert Square(epsilon=0.2).at(0.1).epsilon == 0.1 and AutoAttack().at(0.3).epsilon == 0.3


def test_the_smallest_change_is_searched_once() -> None:
    x, y, _ = tensors(data_for(BALLS[0], 8))[0]
    attack = FAB(steps=10)
    curve = attack(both()[0], x, y, epsilons=[0.05, 0.5])
    found, distance = attack.at(0.5).nearest(both()[0], x, y)
    for size, images, success in zip((0.05, 0.5), curve.images, curve.success, strict=True):
        near = (distance <= size).numpy()
        assert (success == near).all()
        np.testing.assert_array_equal(images.numpy(), np.where(near[:, None, None, None], found.numpy(), x.numpy()))
    assert 0 < curve.success[0].sum() < curve.success[1].sum()


def test_criteria_of_a_curve() -> None:
    x, y, t = tensors(data_for(BALLS[0], 12))[0]
    attack = PGD(epsilon=0.3, alpha=0.1, **UP)
    plain, sure, top = (
        attack(both()[0], x, y, t, epsilons=[0.3], criterion=c).success.sum() for c in (None, Confidence(0.6), TopK(3))
    )
    assert plain > sure and plain > top
    towards = PGD(epsilon=0.3, alpha=0.1, target="given", steps=5)
    assert 0 < towards(both()[0], x, targets=t, epsilons=[0.3], criterion=Targeted()).success.sum()


def test_what_a_curve_refuses() -> None:
    (x, y, _), _ = tensors(batch(3))
    attack, model = PGD(**UP), both()[0]
    for options, message in (
        ({"epsilons": []}, "epsilons must be one number at least"),
        ({"epsilons": [-1]}, "epsilons must be finite and at least 0, got -1"),
        ({"criterion": TopK(2)}, "a criterion judges a curve: give epsilons, too"),
        ({"epsilons": [0.1], "criterion": "wrong"}, "criterion must be one of"),
        ({"epsilons": [0.1], "criterion": Targeted()}, "this attack needs targets"),
    ):
        with pytest.raises(ValueError, match=message):
            attack(model, x, y, **options)
