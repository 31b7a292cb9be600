"""Saliency and Grad-CAM in PyTorch: the measure of minigrad.attribution, under the same names.

Written from the papers anew. Here the whole network is differentiated, down to the images, and the layer's gradient is
picked up on the way; minigrad's Grad-CAM begins at the layer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigrad.random import Generator  # the noise of both frameworks is drawn alike
from models.reference.attacks import at_rest


def input_gradient(model: nn.Module, images: Tensor, classes: Tensor | None = None) -> Tensor:
    """dS/dx (N, C, H, W), S the logit of each image's class; None: of the predicted one."""
    with at_rest(model), torch.enable_grad():
        x = images.detach().clone().requires_grad_()
        logits = model(x)
        one_hot = F.one_hot(logits.argmax(1) if classes is None else classes, logits.shape[1])
        return torch.autograd.grad(logits, x, one_hot.to(logits), materialize_grads=True)[0]


def saliency(model: nn.Module, images: Tensor, classes: Tensor | None = None) -> Tensor:
    """max over the channels of |dS/dx|: (N, H, W). Simonyan et al. (2014)."""
    return torch.linalg.vector_norm(input_gradient(model, images, classes), float("inf"), dim=1)


def input_times_gradient(model: nn.Module, images: Tensor, classes: Tensor | None = None) -> Tensor:
    """sum over the channels of x dS/dx: (N, H, W). Shrikumar et al. (2016)."""
    return torch.einsum("nchw,nchw->nhw", images, input_gradient(model, images, classes))


def smooth_grad(
    model: nn.Module,
    images: Tensor,
    classes: Tensor | None = None,
    samples: int = 25,
    noise: float = 0.15,
    generator: Generator | None = None,
) -> Tensor:
    """max over the channels of |mean of dS/dx over noisy copies|: (N, H, W). Smilkov et al. (2017)."""
    generator = generator or Generator(0)
    if classes is None:
        with at_rest(model), torch.no_grad():
            classes = model(images).argmax(1)
    flat = images.flatten(1)
    deviation = noise * (flat.max(1).values - flat.min(1).values).view(-1, 1, 1, 1)
    gradients = []
    for _ in range(samples):
        drawn = torch.from_numpy(generator.normal(0, 1, images.shape, images.cpu().numpy().dtype)).to(images.device)
        gradients.append(input_gradient(model, images + deviation * drawn, classes))
    return torch.linalg.vector_norm(torch.stack(gradients).mean(0), float("inf"), dim=1)


def localisation_map(
    model: nn.Module,
    images: Tensor,
    layer: str,
    classes: Tensor | None = None,
    reshape: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """relu(sum_k alpha_k A_k), alpha_k = mean over the places of dS/dA_k: (N, h, w). Selvaraju et al. (2017)."""
    outputs: list[Tensor] = []

    def keep(module: nn.Module, args: object, output: Tensor) -> Tensor:
        outputs.append(output)
        return output.clone()  # the next layer may work in place

    with at_rest(model), torch.enable_grad():
        handle = model.get_submodule(layer).register_forward_hook(keep)
        try:
            logits = model(images.detach().clone().requires_grad_())
        finally:
            handle.remove()
        if len(outputs) != 1:
            raise ValueError(f"it must run once, and it ran {len(outputs)} times")
        output = outputs[0]
        one_hot = F.one_hot(logits.argmax(1) if classes is None else classes, logits.shape[1])
        (gradient,) = torch.autograd.grad(logits, output, one_hot.to(logits), materialize_grads=True)
    maps = output.detach()
    if reshape is not None:
        maps, gradient = reshape(maps), reshape(gradient)
    if maps.dim() != 4:
        raise ValueError(f"its output must be (N, K, h, w), got {tuple(maps.shape)}")
    alpha = gradient.flatten(2).mean(2)
    return F.relu(torch.einsum("nk,nkhw->nhw", alpha, maps))


def grad_cam(
    model: nn.Module,
    images: Tensor,
    layer: str,
    classes: Tensor | None = None,
    reshape: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The localisation map, bilinearly enlarged to the image and divided by its largest number: (N, H, W) in [0, 1]."""
    coarse = localisation_map(model, images, layer, classes, reshape)
    fine = torch.stack([F.interpolate(m[None, None], images.shape[2:], mode="bilinear")[0, 0] for m in coarse])
    return torch.stack([m / m.max() if m.max() > 0 else m for m in fine])
