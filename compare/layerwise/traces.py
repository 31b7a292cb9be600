"""What each layer of a network computes, what comes back to it and its parameters, and how far that is from PyTorch's version.

`trace` runs a model of either framework on a batch and notes everything; `compare_traces` measures how far each array is from
torch's, in the order in which they were computed, so that the first one beyond what is allowed names the layer at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from compare.kit.distances import Arrays, largest_error, norm_distance
from compare.kit.frameworks import framework_of
from minigrad.errors import MinigradError

TOLERANCE = 1e-9
"""Of the largest element, in float64."""

FLOOR = np.finfo(np.float32).eps / 2
"""Of the size of what is compared, in float32: torch's own error may be nought by luck."""

WHOLE = "logits"
"""The name of the model's own output."""

Loss = Callable[[Any, Any], Any]
"""A framework's library and a model's output to a tensor of one number."""


@dataclass
class Trace:
    """All numbers of one forward and backward pass, each dictionary in the order of computation."""

    outputs: Arrays  # of each layer when it is done; a second call of "name" is "name (2)"; the model's own is WHOLE
    gradients: Arrays  # of the parameters, the last layer's first, then of the input
    buffers: Arrays  # after the pass
    flows: Arrays = field(default_factory=dict)  # the loss's gradient at each layer's output, under the output's name


def trace(model: Any, images: np.ndarray, target: np.ndarray, layers: bool = True) -> Trace:
    """Forward, cross-entropy, backward. layers=False sets no hooks: layers may run fused, and only results are noted."""

    def loss(library: Any, logits: Any) -> Any:
        return library.nn.functional.cross_entropy(logits, framework_of(model).tensor(target))

    return trace_pass(model, {"input": images}, loss, layers)


def trace_pass(model: Any, inputs: Arrays, loss: Loss, layers: bool = True) -> Trace:
    """Forward, loss, backward of a model that takes these inputs in their order; those of floats get gradients."""
    framework = framework_of(model)
    outputs: Arrays = {}
    flows: Arrays = {}

    def note(name: str, module: Any, args: Any, output: Any) -> None:
        calls = 1 + sum(key.split(" ")[0] == name for key in outputs)
        tensors = list(flat(output))
        for i, tensor in enumerate(tensors):
            call = name + f"[{i}]" * (len(tensors) > 1) + f" ({calls})" * (calls > 1)
            outputs[call] = tensor.numpy(force=True).copy()  # a copy, for the next layer may work in place
            if tensor.requires_grad and layers:
                tensor.register_hook(partial(lambda call, g: flows.update({call: g.numpy(force=True).copy()}), call))

    handles = [
        module.register_forward_hook(partial(note, name or WHOLE))
        for name, module in model.named_modules()
        if layers or not name
    ]
    tensors = [framework.tensor(array.copy()) for array in inputs.values()]
    given = [x.requires_grad_() if x.is_floating_point() else x for x in tensors]
    loss(framework.library, model(*given)).backward()
    for handle in handles:
        handle.remove()
    gradients = {name: _gradient(p) for name, p in reversed(list(model.named_parameters())) if p.requires_grad}
    gradients |= {name: _gradient(x) for name, x in zip(inputs, given, strict=True) if x.requires_grad}
    buffers = {name: b.numpy(force=True).copy() for name, b in model.named_buffers()}
    in_order = {name: flows[name] for name in reversed(outputs) if name in flows}
    return Trace(outputs, gradients, buffers, in_order)


def flat(output: Any) -> Iterator[Any]:
    """The tensors of an output, however they are nested."""
    if isinstance(output, tuple | list | dict):
        for part in output.values() if isinstance(output, dict) else output:
            yield from flat(part)
    elif hasattr(output, "register_hook"):
        yield output


def _gradient(tensor: Any) -> np.ndarray:
    """Its gradient; zeros if none came back."""
    return np.zeros_like(tensor.numpy(force=True)) if tensor.grad is None else tensor.grad.numpy(force=True)


OUTPUT, FLOW, GRADIENT, BUFFER = "output", "gradient at the output", "gradient", "buffer"
GROUPS = {"outputs": (OUTPUT,), "gradients": (FLOW, GRADIENT), "buffers": (BUFFER,)}


@dataclass(frozen=True)
class Deviation:
    """How far one array of ours is from torch's."""

    what: str  # OUTPUT of a layer; FLOW, the gradient at a layer's output; GRADIENT of a parameter or the input; BUFFER
    name: str
    error: float  # in float64, relative to the largest element; in float32, of 2-norms
    allowed: float
    yardstick: float | None = None  # in float32: torch's own error

    @property
    def beyond(self) -> bool:
        """Whether it is too far; NaN is."""
        return not self.error <= self.allowed

    def __str__(self) -> str:
        if np.isinf(self.error):
            return f"{self.what} of {self.name}: another shape or dtype than torch's, or not finite"
        if self.yardstick is None:
            return f"{self.what} of {self.name}: off by {self.error:.2g} of the largest element"
        return f"{self.what} of {self.name}: off by {self.error:.2g} in float32, torch by {self.yardstick:.2g}"


def compare_traces(ours: Trace, theirs: Trace, exact: Trace | None = None, times: float = 2) -> list[Deviation]:
    """How far everything is from torch's: outputs as they were computed, gradients as they came back, then buffers.

    The gradient at a layer's output stands before those of its parameters, and both before those of the layer below it.

    In float64 (exact None) TOLERANCE of the largest element is allowed. In float32 `exact` is torch's float64, the errors
    are 2-norms relative to it, and `times` torch's own is allowed, plus FLOOR; for a gradient, torch's own is that of this
    array or of all gradients together, whichever is larger: a ReLU that opens or stays shut for its last digit changes
    some arrays and spares others.

    MinigradError for a layer with parameters that one of the two alone has, or runs.
    """
    if ours.gradients.keys() != theirs.gradients.keys() or not ours.buffers.keys() <= theirs.buffers.keys():
        raise MinigradError("the two models do not have the same parameters and buffers")
    right = theirs if exact is None else exact
    common = 0.0 if exact is None else _apart(theirs.gradients, exact.gradients)

    def deviation(what: str, kind: str, name: str, least: float = 0.0) -> Deviation:
        mine, his, best = (getattr(one, kind)[name] for one in (ours, theirs, right))
        if mine.shape != his.shape or mine.dtype != his.dtype:
            return Deviation(what, name, float("inf"), 0.0)
        if exact is None:
            return Deviation(what, name, largest_error(mine, his), TOLERANCE)
        yardstick = norm_distance(his, best)
        allowed = times * max(yardstick, least) + float(FLOOR)
        return Deviation(what, name, norm_distance(mine, best), allowed, yardstick)

    names = shared(ours, theirs)
    found = [deviation(OUTPUT, "outputs", name) for name in names]
    places = {key: place(key, names) for key in ours.gradients}
    # A layer that is called several times has its parameters' gradients when the first call comes back: the last to do so.
    for name in [*reversed(names), ""]:
        if name in ours.flows and name in theirs.flows:
            found.append(deviation(FLOW, "flows", name, common))
        found += [deviation(GRADIENT, "gradients", key, common) for key, place in places.items() if place == name]
    return found + [deviation(BUFFER, "buffers", name) for name in ours.buffers]


def shared(ours: Trace, theirs: Trace) -> list[str]:
    """The layers that both ran. Either may run more: a layer without parameters, or the parts of one of the other's.

    MinigradError for a layer with parameters that one of them left out.
    """
    owners = {name.rpartition(".")[0] for name in ours.gradients}
    for some, others in ((ours.outputs, theirs.outputs), (theirs.outputs, ours.outputs)):
        for name in some.keys() - others.keys():
            parent = name.rpartition(".")[0]
            whole = parent in others and not any(other.startswith(f"{parent}.") for other in others)
            if name in owners and not whole:
                raise MinigradError(f"only one of the two runs {name}")
    return [name for name in ours.outputs if name in theirs.outputs]


def place(key: str, names: list[str]) -> str:
    """The innermost of the layers `names` that a parameter belongs to; "" if there is none, as for the input."""
    while key and key not in names:
        key = key.rpartition(".")[0]
    return key


def differences(ours: Trace, theirs: Trace, exact: Trace | None = None) -> list[str]:
    """What `compare_traces` finds too far from torch's, a line for each array; [] if all is well."""
    return [str(found) for found in compare_traces(ours, theirs, exact) if found.beyond]


def summary(found: Sequence[Deviation], layers: dict[str, str]) -> dict[str, Any]:
    """{"layers": {name: kind of layer}, "distances": [...], "first": {group: ...}, "agree"}, as JSON can hold it."""
    return {
        "layers": layers,
        "distances": [{**asdict(deviation), "beyond": deviation.beyond} for deviation in found],
        "first": {group: first_beyond(found, whats) for group, whats in GROUPS.items()},
        "agree": not any(deviation.beyond for deviation in found),
    }


def first_beyond(found: Sequence[Deviation], whats: Sequence[str]) -> dict[str, Any] | None:
    """The first of these sorts that is beyond what is allowed, and "after": the layer at whose output all was still right
    just before; None if there is none."""
    after = None
    for deviation in found:
        if deviation.what in whats and deviation.beyond:
            return {**asdict(deviation), "after": after}
        if deviation.what in whats and deviation.what in (FLOW, OUTPUT):
            after = deviation.name
    return None


def _apart(arrays: Arrays, exact: Arrays) -> float:
    """The distance of all arrays together."""
    return norm_distance([arrays[key] for key in exact], list(exact.values()))
