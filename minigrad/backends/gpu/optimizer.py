"""Optimizer steps: one kernel a parameter, everything in place in one pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .device import xp
from .launch import kernel
from .layout import is_dense, like


def _in_place(name: str, p: Any, g: Any, states: tuple[Any, ...], *args: Any) -> None:
    """Run the step on arrays that lie alike: as p does, if p is dense, else on copies that are written back."""
    model = p if is_dense(p) else xp.ascontiguousarray(p)
    arrays = [None if a is None else like(a, model, xp) for a in (p, g, *states)]
    kernel("optimizer", name, p.dtype).over(p.size, *arrays, np.int64(p.size), *args)
    for given, used in zip((p, *states), (arrays[0], *arrays[2:]), strict=True):
        if used is not given:
            given[...] = used


def sgd_step(
    p: Any, g: Any, buf: Any, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool,
    maximize: bool, first: bool,
) -> None:  # fmt: skip
    """torch's SGD on p and buf, in place. buf is None without momentum; in the `first` step buf = g.

    g += weight_decay p;  buf = momentum buf + (1 - dampening) g;  p -= lr buf  (Nesterov: p -= lr (g + momentum buf))
    """
    _in_place(
        "sgd", p, g, (buf,), float(lr), float(momentum), 1 - float(dampening), float(weight_decay), nesterov, maximize, first
    )  # fmt: skip


def adamw_step(
    p: Any, g: Any, m: Any, v: Any, vmax: Any, step: int, lr: float, beta1: float, beta2: float, eps: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """torch's AdamW on p, m, v and vmax, in place (vmax is None without AMSGrad); `step` counts from 1.

    p *= 1 - lr weight_decay;  m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;
    p -= lr/(1 - beta1^step) m / (sqrt(v / (1 - beta2^step)) + eps)   (Loshchilov and Hutter 2019)
    """
    lr, beta1, beta2, weight_decay = float(lr), float(beta1), float(beta2), float(weight_decay)
    step_size, root_correction2 = lr / (1 - beta1**step), math.sqrt(1 - beta2**step)
    _in_place(
        "adamw", p, g, (m, v, vmax), 1 - lr * weight_decay, 1 - beta1, beta2, 1 - beta2, step_size,
        root_correction2, float(eps), maximize,
    )  # fmt: skip
