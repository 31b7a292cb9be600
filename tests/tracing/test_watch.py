"""A watched training: norms as by hand, dead units as counted, the same in PyTorch, and nothing changed by it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
import models
import models.reference
from minigrad import nn


def both(name: str = "simplenet-bn") -> tuple[nn.Module, torch.nn.Module]:
    torch.manual_seed(1)
    theirs = models.reference.create(name, 5, 3, 16).double()
    ours = models.create(name, 5, 3, 16).double()
    ours.load_state_dict({key: mg.from_numpy(value.numpy().copy()) for key, value in theirs.state_dict().items()})
    return ours, theirs


def batch() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.standard_normal((6, 3, 16, 16)), random.integers(0, 5, 6)


def trained(model: Any, optimizer: Any, steps: int) -> None:
    library: Any = mg if isinstance(model, nn.Module) else torch
    images, labels = (library.from_numpy(x.copy()) for x in batch())
    for _ in range(steps):
        optimizer.zero_grad()
        library.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def test_both_frameworks_show_the_same() -> None:
    ours, theirs = both()
    optimizers = mg.optim.SGD(ours.parameters(), 0.05, 0.9), torch.optim.SGD(theirs.parameters(), 0.05, 0.9)
    seen = []
    for model, optimizer in zip((ours, theirs), optimizers, strict=True):
        with mg.watch(model, optimizer) as watch:
            trained(model, optimizer, 4)
        seen.append(watch)
    mine, torchs = seen
    assert mine.steps == torchs.steps == [0, 1, 2, 3]
    for name in dict(ours.named_parameters()):
        np.testing.assert_allclose(mine.gradients[name], torchs.gradients[name], rtol=1e-7)
        np.testing.assert_allclose(mine.updates[name], torchs.updates[name], rtol=1e-7)
        np.testing.assert_allclose(mine.weights[name], torchs.weights[name], rtol=1e-9)
    assert mine.dead.keys() <= torchs.dead.keys() and len(mine.dead) >= 6
    for layer, shares in mine.dead.items():  # where a pool ran with its ReLU, a unit is dead if its pooled map is
        assert shares == torchs.dead[layer], layer


def test_norms_are_those_of_gradient_and_change() -> None:
    layer = nn.Linear(2, 1, bias=False)
    optimizer = mg.optim.SGD(layer.parameters(), lr=0.5)
    layer.weight.data = mg.tensor([[3.0, 4.0]])
    with mg.watch(layer, optimizer) as watch:
        layer(mg.tensor([[6.0, 8.0]])).sum().backward()
        optimizer.step()
    assert watch.gradients["weight"] == [10.0] and watch.weights["weight"] == [5.0]
    assert watch.updates["weight"] == [5.0] and watch.relative_updates()["weight"] == [1.0]
    assert "weight" in str(watch)


def test_only_each_so_manieth_step_and_numbers_from_the_first() -> None:
    ours, _ = both("simplenet")
    optimizer = mg.optim.SGD(ours.parameters(), 0.01)
    with mg.watch(ours, optimizer, every=3, first=4) as watch:
        trained(ours, optimizer, 6)
    assert watch.steps == [6, 9]
    assert all(len(values) == 2 for table in (watch.gradients, watch.updates, watch.dead) for values in table.values())
    assert "features.1" in watch.dead  # the ReLU's name, though it ran as one with its convolution and pool


def test_watching_changes_nothing_and_ends_with_the_context() -> None:
    ends = []
    for watched in (False, True):
        ours, _ = both()
        optimizer = mg.optim.AdamW(ours.parameters(), 0.01)
        if watched:
            with mg.watch(ours, optimizer) as watch:
                trained(ours, optimizer, 2)
            trained(ours, optimizer, 1)
            assert watch.steps == [0, 1]
        else:
            trained(ours, optimizer, 3)
        ends.append([p.array.copy() for p in ours.parameters()])
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))


def test_without_an_optimizer_step_is_called_by_hand() -> None:
    w = nn.Linear(1, 1, bias=False)
    with mg.watch(w) as watch:
        for _ in range(2):
            w.zero_grad()
            w(mg.ones(1, 1)).sum().backward()
            with mg.no_grad():
                w.weight -= 0.25
            watch.step()
    assert watch.steps == [0, 1]
    np.testing.assert_allclose(watch.updates["weight"], [0.25, 0.25], rtol=1e-6)
    with pytest.raises(RuntimeError, match="the optimizer's own steps count"):
        mg.watch(w, mg.optim.SGD(w.parameters(), 0.1)).step()
    with pytest.raises(ValueError, match="at least 1"):
        mg.watch(w, every=0)


def test_a_dead_unit_is_one_that_is_zero_for_the_whole_batch() -> None:
    layer = nn.Sequential(nn.Linear(1, 4), nn.ReLU())
    layer[0].weight.data = mg.tensor([[1.0], [-1.0], [1.0], [1.0]])
    layer[0].bias.data = mg.tensor([0.0, 0.0, -9.0, 9.0])
    with mg.watch(layer) as watch:
        layer(mg.tensor([[1.0], [2.0]])).sum().backward()
        watch.step()
        with mg.no_grad():
            layer(mg.tensor([[-1.0]]))  # an evaluation does not count
        watch.step()
    assert watch.dead["1"][0] == 0.5 and math.isnan(watch.dead["1"][1])


def test_the_picture_and_the_events(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    ours, _ = both()
    optimizer = mg.optim.SGD(ours.parameters(), 0.05)
    with mg.watch(ours, optimizer, folder=tmp_path) as watch:
        trained(ours, optimizer, 3)
    assert (tmp_path / "watch.png").read_bytes().startswith(b"\x89PNG")
    (live,) = tmp_path.glob("*tfevents*")
    watch.tensorboard(tmp_path / "again")
    (later,) = (tmp_path / "again").glob("*tfevents*")
    for path in (live, later):
        scalars = {
            (e.step, v.tag): v.simple_value for e in map(Event.FromString, records(path)) for v in e.summary.value
        }
        name = "features.0.weight"
        for step in range(3):
            assert math.isclose(scalars[step, f"gradient/{name}"], watch.gradients[name][step], rel_tol=1e-6)
            assert math.isclose(scalars[step, "dead/features.7"], watch.dead["features.7"][step], rel_tol=1e-6)


def records(path: Path) -> list[bytes]:
    """The records of a file of events: length, its check, the record, its check."""
    data, found = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        found.append(data[12 : 12 + length])
        data = data[16 + length :]
    return found
