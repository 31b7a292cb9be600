"""The picture of python -m compare attacks --sweep: accuracy against epsilon."""

from __future__ import annotations

from typing import Any

import numpy as np

from compare.attacks.lines import CLEAN, NOISE, SWEEP_SHARE, SWEEP_STEPS
from compare.attacks.results import Results
from compare.kit.letters import accuracy_error
from compare.kit.plots import GRID, INK, QUIET, as_png

COLOURS = {NOISE: "#7d7d7d", "report": "#2f7f6f", "handout": "#d9822b", "untargeted": "#b3261e"}
WORDS = {
    NOISE: "random noise",
    "report": "report: up the least likely class's loss",
    "handout": "handout: down the least likely class's loss",
    "untargeted": "untargeted: up the label's loss",
}


def draw(results: Results) -> bytes:
    """A PNG of two panels, top-1 and top-5: a curve for each preset and for noise, with its standard error.

    The curve is the first framework's, the open circles are the second's. Epsilons are written in grey levels too, where the
    results say what images were divided by.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 5.4), dpi=130)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharex=True)
    figure.subplots_adjust(left=0.06, right=0.985, bottom=0.255, top=0.815, wspace=0.14)
    levels = 255 * float(np.mean(results.std)) if results.std else None
    for i, (axes, name) in enumerate(zip(panels, ("Top-1", "Top-5"), strict=True)):
        _panel(axes, results, i, name, levels)

    settings, frameworks = results.settings, results.frameworks
    figure.text(0.06, 0.945, f"{settings['model']} under attack", fontsize=14, weight="bold", color=INK)
    subtitle = f"{results.images} validation images of {settings['data']}; {SWEEP_STEPS} steps of epsilon / {SWEEP_SHARE}, max norm"
    subtitle += "; bands: one standard error"
    figure.text(0.06, 0.9, subtitle, fontsize=9.5, color=QUIET)
    handles, labels = panels[0].get_legend_handles_labels()
    if len(frameworks) == 2:
        handles += panels[0].plot([], [], **_circles(QUIET))
        labels += [f"circles: {frameworks[1]}; lines: {frameworks[0]}"]
    figure.legend(handles, labels, loc="lower center", ncol=3, frameon=False, fontsize=9, bbox_to_anchor=(0.52, 0.0))
    return as_png(figure)


def _panel(axes: Any, results: Results, which: int, name: str, levels: float | None) -> None:
    """One panel: top-1 (which 0) or top-5 (1). levels: grey levels that an epsilon of 1 stands for, if they are known."""
    clean = next(line for line in results.lines if line.preset == CLEAN)
    present = [preset for preset in COLOURS if any(line.preset == preset for line in results.lines)]
    for preset in present:
        lines = [clean, *(line for line in results.lines if line.preset == preset)]
        x = np.array([line.epsilon for line in lines])
        for framework, circles in zip(results.frameworks, (False, True), strict=False):
            y = np.array([results.accuracy(line, framework)[which] for line in lines])
            if circles:
                axes.plot(x[1:], y[1:], **_circles(COLOURS[preset]))
                continue
            error = np.array([accuracy_error(value, results.images) for value in y])
            axes.fill_between(
                x, np.maximum(y - error, 0), np.minimum(y + error, 100), color=COLOURS[preset], alpha=0.13, lw=0
            )
            axes.plot(x, y, color=COLOURS[preset], lw=2, label=WORDS[preset], zorder=3)
    chance = 100 * (which * 4 + 1) / results.settings["classes"]
    axes.axhline(chance, color=QUIET, lw=0.8, ls=(0, (1, 3)))
    axes.text(0, chance, " chance", fontsize=8, color=QUIET, ha="left", va="bottom")
    # The cube root gives small epsilons, where much happens, their space, and has a place for 0.
    axes.set_xscale("function", functions=(np.cbrt, lambda values: values**3))
    values = sorted({line.epsilon for line in results.lines})
    axes.set_xlim(0, values[-1])
    grey = ["" if levels is None else f"\n{levels * value:.2g}" for value in values]
    axes.set_xticks(values, [f"{value:g}{level}" for value, level in zip(values, grey, strict=True)], linespacing=1.5)
    axes.minorticks_off()
    highest = max(results.accuracy(line, results.frameworks[0])[which] for line in results.lines)
    axes.set_ylim(0, min(1.03 * (highest + accuracy_error(highest, results.images)), 101))
    axes.tick_params(colors=QUIET, labelsize=8.5, length=0, pad=5)
    below = "" if levels is None else "; below it, in grey levels of 255"
    axes.set_xlabel(f"epsilon in normalised units{below}", fontsize=9, color=QUIET, labelpad=6)
    axes.set_title(f"{name} accuracy, %", fontsize=11, color=INK, loc="left", pad=8)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")


def _circles(colour: str) -> dict[str, Any]:
    """How the second framework's points look."""
    return {
        "color": colour,
        "ls": "",
        "marker": "o",
        "ms": 5.5,
        "mfc": "white",
        "mew": 1.4,
        "zorder": 4,
        "clip_on": False,
    }
