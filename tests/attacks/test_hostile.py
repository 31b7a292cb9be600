"""Every attack with every bad input: one clear error each, and the model stays as it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import attacks, nn

NAN, INF = float("nan"), float("inf")
BOX: dict[str, Any] = {"clip": (-1.5, 1.5)}
UP: dict[str, Any] = {"target": "label", "direction": "ascend"}
ATTACKS: dict[str, Callable[..., Any]] = {
    **{name: partial(getattr(attacks, name), **UP) for name in ("PGD", "MIFGSM", "APGD", "DIFGSM")},
    "FGSM": attacks.FGSM,
    "TIFGSM": partial(attacks.TIFGSM, **UP, kernel=3),
    "VMIFGSM": partial(attacks.VMIFGSM, **UP, samples=2),
    "APGDT": attacks.APGDT,
    "FAB": attacks.FAB,
    "FAB-T": partial(attacks.FAB, targeted=True),
    "DeepFool": attacks.DeepFool,
    "DDN": attacks.DDN,
    "CW": partial(attacks.CW, search=2, **BOX),
    "HopSkipJump": partial(attacks.HopSkipJump, samples=5, **BOX),
    "Square": attacks.Square,
    "AutoAttack": partial(attacks.AutoAttack, queries=5),
}
STEPS = {"FGSM": None, "Square": "queries"}
"""What other attacks call steps."""


def made(name: str, **options: Any) -> Any:
    """The attack, of two steps unless others are asked for."""
    steps = STEPS.get(name, "steps")
    return ATTACKS[name](**({} if steps is None else {steps: 2}) | options)


class Body(nn.Module):
    """Five classes, in training mode; `change` spoils the logits."""

    def __init__(self, change: Callable[[Any], Any] = lambda z: z) -> None:
        super().__init__()
        mg.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, 5))
        self.change = change

    def forward(self, x: mg.Tensor) -> Any:
        return self.change(self.body(x))


def images(count: int = 4, bad: float | None = None) -> mg.Tensor:
    values = np.random.default_rng(0).uniform(-1, 1, (count, 3, 8, 8)).astype(np.float32)
    if bad is not None:
        values[0, 0, 0, 0] = bad
    return mg.tensor(values)


LABELS = np.array([0, 1, 2, 3])
SETTINGS = {
    "epsilon -1": ({"epsilon": -1}, "must be finite and at least 0, got -1"),
    "epsilon NaN": ({"epsilon": NAN}, "must be finite and at least 0, got nan"),
    "epsilon infinite": ({"epsilon": INF}, "must be finite and at least 0, got inf"),
    "epsilon text": ({"epsilon": "0.1"}, "must be a number, or one for each channel, got '0.1'"),
    "epsilon none": ({"epsilon": None}, "must be a number, or one for each channel, got None"),
    "epsilon bool": ({"epsilon": True}, "must be a number, or one for each channel, got True"),
    "epsilon empty": ({"epsilon": []}, "must be a number, or one for each channel"),
    "epsilon of two channels": ({"epsilon": [0.1, 0.2]}, "channel|must be one"),
    "norm": ({"norm": "l7"}, "norm must be one of .*, got 'l7'"),
    "norm none": ({"norm": None}, "norm must be one of .*, got None"),
    "units": ({"units": "grey"}, "units must be one of normalised, pixel, got 'grey'"),
    "pixels alone": ({"units": "pixel"}, "pixel units need the mean and std"),
    "std 0": ({"units": "pixel", "mean": [0, 0, 0], "std": [0, 1, 1]}, "std must be above 0 in each channel"),
    "std NaN": ({"units": "pixel", "mean": [0, 0, 0], "std": [NAN, 1, 1]}, "std must be above 0 in each channel"),
    "mean NaN": ({"units": "pixel", "mean": [NAN, 0, 0], "std": [1, 1, 1]}, "mean and std must be finite"),
    "mean of two channels": ({"units": "pixel", "mean": [0, 0], "std": [1, 1]}, "mean and std have 2 channels"),
    **{
        f"clip {clip}": ({"clip": clip}, "clip must be \\(low, high\\) with low < high, got")
        for clip in ((1, 0), (0, 0), (NAN, 1), (0, INF), (0,), (0, 1, 2), 1, "01")
    },
    "generator": ({"generator": 3}, "generator must be a minigrad.Generator, got 3"),
    **{
        f"steps {n}": ({"steps": n}, f"must be an integer and at least 1, got {n}")
        for n in (0, -1, 1.5, "three", True, None)
    },
}
CALLS: dict[str, tuple[Any, Any, Any, str]] = {
    "NaN image": (Body(), images(bad=NAN), LABELS, "NaN or infinite"),
    "infinite image": (Body(), images(bad=INF), LABELS, "NaN or infinite"),
    "labels too high": (Body(), images(), [0, 1, 2, 5], "labels must be classes from 0 to 4, got 0 to 5"),
    "labels below 0": (Body(), images(), [0, -1, 2, 3], "labels must be classes from 0 to 4, got -1 to 3"),
    "labels of floats": (Body(), images(), [0.0, 1.0, 2.0, 3.0], "labels must be 4 integers, got float32"),
    "labels too few": (Body(), images(), [0, 1], "labels must be 4 integers, got int64\\[2\\]"),
    "labels (1, 4)": (Body(), images(), [[0, 1, 2, 3]], "labels must be 4 integers"),
    "labels of words": (Body(), images(), ["a", "b", "c", "d"], "labels must be"),
    "no labels": (Body(), images(), None, "needs labels"),
    "no batch axis": (Body(), images()[0], [1], "is the batch axis missing"),
    "an array": (Body(), images().numpy(), LABELS, "images must be a floating-point Tensor"),
    "whole numbers": (Body(), images().to(mg.int64), LABELS, "images must be a floating-point Tensor"),
    "one number": (Body(), mg.tensor(0.5), LABELS, "images must be a floating-point Tensor"),
    "logits (N,)": (Body(lambda z: z[:, 0]), images(), LABELS, "not logits \\(N, classes\\)"),
    "logits of three axes": (Body(lambda z: z[..., None]), images(), LABELS, "not logits \\(N, classes\\)"),
    "one class": (Body(lambda z: z[:, :1]), images(), [0, 0, 0, 0], "of no two classes"),
    "logits of two images": (
        Body(lambda z: z[:2]),
        images(),
        LABELS,
        "the model gives float32\\[2, 5\\] on cpu for 4 images",
    ),
    "NaN logits": (Body(lambda z: z * NAN), images(), LABELS, "NaN or infinite"),
    "a tuple": (Body(lambda z: (z,)), images(), LABELS, "the model gives a tuple, not a minigrad.Tensor"),
    "an array of logits": (Body(lambda z: z.numpy(force=True)), images(), LABELS, "the model gives a ndarray"),
    "no model": (None, images(), LABELS, "a model is a Module or a function of images, got a NoneType"),
    "a list for a model": ([Body()], images(), LABELS, "a model is a Module or a function of images"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("case", SETTINGS)
def test_settings(name: str, case: str) -> None:
    """Refused when the attack is made, or where it takes images to see it, at the first call."""
    options, message = SETTINGS[case]
    if "steps" in options:
        steps = STEPS.get(name, "steps")
        if steps is None:
            pytest.skip("FGSM makes one step")
        options = {steps: options["steps"]}
    with pytest.raises(ValueError, match=message) as error:
        made(name, **options)(Body(), images(), LABELS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("case", CALLS)
def test_calls(name: str, case: str) -> None:
    model, x, labels, message = CALLS[case]
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()} if isinstance(model, Body) else {}
    with warnings.catch_warnings(), pytest.raises((ValueError, FloatingPointError, TypeError), match=message) as error:
        warnings.simplefilter("ignore")
        made(name)(model, x, labels)
    assert "\n" not in str(error.value)
    if isinstance(model, Body):
        assert model.training and all(p.requires_grad and p.grad is None for p in model.parameters())
        assert all((before[key] == value.numpy()).all() for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ATTACKS)
def test_images_out_of_range_and_none_at_all(name: str) -> None:
    """Whatever the labels; an empty batch is no mistake."""
    for labels in (LABELS, (LABELS + 1) % 5):
        with pytest.raises(ValueError, match="outside the clip range"):
            made(name, **BOX)(Body(), images() * 5, labels)
    assert made(name)(Body(), images(0), np.zeros(0, int)).shape == (0, 3, 8, 8)


def test_what_a_late_stage_refuses_is_said_before_the_first() -> None:
    """AutoAttack does not attack for hours first: APGD-T needs four classes, Square rows and columns."""
    asked: list[int] = []

    def three(x: mg.Tensor) -> mg.Tensor:
        asked.append(len(x))
        return model(x)[:, :3]

    model = Body().eval()
    with pytest.raises(ValueError, match="'dlr-targeted' needs at least 4 classes, the model has 3"):
        attacks.AutoAttack()(three, images(), LABELS % 3)
    assert asked == [4]
    with pytest.raises(ValueError, match=r"the square attack needs images \(N, C, H, W\)"):
        attacks.AutoAttack()(model, images().reshape(4, 192), LABELS)
    for attack in (attacks.DIFGSM(**UP), attacks.TIFGSM(**UP)):
        with pytest.raises(ValueError, match=r"needs images \(N, C, H, W\), got float32\[4, 192\]"):
            attack(model, images().reshape(4, 192), LABELS)
