"""The learning rate of both scripts, decided anew for every iteration."""

from minigrad.errors import did_you_mean
from minigrad.optim.lr_scheduler.cosine import warmup_cosine

SCHEDULES = ("cosine", "linear", "step", "constant")
STEPS, FACTOR = (1 / 3, 2 / 3), 0.1  # of "step": where the rate falls, and to what part (He et al. 2015: 30, 60 of 90)


def learning_rate(
    step: int, total: int, warmup: int, peak: float, final: float = 1e-8, schedule: str = "cosine"
) -> float:
    """The rate of iteration `step`, 0 to total - 1: linear from 0 to `peak` in the warm-up, then by the schedule.

    cosine: `warmup_cosine`. linear: straight down to `final` in the last iteration. step: a tenth from a third of all
    iterations on, a hundredth from two thirds on. constant: peak. ValueError if step is not one of the schedule's.
    """
    if not 0 <= step < total:
        raise ValueError(f"step {step} is outside the schedule of {total} iterations")
    if schedule not in SCHEDULES:
        raise ValueError(
            f"unknown schedule {schedule!r}: there are {', '.join(SCHEDULES)}{did_you_mean(schedule, SCHEDULES)}"
        )
    if schedule == "cosine" or step < warmup:
        return warmup_cosine(step, total, warmup, peak, final)
    if schedule == "linear":
        return peak + (final - peak) * (step - warmup) / max(total - 1 - warmup, 1)
    if schedule == "step":
        return peak * FACTOR ** sum(step >= part * total for part in STEPS)
    return peak
