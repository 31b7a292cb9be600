"""minigrad's maps and PyTorch's, from the same random weights: every model, inner layers, given and predicted classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
import models
import models.reference
from compare.layerwise.networks import build
from minigrad import attribution
from models.reference import attribution as reference


def as_maps(tokens: Any) -> Any:
    """(N, h, w, K) to (N, K, h, w)."""
    return tokens.permute(0, 3, 1, 2)


SMALL_VIT = {
    "image_size": 32,
    "patch_size": 8,
    "dim": 24,
    "depth": 2,
    "heads": 2,
    "window_size": 2,
    "window_blocks": (0,),
}
GRADIENTS = ["input_gradient", "saliency", "input_times_gradient", "smooth_grad"]
LAYERS: dict[str, dict[str, Any]] = {  # behind most of these comes a ReLU that works in place
    "simplenet": {"features": None, "features.12": None, "features.0": None, "features.13": None},
    "simplenet-bn": {"features": None, "features.14": None, "features.18": None},
    "resnet18": {"layer4": None, "layer3": None, "layer2.0.conv1": None, "layer4.1.bn2": None, "bn1": None},
    "vit": {"norm": as_maps, "blocks.1": as_maps, "blocks.0.norm1": as_maps, "patch_embed": None},
}


def pair(name: str, device: str = "cpu", size: tuple[int, int] = (32, 32)) -> tuple[Any, Any, Any, Any]:
    """(our model, our images, torch's model, torch's images), in training mode, float64."""
    settings = SMALL_VIT if name == "vit" else {}
    ours, theirs = (build(package, name, np.float64, **settings) for package in (models, models.reference))
    x = np.random.default_rng(1).standard_normal((3, 3, *size))
    return ours.to(device), mg.tensor(x, device=device), theirs, torch.from_numpy(x)


def assert_close(found: Any, wanted: Any) -> None:
    """To 1e-9 of the largest number, of each image by itself."""
    a, b = found.numpy(force=True), wanted.numpy()
    assert a.shape == b.shape and a.dtype == b.dtype
    assert b.any(), "maps of zeros alone prove nothing"
    for ours, theirs in zip(a, b, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-9 * np.abs(theirs).max()


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", GRADIENTS)
@pytest.mark.parametrize("classes", [None, [6, 0, 3]])
def test_gradients(name: str, kind: str, classes: Any) -> None:
    model, x, their_model, their_x = pair(name)
    options = {"samples": 2} if kind == "smooth_grad" else {}
    found = getattr(attribution, kind)(model, x, classes, **options)
    their_classes = None if classes is None else torch.tensor(classes)
    assert_close(found, getattr(reference, kind)(their_model, their_x, their_classes, **options))


@pytest.mark.parametrize(("name", "layer"), [(name, layer) for name, layers in LAYERS.items() for layer in layers])
@pytest.mark.parametrize("kind", ["localisation_map", "grad_cam"])
def test_grad_cam(name: str, layer: str, kind: str) -> None:
    model, x, their_model, their_x = pair(name)
    reshape = LAYERS[name][layer]
    wanted = getattr(reference, kind)(their_model, their_x, layer, torch.tensor([6, 0, 3]), reshape)
    assert_close(getattr(attribution, kind)(model, x, layer, [6, 0, 3], reshape), wanted)
    module = model.get_submodule(layer)
    assert_close(getattr(attribution, kind)(model, x, module, mg.tensor([6, 0, 3]), reshape), wanted)
    predicted = getattr(reference, kind)(their_model, their_x, layer, reshape=reshape)
    assert_close(getattr(attribution, kind)(model, x, layer, reshape=reshape), predicted)


@pytest.mark.parametrize("size", [(33, 47), (20, 64)])
def test_images_of_any_size(size: tuple[int, int], device: str) -> None:
    model, x, their_model, their_x = pair("simplenet", device, size)
    found = attribution.grad_cam(model, x, "features.12")
    assert found.device == x.device
    assert_close(found, reference.grad_cam(their_model, their_x, "features.12"))
    assert_close(attribution.saliency(model, x), reference.saliency(their_model, their_x))


@pytest.mark.parametrize("name", ["simplenet-bn", "vit"])
def test_devices(name: str, device: str) -> None:
    model, x, their_model, their_x = pair(name, device)
    layer, reshape = next(iter(LAYERS[name].items()))
    assert_close(
        attribution.grad_cam(model, x, layer, [1, 2, 3], reshape),
        reference.grad_cam(their_model, their_x, layer, torch.tensor([1, 2, 3]), reshape),
    )
    assert_close(
        attribution.smooth_grad(model, x, samples=2, generator=mg.Generator(4)),
        reference.smooth_grad(their_model, their_x, samples=2, generator=mg.Generator(4)),
    )


def test_the_definitions_lead_to_the_same_maps() -> None:
    model, x, _, _ = pair("simplenet-bn")
    with mg.definitions():
        maps = attribution.saliency(model, x), attribution.grad_cam(model, x, "features.9")
    for found, wanted in zip(
        maps, (attribution.saliency(model, x), attribution.grad_cam(model, x, "features.9")), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-12)


def test_every_model_is_here() -> None:
    assert set(LAYERS) == set(models.MODELS)
