"""A leaf's hook that runs when its gradient has been accumulated."""

from __future__ import annotations

from collections.abc import Callable

from minigrad.hooks import AfterAccumulation, RemovableHandle
from minigrad.tensor import Tensor, describe


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


Tensor.register_post_accumulate_grad_hook = register_post_accumulate_grad_hook  # type: ignore
