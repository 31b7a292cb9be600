"""Optimizer steps: one kernel for all parameters, everything in place in one pass; and gradient clipping in two.

A step of one parameter is a row of a table (cuda/optimizer.cu): addresses, length, numbers. Within `together()` rows are
gathered, and launched at its end: an optimizer's whole step is then one copy of some kilobytes to the device and one launch.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..kernels import Array
from .device import xp
from .launch import BLOCK, counters, is_capturing, is_renewing, kernel, max_blocks, on_device
from .layout import is_dense, like


@dataclass
class _Table:
    """Rows for one kernel: their cells, the length of the longest array, what they keep alive, what is copied back after."""

    rows: list[list[int]] = field(default_factory=list)
    longest: int = 0
    held: list[Any] = field(default_factory=list)
    copies: list[tuple[Array, Array]] = field(default_factory=list)

    def launch(self, name: str, dtype: np.dtype, *args: Any) -> None:
        """Run the kernel on all rows, in one launch."""
        grid = _grid(self.longest, len(self.rows))
        table = on_device(np.array(self.rows, np.int64))
        kernel("optimizer", name, dtype).launch(grid, (BLOCK,), table, table.shape[1], *args)
        for given, used in () if is_renewing() else self.copies:
            given[...] = used


def _grid(longest: int, rows: int) -> tuple[int, int]:
    """Blocks along an array, and arrays: enough to fill the GPU by the longest array alone."""
    return max(1, min(-(-longest // BLOCK), max_blocks())), rows


class _Pending(threading.local):
    """The steps of this thread that wait for the end of `together()`, by kernel and type; None outside of it."""

    tables: dict[tuple[str, np.dtype], _Table] | None = None
    moved: set[int]


_pending = _Pending()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Within it, optimizer steps are put off until its end, and made in one launch for each kind."""
    if _pending.tables is not None:
        yield
        return
    _pending.tables, _pending.moved = {}, set()
    try:
        yield
    finally:
        _launch_pending()
        _pending.tables = None


def _launch_pending() -> None:
    if _pending.tables is None:
        return
    tables = _pending.tables
    _pending.tables, _pending.moved = {}, set()
    for (name, dtype), table in tables.items():
        table.launch(name, dtype)


def _words(numbers: Sequence[float]) -> list[int]:
    """The bits of doubles, as the table has them."""
    return np.array(numbers, np.float64).view(np.int64).tolist()


def _in_place(name: str, p: Array, g: Array, states: tuple[Any, ...], *numbers: float) -> None:
    """Run the step on arrays that lie alike: as p does, if p is dense, else on copies that are written back."""
    if p.dtype == np.float16:  # the kernels know float32 and float64
        _in_float32(name, p, g, states, *numbers)
        return
    if not p.size:
        return
    if _pending.tables is not None and p.data.ptr in _pending.moved:  # a parameter that is there twice moves twice
        _launch_pending()
    model = p if is_dense(p) else xp.ascontiguousarray(p)
    arrays = [None if a is None else like(a, model, xp) for a in (p, g, *states)]
    table = _Table() if _pending.tables is None else _pending.tables.setdefault((name, p.dtype), _Table())
    table.rows.append([*(0 if a is None else a.data.ptr for a in arrays), p.size, *_words(numbers)])
    table.longest = max(table.longest, p.size)
    table.held += arrays
    if is_capturing() and any(a is not None and a is not g for a, g in zip(arrays, (p, g, *states), strict=True)):
        raise NotImplementedError(
            "the step of a parameter whose gradient or state lies otherwise in memory cannot be captured"
        )
    given_and_used = zip((p, *states), (arrays[0], *arrays[2:]), strict=True)
    table.copies += [(given, used) for given, used in given_and_used if used is not given]
    if _pending.tables is None:
        table.launch(name, p.dtype)
    else:
        _pending.moved.add(p.data.ptr)


def _in_float32(name: str, p: Array, g: Array, states: tuple[Any, ...], *numbers: float) -> None:
    """The step of a float16 parameter, at once."""
    if is_capturing():
        raise NotImplementedError("the step of a float16 parameter cannot be captured")
    _launch_pending()
    before, _pending.tables = _pending.tables, None
    wide = [None if a is None else a.astype(np.float32) for a in (p, g, *states)]
    _in_place(name, wide[0], wide[1], tuple(wide[2:]), *numbers)
    for given, used in zip((p, *states), (wide[0], *wide[2:]), strict=True):
        if given is not None:
            given[...] = used
    _pending.tables = before


def _gradients_table(arrays: Sequence[Array]) -> _Table:
    table = _Table(held=list(arrays), longest=max(a.size for a in arrays))
    table.rows = [[a.data.ptr, a.size] for a in arrays]
    return table


def norm(arrays: Sequence[Array]) -> Array:
    """The 2-norm of all arrays, float32 or float64 and of one type, as one vector: a 0-d array. Squares are added in double."""
    dense = [a if is_dense(a) else xp.ascontiguousarray(a) for a in arrays]
    table, total = _gradients_table(dense), xp.empty((), arrays[0].dtype)
    grid = _grid(table.longest, len(arrays))
    table.launch("total_norm", total.dtype, xp.empty(math.prod(grid), np.float64), counters(1), total)
    return total


def clip(arrays: Sequence[Array], total: Array, *, largest: float) -> None:
    """The arrays times min(1, largest / (total + 1e-6)), in place."""
    dense = [a if is_dense(a) else xp.ascontiguousarray(a) for a in arrays]
    table = _gradients_table(dense)
    table.copies = [(given, used) for given, used in zip(arrays, dense, strict=True) if used is not given]
    table.launch("clip_to", total.dtype, total, float(largest))


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
