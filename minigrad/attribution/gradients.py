"""Maps of the gradient of a class's logit with respect to the image.

N images x of shape (C, H, W); S(x) is the logit of the class in question, before any softmax. The model is looked at in
evaluation mode and left as it was found (`minigrad.attacks.untouched`).
"""

from __future__ import annotations

from typing import Any

from minigrad.attacks.amounts import integer, size
from minigrad.attacks.attack import check_classes
from minigrad.attacks.gradient import Model, loss_and_gradient, untouched
from minigrad.grad_mode import no_grad
from minigrad.ops.creation import from_numpy, zeros_like
from minigrad.random import Generator
from minigrad.tensor import Tensor, describe


def input_gradient(model: Model, images: Tensor, classes: Any = None) -> Tensor:
    """dS/dx: by how much the logit changes with each number of the image. (N, C, H, W), zeros where it does not.

    Args:
        model: images (N, C, H, W) -> logits (N, classes).
        images: floating-point (N, C, H, W), as the network takes them.
        classes: (N,) integers, whose logits; None: of each image the class that the model predicts.

    Raises:
        ValueError: images are not floating-point (N, C, H, W), or classes not N integers that the model has.
    """
    check_images(images)
    return loss_and_gradient(model, images, lambda logits: chosen(classes, logits), logit_of)[3]


def saliency(model: Model, images: Tensor, classes: Any = None) -> Tensor:
    """max over the channels of |dS/dx|: (N, H, W). Arguments and errors are those of `input_gradient`.

    Source: K. Simonyan et al., Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency
    Maps (2014), 3.1.
    """
    return input_gradient(model, images, classes).abs().amax(1)


def input_times_gradient(model: Model, images: Tensor, classes: Any = None) -> Tensor:
    """The sum over the channels of x dS/dx: (N, H, W), with signs. Arguments and errors are those of `input_gradient`.

    What each pixel contributes if S were linear: the map then adds up to S less its bias. It is measured from x = 0, which
    in normalised images is not black but the mean colour.

    Source: A. Shrikumar et al., Not Just a Black Box (2016), 2.
    """
    gradient = input_gradient(model, images, classes)
    with no_grad():
        return (images * gradient).sum(1)


def smooth_grad(
    model: Model,
    images: Tensor,
    classes: Any = None,
    samples: int = 25,
    noise: float = 0.15,
    generator: Generator | None = None,
) -> Tensor:
    """The saliency (N, H, W) of the mean of dS/dx over noisy copies of the image: max over the channels of its magnitude.

    A single gradient flickers from pixel to pixel; what stays of it in the neighbourhood is what this shows. Further
    arguments and errors are those of `input_gradient`; a class that is not given is chosen on the images without noise.

    Args:
        samples: how many copies, at least 1; each costs a forward and a backward pass.
        noise: the normal noise's standard deviation, in the image's range from its least number to its largest.
        generator: where the noise comes from; None: one that starts at seed 0, so that two calls are alike.

    Source: D. Smilkov et al., SmoothGrad: removing noise by adding noise (2017), 3.
    """
    check_images(images)
    samples, deviations = integer("samples", samples), size("noise", noise)
    if isinstance(deviations, tuple):
        raise ValueError(f"noise must be one number, got {deviations}")
    generator = generator or Generator(0)
    with no_grad():
        with untouched(model):
            classes = chosen(classes, model(images.detach()))
        deviation = deviations * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
        total = zeros_like(images)
        for _ in range(samples):
            drawn = from_numpy(generator.normal(0, 1, images.shape, images.dtype)).to(images.device)
            total = total + input_gradient(model, images + deviation * drawn, classes)
        return (total / samples).abs().amax(1)


def check_images(images: Tensor) -> None:
    """ValueError unless these are floating-point (N, C, H, W)."""
    if not isinstance(images, Tensor) or images.ndim != 4 or images.dtype.kind != "f":
        raise ValueError(f"images must be a floating-point Tensor (N, C, H, W), got {kind(images)}")


def kind(value: Any) -> str:
    """A tensor by its type and shape, anything else by the name of its class."""
    return describe(value) if isinstance(value, Tensor) else type(value).__name__


def chosen(classes: Any, logits: Tensor) -> Tensor:
    """The classes (N,) in question: those given, or the predicted ones."""
    return logits.detach().argmax(1) if classes is None else check_classes(classes, logits, "classes")


def logit_of(logits: Tensor, classes: Tensor) -> Tensor:
    """S of each image: (N,)."""
    return logits.gather(1, classes.unsqueeze(1)).squeeze(1)
