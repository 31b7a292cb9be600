"""What python -m compare lockstep has found: its tables, its picture, and in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from compare.kit.plots import COLOURS, QUIET, as_png, new_figure, quiet
from compare.kit.result import Result
from compare.kit.tables import Table
from compare.lockstep.measure import EXACT, EXACT_LIMIT, EXACT_STEPS, LIMIT, NAMES, OURS, OURS_EXACT, TORCH

LEAST = 1e-18  # drawn: below, a float64 or two differ in their last digit
STYLES: dict[str, dict[str, Any]] = {
    OURS: {"color": COLOURS["minigrad"], "lw": 1.6},
    TORCH: {"color": COLOURS["torch"], "lw": 1.6},
    OURS_EXACT: {"color": COLOURS["minigrad"], "lw": 1.3, "ls": (0, (4, 2))},
}


def tables(result: Result) -> list[Table]:
    """The ratios; losses and drifts after some of the steps; the drift of each layer at the end."""
    return [ratio_table(result), step_table(result), layer_table(result)]


def what(result: Result) -> str:
    """What was trained, in a line."""
    job, runs = result["job"], result["runs"]
    seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
    seeds += ", from a trained start" if result.get("start") else ""
    return (
        f"{result['model']} on {result['data']}, batch {job['batch']}, {job['image_size']}x{job['image_size']}, "
        f"{job['optimizer']} lr {job['lr']:g}, {result['steps']} steps{seeds}"
    )


def ratio_table(result: Result) -> Table:
    """One row for weights, gradients, statistics."""
    rows = []
    for kind, found in result["ratios"].items():
        where = f"{found['worst']:.2f} (step {found['worst_step']}, seed {found['worst_seed']})"
        row = [kind, f"{found['mean']:.2f}", f"{found['rms']:.2f}", where, f"{found['best']:.2f}"]
        rows.append([*row, f"{result['exact'][kind]:.1e}"])
    rows.append(["losses", "", "", "", "", f"{result['exact']['losses']:.1e}"])
    steps = min(EXACT_STEPS, result["steps"])
    head = ["drift, ours / torch's", "mean", "rms", "worst step", "best", f"float64, {steps} steps"]
    notes = [
        f"Drift: the relative distance from torch's float64. Over all steps, at most {LIMIT:g} is allowed of the mean of the "
        f"ratios and of the ratio of the root mean squares, and {EXACT_LIMIT:g} of the distance in float64. A single step's "
        "ratio is luck: the worst and the best are there to be seen."
    ]
    return Table(what(result), head, rows, notes)


COLUMNS = [(kind, name) for kind in ("weights", "gradients") for name in NAMES[:-1]]
HEAD = [f"{kind} {short}" for kind in ("weights", "gradients") for short in ("ours 32", "torch 32", "ours 64")]


def step_table(result: Result) -> Table:
    """Losses and drifts of the first seed after some of the steps."""
    run = result["runs"][0]
    rows = [
        [str(step), f"{run['losses'][EXACT][step - 1]:.4f}"]
        + [f"{run['drift'][kind][name][step - 1]:.1e}" for kind, name in COLUMNS]
        for step in run["layers"]["steps"]
    ]
    title = f"{result['model']}: drift from torch's float64, seed {run['seed']}"
    return Table(title, ["step", "loss", *HEAD], rows)


def layer_table(result: Result) -> Table:
    """The drift of each layer after the last step of the first seed."""
    drift = result["runs"][0]["layers"]["drift"]
    rows = [[layer, *(f"{drift[kind][layer][name][-1]:.1e}" for kind, name in COLUMNS)] for layer in drift["weights"]]
    return Table(f"{result['model']}: the same by layer, after step {result['steps']}", ["layer", *HEAD], rows)


def verdict(result: Result) -> str:
    """Whether the two are the same computation, in a sentence with the figures."""
    ratios, exact = result["ratios"], result["exact"]
    means = ", ".join(f"{found['mean']:.2f} ({kind})" for kind, found in ratios.items())
    steps = min(EXACT_STEPS, result["steps"])
    sentence = (
        f"{result['model']}, {result['steps']} steps: from float64, minigrad's float32 drifts {means} times as far as torch's "
        f"own float32; in float64 the two are within {max(exact.values()):.0e} of each other for {steps} steps"
    )
    if result["agree"]:
        return f"{sentence}: the same computation."
    return f"{sentence}: NOT THE SAME, {LIMIT:g} times and {EXACT_LIMIT:g} are allowed."


def pictures(result: Result) -> dict[str, bytes]:
    """Four panels: drift of weights and of gradients, losses, drift by layer; the first seed in full colour, the others pale."""
    figure, panels = new_figure(2, 2, "In lockstep: drift from torch's float64", what(result), panel=(5.2, 3.3))
    for axes, kind in zip(panels[0], ("weights", "gradients"), strict=True):
        _drift(axes, result["runs"], kind)
    _losses(panels[1, 0], result["runs"][0])
    _layers(panels[1, 1], result["runs"][0])
    panels[0, 0].legend(frameon=False, fontsize=7.5, labelcolor=QUIET)
    return {f"lockstep-{result['model']}": as_png(figure)}


def _drift(axes: Any, runs: list[dict[str, Any]], kind: str) -> None:
    """The drift of one kind of arrays over the steps, and as much of torch's as is allowed."""
    for i, run in enumerate(runs):
        for name, style in STYLES.items():
            drift = _positive(run["drift"][kind][name])
            axes.plot(range(1, len(drift) + 1), drift, **style, alpha=0.25 if i else 1, label=None if i else name)
    allowed = LIMIT * _positive(runs[0]["drift"][kind][TORCH])
    faint = {"color": COLOURS["torch"], "alpha": 0.5, "lw": 0.9, "ls": (0, (1, 2))}
    axes.plot(range(1, len(allowed) + 1), allowed, **faint, label=f"{LIMIT:g} times torch float32")
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(LEAST, axes.get_ylim()[0]))
    quiet(axes, f"all {kind}: relative distance", "step")


def _losses(axes: Any, run: dict[str, Any]) -> None:
    """The losses of all four trainings."""
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
