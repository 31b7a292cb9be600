"""Adadelta: Adagrad with a memory that fades, and steps in the parameters' own units."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, options


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

    averages = {"square_avg": None, "acc_delta": None}
    non_negative = ("lr", "eps", "weight_decay")

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
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        super().__init__(params, options(locals(), first="lr rho eps weight_decay maximize capturable"))

    def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        backends.of(p).adadelta_step(
            p,
            g,
            state["square_avg"],
            state["acc_delta"],
            lr=group["lr"],
            rho=group["rho"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
