"""Adagrad: gradients divided by the root of the sum of their squares so far."""

from __future__ import annotations

from typing import Any

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, options
from minigrad.tensor import Tensor


class Adagrad(Optimizer):
    """For the gradient g (-g if maximize) of step t = 1, 2, ... (Duchi, Hazan & Singer 2011, jmlr.org/papers/v12):

        g <- g + weight_decay p
        s <- s + g^2                         (s starts at initial_accumulator_value)
        p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    State of a parameter, from the start: "step" (t, a float32 number on the host) and "sum" (s). `foreach` and `fused`
    choose among torch's implementations: they are kept for the state_dict and mean nothing here. Raises ValueError for
    a negative option.
    """

    averages = {"sum": None}
    non_negative = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, options(locals(), first="lr lr_decay eps"))
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = {name: self.init_single(name, parameter) for name in ("step", "sum")}

    def init_single(self, name: str, parameter: Tensor) -> Tensor:
        state = super().init_single(name, parameter)
        if name == "sum":
            state.array[...] = self.defaults["initial_accumulator_value"]
        return state

    def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        backends.of(p).adagrad_step(
            p,
            g,
            state["sum"],
            lr=group["lr"] / (1 + (int(state["step"]) - 1) * group["lr_decay"]),
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
