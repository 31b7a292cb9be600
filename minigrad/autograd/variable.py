"""Variable: what torch called a tensor with a gradient before version 0.4. It makes, and is, a Tensor."""

from __future__ import annotations

from typing import Any

from minigrad.tensor import Tensor


class _IsTensor(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_IsTensor):
    """Variable(x) is a tensor of x's memory, outside of its graph; with requires_grad=True a leaf. volatile has no effect."""

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        x = Tensor([]) if data is None else data.detach()
        return x.requires_grad_() if requires_grad else x
