"""Adamax: Adam with the infinity norm, a largest gradient that fades, in place of the root of the mean square."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, options


class Adamax(Optimizer):
    """For the gradient g (-g if maximize) of step t = 1, 2, ... (Kingma & Ba 2015, arXiv:1412.6980, algorithm 2):

        g <- g + weight_decay p
        m <- beta1 m + (1 - beta1) g
        u <- max(beta2 u, |g| + eps)
        p <- p - lr / (1 - beta1^t) m / u

    State of a parameter: "step" (t, a float32 number on the host), "exp_avg" (m), "exp_inf" (u). Raises ValueError for
    a negative option or a beta outside [0, 1).
    """

    averages = {"exp_avg": None, "exp_inf": None}
    non_negative = ("lr", "eps", "weight_decay")

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
        super().__init__(params, options(locals()))

    def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        backends.of(p).adamax_step(
            p,
            g,
            state["exp_avg"],
            state["exp_inf"],
            step=int(state["step"]),
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
