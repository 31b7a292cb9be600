"""One change for all images: both frameworks take the same steps, and the change is what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import attacks
from models.reference import attacks as reference
from tests.attacks.pytorch import CLASSES, PIXELS, batch, both, tensors

SCALE: Any = {"mean": PIXELS["mean"], "std": PIXELS["std"]}
ALL: list[tuple[str, dict[str, Any]]] = [
    ("Universal", {"epsilon": 0.1, "alpha": 0.04}),
    ("Universal", {"epsilon": 0.9, "alpha": 0.4, "norm": "l2", "cap": 1.65}),
    ("Universal", {"epsilon": 0.06, "alpha": 0.02, "clip": (0.0, 1.0), **PIXELS}),
    ("Patch", {"share": 0.5, **SCALE}),
    ("Patch", {"share": 0.4, "target": 2, "angle": 0.0, "scales": (1.0, 1.0), **SCALE}),
]


def pair(kind: str, **settings: Any) -> list[Any]:
    """The attack in both frameworks, with random numbers of the same seed."""
    return [getattr(library, kind)(**settings, generator=minigrad.Generator(7)) for library in (attacks, reference)]


def data(count: int = 9) -> list[tuple[np.ndarray, np.ndarray]]:
    images, labels, _ = batch(count)
    return [(images[i : i + 5] / 2, labels[i : i + 5]) for i in range(0, count, 5)]


@pytest.mark.parametrize(("kind", "settings"), ALL, ids=["linf", "l2", "pixels", "patch", "target"])
def test_both_frameworks_take_the_same_steps(kind: str, settings: dict[str, Any]) -> None:
    """The change after every step, and the images that it makes, to 1e-10; of a signed step no pixel is undecided here."""
    ours, theirs = pair(kind, steps=2, **settings)
    batches = [tensors(part) for part in data()]
    paths = [list(ours.path(both()[0], [x for x, _ in batches])), list(theirs.path(both()[1], [y for _, y in batches]))]
    assert len(paths[0]) == len(paths[1]) == 4
    for a, b in zip(*paths, strict=True):
        np.testing.assert_allclose(a.perturbation.numpy(), b.perturbation.numpy(), atol=1e-10)
    (x, y), (u, v) = batches[0]
    made = paths[0][-1](both()[0], x, y), paths[1][-1](both()[1], u, v)
    np.testing.assert_allclose(made[0].numpy(), made[1].numpy(), atol=1e-10)
    assert np.abs(made[0].numpy() - x.numpy()).max() > 0.01 and both()[0].training


def test_the_change_is_one_within_the_ball() -> None:
    (x, y), _ = tensors(data(5)[0])
    found = attacks.Universal(epsilon=0.1, alpha=0.04, steps=4).fit(both()[0], [(x, y)])
    away = (found(both()[0], x) - x).numpy()
    assert np.abs(away).max() == pytest.approx(0.1) and np.abs(away - away[0]).max() < 1e-12
    assert found.at(0.1).perturbation is found.perturbation


def test_it_raises_the_loss_of_most_images() -> None:
    from minigrad.nn import functional as F

    (x, y), _ = tensors(batch(40)[:2])
    model = both()[0]
    model.eval()

    def loss(attack: Any) -> float:
        return F.cross_entropy(model(attack(model, x, y)), y).item()

    universal, patch = attacks.Universal(epsilon=0.2, steps=10, alpha=0.05), attacks.Patch(**SCALE, share=0.5)
    nothing = [
        replace(universal, perturbation=x[:1] * 0),
        replace(patch, perturbation=minigrad.rand(1, 3, 5, 5)),
    ]
    for attack, before in zip((universal, patch), nothing, strict=True):
        assert loss(attack.fit(model, [(x, y)])) > loss(before) + 0.01
    model.train()


def test_a_patch_lies_within_the_image_and_hides_what_is_under_it() -> None:
    patch = attacks.Patch(mean=(0.0,), std=(1.0,), share=0.4, perturbation=minigrad.full((1, 1, 12, 12), 0.5))
    images = minigrad.full((60, 1, 30, 30), 7.0)
    made = patch(both()[0], images).numpy()[:, 0]
    hidden = np.abs(made - 0.5) < 1e-6
    assert (made[:, [0, -1]] > 6).mean() > 0.8 and hidden.any((1, 2)).all()
    area = (7 - made).sum((1, 2)) / 6.5  # pixels that are covered
    assert area.min() > 0.9 * (0.9 * 12) ** 2 and area.max() < 1.1 * (1.1 * 12) ** 2
    places = [np.argwhere(one).mean(0) for one in hidden]
    assert np.std(places, 0).min() > 2  # each somewhere else


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: attacks.Universal(epsilon=-1), "epsilon"),
        (lambda: attacks.Universal(cap=0), "cap"),
        (lambda: attacks.Universal(steps=0), "steps"),
        (lambda: attacks.Patch(**SCALE, share=0.9), "has to fit"),
        (lambda: attacks.Patch(**SCALE)(both()[0], minigrad.zeros(1, 3, 8, 8)), "fitted first"),
        (lambda: attacks.Universal().fit(both()[0], []), "give batches"),
        (lambda: attacks.Universal().fit(both()[0], [(tensors(data()[0])[0][0], None)]), "needs labels"),
        (
            lambda: attacks.Universal(perturbation=minigrad.zeros(1, 3, 8, 8))(both()[0], minigrad.zeros(1, 3, 9, 8)),
            "was found on images",
        ),
        (lambda: attacks.Patch(**SCALE, target=CLASSES).fit(both()[0], [tensors(data()[0])[0]]), "target"),
    ],
)
def test_what_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
