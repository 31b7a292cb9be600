"""An attack leaves no trace: on the model, on its gradients, statistics and modes, on random numbers; and costs what it says."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.attacks import APGD, MIFGSM, PGD, loss_and_gradient, preset
from minigrad.autograd import Observer
from minigrad.nn import functional as F
from tests.attacks.pytorch import batch, tensors, toy

ATTACKS: dict[str, Any] = {
    "handout": preset("handout"),
    "untargeted": preset("untargeted", norm="l2"),
    "random": PGD(random_start=True, restarts=2, target="label", direction="ascend"),
    "momentum": MIFGSM(),
    "autopgd": APGD(restarts=2, random_start=True),
}


class Fragile(nn.Module):
    """A network of many kinds of modules, that counts its calls, and fails at one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = toy(nn)
        self.calls, self.fails_at = 0, 0
        self.seen_training: list[bool] = []

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        self.calls += 1
        self.seen_training += [module.training for module in self.modules()]
        if self.calls == self.fails_at:
            raise RuntimeError("broken in the middle")
        return self.body(x)


def used_model() -> Fragile:
    """Modules of both modes, parameters with and without gradients, frozen ones among them."""
    mg.manual_seed(0)
    model = Fragile()
    x, y, _ = batch(4, dtype=np.float32)
    F.cross_entropy(model(mg.tensor(x)), mg.tensor(y)).backward()
    model.body[1].eval()
    model.body[0].weight.requires_grad_(False)
    model.body[4].requires_grad_(False)
    model.body[4].bias.grad = None
    model.calls, model.seen_training = 0, []
    return model


def state(model: nn.Module) -> dict[str, Any]:
    """All that an attack must not change. Arrays by their bytes; gradients, parameters and buffers by who they are, too."""
    found: dict[str, Any] = {"random": mg.get_rng_state(), "numpy": np.random.get_state()[1].tolist()}
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        found[name] = (
            id(value),
            id(value.array),
            value.numpy(force=True).tobytes(),
            value.requires_grad,
            value._version,
        )
        if value.grad is not None:
            found[f"{name}.grad"] = id(value.grad), value.grad.numpy(force=True).tobytes()
    for name, module in model.named_modules():
        found[f"{name}.training"] = module.training
    return found


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("within", [nullcontext, mg.no_grad, mg.definitions, mg.enable_grad])
def test_nothing_is_touched(attack: Any, within: Any) -> None:
    model = used_model()
    before = state(model)
    (x, y, _), _ = tensors(batch(4, dtype=np.float32))
    with within():
        moved = attack(model, x, y)
        recording = mg.is_grad_enabled()
    assert state(model) == before
    assert recording == (within is not mg.no_grad) and mg.is_grad_enabled()
    assert not np.array_equal(moved.numpy(), x.numpy()) and not moved.requires_grad
    assert not any(model.seen_training)


def test_the_definitions_lead_to_the_same_images() -> None:
    (x, y, _), _ = tensors(batch(4))
    model = used_model().double()
    fast = preset("untargeted")(model, x, y).numpy()
    with mg.definitions():
        np.testing.assert_allclose(preset("untargeted")(model, x, y).numpy(), fast, atol=1e-12)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("fails_at", [1, 2, 10, 11, 22])
def test_nothing_is_touched_when_the_model_fails(attack: Any, fails_at: int) -> None:
    model = used_model()
    before = state(model)
    model.fails_at = fails_at
    calls = 10 if attack.restarts == 1 else 22
    (x, y, _), _ = tensors(batch(4, dtype=np.float32))
    with pytest.raises(RuntimeError, match="broken in the middle") if fails_at <= calls else nullcontext():
        attack(model, x, y)
    assert state(model) == before


def test_nothing_is_touched_between_steps() -> None:
    """Whoever looks at a path may train in the meantime: the model is as it was whenever a step is given out."""
    model = used_model()
    before = state(model)
    (x, y, _), _ = tensors(batch(4, dtype=np.float32))
    for attack in ATTACKS.values():
        for step in attack.path(model, x, y):
            assert state(model) == before
            assert not step.gradient.requires_grad and not step.logits.requires_grad and not step.loss.requires_grad
            if step.index == 3:
                break


class ParameterGradients(Observer):
    """Notes for each parameter that an op takes whether a gradient of it is asked for, and whether one was computed."""

    def __init__(self) -> None:
        self.wanted: list[bool] = []
        self.computed = 0
        self.places: dict[int, tuple[Any, list[int]]] = {}

    def after_forward(self, node: Any, inputs: tuple[Any, ...], outputs: list[mg.Tensor]) -> None:
        places = [i for i, value in enumerate(inputs) if isinstance(value, nn.Parameter)]
        self.wanted += [node.needs[i] for i in places]
        self.places[id(node)] = node, places

    def after_backward(self, node: Any, gradients: Any, results: tuple[Any, ...]) -> None:
        self.computed += sum(results[i] is not None for i in self.places[id(node)][1])


@pytest.mark.parametrize("within", [nullcontext, mg.definitions])
def test_no_gradient_of_a_parameter_is_computed(within: Any) -> None:
    model = used_model()
    (x, y, _), _ = tensors(batch(4, dtype=np.float32))
    with within():
        for attack in ATTACKS.values():
            with ParameterGradients() as seen:
                attack(model, x, y)
            assert len(seen.wanted) >= 8 * attack.steps and not any(seen.wanted) and seen.computed == 0
        with ParameterGradients() as seen:  # and this is how it would look
            F.cross_entropy(model(x), y).backward()
        assert any(seen.wanted) and seen.computed > 0


def test_convolutions_are_asked_for_the_gradient_of_their_input_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = mg.backends.get("cpu")
    asked = []
    for name in ("conv2d_backward", "conv2d_relu_max_pool2d_backward"):
        original = getattr(backend, name)

        def watched(*args: Any, original: Any = original, **settings: Any) -> Any:
            asked.append(settings["needs"])
            return original(*args, **settings)

        monkeypatch.setattr(backend, name, watched)
    (x, y, _), _ = tensors(batch(2, dtype=np.float32))
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    PGD(steps=3)(model, x)
    assert asked == [(True, False, False)] * 6


@pytest.mark.parametrize(
    ("attack", "calls"),
    [
        (PGD(steps=10), 10),
        (MIFGSM(steps=4), 4),
        (APGD(steps=7), 8),
        (PGD(steps=5, restarts=3, random_start=True), 18),
    ],
)
def test_a_step_costs_one_forward_and_one_backward_pass(attack: Any, calls: int) -> None:
    model = used_model()
    (x, y, _), _ = tensors(batch(4, dtype=np.float32))

    class Backward(Observer):
        count = 0

        def after_backward(self, node: Any, gradients: Any, results: Any) -> None:
            self.count += type(node).__name__ == "CrossEntropy"

    with Backward() as backward:
        attack(model, x, y)
    assert model.calls == calls
    assert backward.count == attack.steps * attack.restarts


def test_random_starts_do_not_draw_from_the_default_generator() -> None:
    model = used_model()
    (x, y, _), _ = tensors(batch(4, dtype=np.float32))
    before = mg.get_rng_state()
    first = PGD(random_start=True)(model, x, y).numpy()
    mg.manual_seed(99)
    np.testing.assert_array_equal(PGD(random_start=True)(model, x, y).numpy(), first)
    mg.set_rng_state(before)


def test_training_goes_on_as_if_there_had_been_no_attack() -> None:
    """Two steps of SGD with momentum, in training mode: with an attack between backward and step, and without."""
    ends = []
    for attacked in (False, True):
        mg.manual_seed(0)
        model = toy(nn)
        optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        (x, y, _), _ = tensors(batch(4, dtype=np.float32))
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            if attacked:
                PGD(steps=2, random_start=True)(model, x)
            optimizer.step()
        ends.append([value.numpy(force=True) for value in model.state_dict().values()])
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_is_a_function_of_images() -> None:
    model = used_model().eval()
    (x, y, _), _ = tensors(batch(4, dtype=np.float32))
    before = state(model)
    attack = preset("untargeted")
    np.testing.assert_array_equal(attack(lambda images: model(images), x, y).numpy(), attack(model, x, y).numpy())
    assert state(model) == before


def test_the_gradient_is_the_one_of_the_loss() -> None:
    model = used_model().double().eval()
    (x, y, _), _ = tensors(batch(4))
    logits, classes, losses, gradient = loss_and_gradient(model, x, lambda logits: y)
    moving = x.detach().requires_grad_()
    expected = F.cross_entropy(model(moving), y, reduction="none")
    expected.sum().backward()
    np.testing.assert_allclose(gradient.numpy(), moving.grad.numpy(), atol=1e-14)
    np.testing.assert_allclose(losses.numpy(), expected.numpy(force=True), atol=1e-14)
    np.testing.assert_allclose(logits.numpy(), model(x).numpy(force=True), atol=1e-14)
    assert classes is y
