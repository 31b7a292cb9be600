"""Optimizers and learning-rate schedules. Names, arguments and state_dict forms are torch's."""

from minigrad.optim import lr_scheduler
from minigrad.optim.adamw import AdamW
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.sgd import SGD

__all__ = ["SGD", "AdamW", "Optimizer", "lr_scheduler"]
