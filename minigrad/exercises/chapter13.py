"""Chapter 13, attention: with a mask, its gradient, and the cost of windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.exercises.judge import exercise, expect, judges


@exercise
def attention(q, k, v, allowed):
    """softmax(q k^T / sqrt(d)) v of arrays q (L, d), k (S, d), v (S, e); where allowed (L, S) is False, nothing is mixed in."""


@judges(attention)
def _(answer: Any) -> None:
    random = np.random.default_rng(0)
    q, k, v = (random.standard_normal(shape) for shape in ((3, 4), (3, 4), (3, 2)))
    allowed = np.tril(np.ones((3, 3), bool))

    def mix(scores: Any) -> Any:
        p = np.exp(scores)
        return p / p.sum(1, keepdims=True) @ v

    scores = q @ k.T / 2
    mistakes = {
        "the scores are divided by the root of d": mix(np.where(allowed, q @ k.T, -np.inf)),
        "the mask is not used": mix(scores),
        "a score of 0 is no mask: e^0 is 1. Use minus infinity": mix(scores * allowed),
        "shares must add up to 1 after the mask too": np.exp(scores)
        / np.exp(scores).sum(1, keepdims=True)
        * allowed
        @ v,
    }
    expect(answer(q, k, v, allowed), mix(np.where(allowed, scores, -np.inf)), "attention with a causal mask", mistakes)


@exercise
def scores_backward(gp, p):
    """The gradient of the scores S, where p = softmax(S) along each row; gp: that of p. Arrays (L, S)."""


@judges(scores_backward)
def _(answer: Any) -> None:
    p, gp = np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([[1.0, 2.0], [3.0, -1.0]])
    right = p * (gp - (gp * p).sum(1, keepdims=True))
    mistakes = {
        "the sum runs along each row, not over the whole table": p * (gp - (gp * p).sum()),
        "only the diagonal of each row's Jacobian is used": gp * p * (1 - p),
    }
    expect(answer(gp, p), right, "scores_backward", mistakes)


@exercise
def number_of_scores(side, window):
    """How many scores attention in windows computes: side x side tokens in windows of window x window, which divides side."""


@judges(number_of_scores)
def _(answer: Any) -> None:
    mistakes = {"this is one window; there are (side / window)^2": 4**4, "this is without windows": 8**4}
    expect(answer(8, 4), 64 * 16, "number_of_scores(8, 4)", mistakes)
    expect(answer(6, 6), 36 * 36, "number_of_scores(6, 6)")
