"""Anomaly mode: which op, and which line of the user's code, made the first NaN or Inf."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.autograd.observer import OneOfAKind, recorded, user_line
from minigrad.grad_mode import AtOnce, Bare, state
from minigrad.op import Op, called_at
from minigrad.tensor import Tensor, describe


class detect_anomaly(Bare, OneOfAKind):
    """Within it the first op that makes NaN or Inf out of finite numbers raises a RuntimeError that names it and its line.

    Looks at every op's result and, in the backward pass, at every gradient; torch's mode of this name looks for NaN among
    the gradients alone. An infinity that was put in on purpose, x.masked_fill(mask, -inf), is no anomaly: a number given
    to an op counts among its inputs. check_inf=False lets infinities pass (log 0 = -inf), and finds NaN only;
    check_nan=False looks at no numbers, and only adds a warning to errors of the backward pass, with the line of the
    forward op, as the other settings do too. Slow, and on a GPU it waits for every op: for debugging.
    """

    def __init__(self, check_nan: bool = True, check_inf: bool = True) -> None:
        self.check_nan, self.check_inf = bool(check_nan), bool(check_nan and check_inf)

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        where = user_line()
        if recorded(node, outputs):
            node.made_at = where
        if not self.check_nan:
            return
        for output in outputs:
            what = self._anomaly(output)
            if what and not any(_worst(x) for x in inputs):
                given = ", ".join(describe(x) for x in inputs)
                raise RuntimeError(
                    f"anomaly: {node.name()} returned NaN or Inf ({what}) from finite inputs, called at {where} "
                    f"(given {given})"
                )

    def after_backward(self, node: Op, gradients: list[Tensor | None], results: tuple[Any, ...]) -> None:
        if not self.check_nan:
            return
        for i, result in enumerate(results):
            what = self._anomaly(result)
            if what and not any(_worst(gradient) for gradient in gradients):
                raise RuntimeError(
                    f"anomaly: the backward of {node.name()} returned NaN or Inf ({what}) as the gradient of input {i}, "
                    f"{describe(result)}; the op was{called_at(node)[1:] or ' called at a line not recorded'}"
                )

    def failed_backward(self, node: Op, error: Exception) -> None:
        where = called_at(node) or ", whose forward ran outside detect_anomaly"
        warnings.warn(f"Error detected in the backward of {node.name()}{where}", RuntimeWarning, stacklevel=2)

    def _anomaly(self, x: Any) -> str:
        found = _worst(x)
        return found if found == "NaN" or self.check_inf else ""


class set_detect_anomaly(AtOnce, detect_anomaly):
    """detect_anomaly switched on or off for this thread by a flag; as a context manager it puts back what was before."""

    def __init__(self, mode: bool, check_nan: bool = True, check_inf: bool = True) -> None:
        detect_anomaly.__init__(self, check_nan, check_inf)
        AtOnce.__init__(self, mode)


def is_anomaly_enabled() -> bool:
    """Whether the ops of this thread are watched by detect_anomaly."""
    return any(isinstance(observer, detect_anomaly) for observer in state.observers)


def is_anomaly_check_nan_enabled() -> bool:
    """Whether they are watched, and their numbers looked at."""
    return any(isinstance(observer, detect_anomaly) and observer.check_nan for observer in state.observers)


def _worst(x: Any) -> str:
    """ "NaN" or "Inf" if a Tensor or number holds one, else ""."""
    if isinstance(x, Tensor):
        if x.dtype.kind != "f":
            return ""
        xp, array = backends.of(x.array).xp, x.array
        if bool(xp.isfinite(array).all()):
            return ""
        return "NaN" if bool(xp.isnan(array).any()) else "Inf"
    if isinstance(x, float) and not np.isfinite(x):
        return "NaN" if np.isnan(x) else "Inf"
    return ""
