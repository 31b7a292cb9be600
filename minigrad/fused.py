"""Fused ops: a definition in primitives, for reading and for gradients of gradients, beside a fast path on raw arrays."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from minigrad.engine import run
from minigrad.grad_mode import enable_grad, fused_ops, is_definitions, state
from minigrad.op import Op, zeros
from minigrad.tensor import Tensor


class FusedOp(Op):
    """An op with two implementations: a definition in primitives, and a fast path on raw arrays that gives the same numbers.

    The fast path runs unless `with minigrad.definitions():`, or `definitions("gelu")`: of that op alone. Its gradient is
    `backward_arrays`; where the gradient is to be differentiated again (create_graph=True), the definition is run on the
    saved inputs and differentiated instead.
    An input that was not saved has no influence on the gradients asked for: zeros stand in for it there.
    """

    __slots__ = ("_forms",)

    known_as: ClassVar[str]
    """What `minigrad.definitions` calls the op: torch's function. By default the class's name, ScaledDotProduct as
    scaled_dot_product; a class that extends an op goes by the name of that one."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.definition is not FusedOp.definition:  # else it is the frame of several ops, not one of them
            if not hasattr(cls, "known_as"):
                cls.known_as = re.sub(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
            fused_ops.add(cls.known_as)

    def definition(self, *inputs: Any) -> Any:
        """The op in primitives, on Tensors."""
        raise NotImplementedError

    def backward_arrays(self, *gradients: Any) -> Any:
        """The gradients of the inputs (arrays, None where `self.asked_for` does not ask), from those of the outputs."""
        raise NotImplementedError

    def __call__(self, *inputs: Any) -> Any:
        if state.definitions and is_definitions(self.known_as):
            return self.definition(*inputs)
        return super().__call__(*inputs)

    def _record(self, inputs: tuple[Any, ...], outputs: list[Tensor]) -> None:
        super()._record(inputs, outputs)
        self._forms = [(x.array.shape, x.dtype, x.device) if isinstance(x, Tensor) else None for x in inputs]

    @property
    def arrays(self) -> list[Any]:
        """The arrays of the saved inputs in their places; None for what was not saved."""
        return [self._unchanged(*s).array if type(s) is tuple else s for s in self._saved]

    @property
    def output_array(self) -> Any:
        """The array of the saved output."""
        return self.output.array

    def backward(self, *gradients: Tensor) -> Tensor | None | tuple[Tensor | None, ...]:
        if state.grad:
            return self.differentiate(self.definition, *gradients)
        result = self.backward_arrays(*[g.array for g in gradients])
        if type(result) is not tuple:
            result = (result,)
        return tuple([None if array is None else Tensor._wrap(array) for array in result])

    def differentiate(self, definition: Callable[..., Any], *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of `definition` at the saved inputs, as part of the graph."""
        stand_ins = [
            x if x is not None or form is None else zeros(*form)
            for x, form in zip(self.inputs, self._forms, strict=True)
        ]
        with enable_grad():
            # Gradients are taken with respect to aliases, so that an input that depends on another one
            # does not lead the walk through that dependence: it stops at this op.
            aliases = [Alias()(x) if isinstance(x, Tensor) else x for x in stand_ins]
            for alias, need in zip(aliases, self.asked_for, strict=True):
                if need and not alias._requires_grad:
                    alias._requires_grad = True
            outputs = definition(*aliases)
            roots = outputs if type(outputs) is tuple else (outputs,)
            wanted = [alias for alias, need in zip(aliases, self.asked_for, strict=True) if need]
            found = iter(run(list(zip(roots, gradients, strict=False)), wanted, create_graph=True, retain_graph=True))
        return tuple([next(found) if need else None for need in self.asked_for])


class Alias(Op):
    """y = x, sharing memory."""

    is_view = True

    def forward(self, x: Any) -> Any:
        return x.view()

    def backward(self, gy: Tensor) -> Tensor:
        return gy
