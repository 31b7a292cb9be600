"""Learning-rate schedules: each `step()` sets the "lr" of every group of an optimizer.

Call it once an epoch or once an iteration, whichever the schedule counts in (`last_epoch`), after `optimizer.step()`.
The schedules that torch has compute the next rate from the present one, as torch does, so that the rates agree to the
bit and several schedules can act on one optimizer. WarmupCosine, the recipe's, computes each rate from scratch.
"""

from minigrad.errors import explain_missing as _explain_missing
from minigrad.optim.lr_scheduler.base import LRScheduler
from minigrad.optim.lr_scheduler.base import (
    LRScheduler as _LRScheduler,
)  # its former name, which code for torch subclasses
from minigrad.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from minigrad.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts, WarmupCosine
from minigrad.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from minigrad.optim.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from minigrad.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "_LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "WarmupCosine",
]

_explain_missing(__name__)
