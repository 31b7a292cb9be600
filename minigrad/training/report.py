"""What --evaluate says and leaves: the table, the files of `evaluation.py`, the audit, and the picture of an attack."""

from __future__ import annotations

import io
import shlex
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.attacks import Result
from minigrad.data import Batch
from minigrad.errors import OptionError
from minigrad.files import write_atomically
from minigrad.training.attacks import described, entry, make_attack
from minigrad.training.checkpoints import Arrays, find_checkpoint
from minigrad.training.evaluation import append_line, write_details
from minigrad.training.folder import evaluation_folder, write_json
from minigrad.training.measures import Measure
from minigrad.training.meters import Meter
from minigrad.training.options import Options
from minigrad.training.pictures import Attacked, draw_attack
from minigrad.training.ranks import current
from minigrad.training.run import Data


def report_evaluation(
    options: Options, data: Data, clean: Meter, under_attack: Meter | None = None, stages: Result | None = None,
    curve: Mapping[float, Meter] | None = None, measures: Sequence[Measure] = (),
) -> None:  # fmt: skip
    """Print what --evaluate measured, in one table, and write it, with the predictions, into --out or the run's folder.

    stages: of AutoAttack, a table of their own. curve: what was measured at each of several epsilons, instead of `under_attack`.
    measures: certified radii, corrupted images.
    """
    data.close()
    result: dict[str, Any] = {"top1": clean.top1, "top5": clean.top5, "loss": clean.loss, "images": clean.images}
    rows = [("mirrored images averaged in" if options.tta else "clean", clean)]
    if under_attack is not None:
        result |= {"attack_top1": under_attack.top1, "attack_top5": under_attack.top5, "attack_loss": under_attack.loss}
        result |= {"attack": entry(options)}
        rows.append(("under attack, not mirrored" if options.tta else "under attack", under_attack))
    if curve is not None:
        result |= {"attack": entry(options) | {"epsilon": list(curve)}}
        result["curve"] = [
            {"epsilon": epsilon, "top1": meter.top1, "top5": meter.top5, "loss": meter.loss}
            for epsilon, meter in curve.items()
        ]
        rows += [(f"under attack, epsilon {epsilon:g}", meter) for epsilon, meter in curve.items()]
    print("\n".join(_table(options, data, rows)))
    if under_attack is not None or curve is not None:
        print("\n".join(textwrap.wrap(f"under attack: {described(options)}", 80)))
    if stages is not None:
        print(f"\n{stages}")
        result["attack_stages"] = stages.rows()
    for measure in measures:
        print(f"\n{measure.text}")
        result[measure.name] = measure.entry
    if options.save_adversarial is not None and under_attack is not None:
        _save_adversarial(Path(options.save_adversarial), data, under_attack)
    if (folder := evaluation_folder(options)) is None:
        print("nothing is written: --out FOLDER keeps the measurement")
        return
    if not current().first:
        return
    with _writing(folder / "evaluation.json") as path:
        write_json(path, result)
        append_line(folder / "evaluations.jsonl", result | _measured(options, data))
        names = write_details(folder, data.val, clean, under_attack) if clean.has_details else []
        for name, content in ((name, content) for measure in measures for name, content in measure.files.items()):
            write_atomically(folder / name, content)
            names.append(name)
    print(f"written: {', '.join(['evaluation.json', 'evaluations.jsonl', *names])}\n    in {folder}")


def _table(options: Options, data: Data, rows: list[tuple[str, Meter]]) -> list[str]:
    """A line that says what was measured, and a line a measurement, within 80 columns."""
    width = max(len(name) for name, _ in rows)
    lines = [f"{options.model} on {data.val.name}, {rows[0][1].images:,} images, {data.num_classes} classes"]
    lines.append(f"{'':{width}} {'top-1':>7} {'top-5':>7} {'loss':>8}")
    return lines + [f"{name:{width}} {m.top1:7.2f} {m.top5:7.2f} {m.loss:8.4f}" for name, m in rows]


def _measured(options: Options, data: Data) -> dict[str, Any]:
    """What was measured, and how: an entry that can be read without the run."""
    source = options.resume or options.weights
    weights = "imagenet" if source == "imagenet" else str(find_checkpoint(str(source), "best.safetensors"))
    return {
        "model": options.model,
        "settings": options.settings,
        "weights": weights,
        "data": data.val.name,
        "data_source": options.data,
        "image_size": options.image_size,
        "tta": options.tta,
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _save_adversarial(path: Path, data: Data, meter: Meter) -> None:
    """--save-adversarial: images float32 (N, H, W, C), black 0 and white 1; labels, predicted and index (N,)."""
    found, inputs = meter.details(), np.concatenate(meter.images_kept)
    arrays = {"images": data.pixels(inputs).astype(np.float32), "inputs": inputs}
    arrays |= {name: found[name] for name in ("label", "predicted", "index")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    with _writing(path):
        write_atomically(path, buffer.getvalue())
    print(f"attacked images: {path}")


def report_audit(options: Options, data: Data, weights: Arrays, batches: int = 2) -> None:
    """--audit: print what `minigrad.attacks.audit` finds of the attack, on the first batches and a network of minigrad's with
    the same weights."""
    import minigrad
    import models
    from minigrad import attacks

    model = models.create(options.model, data.num_classes, data.channels, options.image_size, **options.settings)
    model.load_state_dict({key: minigrad.from_numpy(array) for key, array in weights.items()}, strict=False)
    attack = make_attack(options, attacks, data.val.mean, data.val.std, data.num_classes)
    parts = []
    for batch in data.val_loader.epoch(0):
        parts.append((minigrad.from_numpy(data.inputs(batch.images)), minigrad.from_numpy(batch.labels)))
        if len(parts) == batches:
            break
    print(attacks.audit(model.eval(), attack, parts))


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
