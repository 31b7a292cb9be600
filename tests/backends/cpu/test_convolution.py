"""Convolution, alone and with the ReLU and the pool that follow it, by columns and by Winograd's tiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minigrad.backends import cpu
from minigrad.window import Window
from tests.backends.cpu.checking import (
    CONVOLUTIONS,
    POOLS,
    check,
    check_needs,
    gradients,
    layouts,
    numbers,
    torch,
    windows,
)

F = torch.nn.functional


def check_conv2d(x_shape, w_shape, *geometry, relu=False):
    x, w, b = numbers(*x_shape), numbers(*w_shape, seed=1), numbers(w_shape[0], seed=2)
    shape = F.conv2d(torch.from_numpy(x), torch.from_numpy(w), None, *geometry).shape
    check_conv2d_values(x, w, b, numbers(*shape, seed=3), *geometry, relu=relu)


def check_conv2d_values(x, w, b, gy, *geometry, relu=False):
    needs, window = (True, True, b is not None), Window(w.shape[2:], *geometry)

    def kernel(x, w, b, gy):
        y = cpu.conv2d(x, w, b, window=window, relu=relu)
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
        return y, *cpu.conv2d_backward(gy, x, w, y if relu else None, x_shape=x.shape, window=window, needs=needs)

    def reference(x, w, b, gy):
        x, w, b = (None if t is None else t.requires_grad_() for t in (x, w, b))
        y = F.conv2d(x, w, b, *geometry)
        y = F.relu(y) if relu else y
        return y, *gradients(y, gy, x, w, b)

    check(kernel, reference, x, w, b, gy)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("blocks", ["whole images", "a few rows"])
def test_conv2d(name, relu, blocks, team, request):
    if blocks == "a few rows":
        request.getfixturevalue("small_blocks")
    check_conv2d(*CONVOLUTIONS[name], relu=relu)


WINOGRAD = {
    "odd": ((2, 5, 9, 8), (7, 5, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "one channel": ((3, 1, 6, 6), (2, 1, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "no padding": ((2, 4, 7, 6), (3, 4, 3, 3), (1, 1), (0, 0), (1, 1), 1),
    "one output": ((2, 4, 3, 3), (3, 4, 3, 3), (1, 1), (0, 0), (1, 1), 1),
    "rectangle": ((3, 6, 1, 9), (4, 6, 3, 3), (1, 1), (1, 0), (1, 1), 1),
    "much padding": ((2, 2, 4, 5), (3, 2, 3, 3), (1, 1), (3, 4), (1, 1), 1),
    "long sums": ((2, 300, 4, 4), (140, 300, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "no images": ((0, 4, 6, 5), (3, 4, 3, 3), (1, 1), (1, 1), (1, 1), 1),
}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", WINOGRAD)
@pytest.mark.parametrize("weights", ["each thread its images", "all threads at each step"])
def test_conv2d_by_winograd(name, relu, weights, any_winograd, team, monkeypatch):
    monkeypatch.setattr(any_winograd, "WEIGHTS", 1 << 30 if weights == "each thread its images" else 0)
    check_conv2d(*WINOGRAD[name], relu=relu)


def test_winograd_says_where_a_result_is_not_finite(any_winograd):
    """One pixel that is not finite reaches the outputs that see it, and no others; likewise for gradients."""
    for value in (np.inf, -np.inf, np.nan, 1e30):
        x, w, gy = numbers(2, 4, 8, 7), numbers(3, 4, 3, 3, seed=1), numbers(2, 3, 8, 7, seed=2)
        x[1, 2, 4, 3] = value
        check_conv2d_values(x, w, None, gy, (1, 1), (1, 1), (1, 1), 1)
        gy[0, 1, 2, 2] = value
        check_conv2d_values(x, w, None, gy, (1, 1), (1, 1), (1, 1), 1)


def test_conv2d_takes_any_strides_and_gives_what_is_asked(small_blocks):
    x, w, b, gy = numbers(2, 4, 6, 5), numbers(3, 4, 3, 3, seed=1), numbers(3, seed=2), numbers(2, 3, 6, 5, seed=3)
    window = Window((3, 3), padding=(1, 1))
    y = cpu.conv2d(x, w, b, window=window, relu=True)
    expected = cpu.conv2d_backward(gy, x, w, y, x_shape=x.shape, window=window, needs=(True, True, True))
    for x2, w2, gy2, y2 in zip(layouts(x), layouts(w), layouts(gy), layouts(y), strict=True):
        np.testing.assert_allclose(cpu.conv2d(x2, w2, b, window=window, relu=True), y, rtol=1e-5, atol=1e-5)
        for needs in itertools.product([False, True], repeat=3):
            got = cpu.conv2d_backward(
                gy2, x2 if needs[1] else None, w2 if needs[0] else None, y2, x_shape=x.shape, window=window, needs=needs
            )
            for need, ours, right in zip(needs, got, expected, strict=True):
                assert (ours is None) == (not need)
                if need:
                    np.testing.assert_allclose(ours, right, rtol=1e-5, atol=1e-5)


def test_a_few_channels_from_planes():
    x, w = numbers(2, 3, 9, 8), numbers(4, 3, 3, 3, seed=1)
    ours = cpu.conv2d(x, w, None, window=Window((3, 3), padding=(1, 1)))
    right = F.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=1)
    np.testing.assert_allclose(ours, right, rtol=1e-5, atol=1e-5)


def test_relu_mask_keeps_infinite_gradients_out():
    x, w = np.array([[[[-1.0, 2.0]]]], np.float32), np.ones((1, 1, 1, 1), np.float32)
    window = Window((1, 1))
    y = cpu.conv2d(x, w, None, window=window, relu=True)
    gy = np.array([[[[np.inf, 3.0]]]], np.float32)
    gx, gw, _ = cpu.conv2d_backward(gy, x, w, y, x_shape=x.shape, window=window, needs=(True, True, False))
    np.testing.assert_array_equal(gx, [[[[0, 3]]]])
    assert gw == 6


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    "name", ["3x3", "1x1", "stem", "dilated stride", "groups", "depthwise", "one image", "no images"]
)
def test_conv2d_relu_max_pool2d(name, pool, small_blocks, team):
    x_shape, w_shape, *geometry = CONVOLUTIONS[name]
    slid = windows(name, pool)
    x, w, b = numbers(*x_shape), numbers(*w_shape, seed=1), numbers(w_shape[0], seed=2)

    def forward(x, w, b):
        y = F.relu(F.conv2d(x, w, b, *geometry))
        return F.max_pool2d(y, *POOLS[pool])

    try:
        shape = forward(*map(torch.from_numpy, (x, w, b))).shape
    except RuntimeError:
        pytest.skip("torch takes no such pool")
    gp = numbers(*shape, seed=3)

    def kernel(x, w, b, gp):
        p, tap = cpu.conv2d_relu_max_pool2d(x, w, b, **slid)
        assert tap.dtype == np.uint8 and tap.shape == p.shape
        assert p.transpose(0, 2, 3, 1).flags.c_contiguous
        return p, *cpu.conv2d_relu_max_pool2d_backward(gp, x, w, tap, x_shape=x_shape, **slid, needs=(True,) * 3)

    def reference(x, w, b, gp):
        x, w, b = (t.requires_grad_() for t in (x, w, b))
        p = forward(x, w, b)
        return p, *gradients(p, gp, x, w, b)

    check(kernel, reference, x, w, b, gp)


def test_fused_pool_gives_what_is_asked():
    x_shape, w_shape, *_ = CONVOLUTIONS["3x3"]
    x, w, slid = numbers(*x_shape), numbers(*w_shape, seed=1), windows("3x3", "3/2/1")
    p, tap = cpu.conv2d_relu_max_pool2d(x, w, None, **slid)
    gp = numbers(*p.shape, seed=2)

    def backward(needs):
        given = x if needs[1] else None, w if needs[0] else None
        return cpu.conv2d_relu_max_pool2d_backward(gp, *given, tap, x_shape=x_shape, **slid, needs=needs)

    check_needs(backward)
