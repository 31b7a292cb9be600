"""unfold and fold."""

from __future__ import annotations

import pytest

from minigrad.backends import cpu
from minigrad.window import Window
from tests.backends.cpu.checking import CONVOLUTIONS, check, layouts, numbers, torch

F = torch.nn.functional


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
