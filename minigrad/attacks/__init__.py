"""Attacks on networks by gradients, and how far to trust them."""

from minigrad.attacks.audit import Check, Report, audit
from minigrad.attacks.gradient import loss_and_gradient, untouched
from minigrad.attacks.pgd import PGD, AttackWarning, Step
from minigrad.attacks.space import Space
from minigrad.attacks.variants import APGD, FGSM, MIFGSM, PRESETS, preset

__all__ = [
    "APGD", "FGSM", "MIFGSM", "PGD", "PRESETS", "AttackWarning", "Check", "Report", "Space", "Step", "audit", "loss_and_gradient",
    "preset", "untouched",
]  # fmt: skip
