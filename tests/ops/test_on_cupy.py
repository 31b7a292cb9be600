"""What CuPy does otherwise than NumPy makes no difference to an op: layouts, `//` and `%`, repeated places, subnormals.

The stand-in (tests/emulator) does these as CuPy does, so each test here fails on it if an op leaves them to the array library.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import functional as F

ELEMENT_WISE: dict[str, Callable[[Tensor], Tensor]] = {
    "add": lambda x: x + x,
    "add a number": lambda x: 1 + x,
    "multiply by channels": lambda x: x * mg.ones(3, 1, 1, device=x.device),
    "multiply by a 0-d tensor": lambda x: x * mg.ones((), device=x.device),
    "divide": lambda x: x / (x * x + 1),
    "negate": lambda x: -x,
    "power": lambda x: x**3,
    "rsqrt": lambda x: (x * x + 1).rsqrt(),
    "reciprocal": lambda x: (x * x + 1).reciprocal(),
    "exp": lambda x: x.exp(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "erf": lambda x: x.erf(),
    "abs": lambda x: x.abs(),
    "relu": lambda x: x.relu(),
    "maximum": lambda x: mg.maximum(x, -x),
    "clamp": lambda x: x.clamp(-1, 1),
    "clamp between tensors": lambda x: mg.clamp(x, -x.abs(), x.abs()),
    "lerp": lambda x: mg.lerp(x, -x, 0.3),
    "lerp by a tensor": lambda x: mg.lerp(x, -x, x * 0.1),
    "where": lambda x: mg.where(x > 0, x, -x),
    "masked_fill": lambda x: x.masked_fill(x > 0, 0.0),
    "nan_to_num": lambda x: mg.nan_to_num(x),
    "frac": lambda x: x.frac(),
    "floor": lambda x: x.floor(),
    "round": lambda x: x.round(decimals=1),
    "sign": lambda x: x.sign(),
    "remainder": lambda x: x % 2,
    "floor_divide": lambda x: x // 2,
    "fmod": lambda x: mg.fmod(x, 2),
    "cast": lambda x: x.to(mg.float64),
    "clone": lambda x: x.clone(),
    "compare": lambda x: x < 0,
    "is finite": lambda x: mg.isfinite(x),
    "is NaN": lambda x: mg.isnan(x),
    "not": lambda x: mg.logical_not(x),
    "invert": lambda x: ~(x > 0),
    "gelu": lambda x: F.gelu(x),
    "silu": lambda x: F.silu(x),
    "softplus": lambda x: F.softplus(x),
    "elu": lambda x: F.elu(x),
    "leaky_relu": lambda x: F.leaky_relu(x),
    "hardswish": lambda x: F.hardswish(x),
}


def channels_last(device: str, *shape: int) -> Tensor:
    """Images (N, C, H, W) as kernels leave them."""
    n, c, h, w = shape
    values = np.random.default_rng(7).standard_normal((n, h, w, c)).astype(np.float32)
    return mg.from_numpy(values.transpose(0, 3, 1, 2)).to(device)


@pytest.mark.parametrize("name", ELEMENT_WISE)
def test_element_wise_ops_and_their_gradients_keep_the_layout(name: str, device: str) -> None:
    call, x = ELEMENT_WISE[name], channels_last(device, 2, 3, 4, 5)
    order = x.stride()
    y = call(x)
    assert y.stride() == order and y.is_contiguous(memory_format=mg.channels_last)
    plain = call(mg.from_numpy(np.ascontiguousarray(x.numpy(force=True))).to(device))
    np.testing.assert_array_equal(y.numpy(force=True), plain.numpy(force=True))
    if y.is_floating_point() and name != "cast":
        x.requires_grad_(True)
        y = call(x)
        (gx,) = mg.autograd.grad(y, [x], [mg.ones_like(y)])
        assert gx.stride() == order


def test_layouts_that_differ_give_c_order(device: str) -> None:
    """NumPy's rule, so that both devices lay out the same."""
    x = channels_last(device, 2, 3, 4, 5)
    y = mg.from_numpy(np.ascontiguousarray(x.numpy(force=True))).to(device)
    for z in (x + y, y + x, mg.where(y > 0, x, y)):
        assert z.is_contiguous()
    np.testing.assert_array_equal((x + y).numpy(force=True), 2 * y.numpy(force=True))


def test_a_residual_networks_gradients_stay_channels_last(device: str) -> None:
    """Where two gradients meet, as at a residual edge, their sum lies as they do: the next kernel copies nothing."""
    x = channels_last(device, 2, 4, 5, 5).requires_grad_(True)
    w = mg.ones(4, 4, 3, 3, device=device)
    y = F.conv2d(x * 2, w, padding=1).relu()
    z = F.conv2d(y, w, padding=1) + y
    seen = []
    y.register_hook(lambda g: seen.append(g.stride()))
    z.sum().backward()
    assert seen[0] == y.stride() and z.stride() == y.stride()


NUMBERS = np.array([0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 7.5, -7.5, 0.3, 1e30, -1e30, np.inf, -np.inf, np.nan, 2.0, 1e-30])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floors_and_remainders_are_of_the_exact_quotient(dtype: type, device: str) -> None:
    """CuPy's // is floor of the rounded quotient: 1.0 // 0.1 would be 10, and the remainder 0."""
    values = np.concatenate([NUMBERS, np.random.default_rng(1).standard_normal(40)]).astype(dtype)
    x, y = mg.from_numpy(values[:, None].copy()).to(device), mg.from_numpy(values[None].copy()).to(device)
    with np.errstate(all="ignore"):
        quotient, left = values[:, None] // values[None], values[:, None] % values[None]
        by_number = values // dtype(0.1), values % dtype(0.1)
    np.testing.assert_array_equal((x // y).numpy(force=True), quotient)
    np.testing.assert_array_equal((x % y).numpy(force=True), left)
    for ours, numpys in ((x // y, quotient), (x % y, left)):
        zero = numpys == 0
        np.testing.assert_array_equal(np.signbit(ours.numpy(force=True)[zero]), np.signbit(numpys[zero]))
    row = mg.from_numpy(values).to(device)
    for ours, numpys in zip((row // float(dtype(0.1)), row % float(dtype(0.1))), by_number, strict=True):
        np.testing.assert_array_equal(ours.numpy(force=True), numpys)
    if dtype is np.float64:
        assert (1.0 // mg.tensor(0.1, dtype=mg.float64, device=device)).item() == 9


@pytest.mark.parametrize("a, b", [(7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3)])
def test_integers_divide_as_in_python(a: int, b: int, device: str) -> None:
    x, y = mg.tensor([a], device=device), mg.tensor([b], device=device)
    assert (x // y).item() == a // b and (x % y).item() == a % b and (a % y).item() == a % b
    assert mg.div(x, y, rounding_mode="trunc").item() == int(a / b)
