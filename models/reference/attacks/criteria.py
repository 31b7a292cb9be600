"""How far images are from an attack's success, in PyTorch: the measure of the criteria of minigrad.attacks."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from minigrad.attacks import Confidence, Targeted, TopK
from models.reference.attacks.losses import cw


def margin(criterion: Any, logits: Tensor, classes: Tensor) -> Tensor:
    """What criterion.margin gives in minigrad, (N,): a success is below 0."""
    if isinstance(criterion, Confidence):
        unsure = criterion.least - logits.softmax(1).max(1).values
        return margin(criterion.of, logits, classes).maximum(unsure)
    if isinstance(criterion, TopK):
        own = logits.gather(1, classes[:, None])
        others = logits.scatter(1, classes[:, None], float("-inf")).sort(1, descending=True).values
        return (own - others[:, criterion.k - 1 : criterion.k]).squeeze(1)
    return cw(logits, classes) if isinstance(criterion, Targeted) else -cw(logits, classes)
