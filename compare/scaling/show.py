"""What python -m compare scaling has found: its tables, its curves, and in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from compare.kit.machine import in_words, is_busy
from compare.kit.plots import COLOURS, as_png, new_figure, quiet
from compare.kit.result import Result
from compare.kit.statistics import Summary, summarize
from compare.kit.tables import Table
from compare.scaling import ranks

OURS = "minigrad"
MOST_GROWTH = 1.1  # of a cost that does not grow: rounds scatter by some ten percent
Job = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """What grows, and by what a step's time is divided so that it should not grow."""

    each: str
    count: Callable[[Job], int]
    time: tuple[str, float]  # the unit of a cost, and how many make a second
    memory: tuple[str, float]  # the same of what each adds to the peak, and how many bytes make one

    @property
    def by_image(self) -> bool:
        """Whether the cost is that of an image."""
        return self.each == "image"


AXES: Mapping[str, Axis] = MappingProxyType(
    {
        "batch": Axis("image", lambda job: job["batch"], ("ms", 1e3), ("MB", 1e6)),
        "image-size": Axis("pixel", lambda job: job["batch"] * job["image_size"] ** 2, ("ns", 1e9), ("bytes", 1)),
        "depth": Axis("image and block", lambda job: job["batch"] * job["settings"]["depth"], ("ms", 1e3), ("MB", 1e6)),
    }
)
IMAGES = AXES["batch"]


def costs(result: Result, axis: Axis | None = None) -> dict[str, list[list[float]]]:
    """{implementation: for each round the seconds of an image (pixel, block) at each value}: medians of the round's steps."""
    axis = axis or AXES[result["axis"]]
    found: dict[str, list[list[float]]] = {}
    for name in result["points"][0]["tracks"]:
        by_value = [
            [float(np.median(turn["seconds"])) / axis.count(point["job"]) for turn in point["tracks"][name]["turns"]]
            for point in result["points"]
        ]
        found[name] = [list(of_round) for of_round in zip(*by_value, strict=True)]
    return found


def cost_summaries(result: Result, axis: Axis) -> dict[str, list[Summary]]:
    """{implementation: at each value median and quartiles of the rounds}."""
    return {name: [summarize(c) for c in zip(*rounds, strict=True)] for name, rounds in costs(result, axis).items()}


def memory_rates(result: Result) -> dict[str, float]:
    """{implementation: bytes that each image (pixel, block) adds to the peak}, by a straight line; {} where it was not measured."""
    if "memory" not in result["points"][0]:
        return {}
    counts = [AXES[result["axis"]].count(point["job"]) for point in result["points"]]
    return {
        name: float(np.polyfit(counts, [point["memory"][name]["above_ready"] for point in result["points"]], 1)[0])
        for name in result["points"][0]["memory"]
    }


def what(result: Result) -> str:
    """What was measured."""
    job, axis, values = result["points"][0]["job"], result["axis"], result["values"]
    fixed = {"batch": f"batch {job['batch']}", "image-size": f"{job['image_size']}x{job['image_size']} pixels"}
    others = ", ".join(text for name, text in fixed.items() if name != axis)
    return f"{job['model']}, {axis} {values[0]} to {values[-1]} ({others})"


def tables(result: Result) -> list[Table]:
    """Time of an image, along image-size and depth also of a pixel or block; whether it grows; memory."""
    if result["axis"] == "ranks":
        return ranks.tables(result)
    axis = AXES[result["axis"]]
    found = [time_table(result, IMAGES)]
    if not axis.by_image:
        found.append(time_table(result, axis))
    found.append(slope_table(result))
    if "memory" in result["points"][0]:
        found.append(memory_table(result))
    return found


def time_table(result: Result, axis: Axis) -> Table:
    """A row a value: of each implementation median and quartiles; and ours over theirs."""
    unit, factor = axis.time
    summaries = cost_summaries(result, axis)
    head = [result["axis"]]
    for name in summaries:
        head += [name, "quartiles"]
    head += [f"ours / {name}" for name in summaries if name != OURS]
    rows = []
    for i, point in enumerate(result["points"]):
        row = [str(point["value"])]
        for one in summaries.values():
            s = one[i]
            row += [f"{factor * s['median']:.2f}", f"{factor * s['lower']:.2f}-{factor * s['upper']:.2f}"]
        rows.append(row + [f"{ratio['summary']['median']:.3f}" for ratio in point["ratios"].values()])
    title = f"{what(result)}, one training step on {result['points'][0]['job']['device']}, {unit} {an(axis.each)}"
    return Table(title, head, rows)


def slope_table(result: Result) -> Table:
    """A row an implementation: the exponent that fits, and how much the last value costs."""
    axis, last = AXES[result["axis"]], result["values"][-1]
    rows = []
    for name, slope in result["slopes"].items():
        s = slope["summary"]
        rows.append(
            [name, f"{s['median']:+.3f}", f"{s['lower']:+.3f} to {s['upper']:+.3f}", f"{slope['of_least']:.3f}"]
            + ["yes" if grows(slope) else "no"]
        )
    head = ["", f"goes as {result['axis']} to the power", "quartiles", f"at {last}, of the least", "grows"]
    machine = result["machine"]
    notes = [
        f"grows: by more than {100 * (MOST_GROWTH - 1):.0f} % above the least of the other values, each by its cheapest round",
        in_words(machine),
        "all computed the same" if result["agree"] else "NOT THE SAME COMPUTATION: the times mean nothing",
    ]
    if is_busy(machine):
        notes.append("note: other programs were busy on this machine, and disturb some values more than others")
    return Table(f"the time {an(axis.each)}, {result['rounds']} rounds", head, rows, notes)


def memory_table(result: Result) -> Table:
    """A row a value: peak memory of each implementation; and what each image adds."""
    axis, rates = AXES[result["axis"]], memory_rates(result)
    unit, size = axis.memory
    rows = [
        [str(point["value"]), *(f"{point['memory'][name]['above_ready'] / 1e6:.1f}" for name in rates)]
        for point in result["points"]
    ]
    rows.append([f"{unit} {an(axis.each)}", *(f"{rate / size:.2f}" for rate in rates.values())])
    return Table("peak memory of training above ready, MB", [result["axis"], *rates], rows)


def an(noun: str) -> str:
    """With its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def grows(slope: Result) -> bool:
    """Whether the last value costs more than it should."""
    return bool(slope["of_least"] > MOST_GROWTH)


def verdict(result: Result) -> str:
    """What a reader should take away."""
    if result["axis"] == "ranks":
        return ranks.verdict(result)
    if not result["agree"]:
        return f"{what(result)}: the frameworks do not compute the same, so their times mean nothing."
    axis, slopes, rates = AXES[result["axis"]], result["slopes"], memory_rates(result)
    ours, last = slopes[OURS], result["values"][-1]
    s = ours["summary"]
    text = (
        f"{what(result)}: minigrad's time {an(axis.each)} {'GROWS' if grows(ours) else 'does not grow'}: it goes as "
        f"{result['axis']} to the power {s['median']:+.2f} (quartiles {s['lower']:+.2f} to {s['upper']:+.2f}), at {last} it is "
        f"{ours['of_least']:.2f} of the least of the others; "
    )
    others = [
        f"{name} {slope['summary']['median']:+.2f} and {slope['of_least']:.2f}"
        for name, slope in slopes.items()
        if name != OURS
    ]
    text += ", ".join(others)
    if rates:
        unit, size = axis.memory
        adding = [f"{rate / size:.2f} in {name}" for name, rate in rates.items()]
        text += f"; {an(axis.each)} adds so many {unit} of peak memory: {', '.join(adding)}"
    return text + "."


def pictures(result: Result) -> dict[str, bytes]:
    """One picture: time of an image, along image-size and depth also of a pixel or block, and memory; logarithmic axes."""
    if result["axis"] == "ranks":
        return ranks.pictures(result)
    axis = AXES[result["axis"]]
    panels = [IMAGES] if axis.by_image else [IMAGES, axis]
    rates = memory_rates(result)
    machine, job = result["machine"], result["points"][0]["job"]
    cores = f"{machine['processor']}, {machine['usable_cores']} cores"
    subtitle = f"{cores}; medians and quartiles of {result['rounds']} rounds"
    figure, axes = new_figure(1, len(panels) + bool(rates), f"A training step: {what(result)}", subtitle)
    for panel, unit in zip(axes[0], panels, strict=False):
        name, factor = unit.time
        for one, summaries in cost_summaries(result, unit).items():
            middle, lower, upper = (
                [factor * s[part] for s in summaries]  # type: ignore[literal-required]
                for part in ("median", "lower", "upper")
            )
            panel.plot(result["values"], middle, "o-", color=COLOURS[one], ms=4, lw=1.5, label=one)
            panel.fill_between(result["values"], lower, upper, color=COLOURS[one], alpha=0.18, lw=0)
        dress(panel, f"Time {an(unit.each)}, {name}", result)
    for one in rates:
        peaks = [point["memory"][one]["above_ready"] / 1e6 for point in result["points"]]
        axes[0, -1].plot(result["values"], peaks, "o-", color=COLOURS[one], ms=4, lw=1.5, label=one)
    if rates:
        dress(axes[0, -1], "Peak memory above ready, MB", result)
    axes[0, 0].legend(frameon=False, fontsize=8)
    return {f"scaling-{job['model']}-{result['axis']}": as_png(figure)}


def dress(axes: Any, title: str, result: Result) -> None:
    """Logarithmic axes, the values themselves below; small differences are not made to look large."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    middle, half = (low * high) ** 0.5, max((high / low) ** 0.5, 2)
    axes.set_ylim(middle / half, middle * half)
    quiet(axes, title, result["axis"])
    axes.set_xticks(result["values"], [str(value) for value in result["values"]])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if half > 3 else MaxNLocator(6))
    axes.yaxis.set_major_formatter("{x:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
