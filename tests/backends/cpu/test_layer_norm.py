"""Layer norm of the rows of a matrix."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.backends import cpu
from tests.backends.cpu.checking import check, check_needs, gradients, layouts, numbers, torch


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
    check_needs(lambda needs: cpu.layer_norm_backward(gy, x, w, mean, invstd, needs=needs))


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
