"""What --evaluate leaves in a folder: predictions, classes, what is confused with what, and the worst images.

evaluation.json     the newest figures
evaluations.jsonl   a line for each evaluation that there was: the figures, of what, how, by which command, and when
predictions.csv     a row an image: its class, what it was taken for, and how surely
classes.csv         a row a class: how many of its images are right, and what it is most taken for
confusion.png       how often each class is taken for each other one
worst.png           the images that are most surely taken for something else
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.data.dataset import ImageDataset
from minigrad.data.folder import FolderDataset
from minigrad.files import write_atomically
from minigrad.training.measures import as_csv
from minigrad.training.meters import Meter
from minigrad.training.pictures import QUIET, as_png, readable

WORST = 20
MOST_NAMED = 30  # classes: of more, a picture has no names


def append_line(path: Path, content: dict[str, Any]) -> None:
    """Add a line of JSON to a file, which is there whole or not at all."""
    before = path.read_bytes() if path.exists() else b""
    write_atomically(path, before + (json.dumps(content) + "\n").encode())


def write_details(folder: Path, data: ImageDataset, meter: Meter, under_attack: Meter | None) -> list[str]:
    """Write the tables and, with matplotlib, the pictures; returns their names."""
    names = ["predictions.csv", "classes.csv"]
    write_atomically(folder / names[0], as_csv(prediction_rows(data, meter, under_attack)))
    counts = confusion(meter, len(data.classes))
    write_atomically(folder / names[1], as_csv(class_rows(data.classes, counts)))
    if find_spec("matplotlib") is not None:
        write_atomically(folder / "confusion.png", draw_confusion(counts, data.classes))
        write_atomically(folder / "worst.png", draw_worst(data, meter))
        names += ["confusion.png", "worst.png"]
    return names


def prediction_rows(data: ImageDataset, meter: Meter, under_attack: Meter | None) -> list[list[Any]]:
    """A head, and a row an image, in the data's order."""
    head = ["image", "label", "predicted", "probability", "probability_of_label", "rank_of_label"]
    found = meter.details()
    attacked = under_attack.details() if under_attack is not None else None
    rows: list[list[Any]] = [head + (["attacked_predicted", "attacked_probability"] if attacked else [])]
    for i, index in enumerate(found["index"]):
        row = [
            data.files[index] if isinstance(data, FolderDataset) else int(index), data.classes[found["label"][i]],
            data.classes[found["predicted"][i]], f"{found['probability'][i]:.6f}", f"{found['of_label'][i]:.6f}",
            int(found["rank"][i]) + 1,
        ]  # fmt: skip
        if attacked:
            row += [data.classes[attacked["predicted"][i]], f"{attacked['probability'][i]:.6f}"]
        rows.append(row)
    return rows


def confusion(meter: Meter, classes: int) -> np.ndarray:
    """How many images of class i were taken for class j: integers (classes, classes)."""
    found = meter.details()
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (found["label"], found["predicted"]), 1)
    return counts


def class_rows(classes: Sequence[str], counts: np.ndarray) -> list[list[Any]]:
    """A head, and a row a class: images, those that are right, their share in percent, the class it is most taken for."""
    rows: list[list[Any]] = [["class", "images", "right", "accuracy", "most_taken_for", "times"]]
    for k, name in enumerate(classes):
        images, right = int(counts[k].sum()), int(counts[k, k])
        others = np.where(np.arange(len(classes)) == k, -1, counts[k])
        other = int(others.argmax())
        wrong = [classes[other], int(others[other])] if others[other] > 0 else ["", 0]
        rows.append([name, images, right, f"{100 * right / images:.2f}" if images else "", *wrong])
    return rows


def draw_confusion(counts: np.ndarray, classes: Sequence[str]) -> bytes:
    """A PNG: the shares of each class's images, a row a class, a column what they are taken for; numbers in percent."""
    figure = _figure(2.6 + 0.42 * min(len(classes), MOST_NAMED), 2.2 + 0.42 * min(len(classes), MOST_NAMED))
    axes = figure.subplots()
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xlabel("taken for", color=QUIET)
    axes.set_ylabel("class", color=QUIET)
    axes.set_title("Of 100 images of each class", fontsize=11)
    if len(classes) <= MOST_NAMED:
        names = [readable(name) for name in classes]
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        for i, row in enumerate(shares):
            for j, share in enumerate(row):
                if share >= 0.5:
                    axes.text(
                        j, i, f"{share:.0f}", ha="center", va="center", fontsize=8, color="white" if share > 55 else "black"
                    )  # fmt: skip
    axes.tick_params(length=0)
    return as_png(figure)


def worst(meter: Meter, count: int = WORST) -> np.ndarray:
    """Positions in the details of the images with the least probability of their own class, the worst first."""
    found = meter.details()
    wrong = np.flatnonzero(found["predicted"] != found["label"])
    return wrong[np.argsort(found["of_label"][wrong], kind="stable")][:count]


def draw_worst(data: ImageDataset, meter: Meter) -> bytes:
    """A PNG: the images whose own class is least probable, with what they are and what they are taken for."""
    found, chosen = meter.details(), worst(meter)
    columns = min(5, max(len(chosen), 1))
    lines = -(-max(len(chosen), 1) // columns)
    figure = _figure(2.1 * columns, 2.4 * lines + 0.4)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    figure.suptitle("Most surely wrong" if len(chosen) else "No image is taken for another class", fontsize=11)
    for axes in panels:
        axes.set_axis_off()
    for axes, i in zip(panels, chosen, strict=False):
        pixels = data.load(int(found["index"][i]), None)
        axes.imshow(pixels[..., 0] if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=255)
        label, taken = (readable(data.classes[found[what][i]], 18) for what in ("label", "predicted"))
        axes.set_title(f"{label}\ntaken for {taken}\n{100 * found['probability'][i]:.1f} %", fontsize=8)
    return as_png(figure)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
