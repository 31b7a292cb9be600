"""ResNet-18: torchvision's keys, initialisation, values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import minigrad
import models
import models.reference
from minigrad.nn.functional import cross_entropy

torch.set_num_threads(1)


def torchvisions(num_classes: int = 7) -> torch.nn.Module:
    """torchvision's own resnet18, in float64, its running statistics away from their start."""
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=num_classes).double()
    for key, value in theirs.state_dict().items():
        if "running" in key:
            value.uniform_(0.5, 1.5)
    return theirs


def twins(device: str = "cpu") -> tuple[Any, torch.nn.Module]:
    theirs = torchvisions()
    ours = models.create("resnet18", 7).double()
    minigrad.load_torch_state_dict(ours, theirs.state_dict())
    return ours.to(device), theirs


@pytest.mark.parametrize("package", [models, models.reference])
def test_keys_shapes_and_their_order_are_torchvisions(package: Any) -> None:
    expected = torchvision.models.resnet18(num_classes=100)
    model = package.create("resnet18", 100)
    assert [(key, tuple(value.shape)) for key, value in model.state_dict().items()] == [
        (key, tuple(value.shape)) for key, value in expected.state_dict().items()
    ]
    assert [key for key, _ in model.named_parameters()] == [key for key, _ in expected.named_parameters()]
    assert [key for key, _ in model.named_modules() if key != "flatten"] == [k for k, _ in expected.named_modules()]
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_227_812


@pytest.mark.parametrize("package", [models, models.reference])
@pytest.mark.parametrize("channels", [1, 3])
def test_initialisation(package: Any, channels: int) -> None:
    """Convolutions from N(0, 2/fan_out), batch norms the identity, the head from U(+-1/sqrt(512))."""
    minigrad.manual_seed(3)
    torch.manual_seed(3)
    model = package.create("resnet18", 100, channels)
    assert tuple(model.conv1.weight.shape) == (64, channels, 7, 7)
    for key, parameter in model.named_parameters():
        values = parameter.detach().numpy()
        if values.ndim == 4:
            std = np.sqrt(2 / (values.shape[0] * values.shape[2] * values.shape[3]))
            assert abs(values.std() / std - 1) < 5 / np.sqrt(2 * values.size), key
            assert abs(values.mean()) < 5 * std / np.sqrt(values.size), key
            assert np.abs(values).max() > 2.5 * std, key  # normal, not uniform
        elif key.startswith("fc."):
            bound = 1 / np.sqrt(512)
            assert 0.9 * bound < np.abs(values).max() <= bound, key
        else:
            assert (values == (1 if key.endswith("weight") else 0)).all(), key


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_logits_gradients_and_statistics_are_torchvisions(training: bool, device: str) -> None:
    """Of images that are no square and that no stride divides; 1e-9 of the largest number of each array."""
    ours, theirs = twins(device)
    ours.train(training)
    theirs.train(training)
    random = np.random.default_rng(1)
    images, labels = random.standard_normal((4, 3, 35, 46)), random.integers(0, 7, 4)
    x = minigrad.tensor(images, device=device, requires_grad=True)
    logits = ours(x)
    cross_entropy(logits, minigrad.tensor(labels, device=device)).backward()
    expected_x = torch.from_numpy(images).requires_grad_()
    expected_logits = theirs(expected_x)
    torch.nn.functional.cross_entropy(expected_logits, torch.from_numpy(labels)).backward()

    arrays = {"logits": (logits, expected_logits), "x.grad": (x.grad, expected_x.grad)}
    expected = dict(theirs.named_parameters())
    arrays.update({key: (value.grad, expected[key].grad) for key, value in ours.named_parameters()})
    expected = dict(theirs.named_buffers())
    arrays.update({key: (value, expected[key]) for key, value in ours.named_buffers()})
    assert len(arrays) == 2 + 122
    for key, (found, wanted) in arrays.items():
        wanted = wanted.detach().numpy()
        assert np.abs(found.numpy(force=True) - wanted).max() <= 1e-9 * np.abs(wanted).max(), key
