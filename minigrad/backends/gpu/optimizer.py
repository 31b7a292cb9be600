"""Optimizer steps: one kernel a parameter, everything in place in one pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import Array
from .device import xp
from .launch import kernel
from .layout import is_dense, like


def _in_place(name: str, p: Array, g: Array, states: tuple[Any, ...], *args: Any) -> None:
    """Run the step on arrays that lie alike: as p does, if p is dense, else on copies that are written back."""
    if p.dtype == np.float16:  # the kernels know float32 and float64
        wide = [None if a is None else a.astype(np.float32) for a in (p, g, *states)]
        _in_place(name, wide[0], wide[1], tuple(wide[2:]), *args)
        for given, used in zip((p, *states), (wide[0], *wide[2:]), strict=True):
            if given is not None:
                given[...] = used
        return
    model = p if is_dense(p) else xp.ascontiguousarray(p)
    arrays = [None if a is None else like(a, model, xp) for a in (p, g, *states)]
    kernel("optimizer", name, p.dtype).over(p.size, *arrays, np.int64(p.size), *args)
    for given, used in zip((p, *states), (arrays[0], *arrays[2:]), strict=True):
        if used is not given:
            given[...] = used


def sgd_step(
    p: Array, g: Array, buf: Array, *, lr: float, momentum: float, dampening: float, weight_decay: float,
    nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """torch's SGD on p and buf, in place. buf is None without momentum; in the `first` step buf = g.

    g += weight_decay p;  buf = momentum buf + (1 - dampening) g;  p -= lr buf  (Nesterov: p -= lr (g + momentum buf))
    """
    _in_place(
        "sgd", p, g, (buf,), float(lr), float(momentum), 1 - float(dampening), float(weight_decay), nesterov, maximize, first
    )  # fmt: skip


def adamw_step(
    p: Array, g: Array, m: Array, v: Array, vmax: Array, *, step: int, lr: float, beta1: float, beta2: float,
    eps: float, weight_decay: float, maximize: bool, decoupled: bool = True,
) -> None:  # fmt: skip
    """torch's AdamW, or its Adam if not `decoupled`, on p, m, v and vmax (None without AMSGrad), in place.

    p *= 1 - lr weight_decay;  m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;
    p -= lr/(1 - beta1^step) m / (sqrt(v / (1 - beta2^step)) + eps)   (Loshchilov and Hutter 2019)

    Not decoupled: g += weight_decay p in the place of the first. `step` counts from 1.
    """
    lr, beta1, beta2, weight_decay = float(lr), float(beta1), float(beta2), float(weight_decay)
    step_size, root_correction2 = lr / (1 - beta1**step), math.sqrt(1 - beta2**step)
    shrink, l2 = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    _in_place(
        "adamw", p, g, (m, v, vmax), shrink, l2, 1 - beta1, beta2, 1 - beta2, step_size, root_correction2, float(eps),
        maximize,
    )  # fmt: skip


def nadam_step(
    p: Array, g: Array, m: Array, v: Array, *, size_g: float, size_m: float, shrink: float, correction: float,
    beta1: float, beta2: float, eps: float, weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """torch's NAdam on p, m and v, in place; the sizes of its two steps are given (Dozat 2016).

    g += weight_decay p;  p *= shrink;  m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;
    p -= (size_g g + size_m m) / (sqrt(v / correction) + eps)
    """
    numbers = (size_g, size_m, shrink, correction, 1 - beta1, beta2, 1 - beta2, eps, weight_decay)
    _in_place("nadam", p, g, (m, v), *map(float, numbers), maximize)


def adamax_step(
    p: Array, g: Array, m: Array, u: Array, *, step: int, lr: float, beta1: float, beta2: float, eps: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """torch's Adamax on p, m and u, in place; `step` counts from 1 (Kingma and Ba 2015, algorithm 2).

    g += weight_decay p;  m += (1 - beta1)(g - m);  u = max(beta2 u, |g| + eps);  p -= lr/(1 - beta1^step) m / u
    """
    numbers = (lr / (1 - beta1**step), 1 - beta1, beta2, eps, weight_decay)
    _in_place("adamax", p, g, (m, u), *map(float, numbers), maximize)


def rmsprop_step(
    p: Array, g: Array, v: Array, mean: Array, buf: Array, *, lr: float, alpha: float, eps: float, weight_decay: float,
    momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """torch's RMSprop on p, v, mean (None if not centered) and buf (None without momentum), in place.

    g += weight_decay p;  v = alpha v + (1 - alpha) g^2;  mean += (1 - alpha)(g - mean);
    d = g / (sqrt(v - mean^2) + eps);  buf = momentum buf + d;  p -= lr buf   (Hinton's lecture 6e; Graves 2013)
    """
    numbers = (lr, alpha, 1 - alpha, eps, weight_decay, momentum)
    _in_place("rmsprop", p, g, (v, mean, buf), *map(float, numbers), maximize)


def adagrad_step(
    p: Array, g: Array, total: Array, *, lr: float, eps: float, weight_decay: float, maximize: bool
) -> None:
    """torch's Adagrad on p and total, in place: g += weight_decay p;  total += g^2;  p -= lr g / (sqrt(total) + eps)
    (Duchi, Hazan and Singer 2011)."""
    _in_place("adagrad", p, g, (total,), float(lr), float(eps), float(weight_decay), maximize)


def adadelta_step(
    p: Array,
    g: Array,
    v: Array,
    delta: Array,
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """torch's Adadelta on p, v and delta, in place (Zeiler 2012).

    g += weight_decay p;  v = rho v + (1 - rho) g^2;  d = sqrt(delta + eps) / sqrt(v + eps) g;
    delta = rho delta + (1 - rho) d^2;  p -= lr d
    """
    _in_place("adadelta", p, g, (v, delta), *map(float, (lr, rho, 1 - rho, eps, weight_decay)), maximize)
