"""--defence in both scripts: the same run, resumed bit for bit, recorded; and what is refused."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.errors import OptionError
from minigrad.training import folder
from minigrad.training.checkpoints import load_checkpoint
from minigrad.training.defences import defence_in_words, symptoms_in_words
from minigrad.training.options import Options, as_dict, parse_options
from minigrad.training.run import Run
from minigrad.weights import save_weights
from models import MODELS, create
from tests.rounding import in_float64, without_ties

Call = Callable[..., int]
TINY = "--limit-train 60 --limit-val 20 -b 10 --warmup 0 --model simplenet-bn --lr 0.02 --device cpu".split()
ALL = {
    "pgd": "--norm l2 --epsilon 0.5 --attack-steps 2",
    "trades": "--epsilon 0.1 --attack-units pixel --attack-steps 2 --beta 3 --mixup 0.4",
    "mart": "--epsilon 0.2 --attack-steps 2",
    "fast": "--epsilon 0.1",
    "free": "--epsilon 0.1 --replays 3 --attack-units pixel",
    "noise": "--noise 0.5 --label-smoothing 0.1",
}


@pytest.fixture(autouse=True)
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves and events take longer to draw than these runs to train."""
    monkeypatch.setattr(folder, "find_spec", lambda name: None)


def parse(*arguments: str) -> Options:
    return parse_options(arguments, list(MODELS), "train_minigrad.py")


def rows(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ALL)
def test_both_scripts_train_alike(
    name: str, call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the same weights, in float64."""
    pytest.importorskip("torch")
    without_ties(monkeypatch)
    in_float64(monkeypatch)
    minigrad.manual_seed(3)
    save_weights(tmp_path / "start.safetensors", create("simplenet-bn", 10, 1, 28).state_dict())
    options = ["--epochs", "1", "--weights", str(tmp_path / "start.safetensors"), "--defence", name, *ALL[name].split()]
    found = {}
    for script in ("torch", "minigrad"):
        assert call_script(f"train_{script}", *TINY, *options, "--out", str(tmp_path / script)) == 0
        assert f"defence: {name}" in capsys.readouterr().out
        found[script], _ = load_checkpoint(tmp_path / script / "last.safetensors")
    assert (name == "free") == ("defence.perturbation" in found["minigrad"])
    for key, array in found["torch"].items():
        if not key.startswith("random."):
            apart = np.abs(array - found["minigrad"][key]).max()
            assert apart <= 1e-8 * max(np.abs(array).max(), 1e-3), (key, apart)
    config = json.loads((tmp_path / "minigrad" / "config.json").read_text())
    assert config["options"]["defence"] == name and config["steps_per_epoch"] == (18 if name == "free" else 6)
    assert ("pgd_top1" in rows(tmp_path / "minigrad")[0]) == (name == "fast")
    if name == "fast":
        symptoms = [[row[key] for key in folder.DEFENDED] for row in (rows(tmp_path / s)[0] for s in found)]
        assert symptoms[0] == symptoms[1]


@pytest.mark.parametrize("name", ["pgd", "trades", "free", "noise"])
def test_interrupted_and_resumed_is_the_same_run(
    name: str, call: Call, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, optimizer, perturbation, random states: bit for bit; free stops between two replays of a batch."""
    options = [*TINY[2:], "--limit-train", "30", "--epochs", "1", "--defence", name, *ALL[name].split()]
    assert call(*options, "--out", str(tmp_path / "whole")) == 0
    record = Run.record

    def stop(self: Run, *given: object) -> None:
        record(self, *given)  # type: ignore[arg-type]
        if self.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "record", stop)
        assert call(*options, "--out", str(tmp_path / "run")) == 128 + signal.SIGTERM
    assert load_checkpoint(tmp_path / "run" / "last.safetensors")[1]["step"] == 2
    assert call("--resume", str(tmp_path / "run"), "--device", "cpu") == 0
    whole, resumed = (load_checkpoint(tmp_path / run / "last.safetensors")[0] for run in ("whole", "run"))
    assert whole.keys() == resumed.keys()
    assert all(whole[key].tobytes() == resumed[key].tobytes() for key in whole)


def test_the_defaults_are_those_of_the_papers() -> None:
    found = {name: parse("--defence", name, *(["--epsilon", "0.2"] if name != "noise" else [])) for name in ALL}
    assert [found[name].attack_steps for name in ("pgd", "trades", "mart")] == [7, 10, 10]
    assert [found[name].alpha for name in ("pgd", "fast", "free")] == pytest.approx([0.05, 0.25, 0.2])
    assert (found["trades"].beta, found["mart"].beta, found["free"].replays, found["noise"].noise) == (6, 5, 8, 0.25)
    assert (found["pgd"].beta, found["pgd"].replays, found["pgd"].attack, found["pgd"].adversarial) == (
        None,
        None,
        None,
        0,
    )
    assert defence_in_words(found["trades"]) == "trades, beta 6, 10 steps of 0.05 within 0.2 (linf, normalised)"
    assert parse("--defence", "fast", "--epsilon", "0.1,0.2").alpha == pytest.approx([0.125, 0.25])


def test_the_settings_of_another_defence_are_not_taken_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"options": as_dict(parse("--defence", "free", "--epsilon", "0.4", "--replays", "2"))}))
    same, other = (parse("--config", str(path), *more) for more in ((), ("--defence", "pgd")))
    assert (same.defence, same.replays, same.alpha) == ("free", 2, 0.4)
    assert (other.replays, other.attack_steps, other.alpha, other.epsilon) == (None, 7, 0.1, 0.4)
    path.write_text(json.dumps({"alpha": 0.3}))
    assert parse("--config", str(path), "--defence", "pgd").alpha == 0.3


def test_catastrophic_overfitting_is_said() -> None:
    told = symptoms_in_words({"fast_top1": 90.0, "pgd_top1": 2.0, "overfitted": True})
    assert "catastrophic overfitting" in told and "90.0 % under the one step, 2.0 %" in told.replace("\n  ", " ")
    assert max(map(len, told.splitlines())) <= 80
    assert "catastrophic" not in symptoms_in_words({"fast_top1": 90.0, "pgd_top1": 80.0, "overfitted": False})
    assert symptoms_in_words({"epoch": 1}) == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--defence trade", "did you mean trades?"),
        ("--defence pgd --adversarial", "both say what to train on"),
        ("--defence pgd --beta 3", "--beta 3.0 has no effect: --defence pgd"),
        ("--defence fast --attack-steps 3", "--attack-steps 3 has no effect"),
        ("--defence free --noise 1", "--noise 1.0 has no effect"),
        ("--defence trades --replays 2", "--replays 2 has no effect"),
        ("--defence noise --epsilon 0.1", "--epsilon 0.1 has no effect"),
        ("--defence pgd --attack fgsm", "--attack fgsm has no effect"),
        ("--defence pgd --random-start", "--random-start has no effect"),
        ("--defence pgd --restarts 2", "--restarts 2 has no effect"),
        ("--defence mart --mixup", "--mixup 0.2 does not go with"),
        ("--defence mart --label-smoothing 0.1", "--label-smoothing 0.1 does not go with"),
        ("--defence free --accumulate 2", "--accumulate 2 does not go with"),
        ("--defence pgd --epsilon 0:1:0.1", "a range is measured"),
        ("--defence pgd --norm l2 --epsilon 0.1,0.2", "belongs to --norm linf"),
        ("--defence pgd --norm l1", "has linf and l2 alone"),
        ("--beta 3", "--beta 3.0 belongs to --defence trades or mart"),
        ("--replays 3", "--replays 3 belongs to --defence free"),
        ("--noise 0.1", "--noise 0.1 belongs to"),
        ("--evaluate --weights imagenet --defence pgd", "--defence belongs to training"),
        ("--defence trades --beta -1", "--beta"),
        ("--defence free --replays 0", "--replays"),
        ("--defence noise --noise 0", "--noise"),
        ("--defence trades --beta nan", "--beta"),
    ],
)
def test_what_is_refused(line: str, said: str) -> None:
    with pytest.raises(OptionError) as error:
        parse(*line.split())
    assert said in str(error.value) and "\n" not in str(error.value)


def test_nothing_is_made_of_a_bad_defence(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*TINY, "--defence", "pgd", "--beta", "2", "--out", str(tmp_path / "run")) == 2
    assert call(*TINY, "--defence", "pgd", "--epsilon", "0.1,0.2", "--out", str(tmp_path / "run")) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "1 channels" in said[1] and not (tmp_path / "run").exists()


def test_a_defended_run_is_measured_as_any_other(call_script: Call, tmp_path: Path) -> None:
    def call(*arguments: str) -> int:
        return call_script("train_minigrad", *arguments)

    run = tmp_path / "run"
    assert call(*TINY, "--epochs", "1", "--defence", "trades", "--attack-steps", "1", "--out", str(run)) == 0
    assert call("-e", "--resume", str(run), "--attack", "fgsm", "--device", "cpu", "--out", str(tmp_path / "e")) == 0
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text())["attack"]["epsilon"] == 0.1


def test_both_scripts_certify_and_corrupt_alike(
    call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables, evaluation.json and files; the noise, and its units, are those that the run was trained with."""
    pytest.importorskip("torch")
    without_ties(monkeypatch)
    in_float64(monkeypatch)
    run, found = tmp_path / "run", {}
    noise = ["--defence", "noise", "--noise", "0.1", "--attack-units", "pixel"]
    assert call_script("train_minigrad", *TINY, "--epochs", "2", *noise, "--out", str(run)) == 0
    capsys.readouterr()
    for script in ("minigrad", "torch"):
        out = tmp_path / script
        flags = ["--certify", "40", "--corruptions", "fog,jpeg_compression", "--device", "cpu", "--out", str(out)]
        assert call_script(f"train_{script}", "-e", "--resume", str(run), *flags) == 0
        printed = capsys.readouterr().out
        assert "certified: sigma 0.1 (pixel), 40 votes, alpha 0.001" in printed and "mean corruption error" in printed
        result = json.loads((out / "evaluation.json").read_text())
        files = [(out / name).read_text().splitlines() for name in ("certified.csv", "corruptions.csv")]
        assert [len(lines) for lines in files] == [21, 11]
        found[script] = [result["certified"], result["corruptions"], files]
    assert found["minigrad"] == found["torch"]
    accuracies = [row["accuracy"] for row in found["torch"][0]["curve"]]
    assert accuracies == sorted(accuracies, reverse=True) and accuracies[0] > 0 == accuracies[-1]


@pytest.mark.parametrize("attack", ["universal --epsilon 0.2 --alpha 0.1", "patch --patch-share 0.4"])
def test_one_change_for_all_images_of_both_scripts(
    attack: str, call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found on training images, the same in both, measured on validation images."""
    pytest.importorskip("torch")
    without_ties(monkeypatch)
    in_float64(monkeypatch)
    monkeypatch.setattr("minigrad.training.run.FITTED_ON", 40)
    monkeypatch.setattr("minigrad.training.evaluation.find_spec", lambda name: None)
    weights = str(Path(minigrad.__file__).parent / "data" / "embedded" / "simplenet_bn.safetensors")
    measured = ["-e", "--weights", weights, "--model", "simplenet-bn", "--limit-val", "20"]
    found = []
    for script in ("minigrad", "torch"):
        out = tmp_path / script
        flags = ["--attack", *attack.split(), "--attack-steps", "3", "--device", "cpu", "--out", str(out)]
        assert call_script(f"train_{script}", *measured, *flags) == 0
        assert f"under attack: {attack.split()[0]}" in capsys.readouterr().out
        found.append(json.loads((out / "evaluation.json").read_text()))
    assert found[0]["attack_loss"] == pytest.approx(found[1]["attack_loss"], rel=1e-9)
    assert found[0]["attack"] == found[1]["attack"] and found[0]["attack_loss"] > found[0]["loss"] + 0.01


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-e --weights imagenet --attack patch --epsilon 0.1", "--epsilon 0.1 has no effect"),
        ("-e --weights imagenet --attack patch --norm l2", "--norm l2 has no effect"),
        ("-e --weights imagenet --attack universal --patch-share 0.2", "--patch-share 0.2 has no effect"),
        ("-e --weights imagenet --attack fgsm --patch-share 0.2", "--patch-share 0.2 has no effect"),
        ("-e --weights imagenet --attack universal --restarts 2", "--restarts 2 has no effect"),
        ("-e --weights imagenet --attack universal --audit", "--audit has no effect"),
        ("-e --weights imagenet --attack universal --epsilon 0:1:0.1", "found at one epsilon"),
        ("-e --weights imagenet --attack patch --patch-share 0.7", "--patch-share"),
        ("--adversarial --attack patch", "measures, with --evaluate"),
        ("--certify", "--certify belongs to --evaluate"),
        ("--corruptions", "--corruptions belongs to --evaluate"),
        ("-e --weights imagenet --corruptions fogg", "did you mean fog?"),
        ("-e --weights imagenet --corruptions fog,", "unknown kind"),
        ("-e --weights imagenet --certify 3", "--certify"),
        ("-e --weights imagenet --certify --data-on-device", "--certify takes images from the host's memory"),
        ("-e --weights imagenet --noise 0.5", "--evaluate --certify"),
        ("-e --weights imagenet --certify --beta 2", "--beta 2.0 belongs to"),
    ],
)
def test_what_measuring_refuses(line: str, said: str) -> None:
    with pytest.raises(OptionError) as error:
        parse(*line.split())
    assert said in str(error.value) and "\n" not in str(error.value)


def test_the_defaults_of_measuring() -> None:
    found = parse(*"-e --weights imagenet --certify --corruptions --attack-units pixel".split())
    assert (found.certify, found.noise, found.attack_units, len(found.corruptions)) == (1000, 0.25, "pixel", 15)
