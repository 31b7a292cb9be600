"""SGD: stochastic gradient descent, with momentum, Nesterov's momentum and weight decay."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, check_non_negative, zeros_beside
from minigrad.tensor import Tensor


class SGD(Optimizer):
    """p <- p - lr d, where for the gradient g (-g if maximize):

        g <- g + weight_decay p
        b <- momentum b + (1 - dampening) g     (b = g in the first step)
        d  = g + momentum b  with nesterov,  b  with momentum,  g  without

    State of a parameter, with momentum only: "momentum_buffer", b. The velocity form is torch's, in which lr multiplies
    b when it is used (Sutskever et al. 2013, http://proceedings.mlr.press/v28/sutskever13.html, keeps it in b).

    `foreach` and `fused` choose among torch's implementations: they are kept for the state_dict and mean nothing here.
    Raises ValueError for a negative option, or nesterov without momentum or with dampening.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_non_negative("learning rate", lr)
        check_non_negative("momentum value", momentum)
        check_non_negative("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        buffer = None
        first = False
        if group["momentum"] != 0:
            state = self.state[parameter]
            buffer = state.get("momentum_buffer")
            first = buffer is None
            if buffer is None:
                buffer = state["momentum_buffer"] = zeros_beside(parameter)
        backends.of(parameter.array).sgd_step(
            parameter.array,
            parameter.grad.array,  # type: ignore[union-attr]  # step() asks for parameters with a gradient only
            None if buffer is None else buffer.array,
            lr=group["lr"],
            momentum=group["momentum"],
            dampening=group["dampening"],
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            first=first,
        )
