"""What a trace records is what happened: the same numbers, PyTorch's gradients at every node, the engine's order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.tracing.record import Trace
from minigrad.tracing.values import Value


def expression(library: Any, w: Any, b: Any, x: Any, y: Any) -> dict[str, Any]:
    """Every intermediate of a loss in which w and p are used twice."""
    found: dict[str, Any] = {"product": w * x}
    found["p"] = found["product"] + b
    found["difference"] = found["p"] - y
    found["square"] = found["difference"] ** 2
    found["mean"] = found["square"].mean()
    found["sin"] = w.sin()
    found["exp"] = found["p"].exp()
    found["sum"] = found["exp"].sum()
    found["second"] = found["sin"] * found["sum"]
    found["loss"] = found["mean"] + found["second"]
    return found


def numbers() -> dict[str, np.ndarray]:
    return {"w": np.array(0.5), "b": np.array(0.1), "x": np.array([1.0, 2.0, 3.0]), "y": np.array([2.0, 4.0, 7.0])}


def traced() -> Trace:
    w, b = (mg.tensor(numbers()[name], requires_grad=True) for name in "wb")
    x, y = (mg.tensor(numbers()[name]) for name in "xy")
    with mg.trace() as t:
        found = expression(mg, w, b, x, y)
        found["loss"].backward()
    return t


def test_every_result_and_gradient_is_torchs() -> None:
    t = traced()
    w, b = (torch.tensor(numbers()[name], requires_grad=True) for name in "wb")
    found = expression(torch, w, b, torch.tensor(numbers()["x"]), torch.tensor(numbers()["y"]))
    for x in found.values():
        x.retain_grad()
    found["loss"].backward()
    assert len(t.nodes) == len(t.visits) == len(found)
    for node, theirs in zip(t.nodes, found.values(), strict=True):
        (ours,) = node.outputs
        np.testing.assert_allclose(ours.array, theirs.detach(), rtol=1e-12)
        np.testing.assert_allclose(ours.gradient.array, theirs.grad, rtol=1e-12)
    for leaf, theirs in zip(t.leaves, (w, b), strict=True):
        np.testing.assert_allclose(leaf.gradient.array, theirs.grad, rtol=1e-12)
    assert [leaf.label for leaf in t.leaves] == ["w", "b"]


def test_the_node_made_last_is_next_and_its_gradient_is_the_sum_of_what_was_sent() -> None:
    t = traced()
    order = [visit.node.number for visit in t.visits]
    assert order == sorted(order, reverse=True)
    for visit in t.visits:
        assert visit.waiting[0] == visit.node.number == max(visit.waiting)
        (gradient,), (arrived,) = visit.gradients, visit.arrived
        assert visit.begins == (not arrived)
        if arrived:
            np.testing.assert_allclose(sum(sent.value.array for sent in arrived), gradient.array, rtol=1e-12)
    p = t.visits[-2]
    assert [t.visits[sent.visit].node.name for sent in p.arrived[0]] == ["Exp", "Sub"]
    assert t.visits[4].waiting == [5, 4, 1]


def test_a_trace_changes_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3))
    images, labels = mg.randn(2, 2, 8, 8), mg.tensor([0, 2])

    def gradients() -> list[np.ndarray]:
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        return [p.grad.array.copy() for p in model.parameters()]

    plain = gradients()
    with mg.trace() as t:
        watched = gradients()
    assert all(np.array_equal(a, b) for a, b in zip(plain, watched, strict=True))
    assert t.nodes[0].name == "Conv2dReluMaxPool2d"  # it fuses as it does without a trace


def test_modules_lines_and_names() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
            self.fc = nn.Linear(32, 3)

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return self.fc(self.features(x).flatten(1))

    net = Net()
    images = mg.randn(2, 1, 8, 8)
    images.name = "digits"
    with mg.trace() as t:
        loss = net(images).sum()
        loss.backward()
    assert [node.module for node in t.nodes] == ["features.0-1", "features.2", "Net", "fc", ""]
    assert [x.label for x in t.nodes[0].inputs] == ["digits", "features.0.weight", "features.0.bias"]
    assert t.nodes[-1].outputs[0].label == "loss"
    assert {leaf.label for leaf in t.leaves} == {name for name, _ in net.named_parameters()}
    assert all(node.line.startswith("test_record.py:") for node in t.nodes)


def test_a_name_is_the_tensors_own() -> None:
    x = mg.ones(2)
    assert x.name is None
    x.name = "ones"
    assert x.name == "ones"


def test_what_is_saved_and_when_it_is_freed() -> None:
    x = mg.ones(1000, dtype=mg.float64, requires_grad=True)
    with mg.trace() as t:
        loss = (x.exp().sin() * 2).sum()
        loss.backward()
    exp, sin = t.nodes[0], t.nodes[1]
    assert [what for what, _, _ in exp.saved] == ["the result"] and exp.saved[0][2] == 8000
    assert sin.saved == [("saved tensor 0", (1000,), 8000)]
    by_name = {visit.node.name: visit for visit in t.visits}
    freed = {name: [held.what for held in visit.freed] for name, visit in by_name.items()}
    assert f"the result of {exp.label}" in freed["Exp"]  # Sin saved it, too, and was through with it before
    assert exp.alive == 8000 and exp.alive <= sin.alive
    assert t.visits[-1].after < 8000 * 2


def test_each_pass_begins_anew() -> None:
    x = mg.tensor(2.0, requires_grad=True)
    with mg.trace() as t:
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
    assert [visit.begins for visit in t.visits] == [True, True]
    assert t.leaves[0].gradient.array == 8


def test_grad_of_inputs_leaves_no_grad_but_the_steps() -> None:
    x = mg.tensor(3.0, requires_grad=True)
    with mg.trace() as t:
        (g,) = mg.autograd.grad(x * x, x)
    assert g.item() == 6 and x.grad is None
    assert sum(sent.value.array for sent in t.visits[0].sent) == 6


def test_in_place_views_several_outputs_and_functions_of_the_users_own() -> None:
    class Twice(mg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: mg.Tensor) -> mg.Tensor:
            return x + x

        @staticmethod
        def backward(ctx: Any, g: mg.Tensor) -> mg.Tensor:
            return g + g

    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    with mg.trace() as t:
        y = x * 2
        y.mul_(3)
        y[0] += 1
        values, _ = y.max(1)
        loss = Twice.apply(values).sum()
        loss.backward()
    names = [node.name for node in t.nodes]
    assert "TwiceBackward" in names and names.count("Add") == 1  # those inside of forward are no steps
    np.testing.assert_array_equal(t.leaves[0].gradient.array, x.grad.array)
    second = next(node for node in t.nodes if node.name == "Mul" and node.number > 0)
    assert isinstance(second.inputs[0], Value) and second.inputs[0].producer == 0
    np.testing.assert_array_equal(second.inputs[0].array, [[2, 4], [6, 8]])  # as it was before the change


def test_what_ran_before_the_trace_is_there_by_name() -> None:
    x = mg.tensor(2.0, requires_grad=True)
    y = x.exp()
    with mg.trace() as t:
        (y * 3).backward()
    assert [visit.node.name for visit in t.visits] == ["Mul", "Exp"]
    assert t.visits[1].waiting == [t.visits[1].node.number]
    assert "Exp" in str(t)


def test_a_long_chain_from_before_the_trace_takes_no_recursion() -> None:
    x = mg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y + 1
    with mg.trace() as t:
        (y * 2).backward()
    assert len(t.visits) == 3001 and t.leaves[0].gradient.array == 2


def test_a_backward_that_fails_is_the_last_step() -> None:
    class Broken(mg.Op):
        def forward(self, x: Any) -> Any:
            return x + 1

        def backward(self, g: mg.Tensor) -> mg.Tensor:
            raise ValueError("as planned")

    x = mg.tensor(2.0, requires_grad=True)
    with pytest.raises(ValueError, match="as planned"), mg.trace() as t:
        (Broken()(x) * 2).backward()
    assert t.visits[-1].error == "ValueError: as planned" and "as planned" in str(t)


def test_beyond_what_may_be_kept_summaries_remain() -> None:
    x = mg.ones(100, requires_grad=True)
    with mg.trace(keep=0) as t:
        (x * 2).sum().backward()
    assert t.nodes[0].outputs[0].array is None
    assert t.nodes[0].outputs[0].summary.norm == 20
    assert "|20|" in str(t)


def test_a_model_is_called_within() -> None:
    with pytest.raises(TypeError, match="not Linear; to record a pass: with mg.trace"):
        mg.trace(nn.Linear(2, 2))


def test_of_a_matrix_it_is_torchs_trace() -> None:
    matrix = np.arange(9.0).reshape(3, 3)
    assert mg.trace(mg.tensor(matrix)).item() == torch.trace(torch.tensor(matrix)).item()
    assert mg.trace(input=mg.tensor(matrix)).item() == 12
    assert mg.tensor(matrix).trace().item() == 12


def test_a_trace_holds_no_array_of_the_program_alive() -> None:
    import weakref

    x = mg.ones(10, requires_grad=True)
    with mg.trace() as t:
        y = x.exp()
        y.sum().backward()
    array = weakref.ref(y.array)
    del y
    assert array() is None and t.nodes[0].outputs[0].array is not None


def test_the_text_is_80_columns_wide() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(256, 3))
    with mg.trace() as t:
        nn.functional.cross_entropy(model(mg.randn(2, 2, 8, 8)), mg.tensor([0, 2])).backward()
    lines = str(t).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("4.weight" in line for line in lines)
