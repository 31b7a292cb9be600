"""The same step of a network in PyTorch, beside a trace: what each layer gives, the gradient that comes to it, every parameter's.

    with mg.trace() as t:
        F.cross_entropy(model(images), labels).backward()
    t.beside(torch_model, lambda: torch.nn.functional.cross_entropy(torch_model(x), y).backward())
    print(t.besides)

Layers are matched by name: the modules without children, in the order of their calls. Where one op runs several of them
(convolution, ReLU and pool), its result is that of the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.device import CPU, to_device
from minigrad.tracing.steps import Node, Recording
from minigrad.tracing.values import Summary, Value, summarise

TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2}
"""How far arrays of a type may be apart, of the largest element, and count as the same."""


@dataclass
class Side:
    """One array of the trace beside PyTorch's."""

    kind: str
    """"forward", a layer's result; "backward", the gradient that comes to it; "leaves", a parameter or its gradient."""
    name: str
    """"the result of fc", ..."""
    node: int
    """The number of the node that it belongs to."""
    leaf: str
    """The parameter's name, or ""."""
    value: Summary
    """PyTorch's array."""
    difference: float
    """max |a - b| / max |b|; infinity for other shapes, or where only one has NaN."""
    ok: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.difference:.3g} of the largest element apart"


@dataclass
class Beside:
    """All that was compared, in the order of computation."""

    sides: list[Side] = field(default_factory=list)

    @property
    def first(self) -> Side | None:
        """The first that differs by more than rounding."""
        return next((side for side in self.sides if not side.ok), None)

    def __str__(self) -> str:
        found = "none differs" if self.first is None else f"the first that differs is {self.first}"
        return f"beside PyTorch: {len(self.sides)} arrays compared, {found}"


def beside(trace: Recording, model: Any, step: Callable[[], Any], tolerance: float | None) -> Beside:
    """Runs PyTorch's step (forward and backward) and compares. The model's gradients are set to None before it.

    ValueError where nothing could be matched by name.
    """
    before = {name: _host(p).copy() for name, p in model.named_parameters()}
    model.zero_grad()
    calls = _watched(model, step)
    found = Beside([*_parameters(trace, before, tolerance), *_results(trace, calls, tolerance)])
    found.sides += _gradients(trace, calls, dict(model.named_parameters()), tolerance)
    if not found.sides:
        raise ValueError("no layer and no parameter of the trace has the name of one of the PyTorch model's")
    return found


@dataclass
class _Call:
    """One call of a module of PyTorch's."""

    result: np.ndarray
    gradient: np.ndarray | None = None


def _host(x: Any) -> np.ndarray:
    return x.detach().cpu().numpy()


def _watched(model: Any, step: Callable[[], Any]) -> dict[str, list[_Call]]:
    """What each module without children gives, call by call, and the gradients that come to it."""
    calls: dict[str, list[_Call]] = {}

    def hook_of(name: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            if not hasattr(output, "detach"):
                return
            call = _Call(_host(output).copy())  # a copy: the next layer may work in place
            calls.setdefault(name, []).append(call)
            if output.requires_grad:
                output.register_hook(lambda g: setattr(call, "gradient", _host(g).copy()))

        return hook

    handles = [m.register_forward_hook(hook_of(name)) for name, m in model.named_modules() if not list(m.children())]
    try:
        step()
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _last_module(module: str) -> str:
    """ "features.2" of "features.0-2", which ran as one."""
    return re.sub(r"[^.]+-([^.-]+)$", r"\1", module)


def _matched(trace: Recording, calls: dict[str, list[_Call]]) -> Iterator[tuple[Node, str, _Call]]:
    """The nodes that give a layer's result, with PyTorch's call."""
    runs: dict[str, list[Node]] = {}
    for node, following in zip(trace.nodes, [*trace.nodes[1:], None], strict=True):
        if node.module and (following is None or following.module != node.module):
            runs.setdefault(_last_module(node.module), []).append(node)
    pairs = [
        (node, name, call)
        for name, nodes in runs.items()
        if len(nodes) == len(calls.get(name, ()))
        for node, call in zip(nodes, calls[name], strict=True)
    ]
    return iter(sorted(pairs, key=lambda pair: pair[0].number))


def _results(trace: Recording, calls: dict[str, list[_Call]], tolerance: float | None) -> Iterator[Side]:
    for node, name, call in _matched(trace, calls):
        yield from _side("forward", f"the result of {name}", node.number, "", node.outputs[0], call.result, tolerance)


def _parameters(trace: Recording, theirs: dict[str, np.ndarray], tolerance: float | None) -> Iterator[Side]:
    """The parameters themselves: where these differ, all else does."""
    for node in trace.nodes:
        for x in node.inputs:
            if isinstance(x, Value) and x.label in theirs:
                yield from _side(
                    "forward", f"the parameter {x.label}", node.number, x.label, x, theirs[x.label], tolerance
                )


def _gradients(
    trace: Recording, calls: dict[str, list[_Call]], parameters: dict[str, Any], tolerance: float | None
) -> Iterator[Side]:
    """In the order of the backward pass: what comes to each layer, then the gradients of its parameters."""
    matched = {node.number: (name, call) for node, name, call in _matched(trace, calls)}
    last = {id(sent.to): visit for visit in trace.visits for sent in visit.sent if isinstance(sent.to, Value)}
    for visit in trace.visits:
        number = visit.node.number
        name, call = matched.get(number, ("", None))
        came = visit.gradients[0]
        if call is not None and call.gradient is not None and came is not None:
            yield from _side("backward", f"the gradient at {name}", number, "", came, call.gradient, tolerance)
        for leaf in trace.leaves:
            theirs = getattr(parameters.get(leaf.label), "grad", None)
            if last.get(id(leaf)) is visit and leaf.gradient is not None and theirs is not None:
                what = f"the gradient of {leaf.label}"
                yield from _side("leaves", what, number, leaf.label, leaf.gradient, _host(theirs), tolerance)


def _side(
    kind: str, name: str, node: int, leaf: str, ours: Value, theirs: np.ndarray, tolerance: float | None
) -> Iterator[Side]:
    if ours.array is None:
        return
    allowed = TOLERANCES.get(ours.summary.dtype, 1e-4) if tolerance is None else tolerance
    difference = apart(to_device(ours.array, CPU), theirs)
    yield Side(kind, name, node, leaf, summarise(theirs), difference, difference <= allowed)


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """max |a - b| / max |b|, NaN beside NaN being equal; infinity where they cannot be compared."""
    if ours.shape != theirs.shape:
        return np.inf
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    if not np.array_equal(np.isnan(a), np.isnan(b)) or not np.array_equal(np.isinf(a), np.isinf(b)):
        return np.inf
    finite = np.isfinite(b)
    largest = float(np.abs(b[finite]).max(initial=0))
    gap = float(np.abs(a[finite] - b[finite]).max(initial=0))
    return gap / largest if largest else (0.0 if gap == 0 else np.inf)
