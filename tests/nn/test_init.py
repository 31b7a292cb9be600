"""Initialisation: fans and gains equal to torch's, distributions by their statistics, and by torch's own numbers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.nn import init

torch.set_num_threads(1)


def values(tensor: mg.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


def kolmogorov_smirnov(x: np.ndarray, cdf: Any) -> float:
    """The largest distance between the sample's distribution and `cdf`, times sqrt(n): above 2.2, p < 0.0002."""
    x = np.sort(x.ravel().astype(np.float64))
    ranks = np.arange(x.size + 1) / x.size
    expected = np.array([cdf(value) for value in x])
    return float(max((expected - ranks[:-1]).max(), (ranks[1:] - expected).max()) * math.sqrt(x.size))


def uniform_cdf(a: float, b: float) -> Any:
    return lambda x: min(max((x - a) / (b - a), 0.0), 1.0)


def normal_cdf(mean: float, std: float) -> Any:
    return lambda x: (1 + math.erf((x - mean) / std / math.sqrt(2))) / 2


def truncated_cdf(mean: float, std: float, a: float, b: float) -> Any:
    cdf = normal_cdf(mean, std)
    return lambda x: (cdf(x) - cdf(a)) / (cdf(b) - cdf(a))


SHAPE = (40, 30, 3, 2)  # fan_in 180, fan_out 240
CASES = [
    ("uniform_", {"a": -1.0, "b": 3.0}, uniform_cdf(-1, 3)),
    ("normal_", {"mean": 1.0, "std": 2.0}, normal_cdf(1, 2)),
    ("trunc_normal_", {"std": 0.02}, normal_cdf(0, 0.02)),
    ("trunc_normal_", {"mean": 0.5, "std": 1.0, "a": -1.0, "b": 1.0}, truncated_cdf(0.5, 1, -1, 1)),
    ("trunc_normal_", {"mean": 0.0, "std": 1.0, "a": 1.0, "b": 2.0}, truncated_cdf(0, 1, 1, 2)),
    ("xavier_uniform_", {"gain": 2.0}, uniform_cdf(-2 * math.sqrt(6 / 420), 2 * math.sqrt(6 / 420))),
    ("xavier_normal_", {}, normal_cdf(0, math.sqrt(2 / 420))),
    ("kaiming_uniform_", {"a": math.sqrt(5)}, uniform_cdf(-1 / math.sqrt(180), 1 / math.sqrt(180))),
    ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}, normal_cdf(0, math.sqrt(2 / 240))),
]


@pytest.mark.parametrize(("name", "kwargs", "cdf"), CASES, ids=[f"{name}{kwargs}" for name, kwargs, _ in CASES])
def test_distribution(name: str, kwargs: dict, cdf: Any, device: str) -> None:
    ours = mg.empty(SHAPE, device=device, requires_grad=True)
    assert getattr(init, name)(ours, generator=mg.Generator(3), **kwargs) is ours
    assert ours.is_leaf and ours.requires_grad
    assert kolmogorov_smirnov(values(ours), cdf) < 2.2
    theirs = getattr(torch.nn.init, name)(torch.empty(SHAPE), generator=torch.Generator().manual_seed(3), **kwargs)
    assert kolmogorov_smirnov(theirs.numpy(), cdf) < 2.2  # the formula under test is torch's


def test_trunc_normal_stays_within_its_bounds() -> None:
    for a, b in ((-0.1, 0.1), (1.0, 1.5), (-2.0, 2.0)):
        x = values(init.trunc_normal_(mg.empty((1000,)), a=a, b=b))
        assert np.float32(a) <= x.min() and x.max() <= np.float32(b)
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(mg.empty((3,)), mean=5.0, a=-1.0, b=1.0)


def test_seed_decides(device: str) -> None:
    def draw() -> np.ndarray:
        return values(nn.Sequential(nn.Linear(3, 4), nn.Conv2d(2, 2, 3)).to(device)[1].weight)

    mg.manual_seed(7)
    first = draw()
    second = draw()
    mg.manual_seed(7)
    np.testing.assert_array_equal(draw(), first)
    assert not np.array_equal(first, second)
    own = values(init.normal_(mg.empty((5,), device=device), generator=mg.Generator(1)))
    np.testing.assert_array_equal(own, values(init.normal_(mg.empty((5,)), generator=mg.Generator(1))))


def test_float64_is_drawn_in_float64() -> None:
    x = values(init.uniform_(mg.empty((100,), dtype=np.float64)))
    assert (x != x.astype(np.float32)).any()


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (3, 2, 3, 3), (5, 5)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal(shape: tuple, gain: float) -> None:
    w = values(init.orthogonal_(mg.empty(shape, dtype=np.float64), gain=gain)).reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_is_uniform() -> None:
    """Over all orthogonal matrices: each entry has mean 0 (QR alone would leave the diagonal's sign fixed)."""
    generator = mg.Generator(0)
    corner = [values(init.orthogonal_(mg.empty((2, 2)), generator=generator))[0, 0] for _ in range(400)]
    assert abs(np.mean(corner)) < 0.15


@pytest.mark.parametrize(
    ("name", "args", "shape"),
    [
        ("constant_", (0.3,), (2, 3)),
        ("ones_", (), (2, 3)),
        ("zeros_", (), (2, 3)),
        ("eye_", (), (3, 5)),
        ("eye_", (), (5, 3)),
        ("dirac_", (), (4, 3, 3, 3)),
        ("dirac_", (2,), (4, 3, 5)),
        ("dirac_", (3,), (6, 1, 2, 3, 4)),
    ],
)
def test_fixed_values_are_torchs(name: str, args: tuple, shape: tuple, device: str) -> None:
    ours = mg.tensor(np.full(shape, 9.0, np.float32), device=device, requires_grad=True)
    theirs = torch.full(shape, 9.0)
    assert getattr(init, name)(ours, *args) is ours
    np.testing.assert_array_equal(values(ours), getattr(torch.nn.init, name)(theirs, *args).numpy())


@pytest.mark.parametrize("shape", [(3, 5), (4, 3, 3, 2), (2, 7, 5), (0, 3)])
def test_fans_are_torchs(shape: tuple) -> None:
    assert init._calculate_fan_in_and_fan_out(mg.empty(shape)) == torch.nn.init._calculate_fan_in_and_fan_out(
        torch.empty(shape)
    )


@pytest.mark.parametrize(
    ("nonlinearity", "param"),
    [
        ("linear", None),
        ("conv2d", None),
        ("conv_transpose3d", None),
        ("sigmoid", None),
        ("tanh", None),
        ("relu", None),
        ("leaky_relu", None),
        ("leaky_relu", 0.3),
        ("leaky_relu", 2),
        ("selu", None),
    ],
)
def test_gains_are_torchs(nonlinearity: str, param: float | None) -> None:
    assert init.calculate_gain(nonlinearity, param) == torch.nn.init.calculate_gain(nonlinearity, param)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib, empty: lib._calculate_fan_in_and_fan_out(empty((3,))),
        lambda lib, empty: lib.calculate_gain("gelu"),
        lambda lib, empty: lib.calculate_gain("leaky_relu", True),
        lambda lib, empty: lib.kaiming_normal_(empty((3, 3)), mode="fan"),
        lambda lib, empty: lib.orthogonal_(empty((3,))),
        lambda lib, empty: lib.eye_(empty((3,))),
        lambda lib, empty: lib.dirac_(empty((3, 3))),
        lambda lib, empty: lib.dirac_(empty((3, 3, 3)), 2),
    ],
)
def test_misuse_is_refused_as_in_torch(call: Any) -> None:
    for lib, empty in ((torch.nn.init, torch.empty), (init, mg.empty)):
        with pytest.raises(ValueError):
            call(lib, empty)


def test_empty_tensors() -> None:
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_uniform_(mg.empty((0, 3)))
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_normal_(mg.empty((0, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        init.orthogonal_(mg.empty((0, 3)))


@pytest.mark.parametrize(
    ("build", "fan_in"),
    [
        (lambda: nn.Linear(50, 100), 50),
        (lambda: nn.Conv2d(6, 90, (3, 5), groups=3), 30),
    ],
)
def test_default_initialisation_of_layers(build: Any, fan_in: int) -> None:
    """torch: weight and bias from U(-k, k), k = 1/sqrt(fan_in), the weight drawn first."""
    mg.manual_seed(0)
    layer = build()
    k = 1 / math.sqrt(fan_in)
    for parameter in (layer.weight, layer.bias):
        assert kolmogorov_smirnov(values(parameter), uniform_cdf(-k, k)) < 2.2
    generator = mg.Generator(0)
    weight = init.kaiming_uniform_(mg.empty(layer.weight.shape), a=math.sqrt(5), generator=generator)
    bias = init.uniform_(mg.empty(layer.bias.shape), -k, k, generator=generator)
    np.testing.assert_array_equal(values(weight), values(layer.weight))
    np.testing.assert_array_equal(values(bias), values(layer.bias))
