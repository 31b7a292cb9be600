"""Optimizer steps in place, block by block: one sweep through memory, and no temporary larger than a block.

Formulas and their order are torch's (torch.optim, the loop over single tensors).
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.backends.cpu.layout import in_blocks
from minigrad.backends.cpu.threads import scratch

__all__ = ["adamw_step", "sgd_step"]


def sgd_step(
    p: np.ndarray,
    g: np.ndarray,
    buf: np.ndarray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> None:
    """g' = +-g + weight_decay p;  buf = momentum buf + (1 - dampening) g', on the `first` step g';
    p -= lr (buf, or g' + momentum buf for Nesterov, or g' without momentum).

    p, g, buf of one shape; p and buf change in place; maximize: -g. buf is None without momentum.
    """

    def body(p: np.ndarray, g: np.ndarray, buf: np.ndarray | None = None) -> None:
        step, product = scratch("step", p.shape, p.dtype), scratch("product", p.shape, p.dtype)
        np.negative(g, out=step) if maximize else np.copyto(step, g)
        if weight_decay:
            step += np.multiply(p, weight_decay, out=product)
        if buf is not None:
            if first:
                buf[...] = step
            else:
                buf *= momentum
                buf += np.multiply(step, 1 - dampening, out=product)
            if nesterov:
                step += np.multiply(buf, momentum, out=product)
            else:
                step[...] = buf
        step *= lr
        p -= step

    in_blocks(body, p, g, *([] if buf is None else [buf]))


def adamw_step(
    p: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    vmax: np.ndarray | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """p *= 1 - lr weight_decay;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  vmax = max(vmax, v);
    p -= lr / (1 - beta1^step) m / (sqrt(v or vmax) / sqrt(1 - beta2^step) + eps).

    step counts from 1; p, m, v, vmax change in place; vmax is None without amsgrad; maximize: -g. Loshchilov and
    Hutter 2019, algorithm 2; amsgrad from Reddi et al. 2018.
    """
    size = lr / (1 - beta1**step)
    correction = math.sqrt(1 - beta2**step)

    def body(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, vmax: np.ndarray | None = None) -> None:
        gradient, work = scratch("step", p.shape, p.dtype), scratch("product", p.shape, p.dtype)
        np.negative(g, out=gradient) if maximize else np.copyto(gradient, g)
        p *= 1 - lr * weight_decay
        np.subtract(gradient, m, out=work)
        if 1 - beta1 < 0.5:  # both forms are m + (1 - beta1) (g - m); torch's lerp takes the one nearer its end
            work *= 1 - beta1
            m += work
        else:
            work *= beta1
            np.subtract(gradient, work, out=m)
        v *= beta2
        np.multiply(gradient, 1 - beta2, out=work)
        work *= gradient
        v += work
        largest = v if vmax is None else np.maximum(vmax, v, out=vmax)
        np.sqrt(largest, out=work)
        work /= correction
        work += eps
        np.multiply(m, -size, out=gradient)
        gradient /= work
        p += gradient

    in_blocks(body, p, g, m, v, *([] if vmax is None else [vmax]))
