"""The backward pass.

Nodes are numbered as they are made, so a node's consumers have higher numbers than it has. Taking the highest-numbered
waiting node, again and again, visits each node once, and only after all of its consumers: its gradient is then complete.
No recursion, no sorting beforehand; a chain of 100,000 ops is a loop of 100,000 turns.

Where several gradients meet they are added. The engine writes into an array only if it owns it: a sum that it made itself,
or a gradient that its op declares `fresh`. Who else may hold a reference is never asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from minigrad import backends
from minigrad.grad_mode import state
from minigrad.hooks import AFTER, AtCompletion, after_accumulation, after_node, at_completion, before_node, replaced
from minigrad.op import Op
from minigrad.quiet import quiet
from minigrad.tensor import Tensor, describe

Edge = tuple[Op, int] | Tensor | None
"""Where a gradient goes: (node, which of its outputs), or a leaf."""
Observers = tuple[Any, ...]
"""Who watches the ops of this thread (minigrad.autograd.observer)."""


class Arriving:
    """One gradient on its way: the sum of what has arrived so far, and whether its array is the engine's own.

    seen: whether a leaf's hooks have seen it, which they do once it is complete.
    """

    __slots__ = ("own", "seen", "total")

    def __init__(self, total: Tensor, own: bool) -> None:
        self.total, self.own, self.seen = total, own, False

    def add(self, gradient: Tensor, own: bool) -> None:
        """total + gradient: into whichever of the two arrays is the engine's own, else into a new one."""
        total = self.total
        x, y = total.array, gradient.array
        if state.grad or x.shape != y.shape or x.dtype != y.dtype or not (own or self.own):
            self.total, self.own = total + gradient, not state.grad and not state.observers
        elif self.own:
            x += y
        else:
            y += x
            self.total, self.own = gradient, True


class Waiting:
    """The gradients on their way: of nodes, the highest-numbered first, and of leaves, which get theirs at the very end."""

    __slots__ = ("_nodes", "_queue", "leaves")

    def __init__(self) -> None:
        self._nodes: dict[Op, list[Arriving | None]] = {}
        self._queue: list[tuple[int, Op]] = []
        self.leaves: dict[int, tuple[Tensor, Arriving]] = {}

    def send(self, edge: Edge, gradient: Tensor, own: bool) -> None:
        """Adds a gradient to what has come to that place already."""
        if type(edge) is tuple:
            node, i = edge
            places = self._nodes.get(node)
            if places is None:
                places = self._nodes[node] = [None] * node.outputs
                heapq.heappush(self._queue, (-node.order, node))
            arriving = places[i]
            if arriving is None:
                places[i] = Arriving(gradient, own)
                return
        elif id(edge) in self.leaves:
            arriving = self.leaves[id(edge)][1]
        else:
            self.leaves[id(edge)] = edge, Arriving(gradient, own)  # type: ignore[assignment]
            return
        arriving.add(gradient, own)

    def nodes(self) -> Iterator[tuple[Op, list[Tensor | None]]]:
        """Each node when its turn has come, with the gradients of its outputs, complete."""
        while self._queue:
            node = heapq.heappop(self._queue)[1]
            yield node, [None if place is None else place.total for place in self._nodes.pop(node)]


class Expected:
    """How many gradients are still to come to each leaf that has a hook AtCompletion, and how many each node sends there."""

    def __init__(self, roots: list[Edge]) -> None:
        self.left: dict[int, int] = {}
        self.sent_by: dict[int, list[Tensor]] = {}
        stack, met = [edge[0] for edge in roots if type(edge) is tuple], set[int]()
        for leaf in [edge for edge in roots if isinstance(edge, Tensor)]:
            self._expect(leaf)
        while stack:
            node = stack.pop()
            if node.order in met:
                continue
            met.add(node.order)
            for edge in node.edges:
                if type(edge) is tuple:
                    stack.append(edge[0])
                elif isinstance(edge, Tensor) and self._expect(edge):
                    self.sent_by.setdefault(node.order, []).append(edge)

    def _expect(self, leaf: Tensor) -> bool:
        if id(leaf) not in self.left and not at_completion(leaf):
            return False
        self.left[id(leaf)] = self.left.get(id(leaf), 0) + 1
        return True

    def come(self, leaves: list[Tensor], waiting: Waiting) -> None:
        """A gradient, or none, has come to each of these leaves: calls the hooks of those that wait for no more."""
        for leaf in leaves:
            self.left[id(leaf)] -= 1
            if self.left[id(leaf)] == 0:
                self._complete(id(leaf), waiting)

    def rest(self, waiting: Waiting) -> None:
        """At the end: calls the hooks of the leaves that wait in vain for more, since no gradient came to some node."""
        for leaf, left in self.left.items():
            if left:
                self._complete(leaf, waiting)

    def _complete(self, key: int, waiting: Waiting) -> None:
        if key in waiting.leaves:
            leaf, arrived = waiting.leaves[key]
            gradient = _seen(leaf, arrived)
            for hook in at_completion(leaf):
                hook.completed(leaf, gradient)


def run(
    roots: list[tuple[Tensor, Tensor]],
    inputs: list[Tensor] | None = None,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> list[Tensor | None]:
    """Sends the gradients of `roots` = [(tensor, its gradient)] back through the graph.

    With `inputs`: returns the gradient of each (None where no path leads), visits only nodes on the way to them and
    computes only what they need. Without: accumulates every leaf's gradient into its .grad, and returns [].
    """
    wanted: list[Edge] | None = None if inputs is None else [x._edge() for x in inputs]
    useful = None if wanted is None else _useful([x._edge() for x, _ in roots], wanted)
    targets = {_key(edge) for edge in wanted or ()}
    waiting = Waiting()
    recording, observers = state.grad, state.observers
    state.grad = create_graph
    if observers:  # most look at a node's backward as one, under the node's own name, not at the ops that it is made of
        state.observers = tuple([observer for observer in observers if observer.looks_inside])
    try:
        with quiet():
            for x, gradient in roots:
                if x._requires_grad:
                    waiting.send(x._edge(), gradient, False)
            expected = Expected([x._edge() for x, _ in roots]) if wanted is None and AtCompletion.count else None
            if expected is not None:
                expected.come([x for x, _ in roots if id(x) in expected.left and x.is_leaf], waiting)
            captured = _go_back(waiting, targets, useful, retain_graph, observers, expected)
            if expected is not None:
                expected.rest(waiting)
            if wanted is None:
                _accumulate(waiting.leaves, create_graph)
                return []
            for key, (leaf, arrived) in waiting.leaves.items():
                captured[key] = replaced(leaf._hooks, arrived.total)
            return [captured.get(_key(edge)) for edge in wanted]
    finally:
        state.grad, state.observers = recording, observers


def _go_back(
    waiting: Waiting, targets: set[Any], useful: dict[int, tuple[bool, ...]] | None, retain: bool, observers: Observers,
    expected: Expected | None,
) -> dict[Any, Tensor]:  # fmt: skip
    """Runs the backward of one node after the other; returns the gradients that came to the targets among their outputs."""
    captured: dict[Any, Tensor] = {}
    for node, gradients in waiting.nodes():
        if node.hooks:
            before_node(node.hooks, gradients)
        if targets:
            found = [(node.order, i) for i in range(node.outputs) if gradients[i] is not None]
            captured.update({key: gradients[key[1]] for key in found if key in targets})  # type: ignore[misc]
        asked_for = node.needs if useful is None else useful.get(node.order)
        if asked_for is None:
            continue
        results = _step(node, gradients, asked_for, observers)
        del gradients  # so that their memory is free again
        if not retain:
            node.free()
        elif node.packed is not None:
            node.packed.put_away(node)
        # An observer or a hook may keep the results: they are no longer the engine's alone.
        fresh = node.fresh and not observers and not (node.hooks and AFTER in node.hooks)
        while results:
            waiting.send(*results.pop(), fresh)
        if expected is not None and node.order in expected.sent_by:
            expected.come(expected.sent_by[node.order], waiting)
    return captured


def _step(
    node: Op, gradients: list[Tensor | None], asked_for: tuple[bool, ...], observers: Observers
) -> list[tuple[Edge, Tensor]]:
    """Runs one node's backward; returns where each result goes."""
    if node.outputs > 1 or node.hooks:
        gradients = [node.zero_gradient(i) if g is None else g for i, g in enumerate(gradients)]
    for observer in observers:
        observer.before_backward(node, gradients)
    node.asked_for = asked_for
    try:
        node.refuse_if_freed()
        if node.packed is not None:
            node.packed.restore(node)
        if node.seals is not None:
            node.seals.check(node)
        results: Any = node.backward(*gradients)  # type: ignore[arg-type]
    except Exception as error:
        for observer in observers:
            observer.failed_backward(node, error)
        raise
    if type(results) is not tuple:
        results = (results,)
    if node.hooks:
        results = after_node(node.hooks, results, gradients)
    for observer in observers[::-1]:
        observer.after_backward(node, gradients, results)
    return [
        (edge, result)
        for edge, result, asked in zip(node.edges, results, asked_for, strict=True)
        if asked and result is not None
    ]


def _useful(roots: list[Edge], wanted: list[Edge]) -> dict[int, tuple[bool, ...]]:
    """Which nodes lie on a way from the roots to the wanted edges, and which of their inputs lead on."""
    nodes: dict[int, Op] = {}
    stack = [edge[0] for edge in roots if type(edge) is tuple]
    while stack:
        node = stack.pop()
        if node.order not in nodes:
            nodes[node.order] = node
            stack.extend(edge[0] for edge in node.edges if type(edge) is tuple)
    targets = {_key(edge) for edge in wanted}
    useful: dict[int, tuple[bool, ...]] = {}
    for order in sorted(nodes):  # producers first
        needs = tuple(
            [
                edge is not None and (_key(edge) in targets or (type(edge) is tuple and edge[0].order in useful))
                for edge in nodes[order].edges
            ]
        )
        if True in needs:
            useful[order] = needs
    return useful


def _key(edge: Edge) -> Any:
    return (edge[0].order, edge[1]) if type(edge) is tuple else id(edge)


def _accumulate(leaves: dict[int, tuple[Tensor, Arriving]], create_graph: bool) -> None:
    """Adds the complete gradients to each leaf's .grad."""
    while leaves:
        leaf, arrived = leaves.pop(next(iter(leaves)))
        gradient = _seen(leaf, arrived)
        if leaf.grad is None:
            leaf._grad = gradient if create_graph else _settle(gradient, leaf, arrived.own and not leaf._hooks)
        elif create_graph:
            leaf._grad = leaf.grad + gradient
        else:
            leaf.grad.array += gradient.array
            leaf.grad._bump_version()
        if leaf._hooks:
            after_accumulation(leaf)


def _seen(leaf: Tensor, arrived: Arriving) -> Tensor:
    """A leaf's complete gradient, of its dtype, when the leaf's hooks have seen it, and perhaps replaced it: once a pass."""
    if arrived.seen:
        return arrived.total
    gradient = arrived.total
    if gradient.array.shape != leaf.array.shape:
        raise RuntimeError(
            f"a gradient of shape {list(gradient.shape)} has come to {describe(leaf)}: the backward of an op that it was "
            "given to returns a gradient of another shape than its input's"
        )
    gradient = replaced(leaf._hooks, gradient)
    arrived.total = gradient if gradient.dtype == leaf.dtype else gradient.to(leaf.dtype)
    arrived.seen = True
    return arrived.total


def _settle(gradient: Tensor, leaf: Tensor, own: bool) -> Tensor:
    """The gradient in an array that nobody else holds, laid out in memory as the leaf is."""
    array = gradient.array
    if own and array.strides == leaf.array.strides and (array.base is None or array.base.nbytes == array.nbytes):
        return gradient
    copy = backends.of(array).xp.empty_like(leaf.array)
    copy[...] = array
    return Tensor._wrap(copy)
