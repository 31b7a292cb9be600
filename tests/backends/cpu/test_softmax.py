"""Softmax, log-softmax and cross-entropy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minigrad.backends import cpu
from tests.backends.cpu.checking import check, gradients, layouts, numbers, torch

F = torch.nn.functional


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
