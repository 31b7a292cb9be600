"""A table of where time, memory and gradients go, an op a line.

with minigrad.autograd.profile() as p:
    loss = model(x).sum()
    loss.backward()
print(p)

with p.phase("update"):  # a part of the step that is no op: an event of its own, and p.phases["update"] seconds
    optimizer.step()
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.arrays import is_array, memory_of
from minigrad.autograd.graph import held
from minigrad.autograd.observer import Observer, recorded
from minigrad.grad_mode import Bare
from minigrad.op import Op
from minigrad.tensor import Tensor


@dataclass
class Row:
    """What one kind of op did."""

    op: str
    calls: int = 0
    forward: float = 0.0
    """Seconds in forward, without the ops that ran inside it."""
    backward_calls: int = 0
    backward: float = 0.0
    """Seconds in backward."""
    made: int = 0
    """Bytes of the results that are no views."""
    saved: int = 0
    """Bytes kept for gradients, each array counted for the first op that keeps it."""
    norm: float = 0.0
    """The largest norm of a gradient that came in: sqrt(sum g^2) over an op's outputs. NaN if one was."""


class _Running(threading.local):
    """The ops that a thread has begun: [node, start, seconds in the ops inside]."""

    def __init__(self) -> None:
        self.stack: list[list[Any]] = []


SORTS = tuple(field.name for field in fields(Row)) + ("total",)


class profile(Bare, Observer):
    """Notes, for every op within it, time, bytes and gradient norms. `print(p)`, `p.table()`, `p.rows`, `p.total()`.

    On a GPU every op is waited for, so that its time is its own: the sum is more than an unwatched run takes. norms=False
    leaves out the gradients' norms, which cost a pass over each gradient. Ops that a backward is made of count as that
    backward; fused ops count as one op, unless `with minigrad.definitions():`.
    """

    def __init__(self, norms: bool = True) -> None:
        self.norms = norms
        self.rows: dict[str, Row] = {}
        self.phases: dict[str, float] = {}
        """Seconds spent in each `with p.phase(name):`."""
        self.events: list[tuple[str, str, float, float]] = []
        """(op, "forward" or "backward", start and end in seconds); of a phase, (name, "phase", start, end)."""
        self._running = _Running()
        self._lock = threading.Lock()  # of the rows: several threads may be within one profile
        self._kept: dict[int, Any] = {}  # arrays already counted, held on to so that their ids stay theirs

    def before_forward(self, node: Op, inputs: tuple[Any, ...]) -> None:
        self._running.stack.append([node, perf_counter(), 0.0])

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        _wait(outputs)
        own = self._finish(node, "forward")
        with self._lock:
            row = self._row(node)
            row.calls += 1
            row.forward += own
            row.made += sum(int(y.array.nbytes) for y in outputs if y._base is None)
            if recorded(node, outputs):
                for _, array in held(node):
                    owner = memory_of(array)
                    if id(owner) not in self._kept:
                        self._kept[id(owner)] = owner
                        row.saved += int(owner.nbytes)

    def before_backward(self, node: Op, gradients: list[Tensor | None]) -> None:
        self._kept.clear()
        if self.norms:
            norm = float(np.sqrt(sum(_square_sum(g) for g in gradients if g is not None)))
            with self._lock:
                row = self._row(node)
                row.norm = norm if np.isnan(norm) else max(row.norm, norm)
        self._running.stack.append([node, perf_counter(), 0.0])

    def after_backward(self, node: Op, gradients: list[Tensor | None], results: tuple[Any, ...]) -> None:
        _wait(results)
        own = self._finish(node, "backward")
        with self._lock:
            row = self._row(node)
            row.backward_calls += 1
            row.backward += own

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A part of a step under a name of its own, with the ops that run in it; works outside of `with profile()`, too.

        Phases may stand in one another, and the same name may come again: its seconds add up. Nothing is waited for: on a
        GPU, end a phase with minigrad.synchronize().
        """
        start = perf_counter()
        try:
            yield
        finally:
            end = perf_counter()
            self.phases[name] = self.phases.get(name, 0.0) + end - start
            self.events.append((name, "phase", start, end))

    def _off(self, before: bool) -> None:
        super()._off(before)
        if not before:
            self._running.stack.clear()
            self._kept.clear()

    def _row(self, node: Op) -> Row:
        return self.rows.setdefault(node.name(), Row(node.name()))

    def _finish(self, node: Op, phase: str) -> float:
        """Seconds since the node was started, without the ops inside it."""
        end = perf_counter()
        running = self._running.stack
        while running:
            started, start, inside = running.pop()
            if started is node:  # those above it raised an error
                self.events.append((node.name(), phase, start, end))
                if running:
                    running[-1][2] += end - start
                return end - start - inside
        return 0.0

    def total(self) -> Row:
        """All ops together."""
        rows = list(self.rows.values())
        sums = {f.name: sum(getattr(row, f.name) for row in rows) for f in fields(Row) if f.name not in ("op", "norm")}
        return Row("total", norm=max([row.norm for row in rows], default=0.0), **sums)

    def table(self, sort_by: str = "total", row_limit: int = 100) -> str:
        """The rows as text, the largest first by "total" (seconds), or by a field of Row."""
        if sort_by not in SORTS:
            raise ValueError(f"sort_by should be one of {', '.join(SORTS)}, got {sort_by!r}")

        def key(row: Row) -> Any:
            return -(row.forward + row.backward) if sort_by == "total" else getattr(row, sort_by)

        rows = sorted(self.rows.values(), key=key, reverse=sort_by not in ("total", "op"))
        width = max([len(row.op) for row in rows] + [5])
        lines = [
            f"{'op':{width}}  {'calls':>6}  {'forward':>10}  {'backward':>10}  {'made':>9}  {'saved':>9}  {'gradient':>9}",
            f"{'':{width}}  {'':>6}  {'ms':>10}  {'ms':>10}  {'MB':>9}  {'MB':>9}  {'norm':>9}",
        ]
        for row in [*rows[:row_limit], self.total()]:
            norm = f"{row.norm:9.3g}" if self.norms and row.backward_calls else " " * 9
            lines.append(
                f"{row.op:{width}}  {row.calls:6d}  {row.forward * 1e3:10.3f}  {row.backward * 1e3:10.3f}  "
                f"{row.made / 1e6:9.3f}  {row.saved / 1e6:9.3f}  {norm}".rstrip()
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str | Path) -> None:
        """Writes ops and phases as a trace that chrome://tracing and ui.perfetto.dev show."""
        thread = threading.get_ident() % 1_000_000
        events = [
            {
                "name": op,
                "cat": phase,
                "ph": "X",
                "ts": start * 1e6,
                "dur": (end - start) * 1e6,
                "pid": os.getpid(),
                "tid": thread,
            }
            for op, phase, start, end in self.events
        ]
        Path(path).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))


def _wait(tensors: Any) -> None:
    """Waits until a GPU has made the tensors."""
    for x in tensors:
        if isinstance(x, Tensor) and x.is_cuda:
            backends.of(x.array).synchronize()
            return


def _square_sum(x: Tensor) -> float:
    array = x.array
    return float((array * array).sum(dtype=np.float64)) if is_array(array) else 0.0
