"""What a hook may put in a gradient's place, and what may be assigned to .grad: torch's errors, in torch's kinds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minigrad as mg

WRONG = {
    "transposed": lambda g: g.t(),
    "another type": lambda g: g.double(),
    "integers": lambda g: g.long(),
    "a row": lambda g: g[0],
    "a number": lambda g: 1.0,
    "a NumPy array": lambda g: np.ones((2, 3), np.float32),
    "broadcast": lambda g: g.expand(4, 2, 3),
    "summed": lambda g: g.sum(),
}


def refusals(run, change):
    """The errors of both frameworks for one hook, torch's first."""
    found = []
    for framework in (torch, mg):
        with pytest.raises((RuntimeError, TypeError)) as raised:
            run(framework, change)
        found.append(raised.value)
    return found


def weight(framework):
    return framework.ones(2, 3, requires_grad=True)


def leaf_hook(framework, change):
    w = weight(framework)
    w.register_hook(change)
    (w * 2).sum().backward()
    return w.grad


def inner_hook(framework, change):
    w = weight(framework)
    y = w * 2
    y.register_hook(change)
    y.sum().backward()
    return w.grad


def node_prehook(framework, change):
    w = weight(framework)
    y = w * 2
    y.grad_fn.register_prehook(lambda gradients: (change(gradients[0]),))
    y.sum().backward()
    return w.grad


def node_hook(framework, change):
    w = weight(framework)
    y = w.exp()
    y.grad_fn.register_hook(lambda results, gradients: (change(results[0]),))
    y.sum().backward()
    return w.grad


def module_hook(framework, change):
    layer, x = framework.nn.Linear(3, 3), weight(framework)
    layer.register_full_backward_hook(lambda module, inputs, outputs: (change(inputs[0]),))
    layer(x).sum().backward()
    return x.grad


def module_prehook(framework, change):
    layer, x = framework.nn.Linear(3, 3), weight(framework)
    layer.register_full_backward_pre_hook(lambda module, outputs: (change(outputs[0]),))
    layer(x).sum().backward()
    return x.grad


PLACES = [leaf_hook, inner_hook, node_prehook, node_hook, module_hook, module_prehook]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("change", WRONG)
def test_what_cannot_stand_in_for_a_gradient_is_refused(place, change: str) -> None:
    theirs, ours = refusals(place, WRONG[change])
    assert type(ours) is type(theirs), (ours, theirs)
    assert str(ours).split(" (")[0].split("'")[0] == str(theirs).split(" (")[0].split("'")[0]


@pytest.mark.parametrize("place", PLACES)
def test_what_can_stand_in_does(place) -> None:
    for change in (lambda g: g * 3, lambda g: g.t().clone().t() * 2, lambda g: g + 1):
        mg.manual_seed(0), torch.manual_seed(0)
        ours, theirs = place(mg, change), place(torch, change)
        if place not in (module_hook, module_prehook):  # (their layers start from other weights)
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)
        assert ours.shape == tuple(theirs.shape) and ours.dtype == np.float32


def several(framework, replaced, where):
    w = weight(framework)
    v = framework.ones(2, 3)
    y = w * v
    if where == "before":
        y.grad_fn.register_prehook(lambda gradients: replaced(gradients))
    else:
        y.grad_fn.register_hook(lambda results, gradients: replaced(results))
    y.sum().backward()


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize(
    "replaced",
    [lambda g: (), lambda g: [*g], lambda g: g[0], lambda g: (*g, g[0]), lambda g: tuple(g[0] for _ in range(2))],
    ids=["none", "a list", "a tensor", "one more", "for a place without"],
)
def test_the_number_and_the_places_of_several(replaced, where: str) -> None:
    theirs, ours = refusals(lambda framework, change: several(framework, change, where), replaced)
    assert type(ours) is type(theirs), (ours, theirs)
    assert str(ours)[:20].split("'")[0] == str(theirs)[:20].split("'")[0]


def test_no_gradient_is_left_by_a_hook_that_is_refused() -> None:
    w, v = weight(mg), weight(mg)
    w.register_hook(lambda g: g.t())
    with pytest.raises(RuntimeError, match="changed the size"):
        (w * v).sum().backward()
    assert w.grad is None


ASSIGNED = {
    "another shape": lambda f: f.ones(3),
    "broadcastable": lambda f: f.ones(1, 3),
    "one number": lambda f: f.ones(()),
    "another type": lambda f: f.ones(2, 3).double(),
    "integers": lambda f: f.ones(2, 3).long(),
    "no Tensor": lambda f: 1.0,
    "a list": lambda f: [[1.0] * 3] * 2,
    "a NumPy array": lambda f: np.ones((2, 3), np.float32),
}


@pytest.mark.parametrize("value", ASSIGNED)
def test_what_does_not_fit_is_not_assigned_to_grad(value: str) -> None:
    def assign(framework, change):
        weight(framework).grad = change(framework)

    theirs, ours = refusals(assign, ASSIGNED[value])
    assert type(ours) is type(theirs), (ours, theirs)


def test_a_gradient_of_its_own_is_refused() -> None:
    w = weight(mg)
    with pytest.raises(RuntimeError, match="can't assign Variable as its own grad"):
        w.grad = w
    assert w.grad is None


@pytest.mark.gpu
def test_a_gradient_elsewhere_is_refused() -> None:
    w = weight(mg)
    with pytest.raises(RuntimeError, match="device"):
        w.grad = mg.ones(2, 3, device="gpu")


def test_what_fits_is_assigned() -> None:
    w = weight(mg)
    for fitting in (mg.ones(2, 3), mg.ones(3, 2).t(), mg.ones(2, 3, requires_grad=True), None):
        w.grad = fitting
        assert w.grad is fitting
    w.grad = mg.full((2, 3), 2.0)
    mg.optim.SGD([w], lr=0.5).step()
    assert w.tolist() == [[0.0] * 3] * 2
    p = mg.nn.Parameter(mg.ones(2, 3))
    with pytest.raises(RuntimeError, match="size"):
        p.grad = mg.ones(3)


def optimizers(framework):
    o = framework.optim
    return [o.SGD, o.Adam, o.AdamW, o.NAdam, o.RAdam, o.Adamax, o.RMSprop, o.Adagrad, o.Adadelta, o.ASGD, o.Rprop]


@pytest.mark.parametrize("place", range(11))
def test_a_parameter_that_no_longer_fits_its_gradient_is_refused(place: int) -> None:
    """By way of .data, which both frameworks let take another shape."""
    for framework in (torch, mg):
        if not hasattr(framework.optim, optimizers(torch)[place].__name__):
            pytest.skip("not here")
        kind = getattr(framework.optim, optimizers(torch)[place].__name__)
        w = weight(framework)
        w.sum().backward()
        w.data = framework.ones(4, 2, 3)  # a shape that the gradient would broadcast to
        before = w.detach().clone()
        if framework is mg:
            with pytest.raises(RuntimeError, match="shape"):
                kind([w], lr=0.1).step()
            assert (w.detach() == before).all()


def test_an_op_whose_gradient_has_another_shape_is_seen_at_the_leaf() -> None:
    class Wrong(mg.Op):
        """z = 2 x, with a gradient of another shape."""

        def forward(self, x):
            return x * 2

        def backward(self, gz):
            return gz.sum(0)

    w = weight(mg)
    with pytest.raises(RuntimeError, match="shape"):
        Wrong()(w).sum().backward()
    assert w.grad is None


RETURNED = {
    "transposed": lambda g: g.t(), "a row": lambda g: g[0], "a number": lambda g: 1.0, "two": lambda g: (g, g),
    "repeated": lambda g: g.expand(4, 2, 3), "double": lambda g: g.double(),
}  # fmt: skip


@pytest.mark.parametrize("returned", RETURNED)
def test_what_an_autograd_function_returns(returned: str) -> None:
    """Another shape is summed where torch sums it, another type converted, all else refused."""
    results = []
    for framework in (torch, mg):

        class Twice(framework.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return RETURNED[returned](g)

        w = weight(framework)
        try:
            Twice.apply(w).sum().backward()
            results.append(w.grad.tolist())
        except (RuntimeError, TypeError):
            results.append("refused")
    assert results[0] == results[1]
