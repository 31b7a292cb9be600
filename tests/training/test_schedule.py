"""The learning rate, against torch's own schedulers and at the points that RECIPE names."""

import pytest
import torch

from minigrad.training.schedule import learning_rate


def torchs(total: int, warmup: int, peak: float, final: float) -> list[float]:
    """The same schedule out of torch's parts: LambdaLR for the warm-up, CosineAnnealingLR after it."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    rising = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / warmup)
    rates = []
    for _ in range(warmup):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rising.step()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - 1 - warmup, eta_min=final)
    for _ in range(total - warmup):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        falling.step()
    return rates


@pytest.mark.parametrize(("total", "warmup", "peak"), [(40, 10, 0.1), (60, 1, 0.5), (7, 5, 1e-3)])
def test_against_torch(total: int, warmup: int, peak: float) -> None:
    ours = [learning_rate(step, total, warmup, peak) for step in range(total)]
    assert ours == pytest.approx(torchs(total, warmup, peak, 1e-8), rel=1e-9, abs=1e-15)


def test_named_points() -> None:
    total, warmup = 60 * 390, 5 * 390
    assert learning_rate(0, total, warmup, 0.1) == 0
    assert learning_rate(warmup // 2, total, warmup, 0.1) == pytest.approx(0.05)
    assert learning_rate(warmup, total, warmup, 0.1) == 0.1
    assert learning_rate(total - 1, total, warmup, 0.1) == 1e-8


def test_no_warmup_starts_at_the_peak() -> None:
    assert learning_rate(0, 10, 0, 0.1) == 0.1


@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2)])
def test_the_shortest_schedules_stay_in_range(total: int, warmup: int) -> None:
    for step in range(total):
        assert 0 <= learning_rate(step, total, warmup, 0.1) <= 0.1


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_outside_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match="outside the schedule of 10"):
        learning_rate(step, 10, 2, 0.1)
