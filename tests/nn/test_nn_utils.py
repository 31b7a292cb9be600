"""Gradient clipping and vectors of parameters against torch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.nn import utils

torch.set_num_threads(1)

SHAPES = [(3, 4), (5,), (), (2, 3, 4, 5)]


def host(tensor: mg.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


def pair_of_parameters(dtype: Any, device: str, scale: float = 1.0) -> tuple[list[Any], list[Any]]:
    """The same parameters with the same gradients in both libraries, and one without a gradient; one transposed."""
    rng = np.random.default_rng(0)
    ours, theirs = [], []
    for shape in SHAPES:
        value, gradient = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
        p = nn.Parameter(mg.tensor(value, device=device))
        q = torch.nn.Parameter(torch.from_numpy(np.array(value)))
        p.grad = mg.tensor(gradient * dtype(scale), device=device)
        q.grad = torch.from_numpy(np.array(gradient * dtype(scale)))
        ours.append(p)
        theirs.append(q)
    ours[0].grad = mg.tensor(host(ours[0].grad).T.copy(), device=device).T.detach()  # not contiguous
    ours.append(nn.Parameter(mg.zeros(2, device=device)))
    theirs.append(torch.nn.Parameter(torch.zeros(2)))
    return ours, theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm_type", [2, 2.0, 1, 3.5, 0.5, 0, math.inf, "inf", -math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1000.0])
def test_clip_grad_norm(norm_type: Any, max_norm: float, dtype: Any, device: str) -> None:
    ours, theirs = pair_of_parameters(dtype, device)
    gradients = [p.grad for p in ours]
    total = utils.clip_grad_norm_(ours, max_norm, norm_type)
    their_total = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    tolerance = {"rtol": 1e-12} if dtype is np.float64 else {"rtol": 5e-6}
    assert total.shape == () and total.dtype == dtype and total.device == device
    np.testing.assert_allclose(host(total), their_total.numpy(), **tolerance)
    for p, q, gradient in zip(ours, theirs, gradients, strict=True):
        assert p.grad is gradient  # in place
        if q.grad is not None:
            assert p.grad.dtype == dtype
            np.testing.assert_allclose(host(p.grad), q.grad.numpy(), **tolerance)


def test_clip_grad_norm_of_one_of_none_and_of_nothing() -> None:
    p = nn.Parameter(mg.zeros(2))
    assert float(utils.clip_grad_norm_(p, 1.0)) == 0 == float(torch.nn.utils.clip_grad_norm_(torch.zeros(2), 1.0))
    assert float(utils.clip_grad_norm_([], 1.0)) == 0
    with pytest.warns(UserWarning, match="empty generator"):
        utils.clip_grad_norm_((x for x in []), 1.0)
    p.grad = mg.tensor([3.0, 4.0])
    assert float(utils.clip_grad_norm_(p, 1.0)) == 5
    np.testing.assert_allclose(host(p.grad), [0.6, 0.8], rtol=1e-6)
    assert float(utils.get_total_norm(p.grad)) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_clip_grad_norm_of_nonfinite(value: float) -> None:
    def fill(p: Any, tensor: Any) -> Any:
        p.grad = tensor([1.0, value])
        return p

    p, q = fill(nn.Parameter(mg.zeros(2)), mg.tensor), fill(torch.nn.Parameter(torch.zeros(2)), torch.tensor)
    with pytest.raises(RuntimeError, match="order 2.0 .*non-finite"):
        utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(host(p.grad), [1, value])  # as it was
    utils.clip_grad_norm_([p], 1.0)
    torch.nn.utils.clip_grad_norm_([q], 1.0)
    np.testing.assert_array_equal(host(p.grad), q.grad.numpy())


def test_clip_grad_norm_counts_as_a_change() -> None:
    p = nn.Parameter(mg.ones(2))
    p.grad = mg.ones(2)
    version = p.grad.version
    utils.clip_grad_norm_(p, 0.1)
    utils.clip_grad_value_(p, 0.01)
    assert p.grad.version == version + 2


def test_clip_grad_value(device: str) -> None:
    ours, theirs = pair_of_parameters(np.float32, device)
    gradients = [p.grad for p in ours]
    utils.clip_grad_value_(ours, 0.4)
    torch.nn.utils.clip_grad_value_(theirs, 0.4)
    for p, q, gradient in zip(ours, theirs, gradients, strict=True):
        assert p.grad is gradient
        if q.grad is not None:
            np.testing.assert_array_equal(host(p.grad), q.grad.numpy())


def test_parameters_to_vector_and_back(device: str) -> None:
    ours, theirs = pair_of_parameters(np.float32, device)
    vector = utils.parameters_to_vector(ours)
    np.testing.assert_array_equal(host(vector), torch.nn.utils.parameters_to_vector(theirs).detach().numpy())
    for p in ours:
        p.grad = None
    (vector * 2).sum().backward()  # it is part of the graph
    np.testing.assert_array_equal(host(ours[3].grad), 2)
    new = mg.arange(vector.numel(), dtype=np.float32, device=device)
    utils.vector_to_parameters(new, ours)
    torch.nn.utils.vector_to_parameters(torch.arange(vector.numel(), dtype=torch.float32), theirs)
    for p, q in zip(ours, theirs, strict=True):
        assert p.requires_grad and p.is_leaf and p.device == device
        np.testing.assert_array_equal(host(p), q.detach().numpy())
    with pytest.raises(TypeError, match="expected a Tensor"):
        utils.vector_to_parameters([1.0], ours)
    before = host(ours[0]).copy()
    with pytest.raises(ValueError, match="expected a vector of"):
        utils.vector_to_parameters(mg.zeros(3, device=device), ours)
    np.testing.assert_array_equal(host(ours[0]), before)
