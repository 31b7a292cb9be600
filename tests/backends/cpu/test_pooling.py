"""Max-pooling with its winners, and adaptive average pooling."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.backends import cpu
from minigrad.window import Window
from tests.backends.cpu.checking import POOLS, as_window, check, gradients, layouts, numbers, torch

F = torch.nn.functional


def torch_tap(index, x_shape, window):
    """torch's flat index into the image as the tap within the window."""
    out_h, out_w = index.shape[2:]
    h, w = index // x_shape[3], index % x_shape[3]
    i = (h - np.arange(out_h)[:, None] * window.stride[0] + window.padding[0]) // window.dilation[0]
    j = (w - np.arange(out_w) * window.stride[1] + window.padding[1]) // window.dilation[1]
    return i * window.kernel[1] + j


def pool_inputs():
    x = numbers(3, 5, 9, 8)
    rng = np.random.default_rng(1)
    nan = x.copy()
    nan[rng.random(x.shape) < 0.1] = np.nan
    low = x.copy()
    low[rng.random(x.shape) < 0.7] = -np.inf
    return {
        "numbers": x,
        "ties": np.sign(x),
        "few values": np.round(2 * x) / 2,
        "zeros": np.maximum(x - 1.5, 0),
        "all zero": 0 * x,
        "NaN": nan,
        "-inf": low,
        "all -inf": np.full_like(x, -np.inf),
        "inf": np.where(x > 1, np.float32(np.inf), x),
        "no images": x[:0],
    }


@pytest.mark.parametrize("values", list(pool_inputs()))
@pytest.mark.parametrize("pool", POOLS)
def test_max_pool2d(pool, values, small_blocks, team):
    x, window = pool_inputs()[values], as_window(pool)
    try:
        y, index = F.max_pool2d(torch.from_numpy(x), *POOLS[pool], return_indices=True)
    except RuntimeError:
        pytest.skip("torch takes no such pool")
    gy = numbers(*y.shape, seed=3)
    taps = torch_tap(index.numpy(), x.shape, window)

    def kernel(x, gy):
        y, tap = cpu.max_pool2d(x, window=window)
        assert tap.dtype == np.uint8
        gathered = cpu.max_pool2d_gather(x, tap, window=window)
        np.testing.assert_array_equal(gathered, y)
        np.testing.assert_array_equal(tap, taps)
        return y, cpu.max_pool2d_backward(gy, tap, x_shape=x.shape, window=window)

    def reference(x, gy):
        x.requires_grad_()
        y = F.max_pool2d(x, *POOLS[pool])
        return y, *gradients(y, gy, x)

    for x2, gy2 in zip(layouts(x), layouts(gy), strict=True):
        check(kernel, reference, x2, gy2)


def test_max_pool2d_refuses_a_window_of_nothing_but_padding():
    with pytest.raises(RuntimeError, match="wholly in the padding"):
        cpu.max_pool2d(numbers(1, 1, 2, 2), window=Window((2, 2), padding=(1, 1), dilation=(3, 3)))


def test_max_pool2d_of_a_large_window():
    x = numbers(2, 3, 20, 19)
    window = Window((17, 18))
    y, tap = cpu.max_pool2d(x, window=window)
    right, index = F.max_pool2d(torch.from_numpy(x), (17, 18), 1, return_indices=True)
    assert tap.dtype == np.int32
    np.testing.assert_array_equal(y, right)
    np.testing.assert_array_equal(tap, torch_tap(index.numpy(), x.shape, window))
    gx = cpu.max_pool2d_backward(np.ones_like(y), tap, x_shape=x.shape, window=window)
    assert gx.sum() == y.size


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5), (4, 9), (11, 10)])
def test_adaptive_avg_pool2d(size, team):
    x, gy = numbers(3, 4, 7, 9), numbers(3, 4, *size, seed=1)

    def kernel(x, gy):
        return cpu.adaptive_avg_pool2d(x, output_size=size), cpu.adaptive_avg_pool2d_backward(gy, x_shape=x.shape)

    def reference(x, gy):
        x.requires_grad_()
        y = F.adaptive_avg_pool2d(x, size)
        return y, *gradients(y, gy, x)

    for x2, gy2 in zip(layouts(x), layouts(gy), strict=True):
        check(kernel, reference, x2, gy2)


def test_adaptive_avg_pool2d_of_ones_with_inf_beside():
    x = np.ones((1, 1, 2, 4), np.float32)
    x[..., 3] = np.inf
    np.testing.assert_array_equal(cpu.adaptive_avg_pool2d(x, output_size=(1, 2)), [[[[1, np.inf]]]])
