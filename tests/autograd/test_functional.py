"""vjp, jvp, jacobian, hessian, hvp, vhp: torch's results and torch's refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg

X = np.random.default_rng(0).uniform(0.5, 2, (2, 3))
Y = np.random.default_rng(1).uniform(0.5, 2, (2, 3))
V = np.random.default_rng(2).uniform(-1, 1, (2, 3))

ONE = {
    "elementwise": lambda fw, x: (x.exp() * x).sum(1),
    "scalar": lambda fw, x: (x**3).sum(),
    "matmul": lambda fw, x: x @ x.transpose(0, 1),
    "softmax": lambda fw, x: fw.nn.functional.softmax(x * x, 1),
    "linear": lambda fw, x: 3 * x,
    "constant": lambda fw, x: fw.ones((2,), dtype=fw.float64),
}
TWO = {
    "product": lambda fw, x, y: (x * y).sum(0),
    "tuple": lambda fw, x, y: (x * x, (x / y).sum()),
    "unused": lambda fw, x, y: x.sin().sum() if hasattr(x, "sin") else x.exp().sum(),
    "listed": lambda fw, x, y: (x.exp(),),
}
SCALAR = {
    "one": lambda fw, *xs: sum((x**3).sum() for x in xs),
    "mixed": lambda fw, *xs: (xs[0] * xs[-1]).exp().sum() * (xs[0] ** 2).sum(),
    "linear": lambda fw, *xs: sum((x * 2).sum() for x in xs),
}


def as_lists(found: Any) -> Any:
    if isinstance(found, tuple):
        return tuple(as_lists(x) for x in found)
    return found.detach().numpy(force=True)


def compare(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, tuple):
        assert isinstance(ours, tuple) and len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            compare(a, b)
        return
    a, b = as_lists(ours), as_lists(theirs)
    assert a.shape == b.shape and a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    assert ours.requires_grad == theirs.requires_grad


def call(fw: Any, name: str, f: Any, arrays: Any, v: Any = None, device: str = "cpu", **kwargs: Any) -> Any:
    def tensor(a: Any) -> Any:
        if isinstance(a, tuple):
            return tuple(tensor(x) for x in a)
        return fw.tensor(a, device=device if fw is mg else "cpu", requires_grad=True)

    more = () if v is None else (tensor(v),)
    return getattr(fw.autograd.functional, name)(lambda *xs: f(fw, *xs), tensor(arrays), *more, **kwargs)


def both(name: str, f: Any, arrays: Any, v: Any = None, device: str = "cpu", **kwargs: Any) -> None:
    ours = call(mg, name, f, arrays, v, device, **kwargs)
    compare(ours, call(torch, name, f, arrays, v, **kwargs))


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", ONE)
def test_of_one_input(name: str, create_graph: bool, device: str) -> None:
    f = ONE[name]
    shape = f(torch, torch.tensor(X)).shape
    v = np.random.default_rng(3).uniform(-1, 1, tuple(shape))
    both("vjp", f, X, v, device, create_graph=create_graph)
    both("jvp", f, X, V, device, create_graph=create_graph)
    both("jacobian", f, X, None, device, create_graph=create_graph)


@pytest.mark.parametrize("name", TWO)
def test_of_several_inputs_and_outputs(name: str) -> None:
    f = TWO[name]
    outputs = f(torch, torch.tensor(X), torch.tensor(Y))
    draw = np.random.default_rng(3).uniform
    v = (
        tuple(draw(-1, 1, tuple(y.shape)) for y in outputs)
        if isinstance(outputs, tuple)
        else draw(-1, 1, tuple(outputs.shape))
    )
    both("vjp", f, (X, Y), v)
    both("jvp", f, (X, Y), (V, Y))
    both("jacobian", f, (X, Y))


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", SCALAR)
def test_hessians(name: str, create_graph: bool) -> None:
    f = SCALAR[name]
    for arrays, v in ((X, V), ((X, Y), (V, X))):
        for product in ("hvp", "vhp"):
            both(product, f, arrays, v, create_graph=create_graph)
        both("hessian", f, arrays, create_graph=create_graph)


def test_small_shapes_and_v_left_out() -> None:
    one = np.array(1.5)
    for name in ("vjp", "jvp", "hvp", "vhp", "jacobian", "hessian"):
        both(name, lambda fw, x: x**3, one)
    for array, shape in ((np.zeros((0, 3)), (0, 3, 0, 3)), (X, (0, 3, 2, 3))):  # torch refuses these
        assert call(mg, "jacobian", lambda fw, x: x[:0] * 2, array).shape == shape
    both("vjp", lambda fw, x: x.sum(), X)


def test_results_can_be_differentiated_again() -> None:
    def third(fw):
        x = fw.tensor(X, requires_grad=True)
        h = fw.autograd.functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
        _, hv = fw.autograd.functional.hvp(lambda x: (x**4).sum(), x, fw.tensor(V), create_graph=True)
        (h**2).sum().backward()
        (hv**2).sum().backward()
        return x.grad.numpy()

    np.testing.assert_allclose(third(mg), third(torch), rtol=1e-10)


def test_nothing_is_left_on_the_inputs() -> None:
    x = mg.tensor(X, requires_grad=True)
    mg.autograd.functional.jacobian(lambda x: x * x, x)
    assert x.grad is None
    with mg.no_grad():
        assert mg.autograd.functional.vjp(lambda x: (x * x).sum(), x)[1].tolist() == (2 * X).tolist()


ERRORS = {
    "not a tensor": lambda fw, F, x: F.vjp(lambda x: x, 3.0),
    "not all tensors": lambda fw, F, x: F.jvp(lambda x, y: x, (x, 3)),
    "output no tensor": lambda fw, F, x: F.jacobian(lambda x: 3, x),
    "v of another shape": lambda fw, F, x: F.vjp(lambda x: x * 2, x, x[0]),
    "v of another length": lambda fw, F, x: F.jvp(lambda x, y: x * 2, (x, x), (x,)),
    "v missing": lambda fw, F, x: F.vjp(lambda x: x * 2, x),
    "v missing for the input": lambda fw, F, x: F.jvp(lambda x: x * 2, x),
    "hessian of a vector": lambda fw, F, x: F.hessian(lambda x: x * 2, x),
    "hvp of a tuple": lambda fw, F, x: F.hvp(lambda x: (x.sum(),), x, x),
    "strict: independent": lambda fw, F, x: F.jacobian(lambda x, y: x * 2, (x, x), strict=True),
    "strict: vjp": lambda fw, F, x: F.vjp(lambda x, y: x.sum(), (x, x), strict=True),
    "strict: no graph": lambda fw, F, x: F.vjp(lambda x: fw.ones((1,)), x, strict=True),
    "strict: hessian of a linear function": lambda fw, F, x: F.hessian(lambda x: x.sum(), x, strict=True),
    "strict: vhp of a linear function": lambda fw, F, x: F.vhp(lambda x: x.sum(), x, x, strict=True),
}


@pytest.mark.parametrize("name", ERRORS)
def test_refusals_are_torchs(name: str) -> None:
    with pytest.raises(Exception) as theirs:
        ERRORS[name](torch, torch.autograd.functional, torch.tensor(X))
    with pytest.raises(theirs.type) as ours:
        ERRORS[name](mg, mg.autograd.functional, mg.tensor(X))
    assert str(ours.value)[:30] == str(theirs.value)[:30]


def test_what_is_not_built() -> None:
    x = mg.tensor(X)
    for kwargs in ({"vectorize": True}, {"strategy": "forward-mode"}):
        with pytest.raises(NotImplementedError):
            mg.autograd.functional.jacobian(lambda x: x, x, **kwargs)
    with pytest.raises(ValueError, match="strategy"):
        mg.autograd.functional.jacobian(lambda x: x, x, strategy="backwards")
