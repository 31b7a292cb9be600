"""The nearest point of a box on a hyperplane, by the max norm, the 2-norm or the 1-norm: the step of FAB and of DeepFool."""

from __future__ import annotations

from minigrad.tensor import Tensor

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
    """The t of each row, (N, 1), with sum_j a_j min(t, r_j) = c: a, r (N, D) at least 0, c (N,). The largest r where none is.

    The sum grows in t, by a straight line between one limit r and the next: the limits are sorted, and the line is found on
    which c lies.
    """
    limits, order = r.sort(1)
    slopes = a.gather(1, order)
    share = slopes * limits
    full = share.cumsum(1) - share  # what those below the limit give
    rising = slopes.flip(1).cumsum(1).flip(1)  # the slope up to this limit
    line = (full + limits * rising < c.reshape(-1, 1)).sum(1, keepdim=True).clamp(max=r.shape[1] - 1)
    rate = rising.gather(1, line)
    t = (c.reshape(-1, 1) - full.gather(1, line)) / rate.where(rate > 0, 1.0)
    return t.minimum(limits[:, -1:]).where(rate > 0, limits[:, -1:]).clamp(min=0)


def _greedy(size: Tensor, r: Tensor, c: Tensor) -> Tensor:
    """How far each coordinate goes: those of the largest |w| first, as far as they may, until the sum of |w| d is c."""
    sizes, order = size.sort(1, descending=True)
    gains = sizes * r.gather(1, order)
    before = gains.cumsum(1) - gains
    wanted = (c.reshape(-1, 1) - before).clamp(min=0)
    moved = r.gather(1, order).minimum(wanted / sizes.where(sizes > 0, 1.0)) * (sizes > 0)
    return (moved * 0).scatter(1, order, moved)
