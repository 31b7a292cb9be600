"""What python -m compare profile has found: its tables, its picture, and in one sentence."""

from __future__ import annotations

from typing import Any

from compare.kit.machine import in_words
from compare.kit.plots import COLOURS, QUIET, as_png, new_figure, quiet
from compare.kit.result import Result
from compare.kit.tables import Table
from compare.speed.show import limit_notes

MOST_ROWS = 25  # of torch's, and of the picture's bars half as many
LEAST_FLOOR = 1e-5  # seconds: below, a floor says nothing
ENGINE = {"forward": "engine and Python, forward", "backward": "engine and Python, backward"}


def what(result: Result) -> str:
    """What was profiled."""
    job = result["job"]
    primitives = ", in primitives" if result["definitions"] else ""
    return f"{job['model']}, batch {job['batch']}, {job['image_size']}x{job['image_size']}{primitives}"


def parts(result: Result) -> list[dict[str, Any]]:
    """The rows of the ops, and what they do not account for: what they all are together is the step."""
    update = {"op": f"update ({result['job']['optimizer']})", "update": result["phases"]["update"]["median"]}
    if "limit" in result:
        update["floor"] = result["limit"]["rows"]["update"]["floor"]
    rest = [{"op": ENGINE[phase], phase: seconds} for phase, seconds in result["rest"].items()]
    return [*result["rows"], *rest, update]


def seconds_of(part: dict[str, Any]) -> float:
    """All that a part takes."""
    return sum(part.get(name, 0.0) for name in ("forward", "backward", "update"))


def tables(result: Result) -> list[Table]:
    """The ops of minigrad; those of torch, where they were asked for."""
    found = parts(result)
    whole, limited = sum(map(seconds_of, found)), "limit" in result
    rows = []
    for part in found:
        is_op = "calls" in part
        row = [part["op"], f"{part['calls']:g}" if is_op else ""]
        row += [f"{1e3 * part[name]:.2f}" if name in part else "" for name in ("forward", "backward")]
        row += [f"{1e3 * seconds_of(part):.2f}", f"{100 * seconds_of(part) / whole:.1f}", *above(part, limited)]
        row += [f"{part[name] / 1e6:.2f}" for name in ("made", "saved") if is_op]
        rows.append(row)
    sums = {
        name: sum(part.get(name, 0.0) for part in found) for name in ("calls", "forward", "backward", "made", "saved")
    }
    rows.append(
        ["total", f"{sums['calls']:g}", f"{1e3 * sums['forward']:.2f}", f"{1e3 * sums['backward']:.2f}"]
        + [
            f"{1e3 * whole:.2f}",
            "100.0",
            *above({"floor": result["limit"]["floor"], "forward": whole} if limited else {}, limited),
        ]
        + [f"{sums['made'] / 1e6:.2f}", f"{sums['saved'] / 1e6:.2f}"]
    )
    head = ["op", "calls", "forward ms", "backward ms", "together", "share %"]
    head += [*(["floor ms", "of the floor"] if limited else []), "made MB", "saved MB"]
    step = result["step"]
    notes = [
        "made: bytes of the results that are no views; saved: bytes kept for gradients, each array once",
        f"a watched step takes {1e3 * step['watched']['median']:.1f} ms, an unwatched one {1e3 * step['plain']['median']:.1f}",
        f"{in_words(result['machine'], load=False)}; " + ", ".join(f"{k} {v}" for k, v in result["facts"].items()),
    ]
    title = f"{what(result)}, one training step of minigrad on {result['job']['device']}: medians of {result['steps']} steps"
    notes[:0] = limit_notes(result)
    return [Table(title, head, rows, notes), *([torch_table(result)] if "torch" in result else [])]


def above(part: dict[str, Any], limited: bool) -> list[str]:
    """The cells of a part's floor: milliseconds, and how many times as long it takes."""
    if not limited:
        return []
    floor = part.get("floor", 0.0)
    return [f"{1e3 * floor:.2f}", f"{seconds_of(part) / floor:.1f}"] if floor >= LEAST_FLOOR else ["", ""]


def torch_table(result: Result) -> Table:
    """torch's ops, the dearest first."""
    found = result["torch"]["rows"]
    whole = sum(row["seconds"] for row in found)
    rows = [
        [row["op"], f"{row['calls']:g}", f"{1e3 * row['seconds']:.2f}", f"{100 * row['seconds'] / whole:.1f}"]
        + [f"{row['made'] / 1e6:.2f}"]
        for row in found[:MOST_ROWS]
    ]
    rows.append(["total", "", f"{1e3 * whole:.2f}", "100.0"])
    notes = [f"the first {MOST_ROWS} of {len(found)} ops"] if len(found) > MOST_ROWS else []
    title = "the same step in torch, by torch.profiler: time of each op without the ops inside it, means of the steps"
    return Table(title, ["op", "calls", "ms", "share %", "bytes kept MB"], rows, notes)


def verdict(result: Result) -> str:
    """What a reader should take away."""
    whole = sum(map(seconds_of, parts(result)))
    ops = sorted(result["rows"], key=seconds_of, reverse=True)
    share = {row["op"]: seconds_of(row) / whole for row in ops}
    most = " and ".join(f"{op} ({100 * share[op]:.0f} %)" for op in list(share)[:2])
    update, rest = result["phases"]["update"]["median"], sum(result["rest"].values())
    return (
        f"{what(result)}: {100 * sum(share.values()):.0f} % of a training step's {1e3 * whole:.0f} ms are spent in ops, most "
        f"in {most}; the update takes {100 * update / whole:.1f} %, the engine and Python {100 * rest / whole:.1f} %; "
        f"{sum(row['saved'] for row in ops) / 1e6:.0f} MB are saved for gradients."
    )


def pictures(result: Result) -> dict[str, bytes]:
    """One picture: the shares of the step, a bar an op, forward darker than backward."""
    found = sorted(parts(result), key=seconds_of, reverse=True)
    whole = sum(map(seconds_of, found))
    shown, others = found[: MOST_ROWS // 2], found[MOST_ROWS // 2 :]
    if others:
        sums = {name: sum(part.get(name, 0.0) for part in others) for name in ("forward", "backward", "update")}
        shown.append({"op": f"{len(others)} others", **sums})
    subtitle = f"{1e3 * whole:.0f} ms on {result['machine']['processor']}; dark: forward, light: backward, grey: update"
    figure, panels = new_figure(1, 1, f"Where a step goes: {what(result)}", subtitle, (7.5, 0.8 + 0.27 * len(shown)))
    axes = panels[0, 0]
    names, ends = [part["op"] for part in shown], [0.0] * len(shown)
    looks = {"forward": (COLOURS["minigrad"], 1.0), "backward": (COLOURS["minigrad"], 0.5), "update": (QUIET, 0.7)}
    for name, (colour, alpha) in looks.items():
        widths = [100 * part.get(name, 0.0) / whole for part in shown]
        axes.barh(names, widths, left=ends, color=colour, alpha=alpha, height=0.66)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    for row, end in enumerate(ends):
        axes.text(end, row, f" {end:.1f} %", va="center", fontsize=8, color=QUIET)
    quiet(axes, "Share of the step in percent")
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, max(ends) * 1.12)
    axes.invert_yaxis()
    return {f"profile-{result['job']['model']}-b{result['job']['batch']}": as_png(figure)}
