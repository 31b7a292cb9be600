"""Settings as people bring them: numbers of any library, a number for each channel, and images without a batch axis."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import attacks, nn
from minigrad.attacks import APGD, FGSM, MIFGSM, PGD, audit, preset
from minigrad.attribution import smooth_grad
from models.reference import attacks as reference
from tests.attacks.pytorch import PIXELS, batch, both, make, same_steps, tensors

EPSILON, ALPHA = (0.2, 0.05, 0.1), (0.05, 0.01, 0.03)
KINDS = ["PGD", "MIFGSM", "APGD"]

# -- numbers of any library

WHOLE: list[Callable[[int], Any]] = [
    np.int64, np.uint8, lambda n: np.array(n), lambda n: mg.tensor(n), lambda n: torch.tensor(n),
]  # fmt: skip
REAL: list[Callable[[float], Any]] = [
    np.float64, np.float32, np.array, lambda v: np.array([v]), mg.tensor, lambda v: mg.tensor(v, requires_grad=True),
    torch.tensor, lambda v: torch.tensor([[v]]),
]  # fmt: skip


@pytest.mark.parametrize("of", range(len(WHOLE)))
@pytest.mark.parametrize("kind", [PGD, MIFGSM, APGD, lambda **options: preset("untargeted", **options)])
def test_whole_numbers(kind: Any, of: int) -> None:
    attack = kind(steps=WHOLE[of](3), restarts=WHOLE[of](2), random_start=True)
    plain = kind(steps=3, restarts=2, random_start=True)
    assert attack == plain and repr(attack) == repr(plain) and type(attack.steps) is type(attack.restarts) is int
    images, labels, _ = tensors(batch(2))[0]
    np.testing.assert_array_equal(*[a(both()[0], images, labels).numpy() for a in (attack, plain)])


@pytest.mark.parametrize("of", range(len(REAL)))
def test_real_numbers(of: int) -> None:
    number = REAL[of]
    for kind, names in ((PGD, ("alpha", "epsilon")), (MIFGSM, ("decay",)), (APGD, ("rho", "momentum", "epsilon"))):
        attack, plain = kind(**{name: number(0.25) for name in names}), kind(**dict.fromkeys(names, 0.25))
        assert attack == plain and repr(attack) == repr(plain)
    assert FGSM(number(0.25)) == FGSM(0.25)
    images, labels, _ = tensors(batch(2, dtype=np.float32))[0]
    assert (
        MIFGSM(alpha=number(0.25), decay=number(0.5), steps=2)(both(dtype=np.float32)[0], images, labels).dtype
        == mg.float32
    )


@pytest.mark.parametrize("array", [np.array, mg.tensor, torch.tensor, list, lambda v: np.array(v, np.float32)])
def test_pixel_units_of_any_library(array: Any) -> None:
    options = PIXELS | {
        "mean": array(PIXELS["mean"]),
        "std": array(PIXELS["std"]),
        "clip": tuple(map(np.float32, (0, 1))),
    }
    images, labels, _ = tensors(batch(2, dtype=np.float32))[0]
    images = (images * 0.2).clamp(-1, 1)
    found, plain = (
        PGD(epsilon=0.03, **o)(both(dtype=np.float32)[0], images, labels) for o in (options, PIXELS | {"clip": (0, 1)})
    )
    assert np.abs(found.numpy() - plain.numpy()).max() < 1e-6
    assert hash(PGD(**options)) == hash(PGD(**options))


@pytest.mark.parametrize(
    "steps", [2.0, np.float64(3), "3", None, [3], np.array([3, 4]), mg.tensor(2.5), 0, np.int64(-1)]
)
def test_what_is_no_count(steps: Any) -> None:
    for name in ("steps", "restarts"):
        with pytest.raises(ValueError, match=f"{name} must be an integer and at least 1, got {re.escape(str(steps))}"):
            PGD(**{name: steps})


def test_samples_of_a_map() -> None:
    images = tensors(batch(1))[0][0]
    found = smooth_grad(both()[0], images, samples=np.int64(2), noise=np.float32(0.25))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.numpy(), smooth_grad(both()[0], images, samples=2, noise=0.25).numpy())
    with pytest.raises(ValueError, match="samples must be an integer and at least 1, got 2.0"):
        smooth_grad(both()[0], images, samples=2.0)  # type: ignore[arg-type]


# -- a number for each channel


@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("units", [{}, PIXELS, PIXELS | {"clip": (-0.5, 1.5)}], ids=["normalised", "pixel", "clip"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_tracks_step_alike(kind: str, units: dict[str, Any], random_start: bool) -> None:
    options = {"steps": 12, "target": "label", "direction": "ascend", "random_start": random_start, **units}
    ours, theirs = make(kind, epsilon=EPSILON, alpha=ALPHA, **options)
    data = batch(4)
    *_, last = same_steps(ours, theirs, both(), data)
    away = np.abs(last.moved.numpy() - data[0]).max((0, 2, 3))
    reach = np.array(EPSILON) / (np.array(PIXELS["std"]) if units else 1)
    assert (away <= reach * (1 + 1e-12)).all() and (away >= 0.99 * reach).sum() >= 2, (
        "each channel has a bound of its own"
    )
    assert (ours.space(tensors(data)[0][0]).project(last.moved).numpy() == last.moved.numpy()).all()


@pytest.mark.parametrize("kind", KINDS)
def test_equal_numbers_are_one_number(kind: str) -> None:
    x, y, _ = tensors(batch(3))[0]
    options = {"steps": 8, "random_start": True, "target": "label", "direction": "ascend"}
    one, three = (make(kind, epsilon=e, alpha=a, **options)[0] for e, a in ((0.1, 0.02), ((0.1,) * 3, (0.02,) * 3)))
    np.testing.assert_array_equal(one(both()[0], x, y).numpy(), three(both()[0], x, y).numpy())


def test_by_hand() -> None:
    """A loss that grows with every number: one step of alpha, then epsilon is as far as it goes; the random start fills the box."""

    class Sums(nn.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            total = x.flatten(1).sum(1, keepdim=True)
            return mg.cat([total * 0, total], 1)

    x, y = mg.zeros((2, 3, 2, 2), dtype=mg.float64), mg.tensor([0, 0])
    steps = list(PGD(3, ALPHA, (0.06, 1.0, 0.05), target="label", direction="ascend").path(Sums(), x, y))
    for step, expected in zip(steps, ([0.05, 0.01, 0.03], [0.06, 0.02, 0.05], [0.06, 0.03, 0.05]), strict=True):
        np.testing.assert_allclose(step.moved.numpy(), np.reshape(expected, (1, 3, 1, 1)) + 0 * x.numpy(), rtol=1e-12)
    np.testing.assert_allclose(FGSM(EPSILON)(Sums(), x, y).numpy()[0, :, 0, 0], EPSILON, rtol=1e-12)
    many = mg.zeros((300, 3, 2, 2), dtype=mg.float64)
    drawn = np.abs(PGD(epsilon=EPSILON).noise(many).numpy()).max((0, 2, 3))
    assert (drawn <= EPSILON).all() and (drawn >= 0.98 * np.array(EPSILON)).all()


@pytest.mark.parametrize(
    "form",
    [
        tuple, list, np.array, mg.tensor, torch.tensor, lambda v: [mg.tensor(x) for x in v], lambda v: np.reshape(v, (3, 1, 1)),
        lambda v: mg.tensor(v).reshape(1, 3, 1, 1), lambda v: torch.tensor(v).reshape(3, 1, 1),
    ],
)  # fmt: skip
def test_forms(form: Any) -> None:
    """Whatever they come as, kept as numbers; as float32's where they were those."""
    attack = PGD(epsilon=form(EPSILON), alpha=form(ALPHA))
    exact = PGD(epsilon=EPSILON, alpha=ALPHA)
    assert isinstance(attack.epsilon, tuple) and np.abs(np.subtract(attack.epsilon, EPSILON)).max() < 1e-8
    assert {type(value) for value in attack.epsilon} == {float} and hash(attack) == hash(replace(attack))
    x, y, _ = tensors(batch(2))[0]
    assert np.abs(attack(both()[0], x, y).numpy() - exact(both()[0], x, y).numpy()).max() < 1e-7


@pytest.mark.parametrize("name", ["epsilon", "alpha"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((0.1, -0.2, 0.3), r"{} must be finite and at least 0, got \(0.1, -0.2, 0.3\)"),
        ([0.1, float("nan"), 0.3], r"{} must be finite and at least 0, got \(0.1, nan, 0.3\)"),
        (np.array([0.1, np.inf]), r"{} must be finite and at least 0, got \(0.1, inf\)"),
        ((), r"{} must be a number, or one for each channel, of shape \(C,\), .*: got the shape \(0,\)"),
        (np.full((4, 1, 1, 1), 0.1), r"{} must be a number, or one for each channel, .*: got the shape \(4, 1, 1, 1\)"),
        (np.full((2, 3), 0.1), r"{} must be a number, or one for each channel, .*: got the shape \(2, 3\)"),
        (np.full((3, 2, 2), 0.1), r"{} must be a number, or one for each channel, .*: got the shape \(3, 2, 2\)"),
        ("0.1", r"{} must be a number, or one for each channel, got '0.1'"),
        (None, r"{} must be a number, or one for each channel, got None"),
        ([0.1, "0.2"], r"{} must be a number, or one for each channel, got \[0.1, '0.2'\]"),
        ([[0.1], [0.2, 0.3]], r"{} must be a number, or one for each channel, got \[\[0.1\], \[0.2, 0.3\]\]"),
    ],
)
def test_what_is_no_size(name: str, value: Any, message: str) -> None:
    for kind in (PGD, MIFGSM, APGD):
        with pytest.raises(ValueError, match=message.format(name)):
            kind(**{name: value})


def test_other_channels_than_the_images() -> None:
    x, y, _ = tensors(batch(2))[0]
    for options in ({"epsilon": (0.1, 0.2)}, {"alpha": (0.1, 0.2)}, {"epsilon": (0.1, 0.2), **PIXELS}):
        (name,) = options.keys() & {"epsilon", "alpha"}
        for kind in (PGD, MIFGSM, APGD):
            if (kind, name) == (APGD, "alpha"):  # which it does not use
                continue
            with pytest.raises(
                ValueError, match=rf"{name} has 2 channels, the images are float64\[2, 3, 12, 10\] on cpu"
            ):
                kind(**options)(both()[0], x, y)


def test_a_ball_of_one_radius() -> None:
    for options in ({"epsilon": EPSILON}, {"alpha": ALPHA}):
        with pytest.raises(ValueError, match='a number for each channel belongs to the norm "linf"'):
            PGD(norm="l2", **options)


def test_the_audit_knows_each_channel() -> None:
    images, labels, _ = batch(60, dtype=np.float32)
    model = both(dtype=np.float32)[0]
    with mg.no_grad():
        labels = model.eval()(mg.tensor(images)).argmax(1).numpy()  # all right, so that there is something to attack
    model.train()
    attack = preset("untargeted", epsilon=EPSILON, alpha=ALPHA)
    report = audit(model, attack, [(images, labels)])
    assert str(report).splitlines()[0] == "PGD: ascend on label, linf, epsilon 0.2,0.05,0.1 (normalised), 10 steps"
    ball = next(check for check in report.checks if check.name == "in the ball")
    assert ball.passed and ball.figures == "largest linf 0.2,0.05,0.1, epsilon 0.2,0.05,0.1"
    assert "epsilon 0.1,0.025,0.05" not in report.title and "0.1,0.025,0.05, 0.2,0.05,0.1, 0.4,0.1,0.2" in str(report)

    class Beyond(PGD):
        """One channel's bound for all."""

        def __call__(self, *args: Any) -> mg.Tensor:
            return PGD(epsilon=np.max(self.epsilon), alpha=self.alpha, target="label", direction="ascend")(*args)

    wrong = audit(model, Beyond(epsilon=EPSILON, alpha=ALPHA, target="label", direction="ascend"), [(images, labels)])
    assert "in the ball" in wrong.failed


# -- one image, without a batch axis


@pytest.mark.parametrize("kind", [*KINDS, "FGSM"])
def test_an_image_without_a_batch_axis(kind: str) -> None:
    (image,), (label,), _ = batch(1, dtype=np.float32)
    attack = FGSM(0.1) if kind == "FGSM" else getattr(attacks, kind)(target="label", direction="ascend", steps=2)
    model = both(dtype=np.float32)[0]
    for labels in ([label], label, None):
        with pytest.raises(ValueError, match="batch axis|needs labels"):
            attack(model, mg.tensor(image), labels)
    for target in ("least-likely", "most-likely"):
        with pytest.raises(ValueError, match=r"is the batch axis missing\? images\[None\] is a batch of one image"):
            replace(attack, target=target)(model, mg.tensor(image))
    assert attack(model, mg.tensor(image)[None], [label]).shape == (1, *image.shape)


class Anything(nn.Module):
    """Logits of whatever is given, (..., C, H, W) to (..., 4): a model that takes an image by itself."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x.mean((-1, -2)) @ mg.ones((3, 4), dtype=x.dtype)


def test_a_model_that_takes_one_image() -> None:
    image = mg.tensor(batch(1)[0][0])
    for call in (
        lambda: PGD()(Anything(), image),
        lambda: APGD(target="label")(Anything(), image, [0]),
        lambda: audit(Anything(), PGD(), [(image, [0])]),
        lambda: PGD(random_start=True, restarts=2)(Anything(), image, [0]),
    ):
        with pytest.raises(
            ValueError, match=r"the model gives float64\[4\] on cpu, not logits \(N, classes\): is the batch axis"
        ):
            call()
    theirs = type(
        "Anything", (torch.nn.Module,), {"forward": lambda self, x: x.mean((-1, -2)) @ torch.ones(3, 4).double()}
    )
    with pytest.raises(ValueError, match="batch axis"):
        reference.PGD()(theirs(), torch.from_numpy(image.numpy()))


def test_batches_of_three_axes_are_no_mistake() -> None:
    """(N, H, W) to a model that flattens, and errors of a model's own on images (N, C, H, W)."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(20, 4))
    x = mg.randn((5, 4, 5))
    assert PGD()(model, x).shape == (5, 4, 5)
    with pytest.raises(RuntimeError):
        PGD()(model, mg.randn((5, 1, 4, 4)))
