"""What --evaluate leaves: the table, evaluation.json, and the picture of an attack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.attacks import Result
from minigrad.data import Batch
from minigrad.errors import OptionError
from minigrad.training.attacks import described, entry
from minigrad.training.folder import evaluation_folder, write_json
from minigrad.training.meters import Meter
from minigrad.training.options import Options
from minigrad.training.pictures import Attacked, draw_attack
from minigrad.training.ranks import current
from minigrad.training.run import Data


def report_evaluation(
    options: Options, data: Data, clean: Meter, under_attack: Meter | None = None, stages: Result | None = None,
    curve: Mapping[float, Meter] | None = None,
) -> None:  # fmt: skip
    """Print what --evaluate measured, in one table, and write evaluation.json into --out, or beside the weights.

    stages: of AutoAttack, a table of their own. curve: what was measured at each of several epsilons, instead of `under_attack`.
    """
    data.close()
    result: dict[str, Any] = {"top1": clean.top1, "top5": clean.top5, "loss": clean.loss, "images": clean.images}
    rows = [(clean, "mirrored images averaged in" if options.tta else "clean" if under_attack or curve else "")]
    if under_attack is not None:
        result |= {"attack_top1": under_attack.top1, "attack_top5": under_attack.top5, "attack_loss": under_attack.loss}
        result |= {"attack": entry(options)}
        rows.append((under_attack, f"under attack: {described(options)}{'; not mirrored' if options.tta else ''}"))
    if curve is not None:
        result |= {"attack": entry(options) | {"epsilon": list(curve)}}
        result["curve"] = [
            {"epsilon": epsilon, "top1": meter.top1, "top5": meter.top5, "loss": meter.loss}
            for epsilon, meter in curve.items()
        ]
        rows += [(meter, f"under attack: {described(options, epsilon)}") for epsilon, meter in curve.items()]
    print(f"{'model':14} {'data':16} {'images':>7} {'top-1':>7} {'top-5':>7} {'loss':>8}")
    for meter, remark in rows:
        print(
            f"{options.model:14} {data.val.name:16} {meter.images:7d} {meter.top1:7.2f} {meter.top5:7.2f} "
            f"{meter.loss:8.4f}  {remark}".rstrip()
        )
    if stages is not None:
        print(f"\n{stages}")
        result["attack_stages"] = stages.rows()
    if (folder := evaluation_folder(options)) is not None and current().first:
        with _writing(folder / "evaluation.json") as path:
            write_json(path, result)


def report_attack(
    options: Options, data: Data, batch: Batch, perturbed: np.ndarray, before: np.ndarray, after: np.ndarray
) -> None:
    """Write attack.png: the batch's images and the perturbed inputs (N, C, H, W), with the logits of both."""
    if not current().first:
        return
    images = Attacked(
        rows=batch.indices.tolist(),
        labels=batch.labels,
        original=data.pixels(data.inputs(batch.images)),
        perturbed=data.pixels(perturbed),
        before=before,
        after=after,
    )
    title = f"{options.model} on {data.val.name}"
    with _writing((evaluation_folder(options) or Path()) / "attack.png") as path:
        draw_attack(path, images, data.val.classes, title, f"attack: {described(options)}")
        print(f"picture: {path}")


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Around writing a result: its folder is there; OptionError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
    except OSError as error:
        raise OptionError(f"cannot write {path} ({error.strerror}): name a folder with --out") from error
