"""Each model through both scripts: the same curve in both frameworks, given weights, masks that survive an interruption."""

from __future__ import annotations

import json
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.training import Run, folder
from minigrad.training.checkpoints import load_checkpoint
from minigrad.weights import save_weights
from models import create
from tests.rounding import in_float64, without_ties

Call = Callable[..., int]

FEW = "--limit-train 64 --limit-val 20 --batch-size 16 --epochs 2 --device cpu".split()
BN = ["--model", "simplenet-bn", "--lr", "0.0005", *FEW]
# Small, and with all in it that is random, padded (7 x 7 tokens, windows of 4 x 4) or shifted.
VIT = "--model vit --dim 16 --heads 2 --depth 2 --drop-path 0.3 --dropout 0.1 --window-blocks all --shift".split() + FEW


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves and events take longer to draw than these runs to train; test_scripts.py looks at them."""
    monkeypatch.setattr(folder, "find_spec", lambda name: None)


def weights_file(place: Path, model: str, classes: int = 10, **settings: object) -> str:
    """A file of weights for grey images of 28 pixels; not those that a run would draw for itself."""
    minigrad.manual_seed(7)
    path = place / f"{model}.safetensors"
    save_weights(path, create(model, classes, 1, 28, **settings).state_dict())
    return str(path)


@pytest.fixture
def vit_weights(tmp_path: Path) -> str:
    return weights_file(tmp_path, "vit", patch_size=4, dim=16, heads=2, depth=2, window_blocks=[0, 1], shift=True)


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loss of each step that any script takes from here on."""
    found: list[float] = []
    record = Run.record

    def spy(run: Run, loss: float, *arrays: np.ndarray) -> None:
        found.append(loss)
        record(run, loss, *arrays)

    monkeypatch.setattr(Run, "record", spy)
    return found


def weights_of(run: Path) -> dict[str, np.ndarray]:
    return {
        key: array for key, array in load_checkpoint(run / "last.safetensors")[0].items() if key.startswith("model.")
    }


def refused(call: Call, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a run that must end with exit code 2."""
    capsys.readouterr()
    assert call(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both scripts compute in float64, on images without ties."""
    pytest.importorskip("torch")
    without_ties(monkeypatch)
    in_float64(monkeypatch)


def curves(call_script: Call, runs: Path, losses: list[float], steps: int, *arguments: str) -> list[np.ndarray]:
    """The loss of every step, of torch and of minigrad."""
    found = []
    for track in ("torch", "minigrad"):
        losses.clear()
        assert call_script(f"train_{track}", *arguments, "--out", str(runs / track)) == 0
        assert len(losses) == steps
        found.append(np.array(losses))
    return found


def test_the_vision_transformers_curves_are_the_same(
    call_script: Call, tmp_path: Path, losses: list[float], vit_weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64; and in float32 no further from there than ten times what torch is in the step that it rounds worst.

    A step changes the loss by 1e-2, and other masks by 1e-3. Torch's float32 is found 1e-7 off.
    """
    pytest.importorskip("torch")
    arguments = (*VIT, "--weights", vit_weights)
    torch32, ours32 = curves(call_script, tmp_path / "32", losses, 8, *arguments)
    of_torch, of_minigrad = (
        load_checkpoint(tmp_path / "32" / name / "last.safetensors")[0] for name in ("torch", "minigrad")
    )
    assert of_torch["random.masks"].tobytes() == of_minigrad["random.masks"].tobytes()
    in_float64(monkeypatch)
    torch64, ours64 = curves(call_script, tmp_path / "64", losses, 8, *arguments)
    np.testing.assert_allclose(ours64, torch64, rtol=1e-10)
    yardstick = max(np.abs(torch32 - torch64).max(), np.finfo(np.float32).eps * torch64.max())
    assert np.abs(ours32 - torch64).max() <= 10 * yardstick < 1e-3


@pytest.mark.slow  # ResNet-18 step by step: tests/models
def test_resnets_curves_are_the_same(decided: None, call_script: Call, tmp_path: Path, losses: list[float]) -> None:
    """In float64: in torch's own float32 a gradient of ResNet-18 is 1e-3 off where a ReLU's input is nought but for
    rounding, and its batch norm over 16 single pixels makes the most of that from step to step.
    """
    weights = weights_file(tmp_path, "resnet18")
    options = ["--model", "resnet18", "--lr", "0.0001", *FEW, "--epochs", "1", "--weights", weights]
    torchs, ours = curves(call_script, tmp_path, losses, 4, *options)
    np.testing.assert_allclose(ours, torchs, rtol=1e-9)


def test_the_curves_of_one_road_of_convolution_are_those_of_the_other(
    decided: None, script: str, call: Call, tmp_path: Path, losses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--custom-conv and --conv definition unfold in every step, and in evaluation; nothing does without them."""
    by_hand = ["--custom-conv"] if script == "train_torch" else ["--conv", "definition"]
    unfolded = []
    if script == "train_torch":
        import torch.nn.functional as owner
    else:
        import minigrad.backends.cpu as owner
    unfold = owner.unfold
    monkeypatch.setattr(owner, "unfold", lambda *a, **named: (unfolded.append(1), unfold(*a, **named))[1])
    assert call(*BN, "--out", str(tmp_path / "fast")) == 0
    assert not unfolded
    assert call(*BN, *by_hand, "--out", str(tmp_path / "run")) == 0
    assert losses[8:] == pytest.approx(losses[:8], rel=1e-9)  # batch norm magnifies rounding from step to step
    assert len(unfolded) >= (8 + 2) * 7  # in each of 8 steps and 2 batches of validation, by each of 7 layers
    unfolded.clear()
    assert call("--resume", str(tmp_path / "run"), "--evaluate", "--limit-val", "10", "--device", "cpu") == 0
    assert len(unfolded) == 7  # the checkpoint knows that the run convolves by hand


class Killed(BaseException):
    """What ends a run on the spot, as a kill would."""


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_masks_survive_an_interruption(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A run that was stopped inside its second epoch ends with the weights of one that was not, bit for bit."""
    assert call(*VIT, "--out", str(tmp_path / "whole")) == 0
    record = Run.record
    steps = []

    def stop(run: Run, *arguments: object) -> None:
        steps.append(1)
        if len(steps) == 6 and how == "killed":
            raise Killed
        if len(steps) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        record(run, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "record", stop)
        if how == "killed":
            with pytest.raises(Killed):
                call(*VIT, "--out", str(tmp_path / "run"))
        else:
            assert call(*VIT, "--out", str(tmp_path / "run")) == 130
    assert call("--resume", str(tmp_path / "run"), "--device", "cpu") == 0
    whole, again = (load_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("whole", "run"))
    assert whole.keys() == again.keys()
    for key, array in whole.items():
        assert array.tobytes() == again[key].tobytes(), key


def test_a_run_of_one_track_is_evaluated_by_the_other(
    decided: None, call_script: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From its folder, which knows the settings, and from its weights alone, for which they have to be given."""
    pytest.importorskip("torch")
    found = []
    for trained in ("torch", "minigrad"):
        run = tmp_path / trained
        assert call_script(f"train_{trained}", *VIT, "--lr", "0.01", "--out", str(run)) == 0
        of_file = [*VIT, "--weights", str(run / "best.safetensors")]
        for source in (["--resume", str(run), "--device", "cpu"], of_file):
            for track in ("torch", "minigrad"):
                out = tmp_path / f"{trained}-{source[0].strip('-')}-{track}"
                assert call_script(f"train_{track}", "--evaluate", *source, "--out", str(out)) == 0
                found.append(json.loads((out / "evaluation.json").read_text()))
        best = max(load_checkpoint(run / "last.safetensors")[1]["metrics"], key=lambda row: row["val_top1"])
        for result in found[-4:]:
            assert (result["top1"], result["top5"]) == (best["val_top1"], best["val_top5"])
            assert result["loss"] == pytest.approx(best["val_loss"], rel=1e-10)


def test_a_new_head_for_other_classes(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = weights_file(tmp_path, "simplenet-bn", classes=7)
    assert call(*BN, "--weights", weights, "--out", str(tmp_path / "run")) == 0
    assert f"weights: {weights}: 29 of 31 keys loaded, fresh: fc.weight, fc.bias" in capsys.readouterr().out
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["options"]["weights"] == weights
    assert (
        len(config["loaded"]) == 29 and "features.0.weight" in config["loaded"] and "fc.weight" not in config["loaded"]
    )
    line = refused(call, capsys, *BN, "--evaluate", "--weights", weights, "--out", str(tmp_path / "e"))
    assert f"{weights} is for other classes than the data's: nothing can be measured" in line


def test_a_frozen_backbone_stays_as_it_was(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights, running statistics and all; resumed too, and after the file of the weights is gone."""
    weights = Path(weights_file(tmp_path, "simplenet-bn", classes=7))
    run = tmp_path / "run"
    assert call(*BN, "--weights", str(weights), "--freeze-backbone", "--out", str(run)) == 0
    assert "note" not in capsys.readouterr().out
    config = json.loads((run / "config.json").read_text())
    assert config["trained_parameters"] == 512 * 10 + 10 < config["parameters"]
    trained = weights_of(run)
    start = {f"model.{key}": array for key, array in minigrad.weights.load_weights(weights).items()}
    for key, array in trained.items():
        assert key.startswith("model.fc.") or array.tobytes() == start[key].tobytes(), key

    arrays, state = load_checkpoint(run / "last.safetensors")
    assert {key for key in arrays if key.startswith("optimizer.")} == {f"optimizer.{i}.momentum_buffer" for i in (0, 1)}
    weights.unlink()
    minigrad.training.save_checkpoint(
        run / "last.safetensors", arrays, {**state, "options": {**state["options"], "epochs": 3, "lr": 0.02}}
    )
    assert call("--resume", str(run), "--device", "cpu") == 0
    for key, array in weights_of(run).items():
        assert (array.tobytes() == trained[key].tobytes()) == (not key.startswith("model.fc.")), key
    assert json.loads((run / "config.json").read_text())["loaded"] == config["loaded"]


def test_a_frozen_backbone_without_weights_is_told(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*VIT, "--freeze-backbone", "--out", str(tmp_path / "run")) == 0
    assert "note: --freeze-backbone without --weights" in capsys.readouterr().out


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch exploded",))


def test_bad_input_is_one_line(
    script: str, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)

    def line(*arguments: str) -> str:
        return refused(call, capsys, *arguments, "--device", "cpu")

    vit = ("--model", "vit")
    assert "patch_size has to divide image_size, but is 5 for images of 28" in line(*vit, "--patch-size", "5")
    assert "heads has to divide dim, but is 4 for a dim of 18" in line(*vit, "--dim", "18")
    assert "window_blocks has to be among the blocks 0 to 3, but names [4]" in line(*vit, "--window-blocks", "1,4")
    assert "block numbers such as 0,2, or none, or all" in line(*vit, "--window-blocks", "0;2")
    assert "--window-size" in line(*vit, "--window-size", "0")
    assert "simplenet has no --depth 3: that is an option of vit" in line("--depth", "3")
    if script == "train_torch":
        assert "train_torch.py has --custom-conv in its place" in line("--conv", "definition")
    else:
        assert "train_minigrad.py has --conv definition in its place" in line("--custom-conv")

    other = weights_file(tmp_path, "simplenet")
    assert "simplenet.safetensors is of another model: it lacks" in line(*vit, "--weights", other)
    torch.save(Bomb(), "bomb.pth")
    assert "bomb.pth is refused" in line("--weights", "bomb.pth")
    Path("renamed.safetensors").write_bytes(pickle.dumps(Bomb()))
    assert "renamed.safetensors is not a safetensors" in line("--weights", "renamed.safetensors")
    assert not Path("exploded").exists()
    assert "there is no checkpoint nowhere.pth" in line("--weights", "nowhere.pth")
    assert "--weights imagenet is for resnet18 alone" in line(*vit, "--weights", "imagenet")

    def no_network(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    missing = line("--model", "resnet18", "--weights", "imagenet")
    assert "cannot be downloaded" in missing and "resnet18-f37072fd.pth" in missing and "--weights FILE" in missing
    assert not Path("runs").exists()
