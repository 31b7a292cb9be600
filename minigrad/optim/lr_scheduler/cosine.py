"""Schedules that fall as a cosine, once or again and again, and the recipe's own, which warms up first."""

from __future__ import annotations

import math

from minigrad.arguments import plain
from minigrad.optim.lr_scheduler.base import LRScheduler
from minigrad.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (initial_lr - eta_min) (1 + cos(pi step / T_max)) / 2 (Loshchilov & Hutter 2017, SGDR, eq. 5)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return self._present()
        if self._step_count == 1 and self.last_epoch > 0:
            return self._get_closed_form_lr()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # leaving a minimum, where the ratio is 0/0
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [lr + (base - self.eta_min) * rise for base, lr in zip(self.base_lrs, self._present(), strict=True)]
        now = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        return [now / before * (lr - self.eta_min) + self.eta_min for lr in self._present()]

    def _get_closed_form_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = eta_min + (initial_lr - eta_min) (1 + cos(pi T_cur / T_i)) / 2, T_cur steps after the last restart.

    The first restart is after T_0 steps, and each period T_i is T_mult times the one before (Loshchilov & Hutter 2017,
    SGDR, arXiv:1608.03983, eq. 5). `step(epoch)` goes to any step, also between two: epoch + batch / batches, say.
    ValueError unless T_0 and T_mult are positive integers.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        T_0, T_mult, eta_min = plain((T_0, T_mult, eta_min))
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go one step on, or to step `epoch` (ValueError if negative), and set the optimizer's learning rates."""
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = 0 if epoch is None else epoch
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self._go_to(epoch)
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())

    def _go_to(self, epoch: float) -> None:
        """T_cur and T_i at a step: after n periods, of T_0 T_mult^k steps each, T_0 (T_mult^n - 1)/(T_mult - 1) are over."""
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n


def warmup_cosine(t: int, total: int, warmup: int, peak: float, final: float = 1e-8) -> float:
    """The rate of iteration t = 0 ... total - 1: linear from 0 to `peak`, then a cosine to `final`, which it keeps.

        t <  warmup:   lr = peak t / warmup
        t >= warmup:   lr = final + (peak - final) (1 + cos(pi p)) / 2,    p = (t - warmup) / (total - 1 - warmup)

    so that lr(0) = 0 (peak, if there is no warm-up), lr(warmup) = peak and lr(total - 1) = final exactly.

    Source: Goyal et al. 2017, arXiv:1706.02677, 2.2 (warm-up); Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5.
    """
    if t < warmup:
        return peak * t / warmup
    if t == 0 == total - 1:  # a run of one iteration without warm-up
        return peak
    if t >= total - 1:
        return final
    return final + (peak - final) * (1 + math.cos(math.pi * (t - warmup) / (total - 1 - warmup))) / 2


class WarmupCosine(LRScheduler):
    """The recipe's schedule, stepped once an iteration: `warmup_cosine` from 0 over initial_lr to eta_min.

    A schedule that is all warm-up never falls. Raises ValueError for a negative number of iterations, or none at all.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_iters: int,
        total_iters: int,
        eta_min: float = 1e-8,
        last_epoch: int = -1,
    ) -> None:
        if warmup_iters < 0 or total_iters < 1:
            raise ValueError(f"expected warmup_iters >= 0 and total_iters >= 1, got {warmup_iters} and {total_iters}")
        self.warmup_iters = warmup_iters
        self.total_iters = total_iters
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        plan = self.last_epoch, self.total_iters, self.warmup_iters
        return [warmup_cosine(*plan, base, self.eta_min) for base in self.base_lrs]
