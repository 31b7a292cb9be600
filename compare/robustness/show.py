"""What python -m compare robustness has found: a page of tables for the networks, its picture, and in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compare.kit.letters import accuracy
from compare.kit.networks import notes_of
from compare.kit.plots import as_png, new_figure, quiet
from compare.kit.result import Result
from compare.kit.tables import Table
from compare.robustness.measure import differences

COLOURS = ("#b3261e", "#2b5fa4", "#2f7f6f", "#d9822b", "#7d5ba6", "#6b6b6b", "#c2489b", "#8c6d31", "#4fb3c9", "#1d1d1d")
Cell = Callable[[dict[str, Any]], str | None]
"""From the figures of a network in a framework to what stands in its cell; None: it was not measured."""


def tables(result: Result) -> list[Table]:
    """Accuracy under all that was done, distances, certified accuracy; AutoAttack's stages; the audits' findings."""
    sections = (_accuracy, _curve, _stages, _distances, _certified, _corruptions)
    found = [table for section in sections if (table := section(result)).rows]
    found += _audits(result)
    return [
        Table(t.title, t.head, t.rows, [*t.notes, *(notes_of(result["settings"]) if i == 0 else [])])
        for i, t in enumerate(found)
    ]


def _table(
    result: Result, title: str, first: str, rows: list[tuple[str, Cell]], notes: list[str] | None = None
) -> Table:
    """A column a network, the frameworks one after the other in a cell; rows of which nothing was measured are left out."""
    labels, by = list(result["found"]), result["settings"]["tracks"]
    cells = []
    for name, cell in rows:
        found = [[_or_none(cell, result["found"][label].get(track, {})) for track in by] for label in labels]
        if any(value is not None for row in found for value in row):
            cells.append([name, *(" / ".join("-" if v is None else v for v in row) for row in found)])
    return Table(f"{title} ({' / '.join(by)})", [first, *labels], cells, notes or [])


def _or_none(cell: Cell, figures: dict[str, Any]) -> str | None:
    try:
        return cell(figures)
    except (KeyError, IndexError):
        return None


def _percent(letters: str) -> str:
    return f"{accuracy(letters, 'top1'):.1f}"


def _accuracy(result: Result) -> Table:
    attacks = dict.fromkeys(name for f in _all(result) for name in f.get("attacks", {}))
    rows: list[tuple[str, Cell]] = [("clean", lambda f: _percent(f["clean"]))]
    rows += [(name, lambda f, name=name: _percent(f["attacks"][name])) for name in attacks]  # type: ignore[misc]
    rows.append((_autoattack(result), lambda f: _percent(f["autoattack"]["letters"])))
    rows.append(("corruptions, mean", lambda f: f"{np.mean(list(f['corruptions'].values())):.1f}"))
    return _table(result, f"Percent right, {result['settings']['threat']}", "images", rows)


def _autoattack(result: Result) -> str:
    """AutoAttack by its name, if it is the field's; else with what it was shortened to."""
    steps, queries = (result["settings"]["effort"][name] for name in ("steps", "queries"))
    return "AutoAttack" if (steps, queries) == (100, 5000) else f"AutoAttack of {steps} steps, {queries:,} queries"


def _curve(result: Result) -> Table:
    count = max((len(f.get("curve", [])) for f in _all(result)), default=0)
    epsilons: list[Any] = next((f["curve"] for f in _all(result) if len(f.get("curve", [])) == count and count), [])
    rows: list[tuple[str, Cell]] = []
    for i, row in enumerate(epsilons):
        cell: Cell = lambda f, i=i: f"{_percent(f['curve'][i]['pgd'])} ({_percent(f['curve'][i]['noise'])})"  # type: ignore[misc]  # noqa: E731
        rows.append((f"{row['epsilon']:g}", cell))
    return _table(result, "Percent right under PGD, in brackets under noise of the same size", "epsilon", rows)


def _stages(result: Result) -> Table:
    names = dict.fromkeys(s["name"] for f in _all(result) for s in f.get("autoattack", {}).get("stages", []))
    rows: list[tuple[str, Cell]] = [
        (name, lambda f, i=i: str(f["autoattack"]["stages"][i]["right"]))  # type: ignore[misc]
        for i, name in enumerate(names)
    ]
    name = _autoattack(result)
    notes = (
        [] if name == "AutoAttack" or not rows else [f"{name} of Square: shorter than the field's, of 100 and 5,000."]
    )
    return _table(result, "AutoAttack: images right after each stage", "stage", rows, notes)


def _distances(result: Result) -> Table:
    kinds = dict.fromkeys((n, a) for f in _all(result) for n, of in f.get("nearest", {}).items() for a in of)

    def cell(norm: str, attack: str) -> Cell:
        def found(figures: dict[str, Any]) -> str:
            row = figures["nearest"][norm][attack]
            return f"{'-' if row['median'] is None else format(row['median'], '.3g')} ({row['found']} of {row['of']})"

        return found

    rows = [(f"{norm}, {attack}", cell(norm, attack)) for norm, attack in kinds]
    return _table(result, "Median distance to the decision boundary, of images that are right; found", "attack", rows)


def _certified(result: Result) -> Table:
    known = [f["certified"] for f in _all(result) if "certified" in f]
    if not known:
        return Table("", [], [])
    first = known[0]
    rows: list[tuple[str, Cell]] = [
        (f"{radius:g}", lambda f, i=i: f"{f['certified']['accuracy'][i]:.1f}")  # type: ignore[misc]
        for i, radius in enumerate(first["radii"])
    ]
    note = f"Noise of {first['sigma']:g} in pixels, {first['votes']:,} votes; wrong by a chance of {first['alpha']:g}"
    return _table(result, "Percent right for certain beyond a radius, 2-norm", "radius", rows, [f"{note}."])


def _corruptions(result: Result) -> Table:
    kinds = dict.fromkeys(kind for f in _all(result) for kind in f.get("corruptions", {}))
    strengths = ", ".join(map(str, result["settings"]["effort"]["strengths"]))
    rows: list[tuple[str, Cell]] = [
        (kind, lambda f, kind=kind: f"{np.mean(f['corruptions'][kind]):.1f}")  # type: ignore[misc]
        for kind in kinds
    ]
    return _table(result, f"Percent right under common corruptions, strength {strengths}", "corruption", rows)


def _audits(result: Result) -> list[Table]:
    names = dict.fromkeys(c[0] for f in _all(result) for c in f.get("audit", {}).get("checks", []))

    def cell(name: str) -> Cell:
        return lambda f: next(
            ("pass" if c[1] else "FAIL") for c in [*f["audit"]["checks"], [name, True]] if c[0] == name
        )

    table = _table(result, "The audit of PGD", "check", [(name, cell(name)) for name in names])
    notes = [
        f"{label}, {track}: {name}: {figures}"
        for label, by in result["found"].items()
        for track, figures_of in by.items()
        for name, passed, figures in figures_of.get("audit", {}).get("checks", [])
        if not passed
    ]
    return [Table(table.title, table.head, table.rows, notes)] if table.rows else []


def _all(result: Result) -> list[dict[str, Any]]:
    """The figures of all networks in all frameworks."""
    return [figures for by in result["found"].values() for figures in by.values()]


def pictures(result: Result) -> dict[str, bytes]:
    """Accuracy under each attack, the curve over epsilon with noise as control, AutoAttack's stages: of the first framework."""
    settings = result["settings"]
    track = settings["tracks"][0]
    networks = {label: by.get(track, {}) for label, by in result["found"].items()}
    drawn = [panel for panel in (_bars, _curves, _falls) if panel(None, networks, result)]
    if not drawn:
        return {}
    subtitle = f"{settings['threat']}, {settings['images']} validation images of {settings['data']}; {track}"
    figure, panels = new_figure(1, len(drawn), "How networks stand changed images", subtitle, (4.8, 3.6))
    for axes, panel in zip(panels[0], drawn, strict=True):
        panel(axes, networks, result)
        axes.set_ylim(0, 100)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False, fontsize=8)
    return {"robustness": as_png(figure)}


def _bars(axes: Any, networks: dict[str, Any], result: Result) -> bool:
    names = ["clean", *dict.fromkeys(n for f in networks.values() for n in f.get("attacks", {}))]
    known = {label: f for label, f in networks.items() if "clean" in f and "attacks" in f}
    if axes is None or not known:
        return bool(known)
    width = 0.8 / len(known)
    for i, (label, f) in enumerate(known.items()):
        letters = {"clean": f["clean"], **f["attacks"]}
        heights = [accuracy(letters[name], "top1") for name in names]
        places = np.arange(len(names)) + (i + 0.5) * width - 0.4
        axes.bar(places, heights, width, color=COLOURS[i % len(COLOURS)], label=label)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    quiet(axes, "Right under each attack, %")
    return True


def _curves(axes: Any, networks: dict[str, Any], result: Result) -> bool:
    known = {label: f["curve"] for label, f in networks.items() if "curve" in f}
    if axes is None or not known:
        return bool(known)
    for i, (label, rows) in enumerate(known.items()):
        x = [row["epsilon"] for row in rows]
        for kind, style in (("pgd", "-"), ("noise", ":")):
            y = [accuracy(row[kind], "top1") for row in rows]
            axes.plot(x, y, style, color=COLOURS[i % len(COLOURS)], lw=2, label=label if kind == "pgd" else None)
    quiet(axes, "Right under PGD, dotted: under noise, %", "epsilon")
    return True


def _falls(axes: Any, networks: dict[str, Any], result: Result) -> bool:
    known = {label: f["autoattack"]["stages"] for label, f in networks.items() if "autoattack" in f}
    if axes is None or not known:
        return bool(known)
    for i, (label, stages) in enumerate(known.items()):
        shares = [100 * stage["accuracy"] for stage in stages]
        axes.plot(range(len(stages)), shares, "o-", color=COLOURS[i % len(COLOURS)], lw=2, label=label)
        axes.set_xticks(range(len(stages)), [stage["name"] for stage in stages], rotation=30, ha="right")
    quiet(axes, "Right after AutoAttack's stages, %")
    return True


def verdict(result: Result) -> str:
    """What clean images, AutoAttack (or the strongest attack) and the audit say of each network; whether the frameworks agree."""
    parts = []
    for label, by in result["found"].items():
        figures = by.get(result["settings"]["tracks"][0], {})
        said = [f"{_percent(figures['clean'])} % clean"] if "clean" in figures else []
        if "autoattack" in figures:
            said.append(f"{_percent(figures['autoattack']['letters'])} % under {_autoattack(result)}")
        elif "attacks" in figures:
            name = min(figures["attacks"], key=lambda n: accuracy(figures["attacks"][n], "top1"))
            said.append(f"{_percent(figures['attacks'][name])} % under {name}")
        failed = [name for name, passed, _ in figures.get("audit", {}).get("checks", []) if not passed]
        if "audit" in figures:
            said.append(f"the audit fails {', '.join(failed)}" if failed else "the audit passes")
        parts.append(f"{label}: {', '.join(said) or 'measured'}")
    found = differences(result)
    off = sum(not d.alike for d in found)
    agreement = (
        "one framework: nothing to compare" if not found else f"the frameworks agree in all {len(found)} figures"
    )
    return f"{'; '.join(parts)}; {f'THE FRAMEWORKS DIFFER in {off} of {len(found)} figures' if off else agreement}."
