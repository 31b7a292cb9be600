"""The models against their PyTorch versions: gradients of both orders, float32 by torch's own yardstick, training, real images."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
import models
import models.reference
from minigrad.autograd import grad
from minigrad.training import load_weights
from tests.checking import FLOOR_32

SHARED = Path(__file__).parents[3] / "shared" / "data"
SETTINGS: dict[str, dict[str, Any]] = {  # images of 36 x 36: 9 x 9 tokens, and windows that do not divide them
    "simplenet": {},
    "simplenet-bn": {},
    "vit": {"image_size": 36, "patch_size": 4, "dim": 24, "heads": 3, "depth": 3, "shift": True, "drop_path": 0.5},
}
NAMES = list(SETTINGS)


def twins(name: str, dtype: Any, device: str = "cpu", classes: int = 7) -> tuple[Any, Any]:
    """minigrad's model and torch's, with the same weights and the same masks, in training mode."""
    minigrad.manual_seed(1)
    ours = models.create(name, classes, 3, generator=minigrad.Generator(5), **SETTINGS[name])
    theirs = models.reference.create(name, classes, 3, generator=minigrad.Generator(5), **SETTINGS[name])
    theirs.load_state_dict({k: torch.from_numpy(v.numpy(force=True).copy()) for k, v in ours.state_dict().items()})
    theirs = theirs.double() if dtype == np.float64 else theirs
    return (ours.double() if dtype == np.float64 else ours).to(device), theirs


def batch(dtype: Any, size: int = 36, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((4, 3, size, size)).astype(np.float32).astype(dtype), random.integers(0, 7, 4)


def orders(framework: Any, model: Any, x: Any, target: Any, grad_of: Any, draw: Any) -> list[list[np.ndarray]]:
    """The loss, its gradients, and the gradients of (gradients . random directions), for x and every parameter."""
    inputs = [x, *model.parameters()]
    loss = framework.nn.functional.cross_entropy(model(x), target)
    first = grad_of([loss], inputs, create_graph=True)
    total = sum((g * draw(i, g)).sum() for i, g in enumerate(first))
    second = grad_of([total], inputs, allow_unused=True)
    arrays = lambda ts: [np.zeros(1) if t is None else t.detach().numpy(force=True) for t in ts]  # noqa: E731
    return [arrays([loss]), arrays(first), arrays(second)]


def direction(i: int, like: Any, dtype: Any) -> np.ndarray:
    return np.random.default_rng(50 + i).uniform(-1, 1, tuple(like.shape)).astype(dtype)


def both_orders(name: str, dtype: Any, device: str = "cpu", framework: str = "minigrad") -> list[list[np.ndarray]]:
    ours, theirs = twins(name, dtype, device)
    x, target = batch(dtype)
    if framework == "minigrad":
        tensor = minigrad.tensor(x, device=device, requires_grad=True)
        draw = lambda i, g: minigrad.tensor(direction(i, g, dtype), device=device)  # noqa: E731
        return orders(minigrad, ours, tensor, minigrad.tensor(target, device=device), grad, draw)
    draw_torch = lambda i, g: torch.from_numpy(direction(i, g, dtype))  # noqa: E731
    inputs = torch.from_numpy(x).requires_grad_(), torch.from_numpy(target)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # the others have no second gradient
        return orders(torch, theirs, *inputs, torch.autograd.grad, draw_torch)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_both_orders_in_float64(name: str, device: str) -> None:
    ours, theirs = both_orders(name, np.float64, device), both_orders(name, np.float64, framework="torch")
    for what, a, b in zip(("loss", "first", "second"), ours, theirs, strict=True):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            scale = np.abs(y).max() or 1.0
            assert np.abs(x - y).max() <= 1e-10 * scale, f"{what} order, array {i}"


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_no_further_from_float64_than_twice_torchs(name: str, device: str) -> None:
    exact = both_orders(name, np.float64, framework="torch")
    ours, theirs = both_orders(name, np.float32, device), both_orders(name, np.float32, framework="torch")
    for what, a, b, e in zip(("loss", "first", "second"), ours, theirs, exact, strict=True):
        error, yardstick = (
            np.sqrt(sum(float(((x - y) ** 2).sum()) for x, y in zip(v, e, strict=True))) for v in (a, b)
        )
        size = np.sqrt(sum(float((y**2).sum()) for y in e))
        assert error <= 2 * yardstick + FLOOR_32 * size, (
            f"{what}: {error / size:.3g} against torch's {yardstick / size:.3g}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_training_is_torchs(name: str, device: str) -> None:
    """Six steps of the recipe's optimizer in float64: the losses, the weights and the running statistics."""
    ours, theirs = twins(name, np.float64, device)
    transformer = name == "vit"
    kind = "AdamW" if transformer else "SGD"
    settings = (
        {"lr": 0.01, "weight_decay": 0.05} if transformer else {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}
    )
    optimizer = getattr(minigrad.optim, kind)(ours.parameters(), **settings)
    reference = getattr(torch.optim, kind)(theirs.parameters(), **settings)
    for step in range(6):
        x, target = batch(np.float64, seed=step)
        loss = minigrad.nn.functional.cross_entropy(
            ours(minigrad.tensor(x, device=device)), minigrad.tensor(target, device=device)
        )
        optimizer.zero_grad()
        loss.backward()
        expected = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(target))
        reference.zero_grad()
        expected.backward()
        if transformer:
            minigrad.nn.utils.clip_grad_norm_(ours.parameters(), 1.0)
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        reference.step()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    for key, value in theirs.state_dict().items():
        found, expected = ours.state_dict()[key].numpy(force=True), value.numpy()
        assert np.abs(found - expected).max() <= 1e-9 * np.abs(expected).max(), key


@pytest.fixture(scope="module")
def real_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (SHARED / "miniplaces-sample.tar").exists():
        pytest.skip("the sample of MiniPlaces is not beside the checkout")
    folder = tmp_path_factory.mktemp("places")
    with tarfile.open(SHARED / "miniplaces-sample.tar") as archive:
        wanted = [m for m in archive.getmembers() if "/images/train/" not in m.name]
        archive.extractall(folder, members=wanted, filter="data")
    return folder / "miniplaces"


def test_trained_weights_give_the_same_logits_on_real_images(real_images: Path) -> None:
    from minigrad.data import DataLoader, normalize, open_dataset

    dataset = open_dataset(str(real_images), "val", limit=100)
    weights = load_weights(SHARED / "simplenet-miniplaces-60ep.safetensors")
    ours, theirs = models.create("simplenet", 100, 3), models.reference.create("simplenet", 100, 3)
    ours.load_state_dict(weights)
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    with DataLoader(dataset, 50, train=False) as loader, minigrad.no_grad(), torch.no_grad():
        for images in loader.epoch(0):
            x = normalize(images.images, dataset.mean, dataset.std)
            difference = ours(minigrad.from_numpy(x)).numpy() - theirs(torch.from_numpy(x)).numpy()
            assert np.abs(difference).max() < 1e-4
