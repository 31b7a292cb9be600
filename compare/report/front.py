"""The one table and the one picture that a visitor should see: of each network, whether both frameworks are alike, and the cost.

This file alone of the report knows what stands in the results of some commands; what is not measured is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from compare.kit.plots import COLOURS, QUIET, as_png, new_figure, quiet
from compare.kit.result import Result
from compare.kit.tables import Table
from compare.report.gather import Entry
from models import MODELS

NETWORKS = {name: card.title for name, card in MODELS.items()}
EXPERIMENTS = {  # of each network
    "simplenet-60": "simplenet",
    "simplenet-bn-90": "simplenet-bn",
    "vit-d4-90": "vit",
    "resnet18-finetune-60": "resnet18",
}
SCALES = ("default", "full")  # of whole trainings; the latter is shown, where there are both
FIRST = "simplenet-bn"  # whose curves are drawn: it learns from the first step
STYLES = {"minigrad": "-", "torch": "--"}  # where one curve lies on the other, both are seen

ByNetwork = dict[str, Result]
Panel = Callable[[Any], None]  # draws on axes


@dataclass(frozen=True)
class Front:
    """The table, the picture (None: nothing is measured that it could show), and what the picture shows, in words."""

    table: Table
    picture: bytes | None
    caption: str


def make_front(entries: Sequence[Entry]) -> Front:
    """Out of all results."""
    drifts, trained, speeds = find_drifts(entries), find_trained(entries), find_speeds(entries)
    panels = []
    if FIRST in drifts:
        panels.append((partial(drift_panel, drifts[FIRST]), "how far rounding moves its weights in training"))
    if FIRST in trained:
        panels.append((partial(learning_panel, trained[FIRST]), "what it learns"))
    if speeds:
        panels.append((partial(cost_panel, speeds), "what a training step costs"))
    caption = "minigrad beside PyTorch: " + ", ".join(words for _, words in panels)
    return Front(make_table(entries, trained, speeds), draw([panel for panel, _ in panels]), caption)


def make_table(entries: Sequence[Entry], trained: ByNetwork, speeds: ByNetwork) -> Table:
    """A row a network, a column for whatever was measured of one; as notes, what the columns are of."""
    others = {"torch": "time / torch's", "torch channels-last": "time / torch's, channels_last"}
    columns = {
        **{
            f"top-1 %, {framework}": {model: top1(found, framework) for model, found in trained.items()}
            for framework in STYLES
        },
        **{
            title: {
                model: f"{time_ratio(found, other):.2f}" for model, found in speeds.items() if other in found["ratios"]
            }
            for other, title in others.items()
        },
        "memory / torch's": {
            model: f"{memory_ratio(found):.2f}" for model, found in speeds.items() if "memory" in found
        },
    }
    columns = {name: cells for name, cells in columns.items() if cells}
    rows = [
        [title, *(cells.get(model, "–") for cells in columns.values())]
        for model, title in NETWORKS.items()
        if any(model in cells for cells in columns.values())
    ]
    return Table("", ["", *columns], rows, [*notes(entries, trained, speeds), *gradient_notes(entries)])


def gradient_notes(entries: Sequence[Entry]) -> list[str]:
    """What the comparison of all gradients comes to."""
    return [f"Gradients: {entry.verdict}" for entry in entries if entry.command == "gradients"][:1]


def notes(entries: Sequence[Entry], trained: ByNetwork, speeds: ByNetwork) -> list[str]:
    """What the columns are of."""
    found = []
    if trained:
        found.append(f"Accuracy (top-1): higher is better. {' '.join(dict.fromkeys(map(training, trained.values())))}")
        begun = {EXPERIMENTS.get(entry.result["experiment"]) for entry in entries if entry.command == "accuracy"}
        left = [title for model, title in NETWORKS.items() if model in begun - trained.keys()]
        if left:
            found[-1] += (
                f" {' and '.join(left)}: compared on fewer images alone, which says little of how good they get."
            )
    if speeds:
        batches = ", ".join(
            f"{NETWORKS[model]} {speeds[model]['job']['batch']}" for model in NETWORKS if model in speeds
        )
        sizes = _range({result["job"]["image_size"] for result in speeds.values()})
        machines = {f"{r['machine']['processor']}, {r['machine']['usable_cores']} cores" for r in speeds.values()}
        found.append(
            "Time of a training step and its peak memory: lower is better, 1 is as much as PyTorch takes (eager, with its "
            f"default settings; channels_last is its faster memory format for convolutions). Images of {sizes} pixels a side, "
            f"batches: {batches}; {' or '.join(sorted(machines))}. Both frameworks ran in turn; the median over the rounds."
        )
    return found


def training(result: Result) -> str:
    """What was trained on what, how long."""
    data, seeds = result["dataset"], len(result["seeds"])
    error = (
        "one seed, so that a difference of a point or two says nothing"
        if seeds == 1
        else f"{seeds} seeds, with the standard error"
    )
    return (
        f"Of {data['validation_images']:,} validation images of {data['name']}, in percent, after "
        f"{result['recipe']['options']['epochs']} epochs on {data['training_images']:,} training images; {error}."
    )


def _range(values: set[int]) -> str:
    return f"{min(values)}" if len(values) == 1 else f"{min(values)} to {max(values)}"


def draw(panels: Sequence[Panel]) -> bytes | None:
    """The panels, side by side."""
    if not panels:
        return None
    words = "what rounding does to both, what both learn, what a step costs"
    figure, axes = new_figure(1, len(panels), "minigrad beside PyTorch", words)
    for panel, place in zip(panels, axes.flat, strict=True):
        panel(place)
    return as_png(figure)


# drift


def find_drifts(entries: Sequence[Entry]) -> ByNetwork:
    """{model: a result of lockstep}."""
    return {entry.result["model"]: entry.result for entry in entries if entry.command == "lockstep"}


def drift_panel(result: Result, axes: Any) -> None:
    """Over the steps, the distance of float32 weights from torch's float64: ours and torch's own."""
    drifts = result["runs"][0]["drift"]["weights"]
    for framework, style in STYLES.items():
        drift = [value or float("nan") for value in drifts[f"{framework} float32"]]  # no 0 on a logarithmic axis
        axes.plot(range(1, len(drift) + 1), drift, style, color=COLOURS[framework], lw=1.8, label=framework)
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
    quiet(axes, f"{NETWORKS[FIRST]}: distance of float32 weights from float64", "training step")


# learning


def find_trained(entries: Sequence[Entry]) -> ByNetwork:
    """{model: a finished result of accuracy in both frameworks}, of the largest scale."""
    results = [entry.result for entry in entries if entry.command == "accuracy"]
    results = [r for r in results if r["scale"] in SCALES and r["complete"] and STYLES.keys() <= r["summary"].keys()]
    results.sort(key=lambda result: SCALES.index(result["scale"]))
    return {EXPERIMENTS[r["experiment"]]: r for r in results if r["experiment"] in EXPERIMENTS}


def top1(result: Result, framework: str) -> str:
    """Mean and standard error over the seeds."""
    found = result["summary"][framework]["final"]["top1"]
    return f"{found['mean']:.1f}" + ("" if found["error"] is None else f" ± {found['error']:.1f}")


def learning_panel(result: Result, axes: Any) -> None:
    """Over the epochs, top-1 on the validation images, in both frameworks."""
    for framework, style in STYLES.items():
        points = result["summary"][framework]["curves"]["val_top1"]
        epochs = range(1, len(points) + 1)
        means = [point["mean"] for point in points]
        axes.plot(epochs, means, style, color=COLOURS[framework], lw=1.8, label=framework)
        if points[0]["error"] is not None:
            low, high = ([p["mean"] + sign * p["error"] for p in points] for sign in (-1, 1))
            axes.fill_between(epochs, low, high, color=COLOURS[framework], alpha=0.15, lw=0)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    quiet(axes, f"{NETWORKS[FIRST]}: top-1 on validation images, %", "epoch")


# costs


def find_speeds(entries: Sequence[Entry]) -> ByNetwork:
    """{model: the first result of speed on the CPU}, of the networks as they are by default, and of their training alone."""
    others = {"--set", "--custom-conv", "--attack"}
    plain = [entry.result for entry in entries if entry.command == "speed" and not entry.words & others]
    return {result["job"]["model"]: result for result in plain[::-1] if result["job"]["device"] == "cpu"}


def time_ratio(result: Result, other: str = "torch") -> float:
    """Our time of a training step over another's, the median over the rounds."""
    return result["ratios"][other]["summary"]["median"]


def memory_ratio(result: Result) -> float:
    """Our peak memory over torch's."""
    return result["memory"]["minigrad"]["above_ready"] / result["memory"]["torch"]["above_ready"]


def cost_panel(speeds: Mapping[str, Result], axes: Any) -> None:
    """Two bars a network: time and memory, of torch's."""
    models = [model for model in NETWORKS if model in speeds][::-1]
    axes.axvline(1, color=COLOURS["torch"], lw=1.6, zorder=0)
    for i, model in enumerate(models):
        result = speeds[model]
        bars = [(0.2, "time", time_ratio(result), 1.0)]
        bars += [(-0.2, "memory", memory_ratio(result), 0.7)] if "memory" in result else []
        for place, what, ratio, alpha in bars:
            axes.barh(i + place, ratio, 0.36, color=COLOURS["minigrad"], alpha=alpha)
            axes.text(0.03, i + place, f"{what} {ratio:.2f}", va="center", fontsize=8, color="white")
    axes.set_yticks(range(len(models)), [NETWORKS[model] for model in models])
    quiet(axes, "A step, of torch's (line): lower is better")
    axes.grid(visible=False)
    axes.tick_params(axis="y", colors=QUIET, labelsize=9)
