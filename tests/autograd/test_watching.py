"""Observers, anomaly mode, the profile, hooks of leaves, and the switches of recording."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad.autograd import Observer, detect_anomaly, is_anomaly_enabled, profile, set_detect_anomaly
from minigrad.utils.checkpoint import checkpoint

HERE = r"test_watching\.py:\d+"


def leaf(values: Any, device: str = "cpu") -> mg.Tensor:
    return mg.tensor(np.asarray(values, np.float64), device=device, requires_grad=True)


def test_an_observer_is_told_of_every_op() -> None:
    class Note(Observer):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def before_forward(self, node, inputs):
            self.seen.append(f"({node.name()} {len(inputs)}")

        def after_forward(self, node, inputs, outputs):
            self.seen.append(f"{node.name()} {outputs[0].shape})")

        def before_backward(self, node, gradients):
            self.seen.append(f"back {node.name()} {gradients[0].shape}")

        def after_backward(self, node, gradients, results):
            self.seen.append(f"{len(results)} back")

    x = leaf([1.0, 2.0])
    with Note() as note, note:  # entered twice, called twice, and left one at a time
        pass
    with note:
        (x * 2.0).sum().backward()
    x.exp()
    assert note.seen == [
        "(Mul 2", "Mul (2,))", "(Sum 1", "Sum ())", "back Sum ()", "1 back", "back Mul (2,)", "2 back",
    ]  # fmt: skip


# -- anomalies ----------------------------------------------------------------------------------------------------------


FORWARD = {
    "log of zero": (lambda x: x.log(), [1.0, 0.0], "Log returned NaN or Inf \\(Inf\\)"),
    "nought by nought": (lambda x: x / x, [0.0, 1.0], "Div returned NaN or Inf \\(NaN\\)"),
    "overflow": (lambda x: (x * 1000).exp(), [1.0, 0.0], "Exp returned NaN or Inf \\(Inf\\)"),
    "in the middle": (lambda x: (x.sqrt() * 2).sum(), [-1.0, 1.0], "Sqrt returned NaN or Inf \\(NaN\\)"),
}


@pytest.mark.parametrize("name", FORWARD)
def test_the_first_nan_or_inf_of_the_forward_pass(name: str, device: str) -> None:
    f, values, words = FORWARD[name]
    with (
        detect_anomaly(),
        pytest.raises(RuntimeError, match=f"{words} from finite inputs, called at .*{HERE}.*float64"),
    ):
        f(leaf(values, device))
    f(leaf(values, device))  # unwatched: silent


def test_the_first_nan_or_inf_of_the_backward_pass(device: str) -> None:
    with detect_anomaly():
        y = leaf([1.0, 0.0], device).sqrt().sum()
        with pytest.raises(RuntimeError, match=rf"backward of Sqrt.*\(Inf\).*input 0.*called at .*{HERE}"):
            y.backward()
        z = (leaf([0.0], device).sqrt() * 0).sum()
        with pytest.raises(RuntimeError, match=r"backward of Sqrt.*\(NaN\)"):
            z.backward()
    with detect_anomaly():  # what was NaN on its way in is not this op's doing
        bad = mg.tensor([float("nan")], dtype=mg.float64, device=device)
        (leaf([1.0], device) * bad).exp()
        leaf([1.0], device).exp().backward(bad)


def test_infinities_on_purpose(device: str) -> None:
    x, mask = leaf([1.0, 2.0], device), mg.tensor([True, False], device=device)
    with detect_anomaly():
        y = mg.nn.functional.softmax(x.masked_fill(mask, float("-inf")), 0)
        y.sum().backward()
    assert y.tolist() == [0.0, 1.0]
    with detect_anomaly(check_inf=False):
        assert leaf([0.0], device).log().item() == -np.inf
        with pytest.raises(RuntimeError, match="Log returned"):
            leaf([-1.0], device).log()
    with detect_anomaly(check_nan=False):
        assert np.isnan(leaf([-1.0], device).log().item())


def test_errors_of_the_backward_pass_get_the_line_of_the_forward() -> None:
    class Fails(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise ValueError("no")

    for check_nan in (True, False):
        with detect_anomaly(check_nan=check_nan):
            y = Fails.apply(leaf([1.0])).sum()
            with pytest.warns(
                RuntimeWarning, match=f"Error detected in the backward of FailsBackward, called at .*{HERE}"
            ):
                with pytest.raises(ValueError, match="no"):
                    y.backward()
    y = Fails.apply(leaf([1.0])).sum()
    with (
        pytest.warns(RuntimeWarning, match="outside detect_anomaly"),
        detect_anomaly(),
        pytest.raises(ValueError, match="no"),
    ):
        y.backward()
    with warnings.catch_warnings(), pytest.raises(ValueError, match="no"):
        warnings.simplefilter("error")
        Fails.apply(leaf([1.0])).sum().backward()


def test_switching_anomaly_mode() -> None:
    assert not is_anomaly_enabled()
    set_detect_anomaly(True, check_nan=False)
    assert is_anomaly_enabled() and not mg.autograd.is_anomaly_check_nan_enabled()
    with set_detect_anomaly(False):
        assert not is_anomaly_enabled()
    assert is_anomaly_enabled()
    set_detect_anomaly(False)
    assert not is_anomaly_enabled()
    with set_detect_anomaly(True):
        assert mg.autograd.is_anomaly_check_nan_enabled()
    assert not is_anomaly_enabled()

    @detect_anomaly()
    def f(x):
        return x.log()

    with pytest.raises(RuntimeError, match="anomaly"):
        f(leaf([0.0]))
    assert not is_anomaly_enabled()


# -- the profile --------------------------------------------------------------------------------------------------------


def test_the_profile_counts(device: str) -> None:
    x, w = leaf(np.ones((10, 10)), device), leaf(np.full((10, 10), 2.0), device)
    with profile() as p:
        for _ in range(3):
            loss = ((x * w).exp() + x).t().sum()
            loss.backward()
            del loss
    rows = p.rows
    assert {op: (row.calls, row.backward_calls) for op, row in rows.items()} == {
        op: (3, 3) for op in ("Mul", "Exp", "Add", p.events[3][0], "Sum")
    }
    assert {op: row.made for op, row in rows.items()}["Exp"] == rows["Mul"].made == 2400
    assert rows[p.events[3][0]].made == 0  # a view
    assert rows["Mul"].saved == 3 * 1600 and rows["Exp"].saved == 3 * 800 and rows["Add"].saved == 0
    assert rows["Sum"].norm == 1.0 and rows["Exp"].norm == pytest.approx(10.0)
    assert rows["Mul"].norm == pytest.approx(10 * np.exp(2.0))
    assert all(row.forward > 0 and row.backward > 0 for row in rows.values())
    total = p.total()
    assert (
        total.calls == 15
        and total.saved == 7200
        and total.forward == pytest.approx(sum(r.forward for r in rows.values()))
    )


def test_the_profiles_table() -> None:
    x = leaf([1.0, 2.0])
    with profile() as p:
        (x * x).exp().sum().backward()
    assert p.rows["Mul"].saved == 16  # x, kept twice
    lines = str(p).splitlines()
    assert lines[0].split() == ["op", "calls", "forward", "backward", "made", "saved", "gradient"]
    assert {line.split()[0] for line in lines[2:]} == {"Mul", "Exp", "Sum", "total"}
    assert p.table("op").splitlines()[2].startswith("Exp") and len(p.table(row_limit=1).splitlines()) == 4
    with pytest.raises(ValueError, match="sort_by should be one of"):
        p.table("speed")
    with profile(norms=False) as quiet:
        (x * x).sum().backward()
    assert quiet.rows["Mul"].norm == 0


def test_time_in_an_op_inside_an_op_counts_once() -> None:
    class Outer(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            for _ in range(20):
                x = x.exp().log()
            return x

        @staticmethod
        def backward(ctx, g):
            return g

    with profile() as p:
        Outer.apply(leaf(np.ones(10000)))
    times = {op: end - start for op, _, start, end in p.events[-1:]}
    assert p.rows["OuterBackward"].forward < times["OuterBackward"] - 0.9 * p.rows["Log"].forward
    assert p.rows["Log"].calls == 20


def test_an_error_leaves_the_profile_in_order() -> None:
    x = leaf([1.0, 2.0])
    with profile() as p:
        with pytest.raises(RuntimeError):
            x + leaf([1.0, 2.0, 3.0])
        x.exp()
    assert p.rows["Exp"].calls == 1 and "Add" not in p.rows


def test_the_chrome_trace(tmp_path: Path) -> None:
    x = leaf([1.0])
    with profile() as p:
        x.exp().backward()
    p.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [(e["name"], e["cat"], e["ph"]) for e in events] == [("Exp", "forward", "X"), ("Exp", "backward", "X")]
    assert all(e["dur"] > 0 for e in events) and events[1]["ts"] > events[0]["ts"]


def test_phases_enclose_their_ops(tmp_path: Path) -> None:
    x = leaf([1.0])
    p = profile()
    for _ in range(2):
        with p.phase("step"):
            with p, p.phase("forward"):
                y = x.exp()
            with p.phase("update"):
                y.log()  # not watched
    with pytest.raises(ZeroDivisionError), p.phase("update"):
        raise ZeroDivisionError
    spans = {kind: [(start, end) for name, _, start, end in p.events if name == kind] for kind in (*p.phases, "Exp")}
    assert {kind: len(found) for kind, found in spans.items()} == {"step": 2, "forward": 2, "update": 3, "Exp": 2}
    for step, forward, update, op in zip(spans["step"], spans["forward"], spans["update"], spans["Exp"], strict=False):
        assert step[0] <= forward[0] <= op[0] < op[1] <= forward[1] <= update[0] < update[1] <= step[1]
    assert p.phases["forward"] == pytest.approx(sum(end - start for start, end in spans["forward"]))
    assert list(p.rows) == ["Exp"] and p.total().calls == 2
    p.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [e["name"] for e in events if e["cat"] == "phase"] == ["forward", "update", "step"] * 2 + ["update"]


def test_a_checkpoints_second_run_counts_as_backward() -> None:
    x = leaf([1.0])
    with profile() as p:
        checkpoint(lambda x: x.exp().exp(), x).sum().backward()
    assert p.rows["Exp"].calls == 2 and p.rows["Exp"].saved == 0


# -- hooks and switches -------------------------------------------------------------------------------------------------


def test_post_accumulate_hooks_as_in_torch() -> None:
    def case(fw):
        seen = []
        x = fw.tensor([1.0, 2.0], requires_grad=True)
        x.register_hook(lambda g: g * 10)
        handle = x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.tolist())))
        (x * 2).sum().backward()
        (x * 2).sum().backward(inputs=[x])
        handle.remove()
        (x * 2).sum().backward()

        def step(t):
            with fw.no_grad():
                t -= t.grad
            t.grad = None

        x.register_post_accumulate_grad_hook(step)
        x.grad = None
        (x * x).sum().backward()
        return seen, x.tolist(), x.grad

    assert case(mg) == case(torch)


def test_where_post_accumulate_hooks_may_not_be() -> None:
    for fw in (mg, torch):
        with pytest.raises(RuntimeError, match="doesn't require gradient"):
            fw.ones(2).register_post_accumulate_grad_hook(print)
        with pytest.raises(RuntimeError, match="non-leaf"):
            (fw.ones(2, requires_grad=True) * 1).register_post_accumulate_grad_hook(print)


def test_inference_mode_and_bare_decorators() -> None:
    def case(fw):
        x = fw.ones(2, requires_grad=True)
        seen = []

        @fw.no_grad
        def f():
            return (x * 2).requires_grad

        @fw.inference_mode
        def g():
            return (x * 2).requires_grad

        @fw.inference_mode(mode=False)
        def h():
            return (x * 2).requires_grad

        with fw.inference_mode():
            seen.append((x * 2).requires_grad)
        with fw.no_grad(), fw.enable_grad():
            seen.append((x * 2).requires_grad)
        return seen, f(), g(), h(), fw.is_grad_enabled()

    assert case(mg) == case(torch)
