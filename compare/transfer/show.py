"""What python -m compare transfer has found: a table an attack, its picture, and in one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compare.kit.letters import accuracy
from compare.kit.networks import notes_of
from compare.kit.plots import INK, as_png, new_figure
from compare.kit.result import Result
from compare.kit.tables import Table
from compare.transfer.measure import differences

CLEAN = "(clean)"


def tables(result: Result) -> list[Table]:
    """A table an attack: sources by targets, and the mean of the other networks; the frameworks one after the other in a cell."""
    settings = result["settings"]
    labels = [network["label"] for network in settings["networks"]]
    found = []
    for attack, by in result["attacked"].items():
        shares = {name: matrix(result, attack, name) for name in by}
        rows = [[CLEAN, *(_cell([100 * s[0][j] for s in shares.values()]) for j in range(len(labels))), ""]]
        for i, label in enumerate(labels):
            cells = [[100 * s[1][i][j] for s in shares.values()] for j in range(len(labels))]
            others = [100 * float(np.delete(s[1][i], i).mean()) for s in shares.values()]
            rows.append([label, *map(_cell, cells), _cell(others)])
        title = f"{attack}, {settings['threat']}, {settings['steps']} steps: percent right, {' / '.join(by)}"
        found.append(Table(title, ["attacked on", *labels, "others, mean"], rows))
    return [*found[:-1], replace(found[-1], notes=notes_of(result["settings"]))]


def matrix(result: Result, attack: str, framework: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares of images that are right: clean (M,), and attacked (M, M), a row a source."""
    clean, rows = result["clean"][framework], result["attacked"][attack][framework]
    share = lambda letters: accuracy(letters, "top1") / 100  # noqa: E731
    return (
        np.array([share(clean[label]) for label in clean]),
        np.array([[share(rows[source][target]) for target in clean] for source in clean]),
    )


def _cell(values: list[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)


def pictures(result: Result) -> dict[str, bytes]:
    """The tables of the first framework, an attack a panel: the darker, the more images are wrong."""
    settings, framework = result["settings"], result["settings"]["tracks"][0]
    labels = [network["label"] for network in settings["networks"]]
    subtitle = f"{settings['threat']}, {settings['images']} validation images of {settings['data']}; {framework}"
    side = max(0.62 * len(labels) + 1.4, 3.0)
    attacks = result["attacked"]
    figure, panels = new_figure(
        1, len(attacks), "Right, in percent, of images attacked on", subtitle, (side, side + 0.3)
    )
    for axes, attack in zip(panels[0], attacks, strict=True):
        clean, rows = matrix(result, attack, framework)
        values = 100 * np.vstack([clean, rows])
        axes.imshow(values, cmap="YlOrRd_r", vmin=0, vmax=100)
        for (i, j), value in np.ndenumerate(values):
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color="white" if value < 35 else INK)
        axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize=8)
        axes.set_yticks(range(len(labels) + 1), [CLEAN, *labels], fontsize=8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(attack, fontsize=10, color=INK, loc="left")
        axes.set_xlabel("asked", fontsize=8.5)
    return {"transfer": as_png(figure)}


def verdict(result: Result) -> str:
    """Which attack is carried furthest, between which networks, and whether the frameworks agree."""
    framework = result["settings"]["tracks"][0]
    labels = [network["label"] for network in result["settings"]["networks"]]
    apart = ~np.eye(len(labels), dtype=bool)
    means = {attack: float(matrix(result, attack, framework)[1][apart].mean()) for attack in result["attacked"]}
    best = min(means, key=lambda attack: means[attack])
    clean, rows = matrix(result, best, framework)
    i, j = min(zip(*np.nonzero(apart), strict=True), key=lambda place: rows[place] - clean[place[1]])
    sentence = (
        f"{best} is carried furthest: of images attacked on another network {100 * means[best]:.1f} % are right on average, "
        f"and {labels[j]} falls from {100 * clean[j]:.1f} % to {100 * rows[i, j]:.1f} % by those of {labels[i]}"
    )
    found = differences(result)
    if not found:
        return f"{sentence}; one framework: nothing to compare."
    off = sum(not d.alike for d in found)
    return f"{sentence}; " + (
        f"THE FRAMEWORKS DIFFER in {off} of {len(found)} figures."
        if off
        else f"the frameworks agree in all {len(found)} figures."
    )
