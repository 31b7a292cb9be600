"""A run: everything about training that no framework owns. The scripts add forward, backward, step and evaluation."""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from minigrad import program
from minigrad.data import Batch, DataLoader, FolderDataset, normalize, open_dataset
from minigrad.data.corruptions import corrupt
from minigrad.data.resident import PlaceLoader, Resident
from minigrad.data.sampling import epoch_order
from minigrad.errors import CheckpointError, DataError, MinigradError, OptionError, WriteError
from minigrad.files import write_atomically
from minigrad.program import Interrupted
from minigrad.random import Generator
from minigrad.tracing import watch
from minigrad.training.attacks import attacked
from minigrad.training.checkpoints import (
    Arrays,
    check_finite,
    check_weights,
    find_checkpoint,
    load_checked,
    load_checkpoint,
    part,
    save_checkpoint,
)
from minigrad.training.defences import defence_in_words, symptoms_in_words
from minigrad.training.folder import Bystander, RunFolder, check_folder, new_folder, remove_run
from minigrad.training.lock import Lock
from minigrad.training.meters import Meter
from minigrad.training.mixing import Mixing, drawn, mix
from minigrad.training.options import Options, as_dict, parse_options
from minigrad.training.output import captured, output
from minigrad.training.pictures import choose_rows
from minigrad.training.progress import Progress, duration
from minigrad.training.ranks import check_batch, check_shared, checksums, current, fingerprint, together
from minigrad.training.recipes import models
from minigrad.training.schedule import learning_rate
from minigrad.training.weights import initial_weights

VAL_BATCH = 100
FITTED_ON = 1000  # training images: what a universal perturbation and a patch are found on
LOG_EVERY = 10  # steps between two of TensorBoard's, and of --logger's
MAY_DIFFER = (
    "data",
    "device",
    "workers",
    "print_freq",
)  # between ranks: paths, and what does not change what is learnt
FILES, THREADS = (
    100,
    8,
)  # image files that are looked into at a time, by how many threads: a disk far away takes its time


class NotFiniteError(MinigradError, ArithmeticError):
    """The loss, a gradient or a weight became NaN or infinite."""


class Data:
    """The images of a run, and their loaders."""

    def __init__(self, options: Options) -> None:
        ranks = current()
        shared: Any = {"workers": ranks.shared_among(options.workers), "rank": ranks.rank, "ranks": ranks.size}
        self.val = open_dataset(options.data, "val", image_size=options.image_size, limit=options.limit_val)
        self.resident: dict[str, Resident] = {}  # of --data-on-device: "train" and "val"
        self.kept: dict[str, Any] = {}  # the same on the device, once feed.keep_on has brought them there
        self.val_loader = self._loader(options, "val", VAL_BATCH, shared)
        if not options.evaluate:
            self.train = open_dataset(options.data, "train", image_size=options.image_size, limit=options.limit_train)
            self._check_classes()
            check_batch(options.batch_size)
            self.train_loader = self._loader(options, "train", options.batch_size, shared)
        if ranks.size > 1:
            for images in self._opened():
                ranks.agree("data", fingerprint(images))
        self.print_freq, self.source = options.print_freq, options.data
        self.num_classes, self.channels = len(self.val.classes), self.val.channels
        if options.visualise:
            self.rows = choose_rows(self.val.labels, options.visualise, options.rows)

    def _loader(self, options: Options, split: str, batch_size: int, shared: dict[str, Any]) -> DataLoader:
        images, train = getattr(self, split), split == "train"
        if not options.data_on_device:
            return DataLoader(images, batch_size, train, seed=options.seed, drop_last=train, **shared)
        resident = self.resident[split] = Resident(images)
        return PlaceLoader(resident, batch_size, train, seed=options.seed, drop_last=train, **shared | {"workers": 0})

    def _check_classes(self) -> None:
        """DataError if there is nothing to tell apart; a note for classes that no validation image measures."""
        names = self.val.classes
        if len(names) < 2:
            raise DataError(f"{self.val.name} has one class alone ({names[0]}): there is nothing to tell apart")
        if len(trained := np.unique(self.train.labels)) < 2:
            raise DataError(
                f"all training images are of one class ({names[trained[0]]}): there is nothing to tell apart"
            )
        for images, what in ((self.train, "training"), (self.val, "validation")):
            if without := sorted(set(range(len(names))) - set(np.unique(images.labels).tolist())):
                some = ", ".join(names[k] for k in without[:5]) + (", ..." if len(without) > 5 else "")
                print(f"note: {len(without)} of {len(names)} classes have no {what} images: {some}")

    def check_files(self) -> None:
        """DataError, with the first of them and how many there are, if image files are bad: later they would end the run.

        Opened is each file, and its header read; `minigrad.data.decode.check_image` says what that cannot find.
        """
        if current().launch.local_rank:
            return  # another rank of this machine does it
        sets = [images for images in self._opened() if isinstance(images, FolderDataset)]
        tasks = [
            (images, range(i, min(i + FILES, len(images)))) for images in sets for i in range(0, len(images), FILES)
        ]
        if not tasks:
            return
        found: list[str] = []
        threads = ThreadPoolExecutor(THREADS, "minigrad.check")
        try:
            with Progress("checking files", len(tasks), FILES, self.print_freq) as progress:
                faults = threads.map(lambda task: task[0].faults(task[1]), tasks)
                for (_, rows), lines in zip(tasks, faults, strict=True):
                    found += lines
                    progress.update(len(rows))
        finally:
            threads.shutdown(cancel_futures=True)
        if found:
            more = f"; and {len(found) - 1} more, such as {found[1]}" if len(found) > 1 else ""
            raise DataError(found[0] + more)

    def facts(self) -> dict[str, Any]:
        """The data set as checkpoints and config.json have it: all that it takes to show the network other images."""
        val = self.val
        return {
            "name": val.name,
            "classes": self.num_classes,
            "class_names": list(val.classes),
            "channels": self.channels,
            "mean": [float(value) for value in val.mean],
            "std": [float(value) for value in val.std],
            "photographs": isinstance(val, FolderDataset),
        }

    def _opened(self) -> list[Any]:
        """The data sets."""
        return [self.train, self.val] if hasattr(self, "train") else [self.val]

    def close(self) -> None:
        """End the loaders' processes."""
        self.val_loader.close()
        if hasattr(self, "train_loader"):
            self.train_loader.close()

    def fitting_batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(inputs, labels) of the first 1,000 training images, not augmented, in batches of 100: what an attack is fitted on."""
        images = open_dataset(self.source, "train", image_size=self.val.image_size, limit=FITTED_ON)
        pixels = np.stack([images.load(row, None) for row in range(len(images))])
        parts = (slice(first, first + VAL_BATCH) for first in range(0, len(images), VAL_BATCH))
        return [(self.inputs(pixels[part]), images.labels[part]) for part in parts]

    def first_training(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first training images, as the network sees them, not augmented, and their labels."""
        rows = range(min(count, len(self.train)))
        return self.inputs(np.stack([self.train.load(row, None) for row in rows])), self.train.labels[: len(rows)]

    def val_batches(self, title: str = "validation") -> Iterator[Any]:
        """The batches of the validation images, with their progress."""
        with Progress(title, len(self.val_loader), VAL_BATCH, self.print_freq) as progress:
            for batch in current().batches(self.val_loader.epoch(0)):
                yield batch
                progress.update(batch.total)

    def corrupted_batches(self, kind: str, strength: int, seed: int) -> Iterator[Any]:
        """The batches of the validation images, corrupted: `minigrad.data.corruptions`."""
        for batch in self.val_batches(f"{kind} {strength}"):
            yield replace(batch, images=corrupt(batch.images, kind, strength, seed, batch.indices))

    def inputs(self, images: np.ndarray) -> np.ndarray:
        """What the network sees of images (N, H, W, C) uint8: (N, C, H, W) float32, normalised."""
        return normalize(images, self.val.mean, self.val.std)

    def mirrored(self, images: np.ndarray) -> np.ndarray:
        """The inputs of the images flipped left to right."""
        return self.inputs(np.ascontiguousarray(images[:, :, ::-1]))

    def chosen(self) -> Batch:
        """The validation images that --visualise draws."""
        images = np.stack([self.val.load(row, None) for row in self.rows])
        return Batch(images, self.val.labels[self.rows], np.array(self.rows))

    def pixels(self, inputs: np.ndarray) -> np.ndarray:
        """The inverse of `inputs`, but for its scale: (N, H, W, C) float64, black 0 and white 1."""
        return inputs.transpose(0, 2, 3, 1).astype(np.float64) * self.val.std + self.val.mean


class Run:
    """One run, new or resumed: its schedule, meters, folder, checkpoints and interruptions.

    The script gives `save`, which returns the checkpoint's arrays (checkpoints.pack), and `load`, which takes them;
    `masks`, which the model draws its random masks from; `facts`, the script's own entries for config.json. Used as

        with Run(...) as run:
            for _ in run.epochs():
                for batch, lr in run.train_batches():
                    ...                                   # one step at rate lr
                    run.record(loss, logits, batch.labels)
                run.finish_epoch(evaluate(model, run.val_batches()), peak_memory)
    """

    def __init__(
        self,
        options: Options,
        data: Data,
        save: Callable[[], Arrays],
        load: Callable[[Arrays], None],
        masks: Generator,
        facts: dict[str, Any],
    ) -> None:
        self.options, self.data, self.save_arrays, self.masks, self.facts = options, data, save, masks, facts
        self.replays = options.replays or 1  # steps in a row on one batch
        self.steps = len(data.train_loader) * self.replays
        self.epoch, self.step = 0, 0  # whole epochs done, steps done in the one after them
        self.meter, self.seconds = Meter(), 0.0  # of the epoch that is under way
        self.tally: Any = None  # what of its last steps is not counted in the meter yet
        self.history: list[dict[str, Any]] = []
        self.caught: int | None = None  # the signal that this process was sent
        self.asked_to_stop = False  # whether a rank was sent one, as all ranks know since the last step
        self.handlers: dict[int, Any] = {}
        if options.resume is None:
            out = current().from_first(lambda: str(new_folder(options.out, options.model, data.val.name)))
            path, new = Path(out), True
        else:
            path, new = self._resume(find_checkpoint(options.resume), load)
        if current().size > 1:
            current().agree("weights", checksums(save()))
        title = f"{options.model} on {data.val.name} ({facts['framework'].split()[0]})"
        for leftover in path.glob(".*.tmp") if current().first else ():  # of a run that was killed while it wrote
            with suppress(OSError):
                leftover.unlink()
        self.lock = Lock(path) if current().first else None
        if current().first and (out := output()) is not None:
            out.log_to(path / "log.txt")
        try:
            self.folder = RunFolder(path, title, options.logger) if current().first else Bystander(path, title)
            if new:
                self._save("last")  # so that there is something to resume from the first moment on
            self.folder.write_config(self._config())
            self.folder.write_metrics(self.history)
        except BaseException:
            self._release()
            if new and current().first:
                remove_run(path)
            raise
        self._print_start(path)

    def _print_start(self, path: Path) -> None:
        """What is trained, on what, and how: the lines before the first epoch's."""
        o, data = self.options, self.data
        print(
            f"data: {data.val.name}, {len(data.train)} training and {len(data.val)} validation images, {data.num_classes} classes"
        )
        print(f"model: {o.model}, {self.facts['parameters']:,} parameters, images of {o.image_size} pixels")
        momentum = f", momentum {o.momentum:g}" if o.optimizer == "sgd" else ""
        epochs = f"{o.epochs} epoch{'' if o.epochs == 1 else 's'} in batches of {o.batch_size}"
        print(f"recipe: {epochs}; {o.optimizer}, lr {o.lr:g}{momentum}, weight decay {o.weight_decay:g}")
        if o.model == "simplenet":
            chance = math.log(max(data.num_classes, 2))
            print(
                f"note: SimpleNet's loss stays near {chance:.2f}, that of chance, for some hundred steps; simplenet-bn's does not"
            )
        if o.defence is not None:
            print(f"defence: {defence_in_words(o)}")
        print(f"run folder: {path}")

    # The loop, as the script sees it

    def epochs(self) -> Iterator[int]:
        """The epochs that are left, from 1."""
        if self.epoch == self.options.epochs:
            print(f"nothing is left to do: all {self.epoch} epochs are done")
        while self.epoch < self.options.epochs:
            yield self.epoch + 1

    def train_batches(self) -> Iterator[tuple[Any, float]]:
        """The batches that are left of this epoch, each with its learning rate."""
        options = self.options
        title = f"epoch {self.epoch + 1}/{options.epochs}"
        first, before, started = self.step, self.seconds, time.perf_counter()
        with Progress(title, self.steps, options.batch_size, options.print_freq, self.step) as self.progress:
            for batch in self._loaded(current().batches(self._epoch())):
                self._stop_if_interrupted()
                yield batch, self._rate(self.step)
                self.step += 1
                self.seconds = before + time.perf_counter() - started
            self._catch_up(self.step)
            self.seconds = before + time.perf_counter() - started
            self._stop_if_interrupted()
        if self.step > first:
            self._save("last")  # before validation, which may fail: nothing of the epoch has to be done again

    @property
    def wants_norm(self) -> bool:
        """Whether `record` takes the norm of this step's gradient: TensorBoard has each tenth step."""
        return self.last_of_update and self._steps_done % LOG_EVERY == 0

    @property
    def _steps_done(self) -> int:
        return self.epoch * self.steps + self.step

    def _epoch(self) -> Iterator[Any]:
        first, done = divmod(self.step, self.replays)
        for batch in self.data.train_loader.epoch(self.epoch, start_batch=first):
            for _ in range(self.replays - done):
                yield batch
            done = 0

    def record(self, loss: float, logits: np.ndarray, labels: np.ndarray, norm: float | None = None) -> None:
        """Count the step just done, of all ranks. NotFiniteError if its mean loss is NaN or infinite. norm: of the gradient."""
        counted = Meter()
        counted.update(loss, logits, labels)
        counted, self.asked_to_stop = current().step(counted, self.caught is not None)
        self._count(counted, self.step, norm)
        self.progress.update(counted.images, self.meter.loss)

    def record_later(self, tally: Any, images: int) -> None:
        """Count the step just done, of one rank, whose loss and hits are in the tally (feed.Tally): it is read where the loss is
        printed, or somebody else wants it. NotFiniteError then, if a mean loss since it was last read is NaN or infinite."""
        self.tally = tally
        if tally.is_full or self.progress.is_due:
            self._catch_up(self.step + 1)
        self.progress.update(images, self.meter.loss if self.meter.images else None)

    def _catch_up(self, done: int) -> None:
        """Read what the tally has: the steps up to `done` of this epoch that are not counted yet."""
        steps = self.tally.read() if self.tally is not None else []
        for step, (counted, norm) in enumerate(steps, done - len(steps)):
            self._count(counted, step, norm)

    def _count(self, counted: Meter, step: int, norm: float | None) -> None:
        """Count what all ranks have done in a step of this epoch."""
        if not math.isfinite(counted.loss):
            raise NotFiniteError(self._where(f"the loss is {counted.loss}", step))
        self.meter.add(counted)
        if (self.epoch * self.steps + step) % LOG_EVERY == 0:
            values = {"step/loss": counted.loss} | ({} if norm is None else {"step/gradient_norm": norm})
            self.folder.write_step(values | {"step/lr": self._rate(step)}, self.epoch * self.steps + step)

    @property
    def first_of_update(self) -> bool:
        """Whether this batch is the first of those (--accumulate) whose gradients make one step of the optimizer."""
        return self.step % self.options.accumulate == 0 or self.step == self.steps

    @property
    def last_of_update(self) -> bool:
        """Whether it is the last of them; the last of an epoch always is."""
        return (self.step + 1) % self.options.accumulate == 0 or self.step + 1 == self.steps

    @property
    def share(self) -> float:
        """What each of these batches counts: 1 / their number, which is smaller at the end of an epoch."""
        first = self.step - self.step % self.options.accumulate
        return 1 / min(self.options.accumulate, self.steps - first)

    def mixed(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """The step's inputs and targets under --mixup, drawn from (seed, epoch, step); without it as they are."""
        images, labels, mixing = self.to_mix(batch)
        inputs = self.data.inputs(images)
        return (inputs, labels) if mixing is None else mix(inputs, labels, *mixing, np.arange(self.data.num_classes))

    def to_mix(self, batch: Batch) -> tuple[np.ndarray, np.ndarray, Mixing | None]:
        """Images (N, H, W, C) and labels (N,) of a step, and how they are mixed under --mixup; None without it.

        On several ranks an image may be mixed with one that another rank has. Those are loaded here as well, behind this
        rank's own: (2 N, H, W, C) and (2 N,).
        """
        mixing, count = drawn(self.options, self.epoch, self.step, batch.total), len(batch.labels)
        if mixing is None or count == batch.total:
            return batch.images, batch.labels, mixing
        size, train = self.options.batch_size, self.data.train
        whole = epoch_order(len(train), self.options.seed, self.epoch)[self.step * size :][:size]
        others = whole[mixing[1][batch.first : batch.first + count]]
        images = self.data.train_loader.load(self.epoch, others)
        labels = np.concatenate([batch.labels, train.labels[others]])
        return np.concatenate([batch.images, images]), labels, (mixing[0], count + np.arange(count))

    def attacked(self, starts: Generator) -> bool:
        """Whether this step's batch is to be attacked (attacks.attacked); `starts` then begins at the step's own seed."""
        return attacked(self.options, self.epoch, self.step, starts)

    def watching(self, model: Any, optimizer: Any) -> AbstractContextManager[Any]:
        """With --watch, a context that notes gradients, updates and dead units in the run folder; else an empty one."""
        if not self.options.watch or not current().first:
            return nullcontext()
        first = self.epoch * self.steps + self.step
        return watch(model, optimizer, every=self.options.watch, folder=self.folder.path, first=first)

    @contextmanager
    def anomalies(self) -> Iterator[None]:
        """Around a step: what an attack, or --detect-anomaly, says of a NaN becomes a NotFiniteError."""
        try:
            yield
        except FloatingPointError as error:
            raise NotFiniteError(self._where(" ".join(str(error).split()))) from error
        except RuntimeError as error:
            if self.options.detect_anomaly and any(word in str(error).lower() for word in ("nan", "inf", "finite")):
                raise NotFiniteError(self._where(" ".join(str(error).split()))) from error
            raise

    def val_batches(self) -> Iterator[Any]:
        """The batches of the validation images."""
        for batch in self._loaded(self.data.val_batches()):
            self._stop_if_interrupted()
            yield batch

    def finish_epoch(self, val: Meter, peak_memory: int, symptoms: Mapping[str, Any] | None = None) -> None:
        """Write the epoch's metrics and checkpoints. NotFiniteError, and nothing written, if a loss is not finite.

        symptoms: what a defence says of how its training goes.
        """
        if not math.isfinite(val.loss):
            raise NotFiniteError(self._where(f"the validation loss is {val.loss}"))
        train = self.meter
        row = {
            "epoch": self.epoch + 1,
            "lr": self._rate(self.steps - 1),
            "train_loss": train.loss,
            "train_top1": train.top1,
            "train_top5": train.top5,
            "val_loss": val.loss,
            "val_top1": val.top1,
            "val_top5": val.top5,
            "images_per_second": train.images / self.seconds,
            "peak_memory_bytes": peak_memory,
        }
        row |= symptoms or {}
        attacks = symptoms_in_words(row)
        if self.options.adversarial:
            row["attacked_share"] = self._attacked_share()
            attacks = f"\n  attacked {100 * row['attacked_share']:.1f} %"
        best = all(row["val_top1"] > earlier["val_top1"] for earlier in self.history)
        self.history.append(row)
        self.epoch, self.step, self.meter, self.seconds = self.epoch + 1, 0, Meter(), 0.0
        if best:
            self._save("best")  # before "last": a run killed in between comes back to this epoch, and writes it again
        self._save("last")
        self.folder.write_metrics(self.history)
        self.folder.write_events(row, self._steps_done)
        print(
            f"epoch {row['epoch']}/{self.options.epochs}  train loss {row['train_loss']:.4f} top-1 {row['train_top1']:.2f}  "
            f"val loss {row['val_loss']:.4f} top-1 {row['val_top1']:.2f}{'  best' if best else ''}{attacks}",
            flush=True,
        )

    def __enter__(self) -> Run:
        """From here on, Ctrl-C, SIGTERM and SIGHUP wait for the end of a step; under nohup SIGHUP stays ignored."""
        for signum in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            nohup = signum == getattr(signal, "SIGHUP", None) and signal.getsignal(signum) is signal.SIG_IGN
            if signum not in self.handlers and not nohup:
                self.handlers[signum] = signal.signal(signum, self._catch)
        self.began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for signum, handler in self.handlers.items():
            signal.signal(signum, handler)
        self.folder.close(failed=kind is not None)
        self.data.close()
        self._release()
        if kind is None and self.history:
            best = max(self.history, key=lambda row: row["val_top1"])
            print(
                f"best validation top-1 {best['val_top1']:.2f} % (top-5 {best['val_top5']:.2f} %) in epoch "
                f"{best['epoch']}, after {duration(time.perf_counter() - self.began)}\nall is in {self.folder.path}"
            )

    # Inside

    def _rate(self, step: int) -> float:
        """The learning rate of a step of the epoch that is under way."""
        options = self.options
        return learning_rate(
            self.epoch * self.steps + step,
            total=options.epochs * self.steps,
            warmup=round(options.warmup * self.steps),
            peak=options.lr,
            schedule=options.schedule,
        )

    def _release(self) -> None:
        if self.lock is not None:
            self.lock.release()

    def _attacked_share(self) -> float:
        """The share of this epoch's batches that are attacked: nobody needs to count them, the seed decides."""
        return sum(attacked(self.options, self.epoch, step) for step in range(self.steps)) / self.steps

    def _where(self, what: str, step: int | None = None) -> str:
        advice = "" if self.options.detect_anomaly else " (--detect-anomaly names the operation; a lower --lr may help)"
        where = f"epoch {self.epoch + 1}, {self._next_step(self.step if step is None else step)}"
        return f"{where}: {what}; the run stops, its last checkpoint is as it was{advice}"

    def _next_step(self, step: int) -> str:
        return f"step {step + 1} of {self.steps}" if step < self.steps else "after its last step"

    def _loaded(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches. Where an image cannot be read after all, the run is saved, so that it can go on once that is mended."""
        try:
            yield from batches
        except DataError as error:
            self._save("last")
            raise DataError(f"{error}; saved up to here: once that is mended, --resume {self.folder.path}") from error

    def _catch(self, signum: int, frame: FrameType | None) -> None:
        if self.caught is not None:  # asked twice: do not wait for the step
            raise KeyboardInterrupt
        self.caught = signum

    def _stop_if_interrupted(self) -> None:
        out = output()
        if self.caught is None and out is not None and out.reader_gone:
            self.caught = getattr(signal, "SIGPIPE", 13)
        if (self.caught is None and not self.asked_to_stop) or not self.first_of_update:
            return
        if current().size > 1 and not self.asked_to_stop:
            return  # the others have to hear of it first, at the end of a step
        self._save("last")
        command = f"{program.as_called('train')} --resume {shlex.quote(str(self.folder.path))}"
        where = f"epoch {self.epoch + 1} after step {self.step} of {self.steps}"
        raise Interrupted(self.caught or signal.SIGTERM, f"stopped in {where}, and saved; go on with: {command}")

    def _save(self, name: str) -> None:
        self._catch_up(self.step)
        arrays = self.save_arrays()
        arrays["random.masks"] = np.frombuffer(json.dumps(self.masks.get_state()).encode(), np.uint8)
        for key, array in part(arrays, "model.").items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise NotFiniteError(self._where(f"{key} is no longer finite"))
        if not current().first:
            return
        state = {
            "model": self.options.model,
            "framework": self.facts["framework"],
            "loaded": self.facts["loaded"],
            "dataset": self.data.facts(),
            "epoch": self.epoch,
            "step": self.step if self.first_of_update else self.step - self.step % self.options.accumulate,
            "steps_per_epoch": self.steps,
            "meter": self.meter.state(),
            "seconds": self.seconds,
            "metrics": self.history,
            "options": as_dict(self.options),
        }
        self.folder.restore()
        save_checkpoint(self.folder.path / f"{name}.safetensors", arrays, state)

    def _resume(self, path: Path, load: Callable[[Arrays], None]) -> tuple[Path, bool]:
        """Take everything from the checkpoint; returns the folder to go on in, and whether that is a new one."""
        arrays, state = load_checkpoint(path)
        expected = {key: array.shape for key, array in part(self.save_arrays(), "model.").items()}
        check_weights(part(arrays, "model."), expected, path, models()[self.options.model].head)
        check_finite(part(arrays, "model."), path)
        if state["steps_per_epoch"] != self.steps:
            raise OptionError(
                f"{path} was trained in {state['steps_per_epoch']} steps an epoch, these images make {self.steps}: "
                "it is another data set"
            )
        load(arrays)
        if "random.masks" in arrays:
            self.masks.set_state(json.loads(arrays["random.masks"].tobytes()))
        self.facts["loaded"] = state.get("loaded", [])
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.meter, self.history = Meter.restored(state["meter"]), state["metrics"]
        if self.epoch > self.options.epochs:
            raise OptionError(f"--epochs {self.options.epochs}: {path} has {self.epoch} epochs behind it already")
        folder, new = current().from_first(lambda: self._folder_to_go_on_in(path))
        where = f"epoch {self.epoch + 1}, {self._next_step(self.step)}"
        print(
            f"resumed {path}: {where if self.epoch < state['options']['epochs'] else f'its {self.epoch} epochs are done'}"
        )
        if state["options"]["epochs"] != self.options.epochs:
            planned = f"{state['options']['epochs']} epochs were planned, now {self.options.epochs}"
            print(f"note: {planned}; the learning rate goes on where that plan has it")
        for name in ("framework", "device", "data"):
            then = state["options"][name] if name != "framework" else state[name]
            now = getattr(self.options, name) if name != "framework" else self.facts[name]
            if then != now:
                print(f"note: the checkpoint was written with {name} {then}, this run goes on with {now}")
        return Path(folder), new

    def _folder_to_go_on_in(self, path: Path) -> tuple[str, bool]:
        """The checkpoint's own run folder, or the new one (True) that --out names: a branch of the run."""
        folder, out = path.parent, self.options.out
        if out is not None and Path(out).resolve() != folder.resolve():
            branch = new_folder(out, self.options.model, self.data.val.name)
            best = folder / "best.safetensors"
            if best.is_file() and load_checkpoint(best)[1]["epoch"] <= self.epoch:
                try:
                    write_atomically(branch / best.name, best.read_bytes())
                except WriteError:
                    remove_run(branch)
                    raise
            return str(branch), True
        if not (folder / "config.json").is_file():
            raise OptionError(f"{path} is not in a run folder: name the folder to go on in with --out")
        last = folder / "last.safetensors"
        if last.is_file() and last.resolve() != path.resolve():
            there = load_checkpoint(last)[1]
            if (there["epoch"], there["step"]) > (self.epoch, self.step):
                raise OptionError(
                    f"{path} is older than {last}, which would be lost: resume that one, or give --out for a new folder"
                )
        return str(folder), False

    def _config(self) -> dict[str, Any]:
        data = self.data
        return {
            "options": as_dict(self.options),
            "command": shlex.join([Path(sys.executable).name, *sys.argv]),
            "dataset": {"training_images": len(data.train), "validation_images": len(data.val), **data.facts()},
            "steps_per_epoch": self.steps,
            "ranks": current().size,
            **self.facts,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "cpus": os.cpu_count(),
        }


def weights_to_load(options: Options, shapes: dict[str, tuple[int, ...]], head: str) -> Arrays:
    """The weights to put into a new model: what --evaluate measures, or what --weights starts from.

    {} where there is nothing to load, and for a run that goes on, which takes all from its checkpoint. The keys of the
    last layer, `head`, are missing where a run starts from weights for other classes. CheckpointError unless the keys
    and shapes are the model's.
    """
    if options.weights is not None and options.resume is None:
        weights = initial_weights(options.weights, options.model, shapes, head)
        if options.evaluate and len(weights) < len(shapes):
            raise CheckpointError(f"{options.weights} is for other classes than the data's: nothing can be measured")
        return weights
    if options.evaluate:
        path = find_checkpoint(str(options.resume), "best.safetensors")
        weights = load_checked(path, shapes, head)
        check_finite(weights, path)
        print(f"weights: {path}")
        return weights
    if options.freeze_backbone and options.resume is None:
        print("note: --freeze-backbone without --weights: the last layer learns from features that are random")
    return {}


def main(train: Callable[[Options], None], models: Sequence[str]) -> int:
    """Run a script: parse the options, train, and turn a user's mistakes into one line and exit code 2."""
    name = Path(sys.argv[0]).name
    return program.run(lambda: run_script(train, models, sys.argv[1:], name, name))


def run_script(
    train: Callable[[Options], None], models: Sequence[str], arguments: Sequence[str], script: str, command: str
) -> int:
    """Train, or evaluate. script: its file's name, which has options of its own; command: what --help calls it."""
    # A loss that is not finite ends the run in one line that says where; NumPy's warnings on the way there say less.
    warnings.filterwarnings("ignore", r"(overflow|invalid value|divide by zero) encountered", RuntimeWarning)
    with captured(), together():
        options = parse_options(arguments, models, script, command)
        if current().size > 1:
            current().agree(
                "options", {name: value for name, value in as_dict(options).items() if name not in MAY_DIFFER}
            )
        check_shared(options)
        check_folder(options)
        train(options)
    return 0
