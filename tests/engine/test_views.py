"""In-place changes of views, and of what they are views of, as part of the graph: against torch, and the refusals."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from tests.checking import check


def scaled_row(y: Any, c: Any) -> Any:
    y[0].mul_(2)
    return y


def augmented_column(y: Any, c: Any) -> Any:
    y[:, 1] += c[0, 0]
    return y


def transposed_relu(y: Any, c: Any) -> Any:
    y.t().relu_()
    return y


def saved_by_the_op(y: Any, c: Any) -> Any:
    y[1:].square_()
    return y


def by_a_tensor(y: Any, c: Any) -> Any:
    y[1].mul_(c[1])
    return y * c


def view_of_a_view(y: Any, c: Any) -> Any:
    y.t()[1:].reshape(2, 3)[0].mul_(c[:, 0])
    return y


def the_view_itself(y: Any, c: Any) -> Any:
    v = y[1]
    v.mul_(3)
    return v.sigmoid() + y


def other_views_follow(y: Any, c: Any) -> Any:
    row, column, flat = y[0], y[:, 1], y.view(-1)
    row.mul_(c[2])
    return column * 2, flat.tanh(), y.t()[0], row


def views_follow_their_base(y: Any, c: Any) -> Any:
    v = y[1:, :2]
    y.mul_(c)
    return v * v


def chained(y: Any, c: Any) -> Any:
    v = y.view(9)
    v[2:7].mul_(c.reshape(-1)[2:7])
    y[0].add_(v[4])
    v.sin_()
    y.t()[2].mul_(2)
    return y, v


def constant_over_the_graph(y: Any, c: Any) -> Any:
    y[0].fill_(5.0)
    y[1].zero_()
    y[2, :2].copy_(c[0, :2])
    return y


def whole(y: Any, c: Any) -> Any:
    y.copy_(c)
    return y * 2


def whole_by_a_constant(y: Any, c: Any) -> Any:
    y.copy_(y.detach() * 0 + 4)
    return y * c


def one_element(y: Any, c: Any) -> Any:
    y[0, 1].mul_(7)
    y[1][2] = c[0, 0]
    return y


def diagonal(y: Any, c: Any) -> Any:
    y.diagonal().mul_(c[0])
    return y


def into_a_constant(y: Any, c: Any) -> Any:
    z = y.detach() * 0
    before = z[1]
    z[0] = y[0]
    z[1:].add_(c[1:])
    return z, before * 2


def in_a_loop(y: Any, c: Any) -> Any:
    z = (y * 0).detach()
    for i in range(3):
        z[i] = y[i] * (z[i - 1] + c[i] if i else 1)
    return z


def arrays_in_a_view(y: Any, c: Any) -> Any:
    y[:2][:, [0, 2]] = c[:2, :2]
    return y


CHANGES = [
    scaled_row, augmented_column, transposed_relu, saved_by_the_op, by_a_tensor, view_of_a_view, the_view_itself,
    other_views_follow, views_follow_their_base, chained, constant_over_the_graph, whole, whole_by_a_constant, one_element,
    diagonal, into_a_constant, in_a_loop, arrays_in_a_view,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("order", ["straight", "transposed"])
def test_as_torch(change: Callable[..., Any], order: str, device: str) -> None:
    """The result, its gradient and the gradient of that, whichever way the base lies in memory."""

    def call(x: Any, c: Any) -> Any:
        y = x * 1.5 if order == "straight" else (x.t() * 1.5).t()
        if order == "transposed" and change in (view_of_a_view, other_views_follow, chained):
            y = y.contiguous()
        return change(y, c)

    check(change.__name__, (3, 3), (3, 3), device=device, minigrad_call=call, torch_call=call, layouts=False)


def leaf() -> mg.Tensor:
    return mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


def test_a_view_of_a_leaf_is_refused() -> None:
    x = leaf()
    for change in (lambda: x[0].mul_(2), lambda: x.t().zero_(), lambda: x[0].fill_(1.0)):
        with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
            change()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x[0] = 1.0
    with mg.no_grad():
        x[0] = 1.0
    assert x.tolist() == [[1.0, 1.0], [3.0, 4.0]] and x.is_leaf


def test_a_view_of_a_leaf_changed_without_recording_still_leads_to_it() -> None:
    x = leaf()
    v = x[0]
    with mg.no_grad():
        x.mul_(2)
    v.sum().backward()
    assert v.tolist() == [2.0, 4.0] and x.grad.tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_what_was_saved_before_the_change_is_still_refused() -> None:
    y = leaf() * 1
    z = y * y
    y[0].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_an_expanded_tensor_is_refused(device: str) -> None:
    y = mg.zeros(1, 3, device=device).expand(2, 3)
    for change in (lambda: y.add_(1), lambda: y.fill_(1), lambda: y.zero_()):
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            change()


def test_a_view_made_without_recording_is_refused() -> None:
    y = leaf() * 2
    with mg.no_grad():
        v = y[0]
    with pytest.raises(RuntimeError, match="created in no_grad mode"):
        v.mul_(2)


def test_a_view_cannot_be_detached_in_place() -> None:
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        (leaf() * 2)[0].detach_()


def test_a_view_tells_of_the_change() -> None:
    y = mg.zeros(2, 2)
    v = y[0]
    assert v.is_leaf and not v.requires_grad
    y.add_(leaf())
    assert v.requires_grad and not v.is_leaf and v.grad_fn is not None
    seen = []
    v.register_hook(seen.append)
    (v * 3).sum().backward()
    assert seen[0].tolist() == [3.0, 3.0]


def test_views_share_the_memory_of_one_element(device: str) -> None:
    y = mg.zeros(3, device=device)
    y[1].add_(2)
    next(iter(y)).fill_(7)
    assert y.tolist() == [7.0, 2.0, 0.0] and y.version == 2


def test_views_leave_no_cycle_and_nothing_behind() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf()
        y = x * 2
        for i in range(2):
            y[i].mul_(3)
        v = y.t()
        v.mul_(2)
        v.sum().backward()
        base = mg.zeros(3)
        for i in range(1000):
            base[i % 3]
        assert len(base._dependents) <= 8
        del x, y, v, base
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_as_a_program(device: str) -> None:
    """Random chains of changes of random views, against torch."""
    random = np.random.default_rng(3)
    for _ in range(15):
        steps = random.integers(0, 5, (6, 2))
        values = random.uniform(-1, 1, (4, 3))

        def run(x: Any, steps: Any = steps) -> Any:
            y = x * 1.0
            kept = [y[1], y[:, 1], y.view(12)[3:9], y.t()]
            for kind, which in steps:
                v = [*kept, y][which]
                if kind == 0:
                    v.mul_(y.sum())
                elif kind == 1:
                    v.sin_()
                elif kind == 2:
                    v[1:] += v[:-1].clone()
                elif kind == 3:
                    v[0] = y[0, 0] * 2
                else:
                    v.add_(1)
            return sum(k.sum() for k in kept) + (y * y).sum()

        mine = mg.from_numpy(values.copy()).to(device).requires_grad_()
        theirs = torch.from_numpy(values.copy()).requires_grad_()
        a, b = run(mine), run(theirs)
        a.backward()
        b.backward()
        assert np.isclose(a.item(), b.item(), rtol=1e-12)
        assert np.allclose(mine.grad.numpy(force=True), theirs.grad.numpy(), rtol=1e-10, atol=1e-10)


# -- turned in place ---------------------------------------------------------------------------------------------------

TURNS: dict[str, Callable[[Any], Any]] = {
    "transpose_": lambda y: y.transpose_(0, 1),
    "t_": lambda y: y.t_(),
    "swapaxes_": lambda y: y.swapaxes_(-1, 0),
    "unsqueeze_": lambda y: y.unsqueeze_(1),
    "squeeze_": lambda y: y.unsqueeze_(0).squeeze_(),
    "twice": lambda y: y.t_().unsqueeze_(0),
}
AFTERWARDS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "used": lambda x, y, w: y * y,
    "changed": lambda x, y, w: y.mul_(3) * y,
    "an older view changed": lambda x, y, w: w.mul_(2) + y.sum(),
    "seen in an older view": lambda x, y, w: (y.mul_(2), w * w)[1],
    "with a gradient that comes later": lambda x, y, w: y.mul_(x.sum()) * y,
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("afterwards", AFTERWARDS)
@pytest.mark.parametrize("start", ["made", "view", "no gradient"])
def test_turned_in_place(turn: str, afterwards: str, start: str) -> None:
    values, found = np.random.default_rng(0).uniform(-1, 1, (3, 2, 3)), []
    for library in (torch, mg):
        x = library.tensor(values[0], requires_grad=True)
        y = x * 2 if start == "made" else library.stack([x, x * 3])[1] if start == "view" else library.tensor(values[1])
        w = y[0]
        assert TURNS[turn](y) is y and not y.is_leaf == (start != "no gradient")
        result = AFTERWARDS[afterwards](x, y, w)
        if result.requires_grad:
            result.sum().backward()
        found.append([y.detach().numpy(), w.detach().numpy(), None if x.grad is None else x.grad.numpy()])
    for theirs, ours in zip(*found, strict=True):
        assert (theirs is None) == (ours is None)
        if theirs is not None:
            assert theirs.shape == ours.shape
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_what_turning_in_place_refuses() -> None:
    for library in (torch, mg):
        x = library.ones(2, 3, requires_grad=True)
        with pytest.raises(RuntimeError, match="leaf Variable"):
            x.t_()
        y = x * 2
        z = y * y
        y.t_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.sum().backward()
        with pytest.raises(RuntimeError, match="cannot resize variables"):
            x.resize_(3, 2)
        with library.no_grad():
            assert x.t_() is x and x.is_leaf and tuple(x.shape) == (3, 2)
        plain = library.arange(6.0)
        assert plain.resize_(2, 2).tolist() == [[0, 1], [2, 3]] and tuple(plain.resize_((3, 4)).shape) == (3, 4)
        assert plain.resize_as_(library.ones(5)).numel() == 5
        assert library.ones(4, 3)[2, 1:].storage_offset() == 7
