"""The steps of a trace.

Forward, a `Node` is one op: what it was given, what it gave, what it saved. Backward, a `Visit` is one turn of the engine's
loop: which nodes were waiting, the gradients that came in and from whom, the gradients that went out and to whom.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from minigrad.autograd.observer import Observer
from minigrad.op import Op
from minigrad.tracing.memory import Held
from minigrad.tracing.values import Value

Self = TypeVar("Self", bound="Recording")


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
    dead: float | None = None
    """Of a ReLU, the share of units that give 0 for the whole batch."""

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
    hooked: bool = False
    """Whether the node has hooks, which may have replaced what came in."""
    error: str = ""
    alive: int = 0
    """Bytes alive when its gradients were made, before anything was freed."""
    after: int = 0
    """Bytes alive when the next step began."""
    freed: list[Held] = field(default_factory=list)

    @property
    def started(self) -> list[int]:
        """The outputs whose gradient no other node sent: where the backward pass was begun."""
        return [i for i, (g, a) in enumerate(zip(self.gradients, self.arrived, strict=True)) if g is not None and not a]


class Recording(Observer):
    """The steps that were recorded, and how to find one. What is made of them (text, page, checks) names this class alone."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.visits: list[Visit] = []
        self.leaves: list[Value] = []
        """What gradients ended in, by the first use."""

    def within(self: Self) -> Self:
        """An empty recording, for what one of the nodes is made of."""
        raise NotImplementedError

    def node(self, which: Node | int | str) -> Node:
        """A node by its number, by its module's name (its last op), or by its label, "Linear #3". ValueError if there is none."""
        if isinstance(which, Node):
            return which
        found = [n for n in self.nodes if which in (n.number, n.module, n.label)]
        if not found:
            raise ValueError(f"no node is called {which!r}: there are {', '.join(n.label for n in self.nodes)}")
        return found[-1]

    def visit(self, node: Node | int | str) -> Visit | None:
        """The last step of the backward pass that ran a node's backward; None if it was not run."""
        wanted = self.node(node)
        return next((visit for visit in reversed(self.visits) if visit.node is wanted), None)

    def pass_of(self, visit: Visit) -> list[Visit]:
        """All steps of the backward pass that a step belongs to."""
        first = max(v.number for v in self.visits[: visit.number + 1] if v.begins)
        rest = self.visits[first + 1 :]
        end = next((v.number for v in rest if v.begins), len(self.visits))
        return self.visits[first:end]

    def before(self, node: Node) -> list[Node]:
        """The nodes that a node's result was computed by, itself included, in the order in which they ran."""
        found, stack = {node.number}, [node]
        while stack:
            for edge in stack.pop().edges:
                if isinstance(edge, tuple) and edge[0] not in found:
                    found.add(edge[0])
                    stack.append(self.nodes[edge[0]])
        return [self.nodes[number] for number in sorted(found)]

    def after(self, node: Node) -> list[Node]:
        """The nodes that were computed from a node's result, without itself, in the order in which they ran."""
        found = {node.number}
        for later in self.nodes[node.number + 1 :]:
            if any(isinstance(edge, tuple) and edge[0] in found for edge in later.edges):
                found.add(later.number)
        return [self.nodes[number] for number in sorted(found - {node.number})]
