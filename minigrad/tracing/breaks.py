"""Breakpoints: at which steps of a trace something is worth a look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from minigrad import backends
from minigrad.tracing.steps import Node, Recording, Visit
from minigrad.tracing.values import Value
from minigrad.tracing.words import number


@dataclass(frozen=True)
class Hit:
    """A step at which a breakpoint holds."""

    phase: str
    """"forward" or "backward"."""
    step: int
    """The number of the node, or of the visit."""
    where: str
    """The node."""
    why: str

    def __str__(self) -> str:
        return f"{self.phase} {self.step}, {self.where}: {self.why}"


def dead_units(name: str, array: Any) -> float | None:
    """The share of a ReLU's units (places along axis 1) that are 0 for the whole batch; None for other ops."""
    if "relu" not in name.lower() or array.ndim < 2 or not array.size:
        return None
    axes = tuple(d for d in range(array.ndim) if d != 1)
    alive = backends.of(array).xp.any(array != 0, axis=axes)
    return 1.0 - float(alive.mean())


def breakpoints(
    trace: Recording,
    nan: bool = True,
    zero: bool = True,
    norm: float | None = None,
    dead: float | None = None,
    module: str | None = None,
) -> list[Hit]:
    """The steps, in their order, at which one of these holds.

    nan: a result or gradient has NaN or infinities. zero: a gradient is all zero. norm: a gradient's norm is above it.
    dead: at least that share of a ReLU's units gives 0 for the whole batch. module: the step is of that module, or below it.
    """
    hits = []
    for node in trace.nodes:
        found = [*_not_finite(nan, node.outputs), *_dead(node, dead), *_of_module(node, module)]
        hits += [Hit("forward", node.number, node.label, why) for why in found]
    for visit in trace.visits:
        found = [*_gradients(visit, nan, zero, norm), *_of_module(visit.node, module)]
        hits += [Hit("backward", visit.number, visit.node.label, why) for why in found]
    return hits


def _not_finite(wanted: bool, values: list[Value]) -> Iterator[str]:
    for value in values if wanted else ():
        if value.summary.nans or value.summary.infinities:
            yield f"{value.summary.nans} NaN and {value.summary.infinities} infinities of {value.summary.size}"


def _dead(node: Node, least: float | None) -> Iterator[str]:
    if least is not None and node.dead is not None and node.dead >= least:
        yield f"{100 * node.dead:.3g} % of the units are dead"


def _of_module(node: Node, module: str | None) -> Iterator[str]:
    if module is not None and (node.module == module or node.module.startswith((f"{module}.", f"{module}-"))):
        yield f"in {node.module}"


def _gradients(visit: Visit, nan: bool, zero: bool, norm: float | None) -> Iterator[str]:
    out = [sent.value for sent in visit.sent]
    yield from _not_finite(nan, [*[g for g in visit.gradients if g is not None], *out])
    for value in out:
        if zero and value.summary.size and value.summary.zeros == 1:
            yield "a gradient that goes out is all zero"
        if norm is not None and value.summary.norm > norm:
            yield f"a gradient that goes out has the norm {number(value.summary.norm)}"
