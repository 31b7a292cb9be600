"""Batch norm, with its own statistics and with given ones."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.backends import cpu
from tests.backends.cpu.checking import check, check_needs, gradients, layouts, numbers, torch

F = torch.nn.functional


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
    check_needs(lambda needs: cpu.batch_norm_backward(gy, x, w, mean, invstd, training=True, needs=needs))
    check_needs(lambda needs: cpu.batch_norm_backward(gy, x, w, mean, invstd, training=False, needs=needs))


def test_batch_norm_of_a_large_mean_keeps_its_variance():
    x = (numbers(4096, 2) + np.float32(3000)).astype(np.float32)
    _, mean, _, var = cpu.batch_norm(x, None, None, eps=0.0)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(0), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(np.float64).var(0), rtol=1e-4)
