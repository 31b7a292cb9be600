"""The folder of a run: what it was asked, what it measured, what it learnt.

config.json       options, data set, model, device, versions
metrics.jsonl     one line an epoch: METRICS, and in training that defends what of OF_DEFENCES there is
curves.png        the same, drawn                             (needs matplotlib)
events.out...     the same, for TensorBoard; steps/: loss, rate and norm of the gradient of each tenth step (tensorboardX)
last.safetensors  the newest state; best.safetensors: the state with the highest validation top-1
log.txt           what the run printed
evaluation.json   what --evaluate measured, with --attack under the attack, too; the other files of `evaluation.py`
attack.png        what --visualise drew
watch.png         what --watch saw, and watch.out.tfevents... for TensorBoard
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.errors import OptionError, WriteError
from minigrad.files import check_target, is_writable, write_atomically
from minigrad.training.checkpoints import find_checkpoint
from minigrad.training.curves import draw_curves
from minigrad.training.loggers import Logger, check_logger

if TYPE_CHECKING:
    from minigrad.training.options import Options

METRICS = (
    "epoch", "lr", "train_loss", "train_top1", "train_top5", "val_loss", "val_top1", "val_top5",
    "images_per_second", "peak_memory_bytes",
)  # fmt: skip
ADVERSARIAL = ("attacked_share",)  # of the epoch's batches; training loss, top-1 and top-5 count the images as attacked
DEFENDED = (
    "fast_top1",
    "pgd_top1",
    "overfitted",
)  # of --defence fast: of a training batch, percent; whether PGD wins by far
OF_DEFENCES = ADVERSARIAL + DEFENDED
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
    _check_no_run(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"cannot make the run folder {folder}: {error.strerror}") from error
    return folder


def _check_no_run(folder: Path) -> None:
    if found := [name for name in RUN_FILES if os.path.exists(folder / name)]:
        raise OptionError(f"--out {folder} already holds a run ({found[0]}): name another, or --resume {folder}")


def remove_run(folder: Path) -> None:
    """Take back a run folder whose run could not begin, so that its name can be used again; other files in it stay."""
    for name in (*RUN_FILES, "last.json", "log.txt"):
        with suppress(OSError):
            (folder / name).unlink()
    with suppress(OSError):
        folder.rmdir()


def evaluation_folder(options: Options) -> Path | None:
    """Where the results of --evaluate belong: --out, or the run's folder; None: nowhere, for weights that are of no run."""
    if options.out is not None:
        return Path(options.out)
    if options.weights == "imagenet":
        return None
    folder = find_checkpoint(str(options.resume or options.weights), "best.safetensors").parent
    return folder if (folder / "config.json").is_file() else None


def check_folder(options: Options) -> None:
    """OptionError, before anything is opened, if what these options ask for could not be written where it belongs."""
    check_logger(options.logger)
    if options.save_adversarial is not None:
        check_target(Path(options.save_adversarial), "--save-adversarial")
    if options.evaluate:
        folder = evaluation_folder(options)
    elif options.resume is not None and options.out is None:
        folder = find_checkpoint(options.resume).parent
    else:
        folder = Path(options.out or "runs")
        if options.resume is None and options.out is not None:
            _check_no_run(folder)
    there = (folder or Path()).absolute()
    while not os.path.exists(there):
        there = there.parent
    if not os.path.isdir(there):
        raise OptionError(f"nothing can be written in {folder}: {there} is not a folder; name another with --out")
    if folder is not None and not is_writable(there):
        raise OptionError(f"nothing can be written in {folder}, only read: name a folder with --out")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` for people and programs to read; the file is there whole or not at all."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


class RunFolder:
    """Writes a run's config, metrics, curves and events into `path`."""

    def __init__(self, path: Path, title: str, logger: str | None = None) -> None:
        self.path, self.title = path, title
        self.logger = Logger(logger, title, str(path)) if logger else None
        self.config: dict[str, Any] | None = None
        self.events: _Events | None = None
        self.steps: _Events | None = None
        self.drawn = find_spec("matplotlib") is not None
        if not self.drawn:
            print("matplotlib is not installed: no curves.png will be drawn")
        self.tensorboard = find_spec("tensorboardX") is not None
        if not self.tensorboard:
            print("tensorboardX is not installed: no TensorBoard events will be written")

    def write_config(self, config: dict[str, Any]) -> None:
        """config.json."""
        self.config = config
        write_json(self.path / "config.json", config)
        if self.logger is not None:
            self.logger.config(config["options"])

    def restore(self) -> None:
        """Make the folder again if somebody has removed it, or what it lay on, in mid-run: training goes on."""
        if self.config is None or (self.path / "config.json").is_file():
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(error.errno, error.strerror, str(self.path)) from error
        write_json(self.path / "config.json", self.config)
        print(f"note: {self.path} was removed in mid-run, and is made again; its best checkpoint so far is lost")

    def write_metrics(self, rows: Sequence[dict[str, Any]]) -> None:
        """metrics.jsonl and curves.png, each written whole: a resumed run never has a line twice."""
        lines = "".join(
            json.dumps({key: row[key] for key in METRICS + OF_DEFENCES if key in row}) + "\n" for row in rows
        )
        write_atomically(self.path / "metrics.jsonl", lines.encode())
        if self.drawn and rows:
            draw_curves(rows, self.path / "curves.png", self.title)

    def write_step(self, values: dict[str, float], step: int) -> None:
        """A step's loss, rate and norm of the gradient as TensorBoard scalars, in the folder `steps`: their axis is another."""
        if self.logger is not None:
            self.logger.log(values, step)
        if self.steps is None and self.tensorboard:
            with suppress(OSError):
                (self.path / "steps").mkdir(exist_ok=True)
            self.steps = _Events(self.path / "steps", step)
        self._write(self.steps, values, step)

    def write_events(self, row: dict[str, Any], step: int = 0) -> None:
        """The epoch's metrics as TensorBoard scalars, training and validation in one chart. step: batches so far."""
        names = [key for key in METRICS[1:] + OF_DEFENCES if key in row]
        values = {key.replace("train_", "train/").replace("val_", "val/"): row[key] for key in names}
        if self.logger is not None:
            self.logger.log(values, step)
        if self.events is None and self.tensorboard:
            self.events = _Events(self.path, row["epoch"])
        self._write(self.events, values, row["epoch"])

    def _write(self, events: _Events | None, values: dict[str, float], at: int) -> None:
        if events is None:
            return
        try:
            events.write(values, at)
        except OSError as error:
            raise WriteError(error.errno, error.strerror, str(events.folder / "events.out.tfevents...")) from error

    def close(self, failed: bool = False) -> None:
        """Finish the event file. failed: whether the run did not come to its end."""
        for events in (self.events, self.steps):
            if events is not None:
                events.close()
        if self.logger is not None:
            self.logger.close(failed)


class Bystander(RunFolder):
    """The run folder as the other ranks have it: rank 0 writes."""

    def write_config(self, config: dict[str, Any]) -> None:
        """Nothing."""

    def write_metrics(self, rows: Sequence[dict[str, Any]]) -> None:
        """Nothing."""

    def write_events(self, row: dict[str, Any], step: int = 0) -> None:
        """Nothing."""

    def write_step(self, values: dict[str, float], step: int) -> None:
        """Nothing."""

    def restore(self) -> None:
        """Nothing."""


class _Events:
    """A file of TensorBoard events. Not tensorboardX's SummaryWriter: that writes in a thread, where an error is lost."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self.folder, self.epoch = folder, epoch
        self.file: Any = None

    def write(self, values: dict[str, float], epoch: int) -> None:
        """Add scalars. OSError where they cannot be written."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.summary import scalar

        if self.file is None:
            self.file = EventsWriter(str(self.folder / "events"))
            # What a killed run wrote of epochs that are now run again is hidden from here on.
            start = SessionLog(status=SessionLog.START)
            self.file.write_event(Event(wall_time=time.time(), step=self.epoch, session_log=start))
        for name, value in values.items():
            self.file.write_event(Event(wall_time=time.time(), step=epoch, summary=scalar(name, value)))
        self.file.flush()

    def close(self) -> None:
        if self.file is not None:
            with suppress(OSError):  # `write` has said so
                self.file.close()
