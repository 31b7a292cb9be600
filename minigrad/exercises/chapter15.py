"""Chapter 15, an op of your own: Mish from its paper, without overflow; and one that keeps its output."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.autograd.doctor import diagnose
from minigrad.exercises.judge import NotYet, exercise, expect, judges, require


@exercise
class Mish(mg.Op):
    """y = x tanh(log(1 + e^x)) (Misra, 2020). forward: on arrays; backward: in ops on Tensors. Finite at 1000 and -1000."""

    saves = {0: None}

    def forward(self, x):
        return x

    def backward(self, gy):
        return gy


@judges(Mish)
def _(answer: Any) -> None:
    x = mg.tensor([-2.0, -0.3, 0.0, 1.0, 4.0], dtype=mg.float64, requires_grad=True)
    expect(answer()(x), x.array * np.tanh(np.log1p(np.exp(x.array))), "y")
    for finding in diagnose(lambda x: answer()(x), x):
        raise NotYet(f"the gradient has {finding.how}")
    with np.errstate(all="ignore"):
        far = mg.tensor([1000.0, -1000.0], dtype=mg.float64, requires_grad=True)
        y = answer()(far)
        require(
            np.isfinite(y.array).all(), f"at 1000 and -1000 it gives {y.tolist()}. np.logaddexp(0, x) does not overflow"
        )
        g = mg.autograd.grad(y.sum(), far)[0].array  # type: ignore[union-attr]
    require(
        np.isfinite(g).all(),
        f"at 1000 and -1000 its gradient is {g.tolist()}: use sigmoid and softplus of Tensors",
    )
    small = answer()(mg.tensor([0.5, -0.5]))
    require(small.dtype == np.float32, f"of float32 it makes {small.dtype.name}")


@exercise
class Sigmoid(mg.Op):
    """y = 1 / (1 + e^-x), with a gradient of the output alone: gx = gy y (1 - y). Keep the output, not the input."""

    saves = {0: None}

    def forward(self, x):
        return 1 / (1 + np.exp(-x))

    def backward(self, gy):
        (x,) = self.inputs
        e = (-x).exp()
        return gy * e / (1 + e) ** 2


@judges(Sigmoid)
def _(answer: Any) -> None:
    x = mg.tensor([-2.0, 0.0, 3.0], dtype=mg.float64, requires_grad=True)
    y = answer()(x)
    expect(y, 1 / (1 + np.exp(-x.array)), "y")
    for finding in diagnose(lambda x: answer()(x), x):
        raise NotYet(f"the gradient has {finding.how}")
    require(answer.saves_output, "saves_output = True keeps the output: then self.output is it")
    require(not answer.saves, "the input is still kept: leave saves out")
