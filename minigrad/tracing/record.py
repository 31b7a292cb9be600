"""Trace: the observer that records every op of a thread, forward and backward, as steps that can be looked at afterwards.

Forward, a `Node` is one op: what it was given, what it gave, what it saved. Backward, a `Visit` is one turn of the engine's
loop: which nodes were waiting, the gradients that came in and from whom, the gradients that went out and to whom.
"""

from __future__ import annotations

import copy
import weakref
from dataclasses import dataclass, field
from typing import Any

from minigrad import backends
from minigrad.autograd.graph import held
from minigrad.autograd.observer import Observer, recorded
from minigrad.op import Op
from minigrad.tensor import Tensor
from minigrad.tracing.memory import Held, Memory
from minigrad.tracing.places import Places
from minigrad.tracing.values import Value, summarise


@dataclass
class Node:
    """One op of the forward pass, in the order in which they ran."""

    number: int
    name: str
    op: Op
    """The op before it ran: its parameters alone. `op.again(*inputs)` runs it anew."""
    module: str
    line: str
    inputs: list[Any]
    """Values; numbers and None as they were given."""
    order: int = -1
    """The engine's number, by which it chooses the next node; -1 for an op that is no part of the graph."""
    outputs: list[Value] = field(default_factory=list)
    edges: list[tuple[int, int] | Value | None] = field(default_factory=list)
    """Of each input where its gradient goes: (node, which output), a leaf, or None where it needs none."""
    saved: list[tuple[str, tuple[int, ...], int]] = field(default_factory=list)
    """(what, shape, bytes) of each array kept for the gradient."""
    alive: int = 0
    """Bytes alive when it had run."""
    freed: list[Held] = field(default_factory=list)

    @property
    def recorded(self) -> bool:
        """Whether it is part of the graph of gradients."""
        return bool(self.edges)

    @property
    def label(self) -> str:
        """As people refer to it: "Conv2d #3"."""
        return f"{self.name} #{self.number}"


@dataclass
class Sent:
    """One gradient that a visit sent on."""

    visit: int
    """The number of the visit that sent it."""
    input: int
    """As the gradient of which input of its node."""
    to: int | Value
    """The number of the node that it goes to, or the leaf."""
    output: int
    """Of that node's outputs, the one that it is the gradient of."""
    value: Value


@dataclass
class Visit:
    """One step of the backward pass: a node's turn."""

    number: int
    node: Node
    begins: bool
    """Whether the pass begins with it."""
    waiting: list[int]
    """The numbers of the nodes that had a gradient and waited, this one among them: the highest was taken."""
    gradients: list[Value | None]
    """What came in, of each output: complete."""
    arrived: list[list[Sent]]
    """Of each output what the gradient is the sum of; nothing where the pass begins."""
    sent: list[Sent] = field(default_factory=list)
    error: str = ""
    alive: int = 0
    """Bytes alive when its gradients were made, before anything was freed."""
    after: int = 0
    """Bytes alive when the next step began."""
    freed: list[Held] = field(default_factory=list)


class Trace(Observer):
    """What `mg.trace()` returns. `print(t)`, `t.html(path)`, `t.show()`; `t.nodes`, `t.visits`, `t.leaves` hold it all."""

    def __init__(self, keep: int) -> None:
        self.nodes: list[Node] = []
        self.visits: list[Visit] = []
        self.leaves: list[Value] = []
        """What gradients ended in, by the first use."""
        self._keep = keep
        self._places = Places()
        self._memory = Memory()
        self._running: list[tuple[Op, Node | None]] = []
        self._by_order: dict[int, Node] = {}
        self._by_array: dict[int, tuple[Any, int, Value]] = {}  # a weak reference, the version, what it is
        self._leaf_of: dict[int, tuple[Tensor, Value]] = {}
        self._expected: dict[tuple[int, int], list[Sent]] = {}  # gradients on their way, by (node, output)

    # -- as an observer -----------------------------------------------------------------------------------------------

    def _on(self) -> bool:
        self._places = Places()
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
        self.visits.append(Visit(len(self.visits), traced, begins, in_turn, values, arrived))
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
        """The node of an op that ran before the trace, or within a backward pass."""
        traced = Node(len(self.nodes), node.name(), node, "", "", [None] * len(node.edges), order=node.order)
        self.nodes.append(traced)
        self._by_order[node.order] = traced
        traced.edges = [self._edge(edge, None) for edge in node.edges]
        return traced

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
        if array.nbytes <= self._keep:
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
        from minigrad.tracing.terminal import text

        return text(self)
