"""What a trace runs again: definitions of fused nodes, finite differences, gradients that are doubled; and breakpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.tracing.record import Trace
from minigrad.tracing.replay import NotKept
from minigrad.tracing.words import formula


def network() -> tuple[nn.Module, mg.Tensor, mg.Tensor]:
    """A convolution, ReLU and pool that run as one, batch norm, a linear layer; in float64."""
    mg.manual_seed(3)
    layers = [
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(3),
        nn.Flatten(),
        nn.Linear(27, 4),
    ]
    return nn.Sequential(*layers).double(), mg.randn(5, 1, 6, 6, dtype=mg.float64), mg.tensor([0, 3, 1, 1, 2])


def traced() -> Trace:
    model, images, labels = network()
    with mg.trace() as t:
        nn.functional.cross_entropy(model(images), labels).backward()
    return t


def test_every_node_of_a_network_agrees_with_finite_differences() -> None:
    t = traced()
    for visit in t.visits:
        found = t.check(visit.node)
        assert found.ok, str(found)
        assert len(found.slopes) == len(visit.sent) + 1  # through the op to each input, and of the loss
    assert set(t.checks) == {visit.node.number for visit in t.visits}


def test_a_wrong_gradient_is_found_where_it_is_wrong() -> None:
    class Forgetful(mg.Op):
        """z = x^2;  gx = 2 x: without gz."""

        saves = {0: None}

        def forward(self, x: Any) -> Any:
            return x * x

        def backward(self, gz: mg.Tensor) -> mg.Tensor:
            return self.inputs[0] * 2

    x = mg.tensor([1.0, 2.0], dtype=mg.float64, requires_grad=True)
    with mg.trace() as t:
        (Forgetful()(x.exp()) * 3).sum().backward()
    wrong = t.check("Forgetful #1")
    assert not wrong.ok and wrong.findings and "DIFFERENT" in str(wrong)
    assert wrong.findings[0].called_at.startswith("test_replay.py")
    assert t.check(0).slopes[0].agrees  # exp itself is right
    assert not t.check(0).slopes[-1].agrees  # but the gradient that came to it is not the loss's


def test_a_check_leaves_the_program_alone() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.trace() as t:
        y = x.exp()
        (y * y).sum().backward()
    before = x.array.copy(), x.grad.array.copy(), y.array.copy()
    t.check("Exp #0"), t.doubled("Exp #0")
    for kept, now in zip(before, (x.array, x.grad.array, y.array), strict=True):
        np.testing.assert_array_equal(kept, now)


@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_doubled_is_what_a_hook_that_doubles_does(number: int) -> None:
    def loss(w: mg.Tensor, hook: int | None) -> Any:
        made = [w * 2]
        made.append(made[0].sin())
        made.append(made[0].exp())
        made.append(made[1] * made[2])
        made.append(made[3] + w)
        made.append(made[4].sum())
        if hook is not None:
            made[hook].register_hook(lambda g: g * 2)
        return made[5]

    values = np.array([0.3, -0.7, 1.1])
    w = mg.tensor(values, requires_grad=True)
    with mg.trace() as t:
        loss(w, None).backward()
    (change,) = t.doubled(number)
    again = mg.tensor(values, requires_grad=True)
    loss(again, number).backward()
    np.testing.assert_allclose(change.after, np.linalg.norm(again.grad.array), rtol=1e-12)
    np.testing.assert_allclose(change.before, np.linalg.norm(w.grad.array), rtol=1e-12)


@pytest.mark.parametrize("name", ["Conv2dReluMaxPool2d", "BatchNorm", "Linear", "CrossEntropy"])
def test_the_definition_of_a_fused_node_gives_the_same_gradients(name: str) -> None:
    t = traced()
    visit = next(visit for visit in t.visits if visit.node.name == name)
    inner = t.unfolded(visit.node)
    np.testing.assert_allclose(inner.nodes[-1].outputs[0].array, visit.node.outputs[0].array, rtol=1e-9, atol=1e-12)
    assert len(inner.leaves) == len(visit.sent)
    by_name = {leaf.label: leaf.gradient for leaf in inner.leaves}
    for sent in visit.sent:
        ours = by_name[formula(visit.node.op).names[sent.input]]
        np.testing.assert_allclose(ours.array, sent.value.array, rtol=1e-9, atol=1e-12)


def test_what_has_no_definition_does_not_unfold() -> None:
    t = traced()
    with pytest.raises(ValueError, match="no fused op"):
        t.unfolded("Reshape #2")


def test_what_was_not_kept_is_not_run_again() -> None:
    x = mg.ones(4, requires_grad=True)
    with mg.trace(keep=0) as t:
        x.exp().sum().backward()
    with pytest.raises(NotKept, match="keep="):
        t.check(0)


def test_what_ran_before_the_trace_is_not_run_again(tmp_path: Path) -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    with mg.trace() as t:
        (y.sin() + y).sum().backward()
    before = next(visit.node for visit in t.visits if visit.node.name == "Exp")
    for again in (t.check, t.doubled):
        with pytest.raises(NotKept, match="ran before the trace"):
            again(before)
    assert t.check("Sin #0").ok
    t.html(tmp_path / "page.html")


def test_what_rounds_has_no_finite_difference_and_is_not_called_wrong() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.trace() as t:
        x.exp().half().float().sum().backward()
    found = t.check("Cast #1")
    assert found.ok and "rounds to float16" in str(found)
    assert t.check("Exp #0").ok


def test_nodes_are_found_by_number_label_and_module() -> None:
    t = traced()
    assert t.node("5").name == "Linear" and t.node(0) is t.nodes[0] and t.node(t.nodes[1].label) is t.nodes[1]
    with pytest.raises(ValueError, match="no node is called 'nowhere'"):
        t.node("nowhere")


def test_breakpoints() -> None:
    x = mg.tensor([[-1.0, 4.0], [-2.0, 9.0]], requires_grad=True)
    with mg.trace() as t:
        y = x.relu()
        z = (y - 9).sqrt()  # NaN forward, and backward
        (z.nan_to_num() * 0).sum().backward()
    hits = t.breakpoints(dead=0.5)
    whys = {(hit.phase, hit.where.split(" ")[0]): hit.why for hit in hits}
    assert whys["forward", "Relu"] == "50 % of the units are dead"
    assert "NaN" in whys["forward", "Sqrt"] and "NaN" in whys["backward", "Sqrt"]
    assert whys["backward", "Mul"] == "a gradient that goes out is all zero"
    assert not [hit for hit in t.breakpoints() if hit.phase == "forward" and hit.where.startswith("Relu")]


def test_breakpoints_by_norm_and_module() -> None:
    t = traced()
    norms = {hit.step for hit in t.breakpoints(norm=0.5) if "norm" in hit.why}
    assert norms == {v.number for v in t.visits if any(sent.value.summary.norm > 0.5 for sent in v.sent)} != set()
    assert {hit.where for hit in t.breakpoints(module="5")} == {t.node("5").label}
