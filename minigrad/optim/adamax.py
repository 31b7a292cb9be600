"""Adamax: Adam with the infinity norm, a largest gradient that fades, in place of the root of the mean square."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, check_betas, check_non_negative, zeros_beside
from minigrad.tensor import Tensor


class Adamax(Optimizer):
    """For the gradient g (-g if maximize) of step t = 1, 2, ... (Kingma & Ba 2015, arXiv:1412.6980, algorithm 2):

        g <- g + weight_decay p
        m <- beta1 m + (1 - beta1) g
        u <- max(beta2 u, |g| + eps)
        p <- p - lr / (1 - beta1^t) m / u

    State of a parameter: "step" (t, a float32 number on the host), "exp_avg" (m), "exp_inf" (u). Raises ValueError for
    a negative option or a beta outside [0, 1).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_non_negative("learning rate", lr)
        check_non_negative("epsilon value", eps)
        check_betas(betas)
        check_non_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = Tensor(np.zeros((), np.float32))
            state["exp_avg"] = zeros_beside(parameter)
            state["exp_inf"] = zeros_beside(parameter)
        state["step"].array += 1
        beta1, beta2 = group["betas"]
        backends.of(parameter.array).adamax_step(
            parameter.array,
            parameter.grad.array,  # type: ignore[union-attr]  # step() asks for parameters with a gradient only
            state["exp_avg"].array,
            state["exp_inf"].array,
            step=int(state["step"]),
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
