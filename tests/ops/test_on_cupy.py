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


REPEATED = {
    "index_put": lambda x, i, v: x.index_put((i,), v),
    "index_copy": lambda x, i, v: x.index_copy(0, i, v),
    "scatter": lambda x, i, v: x.scatter(0, i.unsqueeze(1).expand(v.shape), v),
    "put": lambda x, i, v: x.put(i, v[:, 0]),
    "index_copy along the second axis": lambda x, i, v: x.mT.index_copy(1, i, v.mT),
    "both axes": lambda x, i, v: x.index_put((i, i % 3), v[:, 0]),
}


@pytest.mark.parametrize("name", REPEATED)
def test_of_repeated_places_the_last_stays(name: str, device: str) -> None:
    """CuPy gives no order. On both devices it is NumPy's: the last; and each value gets the gradient of its place."""
    random = np.random.default_rng(3)
    x, v = random.standard_normal((6, 3)), random.standard_normal((9, 3))
    i = np.array([4, 1, 4, 0, 1, 4, 5, 0, 4])
    results = []
    for where in ("cpu", device):
        a, b = (mg.from_numpy(t.copy()).to(where).requires_grad_(True) for t in (x, v))
        y = REPEATED[name](a, mg.from_numpy(i).to(where), b)
        gradients = mg.autograd.grad(y, [a, b], [mg.arange(y.numel(), dtype=mg.float64, device=where).reshape(y.shape)])
        results.append([t.numpy(force=True) for t in (y, *gradients)])
    for ours, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_array_equal(ours, expected)
    if name == "index_put":
        expected = x.copy()
        expected[i] = v
        np.testing.assert_array_equal(results[1][0], expected)


def test_an_assignment_to_repeated_places(device: str) -> None:
    x, mask = mg.zeros(5, 2, device=device), np.array([True, False, True, True, False])
    x[mg.tensor([3, 0, 3], device=device)] = mg.arange(6.0, device=device).reshape(3, 2)
    np.testing.assert_array_equal(x.numpy(force=True), [[2, 3], [0, 0], [0, 0], [4, 5], [0, 0]])
    x[mg.from_numpy(mask).to(device)] = mg.arange(6.0, device=device).reshape(1, 3, 2)
    np.testing.assert_array_equal(x.numpy(force=True)[mask], np.arange(6.0).reshape(3, 2))
    x[mg.tensor([], dtype=mg.int64, device=device)] = mg.zeros(0, 2, device=device)
    x[1:, mg.tensor([1, 1], device=device)] = mg.arange(8.0, device=device).reshape(4, 2)
    np.testing.assert_array_equal(x.numpy(force=True)[1:, 1], [1, 3, 5, 7])


def test_unpooling_to_repeated_places(device: str) -> None:
    x = mg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], device=device)
    index = mg.tensor([[[[0, 5], [5, 15]]]], device=device)
    y = F.max_unpool2d(x, index, 2).numpy(force=True)
    expected = np.zeros(16)
    expected[[0, 5, 15]] = 1, 3, 4
    np.testing.assert_array_equal(y.reshape(-1), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_embedding_gradients_by_frequency_in_every_type(dtype: type, device: str) -> None:
    """Each row's gradient is the mean over its uses; of float16 it is rounded once."""
    weight = (
        mg.from_numpy(np.random.default_rng(5).standard_normal((7, 3)).astype(dtype)).to(device).requires_grad_(True)
    )
    index = np.array([[1, 4, 1], [1, 6, 4]])
    gy = np.random.default_rng(6).standard_normal((2, 3, 3)).astype(dtype)
    y = F.embedding(mg.from_numpy(index).to(device), weight, scale_grad_by_freq=True)
    (gw,) = mg.autograd.grad(y, [weight], [mg.from_numpy(gy).to(device)])
    expected = np.zeros((7, 3))
    np.add.at(expected, index, gy.astype(np.float64))
    expected /= np.maximum(np.bincount(index.reshape(-1), minlength=7), 1)[:, None]
    assert gw.dtype == dtype
    np.testing.assert_allclose(gw.numpy(force=True), expected, rtol=0, atol=4 * np.finfo(dtype).eps)
