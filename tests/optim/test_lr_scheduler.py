"""Schedules: the learning rates, to the bit, of torch's; and the recipe's own."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim.lr_scheduler import LambdaLR, WarmupCosine

torch.set_num_threads(1)


def ours(kind: str = "SGD") -> tuple[Any, Any]:
    p, q = (nn.Parameter(mg.zeros(1)) for _ in range(2))
    groups = [{"params": [p], "lr": 0.3}, {"params": [q]}]
    return getattr(optim, kind)(groups, lr=0.1), optim.lr_scheduler


def theirs(kind: str = "SGD") -> tuple[Any, Any]:
    p, q = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    groups = [{"params": [p], "lr": 0.3}, {"params": [q]}]
    return getattr(torch.optim, kind)(groups, lr=0.1), torch.optim.lr_scheduler


class Halving:
    def __init__(self) -> None:
        self.factor = 0.5

    def __call__(self, step: int) -> float:
        return self.factor**step


SCHEDULES = {
    "lambda": lambda opt, lib: lib.LambdaLR(opt, lambda step: 0.9**step),
    "lambdas": lambda opt, lib: lib.LambdaLR(opt, [lambda step: 1 / (step + 1), Halving()]),
    "step": lambda opt, lib: lib.StepLR(opt, 3, gamma=0.3),
    "multistep": lambda opt, lib: lib.MultiStepLR(opt, [2, 5, 5, 9], gamma=0.3),
    "linear": lambda opt, lib: lib.LinearLR(opt, 0.1, 0.8, 7),
    "linear default": lambda opt, lib: lib.LinearLR(opt),
    "multiplicative": lambda opt, lib: lib.MultiplicativeLR(opt, lambda step: 1 - 0.5 / step),
    "multiplicatives": lambda opt, lib: lib.MultiplicativeLR(opt, [lambda step: 0.9, Halving()]),
    "constant": lambda opt, lib: lib.ConstantLR(opt, 0.3, 4),
    "exponential": lambda opt, lib: lib.ExponentialLR(opt, 0.9),
    "polynomial": lambda opt, lib: lib.PolynomialLR(opt, 12, power=1.7),
    "cosine": lambda opt, lib: lib.CosineAnnealingLR(opt, 8, eta_min=0.01),
    "restarts": lambda opt, lib: lib.CosineAnnealingWarmRestarts(opt, 4, eta_min=0.01),
    "longer restarts": lambda opt, lib: lib.CosineAnnealingWarmRestarts(opt, 2, T_mult=2),
    "one cycle": lambda opt, lib: lib.OneCycleLR(opt, 0.5, total_steps=22),
    "one cycle, straight": lambda opt, lib: lib.OneCycleLR(
        opt,
        [0.5, 0.3],
        epochs=5,
        steps_per_epoch=5,
        anneal_strategy="linear",
        base_momentum=[0.5, 0.6],
        div_factor=10.0,
    ),
    "one cycle, three phases": lambda opt, lib: lib.OneCycleLR(
        opt, 0.5, 24, pct_start=0.4, three_phase=True, cycle_momentum=False, final_div_factor=10
    ),
    "cyclic": lambda opt, lib: lib.CyclicLR(opt, 0.01, [0.2, 0.3], step_size_up=3, step_size_down=2),
    "cyclic, lower": lambda opt, lib: lib.CyclicLR(opt, [0.01, 0.02], 0.2, 4, mode="triangular2", max_momentum=0.99),
    "cyclic, fading": lambda opt, lib: lib.CyclicLR(opt, 0.01, 0.2, 3, mode="exp_range", gamma=0.9),
    "cyclic, function": lambda opt, lib: lib.CyclicLR(
        opt, 0.01, 0.2, 3, scale_fn=lambda x: 1 / x, scale_mode="cycle", cycle_momentum=False
    ),
    "chained": lambda opt, lib: lib.ChainedScheduler([lib.ConstantLR(opt, 0.1, 5), lib.ExponentialLR(opt, 0.8)]),
    "constant, restarts": lambda opt, lib: lib.SequentialLR(
        opt, [lib.ConstantLR(opt, 0.1, 3), lib.CosineAnnealingWarmRestarts(opt, 3), lib.PolynomialLR(opt, 6)], [3, 11]
    ),
    "warm-up, cosine": lambda opt, lib: lib.SequentialLR(
        opt, [lib.LinearLR(opt, 0.01, 1.0, 4), lib.CosineAnnealingLR(opt, 12)], [4]
    ),
    "three": lambda opt, lib: lib.SequentialLR(
        opt, [lib.LinearLR(opt, 0.5), lib.StepLR(opt, 2), lib.MultiStepLR(opt, [3])], [3, 9]
    ),
    "lambda second": lambda opt, lib: lib.SequentialLR(
        opt, [lib.StepLR(opt, 2), lib.LambdaLR(opt, lambda step: 1 + step)], [5]
    ),
    "nested": lambda opt, lib: lib.SequentialLR(
        opt,
        [lib.SequentialLR(opt, [lib.LinearLR(opt, 0.5), lib.StepLR(opt, 2)], [3]), lib.CosineAnnealingLR(opt, 5)],
        [7],
    ),
}


def rates(optimizer: Any) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def settings(optimizer: Any) -> list[Any]:
    """Rates and momenta, which cycle too."""
    return [(group["lr"], group.get("momentum"), group.get("betas")) for group in optimizer.param_groups]


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # torch's, of a nested SequentialLR
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_torchs(name: str) -> None:
    sequences = []
    for optimizer, lib in (ours(), theirs()):
        scheduler = SCHEDULES[name](optimizer, lib)
        sequence = [settings(optimizer)]
        for _ in range(20):
            optimizer.step()
            scheduler.step()
            assert scheduler.get_last_lr() == rates(optimizer)
            sequence.append(settings(optimizer))
        sequences.append(sequence)
    assert sequences[0] == sequences[1]
    assert len({tuple(setting) for setting in sequences[0]}) > 1


@pytest.mark.parametrize("name", ["one cycle", "cyclic"])
def test_adams_first_beta_cycles(name: str) -> None:
    sequences = []
    for optimizer, lib in (ours("Adam"), theirs("Adam")):
        scheduler = SCHEDULES[name](optimizer, lib)
        sequence = []
        for _ in range(10):
            optimizer.step()
            scheduler.step()
            sequence.append(settings(optimizer))
        sequences.append(sequence)
    assert sequences[0] == sequences[1]
    assert len({setting[0][2][0] for setting in sequences[0]}) > 1


@pytest.mark.parametrize(
    "kwargs",
    [
        {"patience": 1},
        {"mode": "max", "patience": 1, "factor": 0.5, "threshold": 0.1},
        {"patience": 0, "cooldown": 2, "threshold": 0.3, "threshold_mode": "abs", "min_lr": 0.02},
        {"mode": "max", "patience": 1, "threshold_mode": "abs", "min_lr": [0.05, 0.001], "eps": 0.01},
    ],
    ids=str,
)
def test_plateaus_are_torchs(kwargs: dict[str, Any]) -> None:
    metrics = np.random.default_rng(0).uniform(0.5, 1.5, 40).tolist()
    sequences = []
    for optimizer, lib in (ours(), theirs()):
        scheduler = lib.ReduceLROnPlateau(optimizer, **kwargs)
        sequence = []
        for i, metric in enumerate(metrics):
            if i == 20:  # taken up by another one
                state = json.loads(json.dumps(scheduler.state_dict()))
                scheduler = lib.ReduceLROnPlateau(optimizer, **kwargs)
                scheduler.load_state_dict(state)
            scheduler.step(metric)
            assert scheduler.get_last_lr() == rates(optimizer)
            sequence.append((rates(optimizer), scheduler.num_bad_epochs, scheduler.in_cooldown, scheduler.best))
        sequences.append(sequence)
    assert sequences[0] == sequences[1]
    assert len({tuple(rate) for rate, *_ in sequences[0]}) > 1


def test_plateau_takes_a_tensor_and_refuses_new_groups_without_a_least_rate() -> None:
    for (optimizer, lib), tensors, lib_nn in ((ours(), mg, nn), (theirs(), torch, torch.nn)):
        scheduler = lib.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1, 0.1])
        scheduler.step(tensors.tensor(1.0))
        optimizer.add_param_group({"params": [lib_nn.Parameter(tensors.zeros(1))]})
        with pytest.raises(RuntimeError, match="number of param groups"):
            scheduler.step(tensors.tensor(2.0))


@pytest.mark.parametrize("T_mult", [1, 2, 3])
def test_restarts_at_any_moment_are_torchs(T_mult: int) -> None:
    sequences = []
    for optimizer, lib in (ours(), theirs()):
        scheduler = lib.CosineAnnealingWarmRestarts(optimizer, 2, T_mult, eta_min=0.01)
        sequence = []
        for epoch in (0.0, 0.5, 1.9, 2.0, 7.25, 30, 3):
            scheduler.step(epoch)
            sequence.append(rates(optimizer))
        scheduler.step()
        sequences.append([*sequence, rates(optimizer), scheduler.last_epoch])
    assert sequences[0] == sequences[1]


@pytest.mark.parametrize(
    "name", ["step", "multistep", "constant", "linear", "exponential", "polynomial", "cosine", "lambda"]
)
def test_going_to_a_step_warns_and_is_torchs(name: str) -> None:
    sequences = []
    for optimizer, lib in (ours(), theirs()):
        scheduler = SCHEDULES[name](optimizer, lib)
        optimizer.step()
        with pytest.warns(UserWarning, match="epoch parameter"):
            scheduler.step(7)
        sequences.append(rates(optimizer))
    assert sequences[0] == sequences[1]


@pytest.mark.filterwarnings("error")
def test_a_schedule_that_steps_before_its_optimizer_warns() -> None:
    for optimizer, lib in (ours(), theirs()):
        optimizer.step()  # before there is a schedule: does not count
        scheduler = lib.StepLR(optimizer, 2)
        with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
            scheduler.step()
        scheduler.step()  # once is enough
        optimizer.step()
        scheduler = lib.StepLR(optimizer, 2)
        scheduler.step()  # the optimizer has stepped since the first schedule was made
    optimizer, lib = ours()
    outer = lib.SequentialLR(optimizer, [lib.LinearLR(optimizer), lib.StepLR(optimizer, 3)], [4])
    with pytest.warns(UserWarning, match="Detected call"):
        outer.step()
    optimizer, lib = ours()
    outer = SCHEDULES["nested"](optimizer, lib)
    optimizer.step()
    outer.step()


def test_two_schedules_on_one_optimizer() -> None:
    sequences = []
    for optimizer, lib in (ours(), theirs()):
        schedulers = [lib.StepLR(optimizer, 2), lib.CosineAnnealingLR(optimizer, 6)]
        sequence = []
        for _ in range(6):
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
            sequence.append(rates(optimizer))
        sequences.append(sequence)
    assert sequences[0] == sequences[1]


@pytest.mark.parametrize("name", [*SCHEDULES, "recipe"])
def test_state_resumes(name: str) -> None:
    """A run stopped after 6 steps and taken up by new objects gives the same rates, also through JSON."""

    def build(optimizer: Any) -> Any:
        if name == "recipe":
            return WarmupCosine(optimizer, 4, 16)
        return SCHEDULES[name](optimizer, optim.lr_scheduler)

    optimizer, _ = ours()
    scheduler = build(optimizer)
    optimizer.step()
    for _ in range(6):
        scheduler.step()
    states = json.loads(json.dumps([optimizer.state_dict(), scheduler.state_dict()]))
    states[0]["state"] = {}
    other, _ = ours()
    resumed = build(other)
    other.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    assert resumed.get_last_lr() == scheduler.get_last_lr()
    assert name == "chained" or resumed.last_epoch == 6
    other.step()
    for _ in range(10):
        scheduler.step()
        resumed.step()
        assert settings(other) == [(lr, m, b and list(b)) for lr, m, b in settings(optimizer)]


@pytest.mark.parametrize("name", [name for name in SCHEDULES if "," not in name and name not in ("three", "nested")])
def test_torchs_state_is_taken(name: str) -> None:
    (our_optimizer, lib), (their_optimizer, their_lib) = ours(), theirs()
    scheduler, their_scheduler = SCHEDULES[name](our_optimizer, lib), SCHEDULES[name](their_optimizer, their_lib)
    for _ in range(4):
        their_optimizer.step()
        their_scheduler.step()
    our_optimizer.load_state_dict(their_optimizer.state_dict())
    scheduler.load_state_dict(their_scheduler.state_dict())
    our_optimizer.step()
    for _ in range(6):
        scheduler.step()
        their_scheduler.step()
        assert rates(our_optimizer) == rates(their_optimizer)


def test_last_epoch_takes_a_run_up_again() -> None:
    sequences = []
    for optimizer, lib in (ours(), theirs()):
        with pytest.raises(KeyError, match="initial_lr"):
            lib.CosineAnnealingLR(optimizer, 8, last_epoch=3)
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        scheduler = lib.CosineAnnealingLR(optimizer, 8, last_epoch=3)
        optimizer.step()
        scheduler.step()
        sequences.append(rates(optimizer))
    assert sequences[0] == sequences[1]


@pytest.mark.parametrize(
    "build",
    [
        lambda opt, lib: lib.LinearLR(opt, 0.0),
        lambda opt, lib: lib.LinearLR(opt, 1.5),
        lambda opt, lib: lib.LinearLR(opt, 1.0, -0.1),
        lambda opt, lib: lib.LambdaLR(opt, [lambda step: 1.0]),
        lambda opt, lib: lib.SequentialLR(opt, [], []),
        lambda opt, lib: lib.SequentialLR(opt, [lib.StepLR(opt, 1)], [3]),
        lambda opt, lib: lib.StepLR(3, 1),
        lambda opt, lib: lib.MultiplicativeLR(opt, 0.5),
        lambda opt, lib: lib.MultiplicativeLR(opt, [lambda step: 1.0]),
        lambda opt, lib: lib.ConstantLR(opt, 1.5),
        lambda opt, lib: lib.ConstantLR(opt, -0.5),
        lambda opt, lib: lib.CosineAnnealingWarmRestarts(opt, 0),
        lambda opt, lib: lib.CosineAnnealingWarmRestarts(opt, 2, T_mult=1.5),
        lambda opt, lib: lib.CosineAnnealingWarmRestarts(opt, 2, eta_min="0"),
        lambda opt, lib: lib.CosineAnnealingWarmRestarts(opt, 2).step(-1),
        lambda opt, lib: lib.OneCycleLR(opt, 0.1),
        lambda opt, lib: lib.OneCycleLR(opt, 0.1, total_steps=0),
        lambda opt, lib: lib.OneCycleLR(opt, 0.1, epochs=3, steps_per_epoch=-1),
        lambda opt, lib: lib.OneCycleLR(opt, 0.1, 10, pct_start=1.5),
        lambda opt, lib: lib.OneCycleLR(opt, 0.1, 10, anneal_strategy="sin"),
        lambda opt, lib: lib.OneCycleLR(opt, [0.1], 10),
        lambda opt, lib: lib.OneCycleLR(3, 0.1, 10),
        lambda opt, lib: lib.CyclicLR(opt, 0.1, 0.2, mode="square"),
        lambda opt, lib: lib.CyclicLR(opt, [0.1], 0.2),
        lambda opt, lib: lib.ReduceLROnPlateau(opt, factor=1.0),
        lambda opt, lib: lib.ReduceLROnPlateau(opt, mode="best"),
        lambda opt, lib: lib.ReduceLROnPlateau(opt, threshold_mode="some"),
        lambda opt, lib: lib.ReduceLROnPlateau(opt, min_lr=[0.1]),
        lambda opt, lib: lib.ReduceLROnPlateau(3),
        lambda opt, lib: lib.ChainedScheduler([]),
        lambda opt, lib: lib.ChainedScheduler([3], opt),
        lambda opt, lib: lib.ChainedScheduler([lib.ReduceLROnPlateau(opt)]),
        lambda opt, lib: lib.SequentialLR(opt, [lib.ReduceLROnPlateau(opt)], []),
    ],
)
def test_misuse_is_refused_as_in_torch(build: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        build(*theirs())
    with pytest.raises(error.type):
        build(*ours())


def test_sequential_of_two_optimizers() -> None:
    optimizer, lib = ours()
    stranger, _ = ours()
    with pytest.raises(ValueError, match="same optimizer"):
        lib.SequentialLR(optimizer, [lib.StepLR(optimizer, 1), lib.StepLR(stranger, 1)], [3])


def test_functions_are_not_saved_but_callable_objects_are() -> None:
    optimizer, _ = ours()
    scheduler = LambdaLR(optimizer, [lambda step: 1.0, Halving()])
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [None, {"factor": 0.5}]
    state["lr_lambdas"][1]["factor"] = 0.25
    scheduler.load_state_dict(state)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[1]["lr"] == 0.1 * 0.25
    cyclic = optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.2, scale_fn=Halving())
    assert cyclic.state_dict()["_scale_fn_custom"] == {"factor": 0.5}
    cyclic.load_state_dict({**cyclic.state_dict(), "_scale_fn_custom": {"factor": 0.25}})
    assert cyclic.scale_fn(1) == 0.25


def test_one_cycle_is_over_after_its_steps() -> None:
    for optimizer, lib in (ours(), theirs()):
        scheduler = lib.OneCycleLR(optimizer, 0.1, 3)
        optimizer.step()
        for _ in range(3):
            scheduler.step()
        with pytest.raises(ValueError, match="Tried to step 4 times. The specified number of total steps is 3"):
            scheduler.step()


def test_cycling_needs_a_momentum() -> None:
    for optimizer, lib in (ours("Adagrad"), theirs("Adagrad")):
        for build in (lambda o, n: n.OneCycleLR(o, 0.1, 9), lambda o, n: n.CyclicLR(o, 0.1, 0.2)):
            with pytest.raises(ValueError, match="must support momentum or beta1"):
                build(optimizer, lib)


# ---- the recipe's schedule -------------------------------------------------------------------------------------------


def recipe(warmup: int, total: int, steps: int | None = None) -> list[float]:
    """The rates of the iterations 0, 1, ... of a run with base rate 0.1."""
    optimizer = optim.SGD([nn.Parameter(mg.zeros(1))], lr=0.1)
    scheduler = WarmupCosine(optimizer, warmup, total)
    sequence = []
    for _ in range(total if steps is None else steps):
        sequence.append(rates(optimizer)[0])
        optimizer.step()
        scheduler.step()
    return sequence


def test_warmup_cosine() -> None:
    sequence = recipe(5, 25)
    assert sequence[0] == 0
    np.testing.assert_allclose(np.diff(sequence[:6]), 0.02, rtol=1e-12)  # linear
    assert sequence[5] == 0.1 == max(sequence)
    assert sequence[-1] == 1e-8 and all(np.diff(sequence[5:]) < 0)
    cosine = [1e-8 + (0.1 - 1e-8) * (1 + math.cos(math.pi * t / 19)) / 2 for t in range(20)]
    np.testing.assert_allclose(sequence[5:], cosine, rtol=1e-12)
    assert recipe(5, 25, steps=30)[25:] == [1e-8] * 5  # and stays there
    groups, _ = ours()
    scheduler = WarmupCosine(groups, 2, 9)
    groups.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.15, 0.05]


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (0, 2), (0, 10), (1, 2), (3, 4), (3, 3), (8, 4), (20, 100)])
def test_warmup_cosine_is_the_formula_that_both_scripts_share(warmup: int, total: int) -> None:
    from minigrad.training.schedule import learning_rate

    np.testing.assert_allclose(
        recipe(warmup, total), [learning_rate(t, total, warmup, 0.1) for t in range(total)], rtol=1e-14
    )


def test_warmup_cosine_refuses_nonsense() -> None:
    optimizer, _ = ours()
    for warmup, total in ((-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="warmup_iters"):
            WarmupCosine(optimizer, warmup, total)
