"""Attention, a block of queries at a time."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from minigrad.backends import cpu
from tests.backends.cpu.checking import check, gradients, layouts, numbers


@pytest.mark.parametrize("moderate", [64.0, 0.0])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("shape", [(3, 2, 4, 5, 3, 2), (1, 4, 9, 6, 3, 7), (5, 1, 0, 2, 3, 4)])
def test_attention(shape, keep, moderate, monkeypatch, team):
    """With the kernel for moderate scores and with the other, several batches at a time and some queries of one."""
    monkeypatch.setattr(sys.modules["minigrad.backends.cpu.attention"], "BLOCK", 60)
    monkeypatch.setattr(sys.modules["minigrad.backends.cpu.attention"], "MODERATE", moderate)
    scale = 0.5
    batches, heads, queries, keys, of_keys, of_values = shape
    q, k = numbers(batches, heads, queries, of_keys), numbers(batches, heads, keys, of_keys, seed=1)
    v, gy = numbers(batches, heads, keys, of_values, seed=2), numbers(batches, heads, queries, of_values, seed=3)

    def kernel(q, k, v, gy):
        y, p, lse = cpu.attention(q, k, v, None, None, causal=False, scale=scale, keep_probabilities=keep)
        assert (p is None) == (not keep)
        saved = (None, p, None) if keep else (y, None, lse)
        grads = cpu.attention_backward(gy, q, k, v, None, None, *saved, causal=False, scale=scale, needs=(True,) * 4)
        return y, lse, *grads

    def reference(q, k, v, gy):
        q, k, v = (t.requires_grad_() for t in (q, k, v))
        scores = q @ k.mT * scale
        y = scores.softmax(-1) @ v
        return y, scores.logsumexp(-1), *gradients(y, gy, q, k, v, scores)

    for q2, gy2 in zip(layouts(q), layouts(gy), strict=True):
        check(kernel, reference, q2, k, v, gy2)


@pytest.mark.parametrize("size", [60.0, 1e4])
def test_attention_to_scores_whose_exponentials_overflow(size):
    q, k, v = np.full((1, 1, 1, 1), size, np.float32), np.ones((1, 1, 40, 1), np.float32), numbers(1, 1, 40, 2)
    for sign in (1, -1):
        y, _, lse = cpu.attention(sign * q, k, v, None, None, causal=False, scale=1.0, keep_probabilities=False)
        np.testing.assert_allclose(y, v.mean(2, keepdims=True), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(lse, sign * size + np.log(40), rtol=1e-6)
