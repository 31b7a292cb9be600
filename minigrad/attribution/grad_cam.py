"""Grad-CAM: at which places of a layer's maps a class is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.attacks.gradient import untouched
from minigrad.attribution.gradients import check_images, chosen, kind, logit_of
from minigrad.autograd import enable_grad, grad, no_grad
from minigrad.errors import did_you_mean
from minigrad.nn import Module
from minigrad.nn import functional as F
from minigrad.ops.creation import zeros_like
from minigrad.tensor import Tensor

Reshape = Callable[[Tensor], Tensor]


def localisation_map(
    model: Module, images: Tensor, layer: str | Module, classes: Any = None, reshape: Reshape | None = None
) -> Tensor:
    """relu(sum_k alpha_k A_k), alpha_k = mean over the places of dS/dA_k: (N, h, w), at the layer's own resolution.

    A (N, K, h, w) is what the layer gives, S the logit of the class. alpha_k says how much map k speaks for the class; the
    ReLU keeps the places that do. Where nothing but an average over the places and a linear layer W comes after A,
    alpha_k = W[class, k] / (h w): the class activation map of B. Zhou et al. (2016).

    Args:
        model: images (N, C, H, W) -> logits (N, classes). It is looked at in evaluation mode and left as it was found.
        images: floating-point (N, C, H, W), as the network takes them.
        layer: a module of the model, or its name: usually the last before the places are averaged away. Any module that
            runs once and whose output is a Tensor will do.
        classes: (N,) integers, whose logits; None: of each image the class that the model predicts.
        reshape: brings an output that is no (N, K, h, w) into that shape: for tokens (N, h, w, K)
            `lambda tokens: tokens.permute(0, 3, 1, 2)`.

    Raises:
        ValueError: images or classes are not as above; there is no such layer, it does not run once, or its output (after
            reshape) is no floating-point (N, K, h, w).

    Source: R. Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization (2017), 3.
    """
    check_images(images)
    maps, gradient = _maps_and_gradient(model, images.detach(), _find(model, layer), classes)
    with no_grad():
        if reshape is not None:
            maps, gradient = reshape(maps), reshape(gradient)
        if maps.ndim != 4 or len(maps) != len(images):
            raise ValueError(
                f"the layer's output must be (N, K, h, w), got {kind(maps)}: reshape brings tokens into that shape"
            )
        alpha = gradient.mean((2, 3), keepdim=True)
        return (alpha * maps).sum(1).relu()


def grad_cam(
    model: Module, images: Tensor, layer: str | Module, classes: Any = None, reshape: Reshape | None = None
) -> Tensor:
    """The localisation map, enlarged to the image (bilinearly) and divided by its largest number: (N, H, W) in [0, 1].

    All zeros where nothing in the layer speaks for the class. Arguments, errors and source are those of `localisation_map`.
    """
    coarse = localisation_map(model, images, layer, classes, reshape)
    with no_grad():
        fine = F.interpolate(coarse.unsqueeze(1), images.shape[2:], mode="bilinear", align_corners=False).squeeze(1)
        peak = fine.amax((1, 2), keepdim=True)
        return fine / peak.where(peak != 0, 1.0)


def _find(model: Module, layer: str | Module) -> Module:
    """The module that `layer` is or names. ValueError, with the names that there are, for an unknown one."""
    if isinstance(layer, Module):
        return layer
    modules = {name: module for name, module in model.named_modules() if name}
    if layer not in modules:
        raise ValueError(
            f"the model has no layer {layer!r}: it has {', '.join(modules)}{did_you_mean(str(layer), modules)}"
        )
    return modules[layer]


def _maps_and_gradient(model: Module, images: Tensor, layer: Module, classes: Any) -> tuple[Tensor, Tensor]:
    """What the layer gives, and dS of it, both of one shape. Nothing below the layer is differentiated."""
    seen: list[Tensor] = []

    def begin_here(module: Module, args: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.dtype.kind != "f":
            raise ValueError(f"the layer's output must be a floating-point Tensor (N, K, h, w), got {kind(output)}")
        seen.append(output.detach().requires_grad_())
        return seen[-1].clone()  # the next layer may work in place

    with untouched(model), enable_grad():
        handle = layer.register_forward_hook(begin_here)
        try:
            logits = model(images)
        finally:
            handle.remove()
        if len(seen) != 1:
            raise ValueError(f"the layer must run once in the model's forward, and it ran {len(seen)} times")
        score = logit_of(logits, chosen(classes, logits)).sum()
        gradient: Any = grad(score, seen[0], allow_unused=True)[0] if score.requires_grad else None
    maps = seen[0].detach()
    return maps, zeros_like(maps) if gradient is None else gradient
