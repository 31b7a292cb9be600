"""A trace as one page for a browser: the data, in JSON, in a template with its style and script. No network is needed."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from minigrad.tracing.beside import Beside
from minigrad.tracing.replay import Check, NotKept, is_fused, unfolded
from minigrad.tracing.steps import Node, Recording, Sent, Visit
from minigrad.tracing.values import Summary, Value
from minigrad.tracing.what_if import Doubling, doublings
from minigrad.tracing.words import formula, in_numbers

FORMAT = "minigrad trace 1"
Checks = Mapping[int, Check]
DEEPEST = 2
"""Fused nodes in the definitions of fused nodes unfold, too, down to this level."""


def page(trace: Recording, title: str, unfold: bool, checks: Checks, beside: Beside | None) -> str:
    """The page's HTML. checks: by the number of the node."""
    here = files("minigrad.tracing")
    parts = {name: here.joinpath(name).read_text("utf-8") for name in ("page.html", "page.css", "page.js")}
    data = json.dumps(payload(trace, title, unfold, checks, beside), separators=(",", ":"), allow_nan=False).replace(
        "</", "<\\/"
    )
    whole = parts["page.html"].replace("{{title}}", _escaped(title))
    return (
        whole.replace("{{style}}", parts["page.css"]).replace("{{script}}", parts["page.js"]).replace("{{data}}", data)
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def payload(trace: Recording, title: str, unfold: bool, checks: Checks, beside: Beside | None) -> dict[str, Any]:
    """Everything that the page shows."""
    data = _Graph(trace, DEEPEST if unfold else 0, checks).data()
    return {"format": FORMAT, "title": title, **data, "beside": _beside(beside)}


class _Graph:
    """One trace as data: values in a list of their own, to which steps refer by number."""

    def __init__(self, trace: Recording, depth: int, checks: Checks) -> None:
        self.trace, self.depth, self.checks = trace, depth, checks
        self.values: list[dict[str, Any]] = []
        self._known: dict[int, int] = {}
        self._leaf_number = {id(leaf): i for i, leaf in enumerate(trace.leaves)}

    def data(self) -> dict[str, Any]:
        trace = self.trace
        doubled = doublings(trace)
        return {
            "nodes": [self._node(node) for node in trace.nodes],
            "visits": [self._visit(visit, doubled.get(visit.number)) for visit in trace.visits],
            "leaves": [self._leaf(leaf) for leaf in trace.leaves],
            "values": self.values,
        }

    def value(self, x: Value) -> int:
        """The number of a value in the list."""
        if id(x) not in self._known:
            self._known[id(x)] = len(self.values)
            self.values.append(
                {**summary(x.summary), "label": x.label, "leaf": x.leaf, "by": x.producer, "out": x.output}
            )
        return self._known[id(x)]

    def _optional(self, x: Value | None) -> int | None:
        return None if x is None else self.value(x)

    def _node(self, node: Node) -> dict[str, Any]:
        said = formula(node.op)
        found: dict[str, Any] = {
            "name": node.name,
            "module": node.module,
            "line": node.line,
            "inputs": [self.value(x) if isinstance(x, Value) else {"is": _plain(x)} for x in node.inputs],
            "names": said.names,
            "outputs": [self.value(y) for y in node.outputs],
            "edges": [self._edge(edge) for edge in node.edges],
            "saved": [[what, list(shape), nbytes] for what, shape, nbytes in node.saved],
            "freed": _freed(node),
            "alive": node.alive,
            "dead": node.dead,
            "formula": said.forward,
            "numbers": in_numbers(node),
        }
        if node.number in self.checks:
            found["check"] = _check(self.checks[node.number])
        if self.depth and is_fused(node):
            found["inner"] = self._inner(node)
        return found

    def _inner(self, node: Node) -> dict[str, Any] | None:
        try:
            inner = unfolded(self.trace, node)
        except (NotKept, NotImplementedError):
            return None
        return _Graph(inner, self.depth - 1, {}).data() if len(inner.nodes) > 1 else None

    def _edge(self, edge: tuple[int, int] | Value | None) -> Any:
        return self._leaf_number[id(edge)] if isinstance(edge, Value) else edge and list(edge)

    def _visit(self, visit: Visit, doubled: Doubling | None) -> dict[str, Any]:
        return {
            "node": visit.node.number,
            "begins": visit.begins,
            "started": visit.started,
            "hooked": visit.hooked,
            "waiting": visit.waiting,
            "gradients": [self._optional(g) for g in visit.gradients],
            "arrived": [[self._sent(sent) for sent in sents] for sents in visit.arrived],
            "sent": [self._sent(sent, visit) for sent in visit.sent],
            "error": visit.error,
            "alive": visit.alive,
            "after": visit.after,
            "freed": _freed(visit),
            "doubled": doubled and doubled.data(self.trace),
        }

    def _sent(self, sent: Sent, visit: Visit | None = None) -> dict[str, Any]:
        to = {"leaf": self._edge(sent.to)} if isinstance(sent.to, Value) else {"node": sent.to, "out": sent.output}
        found = {"visit": sent.visit, "input": sent.input, "value": self.value(sent.value), **to}
        if visit is not None:
            found["formula"] = formula(visit.node.op).of_input(sent.input)
            found["numbers"] = in_numbers(visit.node, visit, sent.input)
        return found

    def _leaf(self, leaf: Value) -> dict[str, Any]:
        sent = [s for visit in self.trace.visits for s in visit.sent if s.to is leaf]
        return {
            "value": self.value(leaf),
            "gradient": self._optional(leaf.gradient),
            "arrived": [self._sent(s) for s in sent],
        }


def _beside(found: Beside | None) -> dict[str, Any] | None:
    """PyTorch's column: by node and phase, and by parameter."""
    if found is None:
        return None
    nodes: dict[int, dict[str, Any]] = {}
    leaves: dict[str, Any] = {}
    for side in found.sides:
        data = {"name": side.name, "value": summary(side.value), "difference": _figure(side.difference), "ok": side.ok}
        data["first"] = side is found.first
        if side.kind == "leaves":
            leaves[side.leaf] = data
        elif not side.leaf:
            nodes.setdefault(side.node, {})[side.kind] = data
    first = found.first and {"kind": found.first.kind, "node": found.first.node, "words": str(found.first)}
    return {"nodes": nodes, "leaves": leaves, "first": first, "compared": len(found.sides)}


def _plain(x: Any) -> Any:
    return (
        x
        if x is None or isinstance(x, (bool, str))
        else _figure(x)
        if isinstance(x, (int, float))
        else type(x).__name__
    )


def _freed(step: Node | Visit) -> list[list[Any]]:
    largest = sorted(step.freed, key=lambda held: -held.nbytes)
    return [[held.what, held.nbytes] for held in largest]


def _check(found: Check) -> dict[str, Any]:
    slopes = [
        {
            "of": s.of,
            "at": list(s.index),
            "gradient": _figure(s.gradient),
            "measured": _figure(s.measured),
            "ok": s.agrees,
        }
        for s in found.slopes
    ]
    return {"ok": found.ok, "slopes": slopes, "findings": [str(f) for f in found.findings], "notes": found.notes}


def _figure(x: Any) -> Any:
    """A number with six digits as JSON can hold it: NaN and infinities as text."""
    if isinstance(x, (bool, int)):
        return x
    value = float(x)
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def _figures(x: Any) -> Any:
    return [_figures(part) for part in x] if isinstance(x, list) else _figure(x)


def summary(x: Summary) -> dict[str, Any]:
    """A summary as data."""
    found: dict[str, Any] = {"shape": list(x.shape), "dtype": x.dtype}
    for name in ("norm", "mean", "std", "low", "high", "zeros", "nans", "infinities"):
        found[name] = _figure(getattr(x, name))
    if x.numbers is not None:
        found["numbers"] = _figures(x.numbers)
    if x.histogram:
        found["histogram"] = x.histogram
    if x.picture is not None:
        found["picture"] = {**packed(x.picture), "about": x.about}
    return found


def packed(cells: np.ndarray) -> dict[str, Any]:
    """A heat map in bytes: -127 to 127 for -scale to scale, -128 for what is no number."""
    finite = np.where(np.isfinite(cells), cells, 0).astype(np.float64)
    scale = float(np.abs(finite).max(initial=0))
    levels = np.rint(finite / scale * 127) if scale else finite
    levels = np.where(np.isfinite(cells), levels, -128).astype(np.int8)
    return {"rows": cells.shape[0], "scale": _figure(scale), "cells": base64.b64encode(levels.tobytes()).decode()}


def frame(html: str, height: int = 720) -> str:
    """The page within another one, as notebooks show it."""
    return f'<iframe srcdoc="{_escaped(html)}" style="width:100%;height:{height}px;border:0" title="minigrad trace"></iframe>'
