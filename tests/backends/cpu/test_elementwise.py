"""ReLU and its gradient; the error function and GELU are tested on both devices in tests/ops/test_activation.py."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minigrad.backends import cpu
from tests.backends.cpu.checking import check, gradients, layouts, numbers, torch

F = torch.nn.functional


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
