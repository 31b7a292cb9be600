"""Stochastic depth against torchvision's, and the masks of all dropout layers from a given generator."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import minigrad
from minigrad import nn
from minigrad.autograd import grad
from minigrad.nn import functional as F

LAYERS = [
    (nn.Dropout, (0.4,), (6, 5)),
    (nn.Dropout1d, (0.4,), (3, 8, 5)),
    (nn.Dropout2d, (0.4,), (3, 8, 2, 2)),
    (nn.AlphaDropout, (0.4,), (6, 5)),
    (nn.StochasticDepth, (0.4, "row"), (12, 3, 2)),
    (nn.DropPath, (0.4,), (12, 3)),
]


@pytest.mark.parametrize("cls, arguments, shape", LAYERS)
def test_masks_come_from_the_generator(cls: Any, arguments: Any, shape: tuple[int, ...], device: str) -> None:
    x = minigrad.rand(*shape, device=device) + 1

    def run(generator: minigrad.Generator | None) -> np.ndarray:
        return cls(*arguments, generator=generator)(x).numpy(force=True)

    assert np.array_equal(run(minigrad.Generator(3)), run(minigrad.Generator(3)))
    assert not np.array_equal(run(minigrad.Generator(3)), run(minigrad.Generator(4)))
    given = minigrad.Generator(3)
    before = minigrad.random.get_rng_state()
    first, second = run(given), run(given)
    assert minigrad.random.get_rng_state() == before  # the default one is left alone
    assert not np.array_equal(first, second)
    minigrad.manual_seed(3)
    assert np.array_equal(run(None), first)  # and without another, it is the one


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(40, 3, 2), (40,)])
def test_stochastic_depth_is_torchvisions(
    shape: tuple[int, ...], p: float, mode: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value and both gradients, given the same samples to drop."""
    x, w = (np.random.default_rng(i).normal(size=shape) for i in range(2))
    a = minigrad.from_numpy(x).to(device).requires_grad_()
    y = F.stochastic_depth(a, p, mode, generator=minigrad.Generator(1))
    found = grad((y * y * minigrad.from_numpy(w).to(device)).sum(), a)[0]

    def bernoulli_(noise: torch.Tensor, survival: float) -> torch.Tensor:
        assert survival == 1 - p
        return noise.copy_(torch.from_numpy(minigrad.Generator(1).uniform(0, 1, tuple(noise.shape)) >= p))

    b = torch.from_numpy(x).requires_grad_()
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "bernoulli_", bernoulli_)
        z = torchvision.ops.stochastic_depth(b, p, mode)
    expected = torch.autograd.grad((z * z * torch.from_numpy(w)).sum(), b)[0]
    np.testing.assert_allclose(y.numpy(force=True), z.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(found.numpy(force=True), expected.numpy(), rtol=1e-12)


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean() -> None:
    y = F.stochastic_depth(minigrad.ones(4000, 2, 3), 0.25, "row", generator=minigrad.Generator(0)).numpy()
    assert (y == y[:, :1, :1]).all()
    assert (y[:, 0, 0] == 0).mean() == pytest.approx(0.25, abs=0.02) and y.mean() == pytest.approx(1, abs=0.03)
    whole = [F.stochastic_depth(minigrad.ones(5, 2), 0.5, "batch", generator=minigrad.Generator(s)) for s in range(20)]
    assert {tuple(set(y.numpy().ravel())) for y in whole} == {(0.0,), (2.0,)}


def test_evaluation_and_nought_change_nothing() -> None:
    x = minigrad.rand(4, 3)
    assert F.stochastic_depth(x, 0.5, "row", training=False) is x
    assert F.stochastic_depth(x, 0.0, "row") is x
    assert nn.StochasticDepth(0.5, "row").eval()(x) is x
    assert nn.DropPath()(x) is x
    assert repr(nn.StochasticDepth(0.5, "batch")) == "StochasticDepth(p=0.5, mode=batch)"


def test_stochastic_depths_arguments_are_torchvisions() -> None:
    for ours, theirs in (
        (F.stochastic_depth, torchvision.ops.stochastic_depth),
        (nn.StochasticDepth, torchvision.ops.StochasticDepth),
    ):
        expected = [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()]
        found = [(p.name, p.default) for p in inspect.signature(ours).parameters.values()]
        assert found[: len(expected)] == expected


def test_errors() -> None:
    x = minigrad.zeros(2, 2)
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"between 0 and 1, but got {p}"):
            F.stochastic_depth(x, p, "row")
    with pytest.raises(ValueError, match="mode has to be either 'batch' or 'row', but got column"):
        nn.StochasticDepth(0.5, "column")(x)
