"""What people call: `backward` and `grad`, which check what they are given and send gradients back; and a hook of leaves."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from minigrad.engine import run
from minigrad.hooks import AfterAccumulation, RemovableHandle, after_accumulation
from minigrad.ops.shape import stack
from minigrad.tensor import Tensor, describe


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
            after_accumulation(x)


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


def _backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Adds d(self . gradient)/d(leaf) to the .grad of every leaf that self was computed from.

    gradient: of self's shape; None for a scalar. See `minigrad.autograd.backward`.
    """
    backward([self], [gradient], retain_graph, create_graph, inputs=inputs)


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """Calls hook(tensor) whenever a backward pass has added to this leaf's .grad; it may use it and set it to None.

    As in torch, but called at the end of the pass, when all gradients are complete. RuntimeError for a tensor that is no
    leaf, or requires no gradient.
    """
    if not self.requires_grad:
        raise RuntimeError(f"cannot register a hook on a tensor that doesn't require gradient: {describe(self)}")
    if not self.is_leaf:
        raise RuntimeError(f"post accumulate grad hooks cannot be registered on non-leaf tensors: {describe(self)}")
    if self._hooks is None:
        self._hooks = {}
    return RemovableHandle(self._hooks, AfterAccumulation(hook))


Tensor.backward = _backward  # type: ignore
Tensor.register_post_accumulate_grad_hook = register_post_accumulate_grad_hook  # type: ignore
