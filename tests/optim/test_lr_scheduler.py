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


def ours() -> tuple[Any, Any]:
    p, q = (nn.Parameter(mg.zeros(1)) for _ in range(2))
    groups = [{"params": [p], "lr": 0.3}, {"params": [q]}]
    return optim.SGD(groups, lr=0.1), optim.lr_scheduler


def theirs() -> tuple[Any, Any]:
    p, q = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    groups = [{"params": [p], "lr": 0.3}, {"params": [q]}]
    return torch.optim.SGD(groups, lr=0.1), torch.optim.lr_scheduler


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
    "cosine": lambda opt, lib: lib.CosineAnnealingLR(opt, 8, eta_min=0.01),
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


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # torch's, of a nested SequentialLR
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_torchs(name: str) -> None:
    sequences = []
    for optimizer, lib in (ours(), theirs()):
        scheduler = SCHEDULES[name](optimizer, lib)
        sequence = [rates(optimizer)]
        for _ in range(20):
            optimizer.step()
            scheduler.step()
            assert scheduler.get_last_lr() == rates(optimizer)
            sequence.append(rates(optimizer))
        sequences.append(sequence)
    assert sequences[0] == sequences[1]
    assert len({tuple(rate) for rate in sequences[0]}) > 1


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
    for _ in range(6):
        scheduler.step()
    states = json.loads(json.dumps([optimizer.state_dict(), scheduler.state_dict()]))
    states[0]["state"] = {}
    other, _ = ours()
    resumed = build(other)
    other.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    assert resumed.get_last_lr() == scheduler.get_last_lr() and resumed.last_epoch == 6
    for _ in range(10):
        scheduler.step()
        resumed.step()
        assert rates(other) == rates(optimizer)


@pytest.mark.parametrize("name", ["step", "multistep", "linear", "cosine", "lambda"])
def test_torchs_state_is_taken(name: str) -> None:
    (our_optimizer, lib), (their_optimizer, their_lib) = ours(), theirs()
    scheduler, their_scheduler = SCHEDULES[name](our_optimizer, lib), SCHEDULES[name](their_optimizer, their_lib)
    for _ in range(4):
        their_optimizer.step()
        their_scheduler.step()
    our_optimizer.load_state_dict(their_optimizer.state_dict())
    scheduler.load_state_dict(their_scheduler.state_dict())
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
    scheduler.step()
    assert optimizer.param_groups[1]["lr"] == 0.1 * 0.25


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
