"""NumPy's numbers as settings of layers, initialisations, optimizers, schedules, loaders and attacks: those of Python's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.attacks import PGD
from tests.nn.test_layers import LAYERS, LOSSES
from tests.ops.test_numbers import replaced
from tests.optim.test_lr_scheduler import SCHEDULES
from tests.optim.test_optimizers import CHOICES

FORMS: list[Callable[[Any], Any]] = [
    lambda x: np.float64(x) if type(x) is float else np.int64(x),
    lambda x: np.float32(x) if type(x) is float else np.int32(x),
    lambda x: np.array(x),
]
FLAGS = (bool, type(None), str)


def changed(given: Any, form: Callable[[Any], Any]) -> Any:
    """Settings with all their numbers in a NumPy form: floats and integers."""
    if isinstance(given, dict):
        return {k: changed(v, form) for k, v in given.items()}
    return replaced(replaced(given, float, form), int, form)


def as_python(given: Any, form: Callable[[Any], Any]) -> Any:
    """The same values as Python's numbers: float32 may have rounded them."""
    if isinstance(given, dict):
        return {k: as_python(v, form) for k, v in given.items()}
    return replaced(given, float, lambda x: float(form(x)))


def outcome(layer: Any, shapes: Any, device: str) -> list[Any]:
    random = np.random.default_rng(1)
    xs = [mg.tensor(random.uniform(0.1, 1, s).astype(np.float32), device=device).requires_grad_() for s in shapes]
    parameters = list(layer.parameters())
    for p in parameters:
        p.data = mg.tensor(random.uniform(-1, 1, p.shape).astype(p.dtype), device=device)
    y = layer.to(device)(*xs)
    y = y[0] if isinstance(y, tuple) else y
    if y.requires_grad:
        y.sum().backward()
    return [y, *layer.buffers(), *[x.grad for x in xs], *[p.grad for p in parameters]]


def assert_same(ours: list[Any], plain: list[Any]) -> None:
    for a, b in zip(ours, plain, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a.detach().numpy(force=True), b.detach().numpy(force=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", range(len(FORMS)))
@pytest.mark.parametrize("i", range(len(LAYERS)), ids=lambda i: f"{i}-{LAYERS[i][0]}")
def test_layers(i: int, form: int, device: str) -> None:
    name, args, kwargs, *shapes = LAYERS[i]
    if form == 2 and name not in ("Linear", "Conv2d", "BatchNorm2d", "LayerNorm", "MaxPool2d", "LeakyReLU"):
        pytest.skip("a 0-d array is tried on a few")
    new = FORMS[form]
    made = getattr(nn, name)(*changed(args, new), **changed(kwargs, new))
    plain = getattr(nn, name)(*as_python(args, new), **as_python(kwargs, new))
    assert_same(outcome(made, shapes, device), outcome(plain, shapes, device))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", (0, 1))
@pytest.mark.parametrize("i", range(len(LOSSES)), ids=lambda i: f"{i}-{LOSSES[i][0]}")
def test_losses(i: int, form: int) -> None:
    name, kwargs, *inputs = LOSSES[i]
    results = []
    for options in (changed(kwargs, FORMS[form]), as_python(kwargs, FORMS[form])):
        options = {k: mg.tensor(v).float() if isinstance(v, np.ndarray) and v.ndim else v for k, v in options.items()}
        random = np.random.default_rng(2)
        arrays = [random.uniform(0.1, 0.9, x) if isinstance(x, tuple) else np.asarray(x) for x in inputs]
        xs = [mg.tensor(x.astype(np.float32) if x.dtype == np.float64 else x) for x in arrays]
        xs[0].requires_grad_()
        loss = getattr(nn, name)(**options)(*xs)
        loss.sum().backward()
        results.append([loss, xs[0].grad])
    assert_same(*results)


INIT: dict[str, dict[str, Any]] = {
    "uniform_": {"a": -0.3, "b": 0.7}, "normal_": {"mean": 0.1, "std": 0.3}, 
    "trunc_normal_": {"mean": 0.1, "std": 0.3, "a": -0.5, "b": 0.4}, "xavier_uniform_": {"gain": 0.3},
    "xavier_normal_": {"gain": 0.3}, "kaiming_uniform_": {"a": 0.3}, "kaiming_normal_": {"a": 0.3},
    "orthogonal_": {"gain": 0.3}, "dirac_": {"groups": 2},
}  # fmt: skip


@pytest.mark.parametrize("form", range(len(FORMS)))
@pytest.mark.parametrize("name", INIT)
def test_init(name: str, form: int) -> None:
    if form == 2 and name in ("kaiming_uniform_", "kaiming_normal_"):
        pytest.skip("torch asks for a float there")
    made = []
    for options in (changed(INIT[name], FORMS[form]), as_python(INIT[name], FORMS[form])):
        mg.manual_seed(3)
        made.append([getattr(nn.init, name)(mg.zeros(4, 6, 3), **options)])
    assert_same(*made)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("form", (0, 1))
@pytest.mark.parametrize("name", CHOICES)
def test_optimizers(name: str, form: int, dtype: Any, device: str) -> None:
    """Parameters and states keep their types, and the state_dict holds numbers that JSON can hold."""
    options = {"lr": 0.01, **{k: v[-1] for k, v in CHOICES[name].items() if k not in ("dampening", "nesterov")}}
    results = []
    for given in (changed(options, FORMS[form]), as_python(options, FORMS[form])):
        p = nn.Parameter(mg.tensor(np.linspace(-1, 1, 5).astype(dtype), device=device))
        optimizer = getattr(optim, name)([p], **given)
        for _ in range(3):
            p.grad = p.detach() * 2
            optimizer.step()
        optimizer.param_groups[0]["lr"] = given["lr"] * 2
        optimizer.step()
        results.append([p, *[v for v in optimizer.state[p].values() if isinstance(v, mg.Tensor)]])
        groups = [{k: v for k, v in g.items() if k not in ("params", "lr")} for g in optimizer.param_groups]
        assert json.loads(json.dumps(groups))
    assert_same(*results)


RATES: dict[str, Callable[[Any, Any], Any]] = {
    "step": lambda opt, f: optim.lr_scheduler.StepLR(opt, f(2), gamma=f(0.3)),
    "multistep": lambda opt, f: optim.lr_scheduler.MultiStepLR(opt, [f(2), f(5)], gamma=f(0.3)),
    "constant": lambda opt, f: optim.lr_scheduler.ConstantLR(opt, f(0.3), f(4)),
    "linear": lambda opt, f: optim.lr_scheduler.LinearLR(opt, f(0.1), f(0.8), f(7)),
    "exponential": lambda opt, f: optim.lr_scheduler.ExponentialLR(opt, f(0.9)),
    "polynomial": lambda opt, f: optim.lr_scheduler.PolynomialLR(opt, f(6), power=f(1.7)),
    "cosine": lambda opt, f: optim.lr_scheduler.CosineAnnealingLR(opt, f(8), eta_min=f(0.01)),
    "restarts": lambda opt, f: optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, f(2), T_mult=f(2), eta_min=f(0.01)),
    "warm-up": lambda opt, f: optim.lr_scheduler.WarmupCosine(opt, f(3), f(9), f(1e-5)),
    "one cycle": lambda opt, f: optim.lr_scheduler.OneCycleLR(opt, f(0.5), f(12), pct_start=f(0.4), div_factor=f(10.0)),
    "cyclic": lambda opt, f: optim.lr_scheduler.CyclicLR(opt, f(0.01), f(0.2), f(3), mode="exp_range", gamma=f(0.9)),
    "lambda": lambda opt, f: optim.lr_scheduler.LambdaLR(opt, lambda step: f(0.9) ** step),
    "multiplicative": lambda opt, f: optim.lr_scheduler.MultiplicativeLR(opt, lambda step: f(0.9)),
}


@pytest.mark.parametrize("form", (0, 1))
@pytest.mark.parametrize("name", RATES)
def test_schedules(name: str, form: int) -> None:
    rates = []
    for f in (FORMS[form], lambda x: x if type(x) is int else float(FORMS[form](x))):
        optimizer = optim.SGD([nn.Parameter(mg.zeros(1))], lr=f(0.1), momentum=f(0.9))
        schedule = RATES[name](optimizer, f)
        made = []
        for _ in range(8):
            optimizer.step()
            schedule.step()
            made.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        assert all(type(x) in (int, float) for pair in made for x in pair)
        assert json.dumps({k: v for k, v in schedule.state_dict().items() if k != "lr_lambdas"})
        rates.append(made)
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-6 if "lambda" in name or "multi" in name else 0)


def test_every_schedule_is_tried() -> None:
    known = {
        type(make(optim.SGD([nn.Parameter(mg.zeros(1))], lr=0.1, momentum=0.9), lambda x: x)) for make in RATES.values()
    }
    combined = {"ChainedScheduler", "SequentialLR", "LRScheduler", "ReduceLROnPlateau"}
    there = {
        v
        for v in vars(optim.lr_scheduler).values()
        if isinstance(v, type) and v.__module__.startswith("minigrad.optim")
    }
    assert {v.__name__ for v in there - known} <= combined
    assert SCHEDULES


def test_plateau() -> None:
    optimizer = optim.SGD([nn.Parameter(mg.zeros(1))], lr=np.float64(0.1))
    schedule = optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=np.float32(0.5), patience=np.int64(0), cooldown=np.int32(0), min_lr=np.float64(1e-3)
    )
    for loss in (np.float32(1), np.array(2.0), mg.tensor(3.0)):
        schedule.step(loss)
    assert optimizer.param_groups[0]["lr"] == 0.025
    assert json.dumps(schedule.state_dict())


@pytest.mark.parametrize("form", (0, 1))
def test_attacks(form: int) -> None:
    mg.manual_seed(0)
    model, images = nn.Linear(4, 3), mg.rand(5, 4)
    settings = {"steps": 3, "alpha": 0.02, "epsilon": 0.05, "clip": (0.0, 1.0), "restarts": 2}
    made = [
        PGD(**given, random_start=True, direction="ascend", target="label")(model, images, np.arange(5) % 3)
        for given in (changed(settings, FORMS[form]), as_python(settings, FORMS[form]))
    ]
    assert_same([made[0]], [made[1]])
    for wrong in (True, 1.5):
        with pytest.raises(ValueError, match="steps must be an integer"):
            PGD(steps=wrong)


def test_seeds() -> None:
    """A generator's seed, and the global one's."""
    for seed in (np.int64(5), np.uint8(5), np.array(5), mg.tensor(5)):
        assert mg.Generator(seed).uniform(0, 1, 2).tolist() == mg.Generator(5).uniform(0, 1, 2).tolist()
        assert json.dumps(mg.Generator().manual_seed(seed).get_state())
