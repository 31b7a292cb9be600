"""SGD: stochastic gradient descent, with momentum, Nesterov's momentum and weight decay."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, options
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

    averages = {"momentum_buffer": "momentum"}
    numbers = {}
    _first: bool  # whether the parameter has no buffer yet
    non_negative = ("lr", "momentum", "weight_decay")

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
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, options(locals()))

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        self._first = self.state.get(parameter, {}).get("momentum_buffer") is None
        super()._update(parameter, group)

    def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        backends.of(p).sgd_step(
            p,
            g,
            state.get("momentum_buffer"),
            lr=group["lr"],
            momentum=group["momentum"],
            dampening=group["dampening"],
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            first=self._first and group["momentum"] != 0,
        )
