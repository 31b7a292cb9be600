"""The curves of a run: which losses the axis leaves out, and where its ticks are."""

from __future__ import annotations

from pathlib import Path

import pytest

from minigrad.training.curves import cut_losses, draw_curves, epoch_axis, loss_top


def test_what_would_flatten_the_curve_is_left_off() -> None:
    """The first validation losses of a batch norm: not those of a training that ends as badly, nor what the axis can take."""
    assert loss_top([2.0, 1.5, 1.0], [43.0, 38.0, 0.8]) == pytest.approx(1.1 * 2.0)
    assert loss_top([2.0, 1.5, 1.0], [3.9, 1.6, 0.8]) is None
    assert loss_top([2.0, 1.5, 1.0], [2.0, 20.0, 43.0]) is None  # it is how the training ends
    assert loss_top([0.0], [0.0]) is None and loss_top([float("nan")], [float("nan")]) is None


def test_the_axes(tmp_path: Path) -> None:
    """It is said how far a loss reaches; an axis of one epoch has one tick."""
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes, plain = figure.subplots(1, 2)
    axes.plot([1, 2, 3], [43.0, 38.0, 0.8])
    assert cut_losses(axes, [2.0, 1.5], [2.0, 1.4]) == "" and axes.get_ylim()[1] > 43
    assert "up to 43" in cut_losses(axes, [2.0, 1.5, 1.0], [43.0, 38.0, 0.8])
    assert axes.get_ylim() == pytest.approx((0, 2.2))
    epoch_axis(plain)
    plain.set_xlim(0.5, 1.5)
    assert [tick for tick in plain.get_xticks() if 0.5 <= tick <= 1.5] == [1]
    plain.set_xlim(0.5, 40.5)
    assert all(tick == int(tick) for tick in plain.get_xticks())
    row = {"epoch": 1, "lr": 0.1} | {
        f"{of}_{what}": 2.0 for of in ("train", "val") for what in ("loss", "top1", "top5")
    }
    draw_curves([row], tmp_path / "curves.png", "one epoch")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
