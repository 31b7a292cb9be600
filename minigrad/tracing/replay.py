"""Running parts of a trace again: a fused node as its definition, finite differences at a node, a gradient that is doubled.

All of it works on the copies that the trace has kept: the program's own tensors are neither read nor changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.autograd.calls import backward, grad
from minigrad.autograd.doctor import Finding, diagnose
from minigrad.autograd.observer import only_observers
from minigrad.fused import FusedOp
from minigrad.grad_mode import enable_grad
from minigrad.inplace import WriteThrough
from minigrad.tensor import Tensor
from minigrad.tracing.steps import Node, Recording, Self, Visit
from minigrad.tracing.values import Value
from minigrad.tracing.words import formula, number


class NotKept(RuntimeError):
    """A step cannot be run again: its arrays were not kept, or running it would write into the program's memory."""


def _tensor(x: Any, dtype: Any = None, label: str = "") -> Any:
    """A kept array as a new tensor, floats in that type; anything else as it is."""
    if not isinstance(x, Value):
        return x
    if x.array is None:
        raise NotKept(f"the array {x.label or list(x.shape)} was not kept: trace with a larger keep=")
    xp = backends.of(x.array).xp
    array = xp.array(x.array, copy=True, order="K")
    tensor = Tensor(array.astype(dtype) if dtype is not None and array.dtype.kind == "f" else array)
    tensor.name = label or None
    return tensor


def _must_run_again(node: Node) -> None:
    if isinstance(node.op, WriteThrough) or not node.outputs:
        raise NotKept(f"{node.label} cannot be run again: it writes into the program's memory, or ran before the trace")


def _run(node: Node, inputs: list[Any]) -> tuple[Any, ...]:
    _must_run_again(node)
    result = node.op.again(*inputs)
    return result if isinstance(result, tuple) else (result,)


def _run_in_float64(node: Node, inputs: list[Any]) -> tuple[Any, ...]:
    """NotKept where the result is rounded to another type all the same: no small step would be seen in it."""
    outputs = _run(node, inputs)
    for y in outputs:
        if y.dtype.kind == "f" and y.dtype != np.float64:
            raise NotKept(f"{node.label} rounds to {y.dtype}, whatever it is given")
    return outputs


# -- fused nodes as their definitions -------------------------------------------------------------------------------------


def is_fused(node: Node) -> bool:
    """Whether a node has a definition in primitives."""
    return isinstance(node.op, FusedOp) and type(node.op).definition is not FusedOp.definition and bool(node.outputs)


def unfolded(trace: Self, node: Node) -> Self:
    """The trace of a fused node's definition, forward and, with the gradients that came in, backward.

    Its inputs are leaves, under the formula's names. NotKept where it cannot be run again, ValueError for what is not fused.
    """
    if not is_fused(node):
        raise ValueError(f"{node.label} is no fused op: it has no definition to unfold")
    names = formula(node.op).names
    inner = trace.within()
    inputs = [_tensor(x, label=names[i] if i < len(names) else "") for i, x in enumerate(node.inputs)]
    for x, edge in zip(inputs, node.edges, strict=False):
        if edge is not None:
            x.requires_grad = True
    visit = trace.visit(node)
    with only_observers(), enable_grad(), inner:
        outputs = node.op.definition(*inputs)  # type: ignore[attr-defined]
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if visit is not None:
            pairs = [
                (y, _tensor(g))
                for y, g in zip(outputs, visit.gradients, strict=False)
                if g is not None and y.requires_grad
            ]
            backward([y for y, _ in pairs], [g for _, g in pairs])
    return inner


# -- finite differences ---------------------------------------------------------------------------------------------------


@dataclass
class Slope:
    """One derivative of the loss, two ways."""

    of: str
    """With respect to what: an input of the node, or its result."""
    index: tuple[int, ...]
    """The element: that of the largest gradient."""
    gradient: float
    measured: float
    """(f(x + eps) - f(x - eps)) / (2 eps) in float64."""

    @property
    def agrees(self) -> bool:
        """Whether both are the same up to 1e-5 + one part in a thousand."""
        return bool(abs(self.gradient - self.measured) <= 1e-5 + 1e-3 * abs(self.measured))

    def __str__(self) -> str:
        at = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return f"{self.of}{at}: gradient {number(self.gradient)}, measured {number(self.measured)}" + (
            "" if self.agrees else "  DIFFERENT"
        )


@dataclass
class Check:
    """What `t.check(node)` found."""

    node: str
    slopes: list[Slope]
    """Through the op alone, with respect to each input; then of the loss, with respect to the op's result."""
    findings: list[Finding]
    """What the gradient doctor found wrong with the op; nothing, if all is right."""
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings and all(slope.agrees for slope in self.slopes)

    def __str__(self) -> str:
        verdict = [f"the doctor: {f}" for f in self.findings] or ["the doctor: nothing is wrong with its gradients"]
        return "\n  ".join([self.node, *map(str, self.slopes), *verdict, *self.notes])


EPS = 1e-6


def check(trace: Recording, node: Node) -> Check:
    """The gradients of a visited node beside finite differences, in float64, and the gradient doctor's verdict."""
    visit = trace.visit(node)
    if visit is None:
        raise ValueError(f"{node.label} has no gradient to be checked: the backward pass did not come by")
    _must_run_again(node)
    inputs = [_tensor(x, np.float64) for x in node.inputs]
    for x, edge in zip(inputs, node.edges, strict=False):
        if edge is not None:
            x.requires_grad = True
    starts = [None if g is None else np.asarray(_tensor(g, np.float64).numpy(force=True)) for g in visit.gradients]
    with only_observers():
        found = Check(node.label, [], [replace(f, called_at=node.line) for f in diagnose(node.op.again, inputs)])
        try:
            slopes = [_through(node, visit, inputs, starts, i) for i, edge in enumerate(node.edges) if edge is not None]
            found.slopes += [slope for slope in slopes if slope is not None]
            found.slopes.append(_of_the_loss(trace, node, visit))
        except NotKept as reason:
            found.notes.append(f"no difference was measured from here on: {reason}")
    return found


def _largest(x: Any) -> tuple[int, ...]:
    host = np.abs(np.nan_to_num(np.asarray(Tensor(x).numpy(force=True))))
    return tuple(int(i) for i in np.unravel_index(int(host.argmax()), host.shape))


def _through(node: Node, visit: Visit, inputs: list[Any], starts: list[Any], i: int) -> Slope | None:
    """sum(gradients . outputs) of the node alone, moved along the element of input i whose gradient is largest."""
    sent = next((s for s in visit.sent if s.input == i), None)
    if sent is None or sent.value.array is None or not sent.value.summary.size:
        return None
    at = _largest(sent.value.array)

    def value() -> float:
        outputs = _run_in_float64(node, inputs)
        pairs = zip(outputs, starts, strict=False)
        return float(sum((np.asarray(y.numpy(force=True), np.float64) * g).sum() for y, g in pairs if g is not None))

    names = formula(node.op).names
    of = f"through {node.name} to {names[i] if i < len(names) else f'input {i}'}"
    return Slope(of, at, float(sent.value.array[at]), _central(inputs[i].array, at, value))


def _central(array: Any, at: tuple[int, ...], value: Any) -> float:
    before, step = float(array[at]), EPS * max(1.0, abs(float(array[at])))
    ends = []
    for sign in (1, -1):
        array[at] = before + sign * step
        ends.append(value())
    array[at] = before
    return (ends[0] - ends[1]) / (2 * step)


def _of_the_loss(trace: Recording, node: Node, visit: Visit) -> Slope:
    """The loss, moved along the element of the node's result whose gradient is largest: all that follows is run again."""
    place = next(i for i, g in enumerate(visit.gradients) if g is not None)
    gradient = visit.gradients[place]
    assert gradient is not None
    if gradient.array is None or not gradient.summary.size:
        raise NotKept("its gradient was not kept")
    at = _largest(gradient.array)
    moved = _tensor(node.outputs[place], np.float64)
    roots = [v for v in trace.pass_of(visit) if v.started]

    def value() -> float:
        given = {(node.number, i): _tensor(y, np.float64) for i, y in enumerate(node.outputs)} | {
            (node.number, place): moved
        }
        made = rebuilt(trace.after(node), given)
        total = 0.0
        for root in roots:
            for i in root.started:
                if (root.node.number, i) in made:
                    y = made[root.node.number, i].numpy(force=True)
                    g = _tensor(root.gradients[i], np.float64).numpy(force=True)
                    total += float((np.asarray(y, np.float64) * g).sum())
        return total

    return Slope(
        f"the loss to the result of {node.name}", at, float(gradient.array[at]), _central(moved.array, at, value)
    )


Made = dict[tuple[int, int], Any]
"""{(node, output): tensor}"""


def rebuilt(nodes: Iterable[Node], given: Mapping[tuple[int, int], Any]) -> Made:
    """The results of nodes in float64, in their order, run again from `given` and, for what is not there, from what was kept."""
    made: Made = dict(given)
    for node in nodes:
        inputs = [made.get(_made_by(x)) if _made_by(x) in made else _tensor(x, np.float64) for x in node.inputs]
        made.update({(node.number, i): y for i, y in enumerate(_run_in_float64(node, inputs))})
    return made


def _made_by(x: Any) -> tuple[int, int]:
    return (x.producer, x.output) if isinstance(x, Value) and x.producer is not None else (-1, 0)


# -- what if a gradient were doubled --------------------------------------------------------------------------------------


@dataclass
class Change:
    """What becomes of a leaf's gradient if that of a node were multiplied."""

    leaf: Value
    share: float
    """|what comes to the leaf by that node| / |its gradient|."""
    before: float
    """The norm of the leaf's gradient."""
    after: float
    """Its norm then."""
    cosine: float
    """Of the angle between the two."""


def doubled(trace: Recording, node: Node, factor: float = 2.0) -> list[Change]:
    """What becomes of each leaf's gradient if the gradient that came in at the node had been multiplied by `factor`.

    The part that comes by that node is sent back again, from the node to the leaves; the rest stays as it is. Leaves that
    the node does not lead to are left out.
    """
    visit = trace.visit(node)
    if visit is None:
        raise ValueError(f"{node.label} has no gradient that could be doubled")
    with only_observers(), enable_grad():
        graph = Graph(trace, trace.before(node))
        parts = graph.parts(node, visit)
    return [change(trace, leaf, part, factor) for leaf, part in parts]


def change(trace: Recording, leaf: Value, part: Any, factor: float) -> Change:
    """What becomes of a leaf's gradient of which `part` is multiplied."""
    by_node = np.asarray(Tensor(part).numpy(force=True), np.float64)
    whole = total(trace, leaf)
    then = whole + (factor - 1) * by_node
    before, after = float(np.linalg.norm(whole)), float(np.linalg.norm(then))
    both = before * after
    return Change(
        leaf, float(np.linalg.norm(by_node)) / before if before else 0.0, before, after,
        float((whole * then).sum() / both) if both else 0.0,
    )  # fmt: skip


def total(trace: Recording, leaf: Value) -> np.ndarray:
    """The sum, in float64, of the gradients that the last pass sent to a leaf."""
    last = trace.pass_of(trace.visits[-1])
    sent = [s.value for visit in last for s in visit.sent if s.to is leaf]
    if any(value.array is None for value in sent):
        raise NotKept("a gradient was not kept")
    return np.asarray(sum(np.asarray(Tensor(v.array).numpy(force=True), np.float64) for v in sent))


class Graph:
    """Nodes run again as one graph of the engine's, from leaves of its own."""

    def __init__(self, trace: Recording, nodes: Iterable[Node]) -> None:
        self.leaves: dict[int, tuple[Value, Tensor]] = {}
        self.made: Made = {}
        nodes = list(nodes)
        for node in nodes:
            _must_run_again(node)
        for node in nodes:
            inputs = [self._input(x, edge) for x, edge in zip(node.inputs, node.edges, strict=True)]
            self.made.update({(node.number, i): y for i, y in enumerate(_run(node, inputs))})

    def _input(self, x: Any, edge: Any) -> Any:
        if isinstance(edge, tuple):
            return self.made[edge]
        if not isinstance(edge, Value):
            return _tensor(x)
        if id(edge) not in self.leaves:
            self.leaves[id(edge)] = edge, _tensor(x).requires_grad_()
        return self.leaves[id(edge)][1]

    def parts(self, node: Node, visit: Visit) -> list[tuple[Value, Any]]:
        """(leaf, what the gradients that came in at the node make of its gradient)."""
        starts = [(self.made[node.number, i], _tensor(g)) for i, g in enumerate(visit.gradients) if g is not None]
        leaves = list(self.leaves.values())
        found = grad(
            [y for y, _ in starts], [x for _, x in leaves], [g for _, g in starts], retain_graph=True, allow_unused=True
        )
        return [(leaf, g.array) for (leaf, _), g in zip(leaves, found, strict=True) if g is not None]
