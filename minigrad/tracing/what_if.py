"""For every step of a backward pass: which leaves' gradients would change if the gradient that came in were doubled.

Backward is linear in it. So a leaf that gradients reach through that node alone gets exactly twice its gradient, and one that
the node does not lead to keeps it; between the two, the part that comes by the node is sent back again, and measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from minigrad.autograd.observer import only_observers
from minigrad.grad_mode import enable_grad
from minigrad.tracing.replay import Change, Graph, NotKept, change
from minigrad.tracing.steps import Recording, Visit
from minigrad.tracing.values import Value

MOST_ELEMENTS = 20_000_000
"""Parts are measured as long as no more elements than these (of all results) have to be gone through, node after node."""


@dataclass
class Doubling:
    """What would become of the leaves."""

    twice: list[Value] = field(default_factory=list)
    partly: list[Value] = field(default_factory=list)
    """More than nothing, less than twice, not measured."""
    changes: list[Change] = field(default_factory=list)
    """Of those that get a part more: measured."""

    def data(self, trace: Recording) -> dict[str, Any]:
        """For the page."""
        number = {id(leaf): i for i, leaf in enumerate(trace.leaves)}
        return {
            "twice": [number[id(leaf)] for leaf in self.twice],
            "partly": [number[id(leaf)] for leaf in self.partly],
            "changes": [
                {"leaf": number[id(c.leaf)], "before": float(f"{c.before:.6g}"), "after": float(f"{c.after:.6g}"),
                 "cosine": float(f"{c.cosine:.6g}")} for c in self.changes
            ],
        }  # fmt: skip


def doublings(trace: Recording) -> dict[int, Doubling]:
    """{number of a visit: what doubling its gradient would do}, of the last pass."""
    if not trace.visits:
        return {}
    last = trace.pass_of(trace.visits[-1])
    found = {visit.number: _by_the_graph(last, visit) for visit in last}
    unsure = [visit for visit in last if found[visit.number].partly]
    elements = sum(y.summary.size for visit in last for y in visit.node.outputs)
    if unsure and elements * len(unsure) <= MOST_ELEMENTS:
        try:
            _measure(trace, unsure, found)
        except NotKept:
            pass
    return found


def _by_the_graph(visits: list[Visit], doubled: Visit) -> Doubling:
    """From the graph alone: which leaves are reached through the node, and which also past it."""
    through, past = {doubled.node.number}, {v.node.number for v in visits if v.started}
    leaves: tuple[list[Value], list[Value]] = [], []
    for visit in visits:
        for reached, found in ((through, leaves[0]), (past, leaves[1])):
            if visit.node.number not in reached or (reached is past and visit is doubled):
                continue
            for sent in visit.sent:
                if isinstance(sent.to, Value):
                    found.append(sent.to)
                else:
                    reached.add(sent.to)
    also = {id(leaf) for leaf in leaves[1]}
    ours = list({id(leaf): leaf for leaf in leaves[0]}.values())
    return Doubling([leaf for leaf in ours if id(leaf) not in also], [leaf for leaf in ours if id(leaf) in also])


def _measure(trace: Recording, unsure: list[Visit], found: dict[int, Doubling]) -> None:
    with only_observers(), enable_grad():
        wanted = sorted({node.number for visit in unsure for node in trace.before(visit.node)})
        graph = Graph(trace, [trace.nodes[number] for number in wanted])
        for visit in unsure:
            doubling = found[visit.number]
            partly = {id(leaf) for leaf in doubling.partly}
            parts = [(leaf, part) for leaf, part in graph.parts(visit.node, visit) if id(leaf) in partly]
            doubling.changes = [change(trace, leaf, part, 2.0) for leaf, part in parts]
            doubling.partly = []
