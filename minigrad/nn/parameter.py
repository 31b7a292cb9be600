"""Parameter: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from minigrad.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that requires a gradient and that a Module registers when it becomes an attribute.

    Parameter(data) shares data's memory but not its graph; without data it is empty, as in torch.
    """

    __slots__ = ()

    def __init__(self, data: Any = (), requires_grad: bool = True) -> None:
        super().__init__(data=data, requires_grad=requires_grad)
        if isinstance(data, Tensor):
            self._memory = data.memory
            self.memory.holders += 1

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()
