"""The learning rate of both scripts, decided anew for every iteration."""

from minigrad.optim.lr_scheduler.cosine import warmup_cosine


def learning_rate(step: int, total: int, warmup: int, peak: float, final: float = 1e-8) -> float:
    """`warmup_cosine` of iteration `step`, 0 to total - 1. ValueError if step is not one of the schedule's."""
    if not 0 <= step < total:
        raise ValueError(f"step {step} is outside the schedule of {total} iterations")
    return warmup_cosine(step, total, warmup, peak, final)
