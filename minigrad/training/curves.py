"""The curves of a run: loss, learning rate, top-1 and top-5, by epoch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigrad.files import write_atomically

TRAIN, VAL, RATE = "#1f6f9f", "#d9642a", "#5b5b5b"
FAR = 2.0  # a validation loss that is so many times all others is left off the axis, which it would flatten


def loss_top(train: Sequence[float], val: Sequence[float]) -> float | None:
    """Where the axis of the losses ends. None: all are shown; else a few epochs of validation are far above all the rest.

    So it is in the first epochs of a network with batch norm, whose running statistics are not yet those of the data.
    """
    largest = max([*train, val[-1]], default=0.0)
    return 1.1 * largest if max(val, default=0.0) > FAR * largest > 0 else None


def cut_losses(axes: Any, train: Sequence[float], val: Sequence[float]) -> str:
    """End the axis of the losses where `loss_top` says. Returns what the title has to add: how far the losses reach, or ""."""
    top = loss_top(train, val)
    if top is None:
        return ""
    axes.set_ylim(0, top)
    return f" (validation leaves the axis, up to {max(val):.3g})"


def epoch_axis(axes: Any) -> None:
    """Ticks at whole epochs alone, also where there is but one."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_curves(rows: Sequence[dict[str, Any]], path: str | Path, title: str) -> None:
    """Draw the rows of metrics.jsonl into a PNG of four panels, training beside validation. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex=True)
    epochs = [row["epoch"] for row in rows]
    mark = "o" if len(rows) <= 30 else None

    def curve(axes: Any, key: str, colour: str, label: str) -> None:
        axes.plot(
            epochs, [row[key] for row in rows], color=colour, label=label, marker=mark, markersize=3, linewidth=1.6
        )

    def best(axes: Any, key: str) -> None:
        row = max(rows, key=lambda row: row[key])
        axes.axhline(row[key], color=VAL, linewidth=0.8, linestyle=":")
        axes.set_title(f"{axes.get_title()} (validation at best {row[key]:.2f} %)", fontsize=11)

    for axes, name, unit in zip(
        panels.flat,
        ("Loss", "Learning rate", "Top-1 accuracy", "Top-5 accuracy"),
        ("cross-entropy", "at the epoch's last step", "%", "%"),
        strict=True,
    ):
        axes.set_title(name, fontsize=11)
        axes.set_ylabel(unit)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        epoch_axis(axes)
        axes.set_xlim(0.5, max(epochs) + 0.5)
    for axes in panels[1]:
        axes.set_xlabel("epoch")

    loss, rate, top1, top5 = panels.flat
    for axes, key in ((loss, "loss"), (top1, "top1"), (top5, "top5")):
        curve(axes, f"train_{key}", TRAIN, "training")
        curve(axes, f"val_{key}", VAL, "validation")
        axes.legend(frameon=False)
    beyond = cut_losses(loss, [row["train_loss"] for row in rows], [row["val_loss"] for row in rows])
    loss.set_title(f"Loss{beyond}", fontsize=11)
    curve(rate, "lr", RATE, "learning rate")
    rate.set_ylim(bottom=0)
    best(top1, "val_top1")
    best(top5, "val_top5")
    figure.suptitle(title, fontsize=12)

    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(Path(path), picture.getvalue())
