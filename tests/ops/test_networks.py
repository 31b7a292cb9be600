"""Convolutions, pools, embeddings, images at other sizes, and functions of pairs, against torch: a line a case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad.nn import functional as F
from tests.cases import INDEX, KINKED, NAN, Table
from tests.checking import Given, check, positive

T = Table("nn.functional.")
case, refusal = T.case, T.refusal

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
case("adaptive_max_pool2d", Given(np.zeros((1, 1, 5, 4))), 3, return_indices=True, **KINKED)
case("adaptive_max_pool2d", Given([[[[1.0, NAN, 3.0], [NAN, 0.0, 2.0]]]]), [1, 2], return_indices=True, **KINKED)
case("lp_pool2d", positive(2, 3, 6, 5), 2, 2)
case("lp_pool2d", positive(2, 3, 6, 5), 3.0, [3, 2], stride=(1, 2), ceil_mode=True)
case("max_unpool2d", (1, 2, 2, 2), Given(np.array([[[[0, 3], [9, 14]], [[5, 2], [8, 10]]]]), INDEX), 2)
case("max_unpool2d", (2, 2, 2), Given(np.array([[[0, 3], [9, 14]], [[5, 2], [8, 10]]]), INDEX), 2, output_size=[5, 4])
case("max_unpool2d", (1, 1, 2, 2), Given([[[[0, 2], [6, 8]]]], INDEX), 3, stride=2, padding=1)
case("linear", (4, 3), (2, 3), (2,))
case("linear", (4, 3), (2, 3))
case("linear", (3,), (2, 3), (2,))
case("linear", (2, 4, 3), (2, 3), (2,))
case("linear", (0, 3), (2, 3), (2,))
case("unfold", (2, 3, 6, 5), [3, 2])
case("unfold", (2, 3, 6, 5), [3, 2], dilation=(1, 2), padding=(2, 1), stride=(2, 1))
case("unfold", (3, 6, 5), 2)
case("fold", (2, 18, 15), [5, 4], [3, 2], padding=(1, 0))
case("fold", (2, 12, 9), [6, 5], [2, 2], dilation=(1, 2), stride=(2, 2), padding=(0, 1))
CONVOLUTIONS: list[tuple[Any, Any, Any, dict[str, Any]]] = [
    ((2, 3, 6, 5), (4, 3, 3, 3), (4,), {}),
    ((2, 3, 6, 5), (4, 3, 3, 3), (4,), {"padding": 1}),
    ((2, 3, 7, 6), (4, 3, 3, 2), (4,), {"stride": (2, 1), "padding": (1, 0)}),
    ((2, 3, 9, 8), (4, 3, 3, 3), (4,), {"dilation": (2, 1), "padding": (2, 1)}),
    ((2, 4, 6, 5), (6, 2, 3, 3), (6,), {"groups": 2, "padding": 1}),
    ((2, 4, 6, 5), (4, 1, 3, 3), (4,), {"groups": 4, "stride": 2}),
    ((2, 3, 6, 5), (4, 3, 1, 1), (4,), {}),
    ((2, 3, 6, 5), (4, 3, 1, 1), (4,), {"stride": 2}),
    ((1, 3, 14, 15), (4, 3, 7, 7), (4,), {"stride": 2, "padding": 3}),
    ((2, 3, 6, 5), (4, 3, 3, 3), None, {"padding": "same"}),
    ((2, 3, 6, 5), (4, 3, 2, 4), (4,), {"padding": "same"}),
    ((2, 3, 6, 5), (4, 3, 3, 3), None, {"padding": "valid"}),
    ((3, 6, 5), (4, 3, 3, 3), (4,), {}),
    ((0, 3, 6, 5), (4, 3, 3, 3), (4,), {}),
    ((2, 3, 4, 4), (4, 3, 4, 4), (4,), {}),
    ((2, 3, 8, 3), (2, 3, 5, 2), (2,), {"stride": (3, 2), "padding": (4, 1)}),
]
for x, w, b, kwargs in CONVOLUTIONS:
    case("conv2d", x, w, b, **kwargs)
POOLS: list[tuple[Any, Any, dict[str, Any]]] = [
    ((2, 3, 6, 5), 2, {}),
    ((2, 3, 7, 6), 3, {"stride": 2, "padding": 1}),
    ((2, 3, 7, 6), [3, 2], {"stride": (1, 2), "padding": (1, 0)}),
    ((2, 3, 9, 8), 3, {"stride": 2, "dilation": (2, 1), "padding": 1}),
    ((2, 3, 7, 6), 3, {"stride": 2, "ceil_mode": True}),
    ((2, 3, 7, 6), 2, {"stride": 3, "padding": 1, "ceil_mode": True}),
    ((2, 3, 7, 6), 3, {"stride": 2, "padding": 1, "return_indices": True}),
    ((3, 7, 6), 2, {}),
]
for x, kernel, kwargs in POOLS:
    case("max_pool2d", x, kernel, **kwargs)
case("max_pool2d", Given(np.zeros((1, 1, 4, 4))), 2, **KINKED)
case("max_pool2d", Given(np.zeros((1, 1, 4, 4))), 3, stride=1, padding=1, **KINKED)
case("max_pool2d", Given([[[[1.0, float("nan")], [3.0, 4.0]]]]), 2, **KINKED)
for size in (1, [2, 3], [4, 1], (None, 2), 7):
    case("adaptive_avg_pool2d", (2, 3, 5, 6), size)
case("adaptive_avg_pool2d", (3, 5, 6), 2)
# -- embeddings
ROWS = Given([[0, 2, 2], [3, 0, 2]], INDEX)
case("embedding", ROWS, (4, 3))
case("embedding", ROWS, (4, 3), padding_idx=2, **KINKED)
case("embedding", ROWS, (4, 3), padding_idx=-4, **KINKED)
case("embedding", ROWS, (4, 3), scale_grad_by_freq=True, order=1, **KINKED)
case("embedding", ROWS, (4, 3), 2, None, 2.0, True, order=1, **KINKED)
case("embedding", Given(1, INDEX), (4, 3))
case("embedding", Given([1, 1], np.int32), (4, 3))
case("embedding", Given(np.zeros((0, 2)), INDEX), (4, 3), order=1)
case("one_hot", Given([[0, 2], [1, 1]], INDEX))
# -- images at other sizes
for kwargs in (
    {"size": 7},
    {"size": [3, 8]},
    {"size": [8, 10]},
    {"scale_factor": 2},
    {"scale_factor": 1.7},
    {"scale_factor": (0.6, 2.5)},
    {"scale_factor": 1.7, "recompute_scale_factor": True},
):
    for mode in ("nearest", "nearest-exact", "bilinear"):
        case("interpolate", (2, 3, 4, 5), mode=mode, **kwargs)
    case("interpolate", (2, 3, 4, 5), mode="bilinear", align_corners=True, **kwargs)
case("interpolate", (2, 3, 4, 5), size=1, mode="bilinear", align_corners=True)
case("interpolate", (2, 3, 4, 5), size=[4, 5], mode="bilinear")
case("interpolate", (2, 3, 4, 5), size=3, mode="area")
case("interpolate", (2, 3, 7), size=3, mode="area")
case("interpolate", (0, 3, 4, 5), scale_factor=2, mode="bilinear")
for mode in ("nearest", "nearest-exact", "linear"):
    case("interpolate", (2, 3, 7), size=[11], mode=mode)
    case("interpolate", (2, 3, 7), scale_factor=0.5, mode=mode)
for mode in ("nearest", "trilinear"):
    case("interpolate", (1, 2, 2, 3, 2), scale_factor=(2.0, 1.5, 3.0), mode=mode)
case("upsample", (2, 3, 4, 5), scale_factor=2, mode="bilinear", align_corners=True)
for shape in ((2, 12, 2, 3), (4, 2, 3), (2, 1, 8, 2, 2)):
    case("pixel_shuffle", shape, 2)
for shape in ((2, 3, 4, 6), (3, 4, 6), (2, 1, 2, 2, 2)):
    case("pixel_unshuffle", shape, 2)
case("pixel_shuffle", (1, 9, 2, 2), 3)
case("channel_shuffle", (2, 6, 3), 3)
case("channel_shuffle", (2, 6, 3, 2), 2)


# -- errors


def _z(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return np.zeros(shape, dtype)


IMAGE = _z(2, 3, 6, 5)
for name, inputs, kwargs in (
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
    ("embedding", (np.array([4]), _z(4, 3)), {}),
    ("embedding", (np.array([-1]), _z(4, 3)), {}),
    ("embedding", (np.array([1.0]), _z(4, 3)), {}),
    ("embedding", (np.array([1], np.uint8), _z(4, 3)), {}),
    ("embedding", (np.array([1]), _z(4)), {}),
    ("embedding", (np.array([1]), _z(4, 3)), {"padding_idx": 4}),
    ("one_hot", (np.array([3]), 3), {}),
    ("one_hot", (np.array([-1]), 3), {}),
    ("interpolate", (IMAGE,), {}),
    ("interpolate", (IMAGE,), {"size": 3, "scale_factor": 2}),
    ("interpolate", (IMAGE,), {"size": (2, 2, 2)}),
    ("interpolate", (IMAGE,), {"scale_factor": (2, 2, 2)}),
    ("interpolate", (IMAGE,), {"scale_factor": 2, "mode": "linear"}),
    ("interpolate", (IMAGE,), {"scale_factor": 2, "mode": "cubic"}),
    ("interpolate", (IMAGE,), {"scale_factor": 2, "align_corners": True}),
    ("interpolate", (IMAGE,), {"size": 0}),
    ("interpolate", (IMAGE,), {"scale_factor": 0.1, "mode": "bilinear"}),
    ("interpolate", (IMAGE,), {"size": 3, "recompute_scale_factor": True}),
    ("interpolate", (_z(3, 4),), {"scale_factor": 2}),
    ("interpolate", (IMAGE.astype(np.int64),), {"scale_factor": 2}),
    ("pixel_shuffle", (IMAGE, 2), {}),
    ("pixel_shuffle", (_z(4, 4), 2), {}),
    ("pixel_shuffle", (_z(1, 4, 2, 2), 0), {}),
    ("pixel_unshuffle", (IMAGE, 4), {}),
    ("pixel_unshuffle", (_z(4, 4), 2), {}),
    ("channel_shuffle", (IMAGE, 2), {}),
    ("channel_shuffle", (_z(4, 4), 2), {}),
    ("dropout", (IMAGE, 1.5), {}),
    ("dropout1d", (_z(3), 0.5), {}),
    ("dropout1d", (IMAGE, 0.5), {}),
    ("dropout2d", (IMAGE, -0.5), {}),
    ("alpha_dropout", (IMAGE, -0.5), {}),
    ("max_unpool2d", (_z(1, 1, 2, 2), np.full((1, 1, 2, 2), 16), 2), {}),
    ("max_unpool2d", (_z(1, 1, 2, 2), np.zeros((1, 1, 2, 3), INDEX), 2), {}),
):
    refusal(name, *inputs, **kwargs)


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


@pytest.mark.parametrize("name", ["conv2d_relu", "conv2d_relu_max_pool2d"])
@pytest.mark.parametrize("x, w, b, kwargs", [c for c in CONVOLUTIONS if len(c[0]) == 4 and c[0][0] and c[0][2] > 4])
def test_fused_convolution(name: str, x: Any, w: Any, b: Any, kwargs: Any, device: str) -> None:
    convolve = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **kwargs}
    pool: Any = ((3, 2), (2, 1), (1, 0), (1, 1), False)
    ours = getattr(minigrad.nn.functional, "_" + name)
    more = [pool] if name.endswith("pool2d") else []

    def reference(x: Any, w: Any, b: Any = None) -> Any:
        y = torch.nn.functional.conv2d(x, w, b, **convolve).relu()
        return torch.nn.functional.max_pool2d(y, *pool[:4]) if more else y

    # Bigger images, so that every pool fits.
    x = (*x[:2], x[2] + 3, x[3] + 3)
    inputs = [x, w] if b is None else [x, w, b]
    check(name, *inputs, device=device,
          minigrad_call=lambda x, w, b=None: ours(x, w, b, *convolve.values(), *more), torch_call=reference)  # fmt: skip


@pytest.mark.parametrize("kwargs", [{"max_norm": 1.0}, {"sparse": True}])
def test_what_embedding_refuses(kwargs: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError, match=next(iter(kwargs))):
        F.embedding(minigrad.tensor([0]), minigrad.zeros(2, 3), **kwargs)


def test_a_changed_index_is_noticed(device: str) -> None:
    """The gradient of an embedding needs the index: changed in between, it is an error, not a wrong number."""
    index = minigrad.tensor([0, 1], device=device)
    y = F.embedding(index, minigrad.zeros(3, 2, device=device).requires_grad_())
    index[0] = 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# -- dropout: torch's random numbers are its own, so what is compared is what must hold of any


@pytest.mark.parametrize(
    "name, shape", [("dropout1d", (50, 40, 3)), ("dropout2d", (50, 40, 3, 2)), ("dropout", (50, 40, 3))]
)
def test_dropout(name: str, shape: tuple[int, ...], device: str) -> None:
    """About p of the elements, or channels whole, are zero, the others scaled; the gradient meets the same mask."""
    drop = getattr(F, name)
    x = minigrad.ones(*shape, device=device).requires_grad_()
    y = drop(x, 0.3, generator=minigrad.Generator(1))
    again = drop(x, 0.3, generator=minigrad.Generator(1))
    values = y.numpy(force=True)
    np.testing.assert_array_equal(values, again.numpy(force=True))
    np.testing.assert_allclose(np.unique(values), [0, 1 / 0.7], rtol=1e-6)
    whole = (
        (values == values[(slice(None), slice(None), *[slice(0, 1)] * (len(shape) - 2))]).all()
        if name != "dropout"
        else True
    )
    assert whole
    assert abs((values == 0).mean() - 0.3) < 0.04
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(force=True), values)
    assert drop(x, 0.3, training=False) is x
    assert float(drop(x, 1.0).abs().sum()) == 0
    z = minigrad.ones(*shape, device=device)
    assert drop(z, 0.3, inplace=True) is z
    assert float(z.min()) == 0


def test_dropout1d_without_a_batch() -> None:
    y = F.dropout1d(minigrad.ones(400, 3), 0.5, generator=minigrad.Generator(0)).numpy()
    assert (y == y[:, :1]).all()
    assert abs((y == 0).mean() - 0.5) < 0.1


def test_dropout2d_warns_as_torch_does() -> None:
    with pytest.warns(UserWarning, match="dropout1d"):
        F.dropout2d(minigrad.ones(2, 3, 4))


@pytest.mark.parametrize("inplace", [False, True])
def test_alpha_dropout(inplace: bool, device: str) -> None:
    """Mean 0 and variance 1 stay; two lines of points: the kept, and one value; none in evaluation."""
    x = minigrad.randn(40_000, generator=minigrad.Generator(0)).to(device)
    before = x.numpy(force=True).copy()
    y = F.alpha_dropout(x, 0.2, training=True, inplace=inplace, generator=minigrad.Generator(1))
    assert (y is x) == inplace
    values = y.numpy(force=True)
    assert abs(values.mean()) < 0.03
    assert abs(values.std() - 1) < 0.03
    lowest, count = np.unique(values, return_counts=True)
    assert abs(count.max() / values.size - 0.2) < 0.02
    kept = values != lowest[count.argmax()]
    a = 1 / np.sqrt(0.8 * (1 + 0.2 * 1.7580993408473766**2))
    np.testing.assert_allclose(values[kept], a * before[kept] + a * 0.2 * 1.7580993408473766, rtol=1e-5, atol=1e-5)
    assert F.alpha_dropout(x, 0.2) is x
