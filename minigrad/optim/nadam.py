"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, options


class NAdam(Optimizer):
    """For the gradient g (-g if maximize) of step t = 1, 2, ... (Dozat 2016, openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ):

        g   <- g + weight_decay p            (p <- p - lr weight_decay p if decoupled_weight_decay)
        mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2),  M_t = mu_1 mu_2 ... mu_t
        m   <- beta1 m + (1 - beta1) g
        v   <- beta2 v + (1 - beta2) g^2
        p   <- p - lr (mu_(t+1) m / (1 - M_(t+1)) + (1 - mu_t) g / (1 - M_t)) / (sqrt(v / (1 - beta2^t)) + eps)

    State of a parameter: "step" (t) and "mu_product" (M_t), float32 numbers on the host, "exp_avg" (m), "exp_avg_sq"
    (v). Raises ValueError for a negative option or a beta outside [0, 1).
    """

    averages = {"exp_avg": None, "exp_avg_sq": None}
    numbers = {"step": 0.0, "mu_product": 1.0}
    non_negative = ("lr", "eps", "weight_decay", "momentum_decay")

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, options(locals()))

    def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        t, lr, (beta1, beta2) = int(state["step"]), group["lr"], group["betas"]
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (i * group["momentum_decay"])) for i in (t, t + 1))
        state["mu_product"] *= mu
        product = float(state["mu_product"])
        decoupled, weight_decay = group["decoupled_weight_decay"], group["weight_decay"]
        backends.of(p).nadam_step(
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            size_g=lr * (1 - mu) / (1 - product),
            size_m=lr * mu_next / (1 - product * mu_next),
            shrink=1 - lr * weight_decay if decoupled else 1.0,
            correction=1 - beta2**t,
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=0.0 if decoupled else weight_decay,
            maximize=group["maximize"],
        )
