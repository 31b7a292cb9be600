"""A trace as text, 80 columns wide: the forward pass, the backward pass node by node, the gradients of the leaves."""

from __future__ import annotations

import textwrap

from minigrad.tracing.beside import Beside
from minigrad.tracing.steps import Node, Recording, Sent, Visit
from minigrad.tracing.values import Value
from minigrad.tracing.words import formula, in_numbers, number

WIDTH = 80


def text(trace: Recording, beside: Beside | None) -> str:
    """The whole trace."""
    saved = sum(nbytes for node in trace.nodes for _, _, nbytes in node.saved)
    lines = [f"forward: {len(trace.nodes)} ops, {size(saved)} saved for the gradients"]
    for node in trace.nodes:
        lines += _forward(node)
    if trace.visits:
        lines += [
            "",
            f"backward: {len(trace.visits)} steps; of the nodes that wait, the one that was made last is next",
        ]
        for visit in trace.visits:
            lines += _backward(trace, visit)
    if trace.leaves:
        lines += ["", "leaves:"]
        width = max(len(named(leaf)) for leaf in trace.leaves)
        for leaf in trace.leaves:
            lines += _wrapped(f" {named(leaf):{width}}  ", f"{_gradient(leaf)}{_sum(trace, arrivals(trace, leaf))}")
    if beside is not None:
        lines += ["", *_wrapped("", str(beside))]
    return "\n".join(lines)


def _forward(node: Node) -> list[str]:
    given = ", ".join(named(x) for x in node.inputs)
    made = ", ".join(shaped(y) for y in node.outputs)
    where = "  ".join(part for part in (node.module, node.line) if part)
    lines = _line(f" #{node.number:<3} {node.name}({given}) -> {made}", where)
    numbers = in_numbers(node)
    lines += _wrapped("      ", numbers or formula(node.op).forward)
    return lines


def _backward(trace: Recording, visit: Visit) -> list[str]:
    waiting = " ".join(f"#{n}" for n in visit.waiting[1:4]) + (" ..." if len(visit.waiting) > 4 else "")
    lines = _line(f" #{visit.node.number:<3} {visit.node.name}", f"waiting: {waiting}" if waiting else "")
    for i, gradient in enumerate(visit.gradients):
        which = f" of output {i}" if len(visit.gradients) > 1 else ""
        came = "the pass begins here" if i in visit.started else ""
        arrived = visit.arrived[i] if i < len(visit.arrived) else []
        lines += _wrapped(
            f"      in{which}: ", f"{_shown(gradient)}{_sum(trace, arrived) if arrived else ''}  {came}".rstrip()
        )
    for sent in visit.sent:
        to = named(sent.to) if isinstance(sent.to, Value) else trace.nodes[sent.to].label
        numbers = in_numbers(visit.node, visit, sent.input) or formula(visit.node.op).of_input(sent.input)
        lines += _wrapped(f"      to {to}: ", f"{shaped(sent.value)}  {numbers}".rstrip())
    if visit.error:
        lines += _wrapped("      failed: ", visit.error)
    if visit.freed:
        lines.append(f"      frees {size(sum(held.nbytes for held in visit.freed))}")
    return lines


def arrivals(trace: Recording, leaf: Value) -> list[Sent]:
    """Everything that was sent to a leaf."""
    return [sent for visit in trace.visits for sent in visit.sent if sent.to is leaf]


def _gradient(leaf: Value) -> str:
    return "no gradient" if leaf.gradient is None else shaped(leaf.gradient)


def _sum(trace: Recording, arrived: list[Sent]) -> str:
    """ " = 0.3 by Linear #5 + 0.07 by Add #3", for a gradient that is a sum; norms stand between bars."""
    if len(arrived) < 2:
        return ""
    parts = [f"{_shown(sent.value)} by {trace.visits[sent.visit].node.label}" for sent in arrived]
    return " = " + " + ".join([parts[0], *[f"({part})" if part.startswith("-") else part for part in parts[1:]]])


def _shown(x: Value | None) -> str:
    """One number as it is; an array by its norm."""
    if x is None:
        return "0"
    return number(_only(x)) if x.summary.size == 1 else f"|{number(x.summary.norm)}|"


def shaped(x: Value) -> str:
    """A value in a few characters: the number, or shape and norm."""
    return number(_only(x)) if x.summary.size == 1 else f"{list(x.shape)} |{number(x.summary.norm)}|"


def _only(x: Value) -> float:
    return x.summary.mean if not (x.summary.nans or x.summary.infinities) else x.summary.norm


def named(x: object) -> str:
    """What an input is called: its name, the node that made it, or the number that it is."""
    if not isinstance(x, Value):
        return number(x) if isinstance(x, (int, float)) else type(x).__name__ if x is not None else "None"
    return x.label or (f"#{x.producer}" if x.producer is not None else list(x.shape).__repr__())


def size(nbytes: int) -> str:
    """Bytes for people."""
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= power:
            return f"{nbytes / power:.3g} {unit}"
    return f"{nbytes} bytes"


def _line(left: str, right: str) -> list[str]:
    if len(left) + len(right) + 2 <= WIDTH:
        return [left + right.rjust(WIDTH - len(left)) if right else left]
    return [*_wrapped("", left), right.rjust(WIDTH)[-WIDTH:]] if right else _wrapped("", left)


def _wrapped(start: str, words: str) -> list[str]:
    return textwrap.wrap(
        start + words, WIDTH, subsequent_indent=" " * min(len(start) - len(start.lstrip()) + 2, 12) or "      ",
        drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip
