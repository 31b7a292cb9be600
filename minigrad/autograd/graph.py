"""Looking at a graph: what its nodes keep, how they hang together; and keeping what they save somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minigrad.arrays import is_array, memory_of
from minigrad.autograd.observer import OneOfAKind, recorded
from minigrad.fused import Alias
from minigrad.grad_mode import no_grad, state
from minigrad.op import Op, changed
from minigrad.tensor import Memory, Tensor, describe


def held(node: Op) -> Iterator[tuple[str, Any]]:
    """(what it is, array) of each array that a node keeps for its gradient."""
    for i, saved in enumerate(node._saved):
        if type(saved) is tuple:
            yield f"saved tensor {i}", saved[0].array
    if node._output is not None:
        yield "the result", node._output[0]
    for name in node.keeps:
        if is_array(getattr(node, name, None)):
            yield name, getattr(node, name)


def nodes(*tensors: Tensor) -> list[Op]:
    """Every node behind the tensors, consumers before producers."""
    found: dict[int, Op] = {}
    stack = [x._node for x in tensors if x._node is not None]
    while stack:
        node = stack.pop()
        if node.order not in found:
            found[node.order] = node
            stack.extend(edge[0] for edge in node.edges if type(edge) is tuple)
    return [found[order] for order in sorted(found, reverse=True)]


def saved_bytes(*tensors: Tensor) -> int:
    """The bytes of memory that the graph behind the tensors keeps for its gradients, parameters that it saved included.

    Memory that several nodes keep, or several views, counts once. What saved_tensors_hooks packed does not count.
    """
    owners = {id(owner): owner for node in nodes(*tensors) for owner in (memory_of(array) for _, array in held(node))}
    return sum(int(owner.nbytes) for owner in owners.values())


def print_graph(tensor: Tensor, depth: int | None = None) -> None:
    """Prints the ops that a tensor was computed by, a line each, what an op's inputs come from indented below it.

    A node that several lead to is shown in full once, then by its number. depth: how many levels.
    """
    print(describe(tensor))
    if tensor._node is None:
        return
    numbers: dict[int, int] = {}
    stack: list[tuple[Any, int]] = [((tensor._node, tensor._index), 0)]
    while stack:
        edge, level = stack.pop()
        indent = "  " * level
        if isinstance(edge, Tensor):
            print(f"{indent}leaf {describe(edge)}")
            continue
        node, output = edge
        which = f" output {output}" if node.outputs > 1 else ""
        if node.order in numbers:
            print(f"{indent}{node.name()} #{numbers[node.order]}{which}, as above")
            continue
        numbers[node.order] = len(numbers)
        keeps = (
            ", freed"
            if node.freed
            else "".join(f", keeps {what} {array.dtype}{list(array.shape)}" for what, array in held(node))
        )
        print(f"{indent}{node.name()} #{numbers[node.order]}{which}{keeps}")
        if depth is None or level + 1 < depth:
            stack.extend((edge, level + 1) for edge in reversed(node.edges) if edge is not None)


class saved_tensors_hooks(OneOfAKind):
    """Within it, what a node saves for its gradient is put through pack(tensor), and what that returned through unpack.

    pack is given each tensor outside the graph, when the op has run, and may return anything (a file's name, a copy on the
    host); unpack is given that, when the backward pass comes by, and returns a Tensor of the same values. What an op keeps
    beside its inputs and output (a pool's winners) goes through them too. Of nested pairs the innermost counts.

    A tensor that is packed as it is and then changed in place is an error when it is unpacked.
    """

    looks_inside = True

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def after_forward(self, node: Op, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        if recorded(node, outputs):
            node.packed = Packed(node, self)


class Packed:
    """What a node saved, packed; put back for the node's backward."""

    def __init__(self, node: Op, hooks: saved_tensors_hooks) -> None:
        self.hooks = hooks
        self.inputs: dict[int, tuple[Any, Any]] = {}
        self.kept: dict[str, tuple[Any, Any]] = {}
        before, state.observers = state.observers, ()
        try:
            with no_grad():
                for i, saved in enumerate(node._saved):
                    if type(saved) is tuple:
                        x = saved[0]
                        self.inputs[i] = self._pack(x.detach()), x._edge() if x._requires_grad else None
                if node._output is not None:
                    array, memory, _ = node._output
                    output = Tensor._wrap(array)
                    output._memory = memory
                    self.kept["_output"] = self._pack(output), None
                for name in node.keeps:
                    if is_array(getattr(node, name, None)):
                        self.kept[name] = self._pack(Tensor._wrap(getattr(node, name))), None
        finally:
            state.observers = before
        self.put_away(node)

    def _pack(self, x: Tensor) -> tuple[Any, Memory, int]:
        return self.hooks.pack_hook(x), x.memory, x.version

    def put_away(self, node: Op) -> None:
        """Takes the tensors off the node again, which keeps them packed."""
        for i in self.inputs:
            node._saved[i] = None
        for name in self.kept:
            setattr(node, name, None)

    def restore(self, node: Op) -> None:
        """Puts the tensors back on the node."""
        for i, (packed, edge) in self.inputs.items():
            node._saved[i] = (_placed(self._unpack(node, *packed), edge), 0)
        for name, (packed, _) in self.kept.items():
            array = self._unpack(node, *packed).array
            setattr(node, name, (array, Memory(), 0) if name == "_output" else array)

    def _unpack(self, node: Op, packed: Any, memory: Memory, changes: int) -> Tensor:
        with no_grad():
            x = self.hooks.unpack_hook(packed)
        if not isinstance(x, Tensor):
            raise TypeError(f"the unpack hook of a saved tensor returned {type(x).__name__}, not a Tensor")
        if x._memory is memory and memory.changes != changes:
            raise changed(node, "a packed tensor", x.array, changes, memory.changes)
        return x


def _placed(x: Tensor, edge: Any) -> Tensor:
    """x at a place of the graph."""
    tensor = Tensor._wrap(x.array)
    if edge is None or not state.grad:
        return tensor
    if isinstance(edge, Tensor):  # a leaf: a node leads there, so that the leaf itself gets the gradient
        alias = Alias()(edge)
        edge = alias._node, 0
    tensor._requires_grad, (tensor._node, tensor._index) = True, edge
    return tensor
