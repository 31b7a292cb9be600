"""Attacks on networks in PyTorch: the measure of minigrad.attacks, under the same names, written from the formulas anew."""

from minigrad.random import Generator  # random numbers of both frameworks are drawn alike
from models.reference.attacks.losses import LOSSES, cross_entropy, cw, dlr, dlr_targeted
from models.reference.attacks.pgd import APGD, FGSM, MIFGSM, PGD, Step, at_rest, preset

__all__ = [
    "APGD", "FGSM", "LOSSES", "MIFGSM", "PGD", "Generator", "Step", "at_rest", "cross_entropy", "cw", "dlr", "dlr_targeted",
    "preset",
]  # fmt: skip
