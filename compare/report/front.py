"""The one table and the one picture that a visitor should see: of each network, whether both tracks are alike, and the cost.

This file alone of the report knows what stands in the results of some commands. What they do not say is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compare.plots import COLOURS, QUIET, as_png, new_figure, quiet
from compare.report.gather import Entry
from compare.tables import Table

NETWORKS = {"simplenet": "SimpleNet", "simplenet-bn": "SimpleNet-BN", "vit": "SimpleViT", "resnet18": "ResNet-18"}

Panel = Callable[[Any], None]  # draws on axes


@dataclass(frozen=True)
class Front:
    """The table, the picture (None: nothing is measured that it could show), and what the picture shows, in words."""

    table: Table
    picture: bytes | None
    caption: str


def make_front(entries: Sequence[Entry]) -> Front:
    """Out of all results."""
    times, memories = step_ratios(entries), memory_ratios(entries)
    columns = {
        "a training step's time, of torch's": {model: f"{ratio:.2f}" for model, ratio in times.items()},
        "its peak memory, of torch's": {model: f"{ratio:.2f}" for model, ratio in memories.items()},
    }
    columns = {name: cells for name, cells in columns.items() if cells}
    rows = [
        [title, *(cells.get(model, "") for cells in columns.values())]
        for model, title in NETWORKS.items()
        if any(model in cells for cells in columns.values())
    ]
    panels = [panel for panel in (cost_panel(times, memories),) if panel is not None]
    return Front(Table("", ["", *columns], rows), draw(panels), "minigrad beside PyTorch")


def draw(panels: Sequence[Panel]) -> bytes | None:
    """The panels, side by side."""
    if not panels:
        return None
    figure, axes = new_figure(1, len(panels), "minigrad beside PyTorch")
    for panel, place in zip(panels, axes.flat, strict=True):
        panel(place)
    return as_png(figure)


# costs


def step_ratios(entries: Sequence[Entry]) -> dict[str, float]:
    """{model: our time of a training step / torch's, the median over the rounds}, on the CPU."""
    return {model: result["ratios"]["torch"]["summary"]["median"] for model, result in _speeds(entries).items()}


def memory_ratios(entries: Sequence[Entry]) -> dict[str, float]:
    """{model: our peak memory / torch's}, where it was measured."""
    memories = {model: result["memory"] for model, result in _speeds(entries).items() if "memory" in result}
    return {
        model: found["minigrad"]["above_ready"] / found["torch"]["above_ready"] for model, found in memories.items()
    }


def _speeds(entries: Sequence[Entry]) -> dict[str, Any]:
    """{model: the last of its results on the CPU, of the networks as they are by default}."""
    results = [entry.result for entry in entries if entry.command == "speed" and "--set" not in entry.words]
    return {result["job"]["model"]: result for result in results if result["job"]["device"] == "cpu"}


def cost_panel(times: Mapping[str, float], memories: Mapping[str, float]) -> Panel | None:
    """Two bars a network: time and memory, of torch's."""
    models = [model for model in NETWORKS if model in times][::-1]
    if not models:
        return None

    def panel(axes: Any) -> None:
        for i, model in enumerate(models):
            for place, found, alpha, what in ((0.19, times, 1.0, "time"), (-0.19, memories, 0.45, "memory")):
                if model in found:
                    axes.barh(i + place, found[model], 0.34, color=COLOURS["minigrad"], alpha=alpha)
                    axes.text(
                        found[model], i + place, f" {found[model]:.2f}  {what}", va="center", fontsize=8, color=QUIET
                    )
        axes.axvline(1, color=COLOURS["torch"], lw=1.6)
        axes.set_yticks(range(len(models)), [NETWORKS[model] for model in models])
        axes.set_xlim(0, 1.45 * max([1, *times.values(), *memories.values()]))
        quiet(axes, "A training step: time and peak memory (torch: 1)")
        axes.grid(visible=False)

    return panel
