"""Adam: steps along a running mean of the gradient, divided by the root of a running mean of its square."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, options


class Adam(Optimizer):
    """For the gradient g (-g if maximize) of step t = 1, 2, ... (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1):

        g <- g + weight_decay p
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    with the largest v so far in place of v under the root if amsgrad (Reddi et al. 2018, arXiv:1904.09237), and
    p <- p - lr weight_decay p instead of the first line if decoupled_weight_decay (AdamW).

    State of a parameter: "step" (t, a float32 number on the host), "exp_avg" (m), "exp_avg_sq" (v) and, with amsgrad,
    "max_exp_avg_sq". `foreach` and `fused` choose among torch's implementations: they are kept for the state_dict and
    mean nothing here. Raises ValueError for a negative option or a beta outside [0, 1).
    """

    averages = {"exp_avg": None, "exp_avg_sq": None, "max_exp_avg_sq": "amsgrad"}
    non_negative = ("lr", "eps", "weight_decay")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(params, options(locals()))

    def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        backends.of(p).adamw_step(
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            state.get("max_exp_avg_sq"),
            step=int(state["step"]),
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
            decoupled=group["decoupled_weight_decay"],
        )
