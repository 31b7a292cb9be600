"""Backpropagation on single numbers, whole: read it first. The tests compare minigrad with it.

A Value is a number z that knows its parents, the Values x that it was computed from, and its slopes, dz/dx for each of them.
By the chain rule a change of x reaches the result L along every z that was computed from x:

    dL/dx = sum over those z of dL/dz dz/dx

So `backward` walks from L to the inputs, each Value after all that were computed from it, and hands dL/dz times the slope on.
"""

# ruff: noqa: E731 - a table of formulas reads best as one

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, cos, exp, log, sin, tanh


class Value:
    """A number, and how it came to be."""

    def __init__(self, number: float, parents: Sequence[Value] = (), slopes: Sequence[float] = ()) -> None:
        self.number, self.parents, self.slopes, self.grad = number, parents, slopes, 0.0

    def backward(self) -> None:
        """Sets x.grad = d(self)/dx of every Value x that self was computed from."""
        order: list[Value] = []

        def visit(z: Value) -> None:
            if z not in order:
                for x in z.parents:
                    visit(x)
                order.append(z)  # after all of its parents

        visit(self)
        self.grad = 1.0
        for z in reversed(order):
            for x, slope in zip(z.parents, z.slopes, strict=True):
                x.grad += z.grad * slope

    def __add__(self, y):
        return Value(self.number + value(y).number, (self, value(y)), (1, 1))

    def __mul__(self, y):
        y = value(y)
        return Value(self.number * y.number, (self, y), (y.number, self.number))

    def __pow__(self, y):  # for self > 0
        x, y = self, value(y)
        z = x.number**y.number
        return Value(z, (x, y), (y.number * z / x.number, z * log(x.number)))

    def maximum(self, y):  # equals share the gradient
        share = 0.5 if self.number == y.number else float(self.number > y.number)
        return Value(max(self.number, y.number), (self, y), (share, 1 - share))

    __radd__, __rmul__ = __add__, __mul__
    __neg__ = lambda x: x * -1
    __sub__ = lambda x, y: x + -value(y)
    __rsub__ = lambda x, y: y + -x
    __truediv__ = lambda x, y: x * value(y).reciprocal()
    __rtruediv__ = lambda x, y: y * x.reciprocal()
    reciprocal = lambda x: Value(1 / x.number, (x,), (-1 / x.number**2,))
    minimum = lambda x, y: -(-x).maximum(-y)
    exp = lambda x: Value(exp(x.number), (x,), (exp(x.number),))
    log = lambda x: Value(log(x.number), (x,), (1 / x.number,))
    sin = lambda x: Value(sin(x.number), (x,), (cos(x.number),))
    tanh = lambda x: Value(tanh(x.number), (x,), (1 - tanh(x.number) ** 2,))
    sigmoid = lambda x: 1 / (1 + (-x).exp())
    relu = lambda x: Value(max(x.number, 0.0), (x,), (float(x.number > 0),))
    abs = lambda x: Value(abs(x.number), (x,), (copysign(x.number != 0, x.number),))


def value(x: Value | float) -> Value:
    """A Value as it is, a number as one without parents."""
    return x if isinstance(x, Value) else Value(x)
