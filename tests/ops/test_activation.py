"""Activations against torch: a line an op; GELU's kernels; the in-place forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad import backends
from tests.cases import INF, KINKED, NAN, Table
from tests.checking import CUDA_ULP, Drawn, Given, check

T = Table("nn.functional.")
case, refusal = T.case, T.refusal


def hardsigmoid(x: torch.Tensor) -> torch.Tensor:
    """torch's own has a gradient of float32's 1/6, in float64 too: 4.5e-8 off."""
    return torch.where((x > -3) & (x < 3), (x + 3) / 6, ((x.detach() + 3) / 6).clamp(0, 1))


VARIANTS: dict[str, list[dict[str, Any]]] = {
    "celu": [{}, {"alpha": 0.5}, {"alpha": -1.5}],
    "elu": [{}, {"alpha": 0.3}],
    "gelu": [{}, {"approximate": "tanh"}],
    "hardshrink": [{}, {"lambd": 0.2}],
    "hardsigmoid": [{"torch_call": hardsigmoid}],
    "hardswish": [{}],
    "hardtanh": [{}, {"min_val": -0.3, "max_val": 1.2}],
    "leaky_relu": [{}, {"negative_slope": 0.3}, {"negative_slope": -0.5}],
    "logsigmoid": [{}],
    "mish": [{}],
    "relu": [{}],
    "relu6": [{}],
    "selu": [{}],
    "sigmoid": [{}],
    "silu": [{}],
    "softplus": [{}, {"beta": 2.0, "threshold": 1.0}, {"beta": 0.5}],
    "softshrink": [{}, {"lambd": 0.2}],
    "softsign": [{}],
    "tanh": [{}],
    "tanhshrink": [{}],
    "threshold": [{"threshold": 0.2, "value": -1.5}],
}
# Far out, where exponentials overflow, and the kinks themselves.
FAR = [-800.0, -90.0, -20.0, -5.0, -1e-3, 1e-3, 5.0, 20.0, 20.5, 90.0, 800.0]
KINKS = [-3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0]
for name, variants in VARIANTS.items():
    for kwargs in variants:
        for shape in ((2, 3), (), (0, 2), (2, 3, 2, 2)):
            case(name, Drawn(shape, -4.0, 4.0) if shape else Drawn((), 0.1, 2.0), seed=3, **kwargs)
        case(name, Given(FAR), **KINKED, order=1, **kwargs)
        # torch's float32 kinks of softplus are where its rounded product says
        case(name, Given(KINKS), **KINKED, order=1, **kwargs)
        if name != "gelu":  # torch's vectorised erf gives NaN at inf
            case(name, Given([NAN, INF, -INF]), **KINKED, order=1, **kwargs)
for name in "hardtanh relu relu6 softsign tanhshrink".split():
    case(name, Given([-3, 0, 1, 8], np.int64))
case("threshold", Given([-3, 0, 8], np.int64), 0, 5)
case("gelu", Drawn((40, 1000), -7, 7), layouts=False)
case("gelu", Drawn((40, 1000), -7, 7), approximate="tanh", layouts=False)
case("silu", Drawn((40, 1000), -9, 9), layouts=False)
for dim in (0, 1, -1):
    case("softmin", (3, 4), dim=dim)
    case("glu", (4, 6), dim=dim)
case("glu", (2, 4))
case("glu", (0, 4))
case("glu", (2, 4, 3, 3), 1)
case("prelu", Drawn((2, 3, 4)), (3,))
case("prelu", Drawn((2, 3)), (3,))
case("prelu", Drawn((5,)), (1,))
case("prelu", Drawn(()), (1,))
case("prelu", Drawn((2, 3, 2, 2)), (1,), seed=1)
case("prelu", Drawn((0, 3)), (3,))
case("prelu", Given([-1.0, 0.0, 2.0]), Given([0.3]), **KINKED, order=1)


# -- softmax
case("relu", (2, 3))
for dim in (0, 1, -1):
    case("softmax", (3, 4), dim=dim)
    case("log_softmax", (3, 4), dim=dim)
case("softmax", (2, 3, 4, 5), dim=1)
case("softmax", Given([[1000.0, 0.0], [-1000.0, -1001.0]]), dim=1)
case("log_softmax", Given([[1000.0, 0.0], [-1000.0, -1001.0]]), dim=1)
case("softmax", (), dim=0)
case("softmax", (0, 3), dim=1)
for name in "celu elu gelu hardsigmoid hardswish leaky_relu logsigmoid mish selu silu softplus".split():
    refusal(name, np.ones(2, int))
refusal("prelu", (2, 3), (2,))
refusal("glu", (3,))
refusal("relu", np.array([True]))
refusal("threshold", (2,))
refusal("hardtanh", (2,), 2.0, 1.0)


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


@pytest.mark.parametrize("name", ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "selu_", "threshold_"])
def test_named_in_place(name: str, device: str) -> None:
    _check_in_place(name, [0.1, -2.0] if name == "threshold_" else [], {}, device)


@pytest.mark.parametrize("name", "celu elu hardtanh leaky_relu mish relu relu6 selu silu hardswish threshold".split())
def test_in_place_by_argument(name: str, device: str) -> None:
    _check_in_place(name, [0.1, -2.0] if name == "threshold" else [], {"inplace": True}, device)


def _check_in_place(name: str, rest: list[Any], kwargs: Any, device: str) -> None:
    def call(framework: Any) -> Any:
        def f(x: Any) -> Any:
            y = x * 1
            z = getattr(framework.nn.functional, name)(y, *rest, **kwargs)
            assert z is y
            return y * y

        return f

    # torch differentiates these in place from the result, so only where that tells the input's sign.
    check(name, Drawn((3, 4)), device=device, minigrad_call=call(minigrad), torch_call=call(torch), differences=False)


def test_errors_of_arguments(device: str) -> None:
    functional, x = minigrad.nn.functional, minigrad.ones(2, device=device)
    with pytest.raises(RuntimeError, match="none or tanh"):
        functional.gelu(x, approximate="erf")
    with pytest.raises(RuntimeError, match="alpha cannot be 0"):
        functional.celu(x, alpha=0)
    with pytest.raises(RuntimeError, match="zero-dim"):
        functional.prelu(x.sum(), x)
    with pytest.raises(RuntimeError, match="Type promoting"):
        functional.prelu(x, x.double())
    with pytest.raises(RuntimeError, match="scalars"):
        functional.glu(x.sum())
    with pytest.raises(RuntimeError, match="lambda"):
        functional.softshrink(x, -1.0)


def _kernels(device: str) -> Any:
    return backends.get(device.split(":")[0])


@pytest.mark.parametrize("approximate", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 2e-7), (np.float64, 1e-15)])
def test_gelu_is_accurate_everywhere(device: str, approximate: bool, dtype: Any, tolerance: float) -> None:
    """Against 50 digits where it is defined by erf; y to a fraction of |x|, its slope absolutely."""
    mpmath = pytest.importorskip("mpmath")  # torch brings it along
    if device != "cpu" and dtype is np.float32:
        tolerance += CUDA_ULP * float(np.finfo(np.float32).eps) / 2  # CUDA's erfcf, of which y is x / 2 times
    kernels, points = _kernels(device), np.linspace(-9, 9, 301).astype(dtype)
    s = mpmath.sqrt(2 / mpmath.pi)
    with mpmath.workdps(50):

        def p(v: Any) -> Any:
            inner = s * (v + mpmath.mpf("0.044715") * v**3)
            return (1 + mpmath.tanh(inner)) / 2 if approximate else mpmath.ncdf(v)

        values = [p(mpmath.mpf(float(v))) for v in points]
        slopes = [float(mpmath.diff(lambda v: v * p(v), mpmath.mpf(float(v)))) for v in points]
    x = kernels.from_host(points)
    y, kept = kernels.gelu(x, approximate=approximate, keep=True)
    gx = kernels.gelu_backward(kernels.xp.ones_like(x), x, kept, approximate=approximate)
    again = kernels.gelu_backward(kernels.xp.ones_like(x), x, None, approximate=approximate)
    y, gx, again = (kernels.to_host(a) for a in (y, gx, again))
    assert y.dtype == gx.dtype == dtype
    expected = np.array([float(v * float(a)) for v, a in zip(values, points, strict=True)])
    assert (np.abs(y - expected) <= tolerance * np.maximum(np.abs(points), 1e-30)).all()
    assert np.abs(gx - slopes).max() <= (10 if approximate else 2) * tolerance
    np.testing.assert_array_equal(gx, again)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_erf_is_accurate_near_zero_and_far_out(device: str, dtype: Any, tolerance: float) -> None:
    kernels = _kernels(device)
    points = np.concatenate([np.linspace(-6, 6, 1001), [1e-30, 1e-10, 1e-3, 30.0, 1e20]]).astype(dtype)
    x = kernels.from_host(points)
    for name in ("erf", "erfc"):
        y = kernels.to_host(getattr(kernels, name)(x))
        exact = np.array([getattr(math, name)(float(v)) for v in points])
        inside = np.abs(exact) > 1e-30  # below, float32 has none left
        assert (np.abs(y - exact)[inside] <= tolerance * 4 * np.abs(exact)[inside]).all(), name
        if name == "erf":
            assert (np.abs(y - exact) <= tolerance * np.abs(exact)).all()
    odd = kernels.to_host(kernels.erf(kernels.from_host(np.array([0.0, -0.0, INF, -INF, NAN], dtype))))
    np.testing.assert_array_equal(odd, np.array([0, 0, 1, -1, NAN]))


def test_gelu_keeps_nothing_where_no_gradient_is_asked_for() -> None:
    """On the CPU a second array is kept for the backward pass alone, and freed by it."""
    x = minigrad.randn(4)
    gelu = minigrad.ops.activation.Gelu(False)
    gelu(x)
    assert gelu.kept is None
    gelu = minigrad.ops.activation.Gelu(False)
    gelu(x.requires_grad_()).sum().backward()
    assert gelu.kept is None
    assert backends.get("cpu").gelu(x.numpy(force=True), approximate=False, keep=False)[1] is None


def test_gelu_gives_the_same_in_any_layout_and_over_threads() -> None:
    kernels = backends.get("cpu")
    x = np.random.default_rng(0).normal(size=(40, 50, 60)).astype(np.float32)
    y, slope = kernels.gelu(x, approximate=False, keep=True)
    threads = kernels.get_num_threads()
    try:
        for n in (1, 3):
            kernels.set_num_threads(n)
            for ways in ((2, 0, 1), (1, 2, 0)):
                transposed = np.ascontiguousarray(x.transpose(ways)).transpose(np.argsort(ways))
                again, slope_again = kernels.gelu(transposed, approximate=False, keep=True)
                assert again.strides == transposed.strides
                np.testing.assert_array_equal(again, y)
                np.testing.assert_array_equal(slope_again, slope)
            part, _ = kernels.gelu(x[:, ::2, 5:], approximate=False, keep=False)
            np.testing.assert_array_equal(part, y[:, ::2, 5:])
    finally:
        kernels.set_num_threads(threads)
