"""Gradients never depend on who else holds a reference: the engine writes only into arrays that it owns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import engine, op
from minigrad.tensor import Tensor
from tests.ownership import may_share_memory

ROOT = Path(__file__).resolve().parents[2]


class Block(mg.nn.Module):
    """Images through a residual block, a pool and attention over places: gradients meet in every way that networks know."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = mg.nn.Conv2d(3, 8, 3, padding=1)
        self.conv1, self.bn1 = mg.nn.Conv2d(8, 8, 3, padding=1), mg.nn.BatchNorm2d(8)
        self.conv2, self.bn2 = mg.nn.Conv2d(8, 8, 1), mg.nn.BatchNorm2d(8)
        self.norm, self.attention = mg.nn.LayerNorm(8), mg.nn.MultiheadAttention(8, 2, batch_first=True)
        self.positions = mg.nn.Parameter(mg.randn(1, 9, 8))
        self.head = mg.nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x).relu()
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        x = mg.nn.functional.max_pool2d((x + y).relu(), 2)
        x = x.flatten(2).transpose(1, 2) + self.positions
        z = self.norm(x)
        x = x + self.attention(z, z, z)[0]
        x = x + mg.nn.functional.gelu(z) * self.positions[:, :1]
        x = ((x.clone() + x) + x.clone()) * 0.5  # one array waits for several readers
        a, b = x.mean(1).split(4, 1)
        return self.head(mg.cat([a + b, a * b], 1)) + self.head(x[:, 0]) + self.head(x[:, 0])


def gradients() -> list[bytes]:
    """Of every parameter and of the images, after two backward passes into the same .grad."""
    mg.manual_seed(3)
    model = Block()
    images = mg.randn(4, 3, 6, 6, requires_grad=True)
    for _ in range(2):
        mg.nn.functional.cross_entropy(model(images), mg.tensor([0, 1, 2, 3])).backward()
    return [x.grad.array.tobytes() for x in (images, *model.parameters())]


def test_references_held_elsewhere_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """To every tensor of the forward and the backward pass, and to each one's array."""
    plain = gradients()
    held: list = []
    call, step, wrap = op.Op.__call__, engine._step, Tensor._wrap.__func__

    def keep(found):
        held.extend((x, x.array) for x in found if isinstance(x, Tensor))

    def calling(self, *inputs):
        outputs = call(self, *inputs)
        keep([*inputs, *(outputs if type(outputs) is tuple else [outputs])])
        return outputs

    def stepping(node, incoming, *rest):
        results = step(node, incoming, *rest)
        keep([*incoming, *[result for _, result in results]])
        return results

    def wrapping(cls, array):
        tensor = wrap(cls, array)
        keep([tensor])
        return tensor

    monkeypatch.setattr(op.Op, "__call__", calling)
    monkeypatch.setattr(engine, "_step", stepping)
    monkeypatch.setattr(Tensor, "_wrap", classmethod(wrapping))
    assert gradients() == plain
    assert len(held) > 200


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_reference_counts_are_never_asked(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Python 3.14 borrows references of local variables: the counts are others than before."""
    plain = gradients()
    monkeypatch.setattr(sys, "getrefcount", lambda _: count)
    assert gradients() == plain


def test_no_reference_count_in_the_package() -> None:
    found = [
        path
        for folder in ("minigrad", "models", "compare", "tools")
        for path in (ROOT / folder).rglob("*.py")
        if "getrefcount" in path.read_text(encoding="utf-8")
    ]
    assert not found


def test_what_an_op_passes_on_is_not_added_into(device: str) -> None:
    """Add, Clone, reshape ... hand the gradient that came in to several places, and to whoever looks."""
    x = mg.rand(3, 4, device=device, dtype=mg.float64, requires_grad=True)
    seen = []
    y = x * 1.0
    a, b, c = y + 0.0, y.clone(), y.reshape(4, 3).reshape(3, 4)
    for t in (a, b, c):
        t.register_hook(lambda g: seen.append((g, g.array.copy())))
    start = mg.rand(3, 4, device=device, dtype=mg.float64)
    before = start.clone()
    (a + b + c).backward(start)
    assert len(seen) == 3
    for g, then in seen:
        assert (g.array == then).all()
    assert (start == before).all()
    np.testing.assert_allclose(x.grad.cpu().numpy(), 3 * before.cpu().numpy(), rtol=1e-15)


def test_what_hooks_and_observers_hold_is_not_added_into(device: str) -> None:
    x = mg.rand(3, 4, device=device, dtype=mg.float64, requires_grad=True)
    held = []

    def note(results, gradients):
        held.extend((g, g.array.copy()) for g in (*results, *gradients) if g is not None)

    y = x * 2.0
    parts = [y * y, y * 3.0, y.exp(), y.relu()]
    for part in parts:
        part.grad_fn.register_hook(note)
    leaf_hook = x.register_hook(lambda g: held.append((g, g.array.copy())))
    with mg.autograd.profile():
        sum(part.sum() for part in parts).backward(retain_graph=True)
    sum(part.sum() for part in parts).backward()
    leaf_hook.remove()
    assert len(held) >= 18
    for g, then in held:
        assert (g.array == then).all()


def test_a_leaf_gets_an_array_of_its_own(device: str) -> None:
    """Not the one that another leaf, a hook, or the caller holds."""
    x, y = (mg.rand(5, device=device, requires_grad=True) for _ in range(2))
    start = mg.rand(5, device=device)
    (x + y).backward(start)
    assert not may_share_memory(x.grad.array, y.grad.array)
    assert not may_share_memory(x.grad.array, start.array)
    seen = []
    x.grad = None
    x.register_hook(seen.append)
    (x * y).backward(start)
    assert not may_share_memory(x.grad.array, seen[0].array)


def test_what_grad_returns_is_not_written_into_later(device: str) -> None:
    x = mg.rand(5, device=device, requires_grad=True)
    y = x * 2.0
    z = y * y + y * 3.0
    gy, gx = mg.autograd.grad(z.sum(), [y, x], retain_graph=True)
    kept = gy.array.copy(), gx.array.copy()
    z.sum().backward(retain_graph=True)
    z.sum().backward()
    assert (gy.array == kept[0]).all() and (gx.array == kept[1]).all()


class Passes(mg.Op):
    """z = x + 1, wrongly declared fresh: its gradient is the one that came in."""

    fresh = True

    def forward(self, x):
        return x + 1

    def backward(self, gz):
        return gz


def test_a_false_declaration_is_seen() -> None:
    x = mg.rand(3, requires_grad=True)
    with pytest.raises(AssertionError, match="Passes is declared fresh"):
        Passes()(x).sum().backward()
    with pytest.raises(AssertionError, match="Passes is declared fresh"):
        (Passes()(x) * 2.0).sum().backward()


def test_gradients_that_meet_are_torchs(device: str) -> None:
    """Fresh and passed-on gradients in every order of arrival."""
    generator = np.random.default_rng(0)
    ways = {
        "passed": lambda t: t + 0.0, "fresh": lambda t: t * 1.5, "view": lambda t: t.reshape(-1).reshape(3, 4),
        "row": lambda t: t[1], "transposed": lambda t: t.T, "itself": lambda t: t,
    }  # fmt: skip
    for _ in range(40):
        names = list(generator.choice(list(ways), size=4))
        array, weights = generator.normal(size=(3, 4)), generator.normal(size=8)
        results = []
        for framework in (mg, torch):
            x = framework.from_numpy(array.copy())
            x = x.to(device) if framework is mg else x
            x.requires_grad_()
            y = x * 1.0
            total = 0.0
            for name, w in zip(names * 2, weights, strict=True):
                total = total + (ways[name](y) * float(w)).sum()
            total.backward()
            results.append(x.grad.cpu().numpy())
        np.testing.assert_allclose(*results, rtol=1e-13)
