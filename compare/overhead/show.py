"""What python -m compare overhead has found: its tables, its picture, and in one sentence."""

from __future__ import annotations

import numpy as np

from compare.kit.plots import COLOURS, INK, as_png, new_figure, quiet
from compare.kit.result import Result
from compare.kit.statistics import Summary, summarize
from compare.kit.tables import Table


def tables(result: Result) -> list[Table]:
    """The small ops, and the chains."""
    times = result["microseconds"]
    rows = []
    for op, ratio in ratios(result).items():
        least = (f"{min(times[framework][op]):.1f}" for framework in ("minigrad", "torch"))
        rows.append([op, *least, f"{ratio['median']:.2f}", f"{ratio['lower']:.2f}-{ratio['upper']:.2f}"])
    title = "one op on 100 floats, forward and backward, one thread; microseconds a call"
    small = Table(title, ["op", "minigrad", "torch", "ours / torch", "quartiles"], rows)
    chains = [[f"{int(length):,} ops", f"{microseconds:.2f}"] for length, microseconds in result["chain"].items()]
    title = "a chain y = y + 1, forward and backward, in minigrad; microseconds an op"
    return [small, Table(title, ["length", "an op"], chains)]


def ratios(result: Result) -> dict[str, Summary]:
    """Our time over torch's, of each op, over the rounds."""
    ours, theirs = (result["microseconds"][framework] for framework in ("minigrad", "torch"))
    return {op: summarize([a / b for a, b in zip(ours[op], theirs[op], strict=True)]) for op in ours}


def verdict(result: Result) -> str:
    """What a reader should take away."""
    found = {op: ratio["median"] for op, ratio in ratios(result).items()}
    least, most = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    chain = {int(length): microseconds for length, microseconds in result["chain"].items()}
    short, long = min(chain), max(chain)
    return (
        f"One small op, forward and backward, takes minigrad {found[least]:.2f} ({least}) to {found[most]:.2f} ({most}) of torch's "
        f"time, in the middle {np.median(list(found.values())):.2f}; an op in a chain of {long:,} costs "
        f"{chain[long] / chain[short]:.2f} of one in a chain of {short:,}."
    )


def pictures(result: Result) -> dict[str, bytes]:
    """One picture: our time over torch's, a dot an op with its quartiles."""
    found = sorted(ratios(result).items(), key=lambda item: item[1]["median"])
    figure, panels = new_figure(1, 1, "One small op", "forward and backward on 100 floats; ours / torch", (6.4, 3.6))
    axes = panels[0, 0]
    middle = np.array([ratio["median"] for _, ratio in found])
    spread = [middle - [r["lower"] for _, r in found], [r["upper"] for _, r in found] - middle]
    axes.errorbar(range(len(found)), middle, spread, fmt="o", color=COLOURS["minigrad"], ms=5, lw=1.2)
    axes.axhline(1, color=INK, lw=0.8)
    axes.set_xticks(range(len(found)), [op for op, _ in found], rotation=45, ha="right")
    axes.set_ylim(0, None)
    quiet(axes, "Median and quartiles of the rounds; below 1 minigrad is faster")
    return {"overhead": as_png(figure)}
