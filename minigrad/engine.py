"""The backward pass.

Nodes are numbered as they are made, so a node's consumers have higher numbers than it has. Taking the highest-numbered
waiting node, again and again, visits each node once, and only after all of its consumers: its gradient is then complete.
No recursion, no sorting beforehand; a chain of 100,000 ops is a loop of 100,000 turns.

Where several gradients meet they are added. The engine writes into an array only if it owns it: a sum that it made itself,
or a gradient that its op declares `fresh`. Who else may hold a reference is never asked.
"""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from minigrad.grad_mode import state
from minigrad.hooks import all_checked, checked
from minigrad.op import AFTER, BEFORE, Op
from minigrad.quiet import quiet
from minigrad.tensor import Tensor, describe

Edge = tuple[Op, int] | Tensor | None
"""Where a gradient goes: (node, which of its outputs), or a leaf."""


class Arriving:
    """One gradient on its way: the sum of what has arrived so far, and whether its array is the engine's own."""

    __slots__ = ("own", "total")

    def __init__(self, total: Tensor, own: bool) -> None:
        self.total, self.own = total, own

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
    captured: dict[Any, Tensor] = {}
    targets = set() if wanted is None else {_key(edge) for edge in wanted}
    leaves: dict[int, tuple[Tensor, Arriving]] = {}
    waiting: dict[Op, list[Arriving | None]] = {}
    queue: list[tuple[int, Op]] = []

    def send(edge: Edge, gradient: Tensor, own: bool) -> None:
        if type(edge) is tuple:
            node, i = edge
            places = waiting.get(node)
            if places is None:
                places = waiting[node] = [None] * node.outputs
                heapq.heappush(queue, (-node.order, node))
            arriving = places[i]
            if arriving is None:
                places[i] = Arriving(gradient, own)
                return
        elif id(edge) in leaves:
            arriving = leaves[id(edge)][1]
        else:
            leaves[id(edge)] = edge, Arriving(gradient, own)  # type: ignore[assignment]
            return
        arriving.add(gradient, own)

    recording, observers = state.grad, state.observers
    state.grad = create_graph
    if observers:  # most look at a node's backward as one, under the node's own name, not at the ops that it is made of
        state.observers = tuple([observer for observer in observers if observer.looks_inside])
    try:
        with quiet():
            for tensor, gradient in roots:
                if tensor._requires_grad:
                    send(tensor._edge(), gradient, False)
            del tensor, gradient
            while queue:
                node = heapq.heappop(queue)[1]
                gradients = [None if place is None else place.total for place in waiting.pop(node)]
                if node.hooks:
                    _run_hooks(node, gradients)
                if targets:
                    for i, complete in enumerate(gradients):
                        if complete is not None and (node.order, i) in targets:
                            captured[node.order, i] = complete
                            complete = None
                if useful is not None and node.order not in useful:
                    continue
                results = _step(node, gradients, None if useful is None else useful[node.order], observers)
                gradients = complete = None  # type: ignore[assignment]  # so that their memory is free again
                if not retain_graph:
                    node.free()
                elif node.packed is not None:
                    node.packed.put_away(node)
                # An observer or a hook may keep the results: they are no longer the engine's alone.
                fresh = node.fresh and not observers and not (node.hooks and AFTER in node.hooks)
                while results:
                    send(*results.pop(), fresh)
            return _deliver(leaves, captured, wanted, create_graph)
    finally:
        state.grad, state.observers = recording, observers


def _step(
    node: Op, gradients: list[Tensor | None], needs: tuple[bool, ...] | None, observers: tuple[Any, ...]
) -> list[tuple[Edge, Tensor]]:
    """Runs one node's backward; returns where each result goes."""
    if None in gradients:
        gradients = [node.zero_gradient(i) if g is None else g for i, g in enumerate(gradients)]
    before = node.needs
    for observer in observers:
        observer.before_backward(node, gradients)
    try:
        if node.packed is not None:
            node.packed.restore(node)
        if node.seals is not None:
            node.seals.check(node)
        if needs is not None:
            node.needs = needs
        results = node.backward(*gradients)  # type: ignore[arg-type]
        needs = node.needs
    except Exception as error:
        for observer in observers:
            observer.failed_backward(node, error)
        raise
    finally:
        node.needs = before
    if type(results) is not tuple:
        results = (results,)  # type: ignore[assignment]
    if node.hooks and AFTER in node.hooks:
        results = _run_after(node, results, gradients)  # type: ignore[arg-type]
    for observer in observers[::-1]:
        observer.after_backward(node, gradients, results)  # type: ignore[arg-type]
    return [
        (edge, result)
        for edge, result, need in zip(node.edges, results, needs, strict=True)  # type: ignore[arg-type]
        if need and result is not None
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


def _deliver(
    leaves: dict[int, tuple[Tensor, Arriving]],
    captured: dict[Any, Tensor],
    wanted: list[Edge] | None,
    create_graph: bool,
) -> list[Tensor | None]:
    """The complete gradients: returned where they were asked for, else accumulated into each leaf's .grad."""
    if wanted is not None:
        for key, (leaf, arrived) in leaves.items():
            captured[key] = leaf._run_hooks(arrived.total)
        return [captured.get(_key(edge)) for edge in wanted]
    while leaves:
        leaf, arrived = leaves.pop(next(iter(leaves)))
        gradient = arrived.total
        if gradient.array.shape != leaf.array.shape:
            raise RuntimeError(
                f"a gradient of shape {list(gradient.shape)} has come to {describe(leaf)}: the backward of an op that it was "
                "given to returns a gradient of another shape than its input's"
            )
        gradient = leaf._run_hooks(gradient)
        if gradient.dtype != leaf.dtype:
            gradient = gradient.to(leaf.dtype)
        if leaf.grad is not None:
            if create_graph:
                leaf._grad = leaf.grad + gradient
            else:
                leaf.grad.array += gradient.array
                leaf.grad._bump_version()
        elif create_graph:
            leaf._grad = gradient
        else:
            leaf._grad = _settle(gradient, leaf, arrived.own and not leaf._hooks)
        if leaf._hooks:
            _run_after_accumulation(leaf)
    return []


def _settle(gradient: Tensor, leaf: Tensor, own: bool) -> Tensor:
    """The gradient in an array that nobody else holds, laid out in memory as the leaf is."""
    array = gradient.array
    if own and array.strides == leaf.array.strides and (array.base is None or array.base.nbytes == array.nbytes):
        return gradient
    from minigrad import backends

    copy = backends.of(array).xp.empty_like(leaf.array)
    copy[...] = array
    return Tensor._wrap(copy)


def _run_hooks(node: Op, gradients: list[Tensor | None]) -> None:
    """Lets the hooks of the node's outputs, then the node's own, replace the gradients that came in."""
    hooks: dict[int, dict[int, Any]] = node.hooks or {}
    for i in sorted(i for i in hooks if i >= 0):
        for hook in list(hooks[i].values()):
            gradient = gradients[i]
            if gradient is not None:
                replaced = hook(gradient)
                if replaced is not None:
                    gradients[i] = checked(hook, gradient, replaced)
    for hook in list(hooks.get(BEFORE, {}).values()):
        replaced = hook(tuple(gradients))
        if replaced is not None:
            gradients[:] = all_checked(hook, gradients, replaced)


class AfterAccumulation:
    """A leaf's hook that is called with the leaf when its .grad has been added to. Among the gradient's hooks it does nothing."""

    def __init__(self, hook: Callable[[Tensor], None]) -> None:
        self.hook = hook

    def __call__(self, gradient: Tensor) -> None:
        return None


def _run_after_accumulation(leaf: Tensor) -> None:
    for hook in list((leaf._hooks or {}).values()):
        if isinstance(hook, AfterAccumulation):
            hook.hook(leaf)


def _run_after(node: Op, results: tuple[Any, ...], gradients: list[Tensor | None]) -> tuple[Any, ...]:
    """Lets the node's hooks replace the gradients that go out."""
    assert node.hooks is not None
    for hook in list(node.hooks[AFTER].values()):
        replaced = hook(results, tuple(gradients))
        if replaced is not None:
            results = all_checked(hook, results, replaced)
    return results


# -- what users call ----------------------------------------------------------------------------------------------------


def _pairs(outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[tuple[Tensor, Tensor]]:
    """Each output with the gradient it starts from; ones for a scalar."""
    pairs = []
    if len(outputs) != len(gradients):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(gradients)} gradients")
    for output, gradient in zip(outputs, gradients, strict=True):
        if not output._requires_grad:
            raise RuntimeError(
                f"element 0 of tensors does not require grad and does not have a grad_fn: {describe(output)} was not "
                "computed, with recording on, from a tensor with requires_grad=True"
            )
        if gradient is None:
            if output.numel() != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, but the output is {describe(output)}. "
                    "Reduce it first, for example with .sum(), or pass a gradient of its shape."
                )
            gradient = output.ones_like()
        elif not isinstance(gradient, Tensor):
            raise TypeError(f"gradients must be Tensors or None, not {type(gradient).__name__}")
        elif gradient.array.shape != output.array.shape:
            raise RuntimeError(
                f"Mismatch in shape: the output is {describe(output)}, its gradient {describe(gradient)}"
            )
        elif type(gradient.array) is not type(output.array):
            raise RuntimeError(
                f"Expected all tensors to be on the same device: the output is {describe(output)}, its gradient "
                f"{describe(gradient)}. Move it with .to(device) first."
            )
        pairs.append((output, gradient))
    return pairs


def _list(value: Any) -> list[Any]:
    return [value] if value is None or isinstance(value, Tensor) else list(value)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Adds d(sum of tensors . grad_tensors)/d(leaf) to the .grad of every leaf that they were computed from.

    tensors: what to differentiate; grad_tensors: a gradient of each one's shape to start from (None for a scalar: 1).
    retain_graph: keep what was saved, so that backward can run again (default: create_graph). create_graph: record the
    backward pass itself. inputs: accumulate into these tensors only, and compute nothing else. grad_variables: the old
    name of grad_tensors.
    """
    if grad_variables is not None:
        if grad_tensors is not None:
            raise RuntimeError("`grad_tensors` and `grad_variables` (its old name) were both given: use `grad_tensors`")
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        grad_tensors = grad_variables
    outputs = _list(tensors)
    gradients = [None] * len(outputs) if grad_tensors is None else _list(grad_tensors)
    retain = create_graph if retain_graph is None else retain_graph
    pairs = _pairs(outputs, gradients)
    if inputs is None:
        run(pairs, None, retain, create_graph)
        return
    targets = _list(inputs)
    for x, gradient in zip(targets, run(pairs, targets, retain, create_graph), strict=True):
        if gradient is not None:
            x.grad = gradient.clone() if x.grad is None else x.grad + gradient
            _run_after_accumulation(x)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients d(sum of outputs . grad_outputs)/d(input), one for each input; touches no .grad.

    Only what leads from the outputs to the inputs is computed. An input that the outputs do not depend on is an error,
    unless allow_unused=True (its gradient is None) or materialize_grads=True (its gradient is zeros). is_grads_batched:
    each of grad_outputs has one more axis, its first, and so have the gradients: one backward pass for each of its indices.
    only_inputs: always True, as in torch.
    """
    roots, targets = _list(outputs), _list(inputs)
    gradients = [None] * len(roots) if grad_outputs is None else _list(grad_outputs)
    retain = create_graph if retain_graph is None else retain_graph
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True)", FutureWarning, stacklevel=2
        )
    for x in targets:
        if not x._requires_grad:
            raise RuntimeError(f"One of the differentiated Tensors does not require grad: {describe(x)}")
    if is_grads_batched:
        found = _batched(roots, targets, gradients, retain, create_graph)
    else:
        found = run(_pairs(roots, gradients), targets, retain, create_graph)
    result = []
    for i, (x, gradient) in enumerate(zip(targets, found, strict=True)):
        if gradient is None and materialize_grads:
            gradient = x.zeros_like()
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"One of the differentiated Tensors appears to not have been used in the graph: input {i}, {describe(x)}. "
                "Set allow_unused=True if this is the desired behavior."
            )
        result.append(gradient)
    return tuple(result)


def _batched(
    roots: list[Tensor], targets: list[Tensor], gradients: list[Any], retain: bool, create_graph: bool
) -> list[Tensor | None]:
    """What `run` finds for each row of the gradients, stacked."""
    from minigrad.ops.shape import stack

    lengths = {len(g) for g in gradients if g is not None}
    if len(lengths) != 1 or 0 in lengths:
        raise RuntimeError(
            f"is_grads_batched: grad_outputs need one first axis of one length, but have {sorted(lengths)}"
        )
    (length,) = lengths
    rows = []
    for i in range(length):
        pairs = _pairs(roots, [None if g is None else g[i] for g in gradients])
        rows.append(run(pairs, targets, retain or i + 1 < length, create_graph))
    return [None if column[0] is None else stack(column) for column in zip(*rows, strict=True)]
