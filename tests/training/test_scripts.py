"""Both scripts from end to end on a few embedded images: what a run leaves, and that nothing can spoil it."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from minigrad.training.checkpoints import load_checkpoint, save_checkpoint
from minigrad.training.folder import METRICS
from tests.rounding import in_float64, without_ties

Start = Callable[..., subprocess.Popen]
Call = Callable[..., int]

TINY = "--limit-train 200 --limit-val 50 --batch-size 20 --epochs 3 --warmup 1 --print-freq 1 --device cpu".split()
BN = ["--model", "simplenet-bn", "--lr", "0.05", *TINY]
PATIENCE = 600  # seconds for a run that takes a few: a guard against one that hangs, on a machine with much else to do


def wait_for(process: subprocess.Popen, text: str) -> str:
    """Read the output up to the first line that has `text`; returns that line."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError(f"{text!r} never came; the output was:\n{''.join(seen)}")


def interrupt(process: subprocess.Popen) -> tuple[int, str]:
    """Ctrl-C; returns the exit code and the rest of the output."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, output


@pytest.fixture(scope="session")
def whole(start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that nobody disturbed: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("whole")
    process = start(*BN, cwd=folder)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    (run,) = (folder / "runs").iterdir()
    return run, output


def assert_same_run(run: Path, other: Path) -> None:
    """Bit for bit the same weights, optimizer and metrics; times and memory differ."""
    for name in ("last.safetensors", "best.safetensors"):
        arrays, state = load_checkpoint(run / name)
        others, other_state = load_checkpoint(other / name)
        assert arrays.keys() == others.keys()
        for key, array in arrays.items():
            assert array.tobytes() == others[key].tobytes(), key
        assert (state["epoch"], state["step"]) == (other_state["epoch"], other_state["step"])
    assert rows(run) == rows(other)


def rows(run: Path) -> list[dict]:
    """metrics.jsonl without what depends on the machine's mood."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(tuple(line) == METRICS for line in lines)
    return [{key: line[key] for key in METRICS[:-2]} for line in lines]


def test_what_a_run_leaves(whole: tuple[Path, str], script: str) -> None:
    run, output = whole
    assert output.startswith("device: cpu (")
    assert run.name.startswith("simplenet-bn-fashion-mnist-small-2")
    config = json.loads((run / "config.json").read_text())
    said = output.splitlines()
    assert said[1] == "data: fashion-mnist-small, 200 training and 50 validation images, 10 classes"
    assert said[2] == f"model: simplenet-bn, {config['parameters']:,} parameters, images of 28 pixels"
    assert (
        said[3].startswith("recipe: 3 epochs in batches of ")
        and "; sgd, lr 0.05, momentum 0.9, weight decay " in said[3]
    )
    assert config["options"]["lr"] == 0.05 and config["dataset"]["training_images"] == 200
    assert script.removeprefix("train_") in config["framework"]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert line["images_per_second"] > 0 and line["peak_memory_bytes"] > 2**20
        assert line["train_top1"] <= line["train_top5"] <= 100
    assert lines[-1]["lr"] == 1e-8
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list(run.glob("events.out.tfevents.*"))
    arrays, state = load_checkpoint(run / "last.safetensors")
    assert state["epoch"] == 3 and state["metrics"] == lines
    assert {"model.features.2.running_mean", "optimizer.0.momentum_buffer"} <= arrays.keys()
    best = max(lines, key=lambda line: line["val_top1"])
    assert load_checkpoint(run / "best.safetensors")[1]["epoch"] == best["epoch"]


def test_killed_and_resumed_is_as_if_nothing_happened(whole: tuple[Path, str], start: Start, tmp_path: Path) -> None:
    process = start(*BN, "--out", "run", cwd=tmp_path)
    wait_for(process, "epoch 2/3  step 4/10")
    process.kill()
    process.communicate()
    resumed = start("--resume", "run", "--print-freq", "1", cwd=tmp_path)
    wait_for(resumed, "resumed run/last.safetensors: epoch 2, step 1 of 10")
    output, _ = resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == 0, output
    assert_same_run(tmp_path / "run", whole[0])


def test_ctrl_c_saves_inside_the_epoch(whole: tuple[Path, str], start: Start, tmp_path: Path) -> None:
    process = start(*BN, "--out", "run", cwd=tmp_path)
    wait_for(process, "epoch 1/3  step 3/10")
    code, output = interrupt(process)
    assert code == 130, output
    message = output.splitlines()[-1]
    assert "and saved; go on with: python " in message
    state = load_checkpoint(tmp_path / "run" / "last.safetensors")[1]
    assert (state["epoch"], state["step"]) > (0, 2)
    arguments = shlex.split(message.split("go on with: ")[1])[2:]
    resumed = start(*arguments, cwd=tmp_path)
    output, _ = resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == 0, output
    assert_same_run(tmp_path / "run", whole[0])


def test_evaluation_repeats_what_validation_found(
    whole: tuple[Path, str], call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = whole[0]
    best = max(rows(run), key=lambda row: row["val_top1"])
    assert call("--evaluate", "--resume", str(run), "--device", "cpu", "--out", str(tmp_path / "e")) == 0
    result = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert result.keys() == {"top1", "top5", "loss", "images"}
    assert (result["top1"], result["images"]) == (best["val_top1"], 50)
    assert result["loss"] == pytest.approx(best["val_loss"], rel=1e-5)
    assert capsys.readouterr().out.startswith("device: cpu")
    assert call("--evaluate", "--tta", "--resume", str(run / "best.safetensors"), "--device", "cpu") == 0
    mirrored = json.loads((run / "evaluation.json").read_text())
    assert mirrored["loss"] != pytest.approx(result["loss"], rel=1e-5)


def test_the_tracks_go_on_from_the_same_checkpoint_to_the_same_weights(
    whole: tuple[Path, str], call_script: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A checkpoint of either framework, momentum and all, is one that both can go on with, over the same batches."""
    pytest.importorskip("torch")
    without_ties(monkeypatch)
    in_float64(monkeypatch)
    arrays, state = load_checkpoint(whole[0] / "last.safetensors")
    one_epoch_more = {**state, "options": {**state["options"], "epochs": 4, "lr": 0.02}}
    weights = {}
    for track in ("torch", "minigrad"):
        run = tmp_path / track
        run.mkdir()
        shutil.copy(whole[0] / "config.json", run)
        save_checkpoint(run / "last.safetensors", arrays, one_epoch_more)
        assert call_script(f"train_{track}", "--resume", str(run), "--device", "cpu") == 0
        weights[track], after = load_checkpoint(run / "last.safetensors")
        assert after["epoch"] == 4
    assert capsys.readouterr().out.count("note: the checkpoint was written with framework") == 1
    for key, array in weights["torch"].items():
        if not key.startswith("random."):
            moved = np.linalg.norm((array - arrays[key]).ravel())
            apart = np.linalg.norm((array - weights["minigrad"][key]).ravel())
            assert moved > 0 and apart <= 1e-10 * moved, (key, moved, apart)


def refused(call: Call, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a run that must end with exit code 2."""
    assert call(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


def test_nan_stops_with_the_step_and_nothing_is_overwritten(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    line = refused(call, capsys, *TINY, "--lr", "1e30", "--warmup", "0", "--out", str(run))
    assert "error: epoch 1, step 2 of 10: " in line or "error: epoch 1, step 3 of 10: " in line
    assert "nan" in line or "inf" in line
    arrays, state = load_checkpoint(run / "last.safetensors")
    assert (state["epoch"], state["step"]) == (0, 0)
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert (run / "metrics.jsonl").read_text() == ""


@pytest.mark.filterwarnings("ignore:.*[Aa]nomaly", "ignore:Error detected in")
def test_detect_anomaly_names_the_operation(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (*TINY, "--lr", "1e30", "--warmup", "0", "--out", str(tmp_path / "run"), "--detect-anomaly")
    assert call(*arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "epoch 1, step" in last
    assert any(name in last.lower() for name in ("conv", "softmax", "linear", "cross")), last


def test_a_folder_with_a_run_is_not_overwritten(
    whole: tuple[Path, str], call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole[0] / "last.safetensors").read_bytes()
    line = refused(call, capsys, *BN, "--out", str(whole[0]))
    assert "already holds a run" in line
    assert (whole[0] / "last.safetensors").read_bytes() == before


def test_a_finished_run_has_nothing_left_to_do(
    whole: tuple[Path, str], call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole[0] / "metrics.jsonl").read_bytes()
    assert call("--resume", str(whole[0]), "--device", "cpu") == 0
    assert "nothing is left to do" in capsys.readouterr().out
    assert (whole[0] / "metrics.jsonl").read_bytes() == before


def test_bad_input_is_one_line(
    whole: tuple[Path, str], call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = whole[0]
    assert "resnet1000" in refused(call, capsys, "--model", "resnet1000")
    assert "--epochs" in refused(call, capsys, "--epochs", "-1")
    assert "toaster" in refused(call, capsys, "--device", "toaster")
    assert "gpu:99" in refused(call, capsys, "--device", "gpu:99")
    assert "/nowhere" in refused(call, capsys, "--data", "/nowhere", "--out", str(tmp_path / "a"))
    assert "1000" in refused(call, capsys, *TINY[:4], "--batch-size", "1000", "--out", str(tmp_path / "b"))
    other = ("--evaluate", "--device", "cpu", "--resume")
    assert "is of another model" in refused(call, capsys, *other, str(_weights_of_another_model(tmp_path)))
    assert "is not a safetensors checkpoint" in refused(call, capsys, *other, str(run / "config.json"))
    truncated = tmp_path / "last.safetensors"
    truncated.write_bytes((run / "last.safetensors").read_bytes()[:-100])
    assert "last.safetensors" in refused(call, capsys, "--resume", str(tmp_path))
    assert "contradicts" in refused(call, capsys, "--resume", str(run), "--lr", "0.7")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def _weights_of_another_model(folder: Path) -> Path:
    path = folder / "other.safetensors"
    save_file({"conv.weight": np.zeros((3, 3), np.float32)}, path)
    return path
