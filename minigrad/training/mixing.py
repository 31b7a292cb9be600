"""Mixup: batches in which each image is a little of another one, as both training scripts have them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from minigrad.training.options import Options

Mixing: TypeAlias = tuple[np.ndarray, np.ndarray]
"""The shares (s, 1 - s), and for each image the number (N,) of the other one in it."""


def drawn(options: Options, epoch: int, step: int, count: int) -> Mixing | None:
    """How a batch of `count` images is mixed: s is one draw a batch from Beta(a, a), a = --mixup; None at 0.

    All is drawn from (seed, epoch, step), so that both scripts, and a run that is resumed, mix alike.
    """
    if not options.mixup:
        return None
    draws = np.random.Generator(np.random.Philox(np.random.SeedSequence(options.seed, spawn_key=(epoch, step, 1))))
    share = float(draws.beta(options.mixup, options.mixup))
    return np.array([share, 1 - share]), draws.permutation(count)


def mix(inputs: Any, labels: Any, shares: Any, other: Any, classes: Any) -> tuple[Any, Any]:
    """x <- s x + (1 - s) x',  y <- s y + (1 - s) y': inputs (N, C, H, W), targets (N, classes), of the inputs' dtype.

    Arrays of one library; labels (N,) integers; classes: the numbers of all classes, (K,). Inputs and labels may go on behind
    the N: with images that are there to be mixed in, `other` says where.
    Source: H. Zhang et al., mixup: Beyond Empirical Risk Minimization (2018).
    """
    pixels, own = inputs.transpose(0, 2, 3, 1), (labels[:, None] == classes).astype(inputs.dtype)
    shares = shares.astype(inputs.dtype)
    images, targets = (x[: len(other)] * shares[0] + x[other] * shares[1] for x in (pixels, own))
    return images.transpose(0, 3, 1, 2), targets


def mixed(
    options: Options, epoch: int, step: int, inputs: np.ndarray, labels: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """The step's inputs and targets as drawn and mixed; at --mixup 0 as they are."""
    mixing = drawn(options, epoch, step, len(labels))
    return (inputs, labels) if mixing is None else mix(inputs, labels, *mixing, np.arange(classes))
