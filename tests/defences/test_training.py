"""The defences of both frameworks take the same steps in float64, and are what their formulas say."""

from __future__ import annotations

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad import attacks, defences
from minigrad.nn import functional as F
from models.reference import attacks as torch_attacks
from models.reference import defences as reference
from tests.attacks.pytorch import PIXELS, batch, both, tensors

THREATS: list[dict[str, Any]] = [
    {"epsilon": 0.1, "alpha": 0.03},
    {"epsilon": 0.4, "alpha": 0.15, "norm": "l2"},
    {"epsilon": 0.05, "alpha": 0.02, "clip": (0.0, 1.0), **PIXELS},
    {"epsilon": (0.1, 0.2, 0.05), "alpha": 0.03},
]
KINDS: dict[str, dict[str, Any]] = {
    "pgd": {}, "trades": {"beta": 4.0}, "mart": {"beta": 3.0}, "fast": {}, "free": {"replays": 3}, "noise": {},
}  # fmt: skip


def make(kind: str, **threat: Any) -> list[Any]:
    """The defence in both frameworks, with the same random numbers."""
    if kind == "noise":
        std = threat.get("std")
        return [library.Noise(sigma=0.3, std=std, generator=minigrad.Generator(7)) for library in (defences, reference)]
    steps = 1 if kind in ("fast", "free") else 4
    aim: dict[str, Any] = {"target": "label", "direction": "ascend", "steps": steps, **threat}
    found = []
    for library, of in ((attacks, defences), (torch_attacks, reference)):
        generator = minigrad.Generator(7)
        start = kind in ("pgd", "fast")
        pgd = of.Near if kind in ("trades", "mart") else library.PGD
        attack = pgd(**aim, random_start=start, generator=generator)
        found.append(of.DEFENCES[kind](attack, **KINDS[kind]))
    return found


def networks() -> list[Any]:
    """Two that are alike, whose dropout draws nothing."""
    found = [copy.deepcopy(model) for model in both()]
    for model in found:
        model[6].p = 0.0
    return found


def same(found: Any, wanted: Any, what: str) -> None:
    found, wanted = found.numpy(force=True), wanted.numpy(force=True)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-10 * max(np.abs(wanted).max(), 1.0), what


@pytest.mark.parametrize("threat", THREATS, ids=["linf", "l2", "pixels", "channels"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_frameworks_take_the_same_steps(kind: str, threat: dict[str, Any]) -> None:
    """Inner maximisation, loss, logits, every gradient, weights and running statistics, over steps of SGD."""
    images, labels, _ = batch(6)
    if "clip" in threat:
        images = images / 2
    pair, models = make(kind, **threat), networks()
    optimizers = [
        library.optim.SGD(model.parameters(), lr=0.05) for library, model in zip((minigrad, torch), models, strict=True)
    ]
    x, y = zip(*tensors((images, labels)), strict=True)
    for step in range(3):
        inner = [pair[i].inner(models[i], x[i], y[i]) for i in (0, 1)]
        same(inner[0], inner[1], f"inner of step {step}")
        losses = [pair[i].loss(models[i], x[i], inner[i], y[i]) for i in (0, 1)]
        for found, wanted, what in zip(*losses, ("loss", "logits"), strict=True):
            same(found, wanted, f"{what} of step {step}")
        for i in (0, 1):
            optimizers[i].zero_grad()
            losses[i][0].backward()
            pair[i].after()
        for (name, a), b in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
            same(a.grad, b.grad, f"gradient of {name}")
            assert np.abs(b.grad.numpy()).max() > 0
        for optimizer in optimizers:
            optimizer.step()
        for name, value in models[0].state_dict().items():
            same(value, models[1].state_dict()[name], name)
        states = [d.state() for d in pair]
        assert states[0].keys() == states[1].keys()
        for name in states[0]:
            np.testing.assert_allclose(states[0][name], states[1][name], atol=1e-12)


def test_a_step_of_pgd_training_is_a_step_on_what_pgd_makes() -> None:
    """Inner maximisation in eval mode, which leaves no trace; the outer loss in training mode, which moves batch norm once."""
    images, labels, _ = batch(6)
    x, y = minigrad.tensor(images), minigrad.tensor(labels)
    defence, model = make("pgd", epsilon=0.1, alpha=0.05)[0], networks()[0]
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    inner = defence.inner(model, x, y)
    attack = attacks.PGD(target="label", direction="ascend", steps=4, epsilon=0.1, alpha=0.05, random_start=True)
    expected = dataclasses.replace(attack, generator=minigrad.Generator(7))(model, x, y)
    assert np.array_equal(inner.numpy(), expected.numpy()) and model.training
    assert all(np.array_equal(before[name], value.numpy()) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    loss, _ = defence.loss(model, x, inner, y)
    assert loss.item() == pytest.approx(F.cross_entropy(networks()[0](expected), y).item())
    assert int(model.state_dict()["1.num_batches_tracked"].item()) == int(before["1.num_batches_tracked"]) + 1


@pytest.mark.parametrize("kind", ["trades", "mart"])
def test_the_inner_maximisation_goes_up_its_own_loss(kind: str) -> None:
    """KL(p(x) || p(x')) for TRADES, cross-entropy for MART: higher after the steps than the other defence gets it."""
    images, labels, _ = batch(12)
    x, y = minigrad.tensor(images), minigrad.tensor(labels)
    model = networks()[0].eval()
    reached = {}
    for name in ("trades", "mart"):
        logits = model(make(name, epsilon=0.3, alpha=0.1)[0].inner(model, x, y))
        kl = F.kl_div(F.log_softmax(logits, 1), F.softmax(model(x), 1), reduction="batchmean")
        reached[name] = {"trades": kl.item(), "mart": F.cross_entropy(logits, y).item()}
    other = {"trades": "mart", "mart": "trades"}[kind]
    assert reached[kind][kind] > reached[other][kind] > {"trades": 0, "mart": F.cross_entropy(model(x), y).item()}[kind]


def test_mart_is_its_formula() -> None:
    """-log p_y - log(1 - max p_k) + beta KL (1 - p_y), in NumPy."""
    images, labels, _ = batch(6)
    x, y = minigrad.tensor(images), minigrad.tensor(labels)
    defence, model = make("mart", epsilon=0.1, alpha=0.05)[0], networks()[0].eval()
    found, _ = defence.loss(model, x, x + 0.3, y)
    p, q = (F.softmax(model(z), 1).detach().numpy() for z in (x, x + 0.3))
    rows = np.arange(6)
    rest = q.copy()
    rest[rows, labels] = 0
    bce = -np.log(q[rows, labels]) - np.log(1 - rest.max(1))
    kl = (p * np.log(p / q)).sum(1)
    assert found.item() == pytest.approx((bce + 3.0 * kl * (1 - p[rows, labels])).mean(), rel=1e-10)


def test_a_sure_network_has_a_finite_loss() -> None:
    """Where a probability is 1 in floating point, 1 - p is the sum of the others, not 0."""
    logits = minigrad.tensor([[400.0, -400.0, 0.0], [-400.0, 400.0, 0.0]], requires_grad=True)
    loss = defences.training.boosted_cross_entropy(logits, minigrad.tensor([0, 0]))
    assert loss.tolist() == pytest.approx([0, 1200])
    loss.sum().backward()
    assert np.isfinite(logits.grad.numpy()).all()


def test_the_perturbation_of_free_is_kept_and_stays_in_the_ball() -> None:
    images, labels, _ = batch(6)
    x, y = minigrad.tensor(images), minigrad.tensor(labels)
    defence, model = make("free", epsilon=0.1, alpha=0.07)[0], networks()[0]
    for expected in (0.07, 0.1):
        loss, _ = defence.loss(model, x, defence.inner(model, x, y), y)
        loss.backward()
        defence.after()
        assert np.abs(defence.state()["perturbation"]).max() == pytest.approx(expected)
    again = make("free", epsilon=0.1, alpha=0.07)[0]
    again.load(defence.state())
    assert np.array_equal(again.inner(model, x, y).detach().numpy(), defence.inner(model, x, y).detach().numpy())


class Wave(minigrad.nn.Module):
    """Right at x = 0 and one step of 1.25 away; wrong half a step away: what catastrophic overfitting comes to."""

    def forward(self, x: minigrad.Tensor) -> minigrad.Tensor:
        x = x.flatten(1).mean(1, keepdim=True)
        return minigrad.cat([(x * 2 * np.pi / 1.25 + 0.3).cos() + 0.2, x * 0], 1)


@pytest.mark.parametrize("epsilon", [0.05, 1.25])
def test_catastrophic_overfitting_is_seen(epsilon: float) -> None:
    attack = attacks.PGD(target="label", direction="ascend", steps=1, epsilon=epsilon, alpha=epsilon)
    images, labels = minigrad.zeros(8, 1, 2, 2), minigrad.zeros(8, dtype=minigrad.int64)
    found = defences.Fast(attack).symptoms(Wave(), images, labels)
    wanted = {0.05: {"fast_top1": 100, "pgd_top1": 100, "overfitted": False}}
    assert found == wanted.get(epsilon, {"fast_top1": 100, "pgd_top1": 0, "overfitted": True})


def test_symptoms_are_the_same_in_both_frameworks() -> None:
    pair, models = make("fast", epsilon=0.02, alpha=0.025), networks()
    images = batch(40)[0]
    labels = models[0].eval()(minigrad.tensor(images)).argmax(1).numpy()  # all are right, before the attack
    models[0].train()
    found = [pair[i].symptoms(models[i], *data) for i, data in enumerate(tensors((images, labels)))]
    assert found[0] == found[1] and 0 < found[0]["pgd_top1"] <= found[0]["fast_top1"] < 100


def test_noise_is_as_large_as_it_says() -> None:
    images = minigrad.zeros(50, 3, 20, 20)
    for std in (None, (0.5, 0.25, 1.0)):
        made = defences.Noise(sigma=0.4, std=std).inner(Wave(), images, None).numpy()
        wanted = 0.4 / np.array(std or (1, 1, 1))
        assert made.std((0, 2, 3)) == pytest.approx(wanted, rel=0.05)


def test_what_is_refused() -> None:
    near = defences.Near(target="label", direction="ascend")
    for make, said in (
        (lambda: defences.TRADES(attacks.PGD(target="label", direction="ascend")), "Near"),  # type: ignore[arg-type]
        (lambda: defences.MART(defences.Near()), "Near"),
        (lambda: defences.TRADES(near, beta=-1.0), "beta"),
        (lambda: defences.Free(near, replays=0), "replays"),
        (lambda: defences.Noise(sigma=0.0), "sigma"),
    ):
        with pytest.raises(ValueError, match=said):
            make()


def test_the_page_runs() -> None:
    """Each block of Python in docs/defences.md."""
    text = (Path(__file__).parents[2] / "docs" / "defences.md").read_text()
    images, labels, _ = batch(2, dtype=np.float32)
    space: dict[str, Any] = {
        "model": both(dtype=np.float32)[0], "images": minigrad.tensor(images), "labels": minigrad.tensor(labels)
    }  # fmt: skip
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    for block in blocks:
        exec(compile(block, "docs/defences.md", "exec"), space)
    assert len(blocks) >= 2 and space["loss"].item() > 0 and len(space["radii"]) == 2
