"""How a CPU kernel is compared with torch: float64 to 1e-10, float32 at most twice as far from float64 as torch's own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minigrad.window import Window

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


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


def check_needs(backward):
    """backward(needs) gives the gradients that are asked for, None for the others, and the same as if all were."""
    everything = backward((True, True, True))
    for needs in itertools.product([False, True], repeat=3):
        for need, ours, right in zip(needs, backward(needs), everything, strict=True):
            assert (ours is None) == (not need)
            if need:
                np.testing.assert_array_equal(ours, right)


def gradients(output, cotangent, *inputs):
    """Gradients of the inputs that are tensors, None for the others, under the cotangent."""
    wanted = [x for x in inputs if x is not None]
    found = iter(torch.autograd.grad(output, wanted, cotangent))
    return [None if x is None else next(found) for x in inputs]


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
