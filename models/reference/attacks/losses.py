"""The losses of attacks in PyTorch, written from their formulas image by image: the measure of minigrad.attacks.losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TINY = 1e-12


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """-log softmax(logits)[class] of each image: (N,)."""
    return F.cross_entropy(logits, classes, reduction="none")


def cw(logits: Tensor, classes: Tensor) -> Tensor:
    """max_(i != y) z_i - z_y."""
    others = logits.scatter(1, classes[:, None], -torch.inf).max(1).values
    return others - logits[torch.arange(len(logits)), classes]


def dlr(logits: Tensor, classes: Tensor) -> Tensor:
    """-(z_y - max_(i != y) z_i) / (z_(1) - z_(3))."""
    z = logits.sort(1, descending=True).values
    return cw(logits, classes) / (z[:, 0] - z[:, 2] + TINY)


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2)."""
    z, each = logits.sort(1, descending=True).values, torch.arange(len(logits))
    return (logits[each, labels] - logits[each, targets]) / (z[:, 0] - (z[:, 2] + z[:, 3]) / 2 + TINY)


LOSSES = {"ce": cross_entropy, "dlr": dlr, "cw": cw}
