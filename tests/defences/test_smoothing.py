"""Randomised smoothing: both frameworks certify alike, and the radii are true."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm

import minigrad
from minigrad import defences
from minigrad.defences.smoothing import lower_bound, quantile, winner
from models.reference import defences as reference
from tests.attacks.pytorch import PIXELS, batch, both


class Half(minigrad.nn.Module):
    """Class 1 where the first number is above 0."""

    def forward(self, x: minigrad.Tensor) -> minigrad.Tensor:
        first = x.flatten(1)[:, :1]
        return minigrad.cat([first * 0, first, first * 0 - 1e9], 1)


@pytest.mark.parametrize("std", [None, PIXELS["std"]])
def test_both_frameworks_certify_alike(std: tuple[float, ...] | None) -> None:
    images = batch(6)[0]
    found = []
    for library, model, tensor in (
        (defences, both()[0], minigrad.tensor(images)),
        (reference, both()[1], torch.from_numpy(images)),
    ):
        smoothed = library.Smoothed(model, 0.3, std, batch=64)
        classes, radii = smoothed.certify(tensor, 20, 200, 0.01)
        found.append((classes, radii, smoothed.predict(tensor, 100, 0.01)))
        assert model.training
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-10)
    np.testing.assert_array_equal(found[0][2], found[1][2])
    assert (found[0][0] >= 0).any() and (found[0][1] > 0).any()


def test_the_radius_of_a_half_space_is_its_distance() -> None:
    """There g(x) is f(x), and Phi^-1(p) sigma the distance to the boundary: certified is less, and nearly all of it."""
    images = minigrad.tensor(np.array([0.4, -0.3, 0.0]).reshape(3, 1, 1, 1))
    classes, radii = defences.Smoothed(Half(), 0.5, seed=1).certify(images, 50, 20_000)
    assert classes.tolist() == [1, 0, defences.ABSTAINED] and radii[2] == 0
    assert (radii[:2] < [0.4, 0.3]).all() and (radii[:2] > [0.36, 0.26]).all()
    pixels = defences.Smoothed(Half(), 0.25, (0.5,), seed=1).certify(images, 50, 20_000)[1]
    assert pixels[:2] == pytest.approx(radii[:2] * 0.5, rel=0.1)


def test_an_image_has_its_own_noise() -> None:
    """Neither the others of its batch, nor their order, nor the size of the parts, changes what is certified of it."""
    images = minigrad.tensor(batch(5)[0])
    model = both()[0]
    whole = defences.Smoothed(model, 0.3).certify(images, 20, 150)
    order = [3, 0, 4]
    some = defences.Smoothed(model, 0.3, batch=37).certify(images[order], 20, 150, indices=order)
    assert some[0].tolist() == whole[0][order].tolist() and some[1].tolist() == whole[1][order].tolist()


@pytest.mark.parametrize("hits", [0, 1, 30, 77, 99, 100])
def test_the_bound_is_that_of_clopper_and_pearson(hits: int) -> None:
    wanted = binomtest(hits, 100, alternative="greater").proportion_ci(0.99, "exact").low
    assert lower_bound(hits, 100, 0.01) == pytest.approx(wanted, abs=1e-12)
    assert quantile(0.9) == pytest.approx(norm.ppf(0.9))


@pytest.mark.parametrize("votes", [[50, 50, 0], [60, 40, 0], [70, 30, 0], [0, 99, 1], [5, 0, 0]])
def test_a_vote_that_decides_nothing_is_none(votes: list[int]) -> None:
    first, second, *_ = sorted(votes, reverse=True)
    decided = binomtest(first, first + second, 0.5).pvalue <= 0.001
    assert winner(np.array(votes), 0.001) == (int(np.argmax(votes)) if decided else defences.ABSTAINED)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="sigma"):
        defences.Smoothed(Half(), 0.0)
    smoothed, image = defences.Smoothed(Half(), 1.0), minigrad.zeros(1, 1, 2, 2)
    for settings, said in (({"n": 0}, "n must be"), ({"alpha": 1.0}, "alpha"), ({"indices": [1, 2]}, "indices")):
        with pytest.raises(ValueError, match=said):
            smoothed.certify(image, **settings)  # type: ignore[arg-type]
