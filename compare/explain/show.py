"""The picture of python -m compare explain: images in rows, the maps of each beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.kit.plots import as_png

RIGHT, WRONG, QUIET = "#1d7a4f", "#c1440e", "#5b5b5b"
PICTURE, TEXT = 1.75, 1.7  # inches: the side of an image, the width of the words beside it
HEAD, FOOT, BAR = 0.78, 0.5, 0.09  # inches: title and names of the columns, the colour bars' strip, the height of a bar
LONGEST_NAME = 20  # letters that fit there; longer names are written smaller
OVERLAYS = {"Grad-CAM"}  # drawn over the image; every other map by itself
STRONGEST = 99.5  # percentile of a map that is drawn in full strength: a few pixels must not darken all others
STRONG, WEAK = 0.7, 0.15  # how opaque an overlay is at 1 and at 0
RED = 1.15  # of the overlay's colours, beyond its largest number: so it stays red, where turbo ends in dark brown


@dataclass(frozen=True)
class Row:
    """One image and a network's answer. label: its class, None where nobody knows it; number: its row, or its name."""

    number: int | str
    pixels: np.ndarray  # uint8 (H, W, C)
    classes: Sequence[str]
    label: int | None
    explained: int  # the class whose maps these are
    logits: np.ndarray  # (classes,)
    maps: dict[str, np.ndarray]  # by name, (H, W), none below 0

    @property
    def predicted(self) -> int:
        """The class of the largest logit."""
        return int(self.logits.argmax())

    def confidence(self, k: int) -> float:
        """softmax(logits)[k], in percent."""
        powers = np.exp(self.logits - self.logits.max())
        return float(100 * powers[k] / powers.sum())

    def named(self, k: int) -> str:
        """A class and its confidence."""
        return f"{self.classes[k]} ({self.confidence(k):.1f} %)"

    def __str__(self) -> str:
        explained = "" if self.explained == self.predicted else f"; explained: {self.named(self.explained)}"
        row = f"row {self.number}: " if isinstance(self.number, int) else f"{self.number}: "
        label = "" if self.label is None else f"label {self.classes[self.label]}, "
        return f"{row}{label}predicted {self.named(self.predicted)}{explained}"


def draw(rows: Sequence[Row], title: str = "Where a network looks") -> bytes:
    """A PNG: for each row its words, the image, and each map; below, what the colours mean."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(rows[0].maps)
    columns = 2 + len(names)
    width, height = TEXT + PICTURE * (columns - 1), PICTURE * len(rows) + HEAD + FOOT
    figure = Figure(figsize=(width, height), dpi=100)
    FigureCanvasAgg(figure)
    figure.text(0.12 / width, 1 - 0.1 / height, title, fontsize=13, weight="bold", va="top")
    grid = figure.add_gridspec(
        len(rows), columns, width_ratios=[TEXT] + [PICTURE] * (columns - 1), wspace=0.04, hspace=0.04,
        left=0, right=1 - 0.06 / width, bottom=FOOT / height, top=1 - HEAD / height,
    )  # fmt: skip
    bottom: list[Any] = []
    for i, row in enumerate(rows):
        write(figure.add_subplot(grid[i, 0]), row)
        for j, name in enumerate(["image", *names], 1):
            axes = figure.add_subplot(grid[i, j])
            axes.set_axis_off()
            bottom = [*bottom[: j - 1], axes]
            if i == 0:
                axes.set_title(name, fontsize=10, pad=5)
            if name == "image" or name in OVERLAYS:
                show_image(axes, row.pixels, faint=name != "image")
            if name != "image":
                show_map(axes, row.maps[name], over=name in OVERLAYS)
    for over, words in ((False, "size of the gradient"), (True, "for the class")):
        of = [axes.get_position() for axes, name in zip(bottom[1:], names, strict=True) if (name in OVERLAYS) == over]
        if of:
            colour_bar(figure, of[0].x0, of[-1].x1, over, words)
    return as_png(figure)


def colour_bar(figure: Any, left: float, right: float, over: bool, words: str) -> None:
    """A bar of a map's colours at the foot of the picture, from nothing to the most, with what they measure."""
    height = figure.get_figheight()
    axes = figure.add_axes((left, (FOOT - 0.2) / height, right - left, BAR / height))
    values = np.linspace(0, 1, 256)[None]
    if over:
        axes.imshow(np.full((1, 256), 128), cmap="gray", vmin=0, vmax=255, aspect="auto")
    show_map(axes, values, over, aspect="auto")
    axes.set_yticks([])
    axes.set_xticks([0, 127.5, 255], ["none", words, "most"], fontsize=8, color=QUIET)
    for label, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)
    axes.tick_params(length=0, pad=3)
    axes.spines[:].set_visible(False)


def write(axes: Any, row: Row) -> None:
    """The words of a row: label and prediction, with their confidences; which is explained, if that is not the prediction."""
    axes.set_axis_off()
    colour = RIGHT if row.predicted == row.label else WRONG
    lines = [(0.76, "label", row.label, "black"), (0.46, "predicted", row.predicted, colour)]
    if row.label is None:
        second = int(np.argsort(-row.logits, kind="stable")[:2][-1])
        lines = [(0.76, "predicted", row.predicted, "black"), (0.46, "or else", second, QUIET)]
    for y, what, k, ink in lines:
        assert k is not None
        name, explained = row.classes[k], ", explained" if k == row.explained != row.predicted else ""
        what += f"{explained}, {row.confidence(k):.1f} %"
        axes.text(0.96, y, what, fontsize=8, color=QUIET, ha="right", va="top", transform=axes.transAxes)
        size = 10 * min(1, LONGEST_NAME / len(name))
        axes.text(0.96, y - 0.1, name, fontsize=size, color=ink, ha="right", va="top", transform=axes.transAxes)


def show_image(axes: Any, pixels: np.ndarray, faint: bool) -> None:
    """The image; `faint`: in greys, none of them black, so that the colours over it are the map's."""
    if faint or pixels.shape[2] == 1:
        grey = pixels @ np.array([0.299, 0.587, 0.114]) if pixels.shape[2] == 3 else pixels[..., 0]
        axes.imshow(grey, cmap="gray", vmin=-90 if faint else 0, vmax=255, interpolation="nearest")
    else:
        axes.imshow(pixels, interpolation="nearest")


def show_map(axes: Any, values: np.ndarray, over: bool, aspect: str = "equal") -> None:
    """A map: from black to white by itself, or in colours the more opaque the stronger over what is there."""
    if over:
        look = {"cmap": "turbo", "vmax": RED, "alpha": WEAK + (STRONG - WEAK) * values}
    else:
        look = {"cmap": "inferno", "vmax": float(np.percentile(values, STRONGEST)) or 1.0}
    axes.imshow(values, vmin=0, interpolation="nearest", aspect=aspect, **look)
