"""The audit passes sound attacks on models that hide nothing, and names what is wrong with each broken one."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.attacks import APGD, APGDT, DIFGSM, FGSM, MIFGSM, PGD, TIFGSM, VMIFGSM, audit, preset
from minigrad.autograd import Function
from minigrad.data import normalize, open_dataset
from minigrad.nn import functional as F

UNTARGETED: dict[str, Any] = {"target": "label", "direction": "ascend"}
ONCE: dict[str, Any] = {"epsilon": 0.5, "alpha": 0.05, "retarget": False}
DATA = open_dataset(None, "val")
PIXELS: dict[str, Any] = {"units": "pixel", "mean": DATA.mean, "std": DATA.std}


def images(split: str, count: int) -> tuple[mg.Tensor, mg.Tensor]:
    """The first images of Fashion-MNIST, as the network takes them, and their labels."""
    data = open_dataset(None, split)
    pixels = np.stack([data.load(index, None) for index in range(count)])
    return mg.from_numpy(normalize(pixels, data.mean, data.std)), mg.from_numpy(data.labels[:count])


@cache
def trained() -> nn.Module:
    """A small network, right about four images of five after a second: trained in float64, the same on every processor."""
    mg.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(24 * 49, 10),
    )  # fmt: skip
    x, y = images("train", 3000)
    model, x = model.double(), x.double()
    optimizer = mg.optim.AdamW(model.parameters(), lr=2e-3)
    for start in [*range(0, 3000, 100)] * 2:
        loss = F.cross_entropy(model(x[start : start + 100]), y[start : start + 100])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    optimizer.zero_grad()
    return model.float()


@cache
def sample(count: int = 60) -> tuple[mg.Tensor, mg.Tensor]:
    return images("val", count)


def linear(classes: int = 4, dtype: Any = np.float32, device: str = "cpu") -> tuple[nn.Module, list[Any]]:
    """A linear model, and images that it is right about: quick, and nothing is as easy to attack."""
    random = mg.Generator(4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, classes))
    model[1].weight.data = mg.from_numpy(random.normal(0, 1, (classes, 48)))
    x = mg.from_numpy(random.uniform(0, 1, (24, 3, 4, 4), dtype))
    model = model.double() if dtype == np.float64 else model
    with mg.no_grad():
        labels = model(x).argmax(1)
    return model.to(device), [(x.to(device), labels.to(device))]


# Sound attacks


SOUND: dict[str, PGD] = {
    "untargeted": preset("untargeted"),
    "random start": preset("untargeted", random_start=True, alpha=0.025),
    "restarts": preset("untargeted", random_start=True, alpha=0.025, restarts=2, steps=5),
    "handout, one class": preset("handout", **ONCE),
    "l2": PGD(norm="l2", epsilon=1.5, alpha=0.3, **UNTARGETED),
    "pixels": PGD(epsilon=8 / 255, alpha=2 / 255, clip=(0, 1), **PIXELS, **UNTARGETED),
    "pixels, l2": PGD(norm="l2", epsilon=0.5, alpha=0.1, clip=(0, 1), **PIXELS, **UNTARGETED),
    "fgsm": FGSM(0.1),
    "momentum": MIFGSM(**UNTARGETED),
    "autopgd": APGD(**UNTARGETED),
    "autopgd, l2": APGD(norm="l2", epsilon=1.5, **UNTARGETED),
    "mean loss": preset("untargeted", loss=F.cross_entropy),
}


@pytest.mark.parametrize("attack", SOUND.values(), ids=SOUND)
def test_sound_attacks_pass(attack: PGD) -> None:
    report = audit(trained(), attack, [sample()])
    assert report.passed, report
    assert [check.name for check in report.checks] == [
        "nothing touched", "in the ball", *(["in the box"] if attack.clip else []), "answers repeat", "gradients are there",
        "gradients are true", "loss along the path", "beats noise", "beats one step", "more steps", "larger epsilon",
        "unbounded",
    ]  # fmt: skip


BOXED: dict[str, Any] = {"clip": (0, 1), **PIXELS}
KNOWN: dict[str, PGD] = {
    '`PGD(loss="dlr")`': preset("untargeted", alpha=0.02, loss="dlr"),
    '`APGD(loss="dlr")`': APGD(loss="dlr", **UNTARGETED),
    "`APGDT`": APGDT(epsilon=0.5, steps=10),
    "`DIFGSM`": DIFGSM(alpha=0.02, **UNTARGETED),
    "`TIFGSM`": TIFGSM(alpha=0.02, **UNTARGETED),
    '`PGD(norm="l0")`': PGD(norm="l0", epsilon=20, alpha=1.0, **UNTARGETED),
    '`PGD(norm="l1")` in a box': PGD(norm="l1", epsilon=5.0, alpha=1.0, **UNTARGETED, **BOXED),
}
PASS = {
    "VMIFGSM": VMIFGSM(samples=3, alpha=0.02, **UNTARGETED),
    "cw": preset("untargeted", alpha=0.02, loss="cw"),
    "l1": PGD(norm="l1", epsilon=10.0, alpha=2.0, **UNTARGETED),
}


def test_the_table_of_what_fails_is_true() -> None:
    """docs/attacks.md names each attack that fails lines, and the lines; those that it says pass do."""
    page = (Path(__file__).parents[2] / "docs" / "attacks.md").read_text()
    rows = page.partition("| attack | fails | for |\n| --- | --- | --- |\n")[2].partition("\n\n")[0].split("\n")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    x, y = sample()
    found = {name: audit(trained(), attack, [(x, y, (y + 1) % 10)]).failed for name, attack in KNOWN.items()}
    assert found == {name: fails.split(", ") for name, fails, _ in cells}
    for name, attack in PASS.items():
        assert audit(trained(), attack, [(x, y)]).passed, name


def test_few_numbers_change_in_l0() -> None:
    """To the bit: rounding put the background a little outside of the box, and it stays there."""
    x, y = sample()
    moved = PGD(norm="l0", epsilon=20, alpha=0.5, **UNTARGETED, **BOXED)(trained(), x, y)
    assert 0 < int((moved != x).flatten(1).sum(1).max().item()) <= 20


def test_given_targets_come_with_the_data() -> None:
    x, y = sample()
    attack = PGD(target="given", epsilon=0.5, alpha=0.05)
    assert audit(trained(), attack, [(x, y, (y + 1) % 10)]).passed
    with pytest.raises(ValueError, match="target 'given' needs targets"):
        audit(trained(), attack, [(x, y)])


def test_the_weak_presets_fail_and_are_told_so() -> None:
    """report: whatever epsilon, it changes no answer. handout: it changes its mind, and one step gets further than ten."""
    report = audit(trained(), preset("report"), [sample()])
    assert report.failed == ["beats noise", "unbounded"]
    assert accuracy_in(report.checks[-1].figures) > 0.8 * accuracy_in(report.title) > 50
    handout = audit(trained(), preset("handout", epsilon=0.5, alpha=0.05), [sample()])
    assert {"beats one step", "unbounded"} <= set(handout.failed)


def accuracy_in(line: str) -> float:
    return float(re.findall(r"([\d.]+)%", line)[0])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_both_devices(norm: str, device: str) -> None:
    model, data = linear(device=device)
    report = audit(model, preset("untargeted", norm=norm, steps=2, epsilon=0.3, alpha=0.2, clip=(0, 1)), data)
    assert report.passed, report


# Broken attacks


class LeavesGradients(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        F.cross_entropy(model(images), labels).backward()
        return super().__call__(model, images, labels)


class ClearsGradients(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        for parameter in model.parameters():
            parameter.grad = None
        return super().__call__(model, images, labels)


class MovesStatistics(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        with mg.no_grad():
            model[:2](images)
        return super().__call__(model, images, labels)


class LeavesTheMode(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        model[5].eval()
        return super().__call__(model, images, labels)


class Freezes(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        model[0].bias.requires_grad_(False)
        return super().__call__(model, images, labels)


class DrawsFromTheDefaultGenerator(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        mg.rand(1)
        return super().__call__(model, images, labels)


class ChangesTheImages(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        out = super().__call__(model, images, labels)
        images[0, 0, 0, 0] = 0.5
        return out


TOUCHING: dict[type[PGD], str] = {
    LeavesGradients: "0.weight.grad",
    ClearsGradients: "0.weight.grad",
    MovesStatistics: "1.running_mean",
    LeavesTheMode: "5.training",
    Freezes: "0.bias.requires_grad",
    DrawsFromTheDefaultGenerator: "random state",
    ChangesTheImages: "images of batch 1",
}


@pytest.mark.parametrize("kind", TOUCHING)
def test_what_an_attack_touches_is_named(kind: type[PGD]) -> None:
    x, y = sample(20)
    check = audit(trained(), kind(steps=1, alpha=0.3, epsilon=0.3, **UNTARGETED), [(x.clone(), y)]).checks[0]
    assert not check.passed and check.name == "nothing touched"
    assert TOUCHING[kind] in check.figures


class TooFar(PGD):
    """Out of the ball by 1 %."""

    by = 1.01

    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        return images + (super().__call__(model, images, labels) - images) * self.by


class ALittleTooFar(TooFar):
    by = 1.0005


class IgnoresTheBox(PGD):
    """Knows nothing of clip."""

    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        options = {name: getattr(self, name) for name in ("epsilon", "alpha", "steps", "units", "mean", "std", "norm")}
        return PGD(**options, **UNTARGETED)(model, images, labels)


class WrongSign(PGD):
    def _momentum(self, slope: Any, before: Any) -> Any:
        return -slope


class Wavers(PGD):
    """Every third step goes back."""

    turns = itertools.cycle((1, 1, -1))

    def _momentum(self, slope: Any, before: Any) -> Any:
        return slope * next(self.turns)


class IgnoresItsSteps(PGD):
    """Makes one, of size alpha."""

    def path(self, *args: Any) -> Any:
        yield next(super().path(*args))


class Noise(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        return self.noise(images)


class FadesWithSteps(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        return images + (super().__call__(model, images, labels) - images) * min(1, 10 / self.steps)


class FadesWithEpsilon(PGD):
    def __call__(self, model: Any, images: Any, labels: Any = None, targets: Any = None) -> Any:
        return images + (super().__call__(model, images, labels) - images) * min(1, (0.1 / self.epsilon) ** 2)


@pytest.mark.parametrize(
    ("kind", "failed"),
    [
        (TooFar, ["in the ball"]),
        (
            WrongSign,
            ["loss along the path", "beats noise", "beats one step", "more steps", "larger epsilon", "unbounded"],
        ),
        (Wavers, ["loss along the path"]),
        (IgnoresItsSteps, ["loss along the path", "beats noise", "beats one step", "unbounded"]),
        (Noise, ["beats noise", "unbounded"]),
        (FadesWithSteps, ["more steps"]),
        (FadesWithEpsilon, ["larger epsilon", "unbounded"]),
    ],
)
def test_broken_attacks_are_caught(kind: type[PGD], failed: list[str]) -> None:
    found = set(audit(trained(), kind(**UNTARGETED), [sample()]).failed)
    assert found >= set(failed) and not found & ({"nothing touched", "in the ball", "gradients are true"} - set(failed))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("units", [{}, {"units": "pixel", "mean": (0.1, 0.2, 0.3), "std": (0.2, 0.3, 0.4)}])
def test_ball_and_box_in_all_units(norm: Any, dtype: Any, units: dict[str, Any]) -> None:
    """Rounding is forgiven, a twentieth of a percent is not."""
    model, data = linear(dtype=dtype)
    clip = (0.05, 0.7) if units else (0.0, 1.0)
    options = dict(norm=norm, epsilon=0.05, alpha=0.01, steps=6, clip=clip, **units, **UNTARGETED)
    assert not {"in the ball", "in the box"} & set(audit(model, PGD(**options), data).failed)
    assert "in the ball" in audit(model, ALittleTooFar(**options | {"clip": None}), data).failed
    assert "in the box" in audit(model, IgnoresTheBox(**options), data).failed


# Models that hide their gradients


class Before(nn.Module):
    """The trained network behind a defence, and before another one."""

    def __init__(self, defence: Callable[[Any], Any], after: Callable[[Any], Any] = lambda logits: logits) -> None:
        super().__init__()
        self.body, self.defence, self.after = trained(), defence, after

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.after(self.body(self.defence(x)))


class Rounded(Function):
    """16 shades; the true gradient, which is zero."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return mg.from_numpy(np.round(x.numpy(force=True) * 5) / 5)

    @staticmethod
    def backward(ctx: Any, gy: Any) -> Any:
        return gy * 0


class Flipped(Function):
    """The identity, with a gradient that is upside down."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1

    @staticmethod
    def backward(ctx: Any, gy: Any) -> Any:
        return gy.flip((2,))


def noisy(x: mg.Tensor) -> mg.Tensor:
    return x + mg.from_numpy(NOISE.normal(0, 0.2, x.shape))


NOISE = mg.Generator(0)
MASKED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "quantised": (lambda: Before(Rounded.apply), "gradients are there"),
    "quantised: no way up": (lambda: Before(Rounded.apply), "loss along the path"),
    "saturated": (lambda: Before(lambda x: x, lambda logits: 1000 * logits), "gradients are there"),
    "wrong gradient": (lambda: Before(Flipped.apply), "gradients are true"),
    "passed straight through": (lambda: Before(lambda x: x + (Rounded.apply(x) - x).detach()), "gradients are true"),
    "half detached": (lambda: Before(lambda x: x, lambda z: 0.5 * z + 0.5 * z.detach()), "gradients are true"),
    "random": (lambda: Before(noisy), "answers repeat"),
    "shattered": (lambda: Before(lambda x: x + 0.02 * (500 * x).sin()), "loss along the path"),
}


@pytest.mark.parametrize(("masked", "line"), MASKED.values(), ids=MASKED)
def test_masked_gradients_are_caught(masked: Callable[[], nn.Module], line: str) -> None:
    model = masked()
    assert "nothing touched" not in (failed := audit(model, preset("untargeted"), [sample()]).failed)
    assert line in failed
    if line == "gradients are there":
        assert {"beats noise", "unbounded"} <= set(failed)


# What the audit itself promises


class Counting(nn.Module):
    """Counts the images that go forward with and without a backward pass to come."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.seen = linear()[0], COUNTS
        COUNTS.update({True: 0, False: 0})

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        assert not self.training
        COUNTS[x.requires_grad] += len(x)
        return self.body(x)


COUNTS: dict[bool, int] = {}


@pytest.mark.parametrize("steps", [1, 4, 25])
def test_the_cost_is_what_the_docstring_says(steps: int) -> None:
    _, data = linear()
    audit(Counting(), preset("untargeted", steps=steps), data)
    assert COUNTS == {True: 24 * (6 * steps + 1 + max(steps, 20)), False: 24 * 12}


def test_nothing_changes_and_the_figures_repeat() -> None:
    model, attack = trained(), preset("untargeted", random_start=True, steps=3)
    model.train()[1].eval()
    before = {key: value.numpy(force=True).copy() for key, value in model.state_dict().items()}
    states = mg.get_rng_state(), attack.generator.get_state()
    reports = [str(audit(model, attack, [sample(50)])) for _ in range(2)]
    assert reports[0] == reports[1]
    assert (mg.get_rng_state(), attack.generator.get_state()) == states
    assert all(np.array_equal(before[key], value.numpy(force=True)) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model[0].training and not model[1].training
    model.train()


def test_batches_and_arrays() -> None:
    x, y = sample()
    whole = audit(trained(), preset("untargeted"), [(x, y)])
    arrays = ((x[i : i + 30].numpy(), y[i : i + 30].numpy().astype("u1")) for i in (0, 30, 60))  # the last one is empty
    parts = audit(trained(), preset("untargeted"), arrays)
    assert parts.passed and parts.title == whole.title
    assert [accuracy_in(c.figures) for c in parts.checks[-5:]] == [accuracy_in(c.figures) for c in whole.checks[-5:]]


def test_what_float32_rounds_is_no_difference() -> None:
    """On a linear model of two classes the gradient's sign is the same everywhere: all steps lead to one corner."""
    model, data = linear(classes=2)
    checks = {check.name: check.figures for check in audit(model, preset("untargeted"), data).checks}
    assert checks["beats one step"].endswith("further on 0 : 0 images")
    assert checks["more steps"].endswith("further on 0 : 0 images")
    assert checks["larger epsilon"].endswith("further on 24 : 0, 24 : 0 images")


def test_a_function_is_a_model_too() -> None:
    model, data = linear()
    assert audit(lambda x: model(x) * 2, preset("untargeted"), data).passed


def test_few_images_prove_little() -> None:
    """Four that noise spares and the attack does not may be chance; five are not."""
    x, y = sample()
    model = copy.deepcopy(trained()).eval()
    with mg.no_grad():
        surest = F.cross_entropy(model(x), y, reduction="none").argsort()
    for count, failed in ((4, ["beats noise"]), (5, [])):
        chosen = surest[:count]
        report = audit(model, preset("untargeted", epsilon=0.8, alpha=0.1), [(x[chosen], y[chosen])])
        assert report.failed == failed, report
    assert report.title.endswith("100.0% of them right before the attack; of others like them 55.6% to 100.0%")


def test_the_table() -> None:
    report = audit(trained(), preset("report"), [sample()])
    lines = str(report).splitlines()
    assert lines[0] == "PGD: ascend on least-likely, linf, epsilon 0.1 (normalised), 10 steps"
    assert re.fullmatch(
        r"60 images, [\d.]+% of them right before the attack; of others like them [\d.]+% to [\d.]+%", lines[1]
    )
    assert lines[2].startswith("pass  nothing touched      ") and lines[2].endswith(" things are as they were")
    assert lines[-2].startswith("FAIL  unbounded            right: ")
    assert lines[-1] == "2 of 11 checks failed"
    low, clean, high = (float(v) for v in np.take(re.findall(r"([\d.]+)%", lines[1]), [1, 0, 2]))
    assert clean - 14 < low < clean - 7 and clean + 6 < high < clean + 13


# Bad input


def test_nothing_to_attack() -> None:
    model, [(x, y)] = linear()
    with pytest.raises(ValueError, match="an audit needs images"):
        audit(model, preset("untargeted"), [])
    with pytest.raises(ValueError, match="an audit needs images"):
        audit(model, preset("untargeted"), [(x[:0], y[:0])])
    with pytest.raises(ValueError, match="the model is wrong about all 24 images: nothing is left to attack"):
        audit(model, preset("untargeted"), [(x, (y + 1) % 4)])


@pytest.mark.parametrize("name", ["untargeted", "handout"])
def test_labels_that_are_none(name: str) -> None:
    model, [(x, y)] = linear()
    with pytest.raises(ValueError, match=r"labels must be 24 integers, got .*\[24, 1\]"):
        audit(model, preset(name), [(x, y.reshape(-1, 1))])
    with pytest.raises(ValueError, match="labels must be classes from 0 to 3, got . to 4"):
        audit(model, preset(name), [(x, y + 1)])


def test_the_page_runs() -> None:
    """Each block of docs/attacks.md, one after the other."""
    text = (Path(__file__).parents[2] / "docs/attacks.md").read_text()
    space: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(block, "docs/attacks.md", "exec"), space)
