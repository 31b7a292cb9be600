"""Chapter 2, a scalar engine: more steps with their slopes, and the walk back without recursion."""

from __future__ import annotations

import math
from typing import Any

from minigrad.exercises.judge import exercise, expect, judges, require


@exercise
def divide(x, y):
    """z = x / y of two numbers, and its slopes: the tuple (z, dz/dx, dz/dy)."""


@judges(divide)
def _(answer: Any) -> None:
    mistakes = {
        "the slope in y is negative: a larger divisor makes less": (1.5, 0.5, 0.75),
        "the slope in y is not that of 1 / y alone: x is a factor": (1.5, 0.5, -0.25),
    }
    expect(answer(3.0, 2.0), (1.5, 0.5, -0.75), "divide(3, 2)", mistakes)


@exercise
def sigmoid(x):
    """z = 1 / (1 + e^-x) of a number, and its slope: the tuple (z, dz/dx)."""


@judges(sigmoid)
def _(answer: Any) -> None:
    for x in (0.0, 1.5, -2.0):
        z = 1 / (1 + math.exp(-x))
        mistakes = {"the slope is z (1 - z), of the output, not of the input": (z, x * (1 - x))}
        expect(answer(x), (z, z * (1 - z)), f"sigmoid({x})", mistakes)


class Node:
    """A number of a graph, as exercises see it: parents, the slope in each, and a gradient to be set."""

    def __init__(self, name: str, parents: tuple[Node, ...] = (), slopes: tuple[float, ...] = ()) -> None:
        self.name, self.parents, self.slopes, self.grad = name, parents, slopes, 0.0


@exercise
def backward(nodes):
    """Sets node.grad = d(last node) / d(node) of every node, without recursion.

    nodes: in the order in which they were made, so parents come before what is made of them. Each has node.parents,
    node.slopes (one for each parent) and node.grad, which is 0.0 at first.
    """


@judges(backward)
def _(answer: Any) -> None:
    a, b = Node("a"), Node("b")
    c = Node("c", (a, b), (2.0, 3.0))
    d = Node("d", (c, c), (5.0, 7.0))
    e = Node("e", (d, a), (1.0, 10.0))
    nodes = [a, b, c, d, e]
    answer(nodes)
    require(e.grad, "the last node's own gradient is 0; it should be 1, where the walk begins")
    require(d.grad == 1.0 and e.grad == 1.0, f"d.grad is {d.grad}, e.grad is {e.grad}; both should be 1")
    require(c.grad != 7.0, "c is used twice by d, with slopes 5 and 7: the second has replaced the first. Add them")
    require(c.grad == 12.0, f"c.grad is {c.grad}, but should be 5 + 7 = 12")
    require(a.grad != 24.0 and a.grad != 10.0, "a is used by c and by e; both bring a gradient, and they are added")
    require(a.grad == 34.0 and b.grad == 36.0, f"a.grad is {a.grad} and b.grad {b.grad}, but should be 34 and 36")
