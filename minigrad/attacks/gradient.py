"""The gradient of a loss with respect to the images alone: the model is in eval mode and frozen meanwhile, then as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

from minigrad.attacks.losses import Loss, cross_entropy
from minigrad.autograd import enable_grad, grad
from minigrad.grad_mode import Switch
from minigrad.nn import Module
from minigrad.ops.creation import zeros_like
from minigrad.tensor import Tensor, describe

Model = Callable[[Tensor], Tensor]


class untouched(Switch):
    """Evaluation mode, and no parameter asks for a gradient; afterwards everything is as before, errors or not.

    In evaluation mode batch norm's running statistics do not move and dropout draws nothing; parameters that ask for no
    gradient get none, and nothing is kept for them. A model that is no Module but some other function of images is called
    as it is: put the modules that it is made of into evaluation mode yourself. Several threads may be within it with one
    model: what was before the first of them comes back with the last.
    """

    def __init__(self, model: Model) -> None:
        if not callable(model):
            raise TypeError(f"a model is a Module or a function of images, got a {type(model).__name__}")
        self.model = model

    def _on(self) -> list[_Change]:
        changes: list[_Change] = []
        if isinstance(self.model, Module):
            try:
                changes += [_Change(module, "training") for module in self.model.modules()]
                self.model.eval()
                changes += [_Change(parameter, "requires_grad") for parameter in self.model.parameters()]
            except BaseException:
                self._off(changes)
                raise
        return changes

    def _off(self, before: list[_Change]) -> None:
        for change in before:
            change.undo()


class _Change:
    """x.name is False from now on. Undone, it is what it was, unless others made it False meanwhile: then they put that back."""

    lock = threading.RLock()
    made: ClassVar[dict[tuple[int, str], list[_Change]]] = {}

    def __init__(self, x: Any, name: str) -> None:
        self.x, self.name = x, name
        with self.lock:
            self.before = getattr(x, name)
            setattr(x, name, False)
            self.made.setdefault((id(x), name), []).append(self)

    def undo(self) -> None:
        """Puts back what was before, or leaves that to the next who changed it."""
        with self.lock:
            changes = self.made[id(self.x), self.name]
            i = next(i for i, change in enumerate(changes) if change is self)
            del changes[i]
            if i < len(changes):
                changes[i].before = self.before
            else:
                setattr(self.x, self.name, self.before)
            if not changes:
                del self.made[id(self.x), self.name]


def check_output(logits: Any, images: Tensor | None = None) -> Tensor:
    """What a model gives, if it is a Tensor, with a row for each of `images`. ValueError otherwise."""
    if not isinstance(logits, Tensor):
        raise ValueError(f"the model gives a {type(logits).__name__}, not a minigrad.Tensor of logits (N, classes)")
    if images is not None and logits.ndim == 2 and len(logits) != len(images):
        raise ValueError(f"the model gives {describe(logits)} for {len(images)} images")
    return logits


def loss_and_gradient(
    model: Model, images: Tensor, choose: Callable[[Tensor], Tensor], loss: Loss = cross_entropy
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(logits, classes, losses, gradient) at `images`: choose(logits) names the classes (N,) whose loss is meant.

    `loss` returns a loss for each image, (N,), or one number, summed or averaged over the images. gradient (N, C, H, W) is
    the derivative of its sum; zeros where the loss does not depend on the images.
    """
    with untouched(model), enable_grad():
        x = images.detach().requires_grad_()
        logits = check_output(model(x), x)
        classes = choose(logits.detach())
        losses = loss(logits, classes)
        found: Any = grad(losses.sum(), x, allow_unused=True)[0] if losses.requires_grad else None
    return logits.detach(), classes, losses.detach(), zeros_like(x) if found is None else found
