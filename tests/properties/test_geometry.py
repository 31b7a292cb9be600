"""Windows of every geometry: convolutions, pools, unfold and fold, against torch and against sums written out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from tests.properties.strategies import drawn, same_as_torch, tries

sides = st.tuples(st.integers(1, 8), st.integers(1, 8))
small = st.tuples(st.integers(1, 3), st.integers(1, 3))
paddings = st.tuples(st.integers(0, 2), st.integers(0, 2))
dilations = st.one_of(st.just((1, 1)), st.tuples(st.integers(1, 3), st.integers(1, 2)))
channels = st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 1, 2, 3]))  # in and out a group, groups


@tries(50)
@given(
    size=sides, kernel=small, stride=small, padding=paddings, dilation=dilations, channels=channels, bias=st.booleans()
)
def test_conv2d(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, channels: Any, bias: bool) -> None:
    c, o, groups = channels
    inputs = [
        drawn((2, c * groups, *size)),
        drawn((o * groups, c, *kernel), 1),
        *([drawn((o * groups,), 2)] if bias else []),
    ]
    same_as_torch(lambda f, x, w, b=None: f.nn.functional.conv2d(x, w, b, stride, padding, dilation, groups), *inputs)


@tries(25)
@given(size=sides, kernel=small, stride=small, padding=paddings, dilation=dilations)
def test_conv2d_is_the_sum_it_is_said_to_be(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """y[n, o, i, j] = sum over c, u, v of w[o, c, u, v] x[n, c, i sh + u dh - ph, j sw + v dw - pw]."""
    spans = [n + 2 * p - d * (k - 1) for n, p, d, k in zip(size, padding, dilation, kernel, strict=True)]
    if min(spans) < 1:
        return
    x, w = drawn((2, 3, *size)), drawn((2, 3, *kernel), 1)
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    height, width = ((n - 1) // s + 1 for n, s in zip(spans, stride, strict=True))
    expected = np.zeros((2, 2, height, width))
    for i, j, u, v in itertools.product(range(height), range(width), range(kernel[0]), range(kernel[1])):
        seen = padded[:, :, i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]]
        expected[:, :, i, j] += seen @ w[:, :, u, v].T
    ours = minigrad.nn.functional.conv2d(
        minigrad.from_numpy(x), minigrad.from_numpy(w), None, stride, padding, dilation
    )
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12, atol=1e-12)


@tries(40)
@given(
    size=sides, kernel=small, stride=small, padding=paddings, dilation=dilations, channels=channels, extra=paddings,
    bias=st.booleans(),
)  # fmt: skip
def test_conv_transpose2d(
    size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, channels: Any, extra: Any, bias: bool
) -> None:
    c, o, groups = channels
    size = tuple(min(n, 5) for n in size)
    inputs = [
        drawn((2, c * groups, *size)),
        drawn((c * groups, o, *kernel), 1),
        *([drawn((o * groups,), 2)] if bias else []),
    ]
    same_as_torch(
        lambda f, x, w, b=None: f.nn.functional.conv_transpose2d(x, w, b, stride, padding, extra, groups, dilation),
        *inputs,
    )


@tries(40)
@given(length=st.integers(1, 9), kernel=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(0, 3),
       dilation=st.integers(1, 3), channels=channels)  # fmt: skip
def test_conv1d(length: int, kernel: int, stride: int, padding: int, dilation: int, channels: Any) -> None:
    c, o, groups = channels
    x, w = drawn((2, c * groups, length)), drawn((o * groups, c, kernel), 1)
    same_as_torch(lambda f, x, w: f.nn.functional.conv1d(x, w, None, stride, padding, dilation, groups), x, w)


def _misses(n: int, kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether a window, at any place where one may start, has no pixel under it."""
    starts = range(-padding, n, stride)
    return any(not any(0 <= start + i * dilation < n for i in range(kernel)) for start in starts)


@tries(60)
@given(size=sides, kernel=small, stride=st.one_of(st.none(), small), padding=paddings, dilation=dilations,
       ceil=st.booleans(), indices=st.booleans())  # fmt: skip
def test_max_pool2d(
    size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, indices: bool
) -> None:
    if any(_misses(*axis) for axis in zip(size, kernel, stride or kernel, padding, dilation, strict=True)):
        return  # a window without a pixel: torch writes outside of its memory in the backward pass
    same_as_torch(
        lambda f, x: f.nn.functional.max_pool2d(x, kernel, stride, padding, dilation, ceil, indices),
        drawn((2, 2, *size)),
    )


@tries(60)
@given(size=sides, kernel=small, stride=st.one_of(st.none(), small), padding=paddings, ceil=st.booleans(),
       include=st.booleans(), divisor=st.sampled_from([None, None, 3]))  # fmt: skip
def test_avg_pool2d(size: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, include: bool, divisor: Any) -> None:
    same_as_torch(
        lambda f, x: f.nn.functional.avg_pool2d(x, kernel, stride, padding, ceil, include, divisor),
        drawn((2, 2, *size)),
    )


@tries(30)
@given(size=sides, bins=st.tuples(st.integers(1, 6), st.integers(1, 6)), name=st.sampled_from(["avg", "max"]))
def test_adaptive_pools(size: Any, bins: Any, name: str) -> None:
    same_as_torch(lambda f, x: getattr(f.nn.functional, f"adaptive_{name}_pool2d")(x, bins), drawn((2, 2, *size)))


@tries(40)
@given(size=sides, kernel=small, stride=small, padding=paddings, dilation=dilations)
def test_unfold_and_fold(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    window = {"kernel_size": kernel, "dilation": dilation, "padding": padding, "stride": stride}
    same_as_torch(lambda f, x: f.nn.functional.unfold(x, **window), drawn((2, 2, *size)))
    same_as_torch(
        lambda f, x: f.nn.functional.fold(f.nn.functional.unfold(x, **window), size, **window), drawn((2, 2, *size))
    )


@tries(40)
@given(size=sides, widths=st.lists(st.integers(-1, 3), min_size=4, max_size=4),
       mode=st.sampled_from(["constant", "reflect", "replicate", "circular"]))  # fmt: skip
def test_pad(size: Any, widths: list[int], mode: str) -> None:
    if mode != "constant":
        widths = [abs(n) for n in widths]
    same_as_torch(lambda f, x: f.nn.functional.pad(x, widths, mode=mode), drawn((1, 2, *size)))
