"""Attacks on networks by gradients, and how far to trust them."""

from minigrad.attacks.gradient import loss_and_gradient, untouched
from minigrad.attacks.pgd import PGD, AttackWarning, Step
from minigrad.attacks.space import Space
from minigrad.attacks.variants import APGD, FGSM, MIFGSM, PRESETS, preset

__all__ = [
    "APGD", "FGSM", "MIFGSM", "PGD", "PRESETS", "AttackWarning", "Space", "Step", "loss_and_gradient", "preset", "untouched",
]  # fmt: skip
