"""The picture of python -m compare lockstep: how four tracks drift apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from compare.kit.plots import COLOURS, QUIET, as_png, new_figure, quiet
from compare.lockstep.measure import NAMES, OURS, OURS_EXACT, TORCH

LEAST = 1e-18  # drawn: below, a float64 or two differ in their last digit
STYLES: dict[str, dict[str, Any]] = {
    OURS: {"color": COLOURS["minigrad"], "lw": 1.6},
    TORCH: {"color": COLOURS["torch"], "lw": 1.6},
    OURS_EXACT: {"color": COLOURS["minigrad"], "lw": 1.3, "ls": (0, (4, 2))},
}


def draw(result: dict[str, Any], told: str, limit: float) -> bytes:
    """A PNG of four panels; the first seed in full colour, the others pale. limit: how many times torch's drift is allowed."""
    figure, panels = new_figure(2, 2, "In lockstep: drift from torch's float64", told, panel=(5.2, 3.3))
    for axes, kind in zip(panels[0], ("weights", "gradients"), strict=True):
        _drift(axes, result["runs"], kind, limit)
    _losses(panels[1, 0], result["runs"][0])
    _layers(panels[1, 1], result["runs"][0])
    panels[0, 0].legend(frameon=False, fontsize=7.5, labelcolor=QUIET)
    return as_png(figure)


def _drift(axes: Any, runs: list[dict[str, Any]], kind: str, limit: float) -> None:
    """The drift of one kind of arrays over the steps, and as much of torch's as is allowed."""
    for i, run in enumerate(runs):
        for name, style in STYLES.items():
            drift = _positive(run["drift"][kind][name])
            axes.plot(range(1, len(drift) + 1), drift, **style, alpha=0.25 if i else 1, label=None if i else name)
    allowed = limit * _positive(runs[0]["drift"][kind][TORCH])
    faint = {"color": COLOURS["torch"], "alpha": 0.5, "lw": 0.9, "ls": (0, (1, 2))}
    axes.plot(range(1, len(allowed) + 1), allowed, **faint, label=f"{limit:g} times torch float32")
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(LEAST, axes.get_ylim()[0]))
    quiet(axes, f"all {kind}: relative distance", "step")


def _losses(axes: Any, run: dict[str, Any]) -> None:
    """The losses of all four tracks."""
    for name in NAMES:
        style = STYLES.get(name, {"color": COLOURS["torch"], "lw": 1.3, "ls": (0, (4, 2))})
        axes.plot(range(1, len(run["losses"][name]) + 1), run["losses"][name], **style, label=name, alpha=0.8)
    axes.legend(frameon=False, fontsize=7.5, labelcolor=QUIET)
    quiet(axes, "loss", "step")


def _layers(axes: Any, run: dict[str, Any]) -> None:
    """The drift of each layer's weights after the last step."""
    layers = run["layers"]["drift"]["weights"]
    for name, style in STYLES.items():
        drift = _positive([found[name][-1] for found in layers.values()])
        axes.plot(range(len(layers)), drift, **style, marker="o", ms=3)
    axes.set_yscale("log")
    axes.set_xticks(range(len(layers)), layers, rotation=90)
    quiet(axes, f"weights by layer, after step {run['layers']['steps'][-1]}")
    axes.tick_params(axis="x", labelsize=6.5)


def _positive(values: list[float]) -> np.ndarray:
    """For a logarithmic axis: gaps where there is nothing."""
    found = np.array(values)
    return np.where(found > 0, found, np.nan)
