"""Trace: the observer that records every op of a thread, forward and backward, as steps that can be looked at afterwards.

It notes, and changes nothing: the program computes what it computes without a trace. Arrays are copied as they are seen, so
that later in-place changes do no harm, and the program's own arrays are freed when they always are.
"""

from __future__ import annotations

import copy
import importlib
import sys
import tempfile
import weakref
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigrad import backends
from minigrad.autograd.graph import held
from minigrad.autograd.observer import recorded
from minigrad.files import write_atomically
from minigrad.op import Op
from minigrad.tensor import Tensor
from minigrad.tracing.beside import Beside, beside
from minigrad.tracing.breaks import Hit, breakpoints, dead_units
from minigrad.tracing.memory import Memory
from minigrad.tracing.page import frame, page
from minigrad.tracing.places import Places
from minigrad.tracing.replay import Change, Check, check, doubled, unfolded
from minigrad.tracing.steps import Node, Recording, Sent, Visit
from minigrad.tracing.terminal import text
from minigrad.tracing.values import Value, summarise

LARGEST_WITHIN = 1 << 20
"""Of the parts of an unfolded node, arrays of more bytes than these are not copied."""


class Trace(Recording):
    """What `mg.trace()` returns. `print(t)`, `t.html(path)`, `t.show()`; `t.nodes`, `t.visits`, `t.leaves` hold it all."""

    def __init__(self, keep: int, inside: bool = False) -> None:
        super().__init__()
        self.checks: dict[int, Check] = {}
        """What `check` has found, by the number of the node."""
        self.besides: Beside | None = None
        """What `beside` has found."""
        self._keep, self._largest, self._inside = keep, keep, inside
        self._places = Places(nowhere=True)
        self._memory = Memory()
        self._running: list[tuple[Op, Node | None]] = []
        self._by_order: dict[int, Node] = {}
        self._by_array: dict[int, tuple[Any, int, Value]] = {}  # a weak reference, the version, what it is
        self._leaf_of: dict[int, tuple[Tensor, Value]] = {}
        self._expected: dict[tuple[int, int], list[Sent]] = {}  # gradients on their way, by (node, output)

    # -- as an observer -----------------------------------------------------------------------------------------------

    def within(self) -> Trace:
        inner = Trace(max(0, self._keep), inside=True)
        inner._largest = LARGEST_WITHIN
        return inner

    def _on(self) -> bool:
        self._places = Places(nowhere=self._inside)
        return super()._on()

    def _off(self, before: bool) -> None:
        super()._off(before)
        self._between_steps()
        self._name_variables()
        for tensor, leaf in self._leaf_of.values():
            leaf.gradient = None if tensor.grad is None else self._value(tensor.grad.array)
        self._running.clear()
        self._places.left()

    def before_forward(self, node: Op, inputs: tuple[Any, ...]) -> None:
        traced = None
        if not self._running:  # else the op is part of another one
            self._between_steps()
            module, line = self._places.here()
            given = [self._given(x) if isinstance(x, Tensor) else x for x in inputs]
            traced = Node(len(self.nodes), node.name(), copy.copy(node), module, line, given)
        self._running.append((node, traced))

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        traced = self._finished(node)
        if traced is None:
            return
        self.nodes.append(traced)
        for i, output in enumerate(outputs):
            value = self._value(output.array, producer=traced.number, output=i)
            traced.outputs.append(value)
            self._remember(output, value)
            self._memory.note(output.array, f"the result of {traced.label}")
        traced.dead = dead_units(traced.name, outputs[0].array) if outputs else None
        if recorded(node, outputs):
            self._by_order[node.order], traced.order = traced, node.order
            traced.edges = [self._edge(edge, x) for edge, x in zip(node.edges, traced.inputs, strict=True)]
            for what, array in held(node):
                traced.saved.append((what, tuple(array.shape), int(array.nbytes)))
                self._memory.note(array, f"{what} of {traced.label}")
        traced.alive = self._memory.alive

    def before_backward(self, node: Op, gradients: list[Tensor | None]) -> None:
        self._between_steps()
        traced = self._by_order.get(node.order) or self._unseen(node)
        begins = not self.visits or traced.order >= self.visits[-1].node.order
        if begins:
            self._expected.clear()
        waiting = {number for number, _ in self._expected} | {traced.number}
        in_turn = sorted(waiting, key=lambda number: -self.nodes[number].order)
        arrived = [self._expected.pop((traced.number, i), []) for i in range(len(gradients))]
        values = [None if g is None else self._value(g.array) for g in gradients]
        self.visits.append(Visit(len(self.visits), traced, begins, in_turn, values, arrived, hooked=bool(node.hooks)))
        for i, value in enumerate(values):
            if value is not None and i < len(traced.outputs):
                traced.outputs[i].gradient = value

    def after_backward(self, node: Op, gradients: list[Tensor | None], results: tuple[Any, ...]) -> None:
        visit = self.visits[-1]
        for i, (edge, result) in enumerate(zip(visit.node.edges, results, strict=False)):
            if edge is None or not isinstance(result, Tensor):
                continue
            to, output = edge if isinstance(edge, tuple) else (edge, 0)
            sent = Sent(visit.number, i, to, output, self._value(result.array))
            visit.sent.append(sent)
            if isinstance(to, int):
                self._expected.setdefault((to, output), []).append(sent)
            self._memory.note(result.array, f"the gradient of input {i} of {visit.node.label}")
        visit.alive = self._memory.alive

    def failed_backward(self, node: Op, error: Exception) -> None:
        self.visits[-1].error = f"{type(error).__name__}: {error}"

    # -- what the steps are made of -----------------------------------------------------------------------------------

    def _finished(self, node: Op) -> Node | None:
        while self._running:
            running, traced = self._running.pop()
            if running is node:  # those above it raised an error
                return traced
        return None

    def _between_steps(self) -> None:
        """What has been freed since the last step was freed by it."""
        freed = [held for held in self._memory.freed() if held.nbytes]
        if self.visits:
            self.visits[-1].freed += freed
            self.visits[-1].after = self._memory.alive
        elif self.nodes:
            self.nodes[-1].freed += freed

    def _unseen(self, node: Op) -> Node:
        """The node of an op that ran before the trace, or within a backward pass; those behind it are noted, too."""
        behind, stack = [], [node]
        while stack:
            unseen = stack.pop()
            if unseen.order not in self._by_order:
                traced = Node(
                    len(self.nodes), unseen.name(), unseen, "", "", [None] * len(unseen.edges), order=unseen.order
                )
                self.nodes.append(traced)
                self._by_order[unseen.order] = traced
                behind.append(unseen)
                stack.extend(edge[0] for edge in unseen.edges if type(edge) is tuple)
        for unseen in behind:
            self._by_order[unseen.order].edges = [self._edge(edge, None) for edge in unseen.edges]
        return self._by_order[node.order]

    def _edge(self, edge: Any, given: Any) -> tuple[int, int] | Value | None:
        if edge is None:
            return None
        if isinstance(edge, Tensor):
            return self._leaf(edge, given)
        node, output = edge
        return (self._by_order.get(node.order) or self._unseen(node)).number, output

    def _leaf(self, x: Tensor, given: Any) -> Value:
        if id(x) not in self._leaf_of:
            value = given if isinstance(given, Value) else self._given(x)
            value.leaf = True
            self._leaf_of[id(x)] = x, value
            self.leaves.append(value)
        return self._leaf_of[id(x)][1]

    def _given(self, x: Tensor) -> Value:
        """What an op is given: a value that is known, or a new one that comes from outside."""
        found = self._by_array.get(id(x.array))
        if found is not None and found[0]() is x.array and found[1] == x.version:
            return found[2]
        node = x._node
        made_by = self._by_order.get(node.order) if node is not None and hasattr(node, "order") else None
        if made_by is not None and x._index < len(made_by.outputs):
            value = made_by.outputs[x._index]
            if value.shape == tuple(x.array.shape):
                self._remember(x, value)
                return value
        value = self._value(x.array, label=self._places.name_of(x))
        self._memory.forget(x.array)
        self._remember(x, value)
        return value

    def _remember(self, x: Tensor, value: Value) -> None:
        array = x.array
        try:
            reference: Any = weakref.ref(array)
        except TypeError:
            reference = lambda: array  # noqa: E731 - an array library without weak references
        self._by_array[id(array)] = reference, x.version, value
        value.label = value.label or x.name or ""

    def _value(self, array: Any, **known: Any) -> Value:
        """A copy of an array, while there is memory for it, and its summary."""
        kept = None
        if array.nbytes <= min(self._keep, self._largest):
            self._keep -= array.nbytes
            kept = backends.of(array).xp.array(array, copy=True, order="K")
        return Value(summarise(array), kept, **known)

    def _name_variables(self) -> None:
        """Results that the user's variables hold are called by these."""
        for name, x in self._places.variables().items():
            if isinstance(x, Tensor) and (found := self._by_array.get(id(x.array))) and found[0]() is x.array:
                found[2].label = found[2].label or x.name or name

    # -- looking at it ------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return text(self, self.besides)

    def html(self, path: str | Path, title: str = "Backpropagation, step by step", unfold: bool = True) -> None:
        """Writes the trace as one page for a browser, which needs nothing else.

        unfold=False leaves the definitions of fused nodes out, for which these run again. WriteError if it cannot be written.
        """
        write_atomically(Path(path), self._page(title, unfold).encode())

    def show(self, title: str = "Backpropagation, step by step") -> None:
        """Shows the page: in a notebook below the cell, elsewhere in the browser."""
        if _in_notebook():
            display = importlib.import_module("IPython.display")
            display.display(display.HTML(frame(self._page(title))))
            return
        folder = Path(tempfile.mkdtemp(prefix="minigrad-trace-"))
        self.html(folder / "trace.html", title)
        webbrowser.open((folder / "trace.html").as_uri())

    def _repr_html_(self) -> str:
        return frame(self._page("Backpropagation, step by step"))

    def _page(self, title: str, unfold: bool = True) -> str:
        return page(self, title, unfold, self.checks, self.besides)

    # -- running parts of it again ------------------------------------------------------------------------------------

    def check(self, node: Node | int | str) -> Check:
        """A node's gradients beside finite differences, in float64, and the gradient doctor's verdict on its op.

        Through the op alone with respect to each input, at the element of the largest gradient; then the loss with respect to
        the op's result, for which all that follows is run again. The page shows the checks that were made before it.
        """
        found = self.node(node)
        self.checks[found.number] = check(self, found)
        return self.checks[found.number]

    def doubled(self, node: Node | int | str, factor: float = 2.0) -> list[Change]:
        """What becomes of each leaf's gradient if that which came in at the node were multiplied."""
        return doubled(self, self.node(node), factor)

    def unfolded(self, node: Node | int | str) -> Trace:
        """The trace of a fused node's definition in primitives, forward and backward, on the same numbers."""
        return unfolded(self, self.node(node))

    def beside(self, model: Any, step: Callable[[], Any], tolerance: float | None = None) -> Beside:
        """The same step in PyTorch: every layer's result and gradient, and every parameter's, in the next column of the page.

        model: of PyTorch, its modules and parameters named as those of the trace. step: runs its forward and backward pass.
        tolerance: of the largest element; None: 1e-9 in float64, 1e-4 in float32. ValueError if no name is in both.
        """
        self.besides = beside(self, model, step, tolerance)
        return self.besides

    def breakpoints(
        self,
        nan: bool = True,
        zero: bool = True,
        norm: float | None = None,
        dead: float | None = None,
        module: str | None = None,
    ) -> list[Hit]:
        """The steps at which one of these holds: see `tracing.breaks.breakpoints`."""
        return breakpoints(self, nan, zero, norm, dead, module)


def _in_notebook() -> bool:
    """Whether this code runs in a kernel, whose front end shows HTML."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
