"""The learning rate, decided anew for every iteration."""

import math


def learning_rate(step: int, total: int, warmup: int, peak: float, final: float = 1e-8) -> float:
    """The rate of iteration `step` (0 to total-1): a linear warm-up from 0, then a cosine down to `final`.

        step <  warmup:   lr = peak * step / warmup
        step >= warmup:   lr = final + (peak - final) * (1 + cos(pi * p)) / 2
                          p  = (step - warmup) / (total - 1 - warmup)

    so that lr(0) = 0 (peak, if there is no warm-up), lr(warmup) = peak and lr(total - 1) = final exactly.

    Args: total, warmup: iterations; peak, final: learning rates.
    Source: Goyal et al. 2017, "Accurate, large minibatch SGD", 2.2 (warm-up); Loshchilov & Hutter 2017, "SGDR", eq. 5.
    Raises ValueError if step is not one of the schedule's.
    """
    if not 0 <= step < total:
        raise ValueError(f"step {step} is outside the schedule of {total} iterations")
    if step < warmup:
        return peak * step / warmup
    last = total - 1
    if step == last:  # also where the schedule is a single iteration, or ends in the step after the warm-up
        return final if last > warmup or warmup > 0 else peak
    progress = (step - warmup) / (last - warmup)
    return final + (peak - final) * (1 + math.cos(math.pi * progress)) / 2
