"""What python -m compare speed has found: its tables, its picture, and in one sentence."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from compare.kit.machine import in_words, is_busy
from compare.kit.plots import COLOURS, QUIET, as_png, new_figure, quiet
from compare.kit.result import Result
from compare.kit.tables import Table
from compare.kit.worker import PHASES
from compare.speed.agreement import TOLERANCES
from compare.speed.measure import ATTACK_TOLERANCES, CHECKED_STEPS, CUSTOM_CONV, REFERENCE, attacks_agree

OURS = "minigrad"


def tables(result: Result) -> list[Table]:
    """Time; where they were measured, the attack's time, and memory; and how far the implementations are apart."""
    found = [time_table(result)]
    if "attack" in result:
        found.append(attack_table(result["attack"]))
    if "memory" in result:
        found.append(memory_table(result["memory"]))
    return [*found, agreement_table(result)]


def what(result: Result) -> str:
    """What was measured: model, batch, image size."""
    job = result["job"]
    return f"{job['model']}, batch {job['batch']}, {job['image_size']}x{job['image_size']}"


def time_table(result: Result) -> Table:
    """Milliseconds of a step, and the ratio of ours to each other's."""
    timed, loading = result["tracks"], result.get("loading")
    data = ["data"] if loading else []
    head = ["ms a step", "median", "quartiles", "min", *data, *PHASES, "processor", "idle"]
    floor = result["limit"]["floor"] if "limit" in result else None
    head += ["of the floor"] if floor else []
    head += ["ours / this", "quartiles", "of min"]
    ours = timed[OURS]["summary"]["seconds"]
    rows = []
    for name, one in timed.items():
        s = one["summary"]
        row = [name, ms(s["seconds"]["median"]), span(s["seconds"], 1000, 1), ms(s["seconds"]["min"])]
        row += [ms(loading["summary"]["seconds"]["median"])] if loading else []
        row += [ms(s["phases"][phase]["median"]) for phase in PHASES]
        row += [ms(s["processor"]["median"]), ms(s["idle"])]
        row += [f"{s['seconds']['median'] / floor:.2f}"] if floor else []
        if name in result["ratios"]:
            ratio = result["ratios"][name]["summary"]
            row += [f"{ratio['median']:.3f}", span(ratio, 1, 3), f"{ours['min'] / s['seconds']['min']:.3f}"]
        rows.append(row)
    job = result["job"]
    title = f"{what(result)}, one training step ({job['optimizer']}) on {job['device']}: {result['rounds']} rounds of "
    return Table(
        f"{title}{result['steps']} steps",
        head,
        rows,
        [*limit_notes(result), *loading_notes(result), *machine_notes(result)],
    )


def limit_notes(result: Result) -> list[str]:
    """What the floor is made of, where it was measured (compare.kit.limit)."""
    if "limit" not in result:
        return []
    rates, rows = result["limit"]["rates"], result["limit"]["rows"].values()
    work = {name: sum(row[name] for row in rows) for name in rates}
    return [
        f"the floor, {ms(result['limit']['floor'])} ms: {work['multiply_adds'] / 1e9:.2f} billion multiply-adds at "
        f"{rates['multiply_adds'] / 1e9:.1f} billion a second, and {work['bytes'] / 1e6:.0f} MB at {rates['bytes'] / 1e9:.1f} GB "
        "a second, the rates of a large product and of a large copy"
    ]


def loading_notes(result: Result) -> list[str]:
    """What the data phase is, where it was measured."""
    if "loading" not in result:
        return []
    found = result["loading"]
    who = f"{found['workers']} workers" if found["workers"] else "a thread"
    s = found["summary"]
    return [
        f"data: a batch of {found['data']} ({found['channels']} channel{'s' * (found['channels'] > 1)}, resized where they are of "
        f"another size) by the loader that all frameworks share, {who}, measured once and alone: quartiles "
        f"{span(s['seconds'], 1000, 1)}, of which normalising {ms(s['normalising']['median'])}; in training it runs beside "
        "the step and is no part of it"
    ]


def machine_notes(result: Result) -> list[str]:
    """The machine, the environment, the frameworks' versions and threads."""
    machine = result["machine"]
    lines = [
        f"{in_words(machine)}, Python {machine['python']}, commit {result['commit'] or 'unknown'}",
        "environment: " + (shlex.join(f"{k}={v}" for k, v in machine["variables"].items()) or "no OPENBLAS_* or such"),
    ]
    for name, one in result["tracks"].items():
        lines.append(f"{name}: " + ", ".join(f"{k} {v}" for k, v in one["facts"].items()))
    if is_busy(machine):
        lines.append(
            "note: other programs were busy on this machine. Threads that wait for one another lose more than single ones: "
            "compare the minima, or the processor time with --threads 1"
        )
    return lines


def attack_table(attack: Result) -> Table:
    """Milliseconds of an attack, and its time over one forward and backward of training."""
    head = ["ms an attack", "median", "quartiles", "min", "passes", "quartiles", "ours / this", "quartiles"]
    rows = []
    for name, one in attack["tracks"].items():
        seconds, passes = one["summary"]["seconds"], one["summary"]["passes"]
        row = [name, ms(seconds["median"]), span(seconds, 1000, 1), ms(seconds["min"])]
        row += [f"{passes['median']:.2f}", span(passes, 1, 2)]
        if name in attack["ratios"]:
            ratio = attack["ratios"][name]["summary"]
            row += [f"{ratio['median']:.3f}", span(ratio, 1, 3)]
        rows.append(row)
    apart = [
        f"{name} " + " and ".join(f"{found[when]:.1e}" for when in ATTACK_TOLERANCES)
        for name, found in attack["agreement"].items()
    ]
    limits = " and ".join(f"{most:g}" for most in ATTACK_TOLERANCES.values())
    notes = [
        f"passes: in units of one forward and backward pass of training in the same framework; at most "
        f"{attack['steps'] + 1} wanted",
        f"perturbations' distance from {REFERENCE}'s after the first and the last step (at most {limits}): {', '.join(apart)}"
        + ("" if attacks_agree(attack) else ": NOT THE SAME ATTACK, the times mean nothing"),
    ]
    return Table(f"the attack {attack['preset']} on the same batch, {attack['steps']} steps", head, rows, notes)


def memory_table(memory: Result) -> Table:
    """Megabytes (10^6 bytes), and the ratio of ours to each other's."""
    head = ["MB", "imported", "ready", "peak", "peak above ready", "above imported", "ours / this", "by imported"]
    ours = memory[OURS]
    rows = []
    for name, m in memory.items():
        row = [name, *(f"{m[k] / 1e6:.1f}" for k in ("imported", "ready", "peak", "above_ready", "above_imported"))]
        if m is not ours:
            row += [f"{ours[k] / m[k]:.3f}" if m[k] else "-" for k in ("above_ready", "above_imported")]
        rows.append(row)
    return Table("peak memory of training", head, rows, custom_conv(memory))


def custom_conv(memory: Result) -> list[str]:
    """What the textbook's convolutions need beside torch's own, where they were measured."""
    torchs = memory[REFERENCE]["above_ready"] or float("nan")
    found = [f"{name} {memory[name]['above_ready'] / torchs:.2f}" for name in CUSTOM_CONV if name in memory]
    return [f"peak above ready / {REFERENCE}'s: {', '.join(found)}"] if found else []


def agreement_table(result: Result) -> Table:
    """How far each implementation is from torch in the first steps."""
    rows = [
        [name, f"{found['loss']:.1e}", *(f"{found[of]:.1e} ({found['where'][of]})" for of in ("gradient", "change"))]
        for name, found in result["agreement"].items()
    ]
    limits = ", ".join(f"{of} {most:g}" for of, most in TOLERANCES.items())
    title = f"distance from {REFERENCE} in the first {CHECKED_STEPS} steps (at most: {limits})"
    last = "all computed the same" if result["agree"] else "NOT THE SAME COMPUTATION: the times mean nothing"
    return Table(title, ["", "loss", "gradient (largest in)", "change (largest in)"], rows, [last])


def verdict(result: Result) -> str:
    """What a reader should take away."""
    if not result["agree"]:
        return f"{what(result)}: the frameworks do not compute the same, so their times mean nothing."
    ours = result["tracks"][OURS]["summary"]["seconds"]["median"]
    text = f"{what(result)}: a training step takes minigrad {ms(ours)} ms, {against(result['ratios'])}"
    if "memory" in result and result["memory"][REFERENCE]["above_ready"]:
        memory = result["memory"]
        text += f", with {memory[OURS]['above_ready'] / memory[REFERENCE]['above_ready']:.2f} of torch's peak memory"
    if "attack" in result:
        attack = result["attack"]
        found = attack["tracks"][OURS]["summary"]
        kept = "within" if found["passes"]["median"] <= attack["steps"] + 1 else "MORE THAN"
        text += (
            f"; {attack['steps']} steps of the attack {attack['preset']} take {ms(found['seconds']['median'])} ms, "
            f"{against(attack['ratios'])}, and are worth {found['passes']['median']:.1f} passes of training, {kept} the "
            f"{attack['steps'] + 1} wanted"
        )
    return text + "."


def against(ratios: Result) -> str:
    """Our time in each other's: median and quartiles of the rounds."""
    shares = [
        f"{r['summary']['median']:.2f} ({span(r['summary'], 1, 2)}) of {name}'s time" for name, r in ratios.items()
    ]
    return " and ".join([", ".join(shares[:-1]), shares[-1]] if shares[1:] else shares)


def pictures(result: Result) -> dict[str, bytes]:
    """One picture: the phases of a step as bars; beside them memory and the attack, where they were measured."""
    panels = ["step", *(name for name in ("memory", "attack") if name in result)]
    machine, job = result["machine"], result["job"]
    subtitle = f"{machine['processor']}, {machine['usable_cores']} cores; medians of {result['rounds']} rounds"
    height = 1.3 + 0.36 * len(result["tracks"])
    figure, axes = new_figure(1, len(panels), f"A training step: {what(result)}", subtitle, (4.6, height))
    for panel, name in zip(axes[0], panels, strict=True):
        {"step": draw_step, "memory": draw_memory, "attack": draw_attack}[name](panel, result)
    return {f"speed-{job['model']}-b{job['batch']}{'-attack' if 'attack' in result else ''}": as_png(figure)}


def draw_step(axes: Any, result: Result) -> None:
    """A bar an implementation: the loader's share where it is known, then forward, backward and update, ever lighter."""
    names = list(result["tracks"])
    ends = [0.0] * len(names)
    parts: list[tuple[str, list[float], dict[str, Any]]] = []
    if "loading" in result:
        loading = [1e3 * result["loading"]["summary"]["seconds"]["median"]] * len(names)
        parts.append(("data", loading, {"color": "none", "edgecolor": QUIET, "hatch": "////", "lw": 0.5}))
    for phase, alpha in zip(PHASES, (1.0, 0.65, 0.35), strict=True):
        widths = [1e3 * result["tracks"][name]["summary"]["phases"][phase]["median"] for name in names]
        parts.append((phase, widths, {"color": [COLOURS[name] for name in names], "alpha": alpha}))
    for _, widths, look in parts:
        axes.barh(names, widths, left=ends, height=0.62, **look)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    label_bars(axes, ends)
    dress_bars(axes, "ms: " + ", ".join(name for name, *_ in parts) + " (dark to light)")


def draw_memory(axes: Any, result: Result) -> None:
    """A bar an implementation."""
    widths = {name: found["above_ready"] / 1e6 for name, found in result["memory"].items()}
    draw_bars(axes, widths, "Peak memory above ready, MB")


def draw_attack(axes: Any, result: Result) -> None:
    """A bar an implementation, and how many passes of training that is."""
    attack = result["attack"]
    found = {name: one["summary"] for name, one in attack["tracks"].items()}
    passes = [f" = {summary['passes']['median']:.1f} passes" for summary in found.values()]
    widths = {name: summary["seconds"]["median"] * 1e3 for name, summary in found.items()}
    draw_bars(axes, widths, f"{attack['preset']}, {attack['steps']} steps, milliseconds", passes)


def draw_bars(axes: Any, widths: dict[str, float], title: str, more: Sequence[str] = ()) -> None:
    """A panel of bars with their figures, and what else there is to write behind them."""
    axes.barh(list(widths), list(widths.values()), color=[COLOURS[name] for name in widths], height=0.62)
    label_bars(axes, list(widths.values()), more)
    dress_bars(axes, title)


def label_bars(axes: Any, ends: Sequence[float], more: Sequence[str] = ()) -> None:
    """The figure at the end of each bar, with space for it."""
    for row, end in enumerate(ends):
        axes.text(end, row, f" {end:.0f}{more[row] if more else ''}", va="center", fontsize=8, color=QUIET)
    axes.set_xlim(0, max(ends) * (1.45 if more else 1.15))


def dress_bars(axes: Any, title: str) -> None:
    """The look of a panel of bars, the first on top."""
    quiet(axes, title)
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()


def ms(seconds: float) -> str:
    """Seconds as milliseconds."""
    return f"{1000 * seconds:.1f}"


def span(summary: Any, factor: float, digits: int) -> str:
    """The quartiles."""
    return f"{factor * summary['lower']:.{digits}f}-{factor * summary['upper']:.{digits}f}"
