"""The gradient steps of attacks as CUDA graphs: one launch where a step's forward and backward pass have a hundred."""

from __future__ import annotations

import threading
from typing import Any

from minigrad.attacks.attack import always
from minigrad.attacks.gradient import Model, loss_and_gradient
from minigrad.attacks.losses import LOSSES
from minigrad.captured import CapturedStep
from minigrad.nn import Module
from minigrad.tensor import Tensor

Look = tuple[Tensor, Tensor, Tensor, Tensor]


class captured:
    """Within it, PGD and the attacks made of it have their gradients captured, where the images are on a GPU.

        with minigrad.attacks.captured():
            for images, labels in batches:
                attack(model, images, labels)

    The model is a Module, whose Python code and hooks run in the first steps only, for each loss and kind of target; weights may
    change in place, and if they are replaced, steps are captured anew. The numbers are those of the steps as they are, bit for
    bit. The first step of an attack, which checks labels, images of another shape, losses of the user's own, and models
    that are no Module run as they are. The graphs and their memory are given back at the end.
    """

    def __init__(self) -> None:
        self._steps: dict[Any, tuple[list[Any], CapturedStep]] = {}

    def __enter__(self) -> captured:
        self._before = getattr(_thread, "graphs", None)
        _thread.graphs = self
        return self

    def __exit__(self, *exception: object) -> None:
        _thread.graphs = self._before
        for _, step in self._steps.values():
            step.close()
        self._steps.clear()

    def look(self, model: Module, x: Tensor, loss: str, classes: Tensor | None, last: bool) -> Look:
        """loss_and_gradient there; without classes that of the last class by the logits, or of the first one."""
        key, arrays = (id(model), loss, classes is None, last), _arrays(model)
        known, step = self._steps.get(key, (None, None))
        if (
            step is None
            or len(known or ()) != len(arrays)
            or any(a is not b for a, b in zip(known or (), arrays, strict=True))
        ):
            if step is not None:
                step.close()

            def function(x: Tensor, *given: Tensor) -> Look:
                choose = always(given[0]) if given else lambda logits: logits.argmin(1) if last else logits.argmax(1)
                return loss_and_gradient(model, x, choose, LOSSES[loss])

            step = CapturedStep(function)
            self._steps[key] = arrays, step
        found = step(x.detach(), *([] if classes is None else [classes]))
        return tuple([part.clone() for part in found]) if step.is_captured else found  # the next step overwrites them


_thread = threading.local()


def graphs_for(model: Model, x: Tensor, loss: Any) -> captured | None:
    """The graphs that this thread is within, if they serve such a step."""
    graphs = getattr(_thread, "graphs", None)
    served = isinstance(model, Module) and isinstance(loss, str) and loss in LOSSES and x.is_cuda
    return graphs if served else None


def _arrays(model: Module) -> list[Any]:
    """What the graph reads: the arrays of parameters and buffers."""
    return [tensor.array for tensor in (*model.parameters(), *model.buffers())]
