"""What python -m compare accuracy has found: the reported row beside ours and torch's, the cost, the curves, one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compare.accuracy.attacked import accuracies, pooled
from compare.accuracy.experiments import FIGURES, find
from compare.accuracy.state import DECIDING, differing
from compare.attacks.show import line_table
from compare.kit.frameworks import FRAMEWORKS
from compare.kit.letters import MOST_ERRORS, MOST_POINTS
from compare.kit.plots import COLOURS, INK, as_png, new_figure, quiet
from compare.kit.result import Result
from compare.kit.tables import Table
from minigrad.training.curves import cut_losses, epoch_axis

MIB = 2**20


def tables(result: Result) -> list[Table]:
    """A table a pair of arms, or that of the attacks; the arms without a partner; and what the training cost."""
    pairs = [_pair(result, pair) for pair in result["test"]["pairs"] if pair["figures"]]
    pairs += [_alone(result, alone)] if (alone := _unpaired(result)) else []
    attacks = [_attacks(result)] if result["experiment"] == "attack-table" and result["runs"] else []
    return [*pairs, *attacks, *([_cost(result)] if result["summary"] else [])]


def _pair(result: Result, pair: dict[str, Any]) -> Table:
    """The figures of two arms, side by side."""
    reported, others = (result[what].get(pair["label"], {}) for what in ("reported", "other_teams"))
    first, second = (result["summary"][pair[which]]["final"] for which in ("first", "second"))
    rows = []
    for name, found in pair["figures"].items():
        digits, kind = (4, "+.2g") if name == "loss" else (2, "+.2f")
        row = [FIGURES[name]]
        row += [f"{reported[name]:.2f}" if name in reported else ""] if reported else []
        row += [others.get(name, "")] if others else []
        row += [_value(arm[name], digits) for arm in (first, second)]
        interval = "" if found["p"] is None else f"{found['low']:{kind}} to {found['high']:{kind}}"
        row += [f"{found['difference']:{kind}}", interval, _p(found["p"])]
        rows.append([*row, _answer(found) if pair["same"] and name in DECIDING else ""])
    head = [
        "",
        *(["reported"] if reported else []),
        *(["other teams"] if others else []),
        pair["first"],
        pair["second"],
    ]
    head += ["difference", f"{100 * (1 - result['test']['level']):g} % interval", "p", ""]
    return Table(_title(result, pair["label"]), head, rows, _notes(result, pair, bool(reported)))


def _unpaired(result: Result) -> list[str]:
    """The arms that were trained and whose partners were not; attack-table has arms, and no pairs."""
    pairs = result["test"]["pairs"]
    paired = {pair[which] for pair in pairs if pair["figures"] for which in ("first", "second")}
    return [arm for arm in result["summary"] if pairs and arm not in paired]


def _alone(result: Result, arms: list[str]) -> Table:
    """The figures of arms that there is nothing to compare with, but what was reported."""
    label = result["test"]["pairs"][0]["label"]
    reported, others = (result[what].get(label, {}) for what in ("reported", "other_teams"))
    rows = []
    for name in result["summary"][arms[0]]["final"]:
        figures = [_value(result["summary"][arm]["final"][name], 4 if name == "loss" else 2) for arm in arms]
        rows.append(
            [FIGURES[name], f"{reported[name]:.2f}" if name in reported else "", others.get(name, ""), *figures]
        )
    notes = [*_notes(result, None, True), "The other framework was not trained: there is nothing to compare with."]
    return Table(f"{_title(result, '')}: alone", ["", "reported", "other teams", *arms], rows, notes)


def _attacks(result: Result) -> Table:
    """Each attack under each preset, in both frameworks."""
    hits = pooled(result["runs"])
    head, rows = line_table(hits, list(next(iter(hits.values()))), {line: line.reported(False) for line in hits})
    images = result["runs"][0]["attacks"]["settings"]["images"]
    networks = len(result["runs"])
    notes = [
        f"Both frameworks attack the same {networks} network{'s' if networks > 1 else ''} (the best epoch), each with its own "
        f"gradients, on {images:,} validation images; top-1 / top-5 in percent. Max norm, normalised units, not clipped.",
        f"Differences: minigrad less torch, in points, and the standard error by the images that only one gets right; above "
        f"{MOST_POINTS:g} points and {MOST_ERRORS:g} of those errors they are marked !.",
        *_notes(result, None, True),
    ]
    return Table(_title(result, ""), head, rows, notes)


def _cost(result: Result) -> Table:
    """Time and memory of training, by arm."""
    rows = []
    for arm, found in result["summary"].items():
        seconds, speed, peak = (found[name] for name in ("seconds", "images_per_second", "peak_memory_bytes"))
        rows.append([arm, f"{seconds['mean']:.1f}", f"{speed['mean']:.0f}", f"{peak['mean'] / MIB:.0f}"])
    devices = sorted({run["device"] for run in result["runs"]})
    notes = [
        f"On {', '.join(devices)}. Memory as the runs report it: on a CPU that of the whole process, its library included."
    ]
    return Table(f"{_title(result, '')}: cost", ["", "seconds of training", "images/s", "peak MiB"], rows, notes)


def pictures(result: Result) -> dict[str, bytes]:
    """The curves of both frameworks, a picture a pair: loss, rate, top-1, top-5 over the epochs; bands: a standard error."""
    found = {}
    for pair in result["test"]["pairs"]:
        arms = [pair["first"], pair["second"]]
        if _between(pair) and all(arm in result["summary"] for arm in arms):
            name = "-".join(filter(None, ["curves", pair["label"].replace("'", "").replace(" ", "-")]))
            found[name] = _curves(result, arms, _title(result, pair["label"]))
    if alone := _unpaired(result):
        found["curves-alone"] = _curves(result, alone, _title(result, ""))
    return found


def picture_of_two(first: Result, second: Result) -> bytes:
    """Two experiments in one figure, such as ResNet-18 against SimpleNet with batch norm: loss, rate, validation top-1, top-5."""
    titles = [find(result["experiment"]).title for result in (first, second)]
    settings = dict.fromkeys([_setting(first), _setting(second)])
    figure, panels = new_figure(2, 2, " against ".join(titles), "; ".join(settings))
    for axes, (title, key, unit) in zip(
        panels.flat,
        (
            ("training loss", "train_loss", ""),
            ("learning rate", "lr", ""),
            ("top-1, validation", "val_top1", "%"),
            ("top-5, validation", "val_top5", "%"),
        ),
        strict=True,
    ):
        quiet(axes, title, "epoch", unit)
        for result, title, style in zip((first, second), titles, ("-", "--"), strict=True):
            for arm in ("minigrad", "torch"):
                if arm in result["summary"]:
                    _line(axes, result, arm, key, style, f"{title}, {arm}")
    _legend(figure, panels, 2)
    return as_png(figure)


def verdict(result: Result) -> str:
    """Whether the two frameworks learn the same, and how large a difference could still be hidden."""
    name = f"{result['experiment']} ({result['scale']})"
    if not result["complete"]:
        return f"{name} is not finished: {len(result['runs'])} runs are there; the same command goes on."
    apart = differing(result)
    if apart:
        return f"{name}: THE ARMS DIFFER in {'; '.join(apart)}."
    if result["experiment"] == "attack-table":
        return _attack_verdict(name, result)
    parts = []
    for pair in (pair for pair in result["test"]["pairs"] if _between(pair) and pair["figures"]):
        first, second = (result["summary"][pair[which]]["final"] for which in ("first", "second"))
        parts += [
            f"{pair['first']} {_value(first[figure], 1)} %, {pair['second']} {_value(second[figure], 1)} % "
            f"{FIGURES[figure].replace(', %', '')}{_hidden(pair['figures'][figure])}"
            for figure in ("top1", "untargeted_top1")
            if figure in pair["figures"]
        ]
    if not parts:
        top1 = [f"{arm} {_value(found['final']['top1'], 1)} %" for arm, found in result["summary"].items()]
        return f"{name}: {', '.join(top1)} top-1; one framework: nothing to compare."
    parts += [
        f"{pair['label']}: {figures['untargeted_top1']['difference']:+.1f} points under attack, "
        f"{figures['clean_top1']['difference']:+.1f} without"
        for pair in result["test"]["pairs"]
        if (figures := pair["figures"]) and not pair["same"]
    ]
    return f"{name}, {len(result['seeds'])} seed{'s' * (len(result['seeds']) > 1)}: {'; '.join(parts)}."


def _attack_verdict(name: str, result: Result) -> str:
    hits = pooled(result["runs"])
    if any(len(letters) < 2 for letters in hits.values()):
        return f"{name}: one framework: nothing to compare."
    clean = next(line for line in hits if line.preset == "clean")
    row = next(line.row for line in hits if line.steps)
    parts = [
        f"{accuracies(hits[line]['minigrad'])[0]:.1f} % ({line})"
        for line in hits
        if line in (clean,) or line.row == row
    ]
    return f"{name}: top-1 {', '.join(parts)}; the frameworks agree in all {len(hits)} lines."


def overview(results: Sequence[Result]) -> Table:
    """The report's table: a row an experiment and pair, reported figure, ours, torch's, whether they are equal."""
    rows = []
    for result in results:
        for pair in result["test"]["pairs"]:
            if not _between(pair) or not pair["figures"]:
                continue
            found = pair["figures"]["top1"]
            rows.append(
                [
                    *_recipe(result, pair["label"]),
                    *(_both_tops(result, pair[which]) for which in ("first", "second")),
                    f"{found['difference']:+.2f}"
                    + ("" if found["p"] is None else f" ± {found['high'] - found['difference']:.2f}"),
                    _answer(found),
                ]
            )
        for arm in _unpaired(result):
            figures = [_both_tops(result, arm) if arm.startswith(framework) else "" for framework in FRAMEWORKS]
            rows.append([*_recipe(result, result["test"]["pairs"][0]["label"]), *figures, "", ""])
    head = ["experiment", "ours trained on", "reported", "other teams", "minigrad", "torch", "difference in top-1", ""]
    notes = [
        "Top-1 / top-5 in percent. ±: the 99 % interval of the difference. Reported figures, and those of other teams, are of "
        "the full recipe on MiniPlaces: they are not to be compared with smaller scales on other images."
    ]
    return Table("The experiments", head, rows, notes)


# parts


def _recipe(result: Result, label: str) -> list[str]:
    """The experiment and the pair, what it was trained on, what was reported, what other teams reported."""
    reported, others = (result[what].get(label, {}) for what in ("reported", "other_teams"))
    return [
        f"{result['experiment']}{', ' + label if label else ''} ({result['scale']})",
        f"{result['dataset']['training_images']:,} images, {_options(result)['epochs']} epochs",
        " / ".join(f"{reported[name]:.2f}" for name in ("top1", "top5") if name in reported),
        " / ".join(others[name] for name in ("top1", "top5") if name in others),
    ]


def _both_tops(result: Result, arm: str) -> str:
    return " / ".join(f"{result['summary'][arm]['final'][name]['mean']:.2f}" for name in ("top1", "top5"))


def _title(result: Result, label: str) -> str:
    return (
        f"{find(result['experiment']).title}{', ' + label if label else ''} ({result['experiment']}, {result['scale']})"
    )


def _between(pair: dict[str, Any]) -> bool:
    """Whether a pair is of both frameworks, not two arms of one."""
    return pair["first"].split()[0] != pair["second"].split()[0]


def _options(result: Result) -> dict[str, Any]:
    """What the arms were trained with; where they differ, the first."""
    recipe = result["recipe"]
    return {**recipe["options"], **next(iter(recipe["arms"].values()))}


def _setting(result: Result) -> str:
    """On what, how long, how often."""
    data, options = result["dataset"], _options(result)
    seeds = len(result["seeds"])
    return (
        f"{data['name']}, {data['classes']} classes, {data['training_images']:,} training and {data['validation_images']:,} "
        f"validation images of {data['image_size']}x{data['image_size']}, {options['epochs']} "
        f"epoch{'s' * (options['epochs'] > 1)}, {seeds} seed{'s' * (seeds > 1)}"
    )


def _notes(result: Result, pair: dict[str, Any] | None, reported: bool) -> list[str]:
    """What a reader has to know of a table."""
    options = _options(result)
    rate = f"{options['optimizer']}, lr {options['lr']:g}, batch {options['batch_size']}, warm-up {options['warmup']:g}"
    notes = [f"{_setting(result)}; {rate}; {result['recipe']['initial_weights']} initial weights."]
    if pair and pair["seeds"] > 1:
        starts = "the same weights and batches" if result["start"] == "shared" else "weights of its own"
        notes.append(
            f"± one standard error over {pair['seeds']} seeds. Each seed gives both {starts}; {result['test']['name']}, "
            f"different where p < {result['test']['level']:g}; what lies outside of the interval is ruled out."
        )
    elif pair:
        notes.append("One seed: no test, no error.")
    if reported and result["scale"] != "full":
        notes.append(
            "Reported figures are those of the full recipe on MiniPlaces: they are not to be compared with this scale's."
        )
    return notes + (list(find(result["experiment"]).remarks) if pair is None or _between(pair) else [])


def _value(found: dict[str, Any], digits: int) -> str:
    return f"{found['mean']:.{digits}f}" + ("" if found["error"] is None else f" ± {found['error']:.{digits}f}")


def _p(p: float | None) -> str:
    return "" if p is None else f"{p:.2g}"


def _answer(found: dict[str, Any]) -> str:
    return {None: "", True: "equal", False: "DIFFERENT"}[found["equal"]]


def _hidden(found: dict[str, Any]) -> str:
    """The largest difference that the interval allows."""
    if found["p"] is None:
        return " (one seed: no test)"
    most = max(abs(found["low"]), abs(found["high"]))
    return f" (equal, p = {_p(found['p'])}; up to {most:.1f} points could be hidden)"


def _curves(result: Result, arms: Sequence[str], title: str) -> bytes:
    figure, panels = new_figure(2, 2, title, f"{_setting(result)}; bands: one standard error")
    loss, rate, top1, top5 = panels.flat
    for axes, name, key in ((loss, "loss", "loss"), (top1, "top-1", "top1"), (top5, "top-5", "top5")):
        quiet(axes, name, "epoch", "" if key == "loss" else "%")
        for arm in arms:
            _line(axes, result, arm, f"train_{key}", "--", f"{arm}, training")
            _line(axes, result, arm, f"val_{key}", "-", f"{arm}, validation")
    train, val = ([_means(result, arm, f"{of}_loss") for arm in arms] for of in ("train", "val"))
    worst = [[max(losses) for losses in zip(*arms_of, strict=True)] for arms_of in (train, val)]
    quiet(loss, f"loss{cut_losses(loss, *worst)}", "epoch")
    quiet(rate, "learning rate, at the epoch's last step", "epoch")
    for arm in arms:
        _line(rate, result, arm, "lr", "-", arm)
    _legend(figure, panels, 4)
    return as_png(figure)


def _means(result: Result, arm: str, key: str) -> list[float]:
    """An arm's mean over the seeds, epoch by epoch."""
    return [point["mean"] for point in result["summary"][arm]["curves"][key]]


def _line(axes: Any, result: Result, arm: str, key: str, style: str, label: str) -> None:
    """An arm's mean over the seeds, and its band."""
    points = result["summary"][arm]["curves"][key]
    x = list(range(1, len(points) + 1))
    y = _means(result, arm, key)
    colour = COLOURS.get(arm, COLOURS[arm.split()[0]])
    if points[0]["error"] is not None:
        low, high = ([point["mean"] + sign * point["error"] for point in points] for sign in (-1, 1))
        axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    look = {"lw": 3.6, "alpha": 0.6} if arm.startswith("minigrad") else {"lw": 1.3}  # both are seen where they coincide
    axes.plot(x, y, style, color=colour, marker="o", markersize=3 if len(x) < 30 else 0, label=label, **look)


def _legend(figure: Any, panels: Any, columns: int) -> None:
    for axes in panels.flat:
        epoch_axis(axes)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncol=columns, frameon=False, fontsize=8.5, labelcolor=INK
    )
