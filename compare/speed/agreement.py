"""Whether two implementations compute the same: what is compared in their first steps from one start.

Losses alone see little: a bias whose gradient is 20 % too large moves none by 1e-4 in two steps. So each array of the model
is compared, in 2-norms:

  gradient   of the first step, as its update took it (clipped)
  change     that the steps made in it, each number weighted by its gradient

The weights are there for AdamW. Its first steps move every number by the learning rate, however short the gradient; where
that is nothing but rounding, two right programs step in different directions. (The biases of attention's keys are such
numbers: they add the same to all scores of a query, which the softmax does not see.) What matters is what a change does to
the loss, gradient times change. In turn AdamW's changes cannot tell a gradient from its double: hence the gradients.

The tolerances are wide for SimpleNet and the vision transformer, where 1e-3 and 1e-5 are seen, all of it rounding; with
batch norm a difference in the last digit decides which of two pixels wins a pool, and torch's own two memory formats end up
7 % apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compare.kit.distances import Arrays, norm_distance
from compare.kit.job import part

TOLERANCES = {"loss": 1e-4, "gradient": 0.1, "change": 0.1}


def compare_runs(
    losses: list[float], other_losses: list[float], start: Arrays, after: Arrays, other: Arrays
) -> dict[str, Any]:
    """How far apart two implementations are after the same steps from the same start; `after`, `other`: what they saved then.

    loss: the largest relative difference of a step's losses. gradient, change: the largest relative distance over the
    arrays of the model, of the first step's gradients, and of what the steps changed times the other's gradients (running
    statistics, which have none, as they are). where: the names of these arrays.
    """
    before, gradients = part(start, "model"), part(other, "gradient")

    def changes(saved: Arrays) -> Arrays:
        return {key: (value - before[key]) * gradients.get(key, 1) for key, value in part(saved, "model").items()}

    pairs = {"gradient": (part(after, "gradient"), gradients), "change": (changes(after), changes(other))}
    found: dict[str, Any] = {"where": {}}
    for what, (ours, theirs) in pairs.items():
        apart = {key: norm_distance(ours[key], theirs[key]) for key in theirs}
        where = max(apart, key=lambda key: np.nan_to_num(apart[key], nan=np.inf))
        found[what], found["where"][what] = apart[where], where
    by_loss = [norm_distance(np.array(a), np.array(b)) for a, b in zip(losses, other_losses, strict=True)]
    return {"loss": float(np.max(by_loss)), **found}  # NaN if one is


def agree(agreement: dict[str, dict[str, Any]]) -> bool:
    """Whether all implementations computed what torch did. NaN does not agree with anything."""
    return all(found[what] <= most for found in agreement.values() for what, most in TOLERANCES.items())
