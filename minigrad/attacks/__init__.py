"""Attacks on networks, and how far to trust them."""

from minigrad.attacks.attack import Attack, AttackWarning
from minigrad.attacks.audit import Check, Report, audit
from minigrad.attacks.autoattack import APGDT, AutoAttack, Result, Stage
from minigrad.attacks.boundary import FAB, Boundary, MinimumNorm
from minigrad.attacks.criteria import Confidence, Misclassified, Targeted, TopK
from minigrad.attacks.gradient import loss_and_gradient, untouched
from minigrad.attacks.losses import LOSSES, cross_entropy, cw, dlr, dlr_targeted
from minigrad.attacks.pgd import PGD, Step
from minigrad.attacks.space import Space
from minigrad.attacks.square import Query, Square
from minigrad.attacks.variants import APGD, FGSM, MIFGSM, PRESETS, preset

__all__ = [
    "APGD", "APGDT", "FAB", "FGSM", "LOSSES", "MIFGSM", "PGD", "PRESETS", "Attack", "AttackWarning", "AutoAttack", "Boundary",
    "Check", "Confidence", "MinimumNorm", "Misclassified", "Query", "Report", "Result", "Space", "Square", "Stage", "Step",
    "Targeted", "TopK", "audit", "cross_entropy", "cw", "dlr", "dlr_targeted", "loss_and_gradient", "preset", "untouched",
]  # fmt: skip
