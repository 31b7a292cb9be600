"""Convolutions, pools, embeddings, images at other sizes, and functions of pairs, against torch: a line a case."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad.nn import functional as F
from tests.checking import Given, check, positive

P = "nn.functional."
INDEX = np.int64
NAN, INF = float("nan"), float("inf")
kinked = partial(check, differences=False)  # inputs that sit on a kink: torch's choice of gradient is the measure

CASES: list[tuple[Any, str, tuple[Any, ...], dict[str, Any]]] = []


def case(name: str, *inputs: Any, how: Any = check, **kwargs: Any) -> None:
    """Notes one check."""
    CASES.append((how, P + name, inputs, kwargs))


# -- convolutions
for x, w, b, kwargs in (
    ((2, 3, 9), (4, 3, 3), (4,), {}),
    ((2, 3, 9), (4, 3, 3), None, {"stride": 2, "padding": 1}),
    ((2, 3, 9), (4, 3, 3), (4,), {"dilation": [2], "padding": [2]}),
    ((2, 4, 9), (6, 2, 3), (6,), {"groups": 2}),
    ((2, 3, 9), (4, 3, 4), (4,), {"padding": "same"}),
    ((2, 3, 9), (4, 3, 4), (4,), {"padding": "valid"}),
    ((3, 9), (4, 3, 3), (4,), {}),
    ((0, 3, 9), (4, 3, 3), (4,), {}),
):
    case("conv1d", x, w, b, **kwargs)
for x, w, b, kwargs in (
    ((3, 6, 5), (4, 3, 2, 4), (4,), {"padding": "same", "dilation": (3, 1)}),
    ((3, 6, 5), (4, 3, 3, 3), None, {"padding": "valid", "stride": 2}),
):
    case("conv2d", x, w, b, **kwargs)
for x, w, b, kwargs in (
    ((2, 3, 4, 5), (3, 4, 3, 3), (4,), {}),
    ((2, 3, 4, 5), (3, 4, 3, 2), None, {"stride": (2, 1), "padding": (1, 0)}),
    ((2, 3, 4, 5), (3, 4, 3, 3), (4,), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((2, 3, 4, 5), (3, 4, 2, 3), (4,), {"stride": (2, 3), "output_padding": (0, 2)}),
    ((2, 4, 4, 5), (4, 3, 3, 3), (6,), {"groups": 2, "padding": 1}),
    ((2, 4, 4, 5), (4, 1, 3, 3), (4,), {"groups": 4, "stride": 2}),
    ((2, 3, 4, 5), (3, 4, 3, 3), (4,), {"dilation": (2, 1), "padding": (2, 1)}),
    ((2, 3, 4, 5), (3, 4, 3, 3), (4,), {"dilation": 2, "output_padding": 1, "padding": (0, 1)}),
    ((2, 3, 4, 5), (3, 4, 3, 3), None, {"dilation": 3, "output_padding": (2, 1), "stride": 2, "padding": (3, 1)}),
    ((2, 3, 4, 5), (3, 4, 1, 1), (4,), {}),
    ((2, 3, 4, 5), (3, 4, 1, 1), (4,), {"stride": 2}),
    ((3, 4, 5), (3, 4, 3, 3), (4,), {}),
    ((0, 3, 4, 5), (3, 4, 3, 3), (4,), {}),
):
    case("conv_transpose2d", x, w, b, **kwargs)
for x, w, b, kwargs in (
    ((2, 3, 6), (3, 4, 3), (4,), {}),
    ((2, 4, 6), (4, 3, 3), None, {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
    ((2, 3, 6), (3, 4, 3), (4,), {"dilation": [2], "stride": [3], "output_padding": [1]}),
    ((3, 6), (3, 4, 3), (4,), {}),
):
    case("conv_transpose1d", x, w, b, **kwargs)
case("unfold", (2, 3, 6, 5), [3, 2], padding=1, stride=2)
case("unfold", (0, 3, 6, 5), 2)
case("fold", (18, 15), [5, 4], [3, 2], padding=(1, 0))
# -- pools
for shape, kernel, kwargs in (
    ((2, 3, 9), 2, {}),
    ((2, 3, 9), [3], {"stride": [2], "padding": [1]}),
    ((2, 3, 9), 3, {"stride": 2, "dilation": 2, "ceil_mode": True}),
    ((2, 3, 9), 3, {"stride": 2, "padding": 1, "return_indices": True}),
    ((3, 9), 2, {"return_indices": True}),
):
    case("max_pool1d", shape, kernel, **kwargs)
case("max_pool2d_with_indices", (2, 3, 7, 6), 3, stride=2, padding=1)
case("max_pool2d", (0, 3, 7, 6), 2)
for kwargs in (
    {},
    {"stride": 1},
    {"stride": (2, 1), "padding": (1, 0)},
    {"stride": 2, "padding": 1, "count_include_pad": False},
    {"stride": 2, "padding": 1, "ceil_mode": True},
    {"stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    {"stride": 3, "ceil_mode": True},
    {"stride": 2, "padding": 1, "divisor_override": 5},
    {"stride": 4},
):
    for shape, kernel in (((2, 3, 7, 8), 3), ((2, 2, 6, 7), [3, 2])):
        case("avg_pool2d", shape, kernel, **kwargs)
case("avg_pool2d", (3, 6, 5), 2)
case("avg_pool2d", (0, 3, 6, 5), 2)
case("avg_pool2d", (2, 3, 4, 5), [4, 5])
case("avg_pool1d", (2, 3, 9), 3)
case("avg_pool1d", (2, 3, 9), [3], stride=[2], padding=[1], ceil_mode=True, count_include_pad=False)
case("avg_pool1d", (3, 9), 2)
for size in (1, 3, 9, 12):
    case("adaptive_avg_pool1d", (2, 3, 9), size)
    case("adaptive_max_pool1d", (2, 3, 9), size)
case("adaptive_avg_pool1d", (3, 9), [4])
case("adaptive_max_pool1d", (3, 9), [4], return_indices=True)
for size in (1, [2, 3], [4, 1], (None, 2), 7):
    case("adaptive_max_pool2d", (2, 3, 5, 6), size, return_indices=True)
case("adaptive_max_pool2d", (3, 5, 6), 2)
case("adaptive_max_pool2d", Given(np.zeros((1, 1, 5, 4))), 3, return_indices=True, how=kinked)
case("adaptive_max_pool2d", Given([[[[1.0, NAN, 3.0], [NAN, 0.0, 2.0]]]]), [1, 2], return_indices=True, how=kinked)
case("lp_pool2d", positive(2, 3, 6, 5), 2, 2)
case("lp_pool2d", positive(2, 3, 6, 5), 3.0, [3, 2], stride=(1, 2), ceil_mode=True)
case("max_unpool2d", (1, 2, 2, 2), Given(np.array([[[[0, 3], [9, 14]], [[5, 2], [8, 10]]]]), INDEX), 2)
case("max_unpool2d", (2, 2, 2), Given(np.array([[[0, 3], [9, 14]], [[5, 2], [8, 10]]]), INDEX), 2, output_size=[5, 4])
case("max_unpool2d", (1, 1, 2, 2), Given([[[[0, 2], [6, 8]]]], INDEX), 3, stride=2, padding=1)


@pytest.mark.parametrize("i", range(len(CASES)), ids=lambda i: f"{CASES[i][1]}{CASES[i][2]}")
def test_networks(i: int, device: str) -> None:
    how, name, inputs, kwargs = CASES[i]
    how(name, *inputs, device=device, **kwargs)


# -- errors


def _z(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return np.zeros(shape, dtype)


IMAGE = _z(2, 3, 6, 5)
ERRORS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("conv1d", (IMAGE, _z(4, 3, 3)), {}),
    ("conv1d", (_z(2, 3, 6), _z(4, 3, 3, 3)), {}),
    ("conv1d", (_z(2, 3, 6), _z(4, 2, 3)), {}),
    ("conv1d", (_z(2, 3, 2), _z(4, 3, 3)), {}),
    ("conv1d", (_z(2, 3, 6), _z(4, 3, 3)), {"stride": [1, 2]}),
    ("conv2d", (IMAGE, _z(4, 2, 3, 3)), {}),
    ("conv2d", (IMAGE, _z(4, 3, 3, 3), _z(3)), {}),
    ("conv2d", (IMAGE, _z(4, 3, 7, 3)), {}),
    ("conv2d", (IMAGE, _z(4, 3, 3, 3)), {"stride": 0}),
    ("conv2d", (IMAGE, _z(4, 3, 3, 3)), {"padding": -1}),
    ("conv2d", (IMAGE, _z(4, 3, 3, 3)), {"padding": "same", "stride": 2}),
    ("conv2d", (IMAGE, _z(4, 3, 3, 3)), {"padding": "full"}),
    ("conv2d", (IMAGE, _z(4, 3, 3, 3, dtype=np.float32)), {}),
    ("conv2d", (IMAGE, _z(4, 3, 3)), {}),
    ("conv2d", (IMAGE, _z(4, 3, 3, 3)), {"groups": 2}),
    ("conv_transpose2d", (IMAGE, _z(4, 3, 3, 3)), {}),
    ("conv_transpose2d", (IMAGE, _z(3, 4, 3, 3), _z(3)), {}),
    ("conv_transpose2d", (IMAGE, _z(3, 4, 3, 3)), {"output_padding": 1}),
    ("conv_transpose2d", (IMAGE, _z(3, 4, 3, 3)), {"padding": 9}),
    ("conv_transpose2d", (IMAGE, _z(3, 4, 3, 3)), {"padding": -1}),
    ("conv_transpose2d", (IMAGE, _z(3, 4, 3, 3, dtype=np.float32)), {}),
    ("conv_transpose2d", (_z(3, 4), _z(3, 4, 3, 3)), {}),
    ("conv_transpose1d", (IMAGE, _z(3, 4, 3)), {}),
    ("unfold", (IMAGE, 7), {}),
    ("unfold", (IMAGE, 0), {}),
    ("fold", (_z(2, 18, 14), (5, 4), (3, 2)), {}),
    ("fold", (_z(2, 17, 9), (5, 4), (3, 2)), {}),
    ("max_pool1d", (IMAGE, 2), {}),
    ("max_pool2d", (IMAGE, 7), {}),
    ("max_pool2d", (IMAGE, 2), {"padding": 2}),
    ("max_pool2d", (_z(3, 4), 2), {}),
    ("avg_pool1d", (IMAGE, 2), {}),
    ("avg_pool2d", (IMAGE, 7), {}),
    ("avg_pool2d", (IMAGE, 2), {"padding": 2}),
    ("avg_pool2d", (IMAGE, 2), {"divisor_override": 0}),
    ("avg_pool2d", (IMAGE.astype(np.int32), 2), {}),
    ("avg_pool2d", (_z(2, 3, 4, 5, 6), 2), {}),
    ("avg_pool2d", (IMAGE, (2, 2, 2)), {}),
    ("adaptive_max_pool2d", (IMAGE.astype(np.int64), 2), {}),
    ("adaptive_avg_pool2d", (IMAGE.astype(np.int64), 2), {}),
    ("unfold", (IMAGE.astype(np.int64), 2), {}),
    ("adaptive_avg_pool1d", (IMAGE, 2), {}),
    ("adaptive_avg_pool2d", (_z(3, 4), 2), {}),
    ("adaptive_max_pool2d", (_z(3, 4), 2), {}),
    ("max_unpool2d", (_z(1, 1, 2, 2), np.full((1, 1, 2, 2), 16), 2), {}),
    ("max_unpool2d", (_z(1, 1, 2, 2), np.zeros((1, 1, 2, 3), INDEX), 2), {}),
]


@pytest.mark.parametrize("i", range(len(ERRORS)), ids=lambda i: f"{ERRORS[i][0]}{i}")
def test_errors(i: int, device: str) -> None:
    """torch's kind of exception."""
    name, args, kwargs = ERRORS[i]
    with pytest.raises(Exception) as theirs:  # noqa: B017, PT011 - whatever torch raises
        getattr(torch.nn.functional, name)(*(torch.from_numpy(a) if hasattr(a, "dtype") else a for a in args), **kwargs)
    with pytest.raises(theirs.type):
        getattr(F, name)(*(minigrad.from_numpy(a).to(device) if hasattr(a, "dtype") else a for a in args), **kwargs)
