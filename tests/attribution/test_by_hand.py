"""Maps that can be worked out on paper: linear and quadratic models, class activation maps, a network that sees brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.attribution import grad_cam, input_gradient, input_times_gradient, localisation_map, saliency, smooth_grad
from tests.attribution.test_frameworks import LAYERS, pair

RANDOM = np.random.default_rng(0)
W, B = RANDOM.standard_normal((4, 3, 5, 6)), RANDOM.standard_normal(4)
X = RANDOM.standard_normal((2, 3, 5, 6))


def linear() -> nn.Module:
    """Logits W x + b."""
    layer = nn.Linear(90, 4).double()
    layer.load_state_dict({"weight": W.reshape(4, 90), "bias": B})
    return nn.Sequential(nn.Flatten(), layer)


def test_a_linear_model(device: str) -> None:
    model, x = linear().to(device), mg.tensor(X, device=device)
    classes = [3, 1]
    np.testing.assert_allclose(input_gradient(model, x, classes).numpy(force=True), W[classes], atol=1e-12)
    np.testing.assert_allclose(saliency(model, x, classes).numpy(force=True), np.abs(W[classes]).max(1), atol=1e-12)
    np.testing.assert_allclose(
        smooth_grad(model, x, classes, noise=3.0).numpy(force=True), np.abs(W[classes]).max(1), atol=1e-12
    )
    contributions = input_times_gradient(model, x, classes).numpy(force=True)
    np.testing.assert_allclose(contributions, (W[classes] * X).sum(1), atol=1e-12)
    logits = model(x).numpy(force=True)[[0, 1], classes]
    np.testing.assert_allclose(contributions.sum((1, 2)), logits - B[classes], atol=1e-12)


def test_the_predicted_class_is_meant_unless_one_is_given() -> None:
    model, x = linear(), mg.tensor(X)
    predicted = model(x).numpy(force=True).argmax(1)
    for function in (input_gradient, saliency, input_times_gradient, smooth_grad):
        np.testing.assert_array_equal(function(model, x).numpy(), function(model, x, predicted).numpy())
        others = (predicted + 1) % 4
        assert not np.allclose(function(model, x).numpy(), function(model, x, others).numpy())


class Quadratic(nn.Module):
    """S_c = c sum(x^2) / 2, whose gradient is c x."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return (x**2).flatten(1).sum(1, keepdim=True) * mg.tensor([0.0, 0.5, 1.0], dtype=mg.float64)


def test_smooth_grad_averages_over_noise_in_proportion_to_the_images_range() -> None:
    images = X * np.array([1.0, 10.0]).reshape(2, 1, 1, 1)
    drawn, generator = mg.Generator(8), mg.Generator(8)
    noise = np.mean([drawn.normal(0, 1, X.shape, np.float64) for _ in range(7)], axis=0)
    reach = (images.max((1, 2, 3)) - images.min((1, 2, 3))).reshape(2, 1, 1, 1)
    found = smooth_grad(Quadratic(), mg.tensor(images), [2, 1], 7, 0.2, generator)
    slope = np.array([2.0, 1.0]).reshape(2, 1, 1, 1) * (images + 0.2 * reach * noise)
    np.testing.assert_allclose(found.numpy(), np.abs(slope).max(1), atol=1e-12)


def test_smooth_grad_of_one_seed_is_the_same_map() -> None:
    x = mg.tensor(X)
    assert np.array_equal(smooth_grad(Quadratic(), x).numpy(), smooth_grad(Quadratic(), x).numpy())
    other = smooth_grad(Quadratic(), x, generator=mg.Generator(1)).numpy()
    assert not np.allclose(smooth_grad(Quadratic(), x).numpy(), other)


@pytest.mark.parametrize("name", LAYERS)
def test_before_an_average_and_a_linear_layer_grad_cam_is_the_class_activation_map(name: str) -> None:
    """alpha_k = W[class, k] / places, for the last maps of each of our models (Zhou et al., 2016)."""
    model, x, _, _ = pair(name)
    layer, reshape = next(iter(LAYERS[name].items()))
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda module, args, output: seen.append(output.numpy(force=True))
    )
    model.eval()(x)
    handle.remove()
    maps = seen[0].transpose(0, 3, 1, 2) if reshape else seen[0]
    weights = (model.head if name == "vit" else model.fc).weight.numpy(force=True)
    classes = [5, 2, 2]
    wanted = np.einsum("nk,nkhw->nhw", weights[classes], maps) / maps[0, 0].size
    found = localisation_map(model, x, layer, classes, reshape).numpy()
    np.testing.assert_allclose(found, np.maximum(wanted, 0), atol=1e-10 * np.abs(wanted).max())


class Bright(nn.Module):
    """Class 0: how bright the image is, over a map half its size; class 1: the opposite. The ReLU works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        bright = self.relu(self.pool(x)).mean((1, 2, 3)).unsqueeze(1)
        return mg.cat([bright, -bright], 1)


def test_a_bright_spot_is_found() -> None:
    x = np.full((1, 1, 8, 12), -1.0)
    x[0, 0, 4:6, 8:10] = 3.0  # place (2, 4) of the pooled map
    model, images = Bright(), mg.tensor(x)
    coarse = localisation_map(model, images, "pool").numpy()
    wanted = np.zeros((1, 4, 6))
    wanted[0, 2, 4] = 3 / 24 / 24  # alpha: 1 / 24 there, 0 at the other 23, so the mean is 1 / 24^2
    np.testing.assert_allclose(coarse, wanted, atol=1e-15)
    fine = grad_cam(model, images, "pool").numpy()
    assert fine.shape == (1, 8, 12) and fine.max() == 1 and fine.min() == 0
    # Between the middles of the spot and its neighbours the enlarged map falls by quarters: 9/16 at most, which becomes 1.
    line = np.array([0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 1, 0]) / 3
    np.testing.assert_allclose(fine[0, 4], line, atol=1e-15)


def test_what_nothing_speaks_for_is_a_map_of_zeros() -> None:
    x = mg.tensor(np.abs(X[:, :, :4]))
    assert not grad_cam(Bright(), x, "pool", [1, 1]).numpy().any()
    both = grad_cam(Bright(), x, "pool", [0, 1]).numpy()
    assert both[0].max() == 1 and not both[1].any()


class Blind(nn.Module):
    """Runs a layer, and says the same whatever it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1).double()
        self.fixed = nn.Parameter(mg.tensor([1.0, 2.0], dtype=mg.float64))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        self.layer(x)
        return self.fixed.expand(len(x), 2)


def test_a_model_that_does_not_look() -> None:
    x = mg.tensor(X)
    for maps in (saliency(Blind(), x), smooth_grad(Blind(), x, samples=2), grad_cam(Blind(), x, "layer")):
        assert maps.shape == (2, 5, 6) and not maps.numpy().any()


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64])
def test_types_and_empty_batches(dtype: Any) -> None:
    layers = [nn.Conv2d(3, 4, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)]
    model = nn.Sequential(*layers).to(dtype)
    for count in (0, 2):
        x = mg.tensor(X[:count], dtype=dtype)
        for maps in (saliency(model, x), smooth_grad(model, x), grad_cam(model, x, "1")):
            assert maps.shape == (count, 5, 6) and maps.dtype == dtype and not maps.requires_grad
