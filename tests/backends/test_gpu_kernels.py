"""Every GPU kernel against torch: on the emulator always, on a real GPU with `pytest -m gpu`.

In float64 the two agree to 1e-10; in float32 we are no further from torch's float64 than twice torch's own float32,
give or take a few units in the last place. Cotangents are random.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minigrad.window import Window
from tests import emulator

torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def gpu(request):
    """The module minigrad.backends.gpu on the emulator, or on CuPy itself."""
    if request.param == "gpu":
        cupy = emulator.real_cupy()
        if cupy is None:
            pytest.skip("no GPU")
    else:
        cupy = emulator.standin()
        if emulator.compiler() is None:
            pytest.skip("no g++ to emulate CUDA with")
    return emulator.import_with(cupy, "minigrad.backends.gpu")


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def compare(gpu: Any, ours: Callable, theirs: Callable, *arrays: np.ndarray, layout: Callable | None = None) -> None:
    """ours(*device arrays) and theirs(*torch tensors) give the same arrays. `layout` is applied to our inputs first."""
    exact = [t.numpy() for t in theirs(*(torch.tensor(a) for a in arrays))]
    for dtype in (np.float64, np.float32):
        typed = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
        inputs = [gpu.from_host(a) for a in typed]
        before = [gpu.to_host(a) for a in inputs]
        results = [gpu.to_host(a) for a in ours(*(map(layout, inputs) if layout else inputs))]
        for a, b in zip(inputs, before, strict=True):
            np.testing.assert_array_equal(gpu.to_host(a), b, err_msg="a kernel changed its input")
        expected = [t.numpy() for t in theirs(*(torch.tensor(a) for a in typed))]
        assert len(results) == len(expected)
        for result, reference, best in zip(results, expected, exact, strict=True):
            close(result, reference, best)


def close(result: np.ndarray, reference: np.ndarray, exact: np.ndarray) -> None:
    """result is as near to `exact` as torch's `reference` of the same dtype is, within the bounds named at the top."""
    assert result.shape == reference.shape
    assert result.dtype == reference.dtype
    np.testing.assert_array_equal(np.isnan(result), np.isnan(exact))
    if result.dtype.kind != "f":
        np.testing.assert_array_equal(result, reference)
        return
    finite = np.isfinite(exact)
    np.testing.assert_array_equal(result[~finite], exact[~finite])
    if not finite.any():
        return
    scale = np.abs(exact[finite]).max()
    error = np.abs(result[finite].astype(np.float64) - exact[finite]).max()
    if result.dtype == np.float64:
        assert error <= 1e-10 * max(scale, 1e-3)
    else:
        own = np.abs(reference[finite].astype(np.float64) - exact[finite]).max()
        assert error <= 2 * own + 4 * np.finfo(np.float32).eps * scale


def gradients(y: torch.Tensor, gy: torch.Tensor, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return list(torch.autograd.grad(y, inputs, gy))


def leaf(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [t.detach().requires_grad_() for t in tensors]


# ---- convolution ---------------------------------------------------------------------------------------------------
# N, C, H, W, O, kernel, stride, padding, dilation, groups
CONVOLUTIONS = {
    "3x3": (2, 3, 6, 7, 5, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "1x1": (2, 4, 3, 5, 6, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1 stride 2": (2, 4, 5, 6, 3, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "rectangles": (1, 2, 9, 6, 4, (3, 2), (2, 1), (1, 0), (1, 2), 1),
    "stem": (2, 3, 13, 12, 8, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    "groups": (2, 6, 5, 6, 4, (3, 3), (1, 2), (1, 1), (1, 1), 2),
    "depthwise": (2, 6, 5, 6, 6, (3, 3), (1, 1), (1, 1), (1, 1), 6),
    "depth multiplier": (1, 3, 5, 6, 6, (2, 3), (1, 1), (0, 1), (2, 1), 3),
    "1x1 groups": (2, 4, 3, 3, 4, (1, 1), (1, 1), (0, 0), (1, 1), 2),
    "wide stride": (1, 2, 8, 8, 3, (2, 2), (3, 3), (0, 0), (1, 1), 1),
    "empty batch": (0, 3, 6, 7, 5, (3, 3), (1, 1), (1, 1), (1, 1), 1),
}
LAYOUTS = {
    "contiguous": lambda a: a,
    "channels last": lambda a: a.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2) if a.ndim == 4 else a,
    "strided": lambda a: a.repeat(2, -1)[..., ::2],
}


def window(case: tuple) -> Window:
    return Window(*case[5:])


def conv_arrays(case: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    n, c, h, w, o, kernel, stride, padding, dilation, groups = case
    out = F.conv2d(
        torch.zeros(n, c, h, w), torch.zeros(o, c // groups, *kernel), None, stride, padding, dilation, groups
    )
    return random(n, c, h, w), random(o, c // groups, *kernel), random(o), random(*out.shape, seed=1)


def conv_both(gpu: Any, case: tuple, relu: bool, layout: Callable | None = None) -> None:
    options = case[6:]

    def ours(x, w, b, gy):
        y = gpu.conv2d(x, w, b, window=window(case), relu=relu)
        saved = y if relu else None
        return y, *gpu.conv2d_backward(gy, x, w, saved, x_shape=x.shape, window=window(case), needs=(True,) * 3)

    def theirs(x, w, b, gy):
        x, w, b = leaf(x, w, b)
        y = F.conv2d(x, w, b, *options)
        y = y.relu() if relu else y
        return y.detach(), *gradients(y, gy, (x, w, b))

    compare(gpu, ours, theirs, *conv_arrays(case), layout=layout)


@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_conv2d(gpu, case, relu):
    conv_both(gpu, case, relu)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_conv2d_takes_any_strides(gpu, layout):
    conv_both(gpu, CONVOLUTIONS["rectangles"], True, layout)
    conv_both(gpu, CONVOLUTIONS["1x1"], False, layout)


@pytest.mark.parametrize("name", ["3x3", "groups"])
def test_conv2d_of_more_rows_than_a_launch_counts(gpu, monkeypatch, name):
    monkeypatch.setattr(gpu.columns, "MOST_ROWS", 50)
    conv_both(gpu, CONVOLUTIONS[name], True)


@pytest.mark.parametrize("sizes", [(3, 70, 9, 8, 67, (2, 2)), (40, 5, 6, 5, 3, (3, 3))], ids=str)
def test_conv2d_of_several_tiles(gpu, sizes):
    """Of rows, outputs, channels, weights; and the rows split over blocks, whose sums the last one adds up."""
    conv_both(gpu, (*sizes, (1, 1), (1, 1), (1, 1), 1), True)


@pytest.fixture
def precise_tensor_cores(gpu, monkeypatch):
    """Products of float32 go by tensor cores, on both halves of each number, on the emulator as well."""
    for module in (gpu.convolution, gpu.products):
        monkeypatch.setattr(module, "tensor_cores", lambda dtype, allowed: 3 * (dtype == np.float32))


@pytest.mark.parametrize("name", ["3x3", "groups", "stem", "wide stride"])
def test_conv2d_by_tensor_cores(gpu, precise_tensor_cores, name):
    conv_both(gpu, CONVOLUTIONS[name], True)


def test_convolutions_may_round_to_tf32(gpu, monkeypatch):
    """By torch's switch: each product's operands are rounded to 10 bits, so a result is off by 2^-11 of each at most."""
    case = CONVOLUTIONS["3x3"]
    x, w, b, gy = (a.astype(np.float32) for a in conv_arrays(case))
    options = {"x_shape": x.shape, "window": window(case), "needs": (True,) * 3}

    def results(x, w, gy):
        x, w, gy = map(gpu.from_host, (x, w, gy))
        y = gpu.conv2d(x, w, None, window=window(case))
        return [gpu.to_host(a) for a in (y, *gpu.conv2d_backward(gy, x, w, None, **options))]

    precise, sizes = results(x, w, gy), results(*map(np.abs, (x, w, gy)))
    monkeypatch.setattr(gpu.launch, "_has_tensor_cores", lambda device: True)
    monkeypatch.setattr(gpu.convolution.cudnn, "allow_tf32", True)
    for rounded, exact, size in zip(results(x, w, gy), precise, sizes, strict=True):
        off = np.abs(rounded - exact)
        assert (off <= 2.0**-10 * size).all()
    assert (off > 0).any()


def test_conv2d_gives_what_is_needed_and_takes_no_more(gpu):
    x, w, _, gy = (gpu.from_host(a) for a in conv_arrays(CONVOLUTIONS["3x3"]))
    options = {"x_shape": x.shape, "window": window(CONVOLUTIONS["3x3"])}
    full = gpu.conv2d_backward(gy, x, w, None, **options, needs=(True, True, True))
    for needs in itertools.product((False, True), repeat=3):
        given = gpu.conv2d_backward(gy, x if needs[1] else None, w if needs[0] else None, None, **options, needs=needs)
        for need, part, whole in zip(needs, given, full, strict=True):
            assert (part is not None) == need
            if need:
                np.testing.assert_array_equal(gpu.to_host(part), gpu.to_host(whole))


@pytest.mark.parametrize("with_y", [False, True])
def test_a_gradient_that_is_repeated_is_spread_out_for_some_images_at_a_time(gpu, monkeypatch, with_y):
    """As a global mean's is: a view, of which the gradient of a convolution never makes the whole."""
    case = CONVOLUTIONS["3x3"]
    x, w, _, gy = (gpu.from_host(a) for a in conv_arrays(case))
    means = gpu.adaptive_avg_pool2d(gy, output_size=(1, 1))
    repeated = gpu.adaptive_avg_pool2d_backward(means, x_shape=gy.shape)
    assert 0 in repeated.strides[2:]
    whole = gpu.xp.ascontiguousarray(repeated)
    np.testing.assert_allclose(gpu.to_host(whole).sum((2, 3)), gpu.to_host(means)[..., 0, 0], rtol=1e-12)
    y = gpu.conv2d(x, w, None, window=window(case), relu=True) if with_y else None
    options = {"x_shape": x.shape, "window": window(case), "needs": (True,) * 3}
    expected = gpu.conv2d_backward(whole, x, w, y, **options)
    monkeypatch.setattr(gpu.convolution, "SPREAD_BYTES", 1)  # one image
    for ours, theirs in zip(gpu.conv2d_backward(repeated, x, w, y, **options), expected, strict=True):
        np.testing.assert_allclose(gpu.to_host(ours), gpu.to_host(theirs), rtol=1e-12, atol=1e-12)


def test_conv2d_without_bias(gpu):
    x, w, _, _ = conv_arrays(CONVOLUTIONS["groups"])
    case = CONVOLUTIONS["groups"]
    ours = [lambda x, w: [gpu.conv2d(x, w, None, window=window(case))], lambda x, w: [F.conv2d(x, w, None, *case[6:])]]
    compare(gpu, *ours, x, w)


def test_images_are_channels_last(gpu):
    x, w, b, gy = (gpu.from_host(a) for a in conv_arrays(CONVOLUTIONS["3x3"]))
    slid = window(CONVOLUTIONS["3x3"])
    y = gpu.conv2d(x, w, b, window=slid)
    p, tap = gpu.max_pool2d(y, window=Window((2, 2), (2, 2)))
    gx, _, _ = gpu.conv2d_backward(gy, None, w, None, x_shape=x.shape, window=slid, needs=(True, False, False))
    z = gpu.batch_norm(x, None, None, eps=1e-5)[0]
    for image in (y, p, tap, gx, z, gpu.adaptive_avg_pool2d(x, output_size=(2, 2))):
        assert image.transpose(0, 2, 3, 1).flags.c_contiguous
    assert gpu.relu(y).strides == y.strides
    assert gpu.relu_backward(gy, y).strides == y.strides


@pytest.mark.parametrize("chunk_bytes", [1, 128 * 2**20])
@pytest.mark.parametrize("name", ["3x3", "groups", "stem", "empty batch"])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
def test_conv2d_relu_max_pool2d(gpu, monkeypatch, name, chunk_bytes, bias):
    monkeypatch.setattr(gpu.convolution, "MAP_BYTES", chunk_bytes)
    case = CONVOLUTIONS[name]
    options, pool = case[6:], ((3, 2), (2, 2), (1, 1), (1, 1), False)
    x, w, b, gy = conv_arrays(case)
    gp = random(*F.max_pool2d(torch.zeros(gy.shape), *pool).shape)

    def ours(x, w, b, gp):
        b = b if bias else None
        slid = {"window": window(case), "pool": Window(*pool[:4])}
        p, tap = gpu.conv2d_relu_max_pool2d(x, w, b, **slid)
        y = gpu.conv2d(x, w, b, window=window(case), relu=True)
        plain, winners = gpu.max_pool2d(y, window=slid["pool"])
        np.testing.assert_array_equal(gpu.to_host(p), gpu.to_host(plain))
        np.testing.assert_array_equal(gpu.to_host(tap), gpu.to_host(gpu.xp.where(plain > 0, winners, winners | 128)))
        return p, *gpu.conv2d_relu_max_pool2d_backward(gp, x, w, tap, x_shape=x.shape, **slid, needs=(True,) * 3)

    def theirs(x, w, b, gp):
        x, w, b = leaf(x, w, b if bias else b * 0)
        p = F.max_pool2d(F.conv2d(x, w, b, *options).relu(), *pool)
        return p.detach(), *gradients(p, gp, (x, w, b))

    compare(gpu, ours, theirs, x, w, b, gp)


@pytest.mark.parametrize("name", ["3x3", "rectangles", "wide stride", "1x1"])
def test_unfold_and_fold(gpu, name):
    n, c, h, w, _, kernel, stride, padding, dilation, _ = CONVOLUTIONS[name]
    options = (kernel, dilation, padding, stride)
    cols = random(*F.unfold(torch.zeros(n, c, h, w), *options).shape)

    def ours(x, cols):
        slid = Window(kernel, stride, padding, dilation)
        return gpu.unfold(x, window=slid), gpu.fold(cols, output_size=(h, w), window=slid)

    def theirs(x, cols):
        return F.unfold(x, *options), F.fold(cols, (h, w), *options)

    compare(gpu, ours, theirs, random(n, c, h, w), cols)


# ---- pools ---------------------------------------------------------------------------------------------------------
POOLS = {  # H, W, kernel, stride, padding, dilation, ceil_mode
    "3/2/1": (9, 8, (3, 3), (2, 2), (1, 1), (1, 1), False),
    "2/2": (6, 7, (2, 2), (2, 2), (0, 0), (1, 1), False),
    "rectangle": (7, 9, (2, 4), (1, 3), (1, 2), (1, 1), False),
    "dilated": (9, 9, (3, 2), (1, 2), (1, 0), (2, 3), False),
    "ceil": (7, 8, (3, 3), (2, 2), (1, 1), (1, 1), True),
    "ceil drops a window": (5, 5, (2, 2), (3, 3), (1, 1), (1, 1), True),
    "large window": (20, 18, (17, 16), (2, 2), (0, 0), (1, 1), False),
}


@pytest.mark.parametrize("values", ["random", "ties", "zeros", "nan", "infinite", "empty"])
@pytest.mark.parametrize("case", POOLS.values(), ids=POOLS)
def test_max_pool2d(gpu, case, values):
    h, w, *options = case
    n, c = (0 if values == "empty" else 2), 3
    x = random(n, c, h, w)
    if values == "ties":
        x = np.round(x)
    elif values == "zeros":
        x *= 0
    elif values == "nan":
        x[random(*x.shape, seed=2) > 1] = np.nan
    elif values == "infinite":
        x[:] = -np.inf
    gy = random(*F.max_pool2d(torch.zeros(n, c, h, w), *options).shape)
    *sizes, ceil_mode = options
    slid = Window(*sizes, ceil_mode=ceil_mode)

    def ours(x, gy):
        y, tap = gpu.max_pool2d(x, window=slid)
        assert tap.dtype == (np.uint8 if slid.kernel[0] * slid.kernel[1] <= 128 else np.int32)
        gx = gpu.max_pool2d_backward(gy, tap, x_shape=x.shape, window=slid)
        return y, gx, gpu.max_pool2d_gather(x, tap, window=slid)

    def theirs(x, gy):
        (x,) = leaf(x)
        y = F.max_pool2d(x, *options)
        return y.detach(), *gradients(y, gy, (x,)), y.detach()

    compare(gpu, ours, theirs, x, gy)


@pytest.mark.parametrize("output_size", [(1, 1), (2, 3), (5, 4), (8, 9)], ids=str)
def test_adaptive_avg_pool2d(gpu, output_size):
    def ours(x, gy):
        y = gpu.adaptive_avg_pool2d(x, output_size=output_size)
        return y, gpu.adaptive_avg_pool2d_backward(gy, x_shape=x.shape)

    def theirs(x, gy):
        (x,) = leaf(x)
        y = F.adaptive_avg_pool2d(x, output_size)
        return y.detach(), *gradients(y, gy, (x,))

    compare(gpu, ours, theirs, random(2, 3, 5, 7), random(2, 3, *output_size))


# ---- element-wise, norm, softmax -----------------------------------------------------------------------------------
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7,), (0, 3)], ids=str)
def test_relu(gpu, shape, layout):
    x, gy = random(*shape), random(*shape, seed=1)
    x.ravel()[:3] = (0.0, -0.0, np.nan)[: x.size]

    def ours(x, gy):
        y = gpu.relu(x)
        return y, gpu.relu_backward(gy, y)

    def theirs(x, gy):
        (x,) = leaf(x)
        y = x.relu()
        return y.detach(), *gradients(y, gy, (x,))

    compare(gpu, ours, theirs, x, gy, layout=layout)


def test_relu_of_a_number(gpu):
    x = gpu.from_host(np.array(-2.0, np.float32))
    assert gpu.to_host(gpu.relu(x)) == 0 and gpu.relu(x).shape == ()


@pytest.mark.parametrize("affine", [False, True], ids=["", "affine"])
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (9, 40), (2, 3, 4), (300, 2, 2, 1), (2, 3, 2, 2, 2)], ids=str)
def test_batch_norm(gpu, shape, affine):
    channels, eps = shape[1], 1e-5
    x = 3 + 2 * random(*shape)
    w, b, gy = random(channels), random(channels, seed=1), random(*shape, seed=2)

    def ours(x, w, b, gy):
        w, b = (w, b) if affine else (None, None)
        y, mean, invstd, var = gpu.batch_norm(x, w, b, eps=eps)
        gx, gw, gb = gpu.batch_norm_backward(gy, x, w, mean, invstd, training=True, needs=(True, True, True))
        frozen = gpu.batch_norm_apply(x, w, b, var, invstd)  # any statistics do
        frozen_gradients = gpu.batch_norm_backward(gy, x, w, var, invstd, training=False, needs=(True, True, True))
        return (y, mean, invstd, var, gx, frozen, frozen_gradients[0]) + (
            (gw, gb, *frozen_gradients[1:]) if affine else ()
        )

    def theirs(x, w, b, gy):
        x, w, b = leaf(x, w, b)
        parameters = (x, w, b) if affine else (x,)
        y = F.batch_norm(x, None, None, *((w, b) if affine else (None, None)), training=True, eps=eps)
        axes = [i for i in range(x.ndim) if i != 1]
        mean, var = x.detach().mean(axes), x.detach().var(axes, correction=0)
        invstd = (var + eps) ** -0.5
        frozen = F.batch_norm(x, var, invstd**-2 - eps, *((w, b) if affine else (None, None)), eps=eps)
        gx, *rest = gradients(y, gy, parameters)
        frozen_gx, *frozen_rest = gradients(frozen, gy, parameters)
        return y.detach(), mean, invstd, var, gx, frozen.detach(), frozen_gx, *rest, *frozen_rest

    compare(gpu, ours, theirs, x, w, b, gy)


def test_batch_norm_of_large_means_does_not_cancel(gpu):
    x = (1e4 + random(600, 3)).astype(np.float32).astype(np.float64)
    compare(gpu, lambda x: gpu.batch_norm(x, None, None, eps=1e-5)[3:], lambda x: [x.var(0, correction=0)], x)


def test_batch_norm_needs(gpu):
    x, w, gy = (gpu.from_host(random(*shape)) for shape in ((4, 3, 2, 2), (3,), (4, 3, 2, 2)))
    _, mean, invstd, _ = gpu.batch_norm(x, w, None, eps=1e-5)
    for training in (False, True):
        full = gpu.batch_norm_backward(gy, x, w, mean, invstd, training=training, needs=(True, True, True))
        for needs in itertools.product((False, True), repeat=3):
            used = x if training or needs[1] else None
            given = gpu.batch_norm_backward(gy, used, w, mean, invstd, training=training, needs=needs)
            for need, part, whole in zip(needs, given, full, strict=True):
                assert (part is not None) == need
                if need:
                    np.testing.assert_array_equal(gpu.to_host(part), gpu.to_host(whole))


def test_batch_norm_of_an_empty_batch(gpu):
    y, mean, _, _ = gpu.batch_norm(gpu.from_host(np.empty((0, 3, 2, 2), np.float32)), None, None, eps=1e-5)
    assert y.shape == (0, 3, 2, 2) and np.isnan(gpu.to_host(mean)).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "shape, dim", [((5, 10), 1), ((3, 4, 5), 1), ((3, 1100), -1), ((6, 33), 0), ((), 0), ((0, 4), 1), ((4, 0), 1)]
)
def test_softmax(gpu, name, shape, dim):
    def ours(x, gy):
        y = getattr(gpu, name)(x, dim=dim)
        return y, getattr(gpu, f"{name}_backward")(gy, y, dim=dim)

    def theirs(x, gy):
        (x,) = leaf(x)
        y = getattr(F, name)(x, dim)
        return y.detach(), *gradients(y, gy, (x,))

    compare(gpu, ours, theirs, np.asarray(30 * random(*shape)), np.asarray(random(*shape, seed=1)))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_nan_and_infinities(gpu, name):
    x = random(4, 5)
    x[0, 2], x[1, 1], x[2] = np.nan, -np.inf, -np.inf
    compare(gpu, lambda x: [getattr(gpu, name)(x, dim=1)], lambda x: [getattr(F, name)(x, 1)], x)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("rows, classes", [(9, 10), (3, 1500), (0, 4)])
def test_cross_entropy(gpu, rows, classes, weighted, smoothing):
    target = np.random.default_rng(0).integers(0, classes, rows)
    target[:2] = (-100, classes - 1)[: len(target)]

    def ours(x, w, g, target):
        w = w if weighted else None
        options = {"ignore_index": -100, "label_smoothing": smoothing}
        losses, logp = gpu.cross_entropy(x, target, w, **options)
        return losses, logp, gpu.cross_entropy_backward(g, logp, target, w, **options)

    def theirs(x, w, g, target):
        (x,) = leaf(x)
        losses = F.cross_entropy(
            x, target, w if weighted else None, ignore_index=-100, reduction="none", label_smoothing=smoothing
        )
        return losses.detach(), F.log_softmax(x, 1).detach(), *gradients(losses, g, (x,))

    compare(gpu, ours, theirs, 5 * random(rows, classes), np.abs(random(classes)), random(rows, seed=1), target)


def test_cross_entropy_of_a_target_out_of_range_is_nan(gpu):
    logits, target = gpu.from_host(random(4, 3)), gpu.from_host(np.array([0, 3, -1, 2]))
    losses, _ = gpu.cross_entropy(logits, target, None, ignore_index=-100, label_smoothing=0.0)
    np.testing.assert_array_equal(np.isnan(gpu.to_host(losses)), [False, True, True, False])


@pytest.mark.parametrize("read", ["to_host", "synchronize"])
def test_a_bad_index_is_raised_where_the_host_waits_anyway(gpu, read):
    """None of the checks waits; the first that fails is raised, once."""
    index = gpu.from_host(np.array([[0, 2], [1, -100]], np.int32))
    reading = gpu.synchronize if read == "synchronize" else lambda: gpu.to_host(index)
    check = functools.partial(gpu.check_indices, index, error=IndexError)
    check(high=3, ignore=-100, message="{} is fine")
    check(low=-100, high=3, message="{} is fine")
    reading()
    with emulator.capturing() if gpu.xp is emulator.standin() else contextlib.nullcontext():
        check(high=2, ignore=-100, message="{} of 2")
        check(high=1, ignore=-100, message="{} of 1")
    with pytest.raises(IndexError, match="^2 of 2$"):
        reading()
    reading()


# ---- scatter, optimizers -------------------------------------------------------------------------------------------
INDICES = {
    "repeats": ((4, 3), lambda a: (a([0, 0, 2]),)),
    "negative": ((4, 3), lambda a: (a([-1, 3, 1]),)),
    "two arrays": ((4, 3), lambda a: (a([0, 0, 2]), a([1, 1, 0]))),
    "array and slice": ((4, 3, 2), lambda a: (slice(1, None), a([[0, 2], [2, 2]]))),
    "last axis": ((4, 3), lambda a: (Ellipsis, a([1, 1]))),
    "mask": ((4, 3), lambda a: a([[True, False, True]] * 4)),
    "new axis": ((4, 3), lambda a: (None, a([3, 3]), 1)),
    "broadcast": ((4, 3), lambda a: (a([[0], [0]]), a([2, 2, 1]))),
    "slices": ((4, 3), lambda a: (slice(None, None, 2), 1)),
    "integer": ((4, 3), lambda a: 2),
    "empty": ((4, 3), lambda a: (a(np.empty(0, int)),)),
    "many": ((7,), lambda a: (a(np.arange(500) % 7),)),
}


@pytest.mark.parametrize("shape, index", INDICES.values(), ids=INDICES)
def test_scatter_add(gpu, shape, index):
    on_host = index(np.asarray)
    values = random(*np.zeros(shape)[on_host].shape)
    expected = np.zeros(shape)
    np.add.at(expected, on_host, values)
    on_gpu = index(lambda a: gpu.from_host(np.asarray(a)))
    result = gpu.scatter_add(on_gpu, gpu.from_host(np.asarray(values)), shape=shape)
    np.testing.assert_allclose(gpu.to_host(result), expected, rtol=1e-13, atol=1e-13)


SGD = {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 1e-2, "nesterov": True, "maximize": False}
STEP_LAYOUTS = {"contiguous": lambda a: a, "transposed": lambda a: a.T, "strided": lambda a: a[:, ::2]}


def optimizer_both(gpu: Any, make: Callable, step: Callable, layout: Callable) -> None:
    """Three steps of torch's optimizer and of ours from the same start with the same gradients."""
    for dtype in (np.float64, np.float32):
        start, steps = random(4, 6).astype(dtype), [random(4, 6, seed=i).astype(dtype) for i in range(3)]
        p = layout(gpu.from_host(start))
        states = [gpu.xp.zeros_like(p) for _ in range(3)]
        theirs = {
            t: layout(torch.tensor(start)).to(t).clone().requires_grad_()
            for t in (torch.float64, torch.tensor(start).dtype)
        }
        optimizers = {t: make([parameter]) for t, parameter in theirs.items()}
        for number, g in enumerate(steps, start=1):
            step(p, layout(gpu.from_host(g)), states, number)
            for t, parameter in theirs.items():
                parameter.grad = layout(torch.tensor(g)).to(t)
                optimizers[t].step()
        best, reference = theirs[torch.float64].detach().numpy(), theirs[torch.tensor(start).dtype].detach().numpy()
        close(gpu.to_host(p), reference, best)


@pytest.mark.parametrize("layout", STEP_LAYOUTS.values(), ids=STEP_LAYOUTS)
@pytest.mark.parametrize(
    "momentum, dampening, weight_decay, nesterov, maximize",
    [(0, 0, 0, False, False), (0.9, 0, 1e-2, False, False), (0.9, 0, 1e-2, True, False), (0.8, 0.3, 0, False, True)],
)
def test_sgd_step(gpu, layout, momentum, dampening, weight_decay, nesterov, maximize):
    def make(parameters):
        return torch.optim.SGD(parameters, 0.1, momentum, dampening, weight_decay, nesterov, maximize=maximize)

    def step(p, g, states, number):
        buf = states[0] if momentum else None
        gpu.sgd_step(
            p, g, buf, lr=np.float64(0.1), momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize, first=number == 1,
        )  # fmt: skip

    optimizer_both(gpu, make, step, layout)


@pytest.mark.parametrize("layout", STEP_LAYOUTS.values(), ids=STEP_LAYOUTS)
@pytest.mark.parametrize("amsgrad, maximize", [(False, False), (True, False), (True, True)])
def test_adamw_step(gpu, layout, amsgrad, maximize):
    def make(parameters):
        return torch.optim.AdamW(parameters, 0.01, (0.8, 0.99), 1e-8, 0.05, amsgrad, maximize=maximize)

    def step(p, g, states, number):
        m, v, vmax = states
        gpu.adamw_step(
            p, g, m, v, vmax if amsgrad else None, step=number, lr=np.float64(0.01), beta1=0.8, beta2=0.99, eps=1e-8,
            weight_decay=0.05, maximize=maximize,
        )  # fmt: skip

    optimizer_both(gpu, make, step, layout)


def test_steps_together_are_one_launch(gpu):
    """Parameters of any size, layout and step; one that is there twice moves twice; float16 goes at once, by itself."""
    if gpu.xp is not emulator.standin():
        pytest.skip("the emulator counts launches")
    arrays = [random(*shape, seed=i) for i, shape in enumerate([(3, 4), (5,), (2, 300)])]
    gradients, alone, together = ([gpu.from_host(a.copy()) for a in arrays] for _ in range(3))
    half, half_gradient = (gpu.from_host(np.ones(3, np.float16)) for _ in range(2))
    for p, g in [*zip(alone, gradients, strict=True), (alone[0], gradients[0])]:
        gpu.sgd_step(p, g, None, first=False, **SGD)
    with emulator.counted() as launches, gpu.together():
        for p, g in [*zip(together, gradients, strict=True), (together[0], gradients[0])]:
            gpu.sgd_step(p, g, None, first=False, **SGD)
        assert not launches or emulator.totals(launches)["kernel"] == 1
    assert emulator.totals(launches)["kernel"] == 2
    gpu.sgd_step(half, half_gradient, None, first=False, **SGD)
    gpu.sgd_step(alone[1], gradients[1], None, first=False, **SGD)
    gpu.sgd_step(together[1], gradients[1], None, first=False, **SGD)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(gpu.to_host(one), gpu.to_host(other))
    assert (gpu.to_host(half) < 1).all()


def test_other_dtypes_are_refused(gpu):
    with pytest.raises(NotImplementedError, match="softmax works on float32 and float64 on a GPU, not int64"):
        gpu.softmax(gpu.from_host(np.arange(3)), dim=0)


def test_relu_of_integers(gpu):
    np.testing.assert_array_equal(gpu.to_host(gpu.relu(gpu.from_host(np.array([-1, 0, 2])))), [0, 0, 2])


# ---- the device ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)], ids=str)
def test_copies_keep_the_layout(gpu, axes):
    host = random(2, 3, 4).transpose(axes)
    device = gpu.from_host(host)
    back = gpu.to_host(device)
    assert device.strides == host.strides == back.strides
    np.testing.assert_array_equal(host, back)


def test_memory_is_metered(gpu):
    gpu.reset_peak_memory_stats()
    before = gpu.memory_allocated()
    assert gpu.max_memory_allocated() == before
    array = gpu.xp.zeros(1000, np.float32)
    held = gpu.memory_allocated()
    assert held == before + 4096  # 4000 bytes, in blocks of 512
    del array
    assert gpu.memory_allocated() == before
    assert gpu.max_memory_allocated() == held
    gpu.reset_peak_memory_stats()
    assert gpu.max_memory_allocated() == before
    gpu.synchronize()
    assert gpu.device_count() >= 1


def test_a_pooled_convolution_never_holds_its_full_map(gpu, monkeypatch):
    monkeypatch.setattr(gpu.convolution, "MAP_BYTES", 1)
    x, w = gpu.from_host(random(8, 2, 16, 16)), gpu.from_host(random(16, 2, 3, 3))
    slid = {"window": Window((3, 3), padding=(1, 1)), "pool": Window((2, 2), (2, 2))}
    gpu.reset_peak_memory_stats()
    before = gpu.memory_allocated()
    p, tap = gpu.conv2d_relu_max_pool2d(x, w, None, **slid)
    full_map = 8 * 16 * 16 * 16 * 8
    assert gpu.max_memory_allocated() - before < p.nbytes + tap.nbytes + full_map / 2


def test_kernels_never_read_back(gpu):
    """A step must not wait for the GPU, so that it can be captured as a CUDA graph."""
    if gpu.xp is not emulator.standin():
        pytest.skip("the emulator counts the reads")
    x, w, b, gy = (gpu.from_host(a) for a in conv_arrays(CONVOLUTIONS["groups"]))
    slid = window(CONVOLUTIONS["groups"])
    with emulator.capturing(), gpu.launch.numbers_listed():
        y = gpu.conv2d(x, w, b, window=slid, relu=True)
        gpu.conv2d_backward(gy, x, w, y, x_shape=x.shape, window=slid, needs=(True, True, True))
        y, mean, invstd, _ = gpu.batch_norm(y, None, None, eps=1e-5)
        gpu.batch_norm_backward(gy, y, None, mean, invstd, training=True, needs=(True, True, True))
        gpu.softmax(y, dim=1)
        gpu.sgd_step(w, w, w.copy(), first=False, **SGD)


# ---- the order in which threads run --------------------------------------------------------------------------------
def everything(gpu: Any) -> list[np.ndarray]:
    """The results of every kernel, once."""
    x, w, b, gy = (gpu.from_host(a.astype(np.float32)) for a in conv_arrays(CONVOLUTIONS["groups"]))
    slid, pool, needs = window(CONVOLUTIONS["groups"]), Window((2, 2)), (True, True, True)
    y = gpu.conv2d(x, w, b, window=slid, relu=True)
    z, mean, invstd, var = gpu.batch_norm(x, None, None, eps=1e-5)
    p, tap = gpu.max_pool2d(x, window=pool)
    logits = gpu.from_host(random(20, 1100).astype(np.float32))
    target = gpu.from_host(np.arange(20))
    options = {"ignore_index": 3, "label_smoothing": 0.1}
    losses, logp = gpu.cross_entropy(logits, target, None, **options)
    moved = [abs(w) for _ in range(6)]
    gpu.sgd_step(moved[0], w, moved[1], first=False, **SGD)
    gpu.adamw_step(
        moved[2], w, *moved[3:], step=1, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.1, maximize=False
    )
    results = [
        y, *gpu.conv2d_backward(gy, x, w, y, x_shape=x.shape, window=slid, needs=needs), z, mean, invstd, var,
        *gpu.batch_norm_backward(z, x, None, mean, invstd, training=True, needs=needs), p, tap,
        gpu.max_pool2d_backward(p, tap, x_shape=x.shape, window=pool), gpu.max_pool2d_gather(x, tap, window=pool),
        gpu.adaptive_avg_pool2d(x, output_size=(2, 3)), gpu.adaptive_avg_pool2d_backward(p, x_shape=x.shape),
        losses, logp, gpu.cross_entropy_backward(losses, logp, target, None, **options), gpu.softmax(logits, dim=0),
        gpu.log_softmax(logits, dim=1), gpu.softmax_backward(logits, logp, dim=1),
        gpu.log_softmax_backward(logits, logp, dim=1), gpu.scatter_add(target % 3, logits, shape=(3, 1100)), *moved,
    ]  # fmt: skip
    return [gpu.to_host(result) for result in results]


def test_the_order_of_threads_does_not_matter(gpu):
    if gpu.xp is not emulator.standin():
        pytest.skip("a GPU picks its own order")
    runs = []
    for order in emulator.ORDERS:
        with emulator.thread_order(order):
            runs.append(everything(gpu))
    for first, second, third in zip(*runs, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)


def test_the_same_result_in_every_run(gpu):
    for first, second in zip(everything(gpu), everything(gpu), strict=True):
        np.testing.assert_array_equal(first, second)


# ---- products ------------------------------------------------------------------------------------------------------
PRODUCTS = {
    "matrices": lambda a: (a(3, 5), a(5, 4)),
    "transposed": lambda a: (a(70, 3).swapaxes(0, 1), a(66, 70).swapaxes(0, 1)),
    "a row": lambda a: (a(1, 200), a(200, 1)),
    "slices": lambda a: (a(6, 10)[::2, 1:9:2], a(8, 7)[1::2, ::3]),
    "a batch": lambda a: (a(3, 4, 5), a(3, 5, 2)),
    "a broadcast batch": lambda a: (a(4, 1, 3, 5), a(2, 5, 2)),
    "two axes transposed": lambda a: (a(2, 5, 3, 4).swapaxes(1, 2), a(2, 3, 6, 4).swapaxes(2, 3)),
    "three axes": lambda a: (a(2, 3, 2, 4, 5), a(2, 5, 4)),
    "no steps": lambda a: (a(3, 0), a(0, 2)),
    "nothing": lambda a: (a(0, 3), a(3, 2)),
}


@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("operands", PRODUCTS.values(), ids=PRODUCTS)
def test_matmul(gpu, operands, bias):
    shapes: list[tuple[int, ...]] = []
    operands(lambda *shape: shapes.append(shape) or np.empty(shape))
    arrays = [random(*shape, seed=i) for i, shape in enumerate(shapes)]

    def product(matmul):
        def run(*given):
            put = iter(given)
            x, y = operands(lambda *shape: next(put))
            return [matmul(x, y, next(put) if bias else None)]

        return run

    def theirs(x, y, b):
        return x @ y if b is None else x @ y + b

    columns = operands(lambda *shape: np.empty(shape))[1].shape[-1]
    compare(gpu, product(gpu.matmul), product(theirs), *arrays, *([random(columns)] if bias else []))


@pytest.mark.parametrize("operands", [PRODUCTS["transposed"], PRODUCTS["a broadcast batch"]])
def test_matmul_by_tensor_cores(gpu, precise_tensor_cores, operands):
    test_matmul(gpu, operands, True)


def test_matmul_of_more_matrices_than_a_launch_takes(gpu, monkeypatch):
    monkeypatch.setattr(gpu.products, "MOST_MATRICES", 3)
    x, y = random(5, 2, 3, 4), random(5, 2, 4, 2)
    for many in ((x, y), (x.reshape(2, 5, 3, 4), y.reshape(2, 5, 4, 2))):
        np.testing.assert_allclose(gpu.to_host(gpu.matmul(*map(gpu.from_host, many))), many[0] @ many[1], 1e-12, 1e-12)


@pytest.mark.parametrize("needs", list(itertools.product((False, True), repeat=3)), ids=str)
def test_linear_backward(gpu, needs):
    def ours(gy, x, w):
        found = gpu.linear_backward(gy, x if needs[1] else None, w if needs[0] else None, needs=needs)
        assert [part is not None for part in found] == list(needs)
        return [part for part in found if part is not None]

    def theirs(gy, x, w):
        return [part for part, need in zip((gy @ w, gy.T @ x, gy.sum(0)), needs, strict=True) if need]

    compare(gpu, ours, theirs, random(300, 5), random(300, 7), random(5, 7))
    compare(gpu, ours, theirs, random(0, 5), random(0, 7), random(5, 7))
