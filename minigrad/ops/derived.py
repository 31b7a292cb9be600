"""Functions that are made of other ops: differences, distances, window views, and torch's smaller element-wise names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.backends import Array
from minigrad.op import Op, in_float32
from minigrad.ops.arithmetic import abs as absolute
from minigrad.ops.choice import clamp, where
from minigrad.ops.common import axis, floating
from minigrad.ops.creation import arange, rand_like
from minigrad.ops.exponential import exp, log
from minigrad.ops.norm import vector_norm
from minigrad.ops.public import offer
from minigrad.ops.scattering import scatter, scatter_add
from minigrad.ops.shape import cat
from minigrad.ops.trigonometric import sin
from minigrad.tensor import Tensor


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """x[i + 1] - x[i] along an axis, n times over; prepend and append are joined to the input first."""
    if input.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    d = axis(dim, input.ndim)
    x = cat([p for p in (prepend, input, append) if p is not None], d)
    for _ in range(min(n, x.shape[d])):
        after, before = x.narrow(d, 1, x.shape[d] - 1), x.narrow(d, 0, x.shape[d] - 1)
        x = after != before if x.dtype == np.bool_ else after - before
    return x


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Slices of `size` along an axis, every `step`: a new last axis holds each slice. A copy, where torch gives a view.

    x (..., L, ...) -> (..., floor((L - size) / step) + 1, ..., size).
    """
    d = axis(dimension, input.ndim)
    length = input.shape[d] if input.ndim else 1
    if size > length or size < 0:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    count = (length - size) // step + 1
    places = arange(count, device=input.device).unsqueeze(1) * step + arange(size, device=input.device)
    flat = (input if input.ndim else input.reshape(1)).index_select(d, places.reshape(-1))
    return flat.unflatten(d, (count, size)).movedim(d + 1, -1)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """The input with each slice along an axis whose p-norm is above maxnorm scaled down to maxnorm."""
    d = axis(dim, input.ndim)
    others = [k for k in range(input.ndim) if k != d]
    norms = vector_norm(input, p, others, True)
    return input * where(norms > maxnorm, maxnorm / (norms + 1e-7), norms.new_ones(()))


@in_float32
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norm of x1[..., i, :] - x2[..., j, :]: x1 (..., P, M), x2 (..., R, M), result (..., P, R)."""
    return vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


def dist(input: Tensor, other: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm of the difference."""
    return vector_norm(input - other, p)


class ErfInv(Op):
    """y with erf(y) = x;  gx = gy sqrt(pi)/2 exp(y^2).

    M. Giles, Approximating the erfinv function (2010), and two steps of Newton's method with the erf of the backend.
    """

    saves_output = True
    widens = True

    def forward(self, x: Array) -> Array:
        backend = backends.of(x)
        xp = backend.xp
        with np.errstate(all="ignore"):
            w = -xp.log((1 - x) * (1 + x))
            near, far = w - 2.5, xp.sqrt(xp.maximum(w, 5)) - 3
            y = x * xp.where(w < 5, _horner(NEAR, near), _horner(FAR, far))
            for _ in range(2):
                error = xp.where(abs(x) < 0.9, backend.erf(y) - x, xp.sign(x) * ((1 - abs(x)) - backend.erfc(abs(y))))
                y = y - error * (math.sqrt(math.pi) / 2) * xp.exp(y * y)
            y = xp.where(abs(x) == 1, xp.copysign(xp.asarray(xp.inf, x.dtype), x), y)
        return xp.where(abs(x) > 1, xp.asarray(xp.nan, x.dtype), y).astype(x.dtype)

    def backward(self, gy: Tensor) -> Tensor:
        y = self.output
        return gy * exp(y * y) * (math.sqrt(math.pi) / 2)


NEAR = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727,
    1.50140941,
)  # fmt: skip
FAR = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406,
    2.83297682,
)  # fmt: skip


def _horner(coefficients: Sequence[float], w: Any) -> Any:
    total: Any = 0.0
    for c in coefficients:
        total = total * w + c
    return total


def erfinv(input: Tensor) -> Tensor:
    """The inverse of erf: y with erf(y) = x, for -1 <= x <= 1; inf at the ends, NaN outside."""
    return ErfInv()(floating(input))


def copysign(input: Tensor, other: Any) -> Tensor:
    """|x| with the sign of other."""
    size = absolute(floating(input))
    if not isinstance(other, Tensor):
        return size if math.copysign(1, other) > 0 else -size
    negative = (other < 0) | ((other == 0) & (1 / other < 0)) if other.is_floating_point() else other < 0
    return where(negative, -size, size)


def sinc(input: Tensor) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    x = floating(input) * math.pi
    safe = where(x == 0, x.new_ones(()), x)
    return where(x == 0, 1 - x * x / 6, sin(safe) / safe)


def deg2rad(input: Tensor) -> Tensor:
    """x pi / 180."""
    return floating(input) * (math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """x 180 / pi."""
    return floating(input) * (180 / math.pi)


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two; of NaN and a number the number."""
    return where((input >= other) | (other != other), input, other)


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two; of NaN and a number the number."""
    return where((input <= other) | (other != other), input, other)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((logits + g) / tau), g drawn from Gumbel(0, 1). hard: its one-hot winner, with the soft one's gradient."""
    uniform = clamp(rand_like(logits), 1e-20, 1 - 1e-7)
    soft = ((logits - log(-log(uniform))) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)
    return soft.new_zeros(soft.shape).scatter(dim, index, 1.0) - soft.detach() + soft


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """scatter with "sum", "mean", "prod", "amax" or "amin" of what meets at a place, with what was there if include_self."""
    if reduce not in ("sum", "mean", "prod", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if reduce in ("sum", "mean"):
        base = input if include_self else scatter(input, dim, index, 0)
        total = scatter_add(base, dim, index, src)
        if reduce == "sum":
            return total
        ones = scatter_add(input.new_zeros(input.shape), dim, index, src.detach() * 0 + 1)
        return total / clamp(ones + (1 if include_self else 0), min=1)
    return _folded(input, dim, index, src, reduce, include_self)


def _folded(x: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    """prod, amax, amin: every place against all that is put there, by a mask (..., places, sources) along the axis."""
    d = axis(dim, x.ndim)
    if not index.numel():
        return x.clone()
    src = src[tuple([slice(0, n) for n in index.shape])]
    part = x[tuple([slice(0, n) if k != d else slice(None) for k, n in enumerate(index.shape)])]
    index, src, part = (t.movedim(d, -1) for t in (index, src, part))
    met = index.unsqueeze(-2) == arange(part.shape[-1], device=x.device).unsqueeze(-1)
    neutral = {"prod": 1.0, "amax": -math.inf, "amin": math.inf}[reduce]
    spread = where(met, src.unsqueeze(-2), src.new_full((), neutral))
    own = part.unsqueeze(-1)
    if not include_self:
        own = where(met.any(-1).unsqueeze(-1), own.new_full((), neutral), own)
    everything = cat([spread, own], -1)
    found = everything.prod(-1) if reduce == "prod" else getattr(everything, reduce)(-1)
    found = found.movedim(-1, d)
    whole = x.clone()
    whole[tuple([slice(0, n) if k != d else slice(None) for k, n in enumerate(found.shape)])] = found
    return whole


offer("minigrad Tensor", copysign, diff, dist, fmax, fmin)
offer("minigrad Tensor Tensor_", scatter_reduce)
offer("minigrad Tensor Tensor_", deg2rad, erfinv, rad2deg, renorm, sinc)
offer("minigrad", cdist)
offer("Tensor", unfold)
offer("nn.functional", gumbel_softmax)
