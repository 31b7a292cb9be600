"""Matrix products over the threads, and sums of rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minigrad.backends import cpu
from tests.backends.cpu.checking import check, layouts, numbers, torch


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
