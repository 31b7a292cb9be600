"""The picture of an attack: images as they were, attacked, and their difference, with what the network says of them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import OptionError
from minigrad.files import write_atomically
from minigrad.training.meters import softmax as softmax

RIGHT, WRONG, QUIET = "#23794a", "#b3261e", "#5b5b5b"


@dataclass(frozen=True)
class Attacked:
    """N images before and after an attack.

    rows: (N,), their numbers in the data set, or their names; labels: (N,) integers; original, perturbed: (N, H, W, C) floats,
    C 1 or 3, black 0 and white 1 (what lies beyond is drawn as black or white); before, after: (N, classes), the logits of both.
    """

    rows: Sequence[int | str]
    labels: np.ndarray
    original: np.ndarray
    perturbed: np.ndarray
    before: np.ndarray
    after: np.ndarray


def choose_rows(labels: np.ndarray, count: int, rows: Sequence[int] | None) -> list[int]:
    """The images to draw: `rows`, or else the first image of each of the first `count` classes that have one.

    OptionError for a row that is not there, and where matplotlib is missing.
    """
    if find_spec("matplotlib") is None:
        raise OptionError("--visualise needs matplotlib: pip install matplotlib")
    if rows is None:
        return sorted(int(np.argmax(labels == label)) for label in np.unique(labels)[:count])
    if beyond := [row for row in rows if row >= len(labels)]:
        raise OptionError(f"--rows {beyond[0]}: there are {len(labels)} validation images, 0 to {len(labels) - 1}")
    return list(rows)


def draw_attack(path: str | Path, images: Attacked, classes: Sequence[str], title: str, subtitle: str = "") -> None:
    """Draw original, attacked image and magnified difference, a line for each image, into a PNG. Needs matplotlib.

    Above the images stand the class that the network gives them and its softmax confidence, green where that is the label;
    above the differences, how sure it is of the label before and after. They are magnified by one factor, which is said.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    factor = magnification(images.original, images.perturbed)
    count = len(images.labels)
    head = 1.0 + 0.2 * bool(subtitle)  # inches above the images
    line = 2.75
    width, height = 8.4, head + line * count
    figure = Figure(figsize=(width, height), dpi=120)
    FigureCanvasAgg(figure)
    figure.text(0.5, 1 - 0.3 / height, title, ha="center", va="center", fontsize=13, weight="bold")
    figure.text(0.5, 1 - 0.55 / height, subtitle, ha="center", va="center", fontsize=10, color=QUIET)
    panels = figure.subplots(
        count,
        3,
        squeeze=False,
        gridspec_kw={
            "left": 0.07, "right": 0.985, "bottom": 0.12 / height, "top": 1 - (head + 0.1) / height, "wspace": 0.06, "hspace": 0.16,
        },
    )  # fmt: skip
    for column, name in enumerate(("original", "attacked", f"difference × {factor:g} (grey: none)")):
        place = panels[0, column].get_position()
        figure.text(
            (place.x0 + place.x1) / 2,
            1 - (head - 0.2) / height,
            name,
            ha="center",
            va="center",
            fontsize=10,
            color=QUIET,
        )

    difference = 0.5 + factor * (images.perturbed - images.original)
    before, after = softmax(images.before), softmax(images.after)
    for i, (original, perturbed, delta) in enumerate(panels):
        label = int(images.labels[i])
        _show(original, images.original[i])
        _show(perturbed, images.perturbed[i])
        _show(delta, difference[i])
        row = images.rows[i]
        name = f"row {row}: {readable(classes[label])}" if isinstance(row, int) else readable(row, 30)
        original.set_ylabel(name, fontsize=9, color=QUIET)
        _say(original, before[i], label, classes)
        _say(perturbed, after[i], label, classes)
        own = f"{readable(classes[label])}: {_percent(before[i, label])} → {_percent(after[i, label])}"
        delta.set_title(own, fontsize=9, color=QUIET, pad=4)

    write_atomically(Path(path), as_png(figure))


def as_png(figure: Any) -> bytes:
    """The picture of a matplotlib Figure."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def magnification(original: np.ndarray, perturbed: np.ndarray) -> float:
    """The roundest factor by which differences still fit between black and white: 1, 2 ... 9, 10, 20 ...; at least 1."""
    largest = float(np.abs(perturbed - original).max())
    if not largest > 0:
        return 1.0
    fits = 0.5 / largest
    power = 10.0 ** np.floor(np.log10(fits))
    return max(1.0, float(np.floor(fits / power + 1e-6) * power))


def _show(axes: Any, image: np.ndarray) -> None:
    """An image, grey or in colours, pixel by pixel and without axes."""
    shown = np.clip(image, 0, 1)
    axes.imshow(shown[..., 0] if shown.shape[-1] == 1 else shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def _say(axes: Any, confidences: np.ndarray, label: int, classes: Sequence[str]) -> None:
    """What the network takes the image for, and how sure it is."""
    said = int(confidences.argmax())
    colour = RIGHT if said == label else WRONG
    axes.set_title(f"{readable(classes[said])} {_percent(confidences[said])}", fontsize=9, color=colour, pad=4)


def readable(name: str, most: int = 24) -> str:
    """A class's name as people write it: /a/airport_terminal is airport terminal; cut after `most` characters."""
    name = re.sub(r"^/?\w/", "", name).replace("_", " ")
    return name if len(name) <= most else name[: most - 1] + "…"


def _percent(share: float) -> str:
    """With one digit, but what is neither none nor all is never rounded to it."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return ">99.9 %" if 0.999 < share < 1 else f"{100 * share:.1f} %"
