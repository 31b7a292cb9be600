"""Attacks on networks, and how far to trust them."""

from minigrad.attacks.attack import Attack, AttackWarning, Curve
from minigrad.attacks.audit import Check, Report, audit
from minigrad.attacks.autoattack import APGDT, AutoAttack, Result, Stage
from minigrad.attacks.boundary import FAB, Boundary, MinimumNorm
from minigrad.attacks.captured import captured
from minigrad.attacks.criteria import Confidence, Misclassified, Targeted, TopK
from minigrad.attacks.decision import HopSkipJump
from minigrad.attacks.gradient import loss_and_gradient, untouched
from minigrad.attacks.losses import LOSSES, cross_entropy, cw, dlr, dlr_targeted
from minigrad.attacks.minimum import CW, DDN, DeepFool
from minigrad.attacks.of_torch import FromTorch
from minigrad.attacks.pgd import PGD, Step
from minigrad.attacks.space import Space
from minigrad.attacks.square import Query, Square
from minigrad.attacks.transfer import DIFGSM, TIFGSM, VMIFGSM, Transfer, transfer
from minigrad.attacks.universal import Patch, Universal
from minigrad.attacks.variants import APGD, FGSM, MIFGSM, PRESETS, preset
from minigrad.attacks.wrappers import BPDA, EOT
from minigrad.errors import explain_missing as _explain_missing

__all__ = [
    "APGD", "APGDT", "BPDA", "CW", "DDN", "DIFGSM", "EOT", "FAB", "FGSM", "LOSSES", "MIFGSM", "PGD", "PRESETS", "TIFGSM",
    "VMIFGSM", "Attack", "AttackWarning", "AutoAttack", "Boundary", "Check", "Confidence", "Curve", "DeepFool", "FromTorch",
    "HopSkipJump", "MinimumNorm", "Misclassified", "Patch", "Query", "Report", "Result", "Space", "Square", "Stage", "Step",
    "Targeted", "TopK", "Transfer", "Universal", "audit", "captured", "cross_entropy", "cw", "dlr", "dlr_targeted",
    "loss_and_gradient", "preset", "transfer", "untouched",
]  # fmt: skip

_explain_missing(__name__)
