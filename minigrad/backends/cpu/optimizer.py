"""Optimizer steps in place, block by block: one sweep through memory, and no temporary larger than a block.

Formulas and their order are torch's (torch.optim, the loop over single tensors).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from minigrad.backends.cpu.layout import in_blocks
from minigrad.backends.cpu.threads import scratch

__all__ = [
    "adadelta_step", "adagrad_step", "adamax_step", "adamw_step", "clip", "nadam_step", "norm", "rmsprop_step", "sgd_step",
    "together",
]  # fmt: skip

# Each step's body runs on one block of its arrays. Quotients of 0 and 0, or roots below 0, give NaN and no warning.
silent = np.errstate(divide="ignore", invalid="ignore", over="ignore")


def _gradient(p: np.ndarray, g: np.ndarray, weight_decay: float, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
    """(g, or -g, plus weight_decay p; memory for a product): two scratch blocks."""
    gradient, product = scratch("step", p.shape, p.dtype), scratch("product", p.shape, p.dtype)
    np.negative(g, out=gradient) if maximize else np.copyto(gradient, g)
    if weight_decay:
        gradient += np.multiply(p, weight_decay, out=product)
    return gradient, product


def _follow(mean: np.ndarray, value: np.ndarray, share: float, work: np.ndarray) -> None:
    """mean += share (value - mean), from the end that is nearer: torch's lerp."""
    np.subtract(value, mean, out=work)
    if share < 0.5:
        work *= share
        mean += work
    else:
        work *= 1 - share
        np.subtract(value, work, out=mean)


def _follow_square(mean: np.ndarray, value: np.ndarray, keep: float, work: np.ndarray) -> None:
    """mean = keep mean + (1 - keep) value^2."""
    mean *= keep
    np.multiply(value, 1 - keep, out=work)
    work *= value
    mean += work


def together() -> AbstractContextManager[None]:
    """Within it steps may be put off: here none is."""
    return nullcontext()


def norm(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The 2-norm of all arrays as one vector, 0-d: that of their norms."""
    squares = np.stack([np.sqrt(np.sum(x * x)) for x in arrays])
    return np.asarray(np.sqrt(np.sum(squares * squares)))


def clip(arrays: Sequence[np.ndarray], total: np.ndarray, *, largest: float) -> None:
    """The arrays times min(1, largest / (total + 1e-6)), in place."""
    factor = np.minimum(largest / (total + 1e-6), 1.0)
    with np.errstate(invalid="ignore"):  # an infinite norm makes NaN of infinite gradients, as in torch
        for x in arrays:
            x *= factor.astype(x.dtype)


def sgd_step(
    p: np.ndarray, g: np.ndarray, buf: np.ndarray | None, *, lr: float, momentum: float, dampening: float,
    weight_decay: float, nesterov: bool, maximize: bool, first: bool,
) -> None:  # fmt: skip
    """g' = +-g + weight_decay p;  buf = momentum buf + (1 - dampening) g', on the `first` step g';
    p -= lr (buf, or g' + momentum buf for Nesterov, or g' without momentum).

    p, g, buf of one shape; p and buf change in place; maximize: -g. buf is None without momentum.
    """

    def body(p: np.ndarray, g: np.ndarray, buf: np.ndarray | None = None) -> None:
        step, product = _gradient(p, g, weight_decay, maximize)
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
    p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, vmax: np.ndarray | None, *, step: int, lr: float,
    beta1: float, beta2: float, eps: float, weight_decay: float, maximize: bool, decoupled: bool = True,
) -> None:  # fmt: skip
    """p *= 1 - lr weight_decay;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  vmax = max(vmax, v);
    p -= lr / (1 - beta1^step) m / (sqrt(v or vmax) / sqrt(1 - beta2^step) + eps).

    Not decoupled (Adam): g += weight_decay p in the place of the first. step counts from 1; p, m, v, vmax change in
    place; vmax is None without amsgrad; maximize: -g. Loshchilov and Hutter 2019, algorithm 2; amsgrad from Reddi et
    al. 2018.
    """
    size = lr / (1 - beta1**step)
    correction = math.sqrt(1 - beta2**step)

    @silent
    def body(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, vmax: np.ndarray | None = None) -> None:
        gradient, work = _gradient(p, g, 0 if decoupled else weight_decay, maximize)
        if decoupled:
            p *= 1 - lr * weight_decay
        _follow(m, gradient, 1 - beta1, work)
        _follow_square(v, gradient, beta2, work)
        largest = v if vmax is None else np.maximum(vmax, v, out=vmax)
        np.sqrt(largest, out=work)
        work /= correction
        work += eps
        np.multiply(m, -size, out=gradient)
        gradient /= work
        p += gradient

    in_blocks(body, p, g, m, v, *([] if vmax is None else [vmax]))


def nadam_step(
    p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, *, size_g: float, size_m: float, shrink: float,
    correction: float, beta1: float, beta2: float, eps: float, weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """p *= shrink;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;
    p -= (size_g g + size_m m) / (sqrt(v / correction) + eps), with g += weight_decay p before all.

    p, m, v change in place; maximize: -g. Dozat 2016, algorithm 8.
    """

    @silent
    def body(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
        gradient, work = _gradient(p, g, weight_decay, maximize)
        root = scratch("root", p.shape, p.dtype)
        p *= shrink
        _follow(m, gradient, 1 - beta1, work)
        _follow_square(v, gradient, beta2, work)
        np.sqrt(np.divide(v, correction, out=root), out=root)
        root += eps
        for array, size in ((gradient, size_g), (m, size_m)):
            np.multiply(array, size, out=work)
            work /= root
            p -= work

    in_blocks(body, p, g, m, v)


def adamax_step(
    p: np.ndarray, g: np.ndarray, m: np.ndarray, u: np.ndarray, *, step: int, lr: float, beta1: float, beta2: float,
    eps: float, weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """m += (1 - beta1) (g - m);  u = max(beta2 u, |g| + eps);  p -= lr / (1 - beta1^step) m / u, with
    g += weight_decay p before all.

    step counts from 1; p, m, u change in place; maximize: -g. Kingma and Ba 2015, algorithm 2.
    """
    size = lr / (1 - beta1**step)

    @silent
    def body(p: np.ndarray, g: np.ndarray, m: np.ndarray, u: np.ndarray) -> None:
        gradient, work = _gradient(p, g, weight_decay, maximize)
        _follow(m, gradient, 1 - beta1, work)
        np.abs(gradient, out=gradient)
        gradient += eps
        u *= beta2
        np.maximum(u, gradient, out=u)
        np.multiply(m, size, out=work)
        work /= u
        p -= work

    in_blocks(body, p, g, m, u)


def rmsprop_step(
    p: np.ndarray, g: np.ndarray, v: np.ndarray, mean: np.ndarray | None, buf: np.ndarray | None, *, lr: float,
    alpha: float, eps: float, weight_decay: float, momentum: float, maximize: bool,
) -> None:  # fmt: skip
    """v = alpha v + (1 - alpha) g^2;  mean += (1 - alpha) (g - mean);  d = g / (sqrt(v - mean^2) + eps);
    buf = momentum buf + d;  p -= lr buf, with g += weight_decay p before all.

    mean is None if not centered (v alone is under the root), buf without momentum (p -= lr d). p, v, mean and buf
    change in place; maximize: -g. Hinton's lecture 6e; centered: Graves 2013, arXiv:1308.0850, eq. 38 to 41.
    """

    @silent
    def body(p: np.ndarray, g: np.ndarray, v: np.ndarray, *others: np.ndarray) -> None:
        gradient, work = _gradient(p, g, weight_decay, maximize)
        _follow_square(v, gradient, alpha, work)
        if mean is None:
            np.sqrt(v, out=work)
        else:
            _follow(others[0], gradient, 1 - alpha, work)
            np.multiply(others[0], others[0], out=work)
            np.sqrt(np.subtract(v, work, out=work), out=work)
        work += eps
        gradient /= work
        if buf is not None:
            others[-1][...] *= momentum
            others[-1][...] += gradient
            gradient[...] = others[-1]
        gradient *= lr
        p -= gradient

    in_blocks(body, p, g, v, *(a for a in (mean, buf) if a is not None))


def adagrad_step(
    p: np.ndarray, g: np.ndarray, total: np.ndarray, *, lr: float, eps: float, weight_decay: float, maximize: bool
) -> None:
    """total += g^2;  p -= lr g / (sqrt(total) + eps), with g += weight_decay p before all.

    p and total change in place; maximize: -g. Duchi, Hazan and Singer 2011.
    """

    @silent
    def body(p: np.ndarray, g: np.ndarray, total: np.ndarray) -> None:
        gradient, work = _gradient(p, g, weight_decay, maximize)
        total += np.multiply(gradient, gradient, out=work)
        np.sqrt(total, out=work)
        work += eps
        gradient *= lr
        gradient /= work
        p -= gradient

    in_blocks(body, p, g, total)


def adadelta_step(
    p: np.ndarray, g: np.ndarray, v: np.ndarray, delta: np.ndarray, *, lr: float, rho: float, eps: float,
    weight_decay: float, maximize: bool,
) -> None:  # fmt: skip
    """v = rho v + (1 - rho) g^2;  d = sqrt(delta + eps) / sqrt(v + eps) g;  delta = rho delta + (1 - rho) d^2;
    p -= lr d, with g += weight_decay p before all.

    p, v and delta change in place; maximize: -g. Zeiler 2012, arXiv:1212.5701, algorithm 1.
    """

    @silent
    def body(p: np.ndarray, g: np.ndarray, v: np.ndarray, delta: np.ndarray) -> None:
        gradient, work = _gradient(p, g, weight_decay, maximize)
        root = scratch("root", p.shape, p.dtype)
        _follow_square(v, gradient, rho, work)
        np.sqrt(np.add(v, eps, out=work), out=work)
        np.sqrt(np.add(delta, eps, out=root), out=root)
        root /= work
        gradient *= root
        _follow_square(delta, gradient, rho, work)
        gradient *= lr
        p -= gradient

    in_blocks(body, p, g, v, delta)
