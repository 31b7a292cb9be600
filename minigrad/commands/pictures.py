"""The picture of `minigrad predict`: each image beside the likeliest classes as bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigrad.commands.images import Photo
from minigrad.training.pictures import QUIET, RIGHT, as_png, readable

BAR, FIRST = "#b9c8d6", "#1f6f9f"
ROW = 2.0  # inches


def draw_predictions(photos: Sequence[Photo], found: Sequence[Sequence[dict[str, Any]]]) -> bytes:
    """A PNG: a row an image, as the network sees it, and its classes with their probabilities. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, ROW * len(photos) + 0.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(photos), 2, squeeze=False, gridspec_kw={"width_ratios": [1, 2.2]})
    for (left, right), photo, rows in zip(panels, photos, found, strict=True):
        pixels = photo.pixels
        left.imshow(pixels[..., 0] if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=255)
        left.set_axis_off()
        left.set_title(readable(Path(photo.name).name, 30), fontsize=9, color=QUIET)
        shares = [100 * row["probability"] for row in rows]
        colours = [RIGHT if row["index"] == photo.label else FIRST if i == 0 else BAR for i, row in enumerate(rows)]
        right.barh(range(len(rows)), shares, color=colours)
        right.set_yticks(range(len(rows)), [readable(row["class"], 28) for row in rows], fontsize=9)
        right.invert_yaxis()
        right.set_xlim(0, 118)
        right.set_xticks([])
        right.tick_params(length=0)
        right.spines[["top", "right", "bottom", "left"]].set_visible(False)
        for i, share in enumerate(shares):
            right.text(share + 1.5, i, f"{share:.1f} %", va="center", fontsize=8.5, color=QUIET)
    return as_png(figure)
