"""Attacks on networks in PyTorch: the measure of minigrad.attacks, under the same names, written from the formulas anew."""

from minigrad.random import Generator  # random numbers of both frameworks are drawn alike
from models.reference.attacks.autoattack import APGDT, AutoAttack
from models.reference.attacks.boundary import FAB, Boundary, project_onto
from models.reference.attacks.criteria import margin
from models.reference.attacks.decision import HopSkipJump
from models.reference.attacks.losses import LOSSES, cross_entropy, cw, dlr, dlr_targeted
from models.reference.attacks.minimum import CW, DDN, DeepFool
from models.reference.attacks.pgd import APGD, FGSM, MIFGSM, PGD, Step, at_rest, preset
from models.reference.attacks.square import Query, Square
from models.reference.attacks.transfer import DIFGSM, TIFGSM, VMIFGSM
from models.reference.attacks.universal import Patch, Universal

__all__ = [
    "APGD", "APGDT", "CW", "DDN", "DIFGSM", "FAB", "FGSM", "LOSSES", "MIFGSM", "PGD", "TIFGSM", "VMIFGSM", "AutoAttack",
    "Boundary", "DeepFool", "Generator", "HopSkipJump", "Patch", "Query", "Square", "Step", "Universal", "at_rest",
    "cross_entropy", "cw", "dlr", "dlr_targeted", "margin", "preset", "project_onto",
]  # fmt: skip
