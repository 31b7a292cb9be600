"""Losses against torch: a line a case (see tests/checking.py for what a line checks)."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad.nn import functional as F
from tests import emulator
from tests.cases import INDEX, KINKED, Table
from tests.checking import Drawn, Given, positive

T = Table("nn.functional.")
case, refusal = T.case, T.refusal


def chance(*shape: int) -> Drawn:
    """Probabilities, not near 0 or 1."""
    return Drawn(shape, 0.1, 0.9)


SIGNS = Given([1, -1, -1, 1, 1], INDEX)
TARGET = Given([0, 3, 1, 2, 3], INDEX)
WEIGHT = np.array([0.5, 1.0, 2.0, 0.3])
for reduction in ("mean", "sum", "none"):
    r = {"reduction": reduction}
    case("mse_loss", (2, 3), (2, 3), **r)
    case("l1_loss", (2, 3), (2, 3), **r)
    case("mse_loss", (2, 3), (2, 3), weight=np.linspace(0, 1, 6).reshape(2, 3), **r)
    case("l1_loss", (2, 3), (2, 3), weight=np.linspace(0, 1, 6).reshape(2, 3), **r)
    case("smooth_l1_loss", (4, 3), (4, 3), **r)
    case("smooth_l1_loss", (4, 3), (4, 3), beta=0.3, **r)
    case("huber_loss", (4, 3), (4, 3), **r)
    case("huber_loss", (4, 3), (4, 3), delta=0.3, **r)
    case("huber_loss", (2, 3), (2, 3), weight=np.linspace(0, 1, 6).reshape(2, 3), **r)
    case("binary_cross_entropy", chance(2, 3), chance(2, 3), **r)
    case("binary_cross_entropy", chance(2, 3), chance(2, 3), weight=np.array([0.5, 2.0, 1.0]), **r)
    case("binary_cross_entropy_with_logits", (2, 3), chance(2, 3), **r)
    case("binary_cross_entropy_with_logits", (2, 3), chance(2, 3), weight=np.array([[0.5], [2.0]]), **r)
    case("binary_cross_entropy_with_logits", (2, 3), chance(2, 3), pos_weight=np.array([0.5, 2.0, 1.0]), **r)
    case("kl_div", (2, 3), chance(2, 3), **r)
    case("kl_div", (2, 3), (2, 3), log_target=True, **r)
    case("nll_loss", (5, 4), TARGET, weight=WEIGHT, ignore_index=3, **r)
    case("nll_loss", (2, 4, 2, 3), Given(np.arange(12).reshape(2, 2, 3) % 4, INDEX), weight=WEIGHT, **r)
    case("cross_entropy", (2, 4, 2, 3), Given(np.arange(12).reshape(2, 2, 3) % 4, INDEX), label_smoothing=0.1, **r)
    case("cross_entropy", (2, 4, 3), chance(2, 4, 3), weight=WEIGHT, label_smoothing=0.2, **r)
    case("cosine_embedding_loss", (5, 3), (5, 3), SIGNS, **r)
    case("cosine_embedding_loss", (5, 3), (5, 3), SIGNS, margin=0.3, **r)
    case("margin_ranking_loss", (5,), (5,), SIGNS, margin=0.5, **r)
    case("hinge_embedding_loss", (5,), SIGNS, margin=0.7, **r)
    case("triplet_margin_loss", (4, 3), (4, 3), (4, 3), **r)
    case("triplet_margin_loss", (4, 3), (4, 3), (4, 3), margin=0.3, p=3.0, swap=True, **r)
    case("soft_margin_loss", (5,), SIGNS, **r)
    case("multi_margin_loss", (5, 4), TARGET, order=1, **r)
    case("multi_margin_loss", (5, 4), TARGET, p=2, margin=0.4, weight=WEIGHT, order=1, **r)
    case("poisson_nll_loss", (2, 3), Drawn((2, 3), 0.0, 4.0), full=True, **r)
    case("poisson_nll_loss", positive(2, 3), Drawn((2, 3), 0.0, 4.0), log_input=False, **r)
    case("gaussian_nll_loss", (2, 3), (2, 3), positive(2, 3), **r)
    case("gaussian_nll_loss", (2, 3), (2, 3), positive(2), full=True, **r)
    case("gaussian_nll_loss", (2, 3), (2, 3), positive(2, 1), **r)
for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
    case(name, (), ())
    case(name, (0, 3), (0, 3), **KINKED)
    case(name, (2, 3), (3,))
    case(name, Given([1.0, 2.0, float("nan")]), Given([1.0, 3.0, 0.0]), **KINKED, order=1, reduction="none")
case("l1_loss", Given([1, 2], INDEX), Given([3, 5], INDEX), reduction="sum")
case("smooth_l1_loss", (3,), (3,), beta=0)
case("smooth_l1_loss", Given([0.0, 1.0, -1.0]), Given([0.0, 0.0, 0.0]), **KINKED, order=1)
case("huber_loss", Given([0.0, 1.0, -1.0]), Given([0.0, 0.0, 0.0]), **KINKED, order=1)
case("binary_cross_entropy", Given([0.0, 1.0, 0.0, 1.0]), Given([0.0, 1.0, 0.3, 0.3]), **KINKED, order=1)
case("binary_cross_entropy", chance(0, 3), chance(0, 3), **KINKED)
case("binary_cross_entropy_with_logits", Given([0.0, 800.0, -800.0, 30.0]), Given([0.0, 1.0, 0.2, 0.5]))
case("binary_cross_entropy_with_logits", (), chance())
case("kl_div", (2, 3), chance(2, 3), reduction="batchmean")
case("kl_div", (2, 3), (2, 3), reduction="batchmean", log_target=True)
case("nll_loss", (4,), Given(2, INDEX))
case("nll_loss", (3, 4), Given([0, 1, 3], np.uint8), weight=WEIGHT)
case("nll_loss", (3, 4), Given([-100, -100, -100], INDEX), **KINKED)
case("nll_loss", (0, 4), Given(np.zeros(0), INDEX), **KINKED)
case("cross_entropy", (3, 4), Given([-100, -100, -100], INDEX), **KINKED)
case("cross_entropy", (0, 4), Given(np.zeros(0), INDEX), reduction="sum")
case("cross_entropy", (3, 4), Given([0, 1, 3], np.uint8), weight=WEIGHT, order=1)
case("cross_entropy", (4,), chance(4), weight=WEIGHT)
case("cross_entropy", Given([[1000.0, 0.0], [-1000.0, 0.0]]), Given([1, 0], INDEX))
case("cosine_embedding_loss", (3,), (3,), Given(1, INDEX))
case("cosine_embedding_loss", Given(np.zeros((2, 3))), (2, 3), Given([1, -1], INDEX), **KINKED, order=1)
case("multi_margin_loss", (4,), Given(2, INDEX), order=1)
case("gaussian_nll_loss", (2, 3), (2, 3), 0.5)
case("gaussian_nll_loss", (3,), (3,), Given([0.0, 1e-8, 0.1]), **KINKED, order=1)
for reduction in ("mean", "sum", "none"):
    case("cross_entropy", (5, 4), TARGET, reduction=reduction)
    case("nll_loss", (5, 4), TARGET, reduction=reduction)
    case("cross_entropy", (5, 4), TARGET, weight=WEIGHT, reduction=reduction, label_smoothing=0.1)
    case("nll_loss", (5, 4), TARGET, weight=WEIGHT, reduction=reduction)
case("cross_entropy", (5, 4), TARGET, label_smoothing=0.1)
case("cross_entropy", (5, 4), Given([0, -100, 1, 2, -100], INDEX))
case("cross_entropy", (5, 4), Given([0, 2, 1, 2, 2], INDEX), ignore_index=2, reduction="none", label_smoothing=0.2)
case("cross_entropy", (4,), Given(2, INDEX))
case("cross_entropy", (2, 4, 3), Given([[0, 1, 2], [3, 3, 0]], INDEX))
case("cross_entropy", (2, 4, 2, 3), Given(np.arange(12).reshape(2, 2, 3) % 4, INDEX), reduction="none")
case("cross_entropy", (3, 4), Drawn((3, 4), 0.0, 1.0))
case("cross_entropy", (3, 4), Drawn((3, 4), 0.0, 1.0), label_smoothing=0.3, reduction="none")
case("nll_loss", (2, 4, 3), Given([[0, 1, 2], [3, 3, 0]], INDEX))
# -- pairs of vectors
case("cosine_similarity", (2, 3), (2, 3))
case("cosine_similarity", (2, 3, 4), (2, 3, 4), dim=-1)
case("cosine_similarity", (2, 1, 4), (3, 4), dim=2)
case("cosine_similarity", (3,), (3,), dim=0)
case("cosine_similarity", Given(np.zeros((1, 3))), (1, 3), **KINKED, order=1)
case("pairwise_distance", (2, 3), (2, 3))
case("pairwise_distance", (2, 3), (3,), p=1.0, keepdim=True)
case("pairwise_distance", (2, 3), (2, 3), p=3.0, eps=0.1)
case("normalize", (2, 3))
case("normalize", (2, 3, 4), p=3.0, dim=-1)
case("normalize", (2, 3), p=1.0, dim=0)
case("normalize", (2, 3), p=float("inf"))
case("normalize", Given(np.zeros((2, 3))), **KINKED, order=1)
case("bilinear", (2, 3), (2, 4), (5, 3, 4), (5,))
case("bilinear", (2, 2, 3), (2, 2, 4), (5, 3, 4))
case("bilinear", (3,), (4,), (5, 3, 4))


# -- errors and warnings


def _z(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return np.zeros(shape, dtype)


X = _z(3, 4)
CLASSES = np.array([0, 1, 2])
for name, inputs, kwargs in (
    ("mse_loss", (X, X), {"reduction": "average"}),
    ("mse_loss", (X, _z(3, 3)), {}),
    ("mse_loss", (X, X), {"weight": _z(4)}),
    ("mse_loss", (CLASSES, CLASSES), {}),
    ("smooth_l1_loss", (X, X), {"beta": -1.0}),
    ("smooth_l1_loss", (CLASSES, CLASSES), {}),
    ("huber_loss", (X, X), {"delta": 0.0}),
    ("huber_loss", (CLASSES, CLASSES), {}),
    ("binary_cross_entropy", (X, _z(4)), {}),
    ("binary_cross_entropy", (X - 1, X), {}),
    ("binary_cross_entropy", (X, X + 2), {}),
    ("binary_cross_entropy", (X * np.nan, X), {}),
    ("binary_cross_entropy", (X, X.astype(np.float32)), {}),
    ("binary_cross_entropy_with_logits", (X, _z(4)), {}),
    ("binary_cross_entropy_with_logits", (X, X.astype(np.int64)), {}),
    ("kl_div", (X, X), {"reduction": "average"}),
    ("cross_entropy", (X, np.array([0, 1, 4])), {}),
    ("cross_entropy", (X, np.array([0, 1, -1])), {}),
    ("cross_entropy", (X, CLASSES[:2]), {}),
    ("cross_entropy", (X, np.array(1)), {}),
    ("cross_entropy", (X, CLASSES.astype(np.int32)), {}),
    ("cross_entropy", (X, CLASSES.astype(bool)), {}),
    ("cross_entropy", (X, _z(3)), {}),
    ("cross_entropy", (X, _z(3, 3)), {}),
    ("cross_entropy", (X, X), {"ignore_index": 1}),
    ("cross_entropy", (X, CLASSES), {"weight": _z(3)}),
    ("cross_entropy", (X, CLASSES), {"label_smoothing": 1.5}),
    ("cross_entropy", (X, CLASSES), {"reduction": "average"}),
    ("cross_entropy", (_z(3, 4, 2), _z(3, 4, dtype=np.int64)), {}),
    ("cross_entropy", (X.astype(np.int64), CLASSES), {}),
    ("nll_loss", (X, np.array([0, 1, 4])), {}),
    ("nll_loss", (X, CLASSES[:2]), {}),
    ("nll_loss", (X, _z(3)), {}),
    ("nll_loss", (np.array(1.0), np.array(0)), {}),
    ("nll_loss", (X, CLASSES), {"weight": _z(3)}),
    ("nll_loss", (_z(3, 4, 2), _z(3, 4, dtype=np.int64)), {}),
    ("cosine_embedding_loss", (X, X, _z(3, 4)), {}),
    ("cosine_embedding_loss", (X, _z(4), _z(3)), {}),
    ("margin_ranking_loss", (X, X, _z(4)), {}),
    ("triplet_margin_loss", (X, X, X), {"margin": 0.0}),
    ("triplet_margin_loss", (X, X, _z(4)), {}),
    ("multi_margin_loss", (X, np.array([0, 1, 4])), {}),
    ("multi_margin_loss", (X, CLASSES[:2]), {}),
    ("multi_margin_loss", (X, CLASSES), {"p": 3}),
    ("multi_margin_loss", (X, CLASSES), {"weight": _z(3)}),
    ("gaussian_nll_loss", (X, X, X - 1), {}),
    ("gaussian_nll_loss", (X, X, _z(2)), {}),
    ("gaussian_nll_loss", (X, X, X), {"reduction": "average"}),
    ("cosine_similarity", (X, _z(3, 3)), {}),
    ("cosine_similarity", (X, X), {"dim": 2}),
    ("cosine_similarity", (CLASSES, CLASSES), {"dim": 0}),
    ("pairwise_distance", (X, _z(3, 3)), {}),
    ("normalize", (CLASSES,), {"dim": 0}),
    ("bilinear", (X, X, _z(5, 3, 4)), {}),
    ("bilinear", (X, _z(1, 4), _z(5, 4, 4)), {}),
    ("bilinear", (X, X, _z(5, 4, 4), _z(4)), {}),
):
    refusal(name, *inputs, **kwargs)


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


def _call(framework: Any, convert: Any, name: str, args: Any, kwargs: Any) -> Any:
    def given(a: Any) -> Any:
        return convert(a) if hasattr(a, "dtype") else a

    function = getattr(framework.nn.functional, name)
    return function(*(given(a) for a in args), **{k: given(v) for k, v in kwargs.items()})


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_broadcasting_is_warned_of(name: str) -> None:
    with pytest.warns(UserWarning, match="Using a target size"):
        getattr(F, name)(minigrad.zeros(2, 3), minigrad.zeros(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(F, name)(minigrad.zeros(2, 3), minigrad.zeros(2, 3))


def test_the_mean_of_a_divergence_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(minigrad.zeros(2, 3), minigrad.ones(2, 3))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_one_row_with_one_target(name: str, reduction: str) -> None:
    """(C) with a target (1,): torch's values, though its own gradient fails there."""
    x, target = np.array([0.1, 0.5, -0.3]), np.array([2])
    theirs = getattr(torch.nn.functional, name)(torch.from_numpy(x), torch.from_numpy(target), reduction=reduction)
    ours = getattr(F, name)(minigrad.from_numpy(x), minigrad.from_numpy(target), reduction=reduction)
    assert ours.shape == tuple(theirs.shape)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-12)


@pytest.mark.parametrize("old", [(None, False), (False, None), (True, None), (False, True), (True, False)])
def test_the_older_arguments(old: tuple[Any, Any]) -> None:
    """size_average and reduce, third and fourth in line, as torch still takes them."""
    x, y = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.0, 1.0])
    with pytest.warns(UserWarning, match="size_average"):
        theirs = torch.nn.functional.mse_loss(torch.from_numpy(x), torch.from_numpy(y), *old)
    with pytest.warns(UserWarning, match="size_average"):
        ours = F.mse_loss(minigrad.from_numpy(x), minigrad.from_numpy(y), *old)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy())


READS = {
    "item": lambda x: x.item(),
    "float": float,
    "numpy": lambda x: x.numpy(force=True),
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss", "multi_margin_loss"])
def test_a_target_that_is_no_class(name: str, read: str, device: str) -> None:
    """On a GPU, which the forward pass does not wait for, the error comes where the loss is read, and once."""
    x, bad = minigrad.zeros(2, 3, device=device), minigrad.tensor([0, 3], device=device)
    waits = emulator.capturing() if emulator.real_cupy() is None else nullcontext()
    with pytest.raises((IndexError, RuntimeError), match="arget 3 is out of"):
        with waits if device != "cpu" else nullcontext():
            loss = getattr(F, name)(x, bad)
        READS[read](loss)
    assert getattr(F, name)(x, bad.clamp(max=2)).item() >= 0
