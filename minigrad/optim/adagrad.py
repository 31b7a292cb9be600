"""Adagrad: gradients divided by the root of the sum of their squares so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backends
from minigrad.optim.optimizer import Optimizer, Parameters, check_non_negative, zeros_beside
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
        check_non_negative("learning rate", lr)
        check_non_negative("lr_decay value", lr_decay)
        check_non_negative("weight_decay value", weight_decay)
        check_non_negative("initial_accumulator_value value", initial_accumulator_value)
        check_non_negative("epsilon value", eps)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                self._start(parameter)

    def _start(self, parameter: Tensor) -> None:
        total = zeros_beside(parameter)
        total.array[...] = self.defaults["initial_accumulator_value"]
        self.state[parameter].update(step=Tensor(np.zeros((), np.float32)), sum=total)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:  # of a group that was added later
            self._start(parameter)
        state["step"].array += 1
        backends.of(parameter.array).adagrad_step(
            parameter.array,
            parameter.grad.array,  # type: ignore[union-attr]  # step() asks for parameters with a gradient only
            state["sum"].array,
            lr=group["lr"] / (1 + (int(state["step"]) - 1) * group["lr_decay"]),
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )
