"""RMSprop: gradients divided by the root of a running mean of their squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, check_non_negative, zeros_beside
from minigrad.tensor import Tensor


class RMSprop(Optimizer):
    """For the gradient g (-g if maximize) (Hinton's lecture 6e, www.cs.toronto.edu/~tijmen/csc321):

        g <- g + weight_decay p
        v <- alpha v + (1 - alpha) g^2
        d  = g / (sqrt(v) + eps)
        b <- momentum b + d
        p <- p - lr b                        (p - lr d without momentum)

    centered: a <- alpha a + (1 - alpha) g, and v - a^2 under the root (Graves 2013, arXiv:1308.0850, eq. 38 to 41).

    State of a parameter: "step" (a float32 number on the host), "square_avg" (v), with momentum "momentum_buffer" (b),
    and if centered "grad_avg" (a). Raises ValueError for a negative option.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_non_negative("learning rate", lr)
        check_non_negative("epsilon value", eps)
        check_non_negative("momentum value", momentum)
        check_non_negative("weight_decay value", weight_decay)
        check_non_negative("alpha value", alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = Tensor(np.zeros((), np.float32))
            state["square_avg"] = zeros_beside(parameter)
            if group["momentum"] > 0:
                state["momentum_buffer"] = zeros_beside(parameter)
            if group["centered"]:
                state["grad_avg"] = zeros_beside(parameter)
        state["step"].array += 1
        backends.of(parameter.array).rmsprop_step(
            parameter.array,
            parameter.grad.array,  # type: ignore[union-attr]  # step() asks for parameters with a gradient only
            state["square_avg"].array,
            state["grad_avg"].array if group["centered"] else None,
            state["momentum_buffer"].array if group["momentum"] > 0 else None,
            lr=group["lr"],
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            maximize=group["maximize"],
        )
