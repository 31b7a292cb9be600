"""What --evaluate measures beside accuracy and attacks: certified radii, and accuracy on corrupted images."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.data.corruptions import STRENGTHS, mean_corruption_error
from minigrad.training.meters import Meter
from minigrad.training.options import Options
from minigrad.training.ranks import current

ALPHA, CHOOSE = 0.001, 100  # of --certify: how likely a wrong certificate is; votes that choose the class
STEPS = 0.5  # between two radii of the table, in sigmas


@dataclass(frozen=True)
class Measure:
    """One of them: its entry in evaluation.json, the lines that are printed, and the files that go beside."""

    name: str
    entry: dict[str, Any]
    text: str
    files: dict[str, bytes] = field(default_factory=dict)


def measures(
    options: Options,
    data: Any,
    smoothed: Any,
    tensor: Callable[[np.ndarray], Any],
    evaluate: Callable[[Iterator[Any]], Meter],
) -> list[Measure]:
    """--certify and --corruptions: certified radii by a framework's Smoothed, and accuracy on corrupted images.

    tensor takes images to the framework and its device; evaluate counts the hits of some batches.
    """
    found = []
    if options.certify:
        certified = Certified(options)
        for batch in data.val_batches("certifying"):
            certified(smoothed, tensor(data.inputs(batch.images)), batch)
        found.append(certified.measure())
    if options.corruptions:
        keys = [(kind, strength) for kind in options.corruptions for strength in STRENGTHS]
        batches = {key: data.corrupted_batches(*key, options.seed) for key in keys}
        found.append(corrupted({key: evaluate(batches[key]) for key in keys}))
    return found


def sigma_settings(options: Options, std: Sequence[float]) -> dict[str, Any]:
    """What Smoothed of either framework takes: sigma, std, seed."""
    pixel = options.attack_units == "pixel"
    return {"sigma": options.noise, "std": tuple(std) if pixel else None, "seed": options.seed}


class Certified:
    """Counts the images that are certified, batch by batch."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.rows: list[list[Any]] = []

    def __call__(self, smoothed: Any, images: Any, batch: Any) -> None:
        """Certify a batch."""
        votes: dict[str, Any] = {"n0": CHOOSE, "n": self.options.certify, "alpha": ALPHA}
        classes, radii = smoothed.certify(images, indices=batch.indices, **votes)
        columns = (batch.indices, batch.labels, classes, radii)
        self.rows += [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def measure(self) -> Measure:
        """Certified accuracy by radius, over the images of all ranks."""
        rows = sorted(row for part in current().gather(self.rows) for row in part)
        _, labels, classes, radii = (np.array(column) for column in zip(*rows, strict=True))
        right, sigma = classes == labels, float(self.options.noise or 0)
        steps = np.arange(0, radii.max() / sigma + STEPS, STEPS) * sigma
        curve = [{"radius": float(r), "accuracy": float(100 * (right & (radii >= r)).mean())} for r in steps]
        abstained = float(100 * (classes < 0).mean())
        what = f"sigma {sigma:g} ({self.options.attack_units}), {self.options.certify} votes, alpha {ALPHA:g}"
        lines = [f"certified: {what}", f"{'radius':>8} {'accuracy':>9}"]
        lines += [f"{row['radius']:8.4g} {row['accuracy']:9.2f}" for row in curve]
        entry = {
            "sigma": sigma, "units": self.options.attack_units, "votes": self.options.certify, "chosen_by": CHOOSE, "alpha": ALPHA,
            "abstained": abstained, "mean_radius": float((radii * right).mean()), "curve": curve,
        }  # fmt: skip
        table = as_csv([["index", "label", "certified", "radius"], *rows])
        return Measure(
            "certified", entry, "\n".join([*lines, f"abstained {abstained:.2f} %"]), {"certified.csv": table}
        )


def corrupted(meters: Mapping[tuple[str, int], Meter]) -> Measure:
    """Top-1 by kind and strength, and the mean corruption error."""
    top1 = {key: meter.top1 for key, meter in meters.items()}
    kinds = list(dict.fromkeys(kind for kind, _ in top1))
    error = mean_corruption_error(top1)
    width = max(map(len, kinds))
    lines = [f"{'corrupted, top-1':{width}} " + " ".join(f"{strength:7}" for strength in STRENGTHS) + "    mean"]
    for kind in kinds:
        row = [top1[kind, strength] for strength in STRENGTHS]
        lines.append(f"{kind:{width}} " + " ".join(f"{value:7.2f}" for value in [*row, sum(row) / len(row)]))
    lines.append(f"mean corruption error {error:.2f} % (of the kinds' means, not divided by AlexNet's)")
    rows = [[kind, strength, top1[kind, strength]] for kind, strength in top1]
    by_kind = {kind: [top1[kind, strength] for strength in STRENGTHS] for kind in kinds}
    table = as_csv([["kind", "strength", "top1"], *rows])
    entry = {"top1": by_kind, "mean_corruption_error": error}
    return Measure("corruptions", entry, "\n".join(lines), {"corruptions.csv": table})


def as_csv(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows, the first of them the head."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
