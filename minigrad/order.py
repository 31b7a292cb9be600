"""The order in which nodes are made: the numbers that the backward pass goes back along."""

from __future__ import annotations

import itertools

numbers = itertools.count()
"""Each node takes the next one when it is made, so a node's consumers have higher numbers than it has."""


def now() -> int:
    """A number above those of the nodes made so far, below those of the nodes to come."""
    return next(numbers)
