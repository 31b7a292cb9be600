"""The two tracks layer by layer: what each layer gives, what comes back to each parameter, and where they part first.

`trace` runs a model of either track on a batch and notes everything; `differences` lists what is not the same, in the order
in which it was computed, so that the first line names the layer at fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

import minigrad
import models
import models.reference
from minigrad.random import Generator

TOLERANCE = 1e-9
"""Of the largest element, in float64."""

FLOOR = np.finfo(np.float32).eps / 2
"""Of the size of what is compared, in float32: torch's own error may be nought by luck."""


@dataclass
class Trace:
    """All numbers of one forward and backward pass, each dictionary in the order of computation."""

    outputs: dict[str, np.ndarray]  # of each layer when it is done; a second call of "name" is "name (2)"
    gradients: dict[str, np.ndarray]  # of the parameters, the last layer's first, then of the input
    buffers: dict[str, np.ndarray]  # after the pass


@lru_cache(maxsize=4)
def state(name: str, *settings: tuple[str, Any]) -> dict[str, np.ndarray]:
    """Random float32 numbers for all of a model: no weight of a norm is 1, no bias 0, no variance 1."""
    torch.manual_seed(0)
    random = np.random.default_rng(3)
    arrays = {k: v.numpy().copy() for k, v in models.reference.create(name, 7, **dict(settings)).state_dict().items()}
    for key, value in arrays.items():
        if key.endswith("running_var"):
            value[...] = random.uniform(0.5, 1.5, value.shape)
        elif value.dtype.kind == "f":
            value += random.normal(0, 0.05, value.shape).astype(value.dtype)
    return arrays


def build(package: Any, name: str, dtype: Any, device: str = "cpu", **settings: Any) -> Any:
    """The model of `models` or `models.reference` in that state; the masks of both come from a generator of one seed."""
    model = package.create(name, 7, generator=Generator(5), **settings)
    wrap = torch.from_numpy if package is models.reference else np.asarray
    model.load_state_dict({key: wrap(value) for key, value in state(name, *settings.items()).items()})
    return (model.double() if dtype == np.float64 else model).to(device)


def batch(image_size: int, dtype: Any, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four images and their labels. The images are float32's, so that both precisions see the same."""
    random = np.random.default_rng(seed)
    images = random.standard_normal((4, 3, image_size, image_size)).astype(np.float32)
    return images.astype(dtype), random.integers(0, 7, 4)


def trace(model: Any, images: np.ndarray, target: np.ndarray, layers: bool = True) -> Trace:
    """Forward, cross-entropy, backward. layers=False sets no hooks: layers may run fused, and only results are noted."""
    framework = minigrad if isinstance(model, minigrad.nn.Module) else torch
    device = next(model.parameters()).device
    outputs: dict[str, np.ndarray] = {}

    def note(name: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            calls = 1 + sum(key.split(" ")[0] == name for key in outputs)
            # A copy, for the next layer may work in place.
            outputs[name if calls == 1 else f"{name} ({calls})"] = output.numpy(force=True).copy()

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
    parameters = {name: p.grad.numpy(force=True) for name, p in reversed(list(model.named_parameters()))}
    buffers = {name: b.numpy(force=True).copy() for name, b in model.named_buffers()}
    return Trace(outputs, {**parameters, "input": x.grad.numpy(force=True)}, buffers)


def shared(ours: Trace, theirs: Trace) -> list[str]:
    """The layers that both tracks ran. A track may run more: a layer without parameters, or the parts of one of the other's.

    AssertionError for a layer with parameters that one track left out.
    """
    owners = {name.rpartition(".")[0] for name in ours.gradients}
    for some, others in ((ours.outputs, theirs.outputs), (theirs.outputs, ours.outputs)):
        for name in some.keys() - others.keys():
            parent = name.rpartition(".")[0]
            whole = parent in others and not any(other.startswith(f"{parent}.") for other in others)
            assert name not in owners or whole, f"only one track runs {name}"
    return [name for name in ours.outputs if name in theirs.outputs]


def differences(ours: Trace, theirs: Trace, exact: Trace | None = None) -> list[str]:
    """What is not torch's: a line for each array, in the order of computation; [] if all is well.

    In float64 (exact None) an array may be TOLERANCE of its largest element off. In float32 `exact` is torch's float64:
    each layer's output, and all gradients together, may be twice as far from it as torch's own float32, by the root of
    the sum of squares.
    """
    assert ours.gradients.keys() == theirs.gradients.keys() and ours.buffers.keys() <= theirs.buffers.keys()
    found = [
        f"output of {name}: {problem}"
        for name in shared(ours, theirs)
        if (problem := _problem([name], ours.outputs, theirs.outputs, None if exact is None else exact.outputs))
    ]
    for what in ("gradients", "buffers"):
        a, b, e = getattr(ours, what), getattr(theirs, what), None if exact is None else getattr(exact, what)
        for names in [[name] for name in a] if exact is None else [list(a)]:
            if problem := _problem(names, a, b, e):
                found.append(f"{what[:-1]} of {', '.join(names)}: {problem}")
    return found


def _problem(
    names: list[str], ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], exact: dict[str, np.ndarray] | None
) -> str | None:
    """What is wrong with these arrays, taken together."""
    for name in names:
        if ours[name].shape != theirs[name].shape or ours[name].dtype != theirs[name].dtype:
            return f"{ours[name].dtype}{ours[name].shape} against torch's {theirs[name].dtype}{theirs[name].shape}"
    if exact is None:
        error = max(float(np.abs(ours[n] - theirs[n]).max() / (np.abs(theirs[n]).max() or 1.0)) for n in names)
        return None if error <= TOLERANCE else f"off by {error:.2g} of the largest element"
    size = _distance({n: exact[n] for n in names}, {n: np.zeros(()) for n in names})
    error, yardstick = _distance({n: ours[n] for n in names}, exact), _distance({n: theirs[n] for n in names}, exact)
    if error <= 2 * yardstick + FLOOR * size:
        return None
    return f"off by {error / (size or 1.0):.2g} in float32, torch by {yardstick / (size or 1.0):.2g}"


def _distance(some: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> float:
    return sum(float(((a.astype(np.float64) - others[n]) ** 2).sum()) for n, a in some.items()) ** 0.5
