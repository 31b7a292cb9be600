"""Losses by name, and criteria: by hand, against PyTorch, and in PGD and APGD step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import attacks, nn
from minigrad.attacks import APGD, PGD, Confidence, Misclassified, Targeted, TopK
from models.reference import attacks as reference
from tests.attacks.pytorch import CLASSES, batch, both, make, same_steps, tensors

LOGITS = np.array([[1.0, 4.0, 2.0, 0.0, -1.0], [3.0, 2.5, -2.0, 0.5, 1.0]])


def test_by_hand() -> None:
    z, y, t = mg.tensor(LOGITS), mg.tensor([0, 0]), mg.tensor([2, 3])
    np.testing.assert_allclose(attacks.cw(z, y).numpy(), [4 - 1, 2.5 - 3])
    np.testing.assert_allclose(attacks.dlr(z, y).numpy(), [3 / (4 - 1), -0.5 / (3 - 1)])
    found = attacks.dlr_targeted(z, y, t).numpy()
    np.testing.assert_allclose(found, [(1 - 2) / (4 - 0.5), (3 - 0.5) / (3 - 0.75)])


@pytest.mark.parametrize("name", [*attacks.LOSSES, "dlr-targeted"])
def test_values_and_gradients(name: str) -> None:
    random = np.random.default_rng(0)
    z, y = random.normal(size=(40, 7)), random.integers(0, 7, 40)
    t = (y + random.integers(1, 7, 40)) % 7
    ours, theirs = mg.tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
    for library, track, x in ((mg, attacks, ours), (torch, reference, theirs)):
        labels, targets = library.tensor(y), library.tensor(t)
        loss = track.dlr_targeted(x, labels, targets) if name == "dlr-targeted" else track.LOSSES[name](x, labels)
        (loss * library.tensor(np.arange(40.0))).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-12)


@pytest.mark.filterwarnings("ignore::minigrad.attacks.AttackWarning")  # the least likely class may be the label
@pytest.mark.parametrize("kind", ["PGD", "MIFGSM", "APGD"])
@pytest.mark.parametrize(
    ("loss", "target"), [("dlr", "label"), ("cw", "label"), ("dlr", "given"), ("dlr-targeted", "given"), ("cw", "given"),
                         ("dlr-targeted", "least-likely")],
)  # fmt: skip
def test_steps(kind: str, loss: str, target: str) -> None:
    direction = "ascend" if target == "label" else "descend"
    options = {"loss": loss, "target": target, "direction": direction, "steps": 6, "epsilon": 0.3, "alpha": 0.05}
    steps = same_steps(*make(kind, **options), both(), batch(5))
    assert (
        target == "least-likely"
        or ((steps[-1].loss - steps[0].loss).numpy() * (1 if direction == "ascend" else -1) > 0).all()
    )


def test_logits_so_large_that_softmax_is_flat() -> None:
    """Cross-entropy has no gradient left; the ratio does not know of the scale."""
    model, (x, _, _) = both(dtype=np.float32)[0], tensors(batch(40, dtype=np.float32))[0]
    with mg.no_grad():
        right = model.eval()(x).argmax(1)
    model.train()

    class Scaled(nn.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return model(x) * 1e4

    left = {}
    for loss in ("ce", "dlr", "cw"):
        attack = APGD(loss=loss, target="label", direction="ascend", epsilon=0.15, steps=10)
        model.eval()
        with pytest.warns(attacks.AttackWarning) if loss == "ce" else mg.no_grad():  # type: ignore[attr-defined]
            left[loss] = int(attack.worst(Scaled(), x, right)[1].sum().item())
        model.train()
    assert left["dlr"] > left["ce"] and left["cw"] > left["ce"]


def test_what_is_refused() -> None:
    (x, y, t), _ = tensors(batch(3))
    model = both()[0]
    with pytest.raises(ValueError, match="loss must be one of ce, dlr, cw, dlr-targeted, got 'mse'"):
        PGD(loss="mse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="aim at another class than the label"):
        APGD(loss="dlr-targeted", target="label")
    with pytest.raises(ValueError, match="the loss 'dlr-targeted' needs labels, beside the target"):
        PGD(loss="dlr-targeted", target="given")(model, x, targets=t)
    few = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    with pytest.raises(ValueError, match="the loss 'dlr' needs at least 3 classes, the model has 2"):
        PGD(loss="dlr")(few, mg.zeros(1, 3), [0])
    with pytest.raises(ValueError, match="the loss 'dlr-targeted' needs at least 4 classes, the model has 2"):
        PGD(loss="dlr-targeted")(few, mg.zeros(1, 3), [0])


def test_worst_is_the_first_wrong_iterate_of_each_image() -> None:
    """Images leave the batch as they are fooled; each ends where it would have been alone."""
    (x, y, t), _ = tensors(batch(12))
    model = both()[0]
    attack = APGD(target="label", direction="ascend", epsilon=0.2, steps=12)
    found, wrong = attack.worst(model, x, y)
    steps = list(attack.path(model, x, y))
    for i in range(12):
        at = [s for s in steps if s.logits[i].argmax().item() != y[i].item()]
        end = at[0].images[i] if at else steps[-1].moved[i]
        assert bool(at) <= bool(wrong[i].item())
        if at:
            np.testing.assert_allclose(found[i].numpy(), end.numpy(), atol=1e-12)
    assert len({len([s for s in steps if s.logits[i].argmax().item() == y[i].item()]) for i in range(12)}) > 1


@pytest.mark.parametrize(
    "criterion", [Misclassified(), Targeted(), Confidence(0.6), Confidence(0.6, Targeted()), TopK(2)]
)
def test_criteria(criterion: Any) -> None:
    random = np.random.default_rng(1)
    z, c = random.normal(size=(200, CLASSES)) * 2, random.integers(0, CLASSES, 200)
    found = criterion.margin(mg.tensor(z), mg.tensor(c)).numpy() < 0
    sure = np.exp(z).max(1) / np.exp(z).sum(1) > 0.6
    order = np.argsort(-z, 1)
    wanted = {
        Misclassified(): order[:, 0] != c, Targeted(): order[:, 0] == c, Confidence(0.6): (order[:, 0] != c) & sure,
        Confidence(0.6, Targeted()): (order[:, 0] == c) & sure, TopK(2): (order[:, :2] != c[:, None]).all(1),
    }[criterion]  # fmt: skip
    assert (found == wanted).all() and 0 < found.sum() < 200
    assert criterion.needs == ("targets" if "Targeted" in repr(criterion) else "labels")


def test_criteria_refuse() -> None:
    for make_it, message in (
        (lambda: Confidence(1.0), "least must be a probability from 0 to below 1, got 1.0"),
        (lambda: TopK(0), "k must be an integer and at least 1, got 0"),
        (lambda: TopK(5).margin(mg.tensor(LOGITS), mg.tensor([0, 1])), "top-5 of 5 classes"),
    ):
        with pytest.raises(ValueError, match=message):
            make_it()
