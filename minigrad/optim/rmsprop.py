"""RMSprop: gradients divided by the root of a running mean of their squares."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, options


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

    averages = {"square_avg": None, "momentum_buffer": "momentum", "grad_avg": "centered"}
    non_negative = ("lr", "eps", "momentum", "weight_decay", "alpha")

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
        super().__init__(params, options(locals(), first="lr momentum alpha eps centered"))

    def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        backends.of(p).rmsprop_step(
            p,
            g,
            state["square_avg"],
            state.get("grad_avg"),
            state.get("momentum_buffer"),
            lr=group["lr"],
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            maximize=group["maximize"],
        )
