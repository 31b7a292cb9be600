"""Every CPU kernel against torch: float64 to 1e-10, float32 at most twice as far from float64 as torch's own."""

from __future__ import annotations

import itertools
import mmap
import os
import sys
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from minigrad import backends  # noqa: E402
from minigrad.backends import cpu  # noqa: E402
from minigrad.backends.cpu import pooling, threads  # noqa: E402
from minigrad.window import Window  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(params=[1, 3])
def team(request):
    """Kernels on one thread and on three."""
    before = cpu.get_num_threads()
    cpu.set_num_threads(request.param)
    yield request.param
    cpu.set_num_threads(before)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few rows even for the small images of a test, and threads for any work."""
    from minigrad.backends.cpu import columns, convolution, folding, layout, normalization, products

    for room in (columns, pooling):
        monkeypatch.setattr(room, "CACHE", 2000)
    monkeypatch.setattr(columns, "LEAST", 1)
    monkeypatch.setattr(columns, "SUMS", 4000)
    monkeypatch.setattr(convolution, "SHARE", 1)
    for room in (pooling, folding):
        monkeypatch.setattr(room, "SMALL", 0)
    for room in (layout, normalization, products):
        monkeypatch.setattr(room, "BLOCK", 40)
    for name in ("layer_norm", "softmax"):
        monkeypatch.setattr(sys.modules[f"minigrad.backends.cpu.{name}"], "BLOCK", 40)


@pytest.fixture
def any_winograd(monkeypatch):
    """Winograd's road for every convolution that it can take, in blocks of one image."""
    from minigrad.backends.cpu import winograd

    for name in ("CHANNELS", "WORK", "TILES", "GRAIN"):
        monkeypatch.setattr(winograd, name, 1)
    monkeypatch.setattr(winograd, "WASTE", 4)
    monkeypatch.setattr(winograd, "get_num_threads", lambda: 1)
    return winograd


def numbers(*shape, seed=0):
    """Random float32 values: exact in float64 too."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def layouts(x):
    """x as it may come: contiguous, channels-last, transposed in memory, strided with gaps, reversed."""
    if x.ndim == 0:
        yield np.array(x)
        return
    yield x.copy()
    if x.ndim > 1:
        yield np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
        yield x.T.copy().T
    wide = np.full([2 * n for n in x.shape], 7, x.dtype)
    gaps = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    gaps[...] = x
    yield gaps
    yield x[..., ::-1].copy()[..., ::-1]


def compare(ours, theirs, exact, what=""):
    """ours, theirs: float32 results; exact: torch's in float64 from the same inputs."""
    assert ours.shape == exact.shape, what
    if ours.size == 0:
        return
    if not np.issubdtype(ours.dtype, np.floating):
        np.testing.assert_array_equal(ours, exact, what)
        return
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(exact), what)
    np.testing.assert_array_equal(np.isinf(ours), np.isinf(exact), what)
    finite = np.isfinite(exact)
    scale = np.abs(exact[finite]).max(initial=0)
    if ours.dtype == np.float64:
        allowed = 1e-10 * scale
    else:
        allowed = 2 * np.abs(theirs[finite] - exact[finite]).max(initial=0) + 4 * np.finfo(np.float32).eps * scale
    assert np.abs(ours[finite] - exact[finite]).max(initial=0) <= allowed, what


def check(kernel, reference, *arrays):
    """kernel(*arrays) and reference(*tensors) give matching tuples, in float64 and in float32."""

    def cast(dtype):
        return [a if a is None or a.dtype.kind != "f" else a.astype(dtype, copy=False) for a in arrays]

    def torch_says(dtype):
        results = reference(*(None if a is None else torch.from_numpy(a.copy()) for a in cast(dtype)))
        return [None if t is None else t.detach().numpy() for t in results]

    exact, single = torch_says(np.float64), torch_says(np.float32)
    for dtype in (np.float64, np.float32):
        given = cast(dtype)
        kept = [None if a is None else a.copy() for a in given]
        results = kernel(*given)
        for a, b in zip(given, kept, strict=True):
            np.testing.assert_array_equal(a, b, "a kernel changed its input")
        assert len(results) == len(exact)
        for i, (ours, theirs, right) in enumerate(zip(results, single, exact, strict=True)):
            assert (ours is None) == (right is None)
            if ours is not None:
                assert ours.dtype == dtype or ours.dtype.kind in "iu"
                compare(ours, theirs, right, f"result {i} in {np.dtype(dtype)}")


def gradients(output, cotangent, *inputs):
    """Gradients of the inputs that are tensors, None for the others, under the cotangent."""
    wanted = [x for x in inputs if x is not None]
    found = iter(torch.autograd.grad(output, wanted, cotangent))
    return [None if x is None else next(found) for x in inputs]


# ------------------------------------------------------------------------------------------------------- convolution

#             x               w             stride  padding dilation groups
CONVOLUTIONS = {
    "3x3": ((2, 5, 9, 8), (7, 5, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "1x1": ((3, 6, 5, 4), (4, 6, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1 stride": ((3, 6, 5, 4), (4, 6, 1, 1), (2, 3), (0, 0), (1, 1), 1),
    "1x1 padded": ((2, 3, 4, 5), (4, 3, 1, 1), (1, 1), (2, 1), (1, 1), 1),
    "stem": ((2, 3, 21, 18), (8, 3, 7, 7), (2, 2), (3, 3), (1, 1), 1),
    "rectangle": ((2, 4, 11, 7), (6, 4, 2, 5), (3, 1), (1, 2), (1, 1), 1),
    "dilated": ((2, 4, 13, 12), (3, 4, 3, 2), (1, 1), (2, 1), (3, 2), 1),
    "dilated stride": ((2, 4, 13, 12), (3, 4, 3, 2), (2, 3), (2, 1), (2, 4), 1),
    "much padding": ((2, 2, 4, 5), (3, 2, 2, 2), (1, 1), (3, 4), (1, 1), 1),
    "groups": ((2, 6, 8, 7), (9, 2, 3, 3), (1, 1), (1, 1), (1, 1), 3),
    "groups stride": ((2, 6, 8, 7), (9, 2, 3, 3), (2, 2), (1, 0), (1, 1), 3),
    "groups 1x1": ((2, 6, 8, 7), (4, 3, 1, 1), (1, 1), (0, 0), (1, 1), 2),
    "depthwise": ((2, 6, 8, 7), (6, 1, 3, 3), (1, 1), (1, 1), (1, 1), 6),
    "depthwise stride multiplier": ((2, 6, 9, 7), (12, 1, 3, 2), (2, 1), (1, 1), (1, 2), 6),
    "patches": ((2, 3, 12, 8), (5, 3, 4, 4), (4, 4), (0, 0), (1, 1), 1),
    "many channels": ((2, 10, 9, 8), (4, 10, 3, 2), (1, 1), (1, 0), (1, 1), 1),
    "many channels stride": ((2, 10, 9, 8), (4, 10, 3, 2), (2, 3), (1, 0), (2, 1), 1),
    "one channel": ((3, 1, 6, 6), (2, 1, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "one image": ((1, 4, 17, 16), (8, 4, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "no images": ((0, 4, 6, 5), (3, 4, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "kernel fills the image": ((2, 3, 5, 4), (6, 3, 5, 4), (1, 1), (0, 0), (1, 1), 1),
}


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


#            kernel  stride  padding dilation ceil_mode
POOLS = {
    "3/2/1": ((3, 3), (2, 2), (1, 1), (1, 1), False),
    "2/2": ((2, 2), (2, 2), (0, 0), (1, 1), False),
    "rectangle": ((2, 3), (1, 2), (1, 0), (1, 1), False),
    "ceil": ((3, 3), (2, 2), (0, 1), (1, 1), True),
    "ceil, window in the padding": ((2, 2), (3, 3), (1, 1), (1, 1), True),
    "dilated": ((2, 3), (1, 1), (1, 1), (2, 2), False),
    "stride over kernel": ((2, 1), (3, 4), (0, 0), (1, 1), False),
    "one pixel": ((1, 1), (1, 1), (0, 0), (1, 1), False),
}


def windows(name, pool):
    """Those of the convolution `name` and of the pool after it."""
    _, w_shape, *geometry = CONVOLUTIONS[name]
    return {"window": Window(w_shape[2:], *geometry), "pool": as_window(pool)}


def as_window(pool):
    return Window(*POOLS[pool][:4], ceil_mode=POOLS[pool][4])


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
    expected = cpu.conv2d_relu_max_pool2d_backward(gp, x, w, tap, x_shape=x_shape, **slid, needs=(True,) * 3)
    for needs in itertools.product([False, True], repeat=3):
        xs, ws = x if needs[1] else None, w if needs[0] else None
        got = cpu.conv2d_relu_max_pool2d_backward(gp, xs, ws, tap, x_shape=x_shape, **slid, needs=needs)
        for need, ours, right in zip(needs, got, expected, strict=True):
            assert (ours is None) == (not need)
            if need:
                np.testing.assert_array_equal(ours, right)


# ----------------------------------------------------------------------------------------------------------- pooling


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


@pytest.mark.parametrize("name", ["3x3", "stem", "rectangle", "dilated stride", "much padding", "no images"])
def test_unfold_and_fold(name, small_blocks, team):
    x_shape, w_shape, stride, padding, dilation, _ = CONVOLUTIONS[name]
    kernel_size, x = w_shape[2:], numbers(*x_shape)
    window = Window(kernel_size, stride, padding, dilation)
    shape = cpu.unfold(x, window=window).shape
    cols = numbers(*shape, seed=1)

    def kernel(x, cols):
        return cpu.unfold(x, window=window), cpu.fold(cols, output_size=x_shape[2:], window=window)

    def reference(x, cols):
        if not len(x):
            return torch.zeros(shape), torch.zeros(x_shape)
        return (
            F.unfold(x, kernel_size, dilation, padding, stride),
            F.fold(cols, x_shape[2:], kernel_size, dilation, padding, stride),
        )

    for x2, cols2 in zip(layouts(x), layouts(cols), strict=True):
        check(kernel, reference, x2, cols2)


# ------------------------------------------------------------------------------------------------------- element-wise


@pytest.mark.parametrize("shape", [(), (7,), (0, 3), (3, 50), (2, 3, 8, 5)])
def test_relu(shape, small_blocks, team):
    x, gy = numbers(*shape), numbers(*shape, seed=1)
    x = np.where(np.abs(x) < 0.3, np.float32(0), x)

    def kernel(x, gy):
        y = cpu.relu(x)
        return y, cpu.relu_backward(gy, y)

    def reference(x, gy):
        x.requires_grad_()
        return F.relu(x), *gradients(F.relu(x), gy, x)

    for x2, gy2 in itertools.product(layouts(x), layouts(gy)):
        check(kernel, reference, x2, gy2)


def test_relu_of_nan_and_inf():
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], np.float32)
    y = cpu.relu(x)
    np.testing.assert_array_equal(y, [np.nan, np.inf, 0, 0, 0])
    gy = np.array([np.inf, np.nan, np.inf, np.nan, np.inf], np.float32)
    np.testing.assert_array_equal(cpu.relu_backward(gy, y), [np.inf, np.nan, 0, 0, 0])  # torch: NaN lets it through


@pytest.mark.parametrize(
    "shape, dim",
    [((), 0), ((7,), 0), ((3, 50), 1), ((3, 50), 0), ((2, 5, 4, 3), 1), ((2, 5, 4, 3), -2), ((2, 0), 1), ((0, 2), 1)],
)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, shape, dim, small_blocks, team):
    x, gy = 5 * numbers(*shape), numbers(*shape, seed=1)

    def kernel(x, gy):
        y = getattr(cpu, name)(x, dim=dim)
        return y, getattr(cpu, name + "_backward")(gy, y, dim=dim)

    def reference(x, gy):
        x.requires_grad_()
        y = getattr(F, name)(x, dim)
        return y, *gradients(y, gy, x)

    for x2, gy2 in itertools.product(layouts(x), layouts(gy)):
        check(kernel, reference, x2, gy2)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_what_is_not_finite(name):
    inf, nan = np.inf, np.nan
    rows = [[-inf, 0, 1], [-inf, -inf, -inf], [inf, 0, 1], [nan, 0, 1], [1e30, -1e30, 0], [-inf, -inf, 3]]
    x = np.array(rows, np.float32)
    check(lambda x: (getattr(cpu, name)(x, dim=1),), lambda x: (getattr(F, name)(x, 1),), x)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [-100, 2])
@pytest.mark.parametrize("rows", [6, 1, 0])
def test_cross_entropy(rows, ignore_index, weighted, smoothing):
    logits, g = 3 * numbers(rows, 5), numbers(rows, seed=1)
    target = np.array([4, 2, 0, 1, 2, 3][:rows], np.int64)
    if ignore_index < 0 and rows > 3:
        target[3] = ignore_index
    weight = np.abs(numbers(5, seed=2)) if weighted else None

    def kernel(logits, g, target, weight):
        options = {"ignore_index": ignore_index, "label_smoothing": smoothing}
        losses, logp = cpu.cross_entropy(logits, target, weight, **options)
        return losses, logp, cpu.cross_entropy_backward(g, logp, target, weight, **options)

    def reference(logits, g, target, weight):
        logits.requires_grad_()
        losses = F.cross_entropy(
            logits, target, weight, ignore_index=ignore_index, label_smoothing=smoothing, reduction="none"
        )
        return losses, F.log_softmax(logits, 1), *gradients(losses, g, logits)

    check(kernel, reference, logits, g, target, weight)


# ------------------------------------------------------------------------------------------------------ normalisation


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (3, 4, 5, 6), (2, 3, 2, 3, 4), (300, 7)])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("offset", [0, 100])
def test_batch_norm(shape, affine, offset, small_blocks, team):
    x, gy = numbers(*shape) + np.float32(offset), numbers(*shape, seed=1)
    w, b = (numbers(shape[1], seed=2), numbers(shape[1], seed=3)) if affine else (None, None)
    needs = (True, affine, affine)

    def kernel(x, w, b, gy):
        y, mean, invstd, var = cpu.batch_norm(x, w, b, eps=1e-5)
        assert np.moveaxis(y, 1, -1).flags.c_contiguous
        return y, mean, invstd, var, *cpu.batch_norm_backward(gy, x, w, mean, invstd, training=True, needs=needs)

    def reference(x, w, b, gy):
        inputs = [None if t is None else t.requires_grad_() for t in (x, w, b)]
        y, mean, invstd = torch.native_batch_norm(x, w, b, None, None, True, 0.1, 1e-5)
        var = x.transpose(0, 1).flatten(1).var(1, unbiased=False)
        return y, mean, invstd, var, *gradients(y, gy, *inputs)

    for x2, gy2 in zip(layouts(x), layouts(gy), strict=True):
        check(kernel, reference, x2, w, b, gy2)


def test_batch_norm_with_given_statistics(small_blocks, team):
    x, gy, w, b = numbers(3, 4, 5, 6), numbers(3, 4, 5, 6, seed=1), numbers(4, seed=2), numbers(4, seed=3)
    mean, var = numbers(4, seed=4), np.abs(numbers(4, seed=5)) + np.float32(0.1)

    def kernel(x, w, b, gy, mean, var):
        invstd = (1 / np.sqrt(var.astype(np.float64) + 1e-5)).astype(x.dtype)
        y = cpu.batch_norm_apply(x, w, b, mean, invstd)
        return y, *cpu.batch_norm_backward(gy, x, w, mean, invstd, training=False, needs=(True,) * 3)

    def reference(x, w, b, gy, mean, var):
        x, w, b = (t.requires_grad_() for t in (x, w, b))
        y = F.batch_norm(x, mean, var, w, b)
        return y, *gradients(y, gy, x, w, b)

    for x2, gy2 in zip(layouts(x), layouts(gy), strict=True):
        check(kernel, reference, x2, w, b, gy2, mean, var)


def test_batch_norm_backward_gives_what_is_asked():
    x, gy, w = numbers(3, 4, 5, 6), numbers(3, 4, 5, 6, seed=1), numbers(4, seed=2)
    _, mean, invstd, _ = cpu.batch_norm(x, w, None, eps=1e-5)
    for training in (True, False):
        expected = cpu.batch_norm_backward(gy, x, w, mean, invstd, training=training, needs=(True,) * 3)
        for needs in itertools.product([False, True], repeat=3):
            got = cpu.batch_norm_backward(gy, x, w, mean, invstd, training=training, needs=needs)
            for need, ours, right in zip(needs, got, expected, strict=True):
                assert (ours is None) == (not need)
                if need:
                    np.testing.assert_array_equal(ours, right)


def test_batch_norm_of_a_large_mean_keeps_its_variance():
    x = (numbers(4096, 2) + np.float32(3000)).astype(np.float32)
    _, mean, _, var = cpu.batch_norm(x, None, None, eps=0.0)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(0), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(np.float64).var(0), rtol=1e-4)


@pytest.mark.parametrize("shape", [(6, 3), (300, 7), (1, 300), (0, 3)])
@pytest.mark.parametrize("affine", ["w and b", "w", "b", "none"])
@pytest.mark.parametrize("offset", [0, 100])
def test_layer_norm(shape, affine, offset, small_blocks, team):
    x, gy = numbers(*shape) + np.float32(offset), numbers(*shape, seed=1)
    w = numbers(shape[1], seed=2) if "w" in affine else None
    b = numbers(shape[1], seed=3) if "b" in affine else None
    needs = (True, w is not None, b is not None)

    def kernel(x, w, b, gy):
        y, mean, invstd = cpu.layer_norm(x, w, b, eps=1e-5)
        return y, mean, invstd, *cpu.layer_norm_backward(gy, x, w, mean, invstd, needs=needs)

    def reference(x, w, b, gy):
        inputs = [None if t is None else t.requires_grad_() for t in (x, w, b)]
        y, mean, invstd = torch.native_layer_norm(x, shape[1:], w, b, 1e-5)
        return y, mean.squeeze(-1), invstd.squeeze(-1), *gradients(y, gy, *inputs)

    for x2, gy2 in zip(layouts(x), layouts(gy), strict=True):
        check(kernel, reference, x2, w, b, gy2)


def test_layer_norm_backward_gives_what_is_asked():
    x, gy, w = numbers(6, 5), numbers(6, 5, seed=1), numbers(5, seed=2)
    _, mean, invstd = cpu.layer_norm(x, w, None, eps=1e-5)
    expected = cpu.layer_norm_backward(gy, x, w, mean, invstd, needs=(True,) * 3)
    for needs in itertools.product([False, True], repeat=3):
        got = cpu.layer_norm_backward(gy, x, w, mean, invstd, needs=needs)
        for need, ours, right in zip(needs, got, expected, strict=True):
            assert (ours is None) == (not need)
            if need:
                np.testing.assert_array_equal(ours, right)


@pytest.mark.parametrize("value", [0.1, 3000.1, -1e-30])
def test_layer_norm_of_equal_numbers_is_zero(value):
    x = np.full((3, 7), value, np.float32)
    y, mean, invstd = cpu.layer_norm(x, None, None, eps=1e-5)
    np.testing.assert_allclose(y, 0, atol=1e-7)
    np.testing.assert_allclose(mean, x[:, 0], rtol=1e-7)
    np.testing.assert_allclose(invstd, 1e-5**-0.5, rtol=1e-6)


def test_layer_norm_of_a_large_mean_keeps_its_variance():
    x = (numbers(5, 4096) * np.float32(0.01) + np.float32(3000)).astype(np.float32)
    _, mean, invstd = cpu.layer_norm(x, None, None, eps=0.0)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(1), rtol=1e-7)
    np.testing.assert_allclose(invstd, 1 / x.astype(np.float64).std(1), rtol=1e-4)


# ------------------------------------------------------------------------------------------------------------ the rest


@pytest.mark.parametrize(
    "x_shape, y_shape",
    [
        ((7, 5), (5, 6)),
        ((3, 5), (5, 9)),
        ((4, 3, 5), (4, 5, 2)),
        ((4, 3, 5), (5, 2)),
        ((3, 5), (4, 5, 2)),
        ((1, 3, 5), (4, 5, 2)),
        ((2, 1, 8, 5), (3, 5, 2)),
        ((1, 9, 5), (1, 5, 2)),
        ((5,), (5, 2)),
        ((3, 5), (5,)),
        ((5,), (5,)),
        ((0, 5), (5, 2)),
        ((2, 0), (0, 3)),
    ],
)
def test_matmul(x_shape, y_shape, monkeypatch, team):
    from minigrad.backends.cpu import products

    monkeypatch.setattr(products, "SMALL", 0)
    x, y = numbers(*x_shape), numbers(*y_shape, seed=1)
    for x2, y2 in itertools.product(layouts(x), layouts(y)):
        check(lambda x, y: (np.asarray(cpu.matmul(x, y)),), lambda x, y: (torch.matmul(x, y),), x2, y2)
    np.testing.assert_array_equal(cpu.matmul(x.astype(np.int64), y.astype(np.int64)), x.astype(int) @ y.astype(int))
    with pytest.raises(ValueError):
        cpu.matmul(numbers(2, 3), numbers(4, 2))


@pytest.mark.parametrize("moderate", [64.0, 0.0])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("shape", [(3, 2, 4, 5, 3, 2), (1, 4, 9, 6, 3, 7), (5, 1, 0, 2, 3, 4)])
def test_attention(shape, keep, moderate, monkeypatch, team):
    """With the kernel for moderate scores and with the other, several batches at a time and some queries of one."""
    monkeypatch.setattr(sys.modules["minigrad.backends.cpu.attention"], "BLOCK", 60)
    monkeypatch.setattr(sys.modules["minigrad.backends.cpu.attention"], "MODERATE", moderate)
    scale = 0.5
    batches, heads, queries, keys, of_keys, of_values = shape
    q, k = numbers(batches, heads, queries, of_keys), numbers(batches, heads, keys, of_keys, seed=1)
    v, gy = numbers(batches, heads, keys, of_values, seed=2), numbers(batches, heads, queries, of_values, seed=3)

    def kernel(q, k, v, gy):
        y, p, lse = cpu.attention(q, k, v, None, None, causal=False, scale=scale, keep_probabilities=keep)
        assert (p is None) == (not keep)
        saved = (None, p, None) if keep else (y, None, lse)
        grads = cpu.attention_backward(gy, q, k, v, None, None, *saved, causal=False, scale=scale, needs=(True,) * 4)
        return y, lse, *grads

    def reference(q, k, v, gy):
        q, k, v = (t.requires_grad_() for t in (q, k, v))
        scores = q @ k.mT * scale
        y = scores.softmax(-1) @ v
        return y, scores.logsumexp(-1), *gradients(y, gy, q, k, v, scores)

    for q2, gy2 in zip(layouts(q), layouts(gy), strict=True):
        check(kernel, reference, q2, k, v, gy2)


@pytest.mark.parametrize("size", [60.0, 1e4])
def test_attention_to_scores_whose_exponentials_overflow(size):
    q, k, v = np.full((1, 1, 1, 1), size, np.float32), np.ones((1, 1, 40, 1), np.float32), numbers(1, 1, 40, 2)
    for sign in (1, -1):
        y, _, lse = cpu.attention(sign * q, k, v, None, None, causal=False, scale=1.0, keep_probabilities=False)
        np.testing.assert_allclose(y, v.mean(2, keepdims=True), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(lse, sign * size + np.log(40), rtol=1e-6)


@pytest.mark.parametrize("small", [0, 1 << 20])
@pytest.mark.parametrize(
    "x_shape, y_shape", [((7, 5), (5, 6)), ((3, 5), (5, 9)), ((4, 3, 5), (4, 5, 2)), ((0, 5), (5, 2))]
)
def test_matmul_with_a_bias(x_shape, y_shape, small, monkeypatch, team):
    from minigrad.backends.cpu import products

    monkeypatch.setattr(products, "SMALL", small)
    x, y, b = numbers(*x_shape), numbers(*y_shape, seed=1), numbers(y_shape[-1], seed=2)
    for x2, y2, b2 in itertools.product(layouts(x), layouts(y), layouts(b)):
        check(lambda x, y, b: (cpu.matmul(x, y, b),), lambda x, y, b: (torch.matmul(x, y) + b,), x2, y2, b2)


@pytest.mark.parametrize("shape", [(1, 4), (300, 7), (1000, 1), (0, 3), (3, 0)])
def test_sum_rows(shape, small_blocks, team):
    for x in layouts(numbers(*shape) + np.float32(10)):
        check(lambda x: (cpu.sum_rows(x),), lambda x: (x.sum(0),), x)


INDICES = {
    "repeated": np.array([0, 0, 2, -1, 3]),
    "list": [1, 1, -2],
    "the same row from both ends": np.array([3, -2, 0, -5]),
    "matrix": np.array([[0, 1], [1, 4]]),
    "empty": np.array([], np.int64),
    "0-d": np.array(2),
    "mask": np.array([True, False, True, False, True]),
    "mask of all": np.arange(5 * 4 * 3).reshape(5, 4, 3) % 3 == 0,
    "slices": (slice(1, None, 2), Ellipsis, None, 0),
    "integer": 3,
    "two arrays": (np.array([0, 0, 1]), np.array([2, 2, -1])),
    "array and slice": (slice(None), np.array([1, 1, 0])),
    "list of booleans": [True, False, True, False, True],
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_scatter_add(name, dtype):
    index, shape = INDICES[name], (5, 4, 3)
    values = (10 * numbers(*np.zeros(shape)[index].shape)).astype(dtype)
    expected = np.zeros(shape, dtype)
    np.add.at(expected, index, values)
    got = cpu.scatter_add(index, values, shape=shape)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_array_equal(cpu.scatter_add(index, np.ones((), dtype), shape=shape).sum(), values.size)


def test_scatter_add_into_one_axis_and_out_of_range():
    np.testing.assert_array_equal(cpu.scatter_add(np.array([0, 0, 2]), np.ones(3), shape=(3,)), [2, 0, 1])
    for shape in ((3,), (3, 2)):
        with pytest.raises(IndexError):
            cpu.scatter_add(np.array([3]), np.ones((1, *shape[1:])), shape=shape)


def step_both(optimizer, kernel, p, grads, state):
    """Some steps of torch's optimizer and of ours from the same start, in float64 and float32, in every layout."""
    for dtype, tolerance in ((np.float64, 1e-14), (np.float32, 3e-7)):
        for ours in layouts(p.astype(dtype)):
            theirs = torch.nn.Parameter(torch.from_numpy(p.astype(dtype)))
            torch_optimizer = optimizer([theirs])
            kept = [np.zeros_like(ours) for _ in range(state)]
            for i, g in enumerate(grads):
                theirs.grad = torch.from_numpy(g.astype(dtype))
                torch_optimizer.step()
                kernel(ours, g.astype(dtype), kept, i)
                np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(), (9,), (7, 6), (3, 2, 4, 5)])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(
    "momentum, dampening, weight_decay, nesterov",
    [(0, 0, 0, False), (0.9, 0, 0, False), (0.9, 0.3, 1e-2, False), (0.9, 0, 1e-2, True), (0, 0, 1e-2, False)],
)
def test_sgd_step(shape, momentum, dampening, weight_decay, nesterov, maximize, small_blocks, team):
    def kernel(p, g, kept, i):
        buf = kept[0] if momentum else None
        cpu.sgd_step(
            p, g, buf, lr=0.1, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            maximize=maximize, first=i == 0,
        )  # fmt: skip

    def optimizer(ps):
        return torch.optim.SGD(ps, 0.1, momentum, dampening, weight_decay, nesterov, maximize=maximize, foreach=False)

    step_both(optimizer, kernel, numbers(*shape), [numbers(*shape, seed=i) for i in range(1, 5)], 1)


@pytest.mark.parametrize("shape", [(), (9,), (7, 6), (3, 2, 4, 5)])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("betas, weight_decay", [((0.9, 0.999), 1e-2), ((0.4, 0.9), 0.0)])
def test_adamw_step(shape, betas, weight_decay, amsgrad, maximize, small_blocks, team):
    def kernel(p, g, kept, i):
        m, v, vmax = kept
        cpu.adamw_step(
            p, g, m, v, vmax if amsgrad else None, step=i + 1, lr=0.01, beta1=betas[0], beta2=betas[1], eps=1e-8,
            weight_decay=weight_decay, maximize=maximize,
        )  # fmt: skip

    def optimizer(ps):
        return torch.optim.AdamW(ps, 0.01, betas, 1e-8, weight_decay, amsgrad, maximize=maximize, foreach=False)

    step_both(optimizer, kernel, numbers(*shape), [numbers(*shape, seed=i) for i in range(1, 5)], 3)


# ------------------------------------------------------------------------------------------------ threads and memory


def network_pass():
    """A few kernels large enough for several threads; what they return, as bytes."""
    x, w, b = numbers(6, 8, 24, 24), numbers(16, 8, 3, 3, seed=1), numbers(16, seed=2)
    window, pool, needs = Window((3, 3), padding=(1, 1)), as_window("3/2/1"), (True,) * 3
    y = cpu.conv2d(x, w, b, window=window, relu=True)
    gy = numbers(*y.shape, seed=3)
    p, tap = cpu.conv2d_relu_max_pool2d(x, w, b, window=window, pool=pool)
    gp = numbers(*p.shape, seed=4)
    z, mean, invstd, var = cpu.batch_norm(y, None, None, eps=1e-5)
    results = [y, p, tap, z, mean, invstd, var, cpu.softmax(y, dim=1), cpu.adaptive_avg_pool2d(y, output_size=(1, 1))]
    results += cpu.conv2d_backward(gy, x, w, y, x_shape=x.shape, window=window, needs=needs)
    results += cpu.conv2d_relu_max_pool2d_backward(
        gp, x, w, tap, x_shape=x.shape, window=window, pool=pool, needs=needs
    )
    results += cpu.batch_norm_backward(gy, y, np.ones_like(mean), mean, invstd, training=True, needs=needs)
    return [r.tobytes() for r in results]


def test_the_same_result_every_time(team):
    assert network_pass() == network_pass()


def test_kernels_called_from_several_threads_at_once(team):
    expected, got = network_pass(), {}

    def caller(i):
        got[i] = [network_pass() for _ in range(3)]

    callers = [threading.Thread(target=caller, args=(i,)) for i in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert got == {i: [expected] * 3 for i in range(4)}


def test_parallel_for_covers_the_range_in_order_and_nests(team):
    def outer(start, stop):
        return [threads.parallel_for(4, lambda a, b: list(range(a, b))) for _ in range(start, stop)]

    parts = threads.parallel_for(7, outer)
    assert len(parts) == (1 if team == 1 else 7)
    assert [inner for part in parts for inner in part] == [[[0, 1, 2, 3]]] * 7
    assert threads.parallel_for(7, lambda a, b: list(range(a, b)), each=1) == (
        [list(range(7))] if team == 1 else [[0, 1], [2, 3], [4, 5, 6]]
    )
    assert threads.parallel_for(5, lambda a, b: (a, b), grain=5) == [(0, 5)]
    assert threads.parallel_for(0, lambda a, b: (a, b)) == [(0, 0)]


def test_parallel_for_passes_errors_on_and_recovers(team):
    def body(start, stop):
        if stop == 6:
            raise ValueError("in the last share")

    with pytest.raises(ValueError, match="last share"):
        threads.parallel_for(6, body)
    assert sum(b - a for a, b in threads.parallel_for(6, lambda a, b: (a, b))) == 6


def test_set_num_threads_refuses_none():
    with pytest.raises(ValueError, match="at least 1"):
        cpu.set_num_threads(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kernels_work_in_a_forked_child(team):
    expected = network_pass()
    child = os.fork()
    if child == 0:
        os._exit(0 if network_pass() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_scratch_is_reused_and_its_own_in_each_thread():
    a = threads.scratch("test", (100,), np.float32)
    assert a.ctypes.data % 64 == 0
    assert np.shares_memory(a, threads.scratch("test", (50, 2), np.float32))
    assert not np.shares_memory(a, threads.scratch("other", (100,), np.float32))
    others = []
    thread = threading.Thread(target=lambda: others.append(threads.scratch("test", (100,), np.float32)))
    thread.start()
    thread.join()
    assert not np.shares_memory(a, others[0])


def test_memory_is_measured():
    cpu.reset_peak_memory_stats()
    before = cpu.memory_allocated()
    block = np.frombuffer(
        mmap.mmap(-1, 1 << 27)
    )  # 128 MiB of the system's: the process's own freed memory is held already
    block[:] = 1
    assert cpu.max_memory_allocated() >= before + block.nbytes // 2
    assert cpu.memory_allocated() > 0


def test_a_backend_by_array_and_by_name():
    assert backends.of(np.ones(3)) is cpu and backends.of(np.float32(1)) is cpu
    assert backends.get("cpu") is cpu and cpu.xp is np
    with pytest.raises(ValueError, match="tpu"):
        backends.get("tpu")


def test_host_copies_are_the_array_itself():
    x = np.ones(3)
    assert cpu.to_host(x) is x and cpu.from_host(x) is x
    cpu.synchronize()
