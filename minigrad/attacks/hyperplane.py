"""The nearest point of a box on a hyperplane, by the max norm, the 2-norm or the 1-norm: the step of FAB and of DeepFool."""

from __future__ import annotations

import numpy as np

from minigrad.tensor import Tensor

MOST_STEPS = 100  # of Newton: more than it takes
ROUNDING = 4  # times the eps of the dtype: a step that small is none
FAR = 1e12  # stands for no limit: finite, so that 0 times it is 0


def project_onto(x: Tensor, w: Tensor, b: Tensor, low: Tensor | None, high: Tensor | None, norm: str) -> Tensor:
    """The smallest d by `norm` with w . (x + d) = b and low <= x + d <= high, for each of N points: (N, D).

    Where the box does not reach the plane, d goes as near to it as the box allows. With c = w . x - b and s = -sign(c w), the way
    down, and r how far x may go that way before it meets the box,

        linf:  d = s min(t, r)            sum |w| min(t, r) = |c|
        l2:    d = s |w| min(t, r / |w|)  sum w^2 min(t, r / |w|) = |c|
        l1:    d = s r where |w| is largest, one after the other, until the plane is met

    Args:
        x, w: (N, D). b: (N,). low, high: (N, D), with x between them, or None.

    Source: F. Croce and M. Hein, Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack (2020), 2.2.
    """
    c = (w * x).sum(1) - b
    way = -(w * c.sign().reshape(-1, 1)).sign()
    size = w.abs()
    r = x * 0 + FAR
    if low is not None and high is not None:
        r = (high - x).where(way > 0, x - low).clamp(min=0)
    if norm == "linf":
        return way * r.minimum(level(size, r, c.abs()))
    if norm == "l2":
        limit = (r / size.where(size > 0, 1.0)).where(size > 0, FAR).clamp(max=FAR)
        return way * size * limit.minimum(level(size * size, limit, c.abs()))
    return way * _greedy(size, r, c.abs())


def level(a: Tensor, r: Tensor, c: Tensor) -> Tensor:
    """The t of each row, (N, 1), with sum_j a_j min(t, r_j) = c: a, r (N, D) at least 0, c (N,). Beyond all r_j where none is.

    The sum is concave in t and straight between one limit r_j and the next, so that Newton's steps from 0 never pass the solution,
    and are there as soon as they reach its piece: a few passes over the row, for less than it would cost to sort.
    """
    t, wanted = c.reshape(-1, 1) * 0, c.reshape(-1, 1)
    for _ in range(MOST_STEPS):
        rate = (a * (r > t)).sum(1, keepdim=True)
        missing = (wanted - (a * r.minimum(t)).sum(1, keepdim=True)).clamp(min=0)
        moved = t + (missing / rate.where(rate > 0, 1.0)) * (rate > 0)
        done = bool((moved - t <= ROUNDING * np.finfo(t.dtype).eps * moved).all())
        t = moved
        if done:
            break
    return t


def _greedy(size: Tensor, r: Tensor, c: Tensor) -> Tensor:
    """How far each coordinate goes: those of the largest |w| first, as far as they may, until the sum of |w| d is c."""
    sizes, order = size.sort(1, descending=True)
    gains = sizes * r.gather(1, order)
    before = gains.cumsum(1) - gains
    wanted = (c.reshape(-1, 1) - before).clamp(min=0)
    moved = r.gather(1, order).minimum(wanted / sizes.where(sizes > 0, 1.0)) * (sizes > 0)
    return (moved * 0).scatter(1, order, moved)
