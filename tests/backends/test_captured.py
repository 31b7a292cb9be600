"""CapturedStep: a training step as a CUDA graph has the numbers of the step as it is, in one launch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.cuda import CapturedStep
from minigrad.nn import functional as F
from tests import emulator

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(emulator.compiler() is None, reason="no g++ to emulate CUDA with")]


class Small(nn.Module):
    """A network with all that a step has: convolutions, batch norm, attention, dropped paths and elements."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 1))
        self.norm, self.attention = nn.BatchNorm2d(6), nn.MultiheadAttention(6, 2, dropout=0.1, batch_first=True)
        self.last, self.path = nn.Linear(6, 3), nn.DropPath(0.3)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.norm(self.features(x))).flatten(2).transpose(1, 2)
        x = x + self.path(self.attention(x, x, x)[0])
        return self.last(F.dropout(x.mean(1), 0.2))


def training(optimizer: Callable[..., Any], clip: float = 0.0) -> tuple[Any, Any, Callable[..., Any]]:
    """A network, its optimizer and its step, all from one seed."""
    minigrad.manual_seed(0)
    model = Small().to("gpu")
    steps = optimizer(model.parameters())

    def step(images: Any, labels: Any) -> Any:
        loss = F.cross_entropy(model(images), labels)
        steps.zero_grad()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        return loss

    return model, steps, step


def batches(count: int, size: int = 4) -> list[tuple[Any, Any]]:
    random = np.random.default_rng(1)
    made = [(random.standard_normal((size, 1, 6, 6), np.float32), random.integers(0, 3, size)) for _ in range(count)]
    return [(minigrad.from_numpy(x).to("gpu"), minigrad.from_numpy(y).to("gpu")) for x, y in made]


OPTIMIZERS = {
    "sgd": lambda p: minigrad.optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-4),
    "adamw": lambda p: minigrad.optim.AdamW(p, 0.01, weight_decay=0.05),
    "rmsprop": lambda p: minigrad.optim.RMSprop(p, 0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_numbers_are_those_of_the_step_as_it_is(name: str) -> None:
    """Losses, weights, running statistics and the optimizer's state, with a rate that changes, and masks that are drawn."""

    def run(captured: bool) -> list[Any]:
        model, optimizer, function = training(OPTIMIZERS[name], clip=1.0)
        step = CapturedStep(function, optimizer, warmup=2)

        def plain(*batch: Any) -> Any:
            loss = function(*batch)
            optimizer.step()
            return loss

        losses = []
        for i, batch in enumerate(batches(6)):
            optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
            losses.append((step if captured else plain)(*batch).item())
        assert step.is_captured == captured
        states = [value for state in optimizer.state.values() for value in state.values()]
        return [losses, *(x.numpy(force=True) for x in (*model.state_dict().values(), *states))]

    for ours, theirs in zip(run(True), run(False), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_step_is_one_launch_and_no_wait() -> None:
    if emulator.real_cupy() is not None:
        pytest.skip("the stand-in counts launches")
    _, optimizer, function = training(OPTIMIZERS["adamw"], clip=1.0)
    step = CapturedStep(function, optimizer, warmup=2)
    host = [(x.cpu(), y.cpu()) for x, y in batches(5)]
    for batch in host[:4]:
        step(*batch)
    with emulator.counted() as launches:
        step(*host[4])
    counts = emulator.totals(launches)
    assert counts["graph"] == 1 and emulator.work(launches) == 1 and not counts["to host"] + counts["wait"]


def test_another_shape_runs_as_it_is_and_says_so() -> None:
    model, optimizer, function = training(OPTIMIZERS["sgd"])
    step = CapturedStep(function, optimizer, warmup=1)
    for batch in batches(3):
        step(*batch)
    graph_s = [p.grad for p in model.parameters()]
    with pytest.warns(
        RuntimeWarning, match=r"inputs of \[2, 1, 6, 6\], \[2\] is not captured, those of \[4, 1, 6, 6\], \[4\] are"
    ):
        step(*batches(1, size=2)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(*batches(1, size=2)[0])  # it is said once
        assert np.isfinite(step(*batches(1)[0]).item())
    assert all(a is b for a, b in zip(graph_s, [p.grad for p in model.parameters()], strict=True))


def test_a_step_that_waits_is_not_captured_and_says_so() -> None:
    _, optimizer, function = training(OPTIMIZERS["sgd"])
    read: list[float] = []

    def reading(*batch: Any) -> Any:
        loss = function(*batch)
        read.append(loss.item())
        return loss

    step = CapturedStep(reading, optimizer, warmup=1)
    step(*batches(1)[0])
    with pytest.warns(RuntimeWarning, match="the step is not captured: .*while a stream is being captured"):
        step(*batches(1)[0])
    step(*batches(1)[0])
    assert not step.is_captured and len(read) == 3


def test_a_class_out_of_range_is_raised_where_the_loss_is_read() -> None:
    _, optimizer, function = training(OPTIMIZERS["sgd"])
    step = CapturedStep(function, optimizer, warmup=1)
    (images, labels), *_ = batches(1)
    for _ in range(2):
        step(images, labels).item()
    loss = step(images, labels + 2)
    with pytest.raises(IndexError, match="out of bounds"):
        loss.item()
    assert np.isnan(step(images, labels).item())  # the step of a NaN has been made, and it is said once


def test_its_memory_is_counted_and_given_back() -> None:
    _, optimizer, function = training(OPTIMIZERS["sgd"])
    before = minigrad.memory_allocated("gpu")
    step = CapturedStep(function, optimizer, warmup=1)
    for batch in batches(3):
        step(*batch)
    assert minigrad.memory_allocated("gpu") > before and step.is_captured
    step.close()
    assert not step.is_captured
    assert np.isfinite(step(*batches(1)[0]).item())


def test_on_a_cpu_it_is_the_function() -> None:
    layer = nn.Linear(2, 1)
    optimizer = minigrad.optim.SGD(layer.parameters(), 0.1)

    def function(x: Any) -> Any:
        loss = layer(x).sum()
        optimizer.zero_grad()
        loss.backward()
        return loss

    step = CapturedStep(function, optimizer, warmup=0)
    first, second = (step(minigrad.ones(1, 2)).item() for _ in range(2))
    assert second == pytest.approx(first - 0.3, abs=1e-6) and not step.is_captured
