"""Square, FAB, targeted APGD and AutoAttack: step by step as in PyTorch, by hand where that is possible, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.attacks import APGDT, FAB, PGD, AutoAttack, Square, Targeted, TopK
from minigrad.attacks.hyperplane import level, project_onto
from minigrad.attacks.square import pyramids
from models.reference import attacks as reference
from models.reference.attacks.square import shape_of
from tests.attacks.pytorch import CLASSES, PIXELS, batch, both, make, same_steps, tensors

BALLS: list[dict[str, Any]] = [
    {"norm": "linf", "epsilon": 0.1},
    {"norm": "l2", "epsilon": 0.8, "clip": (-1.5, 1.5)},
    {"norm": "linf", "epsilon": 0.08, "clip": (0.0, 1.0), **PIXELS},
    {"norm": "l2", "epsilon": 1.2, "clip": (0.0, 1.0), **PIXELS},
]


def data_for(ball: dict[str, Any], count: int = 6) -> tuple[np.ndarray, ...]:
    """Images that fit the box, with the labels that the network gives them: something to attack."""
    x, _, _ = batch(count)
    x = x / 2 if ball.get("clip") == (0.0, 1.0) else x
    with torch.no_grad():
        logits = both()[1].eval()(torch.from_numpy(x))
    both()[1].train()
    order = logits.argsort(1, descending=True).numpy()
    return x, order[:, 0].copy(), order[:, 2].copy()


def compared(ours: Any, theirs: Any, data: tuple[np.ndarray, ...], fields: tuple[str, ...]) -> list[Any]:
    """The steps of both, the same in these fields to 1e-9."""
    (x, y), networks = tensors(data), both()
    pairs = list(zip(ours.path(networks[0], *x), theirs.path(networks[1], *y), strict=True))
    for a, b in pairs:
        for name in fields:
            found, wanted = getattr(a, name).numpy(), getattr(b, name).numpy()
            finite = np.isfinite(wanted)
            assert (finite == np.isfinite(found)).all()
            assert np.abs(found[finite] - wanted[finite]).max(initial=0) < 1e-9, f"{name} of step {a.index}"
    return [a for a, _ in pairs]


@pytest.mark.parametrize("ball", BALLS)
@pytest.mark.parametrize("criterion", [None, Targeted(), TopK(2)])
def test_square(ball: dict[str, Any], criterion: Any) -> None:
    options = ball | {"queries": 60} | ({"criterion": criterion} if criterion else {})
    data = data_for(ball)
    steps = compared(*make("Square", **options), data, ("images", "margin"))
    margins = np.array([step.margin.numpy() for step in steps])
    assert (np.diff(margins, axis=0) <= 0).all() and (margins[-1] < margins[0]).any()
    attack = make("Square", **options)[0]
    x = tensors(data)[0][0]
    assert attack.space(x).size(steps[-1].images).max().item() <= ball["epsilon"] * (1 + 1e-9)


@pytest.mark.parametrize("ball", BALLS)
def test_square_ends_alike(ball: dict[str, Any]) -> None:
    """Images that have succeeded leave the batch, and the draws, in both."""
    (x, y), networks = tensors(data_for(ball, 12)), both()
    ours, theirs = make("Square", queries=80, **ball)
    found, wrong = ours.worst(networks[0], *x)
    expected, fooled = theirs.worst(networks[1], *y)
    assert np.abs(found.numpy() - expected.numpy()).max() < 1e-9
    assert wrong.numpy().tolist() == fooled.tolist() and wrong.any()


def test_the_shapes_and_sizes_of_squares() -> None:
    for side in (1, 2, 3, 5, 8, 25):
        np.testing.assert_allclose(pyramids(side), shape_of(side), atol=1e-12)
    sides = [Square().side(index, 28, 28) for index in (0, 10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)]
    assert sides == [25, 25, 18, 13, 9, 6, 4, 3, 2, 2, 1]
    assert Square(norm="l2").side(9000, 28, 28) == 3 and Square(norm="l2").side(0, 6, 9) == 6


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("boxed", [True, False])
def test_nearest_points_of_a_plane_within_a_box(norm: str, boxed: bool) -> None:
    """Against bisection; and for some planes the box does not reach them: then as near as it allows."""
    random = np.random.default_rng(0)
    x, w = random.uniform(0, 1, (40, 30)), random.normal(size=(40, 30)) * (random.random((40, 30)) < 0.8)
    b = (w * x).sum(1) + random.normal(size=40) * 8
    bounds = (np.zeros_like(x), np.ones_like(x)) if boxed else (None, None)
    far = [np.full_like(x, v) if bound is None else bound for v, bound in zip((-1e12, 1e12), bounds, strict=True)]
    given = [None if bound is None else mg.tensor(bound) for bound in bounds]
    found = project_onto(mg.tensor(x), mg.tensor(w), mg.tensor(b), *given, norm).numpy()
    wanted = reference.project_onto(*map(torch.from_numpy, (x, w, b, *far)), norm).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    on = np.isclose((w * (x + found)).sum(1), b)
    assert on.all() if not boxed else 5 < on.sum() < 40


def test_nearest_points_by_hand() -> None:
    x, w = mg.tensor([[0.0, 0.0]]), mg.tensor([[3.0, 4.0]])
    for norm, wanted in (("linf", [1, 1]), ("l2", [0.84, 1.12]), ("l1", [0, 1.75])):
        np.testing.assert_allclose(project_onto(x, w, mg.tensor([7.0]), None, None, norm).numpy()[0], wanted, rtol=1e-6)
    low, high = mg.tensor([[0.0, 0.0]]), mg.tensor([[3.0, 0.25]])
    for norm in ("linf", "l2", "l1"):  # the box leaves 6 of 7 to the first
        np.testing.assert_allclose(
            project_onto(x, w, mg.tensor([7.0]), low, high, norm).numpy()[0], [2, 0.25], rtol=1e-6
        )
    assert level(mg.tensor([[1.0, 2.0]]), mg.tensor([[1.0, 2.0]]), mg.tensor([9.0])).item() >= 2


@pytest.mark.parametrize("ball", [*BALLS, {"norm": "l1", "epsilon": 3.0, "clip": (-1.5, 1.5)}])
@pytest.mark.parametrize("targeted", [True, False])
def test_fab(ball: dict[str, Any], targeted: bool) -> None:
    steps = compared(
        *make("FAB", targeted=targeted, steps=8, **ball), data_for(ball), ("images", "moved", "nearest", "size")
    )
    sizes = np.array([step.size.numpy() for step in steps])
    assert np.isfinite(sizes[-1]).sum() >= 3 and (sizes[-1] <= sizes[0]).all()


@pytest.mark.parametrize("targeted", [True, False])
@pytest.mark.parametrize("ball", BALLS[1:3])
def test_fab_with_restarts(targeted: bool, ball: dict[str, Any]) -> None:
    (x, y), networks = tensors(data_for(ball, 8)), both()
    ours, theirs = make("FAB", targeted=targeted, steps=5, restarts=3, classes=2, **ball)
    found, expected = ours.nearest(networks[0], *x[:2]), theirs.nearest(networks[1], *y[:2])
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-9)
    with mg.no_grad():
        answers = networks[0].eval()(found[0]).argmax(1).numpy()
    networks[0].train()
    near = np.isfinite(found[1].numpy())
    assert (answers[near] != x[1].numpy()[near]).all() and near.sum() > 4


@pytest.mark.parametrize("ball", BALLS)
def test_targeted_apgd(ball: dict[str, Any]) -> None:
    data = data_for(ball)
    same_steps(*make("APGDT", steps=8, **ball), both(), data)
    (x, y), networks = tensors(data), both()
    ours, theirs = make("APGDT", steps=8, classes=3, **ball)
    (found, wrong), (expected, fooled) = ours.worst(networks[0], *x[:2]), theirs.worst(networks[1], *y[:2])
    assert np.abs(found.numpy() - expected.numpy()).max() < 1e-9 and wrong.numpy().tolist() == fooled.tolist()


@pytest.mark.parametrize(
    ("version", "ball"), [*(("standard", ball) for ball in BALLS), *(("plus", ball) for ball in BALLS[::3])]
)
def test_autoattack(version: str, ball: dict[str, Any]) -> None:
    """The same images fall in the same stages, for the same number of queries but those that minigrad saves."""
    data = data_for(ball, 16)
    (x, y), networks = tensors(data), both()
    small = ball | {
        "epsilon": ball["epsilon"] / (3 if ball["norm"] == "linf" else 6),
        "steps": 6,
        "queries": 30,
        "classes": 2,
        "batch_size": 10,
    }
    ours, theirs = make("AutoAttack", version=version, **small)
    found, expected = ours.run(networks[0], *x[:2]), theirs.run(networks[1], *y[:2])
    assert found.images is not None and expected.images is not None
    assert np.abs(found.images.numpy() - expected.images.numpy()).max() < 1e-9
    for a, b in zip(found.stages, expected.stages, strict=True):
        assert (a.name, a.attacked, a.right) == (b.name, b.attacked, b.right)
        assert a.forward <= b.forward and a.backward <= b.backward
    assert found.accuracy == found.stages[-1].right / 16 and 0 < found.right < 16
    with mg.no_grad():
        right = networks[0].eval()(found.images).argmax(1).numpy() == data[1]
    networks[0].train()
    assert right.sum() == found.right
    assert ours.space(x[0]).size(found.images).max().item() <= small["epsilon"] * (1 + 1e-9)
    assert all(p.grad is None for p in networks[0].parameters()) and networks[0].training


def test_stages_of_ones_own_and_the_table() -> None:
    x, y, _ = tensors(data_for(BALLS[0], 10))[0]
    weak, strong = (PGD(target="label", direction="ascend", steps=4, epsilon=e, alpha=e / 2) for e in (1e-9, 0.4))
    result = AutoAttack(stages={"weak": weak, "strong": strong}).run(both()[0], x, y)
    assert [(s.name, s.attacked) for s in result.stages] == [("clean", 10), ("weak", 10), ("strong", 10)]
    assert [s.right for s in result.stages][:2] == [10, 10] and result.right < 10
    assert result.stages[1].forward == 10 * 4 + 10 + 10 and result.stages[1].backward == 10 * 4
    twice = result + result
    assert twice.count == 20 and twice.right == 2 * result.right and twice.images is None
    lines = str(twice).splitlines()
    assert len(lines) == 4 and lines[0].split() == ["stage", "attacked", "right", "accuracy", "forward", "backward"]
    assert twice.rows()[1] == {
        "name": "weak",
        "attacked": 20,
        "right": 20,
        "forward": 120,
        "backward": 80,
        "accuracy": 1.0,
    }


def test_no_images_and_none_right() -> None:
    x, y, _ = tensors(data_for(BALLS[0], 4))[0]
    attack = AutoAttack(steps=2, queries=2)
    none = attack.run(both()[0], x[:0], y[:0])
    assert none.count == 0 and none.accuracy == 0.0
    wrong = attack.run(both()[0], x, (y + 1) % CLASSES)
    assert wrong.right == 0 and [s.forward for s in wrong.stages] == [4, 0, 0, 0, 0]
    assert wrong.images is not None and (wrong.images == x).all()


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Square(queries=0), "queries must be an integer and at least 1, got 0"),
        (lambda: Square(p=0), "p must be above 0 and at most 1, got 0"),
        (lambda: Square(criterion="wrong"), r"criterion must be one of Misclassified\(\)"),
        (lambda: Square(norm="l1"), "norm must be one of linf, l2, got 'l1'"),
        (lambda: FAB(steps=0), "steps must be an integer and at least 1, got 0"),
        (lambda: FAB(eta=0.5), "eta must be at least 1, got 0.5"),
        (lambda: FAB(beta=1.5), "beta must be from 0 to 1, got 1.5"),
        (lambda: FAB(epsilon=(0.1, 0.2)), "epsilon must be one, got"),
        (lambda: FAB(epsilon=-1), "epsilon must be finite and at least 0, got -1"),
        (lambda: APGDT(classes=0), "classes must be an integer and at least 1, got 0"),
        (lambda: APGDT(target="label"), "aim at another class than the label"),
        (lambda: AutoAttack(version="full"), "version must be one of standard, plus, got 'full'"),
        (lambda: AutoAttack(epsilon=(0.1, 0.2)), "epsilon must be one, got"),
        (lambda: AutoAttack(stages={}), "stages must be attacks by name, one at least"),
        (lambda: AutoAttack(batch_size=0), "batch_size must be an integer and at least 1, got 0"),
        (lambda: AutoAttack(units="pixel"), "pixel units need the mean and std"),
    ],
)
def test_settings(make_it: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_it()


@pytest.mark.parametrize("attack", [Square(queries=2), FAB(steps=1), APGDT(steps=1), AutoAttack(steps=1, queries=2)])
def test_images_and_labels(attack: Any) -> None:
    (x, y, _), _ = tensors(batch(3))
    with pytest.raises(ValueError, match="needs labels"):
        attack(both()[0], x)
    for labels, message in (
        ([0, 1], "labels must be 3 integers"),
        ([0, 1, CLASSES], "labels must be classes from 0 to 4"),
    ):
        with pytest.raises(ValueError, match=message):
            attack(both()[0], x, labels)
    with pytest.raises(ValueError, match="images must be a floating-point Tensor"):
        attack(both()[0], np.zeros((3, 3, 8, 8)), y)
    with pytest.raises(ValueError, match="is the batch axis missing"):
        attack(both()[0], x[0], y)
    few = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 10, 3)).double()
    if isinstance(attack, (APGDT, AutoAttack)):
        with mg.no_grad():
            right = few(x).argmax(1)
        with pytest.raises(ValueError, match="needs at least 4 classes, the model has 3"):
            AutoAttack(steps=1, queries=2, epsilon=0).run(few, x, right)
