"""How a module's full backward hooks see all of its gradients at once.

The module's tensors are led through two boundaries, ops that compute nothing:

    inputs -> Boundary -> forward -> Boundary -> outputs

On the way back the second one meets the gradients of all the outputs and notes them; the first one meets the
gradients of all the inputs and calls the hooks with both. Only tensors that require gradients go through.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from minigrad.grad_mode import is_grad_enabled
from minigrad.hooks import all_checked
from minigrad.op import Op
from minigrad.ops.creation import zeros
from minigrad.tensor import Tensor

Gradients = tuple[Tensor | None, ...]


class Boundary(Op):
    """y_i = x_i for several tensors at once; gx = meet(gy), where gy holds None for what nothing was computed from."""

    def __init__(self, meet: Callable[[Gradients], Gradients]) -> None:
        self.meet = meet

    def forward(self, *xs: Any) -> tuple[Any, ...]:
        return tuple(x.view() for x in xs)

    def backward(self, *gys: Tensor | None) -> Gradients:
        return self.meet(gys)

    def zero_gradient(self, i: int) -> Tensor:
        return None  # type: ignore[return-value]  # whoever meets the gradients decides what stands in for this one


class BackwardHooks:
    """One call of a module: its hooks, and the outputs' gradients on their way from one boundary to the other.

    Neither boundary may hold on to a tensor that it made: node and tensor would keep each other alive.
    """

    def __init__(self, module: Any, hooks: list[Callable], pre_hooks: list[Callable]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.inputs = self.outputs = 0
        self.input_places: list[int] = []
        self.output_places: list[int] = []
        self.input_forms: dict[int, tuple] = {}
        self.grad_output: Gradients = ()

    def enter(self, args: tuple) -> tuple:
        """The arguments, led through the first boundary."""
        self.inputs = len(args)
        self.input_places = _differentiable(args)
        self.input_forms = {i: (x.shape, x.dtype, x.device) for i, x in enumerate(args) if isinstance(x, Tensor)}
        return _through(Boundary(self._meet_inputs), args, self.input_places)

    def leave(self, result: Any) -> Any:
        """The outputs (a Tensor, or a tuple that holds Tensors), led through the second boundary."""
        outputs = result if isinstance(result, tuple) else (result,)
        if not any(isinstance(output, Tensor) for output in outputs):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors "
                f"but received {type(result).__name__}",
                stacklevel=4,
            )
        self.outputs = len(outputs)
        self.output_places = _differentiable(outputs)
        led = _through(Boundary(self._meet_outputs), outputs, self.output_places)
        return led if isinstance(result, tuple) else led[0]

    def _meet_outputs(self, gradients: Gradients) -> Gradients:
        grad_output = _spread(self.output_places, gradients, self.outputs)
        for hook in self.pre_hooks:
            before = grad_output
            changed = hook(self.module, grad_output)
            if changed is not None:
                grad_output = changed if isinstance(changed, tuple) else (changed,)
                if len(grad_output) != self.outputs:
                    raise RuntimeError(
                        f"Backward pre hook returned an invalid number of grad_output, got {len(grad_output)}, "
                        f"but expected {self.outputs}"
                    )
                grad_output = all_checked(hook, before, grad_output)
        if self.input_places:
            self.grad_output = grad_output
        elif self.hooks:  # the first boundary is not part of the graph: the hooks are called here
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs "
                "require gradients.",
                stacklevel=2,
            )
            for hook in self.hooks:
                changed = hook(self.module, (None,) * self.inputs, grad_output)
                if changed is not None and any(gradient is not None for gradient in changed):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or "
                        "None for all gradients."
                    )
        return tuple(grad_output[i] for i in self.output_places)

    def _meet_inputs(self, gradients: Gradients) -> Gradients:
        spread = list(_spread(self.input_places, gradients, self.inputs))
        for i, (shape, dtype, device) in self.input_forms.items():
            if spread[i] is None:  # as in torch, a hook gets zeros for a tensor that no gradient reaches
                spread[i] = zeros(shape, dtype=dtype, device=device)
        grad_input = tuple(spread)
        for hook in self.hooks:
            before = grad_input
            changed = hook(self.module, grad_input, self.grad_output)
            if changed is not None:
                grad_input = changed if isinstance(changed, tuple) else (changed,)
                if len(grad_input) != self.inputs:
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(grad_input)}, "
                        f"but expected {self.inputs}"
                    )
                grad_input = all_checked(hook, before, grad_input)
        self.grad_output = ()
        return tuple(grad_input[i] for i in self.input_places)


def _differentiable(values: tuple) -> list[int]:
    """The places of the tensors that require gradients."""
    return [i for i, x in enumerate(values) if isinstance(x, Tensor) and x.requires_grad] if is_grad_enabled() else []


def _through(boundary: Boundary, values: tuple, places: list[int]) -> tuple:
    if not places:
        return values
    led = list(values)
    for i, x in zip(places, boundary(*[values[i] for i in places]), strict=True):
        x._share(values[i])
        led[i] = x
    return tuple(led)


def _spread(places: list[int], gradients: Gradients, length: int) -> Gradients:
    """The gradients in their places, None in all others."""
    spread: list[Tensor | None] = [None] * length
    for i, gradient in zip(places, gradients, strict=True):
        spread[i] = gradient
    return tuple(spread)
