"""The picture of a watched training: heat maps whose rows are layers and whose columns are steps."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

Table = dict[str, list[float]]
"""By layer or parameter, a number a step."""
MOST_LABELS = 40
"""So many rows have their names at the axis; of more, every so-manieth."""
DECADES = 6
"""The colours of norms span so many powers of ten, down from the largest."""


def draw(steps: list[int], gradients: Table, updates: Table, dead: Table) -> bytes:
    """A PNG of three panels: norms of gradients, of updates over weights, shares of dead units. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [
        ("Norm of the gradient", gradients, True),
        ("Norm of the update / norm of the weight", updates, True),
        *([("Dead ReLU units", dead, False)] if dead else []),
    ]
    heights = [max(4, min(len(table), MOST_LABELS)) for _, table, _ in panels]
    figure = Figure(figsize=(9, 0.9 * len(panels) + 0.17 * sum(heights)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for ax, (title, table, is_norm) in zip(axes, panels, strict=True):
        _panel(figure, ax, title, table, steps, is_norm)
    axes[-1].set_xlabel("step")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _panel(figure: Any, ax: Any, title: str, table: Table, steps: list[int], is_norm: bool) -> None:
    from matplotlib.colors import LogNorm, Normalize

    names, values = list(table), np.array(list(table.values()), np.float64)
    values[~np.isfinite(values)] = np.nan
    known = values[values > 0]
    largest = float(known.max()) if known.size else 1.0
    scale = LogNorm(max(largest / 10**DECADES, float(known.min()) if known.size else 0.0) or 1e-12, largest * 1.001)
    width = steps[1] - steps[0] if len(steps) > 1 else 1
    extent = (steps[0] - width / 2, steps[-1] + width / 2, len(names) - 0.5, -0.5)
    colours = {"cmap": "viridis", "norm": scale} if is_norm else {"cmap": "magma_r", "norm": Normalize(0, 1)}
    image = ax.imshow(values, aspect="auto", interpolation="nearest", extent=extent, **colours)
    ax.set_title(title, fontsize=10, loc="left")
    every = -(-len(names) // MOST_LABELS)
    ax.set_yticks(range(0, len(names), every), names[::every], fontsize=7)
    ax.tick_params(axis="x", labelsize=8)
    bar = figure.colorbar(image, ax=ax, pad=0.01, format=None if is_norm else lambda x, _: f"{100 * x:.0f} %")
    bar.ax.tick_params(labelsize=7)
