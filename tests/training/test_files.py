"""What strangers' files and disks do to a run: one line and exit code 2, before anything is made where that can be known, and
never a lost epoch or a broken checkpoint. Both scripts."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import minigrad
from compare.kit.plots import write_picture
from compare.kit.result import write_result
from minigrad.convert import convert
from minigrad.errors import OptionError, WriteError
from minigrad.files import check_target
from minigrad.training import folder as folder_module
from minigrad.training.checkpoints import load_checkpoint, save_checkpoint
from minigrad.training.curves import draw_curves
from minigrad.training.folder import METRICS, RunFolder, write_json
from minigrad.training.pictures import Attacked, draw_attack
from minigrad.training.run import Data
from minigrad.weights import save_weights
from models import create
from tests.training.conftest import ENVIRONMENT, ROOT

Call = Callable[..., int]
TINY = "--image-size 16 --batch-size 4 --epochs 2 --lr 0.01 --workers 0 --device cpu".split()
FEW = "--limit-train 8 --limit-val 4 --batch-size 4 --epochs 1 --device cpu".split()


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Curves and events take longer to draw than these runs to train."""
    if "script" in request.fixturenames:
        monkeypatch.setattr(folder_module, "find_spec", lambda name: None)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder of 2 classes, 12 training and 4 validation images."""
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for i in range(count):
                image = Image.fromarray(random.integers(0, 256, (20, 24, 3), np.uint8))
                image.save(tmp_path / "pets" / split / name / f"{i}.png")
    return tmp_path / "pets"


def refused(call: Call, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line of a run that must end with exit code 2."""
    capsys.readouterr()
    assert call(*map(str, arguments)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


def assert_same(run: Path, other: Path) -> None:
    """The same weights, optimizer, random state and metrics, bit for bit."""
    (arrays, state), (others, other_state) = (load_checkpoint(place / "last.safetensors") for place in (run, other))
    assert arrays.keys() == others.keys()
    for key, array in arrays.items():
        assert array.tobytes() == others[key].tobytes(), key
    rows = [[{key: row[key] for key in METRICS[:-2]} for row in each["metrics"]] for each in (state, other_state)]
    assert rows[0] == rows[1] and len(rows[0]) == 2


def cut_short(file: Path) -> bytes:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    return whole


def damage(file: Path) -> bytes:
    """In the middle, where no look at header and end finds it."""
    whole = bytearray(file.read_bytes())
    before = bytes(whole)
    whole[len(whole) // 2] ^= 0xFF
    file.write_bytes(whole)
    return before


# ---- bad images --------------------------------------------------------------------------------------------------


def test_bad_files_are_found_before_anything_is_made(
    call: Call, pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["--data", pets, *TINY, "--out", tmp_path / "run"]
    bad = pets / "val" / "dog" / "1.png"
    whole = cut_short(bad)
    line = refused(call, capsys, *run)
    assert line.startswith(f"error: {bad} is truncated or broken") and "more" not in line
    (pets / "train" / "cat" / "3.png").write_bytes(b"no image")
    line = refused(call, capsys, *run)
    assert "train/cat/3.png is not an image; and 1 more, such as " in line and str(bad) in line
    bad.write_bytes(whole)
    Image.fromarray(np.ones((20, 24), np.float32)).save(pets / "train" / "cat" / "3.png", "TIFF")
    assert "3.png is of floats, and does not say which number is white" in refused(call, capsys, *run)
    assert not (tmp_path / "run").exists()


def test_evaluation_looks_at_its_files_first(
    call: Call, pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_weights(tmp_path / "w.pth", create("simplenet", 2, 3).state_dict())
    cut_short(pets / "val" / "dog" / "1.png")
    (pets / "train" / "cat" / "0.png").write_bytes(b"of no concern")
    line = refused(call, capsys, "--data", pets, *TINY, "--evaluate", "--weights", tmp_path / "w.pth")
    assert "val/dog/1.png is truncated" in line
    assert not (tmp_path / "evaluation.json").exists()


@pytest.mark.parametrize("split", ["val", "train"])
def test_a_run_that_meets_a_bad_image_goes_on_where_it_was(
    split: str,
    call: Call,
    pets: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An epoch is saved before it is validated: what is left is validation, and the end is the same to the bit."""
    run = ["--data", str(pets), "--model", "simplenet-bn", *TINY]
    assert call(*run, "--out", str(tmp_path / "whole")) == 0
    bad = pets / split / "dog" / "1.png"
    before = damage(bad)
    out = tmp_path / "run"
    line = refused(call, capsys, *run, "--out", out)
    assert f"{bad} is truncated or broken" in line and f"once that is mended, --resume {out}" in line
    state = load_checkpoint(out / "last.safetensors")[1]
    assert state["epoch"] == 0 and (state["step"] == 3 if split == "val" else state["step"] < 3)
    assert "is truncated or broken" in refused(call, capsys, "--resume", out, "--device", "cpu")
    again = load_checkpoint(out / "last.safetensors")[1]
    assert again["step"] == state["step"] and again["meter"] == state["meter"]  # nothing was done twice
    bad.write_bytes(before)
    assert call("--resume", str(out), "--device", "cpu") == 0
    said = capsys.readouterr().out
    assert ("epoch 1, after its last step" in said) == (split == "val")
    assert_same(out, tmp_path / "whole")


def test_the_look_into_files_can_be_left_out(
    call: Call, pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short(pets / "val" / "dog" / "1.png")
    out = tmp_path / "run"
    line = refused(call, capsys, "--data", pets, *TINY, "--no-check-files", "--out", out)
    assert "val/dog/1.png is truncated" in line and "saved up to here" in line
    monkeypatch.setattr(Data, "check_files", lambda data: pytest.fail("it looked"))
    assert "saved up to here" in refused(call, capsys, "--resume", out, "--no-check-files", "--device", "cpu")


def test_what_is_left_out_is_said_once(
    call: Call, pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        (pets / split / ".ipynb_checkpoints").mkdir()
        shutil.copy(pets / "val" / "dog" / "1.png", pets / split / ".ipynb_checkpoints")
    (pets / "train" / "cat" / "@eaDir").mkdir()
    assert call("--data", str(pets), *TINY, "--epochs", "1", "--out", str(tmp_path / "run")) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert said == [
        f"left out of {pets / 'val'}: .ipynb_checkpoints",
        f"left out of {pets / 'train'}: .ipynb_checkpoints, @eaDir",
    ]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["dataset"]["classes"] == 2


# ---- disks -------------------------------------------------------------------------------------------------------


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow above `size` bytes: what a full disk is to whoever writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_line_and_the_last_checkpoint_is_whole(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with largest_file(1_000_000):
        line = refused(call, capsys, *FEW, "--out", out)
    assert "run/last.safetensors cannot be written (File too large): what was there is as it was" in line
    assert not out.exists()  # the name can be used again
    assert call(*FEW, "--epochs", "2", "--out", str(out)) == 0
    arrays, state = load_checkpoint(out / "last.safetensors")
    save_checkpoint(out / "last.safetensors", arrays, {**state, "options": {**state["options"], "epochs": 3}})
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with largest_file(1_000_000):
        assert "last.safetensors cannot be written" in refused(call, capsys, "--resume", out, "--device", "cpu")
    after = {file.name: file.read_bytes() for file in out.iterdir()}
    assert after.keys() == before.keys() and after["last.safetensors"] == before["last.safetensors"]
    with largest_file(20):
        line = refused(call, capsys, "--resume", out, "--device", "cpu")
        assert "config.json cannot be written" in line
        line = refused(call, capsys, "--resume", out, "--device", "cpu", "--out", tmp_path / "branch")
        assert "branch/best.safetensors cannot be written" in line and not (tmp_path / "branch").exists()
        line = refused(call, capsys, "--evaluate", "--resume", out, "--device", "cpu")
        assert "cannot write" in line and "evaluation.json (File too large)" in line
    assert call("--resume", str(out), "--device", "cpu") == 0


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_opened(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    assert call(*FEW, "--out", str(out)) == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    access = os.access

    def read_only(path: Any, mode: int) -> bool:  # as on a disk that is mounted so; to root all is allowed elsewhere
        return access(path, mode) and not (mode & os.W_OK and Path(path).is_relative_to(out))

    monkeypatch.setattr(os, "access", read_only)
    monkeypatch.setattr(Data, "__init__", lambda *_: pytest.fail("data were opened"))
    for arguments in (["--resume", out], ["--resume", out, "--evaluate"], [*FEW, "--out", out / "inner" / "run"]):
        assert "only read: name a folder with --out" in refused(call, capsys, *arguments)
    (tmp_path / "file").touch()
    assert "is not a folder" in refused(call, capsys, *FEW, "--out", tmp_path / "file" / "run")
    assert "already holds a run" in refused(call, capsys, *FEW, "--out", out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


ROW = dict.fromkeys(METRICS, 1.0) | {"epoch": 1}
STATE = {"w": np.zeros(100, np.float32)}
PICTURE = Attacked(
    [0], np.zeros(1, int), np.zeros((1, 8, 8, 1)), np.ones((1, 8, 8, 1)), np.ones((1, 2)), np.ones((1, 2))
)
WRITERS: dict[str, Callable[[Path], Any]] = {
    "last.safetensors": lambda path: save_checkpoint(path, STATE, {}),
    "config.json": lambda path: write_json(path, {"a": 1}),
    "metrics.jsonl": lambda path: RunFolder(path.parent, "").write_metrics([ROW]),
    "curves.png": lambda path: draw_curves([ROW], path, "title"),
    "events.out.tfevents...": lambda path: RunFolder(path.parent, "").write_events(ROW),
    "attack.png": lambda path: draw_attack(path, PICTURE, ["a", "b"], "title"),
    "w.safetensors": lambda path: save_weights(path, STATE),
    "w.pth": lambda path: save_weights(path, STATE),
    "picture.png": lambda path: write_picture(path, {"a": b"a" * 100}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_says_which_file_and_why(name: str, tmp_path: Path) -> None:
    if not name.startswith(("events", "metrics")):
        (tmp_path / name).write_bytes(b"precious")
    with largest_file(5), pytest.raises(WriteError) as error:
        WRITERS[name](tmp_path / name)
    assert str(error.value) == f"{tmp_path / name} cannot be written (File too large): what was there is as it was"
    for file in tmp_path.iterdir():
        assert file.read_bytes() == b"precious" or (name.startswith("events") and file.stat().st_size <= 5)


def test_results_and_conversions_name_their_option(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.pth", STATE)
    with largest_file(5):
        with pytest.raises(OptionError, match="--json .*r.json: File too large"):
            write_result(tmp_path / "r.json", {"a": 1})
        with pytest.raises(OptionError, match="w.safetensors cannot be written .File too large"):
            convert(tmp_path / "w.pth", tmp_path / "w.safetensors")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OptionError, match="--json .*pipe: no file can be written there"):
        check_target(tmp_path / "pipe", "--json")
    assert sorted(os.listdir(tmp_path)) == ["pipe", "w.pth"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no disk that is always full")
def test_a_log_on_a_full_disk_is_no_traceback(script: str, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", create("simplenet", 10, 1).state_dict())
    arguments = ["--evaluate", "--weights", "w.safetensors", "--limit-val", "4", "--device", "cpu"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, str(ROOT / f"{script}.py"), *arguments],
            cwd=tmp_path,
            env=ENVIRONMENT,
            text=True,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")


# ---- weights -----------------------------------------------------------------------------------------------------


def test_what_cannot_be_learnt_from_is_refused_before_a_folder_is_made(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused(call, capsys, *FEW, "--model", "resnet18", "--batch-size", "1")
    assert "--model resnet18 --batch-size 1 --image-size 28: the network cannot learn from such images" in line
    assert "more than 1 value per channel" in line
    line = refused(call, capsys, *FEW, "--model", "simplenet-bn", "--batch-size", "1", "--image-size", "8")
    assert "--model simplenet-bn --batch-size 1 --image-size 8" in line
    state = {key: value.numpy() for key, value in create("simplenet", 10, 1).state_dict().items()}
    for name, value in {"nan.pth": np.nan, "inf.safetensors": -np.inf, "large.pth": 1e300}.items():
        save_weights(name, {**state, "fc.bias": np.full(10, value)})
        for more in ([], ["--evaluate"]):
            line = refused(call, capsys, *FEW, "--weights", name, *more)
            assert f"{name} is of no use: NaN or infinite numbers are in fc.bias" in line
    save_weights("complex.pth", {**state, "fc.bias": np.zeros(10, np.complex64)})
    assert "holds no real numbers in fc.bias" in refused(call, capsys, *FEW, "--weights", "complex.pth")
    for option in ("--lr", "--weight-decay", "--clip-grad"):
        assert f"{option}: a number" in refused(call, capsys, *FEW, option, "1e39")
    assert not Path("runs").exists() and not Path("evaluation.json").exists()


def test_a_batch_of_one_image_will_do_where_nothing_is_normalised_over_it(call: Call, tmp_path: Path) -> None:
    small = "--limit-train 2 --limit-val 2 --batch-size 1 --epochs 1 --device cpu --warmup 0".split()
    assert call(*small, "--out", str(tmp_path / "plain")) == 0
    assert call(*small, "--model", "simplenet-bn", "--freeze-backbone", "--out", str(tmp_path / "frozen")) == 0


def test_a_rehearsal_leaves_no_trace(call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks, statistics and weights of a first step are those of a run without it."""
    for track in ("minigrad", "torch"):
        script = pytest.importorskip(f"train_{track}")
        vit = "--model vit --dim 8 --heads 1 --depth 1 --dropout 0.5 --patch-size 14".split()
        for model in (vit, ["--model", "simplenet-bn"]):
            run = tmp_path / f"{track}-{model[1]}"
            assert call_script(f"train_{track}", *model, *FEW, "--out", str(run)) == 0
            with monkeypatch.context() as patch:
                patch.setattr(script, "rehearse", lambda *_: None)
                assert call_script(f"train_{track}", *model, *FEW, "--out", f"{run}-without") == 0
            arrays, others = (load_file(f"{place}/last.safetensors") for place in (run, f"{run}-without"))
            assert all(array.tobytes() == others[key].tobytes() for key, array in arrays.items())


@pytest.mark.parametrize("name", ["best.ckpt", "best.bin", "best.tar", "weights.th"])
def test_scripts_take_weights_of_any_name_and_with_a_prefix(
    name: str, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    minigrad.manual_seed(3)
    state = create("simplenet", 10, 1).state_dict()
    path = tmp_path / name
    if name.startswith("best"):
        arrays = {f"model.{key}": value.numpy() for key, value in state.items()}
        save_checkpoint(tmp_path / "b.safetensors", arrays, {"options": {"model": "simplenet", "settings": {}}})
        (tmp_path / "b.safetensors").rename(path)
        options = ["--resume", str(path)]
    else:
        wrapped = {f"module._orig_mod.{key}": torch.from_numpy(value.numpy()) for key, value in state.items()}
        torch.save({"model": wrapped}, path)
        options = ["--weights", str(path)]
    results = []
    save_weights(tmp_path / "plain.safetensors", state)
    for source in (options, ["--weights", str(tmp_path / "plain.safetensors")]):
        assert call("--evaluate", *source, "--limit-val", "20", "--device", "cpu", "--out", str(tmp_path / "e")) == 0
        results.append(json.loads((tmp_path / "e" / "evaluation.json").read_text()))
    assert results[0] == results[1]
    said = capsys.readouterr().out
    assert ("dropped the leading 'module._orig_mod.' of its keys" in said) == (name == "weights.th")
    torch.save(torch.ones(3), tmp_path / "tensor.pth")
    line = refused(call, capsys, *FEW, "--weights", tmp_path / "tensor.pth")
    assert "tensor.pth holds no state_dict, but a tensor alone, float32 (3,)" in line
