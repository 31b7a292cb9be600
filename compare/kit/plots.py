"""How the pictures look: one colour an implementation, quiet axes, PNG bytes; and --picture, checked first and written last."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from minigrad.errors import OptionError
from minigrad.files import check_target, write_atomically

INK, QUIET, GRID = "#222222", "#6b6b6b", "#e4e4e4"
TITLE_LETTERS, TITLE_LINE = 8.6, 0.24  # of a title: letters an inch, inches a line
LETTERS, LINE = 15.5, 0.16  # the same of what stands below it
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "minigrad": "#b3261e",
        "torch": "#2b5fa4",
        "torch channels-last": "#7fa3d6",
        "torch compiled": "#2f7f6f",
        "minigrad definition": "#d9822b",
        "torch custom-conv": "#7d5ba6",
        "torch custom-conv, columns kept": "#b79fd4",
    }
)
"""Of the implementations, by name, in every picture."""


def need_matplotlib(option: str) -> None:
    """OptionError if there is no matplotlib to draw what `option` asks for."""
    if find_spec("matplotlib") is None:
        raise OptionError(f"{option} needs matplotlib: pip install matplotlib")


def new_figure(rows: int, columns: int, title: str, subtitle: str = "", panel: tuple[float, float] = (4.6, 3.2)) -> Any:
    """(figure, panels): a matplotlib Figure and its axes, (rows, columns). title: in bold; subtitle: below it; each in as many
    lines as it takes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    width = panel[0] * columns
    titles = textwrap.wrap(title, int(TITLE_LETTERS * width)) or [""]
    lines = textwrap.wrap(subtitle, int(LETTERS * width)) or [""]
    below = 0.5 + TITLE_LINE * (len(titles) - 1)  # inches from the top to the subtitle
    head = below + LINE * len(lines)
    height = panel[1] * rows + head + 0.09
    below_title = ConstrainedLayoutEngine(rect=(0.005, 0, 0.99, 1 - head / height))
    figure = Figure(figsize=(width, height), dpi=130, layout=below_title)
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    for number, line in enumerate(titles):
        figure.text(0.012, 1 - (0.26 + TITLE_LINE * number) / height, line, fontsize=13, weight="bold", color=INK)
    for number, line in enumerate(lines):
        figure.text(0.012, 1 - (below + LINE * number) / height, line, fontsize=8.5, color=QUIET)
    return figure, panels


def quiet(axes: Any, title: str, x: str = "", y: str = "") -> None:
    """Dress a panel: its title to the left, the labels of its axes, faint lines."""
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlabel(x, fontsize=8.5, color=QUIET)
    axes.set_ylabel(y, fontsize=8.5, color=QUIET)
    axes.tick_params(colors=QUIET, labelsize=8, length=0)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")


def as_png(figure: Any) -> bytes:
    """The picture."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})  # the same picture, the same bytes
    return picture.getvalue()


def check_picture(path: Path | None) -> None:
    """OptionError if no picture could be drawn and written there: no matplotlib, another ending, no such folder."""
    if path is None:
        return
    need_matplotlib("--picture")
    if path.suffix.lower() != ".png":
        raise OptionError(f"--picture {path}: a name that ends in .png is wanted")
    check_target(path, "--picture")


def write_picture(path: Path, pictures: Mapping[str, bytes]) -> None:
    """Write a command's one picture."""
    (picture,) = pictures.values()
    write_atomically(path, picture)
    print(f"picture: {path}")
