"""SimpleNet and SimpleNet-BN: RECIPE's figures, torch's keys, and the two frameworks compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minigrad
import models
import models.reference
from minigrad.errors import OptionError

torch.set_num_threads(1)

PARAMETERS = {"simplenet": 365_028, "simplenet-bn": 366_692}
NAMES = list(PARAMETERS)
CONVOLUTIONS = {0, 3, 5, 7, 10, 12, 14}  # of SimpleNet's features


def twins(name: str, num_classes: int = 10, channels: int = 3, seed: int = 0) -> tuple:
    """The minigrad model and its PyTorch version with the same weights, batch norm's statistics away from their start."""
    torch.manual_seed(seed)
    reference = models.reference.create(name, num_classes, channels)
    for key, value in reference.state_dict().items():
        if "running" in key:
            value.uniform_(0.5, 1.5)
    ours = models.create(name, num_classes, channels)
    state = reference.state_dict()
    ours.load_state_dict({key: minigrad.from_numpy(value.numpy().copy()) for key, value in state.items()})
    return ours, reference


@pytest.mark.parametrize("package", [models, models.reference])
def test_an_unknown_model_lists_the_known_ones(package) -> None:
    with pytest.raises(
        OptionError, match="unknown model 'resnet1000' .did you mean resnet18.*: there are simplenet, simplenet-bn"
    ):
        package.create("resnet1000", 10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("package", [models, models.reference])
def test_parameters(package, name: str) -> None:
    assert sum(parameter.numel() for parameter in package.create(name, 100).parameters()) == PARAMETERS[name]


def test_multiply_adds_of_an_image() -> None:
    total = 0

    def count(module, inputs, output) -> None:
        nonlocal total
        total += module.weight.numel() * (output[0, 0].numel() if output.ndim == 4 else 1)

    network = models.reference.create("simplenet", 100)
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count)
    network(torch.zeros(1, 3, 128, 128))
    assert round(total / 1e6, 1) == 160.2


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_shapes_are_the_same_in_the_same_order(name: str) -> None:
    ours, reference = twins(name)
    found = [(key, tuple(value.shape), str(value.numpy().dtype)) for key, value in ours.state_dict().items()]
    assert found == [(key, tuple(v.shape), str(v.numpy().dtype)) for key, v in reference.state_dict().items()]
    if name == "simplenet":
        weights = {int(key.split(".")[1]) for key, _, _ in found if key.startswith("features")}
        assert weights == CONVOLUTIONS and found[-2][0] == "fc.weight"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(28, 28), (33, 20), (8, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_are_the_twins(name: str, size: tuple[int, int], channels: int) -> None:
    ours, reference = twins(name, channels=channels)
    images = np.random.default_rng(1).normal(size=(3, channels, *size)).astype(np.float32)
    ours.eval()
    reference.eval()
    with minigrad.no_grad(), torch.no_grad():
        found = ours(minigrad.from_numpy(images)).numpy()
        expected = reference(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("definitions", [False, True])
def test_gradients_and_statistics_are_the_twins(name: str, definitions: bool) -> None:
    """In float64, one training step: the loss, every gradient and every buffer, within 1e-10 relative."""
    ours, reference = twins(name)
    ours.double()
    reference.double()
    rng = np.random.default_rng(2)
    images, labels = rng.normal(size=(4, 3, 24, 20)), rng.integers(0, 10, 4)
    if definitions:
        with minigrad.definitions():
            loss = minigrad.nn.CrossEntropyLoss()(ours(minigrad.from_numpy(images)), minigrad.from_numpy(labels))
            loss.backward()
    else:
        loss = minigrad.nn.CrossEntropyLoss()(ours(minigrad.from_numpy(images)), minigrad.from_numpy(labels))
        loss.backward()
    expected = torch.nn.CrossEntropyLoss()(reference(torch.from_numpy(images)), torch.from_numpy(labels))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for (key, mine), theirs in zip(ours.named_parameters(), reference.parameters(), strict=True):
        gradient = theirs.grad.numpy()
        difference = np.abs(mine.grad.numpy() - gradient).max() / np.abs(gradient).max()
        assert difference < 1e-10, (key, difference)
    for (key, mine), theirs in zip(ours.named_buffers(), reference.buffers(), strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-10, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_one_start(name: str) -> None:
    def start(seed: int) -> list[bytes]:
        minigrad.manual_seed(seed)
        return [value.numpy().tobytes() for value in models.create(name, 10).state_dict().values()]

    assert start(1) == start(1)
    assert start(1) != start(2)


def test_initialisation_is_torchs() -> None:
    """Weights and biases U(+-1/sqrt(fan_in)): the bounds are kept, and the spread is that of the distribution."""
    minigrad.manual_seed(0)
    parameters = {key: value.numpy() for key, value in models.create("simplenet", 100).state_dict().items()}
    for key, weight in parameters.items():
        layer = parameters[key.rsplit(".", 1)[0] + ".weight"]
        bound = 1 / np.sqrt(layer[0].size)
        assert np.abs(weight).max() <= bound
        if weight.size > 1000:
            assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
