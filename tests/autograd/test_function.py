"""A Function of one's own: the same source runs on torch and on minigrad, with the same numbers and kinds of error."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg

Framework = ModuleType


def both(case: Any, *args: Any) -> tuple[Any, Any]:
    """case(framework) in both frameworks: results as lists, or (kind of error, message)."""

    def run(framework: Framework) -> Any:
        try:
            return case(framework, *args)
        except Exception as error:
            return type(error), str(error)

    return run(mg), run(torch)


def leaf(fw: Framework, values: Any = (1.0, 2.0)) -> Any:
    return fw.tensor(list(values), dtype=fw.float64, requires_grad=True)


def product(fw: Framework) -> Any:
    class Product(fw.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, power=1):
            ctx.save_for_backward(x, y)
            ctx.power = power
            return (x * y) ** power

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            g = g * ctx.power * (x * y) ** (ctx.power - 1)
            gx = g * y if ctx.needs_input_grad[0] else None
            gy = g * x if ctx.needs_input_grad[1] else None
            return gx, gy, None

    return Product


@pytest.mark.parametrize("power", [1, 2, 3])
def test_values_and_first_and_second_gradients(power: int) -> None:
    def case(fw):
        x, y = leaf(fw), leaf(fw, (3.0, -1.0))
        z = product(fw).apply(x, y, power)
        gx, gy = fw.autograd.grad(z.sum(), (x, y), create_graph=True)
        h = fw.autograd.grad((gx * gx + gy).sum(), (x, y))
        return [t.tolist() for t in (z, gx, gy, *h)]

    ours, theirs = both(case)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_on_both_devices(device: str) -> None:
    x = mg.tensor([1.0, 2.0], device=device, requires_grad=True)
    z = product(mg).apply(x, x, 2)
    z.sum().backward()
    assert x.grad.tolist() == [4.0, 32.0] and x.grad.device == device


def test_needs_input_grad_says_what_is_asked_for() -> None:
    def case(fw):
        seen = []

        class F(fw.autograd.Function):
            @staticmethod
            def forward(ctx, x, k, y):
                seen.append(ctx.needs_input_grad)
                return x * y * k

            @staticmethod
            def backward(ctx, g):
                seen.append(ctx.needs_input_grad)
                return g, None, g

        x, y = leaf(fw), leaf(fw)
        F.apply(x, 2.0, y.detach()).sum().backward()
        F.apply(x.detach(), 2.0, y).sum().backward()
        fw.autograd.grad(F.apply(x, 2.0, y).sum(), y)
        return seen

    ours, theirs = both(case)
    assert ours[:-1] == theirs[:-1]
    assert ours[-1] == (False, False, True)  # torch says here what forward was given; ours what this pass asks for


def test_several_outputs_of_every_kind() -> None:
    """An input returned as it is, a number, None, a float, integers, and an output marked as not differentiable."""

    def case(fw, materialize):
        seen = []

        class F(fw.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.set_materialize_grads(materialize)
                sign = x.sign()
                ctx.mark_non_differentiable(sign)
                return x, 3, None, x * 2, (x > 0).long(), sign

            @staticmethod
            def backward(ctx, *gradients):
                seen.append([None if g is None else [float(v) for v in g.tolist()] for g in gradients])
                return gradients[3]

        x = leaf(fw)
        outputs = F.apply(x)
        flags = [o.requires_grad if hasattr(o, "requires_grad") else o for o in outputs]
        outputs[3].sum().backward()
        return flags, seen, x.grad.tolist()

    for materialize in (True, False):
        ours, theirs = both(case, materialize)
        assert ours == theirs


def test_setup_context_and_keywords() -> None:
    def case(fw):
        class Scale(fw.autograd.Function):
            @staticmethod
            def forward(x, k):
                return x * k

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.k = inputs[1]
                ctx.save_for_backward(output)

            @staticmethod
            def backward(ctx, g):
                return g * ctx.k + 0 * ctx.saved_tensors[0], None

        x = leaf(fw)
        y = Scale.apply(x, 3.0)
        y.sum().backward()
        return x.grad.tolist(), type(y.grad_fn).__name__ == "ScaleBackward" or y.grad_fn.name()

    ours, theirs = both(case)
    assert ours[0] == theirs[0] == [3.0, 3.0]
    x = leaf(mg)
    assert product(mg).apply(x, y=x, power=2).tolist() == [1.0, 16.0]


@pytest.mark.parametrize(
    "returned",
    [
        "g", "(g, None, None, None)", "(g, None, g)", "(g, 3.0, None)", "(fw.ones(3), None, None)", "(None, None, None)",
        "(fw.ones((3, 2)), None, None)", "(g.float(), g, None)",
    ],
)  # fmt: skip
def test_what_backward_returns_is_checked_as_in_torch(returned: str) -> None:
    def case(fw):
        class F(fw.autograd.Function):
            @staticmethod
            def forward(ctx, x, y, k):
                return x * y

            @staticmethod
            def backward(ctx, g):
                return eval(returned, {"fw": fw, "g": g})

        x, y = leaf(fw), leaf(fw)
        F.apply(x, y, 1).sum().backward()
        return [None if t.grad is None else (t.grad.tolist(), str(t.grad.dtype).split(".")[-1]) for t in (x, y)]

    ours, theirs = both(case)
    if isinstance(theirs, tuple):
        assert ours[0] is (TypeError if "Variable or None" in theirs[1] else theirs[0])
        assert re.sub(r"\W+", " ", theirs[1].replace("Variable", "Tensor"))[:60] in re.sub(r"\W+", " ", ours[1])
    else:
        assert ours == theirs


def test_gradients_are_brought_to_the_type_of_their_input() -> None:
    def case(fw):
        class Narrow(fw.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return (g * 2).float()

        seen = []
        y = leaf(fw) * 1
        y.register_hook(lambda g: seen.append(str(g.dtype).split(".")[-1]))
        Narrow.apply(y).sum().backward()
        return seen

    ours, theirs = both(case)
    assert ours == theirs == ["float64"]


def test_errors_of_use() -> None:
    class Saves(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)

    class Dirty(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)

    class Lists(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return [x * 2]

    class NoBackward(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    x = leaf(mg)
    with pytest.raises(TypeError, match="argument 0 is of type int"):
        Saves.apply(x)
    with pytest.raises(NotImplementedError, match="mark_dirty"):
        Dirty.apply(x)
    with pytest.raises(TypeError, match="returned a list"):
        Lists.apply(x)
    with pytest.raises(NotImplementedError, match="backward"):
        NoBackward.apply(x).sum().backward()
    with pytest.raises(RuntimeError, match="apply"):
        NoBackward()


def test_a_second_backward_and_a_change_in_place_are_errors() -> None:
    x = leaf(mg)
    z = product(mg).apply(x, x)
    z.sum().backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        z.sum().backward()
    y = x * 1
    z = product(mg).apply(y, y)
    y.add_(1)
    with pytest.raises(RuntimeError, match="ProductBackward.*version 1.*version 0"):
        z.sum().backward()


def saves_output(fw: Framework) -> Any:
    class Exp(fw.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    return Exp


def test_a_saved_output_is_part_of_the_graph_and_makes_no_cycle() -> None:
    def case(fw):
        x = leaf(fw)
        y = saves_output(fw).apply(x)
        for _ in range(3):
            (y,) = fw.autograd.grad(y.sum(), x, create_graph=True)
        return y.tolist()

    ours, theirs = both(case)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    Exp, x = saves_output(mg), leaf(mg)
    gc.collect()
    gc.disable()
    try:
        Exp.apply(x)  # dropped without a backward pass
        Exp.apply(x).sum().backward()
        assert gc.collect() == 0
    finally:
        gc.enable()
    y = Exp.apply(x)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_once_differentiable() -> None:
    def case(fw):
        class Double(fw.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            @fw.autograd.function.once_differentiable
            def backward(ctx, g):
                return g * 2

        x = leaf(fw)
        (g,) = fw.autograd.grad((Double.apply(x) ** 2).sum(), x, create_graph=True)
        assert g.tolist() == [8.0, 16.0]
        g.sum().backward()

    ours, theirs = both(case)
    assert ours == theirs and "once_differentiable" in ours[1]


def test_a_view_of_an_input_returned_shares_its_version() -> None:
    class Rows(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[0:1]

        @staticmethod
        def backward(ctx, g):
            return mg.cat([g, g * 0])

    x = leaf(mg)
    y = x * 1
    z = Rows.apply(y)
    z.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0]
    with mg.no_grad():
        z += 1
    assert y.version == 1


def test_nothing_is_recorded_without_need() -> None:
    x = mg.tensor([1.0])
    assert product(mg).apply(x, x).grad_fn is None
    with mg.no_grad():
        assert not product(mg).apply(leaf(mg), leaf(mg)).requires_grad


def test_node_is_torchs_node() -> None:
    x = leaf(mg)
    node = product(mg).apply(x, x * 2, 1).grad_fn
    assert node.name() == "ProductBackward" and len(node.saved_tensors) == 2
    (first, _), (second, _), (third, _) = node.next_functions
    assert first.name() == "AccumulateGrad" and first.variable is x
    assert second.name() == "Mul" and third is None


def test_hooks_of_nodes_as_in_torch() -> None:
    def case(fw):
        x, seen = leaf(fw), []
        y = x * 2
        node = y.grad_fn
        node.register_prehook(lambda gs: seen.append([g.tolist() for g in gs]) or (gs[0] * 10,))
        handle = node.register_hook(lambda gi, go: seen.append((gi[0].tolist(), go[0].tolist())))
        again = node.register_hook(lambda gi, go: (gi[0] + 1, *gi[1:]))
        y.sum().backward(retain_graph=True)
        handle.remove()
        again.remove()
        y.sum().backward()
        return seen, x.grad.tolist()

    ours, theirs = both(case)
    assert ours == theirs


def test_the_worked_example_runs() -> None:
    text = (Path(__file__).parents[2] / "docs/custom_function.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 4
    space: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/custom_function.md", "exec"), space)
