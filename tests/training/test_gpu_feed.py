"""Training on a GPU waits for it where the loss is printed, and nowhere else; the numbers are those of the host."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.training import Data, Feed, Meter, Tally, parse_options
from minigrad.training.folder import RunFolder
from minigrad.training.mixing import drawn, mixed
from minigrad.training.progress import Progress
from tests import emulator
from tests.emulator.launches import note

SMALL = (
    "--device gpu --limit-train 18 --limit-val 4 --batch-size 2 --image-size 16 --epochs 1 --warmup 0 --print-freq 4"
).split()

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(emulator.compiler() is None, reason="no g++ to emulate CUDA with"),
]
on_standin = pytest.mark.skipif(emulator.real_cupy() is not None, reason="the stand-in counts")


@pytest.fixture
def script(call_script: Callable[..., int], tmp_path: Path) -> Callable[..., Path]:
    """script(*options): train; the run folder."""
    count = iter(range(10))

    def run(*options: str) -> Path:
        folder = tmp_path / str(next(count))
        assert call_script("train_minigrad", *SMALL, *options, "--out", str(folder)) == 0
        return folder

    return run


def metrics(folder: Path) -> list[dict[str, Any]]:
    """What a run measured, but for its speed and memory."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: row[key] for key in row if key[:4] in ("trai", "val_", "epoc")} for row in rows]


@on_standin
@pytest.mark.parametrize(
    "more", [(), ("--no-capture", "--accumulate", "2"), ("--data-on-device",)], ids=["captured", "as it is", "kept"]
)
def test_the_host_waits_where_the_loss_is_printed(more, script, monkeypatch) -> None:
    update = Progress.update

    def updated(self: Progress, images: int, loss: float | None = None) -> None:
        note("step", self.title + (", printed" if self.is_due else ""))
        update(self, images, loss)

    monkeypatch.setattr(Progress, "update", updated)
    with emulator.counted() as launches:
        script(*more)
    steps = [i for i, launch in enumerate(launches) if launch.kind == "step" and launch.name.startswith("epoch")]
    assert len(steps) == 9
    for begin, end in zip(steps[:-1], steps[1:], strict=True):
        kinds = [launch.kind for launch in launches[begin:end]]
        assert ("to host" in kinds or "wait" in kinds) == launches[end].name.endswith("printed")
        if (
            "--no-capture" not in more and launches[end].name.endswith("1/1") and steps.index(end) > 4
        ):  # three to warm up, one to capture
            assert kinds.count("graph") == 1 and kinds.count("kernel") == 1  # which counts the hits


def test_what_is_read_seldom_is_what_is_read_each_step(script, monkeypatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr(RunFolder, "write_step", lambda self, values, step: written.append((values, step)))
    often, seldom = (metrics(script("--print-freq", n)) for n in ("1", "50"))
    assert often == seldom and len(often) == 1
    assert len(written) == 2 and written[0] == written[1] and written[0][1] == 0


def test_a_loss_that_is_not_finite_is_found_at_its_step(call_script, tmp_path, capsys) -> None:
    lines = []
    for n in ("1", "7"):
        assert call_script("train_minigrad", *SMALL, "--lr", "1e38", "-p", n, "--out", str(tmp_path / n)) == 2
        lines.append(capsys.readouterr().err)
    assert lines[0] == lines[1] and "the loss is nan" in lines[0] and "step 1 of" not in lines[0]


@pytest.mark.parametrize("mixup", ["0", "0.4"])
def test_what_is_received_is_what_the_host_makes(mixup: str) -> None:
    options = parse_options([*SMALL, "--mixup", mixup], ["simplenet"], "train_minigrad.py")
    data = Data(options)
    feed = Feed(data, minigrad.get_device("gpu"), "train")
    for step, batch in enumerate(data.train_loader.epoch(0)):
        sent = feed.send(batch.images, batch.labels, drawn(options, 0, step, len(batch.labels)))
        images, targets = feed.receive(*sent)
        wanted = mixed(options, 0, step, data.inputs(batch.images), batch.labels, data.num_classes)
        for ours, theirs in zip((images, targets), wanted, strict=True):
            np.testing.assert_array_equal(ours.numpy(force=True), theirs)
        assert images.array.transpose(0, 2, 3, 1).flags.c_contiguous and images.dtype == np.float32


def test_a_tally_counts_as_a_meter() -> None:
    random, device = np.random.default_rng(0), minigrad.get_device("gpu")
    tally = Tally(device, 3)
    for classes in (3, 40, 1500):
        logits = random.integers(0, 9, (37, classes)).astype(np.float32)  # with equals
        logits[3, 0], logits[5] = np.nan, np.nan
        labels, meter = random.integers(0, classes, 37), Meter()
        labels[3:5] = 0
        meter.update(2.5, logits, labels)
        norm = minigrad.tensor(1.5).to(device) if classes == 40 else None
        tally.add(*(minigrad.tensor(x).to(device) for x in (np.float32(2.5), logits, labels)), norm)
        if classes < 1500:
            assert not tally.is_full
        expected = (meter.state(), 1.5 if norm is not None else None)
        ((counted, length),) = tally.read()
        assert (counted.state(), length) == expected
    assert tally.read() == []


@on_standin
def test_a_run_on_images_that_the_gpu_keeps_is_the_same(script, call_script, capsys) -> None:
    plain, kept = script("--mixup"), script("--mixup", "--data-on-device")
    assert metrics(plain) == metrics(kept)
    capsys.readouterr()
    assert (
        call_script("train_minigrad", "--resume", str(kept), "--evaluate", "--data-on-device", "--device", "gpu") == 0
    )
    assert "val images to gpu:0" not in capsys.readouterr().err


@on_standin
def test_images_that_the_gpu_cannot_keep_are_one_line(call_script, tmp_path, capsys, monkeypatch) -> None:
    def refused(*options: str) -> str:
        assert call_script("train_minigrad", *SMALL, "--data-on-device", *options, "--out", str(tmp_path / "a")) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        assert not (tmp_path / "a").exists()
        return line

    assert "keeps the images in a GPU's memory, and the device is the CPU" in refused("--device", "cpu")
    assert "--workers 2 has no effect" in refused("--workers", "2")
    evaluating = ("--evaluate", "--weights", "imagenet", "--model", "resnet18", "--attack", "untargeted", "--audit")
    assert call_script("train_minigrad", *evaluating, "--data-on-device", "--device", "gpu") == 2
    assert "--audit takes images from the host's memory" in capsys.readouterr().err
    monkeypatch.setattr(emulator.POOL, "total", emulator.POOL.used_bytes() + 2**22)
    line = refused("--limit-train", "9000")
    assert "the images of --data-on-device take 0.01 GiB, a step with --batch-size 2 needs 0.00 GiB" in line
    assert "0.00 GiB are free; leave the option out" in line or "0.00 GiB are free; it does not suffice" in line


@on_standin
def test_validation_is_captured_too(script, monkeypatch) -> None:
    monkeypatch.setattr("minigrad.training.run.VAL_BATCH", 1)
    plain = script("--no-capture", "--limit-val", "6")
    with emulator.counted() as launches:
        captured = script("--limit-val", "6")
    assert metrics(plain) == metrics(captured)
    assert sum(launch.kind == "graph" for launch in launches) == (9 - 3) + (6 - 3)  # three warm up of each


@pytest.mark.slow
@on_standin
def test_evaluation_and_its_attack_are_captured(script, call_script, monkeypatch) -> None:
    monkeypatch.setattr("minigrad.training.run.VAL_BATCH", 1)
    folder, results = script("--limit-val", "6"), []
    command = ["--resume", str(folder), "--evaluate", "--tta", "--attack", "untargeted", "--attack-steps", "5"]
    for more, graphs in ((["--no-capture"], 0), ([], (6 - 3) + (6 * 4 - 3))):  # an attack's first step is as it is
        with emulator.counted() as launches:
            assert call_script("train_minigrad", *command, *more, "--device", "gpu") == 0
        measured = json.loads((folder / "evaluation.json").read_text())
        results.append({key: measured[key] for key in measured if "top" in key or "loss" in key})
        assert sum(launch.kind == "graph" for launch in launches) == graphs
    assert results[0] == results[1] and len(results[0]) > 2
