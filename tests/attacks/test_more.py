"""Smallest changes, transfer, decisions alone, sparse norms, wrappers, PyTorch networks: as in PyTorch, or by what must be true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.attacks import (
    BPDA,
    CW,
    DDN,
    DIFGSM,
    EOT,
    FAB,
    PGD,
    TIFGSM,
    VMIFGSM,
    AutoAttack,
    Confidence,
    DeepFool,
    FromTorch,
    HopSkipJump,
    Square,
    Targeted,
    audit,
    transfer,
)  # fmt: skip
from tests.attacks.pytorch import PIXELS, batch, both, make, same_steps, tensors
from tests.attacks.test_autoattack import BALLS, data_for

BOX: dict[str, Any] = {"clip": (-1.5, 1.5)}
UP: dict[str, Any] = {"target": "label", "direction": "ascend"}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *[("DeepFool", {"norm": norm, "steps": 12, **BOX}) for norm in ("linf", "l2")],
        ("DeepFool", {"steps": 12, "clip": (0.0, 1.0), **PIXELS}),
        ("CW", {"steps": 15, "search": 3, "initial": 1.0, "lr": 0.05, **BOX}),
        ("CW", {"steps": 15, "search": 3, "initial": 1.0, "lr": 0.05, "criterion": Confidence(0.25), **BOX}),
        ("CW", {"steps": 15, "search": 3, "initial": 1.0, "lr": 0.05, "clip": (0.0, 1.0), **PIXELS}),
        ("DDN", {"steps": 15, **BOX}),
        ("DDN", {"steps": 15, "gamma": 0.2, "clip": (0.0, 1.0), **PIXELS}),
    ],
)
def test_smallest_changes(kind: str, options: dict[str, Any]) -> None:
    data = data_for(options, 6)
    (x, y), networks = tensors(data[:2]), both()
    ours, theirs = make(kind, **options)
    found, distance = ours.nearest(networks[0], *x)
    expected, far = theirs.nearest(networks[1], *y)
    assert np.isfinite(distance.numpy()).sum() >= (1 if "criterion" in options else 4)
    np.testing.assert_allclose(distance.numpy(), far.detach().numpy(), atol=1e-8)
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), atol=1e-8)
    with mg.no_grad():
        wrong = (networks[0].eval()(found).argmax(1) != x[1]).numpy()
    networks[0].train()
    assert (wrong == np.isfinite(distance.numpy())).all()
    np.testing.assert_allclose(ours.space(x[0]).size(found).numpy()[wrong], distance.numpy()[wrong], atol=1e-9)


def test_longer_searches_end_nearer() -> None:
    x, y = tensors(data_for(BOX, 5)[:2])[0]
    size = {}
    for attack in (
        DeepFool(**BOX),
        CW(initial=1.0, lr=0.05, **BOX),
        DDN(**BOX),
        FAB(norm="l2", **BOX),
        HopSkipJump(steps=4, **BOX),
    ):
        size[type(attack).__name__] = float(np.median(attack.nearest(both()[0], x, y)[1].numpy()))
    assert max(size["CW"], size["FAB"]) < 1.05 * min(size["CW"], size["FAB"])
    assert size["FAB"] < size["DeepFool"] and size["DDN"] < 1.3 * size["FAB"] and size["HopSkipJump"] < 6 * size["FAB"]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_decisions_alone(norm: Any) -> None:
    """Each image ends on the boundary, nearer with more steps; the logits' size is never looked at."""
    x, y = tensors(data_for(BOX, 3)[:2])[0]

    class Sign(nn.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            z = both()[0](x)
            return (z == z.amax(1, keepdim=True)).to(z.dtype)

    both()[0].eval()
    sizes = []
    for steps in (1, 6):
        attack = HopSkipJump(norm=norm, steps=steps, **BOX)
        found, distance = attack.nearest(Sign(), x, y)
        assert (Sign()(found).argmax(1) != y).all() and (found.abs() <= 1.5).all()
        np.testing.assert_allclose(attack.space(x).size(found).numpy(), distance.numpy())
        sizes.append(distance.numpy())
    both()[0].train()
    assert (sizes[1] < 0.8 * sizes[0]).all()


@pytest.mark.parametrize("options", [{"norm": "l2", **BOX}, {"norm": "linf", **BOX}, {"clip": (0.0, 1.0), **PIXELS}])
def test_decisions_alone_step_by_step(options: dict[str, Any]) -> None:
    """From the same draws one image goes the same way as in PyTorch: a walk of k steps is the beginning of one of k + 1."""
    networks = both()
    for steps in (1, 2, 4):
        (x, y) = tensors(data_for(options, 2)[:2])
        for i in range(2):
            ours, theirs = make("HopSkipJump", steps=steps, samples=30, **options)
            found, distance = ours.nearest(networks[0], x[0][i : i + 1], x[1][i : i + 1])
            expected, far = theirs.nearest(networks[1], y[0][i : i + 1], y[1][i : i + 1])
            assert 0 < far.item() < np.inf
            np.testing.assert_allclose(distance.numpy(), far.numpy(), rtol=1e-9)
            np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-9)
    ours, theirs = make("HopSkipJump", steps=1, samples=10, criterion=Targeted(), **options)
    (x, _, t), (z, _, aims) = tensors(data_for(options, 3))
    found, far = (a.nearest(m, x_, targets=t_) if m is networks[0] else a.nearest(m, x_, None, t_) for a, m, x_, t_ in (
        (ours, networks[0], x, t), (theirs, networks[1], z, aims)
    ))  # fmt: skip
    np.testing.assert_allclose(found[1].numpy(), far[1].numpy(), rtol=1e-9)


@pytest.mark.parametrize("kind", ["DIFGSM", "TIFGSM", "VMIFGSM"])
@pytest.mark.parametrize("ball", BALLS)
def test_transfer_steps(kind: str, ball: dict[str, Any]) -> None:
    more = {"VMIFGSM": {"samples": 3}, "DIFGSM": {"p": 0.8, "share": 0.6}, "TIFGSM": {"kernel": 5}}[kind]
    same_steps(*make(kind, steps=5, alpha=ball["epsilon"] / 4, **ball, **more, **UP), both(), data_for(ball))


@pytest.mark.parametrize("norm", ["l1", "l0"])
@pytest.mark.parametrize("kind", ["PGD", "MIFGSM"])
@pytest.mark.parametrize("extra", [{}, BOX, {"clip": (0.0, 1.0), **PIXELS}])
def test_sparse_norms(norm: str, kind: str, extra: dict[str, Any]) -> None:
    options = {"norm": norm, "epsilon": 5.0 if norm == "l1" else 12, "alpha": 1.0, "steps": 8, **UP, **extra}
    data = data_for(extra, 6)
    pair = make(kind, **options)
    steps = same_steps(*pair, both(), data)
    assert (steps[-1].loss > steps[0].loss).all()
    x = tensors(data)[0][0]
    for moved in (steps[-1].moved, pair[0].noise(x)):
        d = (pair[0].space(x).in_units(moved - x)).abs().numpy().reshape(6, -1)
        size = d.sum(1) if norm == "l1" else (d != 0).sum(1)
        assert (size <= options["epsilon"] + 1e-9).all() and (size > 0).all()


def test_an_average_over_randomness() -> None:
    """Of a model that adds noise to its input; its mean gradient points where the noiseless one does."""
    (x, y, _), _ = tensors(batch(6))
    generator, model = mg.Generator(1), both()[0].eval()
    noisy = lambda x: model(x + mg.from_numpy(generator.normal(0, 0.3, x.shape, np.float64)))  # noqa: E731
    once, often = (PGD(steps=8, epsilon=0.3, alpha=0.08, **UP)(EOT(noisy, n), x, y) for n in (1, 30))
    with mg.no_grad():
        right, loss = model(x), [float(nn.functional.cross_entropy(model(z), y).item()) for z in (x, once, often)]
        shifted = EOT(model, 4, lambda x: x + 0.1)(x)
        np.testing.assert_allclose(shifted.numpy(), model(x + 0.1).numpy(), atol=1e-12)
        np.testing.assert_allclose(EOT(model, 3)(x).numpy(), right.numpy(), atol=1e-12)
    model.train()
    assert loss[0] < loss[1] < loss[2]


def test_a_gradient_through_what_has_none() -> None:
    round_off = lambda x: mg.from_numpy(np.round(x.numpy() * 2) / 2)  # noqa: E731
    x = mg.tensor([[0.3, 0.6]], requires_grad=True)
    y = BPDA(round_off)(x)
    np.testing.assert_allclose(y.detach().numpy(), [[0.5, 0.5]])
    (y * mg.tensor([[2.0, 3.0]])).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[2, 3]])
    x.grad = None
    BPDA(round_off, lambda x: x * 4)(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4, 4]])
    with pytest.raises(ValueError, match=r"the stand-in gives \(1, 1\), the function \(1, 2\)"):
        BPDA(round_off, lambda x: x[:, :1])(x)


def test_networks_of_pytorch() -> None:
    """Every kind of attack takes one, with the steps it would have made here; and leaves it alone."""
    ours, theirs = both()
    model, ((x, y, _), _) = FromTorch(theirs), tensors(batch(5))
    before = {k: v.clone() for k, v in theirs.state_dict().items()}
    for attack in (PGD(steps=4, **UP), FAB(steps=3), FAB(steps=3, targeted=True), Square(queries=5), DDN(steps=4)):
        attack.generator.manual_seed(3)
        found = attack(model, x, y).numpy()
        attack.generator.manual_seed(3)
        np.testing.assert_allclose(found, attack(ours, x, y).numpy(), atol=1e-9)
    assert all(m.training for m in theirs.modules()) and all(p.grad is None for p in theirs.parameters())
    assert all(torch.equal(before[k], v) for k, v in theirs.state_dict().items())
    assert AutoAttack(steps=2, queries=3).run(model, x, y).count == 5
    with pytest.raises(ValueError, match="FromTorch wraps a torch.nn.Module, got Sequential"):
        FromTorch(ours)


def test_the_audit_of_a_pytorch_network() -> None:
    """It says the same of both; a batch norm that moves is noticed."""
    ours, theirs = both(dtype=np.float32)
    x, y, _ = batch(24, dtype=np.float32)
    with torch.no_grad():
        y = theirs.eval()(torch.from_numpy(x)).argmax(1).numpy()
    theirs.train()
    attack = PGD(epsilon=0.1, alpha=0.02, **UP)
    found, wanted = (audit(m, attack, [(mg.tensor(x), y)]) for m in (FromTorch(theirs), ours))
    assert found.failed == wanted.failed
    assert [c.name for c in found.checks] == [c.name for c in wanted.checks]

    class Careless(PGD):
        def _perturbed(self, model: Any, *given: Any) -> Any:
            model.network.train()(torch.from_numpy(x))
            return super()._perturbed(model, *given)

    careless = audit(FromTorch(theirs), Careless(epsilon=0.1, alpha=0.02, **UP), [(mg.tensor(x), y)])
    assert "nothing touched" in careless.failed and theirs.training


def test_what_beats_the_gradient() -> None:
    """Behind rounding the gradient is nothing, Square and another network's gradient are something; loud logits are said."""
    model, (x, y) = both(dtype=np.float32)[0].eval(), [mg.tensor(a) for a in data_for({}, 40)[:2]]
    x = x.float()

    class Hidden(nn.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return model(BPDA(lambda x: mg.from_numpy(np.round(x.numpy(force=True) * 50) / 50), lambda x: x * 0)(x))

    class Loud(nn.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return model(x) * 1e5

    attack = PGD(epsilon=0.3, alpha=0.06, **UP)
    report = audit(Hidden(), attack, [(x, y)], queries=100, surrogate=model)
    assert {"beats black box", "beats transfer"} <= set(report.failed)
    sound = audit(model, attack, [(x, y)], queries=100, surrogate=model)
    assert not {"beats black box", "beats transfer", "loss in scale"} & set(sound.failed) and "beats transfer" in str(
        sound
    )
    loud = audit(Loud(), attack, [(x, y)])
    assert (
        "loss in scale" in loud.failed
        and "loss in scale" not in audit(Loud(), PGD(epsilon=0.3, alpha=0.06, loss="cw", **UP), [(x, y)]).failed
    )
    model.train()


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: DeepFool(steps=0), "steps must be an integer and at least 1, got 0"),
        (lambda: DeepFool(overshoot=-1), "overshoot must be finite and at least 0, got -1"),
        (lambda: DeepFool(epsilon=(0.1, 0.2)), "a number for each channel belongs to the norm"),
        (lambda: CW(), "needs clip: it moves between the lowest and the highest value"),
        (lambda: CW(norm="linf", **BOX), "norm must be one of l2, got 'linf'"),
        (lambda: DDN(gamma=1), "gamma must be above 0 and below 1, got 1"),
        (lambda: HopSkipJump(), "HopSkipJump needs clip"),
        (lambda: HopSkipJump(samples=0, **BOX), "samples must be an integer and at least 1, got 0"),
        (lambda: DIFGSM(p=2), "p must be from 0 to 1, got 2"),
        (lambda: TIFGSM(kernel=4), "kernel must be odd, got 4"),
        (lambda: TIFGSM(sigma=0), "sigma must be above 0, got 0"),
        (lambda: VMIFGSM(samples=0), "samples must be an integer and at least 1, got 0"),
        (lambda: PGD(norm="l1", epsilon=(0.1, 0.2)), 'a number for each channel belongs to the norm "linf"'),
        (lambda: EOT(lambda x: x, 0), "samples must be an integer and at least 1, got 0"),
    ],
)
def test_settings(make_it: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_it()


def test_the_audit_is_of_gradient_steps() -> None:
    x, y = tensors(data_for({}, 4)[:2])[0]
    with pytest.raises(ValueError, match="PGD and its kin: Square has none to look at"):
        audit(both()[0], Square(), [(x, y)])  # type: ignore[arg-type]


def test_transfer_from_model_to_model() -> None:
    """A network in both frameworks is one network: the table's rows and columns are alike; another one is fooled less."""
    ours, theirs = both()
    x, y = tensors(data_for({}, 20)[:2])[0]
    other = both("simplenet-bn")[0]
    attack = PGD(epsilon=0.2, alpha=0.05, **UP)
    table = transfer({"here": ours, "there": FromTorch(theirs), "another": other}, attack, x, y)
    assert table.clean[:2] == [1.0, 1.0] and table.accuracy[0][:2] == table.accuracy[1][:2]
    assert table.accuracy[0][0] < table.accuracy[2][0]
    assert [line.split()[0] for line in str(table).splitlines()] == ["attacked", "(clean)", "here", "there", "another"]
    with pytest.raises(ValueError, match="a table of transfer needs models and images"):
        transfer({}, attack, x, y)
