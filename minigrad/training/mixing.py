"""Mixup: batches in which each image is a little of another one, as both training scripts have them."""

from __future__ import annotations

import numpy as np

from minigrad.training.options import Options


def mixed(
    options: Options, epoch: int, step: int, inputs: np.ndarray, labels: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """x <- s x + (1 - s) x',  y <- s y + (1 - s) y': inputs (N, C, H, W), targets (N, classes), of the inputs' dtype.

    x' is the batch in another order, s one draw a batch from Beta(a, a), a = --mixup; at 0 inputs and labels stay as they are.
    All is drawn from (seed, epoch, step), so that both scripts, and a run that is resumed, mix alike.
    Source: H. Zhang et al., mixup: Beyond Empirical Risk Minimization (2018).
    """
    if not options.mixup:
        return inputs, labels
    draws = np.random.Generator(np.random.Philox(np.random.SeedSequence(options.seed, spawn_key=(epoch, step, 1))))
    share = float(draws.beta(options.mixup, options.mixup))
    other = draws.permutation(len(labels))
    own = np.eye(classes, dtype=inputs.dtype)[labels]
    return inputs * share + inputs[other] * (1 - share), own * share + own[other] * (1 - share)
