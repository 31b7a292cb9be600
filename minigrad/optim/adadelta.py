"""Adadelta: Adagrad with a memory that fades, and steps in the parameters' own units."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, check_non_negative, zeros_beside
from minigrad.tensor import Tensor


class Adadelta(Optimizer):
    """For the gradient g (-g if maximize) (Zeiler 2012, arXiv:1212.5701, algorithm 1):

        g <- g + weight_decay p
        v <- rho v + (1 - rho) g^2
        d  = sqrt(u + eps) / sqrt(v + eps) g
        u <- rho u + (1 - rho) d^2
        p <- p - lr d

    State of a parameter: "step" (a float32 number on the host), "square_avg" (v), "acc_delta" (u). Raises ValueError
    for a negative option or rho outside [0, 1].
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_non_negative("learning rate", lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_non_negative("epsilon value", eps)
        check_non_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = Tensor(np.zeros((), np.float32))
            state["square_avg"] = zeros_beside(parameter)
            state["acc_delta"] = zeros_beside(parameter)
        state["step"].array += 1
        backends.of(parameter.array).adadelta_step(
            parameter.array,
            parameter.grad.array,  # type: ignore[union-attr]  # step() asks for parameters with a gradient only
            state["square_avg"].array,
            state["acc_delta"].array,
            lr=group["lr"],
            rho=group["rho"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
