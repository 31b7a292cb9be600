"""Every optimizer: fifty steps of a small problem, in which each framework follows its own gradients.

The problem: y = W2 tanh(W1 x + b1) + b2 is to be what a fixed such network says of random x, in the mean of squares, over
batches that are new each step. Compared are all weights, every ten steps. Float32's rounding grows with the steps; twice
torch's own is the measure, as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import minigrad
import minigrad.optim
from compare.gradients.derivatives import Outcome

STEPS, NOTED = 50, 10
SHAPES = ((8, 6), (8,), (3, 8), (3,))
BATCH = 16


@dataclass(frozen=True)
class Trajectory:
    """An optimizer with its options. clip: the gradients' norm is brought down to it before each step."""

    name: str
    options: dict[str, Any]
    clip: float | None = None
    note: str | None = None
    single: bool = True

    def __str__(self) -> str:
        options = [f"{key}={value}" for key, value in self.options.items()]
        return f"{self.name}({', '.join(options + [f'clip={self.clip}'] * (self.clip is not None))})"

    def outcome(self, track: str, dtype: Any, seed: int) -> Outcome:
        """The weights after ten, twenty, ... steps."""
        framework = torch if track == "torch" else minigrad
        random = np.random.default_rng(seed)

        def numbers(shape: tuple[int, ...]) -> Any:
            return framework.from_numpy(random.standard_normal(shape).astype(np.float32).astype(dtype))

        weights = [(numbers(shape) * 0.5).detach().requires_grad_() for shape in SHAPES]
        wanted = [numbers(shape) for shape in SHAPES]
        optimizer = getattr(framework.optim, self.name)(weights, **self.options)
        noted = []
        for step in range(1, STEPS + 1):
            x = numbers((BATCH, SHAPES[0][1]))
            optimizer.zero_grad()
            framework.nn.functional.mse_loss(_network(x, *weights), _network(x, *wanted)).backward()
            if self.clip is not None:
                framework.nn.utils.clip_grad_norm_(weights, self.clip)
            optimizer.step()
            if step % NOTED == 0:
                noted += [w.detach().numpy().copy() for w in weights]
        return Outcome(noted, [], [])


def _network(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    return (x @ w1.T + b1).tanh() @ w2.T + b2


OPTIMIZERS: dict[str, list[Trajectory]] = {}


def trajectory(name: str, clip: float | None = None, **options: Any) -> None:
    """An optimizer of minigrad.optim, with its options."""
    OPTIMIZERS.setdefault(name, []).append(Trajectory(name, options, clip))


trajectory("SGD", lr=0.1)
trajectory("SGD", lr=0.05, momentum=0.9, weight_decay=0.01)
trajectory("SGD", lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True)
trajectory("SGD", lr=0.05, momentum=0.9, dampening=0.3, clip=0.5)
trajectory("SGD", lr=0.001, maximize=True)
trajectory("AdamW", lr=0.01)
trajectory("AdamW", lr=0.01, weight_decay=0.05, clip=0.5)
trajectory("AdamW", lr=0.01, betas=(0.5, 0.7), eps=1e-3, amsgrad=True)
trajectory("Adam", lr=0.01, weight_decay=0.1)
trajectory("Adam", lr=0.01, amsgrad=True, decoupled_weight_decay=True, weight_decay=0.1)
trajectory("NAdam", lr=0.01)
trajectory("NAdam", lr=0.01, weight_decay=0.1, momentum_decay=0.5, decoupled_weight_decay=True)
trajectory("Adamax", lr=0.01)
trajectory("Adamax", lr=0.01, weight_decay=0.1, betas=(0.5, 0.7))
trajectory("RMSprop", lr=0.01)
trajectory("RMSprop", lr=0.01, weight_decay=0.1, momentum=0.9)
trajectory("RMSprop", lr=0.01, centered=True, eps=1e-2)
trajectory("Adagrad", lr=0.05)
trajectory("Adagrad", lr=0.05, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5)
trajectory("Adadelta", lr=1.0)
trajectory("Adadelta", lr=0.5, rho=0.5, eps=1e-3, weight_decay=0.1)
