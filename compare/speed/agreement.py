"""Whether two tracks compute the same: what is held against what in the first steps from the same start.

Losses alone see little: a bias whose gradient is 20 % too large moves none by 1e-4 in two steps. So each array of the model
is looked at, in 2-norms:

  gradient   of the first step, as its update took it (clipped)
  change     that the steps made in it, each number weighted by its gradient

The weights are there for AdamW. Its first steps move every number by the learning rate, however short the gradient; where
that is nothing but rounding, two right programs step in different directions. (The biases of attention's keys are such
numbers: they add the same to all scores of a query, which the softmax does not see.) What counts is what a change does to
the loss, gradient times change. In turn AdamW's changes cannot tell a gradient from its double: hence the gradients.

The tolerances are wide for SimpleNet and the vision transformer, where 1e-3 and 1e-5 are seen, all of it rounding; with
batch norm a difference in the last digit decides which of two pixels wins a pool, and torch's own two memory formats end up
7 % apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compare.kit.frameworks import Arrays, gradients_of, weights_of
from compare.kit.statistics import relative_distance

TOLERANCES = {"loss": 1e-4, "gradient": 0.1, "change": 0.1}


def compare_runs(
    losses: list[float], other_losses: list[float], start: Arrays, after: Arrays, other: Arrays
) -> dict[str, Any]:
    """How far apart two tracks are after the same steps from the same start; `after` and `other`: what they saved then.

    loss: the largest relative difference of a step's losses. gradient, change: the largest relative distance over the
    arrays of the model, of the first step's gradients, and of what the steps changed times the other's gradients (running
    statistics, which have none, as they are). where: the names of these arrays.
    """
    gradients, other_gradients = gradients_of(after), gradients_of(other)
    before, weights, other_weights = weights_of(start), weights_of(after), weights_of(other)

    def change(weights: Arrays, key: str) -> np.ndarray:
        return (weights[key] - before[key]) * other_gradients.get(key, 1)

    distances = {
        "gradient": {key: relative_distance(gradients[key], other_gradients[key]) for key in other_gradients},
        "change": {key: relative_distance(change(weights, key), change(other_weights, key)) for key in other_weights},
    }
    where = {
        what: max(found, key=lambda key: np.nan_to_num(found[key], nan=np.inf)) for what, found in distances.items()
    }
    by_loss = [relative_distance(np.array(a), np.array(b)) for a, b in zip(losses, other_losses, strict=True)]
    return {
        "loss": float(np.max(by_loss)),  # NaN if one is
        **{what: found[where[what]] for what, found in distances.items()},
        "where": where,
    }


def agree(agreement: dict[str, dict[str, Any]]) -> bool:
    """Whether all tracks computed what torch did. NaN does not agree with anything."""
    return all(found[what] <= most for found in agreement.values() for what, most in TOLERANCES.items())
