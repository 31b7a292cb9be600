"""The gradient of a loss with respect to the images alone; the model is left as it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.autograd import enable_grad, grad
from minigrad.nn import Module
from minigrad.nn import functional as F
from minigrad.ops.creation import zeros_like
from minigrad.tensor import Tensor

Model = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


@contextmanager
def untouched(model: Model) -> Iterator[None]:
    """Evaluation mode, and no parameter asks for a gradient; afterwards everything is as before, errors or not.

    In evaluation mode batch norm's running statistics do not move and dropout draws nothing; parameters that ask for no
    gradient get none, and nothing is kept for them. A model that is no Module but some other function of images is called
    as it is: put the modules that it is made of into evaluation mode yourself.
    """
    if not isinstance(model, Module):
        yield
        return
    modes = [(module, module.training) for module in model.modules()]
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in asking:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter in asking:
            parameter.requires_grad_(True)


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """-log softmax(logits)[class] of each image: (N,)."""
    return F.cross_entropy(logits, classes, reduction="none")


def loss_and_gradient(
    model: Model, images: Tensor, choose: Callable[[Tensor], Tensor], loss: Loss = cross_entropy
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(logits, classes, losses, gradient) at `images`: choose(logits) names the classes (N,) whose loss is meant.

    `loss` returns a loss for each image, (N,), or one number, summed or averaged over the images. gradient (N, C, H, W) is
    the derivative of its sum; zeros where the loss does not depend on the images.
    """
    with untouched(model), enable_grad():
        x = images.detach().requires_grad_()
        logits = model(x)
        classes = choose(logits.detach())
        losses = loss(logits, classes)
        found: Any = grad(losses.sum(), x, allow_unused=True)[0] if losses.requires_grad else None
    return logits.detach(), classes, losses.detach(), zeros_like(x) if found is None else found
