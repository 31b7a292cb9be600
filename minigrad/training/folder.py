"""The folder of a run: what it was asked, what it measured, what it learnt.

config.json       options, data set, model, device, versions
metrics.jsonl     one line an epoch: METRICS, and in adversarial training ADVERSARIAL
curves.png        the same, drawn                             (needs matplotlib)
events.out...     the same, for TensorBoard                   (needs tensorboardX)
last.safetensors  the newest state; best.safetensors: the state with the highest validation top-1
evaluation.json   what --evaluate measured, with --attack under the attack, too
attack.png        what --visualise drew
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minigrad.errors import OptionError
from minigrad.training.checkpoints import write_atomically
from minigrad.training.curves import draw_curves

METRICS = (
    "epoch", "lr", "train_loss", "train_top1", "train_top5", "val_loss", "val_top1", "val_top5",
    "images_per_second", "peak_memory_bytes",
)  # fmt: skip
ADVERSARIAL = ("attacked_share",)  # of the epoch's batches; training loss, top-1 and top-5 count the images as attacked
RUN_FILES = ("config.json", "metrics.jsonl", "last.safetensors", "best.safetensors")


def new_folder(out: str | None, model: str, dataset: str) -> Path:
    """Make a run folder: `out`, or runs/MODEL-DATASET-TIME. OptionError if `out` holds another run, or is a file."""
    if out is None:
        stem = f"{model}-{dataset}-{time.strftime('%Y%m%d-%H%M%S')}"
        number = 1
        while True:  # two runs may start in one second
            folder = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                number += 1
            except OSError as error:
                raise OptionError(f"cannot make the run folder {folder}: {error.strerror}") from error
    folder = Path(out)
    if found := [name for name in RUN_FILES if (folder / name).exists()]:
        raise OptionError(f"--out {folder} already holds a run ({found[0]}): name another, or --resume {folder}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"cannot make the run folder {folder}: {error.strerror}") from error
    return folder


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` for people and programs to read; the file is there whole or not at all."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


class RunFolder:
    """Writes a run's config, metrics, curves and events into `path`."""

    def __init__(self, path: Path, title: str) -> None:
        self.path, self.title = path, title
        self.events: Any = None
        self.drawn = find_spec("matplotlib") is not None
        if not self.drawn:
            print("matplotlib is not installed: no curves.png will be drawn")
        if find_spec("tensorboardX") is None:
            print("tensorboardX is not installed: no TensorBoard events will be written")

    def write_config(self, config: dict[str, Any]) -> None:
        """config.json."""
        write_json(self.path / "config.json", config)

    def write_metrics(self, rows: Sequence[dict[str, Any]]) -> None:
        """metrics.jsonl and curves.png, each written whole: a resumed run never has a line twice."""
        lines = "".join(
            json.dumps({key: row[key] for key in METRICS + ADVERSARIAL if key in row}) + "\n" for row in rows
        )
        write_atomically(self.path / "metrics.jsonl", lines.encode())
        if self.drawn and rows:
            draw_curves(rows, self.path / "curves.png", self.title)

    def write_events(self, row: dict[str, Any]) -> None:
        """The epoch's metrics as TensorBoard scalars, training and validation in one chart."""
        if self.events is None:
            if find_spec("tensorboardX") is None:
                return
            from tensorboardX import SummaryWriter

            # purge_step hides what a killed run wrote of epochs that are now run again
            self.events = SummaryWriter(str(self.path), purge_step=row["epoch"])
        for key in [key for key in METRICS[1:] + ADVERSARIAL if key in row]:
            self.events.add_scalar(key.replace("train_", "train/").replace("val_", "val/"), row[key], row["epoch"])
        self.events.flush()

    def close(self) -> None:
        """Finish the event file."""
        if self.events is not None:
            self.events.close()
