"""The steps of SGD and AdamW; the optimizers' own tests run the others."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.backends import cpu
from tests.backends.cpu.checking import layouts, numbers, torch


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
