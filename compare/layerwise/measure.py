"""The two tracks layer by layer: what each layer gives, what comes back to it and its parameters, and where they part first.

`trace` runs a model of either track on a batch and notes everything; `compare_traces` measures how far each array is from
torch's, in the order in which they were computed, so that the first one beyond what is allowed names the layer at fault.

Like all the tests' models, these are in no special state: `build` gives a model random numbers in every place where a fresh
one has ones and zeros, for a bias that is 0 or a variance of 1 hides many an error. torch is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

import minigrad
import models.reference
from minigrad.errors import MinigradError
from minigrad.random import Generator

Arrays = dict[str, np.ndarray]

TOLERANCE = 1e-9
"""Of the largest element, in float64."""

FLOOR = np.finfo(np.float32).eps / 2
"""Of the size of what is compared, in float32: torch's own error may be nought by luck."""


@dataclass
class Trace:
    """All numbers of one forward and backward pass, each dictionary in the order of computation."""

    outputs: Arrays  # of each layer when it is done; a second call of "name" is "name (2)"; the model's own is "logits"
    gradients: Arrays  # of the parameters, the last layer's first, then of the input
    buffers: Arrays  # after the pass
    flows: Arrays = field(default_factory=dict)  # the loss's gradient at each layer's output, under the output's name


@lru_cache(maxsize=4)
def random_state(name: str, seed: int = 0, **settings: Any) -> Arrays:
    """Random float32 numbers for all of a model: no weight of a norm is 1, no bias 0, no variance 1.

    settings: what models.create takes, hashable; num_classes is 7 unless given.
    """
    import torch

    torch.manual_seed(seed)
    random = np.random.default_rng(seed + 3)
    model = models.reference.create(name, **{"num_classes": 7, **settings})
    arrays = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    for key, value in arrays.items():
        if key.endswith("running_var"):
            value[...] = random.uniform(0.5, 1.5, value.shape)
        elif value.dtype.kind == "f":
            value += random.normal(0, 0.05, value.shape).astype(value.dtype)
    return arrays


def build(
    package: Any,
    name: str,
    dtype: Any,
    device: str = "cpu",
    state: Mapping[str, np.ndarray] | None = None,
    **settings: Any,
) -> Any:
    """The model of `models` or of `models.reference` in `state` (None: random_state's); both draw the same masks.

    dtype: np.float32 or np.float64. settings: as for random_state.
    """
    model = package.create(name, generator=Generator(5), **{"num_classes": 7, **settings})
    wrap = _framework(model).from_numpy
    state = random_state(name, **settings) if state is None else state
    model.load_state_dict({key: wrap(value) for key, value in state.items()})
    return (model.double() if dtype == np.float64 else model).to(device)


def random_batch(
    image_size: int, dtype: Any, seed: int = 0, images: int = 4, channels: int = 3, classes: int = 7
) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, C, H, W) ~ N(0, 1) and labels (N,). The numbers are float32's, so that both precisions see the same."""
    random = np.random.default_rng(seed)
    pixels = random.standard_normal((images, channels, image_size, image_size)).astype(np.float32)
    return pixels.astype(dtype), random.integers(0, classes, images)


def trace(model: Any, images: np.ndarray, target: np.ndarray, layers: bool = True) -> Trace:
    """Forward, cross-entropy, backward. layers=False sets no hooks: layers may run fused, and only results are noted."""
    framework = _framework(model)
    device = next(model.parameters()).device
    outputs: Arrays = {}
    flows: Arrays = {}

    def note(name: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            calls = 1 + sum(key.split(" ")[0] == name for key in outputs)
            call = name if calls == 1 else f"{name} ({calls})"
            # A copy, for the next layer may work in place.
            outputs[call] = output.numpy(force=True).copy()
            if output.requires_grad and layers:
                output.register_hook(lambda g: flows.update({call: g.numpy(force=True).copy()}))

        return hook

    handles = [
        module.register_forward_hook(note(name or "logits"))
        for name, module in model.named_modules()
        if layers or not name
    ]
    x = framework.from_numpy(images.copy()).to(device).requires_grad_()
    loss = framework.nn.functional.cross_entropy(model(x), framework.from_numpy(target).to(device))
    loss.backward()
    for handle in handles:
        handle.remove()
    parameters = {
        name: p.grad.numpy(force=True) for name, p in reversed(list(model.named_parameters())) if p.requires_grad
    }
    buffers = {name: b.numpy(force=True).copy() for name, b in model.named_buffers()}
    in_order = {name: flows[name] for name in reversed(outputs) if name in flows}
    return Trace(outputs, {**parameters, "input": x.grad.numpy(force=True)}, buffers, in_order)


def _framework(model: Any) -> Any:
    """The library that a model is written in."""
    if isinstance(model, minigrad.nn.Module):
        return minigrad
    import torch

    return torch


OUTPUT, FLOW, GRADIENT, BUFFER = "output", "gradient at the output", "gradient", "buffer"
GROUPS = {"outputs": (OUTPUT,), "gradients": (FLOW, GRADIENT), "buffers": (BUFFER,)}


@dataclass(frozen=True)
class Distance:
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


def compare_traces(ours: Trace, theirs: Trace, exact: Trace | None = None, times: float = 2) -> list[Distance]:
    """How far everything is from torch's: outputs as they were computed, gradients as they came back, then buffers.

    The gradient at a layer's output stands before those of its parameters, and both before those of the layer below it.

    In float64 (exact None) TOLERANCE of the largest element is allowed. In float32 `exact` is torch's float64, the errors
    are 2-norms relative to it, and `times` torch's own is allowed, plus FLOOR; for a gradient, torch's own is that of this
    array or of all gradients together, whichever is larger: a ReLU that opens or stays shut for its last digit changes
    some arrays and spares others.

    MinigradError for a layer with parameters that one track alone has, or runs.
    """
    if ours.gradients.keys() != theirs.gradients.keys() or not ours.buffers.keys() <= theirs.buffers.keys():
        raise MinigradError("the two models do not have the same parameters and buffers")
    right = theirs if exact is None else exact
    common = 0.0 if exact is None else _norm_error(theirs.gradients, exact.gradients)

    def distance(what: str, kind: str, name: str, least: float = 0.0) -> Distance:
        mine, his, best = (getattr(track, kind)[name] for track in (ours, theirs, right))
        if mine.shape != his.shape or mine.dtype != his.dtype:
            return Distance(what, name, float("inf"), 0.0)
        if exact is None:
            return Distance(what, name, _largest_error(mine, his), TOLERANCE)
        yardstick = _norm_error({name: his}, {name: best})
        allowed = times * max(yardstick, least) + float(FLOOR)
        return Distance(what, name, _norm_error({name: mine}, {name: best}), allowed, yardstick)

    names = shared(ours, theirs)
    found = [distance(OUTPUT, "outputs", name) for name in names]
    places = {key: place(key, names) for key in ours.gradients}
    # A layer that is called several times has its parameters' gradients when the first call comes back: the last to do so.
    for name in [*reversed(names), ""]:
        if name in ours.flows and name in theirs.flows:
            found.append(distance(FLOW, "flows", name, common))
        found += [distance(GRADIENT, "gradients", key, common) for key, place in places.items() if place == name]
    return found + [distance(BUFFER, "buffers", name) for name in ours.buffers]


def shared(ours: Trace, theirs: Trace) -> list[str]:
    """The layers that both tracks ran. A track may run more: a layer without parameters, or the parts of one of the other's.

    MinigradError for a layer with parameters that one track left out.
    """
    owners = {name.rpartition(".")[0] for name in ours.gradients}
    for some, others in ((ours.outputs, theirs.outputs), (theirs.outputs, ours.outputs)):
        for name in some.keys() - others.keys():
            parent = name.rpartition(".")[0]
            whole = parent in others and not any(other.startswith(f"{parent}.") for other in others)
            if name in owners and not whole:
                raise MinigradError(f"only one track runs {name}")
    return [name for name in ours.outputs if name in theirs.outputs]


def place(key: str, names: list[str]) -> str:
    """The innermost of the layers `names` that a parameter belongs to; "" if there is none, as for the input."""
    while key and key not in names:
        key = key.rpartition(".")[0]
    return key


def differences(ours: Trace, theirs: Trace, exact: Trace | None = None) -> list[str]:
    """What `compare_traces` finds too far from torch's, a line for each array; [] if all is well."""
    return [str(distance) for distance in compare_traces(ours, theirs, exact) if distance.beyond]


def _largest_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """max |ours - theirs| / max |theirs|."""
    if not ours.size:
        return 0.0
    return float(np.abs(ours - theirs).max() / (np.abs(theirs).max() or 1.0))


def _norm_error(arrays: Arrays, exact: Arrays) -> float:
    """|arrays - exact| / |exact|, all together."""
    off, size = (
        sum(float((a.astype(np.float64) ** 2).sum()) for a in some) ** 0.5
        for some in ([arrays[key] - exact[key] for key in arrays], [exact[key] for key in arrays])
    )
    return off / (size or 1.0)
