"""Adversarial training and evaluation under attack, through both scripts: the right gradients, the same in both frameworks."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.attacks import PGD, PRESETS, Result, Stage
from minigrad.commands.network import EMBEDDED_WEIGHTS
from minigrad.errors import OptionError
from minigrad.random import Generator
from minigrad.training import Data, Run, folder
from minigrad.training.attacks import Attacker, attack_settings, attacked
from minigrad.training.checkpoints import load_checkpoint
from minigrad.training.folder import ADVERSARIAL, METRICS
from minigrad.training.options import Options, parse_options
from minigrad.training.pictures import softmax
from tests.rounding import in_float64, without_ties

Call = Callable[..., int]

FEW = "--limit-train 64 --limit-val 20 --batch-size 16 --epochs 2 --device cpu".split()
BN = ["--model", "simplenet-bn", "--lr", "0.05", *FEW]
# Small, and with masks of dropout and drop path.
VIT = "--model vit --dim 16 --heads 2 --depth 2 --drop-path 0.3 --dropout 0.1".split() + FEW


@pytest.fixture(autouse=True)
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves and events take longer to draw than these runs to train."""
    monkeypatch.setattr(folder, "find_spec", lambda name: None)


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both scripts compute what `trained` did: in float64, on images without ties."""
    pytest.importorskip("torch")
    without_ties(monkeypatch)
    in_float64(monkeypatch)


def options(*arguments: str) -> Options:
    return parse_options(arguments, ("simplenet", "simplenet-bn", "vit"), "train_minigrad.py")


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_same_arrays(run: Path, other: Path) -> None:
    """Weights, optimizer, running statistics and random states of the last checkpoints, bit for bit."""
    arrays, others = (load_checkpoint(path / "last.safetensors")[0] for path in (run, other))
    assert arrays.keys() == others.keys()
    for key, array in arrays.items():
        assert array.tobytes() == others[key].tobytes(), key


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose network knows the classes well enough to lose something: 65 % right, the same on every processor."""
    import sys

    run = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        without_ties(patch)
        in_float64(patch, "minigrad")
        module = importlib.import_module("train_minigrad")
        patch.setattr(folder, "find_spec", lambda name: None)
        training = "--model simplenet-bn --limit-train 640 --limit-val 100 --epochs 3 --device cpu --warmup 0 --out"
        patch.setattr(sys, "argv", ["train_minigrad.py", *training.split(), str(run)])
        assert module.main(module.train, list(module.MODELS)) == 0
    return run


# Which batches, and with what


def test_the_settings_are_those_of_the_library() -> None:
    library = {field.name: field.default for field in fields(PGD)}
    given = attack_settings(options("--adversarial"), (0.5,), (0.2,))
    assert given.keys() <= library.keys()
    assert given.keys() >= library.keys() - {"target", "direction", "retarget", "loss"}
    evaluating = attack_settings(options("--evaluate", "--attack", "handout", "--weights", "imagenet"), (0.5,), (0.2,))
    for name, default in library.items():
        if name in evaluating and name != "generator":
            assert evaluating[name] == default, name


def test_pixel_units_keep_images_valid() -> None:
    given = options(*"--adversarial --attack-units pixel --epsilon 8/255 --alpha 2/255 --restarts 3".split())
    settings = attack_settings(given, (0.4,), (0.2,))
    assert (settings["units"], settings["clip"], settings["mean"], settings["std"]) == ("pixel", (0, 1), (0.4,), (0.2,))
    assert (settings["epsilon"], settings["alpha"]) == (8 / 255, 2 / 255)
    assert settings["random_start"] and settings["restarts"] == 3


def test_the_seed_decides_which_batches_are_attacked() -> None:
    fifth = options("--adversarial")
    assert fifth.adversarial == 0.2
    hits = [[attacked(fifth, epoch, step) for step in range(400)] for epoch in range(2)]
    assert 50 < sum(hits[0]) < 110 and hits[0] != hits[1]
    assert [attacked(fifth, 0, step) for step in range(400)] == hits[0]
    assert [attacked(options("--adversarial", "--seed", "1"), 0, step) for step in range(400)] != hits[0]
    assert all(attacked(options("--adversarial", "1"), 0, step) for step in range(100))
    assert not any(attacked(options("--adversarial", "0"), 0, step) for step in range(100))


def test_random_starts_follow_from_the_step() -> None:
    starts, again = Generator(1), Generator(2)
    draws = []
    for step in (0, 1):
        attacked(options("--adversarial"), 0, step, starts)
        draws.append(starts.uniform(0, 1, 3).tolist())
    attacked(options("--adversarial"), 0, 1, again)
    assert draws[0] != draws[1] == again.uniform(0, 1, 3).tolist()


# Adversarial training


class Watched:
    """An attack that keeps what it made of which inputs, and looks at the network's gradients before and after."""

    def __init__(self, attack: Any) -> None:
        self.attack, self.generator = attack, attack.generator
        self.made: dict[bytes, np.ndarray] = {}

    def __call__(self, model: Any, images: Any, labels: Any) -> Any:
        def state() -> list[Any]:
            gradients = [parameter.grad for parameter in model.parameters()]
            return [model.training, *(None if g is None else (id(g), bytes(np.asarray(g).data)) for g in gradients)]

        before = state()
        perturbed = self.attack(model, images, labels)
        assert state() == before and before[0]
        array = perturbed.detach().numpy()
        self.made[np.asarray(images).tobytes()] = array.copy(order="K")
        return perturbed


@pytest.mark.parametrize("arguments", [BN, VIT], ids=["batch norm", "masks"])
def test_a_step_on_an_attacked_batch_is_a_plain_step_on_the_perturbed_images(
    arguments: list[str], script: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit: weights, momentum, running statistics and random states after 8 steps, half of them attacked."""
    module = importlib.import_module(script)
    watched: list[Watched] = []

    def watching(*settings: Any) -> Any:
        attack = make(*settings)
        if attack is None:
            return None
        watched.append(Watched(attack))
        return watched[-1]

    make = module.make_attack
    monkeypatch.setattr(module, "make_attack", watching)
    assert call(*arguments, "--adversarial", "0.5", "--epsilon", "0.5", "--out", str(tmp_path / "attacked")) == 0
    made = watched[0].made
    shares = [row["attacked_share"] for row in rows(tmp_path / "attacked")]
    assert len(made) == 4 * sum(shares) and 0 < len(made) < 8

    inputs = Data.inputs
    replaced = []

    def perturbed(self: Data, images: np.ndarray) -> np.ndarray:
        x = inputs(self, images)
        replaced.append(x.tobytes() in made)
        return made.get(x.tobytes(), x)

    monkeypatch.setattr(Data, "inputs", perturbed)
    assert call(*arguments, "--out", str(tmp_path / "plain")) == 0
    assert sum(replaced) == len(made)
    assert_same_arrays(tmp_path / "attacked", tmp_path / "plain")


class Killed(BaseException):
    """What ends a run on the spot, as a kill would."""


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_resumed_is_as_if_nothing_happened(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A run that was stopped inside its second epoch attacks the same batches, from the same random starts."""
    arguments = [*VIT, *"--adversarial 0.6 --attack handout --attack-steps 2 --random-start --epsilon 0.5".split()]
    assert call(*arguments, "--out", str(tmp_path / "whole")) == 0
    record = Run.record
    steps = []

    def stop(run: Run, *values: Any) -> None:
        steps.append(1)
        if len(steps) == 6 and how == "killed":
            raise Killed
        if len(steps) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        record(run, *values)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "record", stop)
        if how == "killed":
            with pytest.raises(Killed):
                call(*arguments, "--out", str(tmp_path / "run"))
        else:
            assert call(*arguments, "--out", str(tmp_path / "run")) == 130
    assert call("--resume", str(tmp_path / "run"), "--device", "cpu") == 0
    assert_same_arrays(tmp_path / "whole", tmp_path / "run")
    shares = [[row["attacked_share"] for row in rows(tmp_path / name)] for name in ("whole", "run")]
    assert shares[0] == shares[1] and 0 < sum(shares[0]) < 2
    stored = load_checkpoint(tmp_path / "run" / "last.safetensors")[1]["options"]
    assert (stored["adversarial"], stored["attack"], stored["attack_steps"]) == (0.6, "handout", 2)


def test_the_tracks_learn_alike(
    decided: None, call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same batches are attacked from the same random starts."""
    weights = tmp_path / "start.safetensors"
    minigrad.manual_seed(7)
    from minigrad.weights import save_weights
    from models import create

    save_weights(
        weights, create("vit", 10, 1, 28, patch_size=4, dim=16, heads=2, depth=2, window_blocks=[0]).state_dict()
    )
    losses: list[float] = []
    record = Run.record
    monkeypatch.setattr(Run, "record", lambda run, loss, *rest: (losses.append(loss), record(run, loss, *rest)))
    for track in ("torch", "minigrad"):
        arguments = [*VIT, "--weights", str(weights), "--adversarial", "0.5", "--epsilon", "0.5", "--random-start"]
        assert call_script(f"train_{track}", *arguments, "--out", str(tmp_path / track)) == 0
    assert losses[8:] == pytest.approx(losses[:8], rel=1e-10)
    assert [row["attacked_share"] for row in rows(tmp_path / "torch")] == [
        row["attacked_share"] for row in rows(tmp_path / "minigrad")
    ]


def test_what_an_adversarial_run_logs(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert call(*BN, "--adversarial", "1", "--attack-steps", "1", "--out", str(run)) == 0
    output = capsys.readouterr().out
    assert "  attacked 100.0 %" in output
    assert [tuple(row) for row in rows(run)] == [METRICS + ADVERSARIAL] * 2
    config = json.loads((run / "config.json").read_text())["options"]
    assert (config["adversarial"], config["attack"], config["attack_steps"]) == (1.0, "untargeted", 1)


def test_a_network_that_goes_wrong_is_one_line(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*BN, "--adversarial", "1", "--lr", "1e30", "--warmup", "0", "--out", str(tmp_path / "run")]
    assert call(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: epoch 1, step ")


# Evaluation under attack


def evaluate(call: Call, *arguments: str, out: Path) -> dict[str, Any]:
    assert call("--evaluate", "--device", "cpu", *arguments, "--out", str(out)) == 0
    return json.loads((out / "evaluation.json").read_text())


def test_clean_and_attacked_stand_in_one_table(
    decided: None, call: Call, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluate(call, "--resume", str(trained), "--attack", "untargeted", "--epsilon", "0.2", out=tmp_path)
    attack = {"preset": "untargeted", "steps": 10, "alpha": 0.01, "epsilon": 0.2, "norm": "linf", "random_start": False,
              "restarts": 1, "units": "normalised", "clip": None, "seed": 2024}  # fmt: skip
    assert result.pop("attack") == attack
    assert list(result) == ["top1", "top5", "loss", "images", "attack_top1", "attack_top5", "attack_loss"]
    best = max(rows(trained), key=lambda row: row["val_top1"])
    assert (result["top1"], result["top5"], result["images"]) == (best["val_top1"], best["val_top5"], 100)
    assert result["attack_top1"] < result["top1"] - 20 and result["attack_top5"] <= result["top5"]
    title, header, clean, under, attacked_by = capsys.readouterr().out.splitlines()[-7:-2]
    assert ", 100 images, " in title and header.split() == ["top-1", "top-5", "loss"]
    assert clean.split() == ["clean", *figures(result, "")]
    assert under.split() == ["under", "attack", *figures(result, "attack_")]
    assert attacked_by == "under attack: untargeted, 10 steps of 0.01 within 0.2 (linf, normalised)"


def figures(result: dict[str, Any], prefix: str) -> list[str]:
    """As the table prints them."""
    top1, top5, loss = (result[prefix + name] for name in ("top1", "top5", "loss"))
    return [f"{top1:.2f}", f"{top5:.2f}", f"{loss:.4f}"]


@pytest.mark.parametrize(
    "attack",
    [
        "handout --epsilon 0.5 --alpha 0.1",
        "report --epsilon 1 --alpha 0.1",
        "untargeted --epsilon 0.2 --attack-steps 4 --alpha 0.05 --restarts 2",
        "untargeted --norm l2 --epsilon 2 --alpha 0.5",
        "untargeted --norm l1 --epsilon 8 --alpha 2",
        "mifgsm --norm l0 --epsilon 9 --alpha 1",
        "untargeted --attack-units pixel --epsilon 8/255 --alpha 2/255",
    ],
)
def test_the_tracks_agree_under_attack(
    decided: None, call_script: Call, trained: Path, tmp_path: Path, attack: str
) -> None:
    found = []
    for track in ("torch", "minigrad"):
        evaluation = ["--resume", str(trained), "--limit-val", "30", "--attack", *attack.split()]
        found.append(evaluate(lambda *a: call_script(f"train_{track}", *a), *evaluation, out=tmp_path / track))  # noqa: B023
    torch, ours = found
    assert torch["attack"] == ours["attack"]
    for name in ("top1", "top5", "attack_top1", "attack_top5"):
        assert ours[name] == torch[name], name
    for name in ("loss", "attack_loss"):
        assert ours[name] == pytest.approx(torch[name], rel=1e-10), name
    assert abs(ours["attack_loss"] - ours["loss"]) > 0.02  # the attack did something


def test_presets_are_as_strong_as_they_should_be(
    decided: None, call_script: Call, trained: Path, tmp_path: Path
) -> None:
    top1 = {}
    for name in PRESETS:
        result = evaluate(
            lambda *a: call_script("train_minigrad", *a),
            *("--resume", str(trained), "--limit-val", "50", "--attack", name, "--epsilon", "0.5", "--alpha", "0.05"),
            out=tmp_path / name,
        )
        top1[name] = result["attack_top1"]
    assert top1["untargeted"] < top1["handout"] < top1["report"] < result["top1"]


def test_mirrored_images_are_for_the_clean_row_alone(
    call: Call, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attack = ["--resume", str(trained), "--attack", "untargeted", "--attack-steps", "2"]
    plain, mirrored = (evaluate(call, *attack, *extra, out=tmp_path / "-".join(extra)) for extra in ([], ["--tta"]))
    assert mirrored["loss"] != plain["loss"] and mirrored["attack_loss"] == plain["attack_loss"]
    clean, under = capsys.readouterr().out.splitlines()[-5:-3]
    assert clean.startswith("mirrored images averaged in ") and under.startswith("under attack, not mirrored ")


def test_an_adversarial_run_is_measured_as_any_other(call: Call, tmp_path: Path) -> None:
    """Its own attack is for training: --evaluate measures without one, or the one that is asked for."""
    run = tmp_path / "run"
    assert call(*BN, "--adversarial", "1", "--attack-steps", "1", "--epsilon", "0.3", "--out", str(run)) == 0
    assert "attack" not in evaluate(call, "--resume", str(run), out=tmp_path / "e")
    assert evaluate(call, "--resume", str(run), "--attack", "report", out=tmp_path / "e")["attack"]["steps"] == 10


def test_weights_that_are_not_finite_are_one_line(
    call: Call, script: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from minigrad.weights import load_weights, save_weights

    weights = load_weights(trained / "best.safetensors")
    weights["fc.bias"] = weights["fc.bias"] * np.nan
    save_weights(tmp_path / "nan.safetensors", weights)
    arguments = "--evaluate --model simplenet-bn --attack handout --limit-val 10 --device cpu --weights".split()
    code = call(*arguments, str(tmp_path / "nan.safetensors"))
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"error: .*nan.safetensors is of no use: NaN or infinite numbers are in fc.bias", line)


# The picture


@pytest.mark.parametrize("choice", [[], ["3"], ["--rows", "7,2"]])
def test_visualise_draws_the_chosen_rows(
    choice: list[str], call: Call, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """Originals are the images as they are in the data set, within their range; the attack stays within epsilon."""
    drawn = []
    monkeypatch.setattr(
        "minigrad.training.report.draw_attack", lambda path, *arguments: drawn.append((path, *arguments))
    )
    arguments = ["--resume", str(trained), "--attack", "untargeted", "--visualise", *choice]
    evaluate(call, *arguments, "--epsilon", "0.05", out=tmp_path)
    path, images, classes, title, subtitle = drawn[0]
    assert capsys.readouterr().out.endswith(f"picture: {tmp_path / 'attack.png'}\n") and path == tmp_path / "attack.png"
    val = minigrad.data.open_dataset(None, "val", limit=100)
    wanted = {0: [0, 1, 2, 3, 4], 1: [0, 1, 2], 2: [7, 2]}[len(choice)]
    if len(choice) == 2:
        assert images.rows == wanted
    else:
        assert sorted(val.labels[images.rows].tolist()) == wanted
    expected = np.stack([val.load(row, None) for row in images.rows]) / 255
    np.testing.assert_allclose(images.original, expected, atol=1e-6)
    assert images.labels.tolist() == val.labels[images.rows].tolist()
    change = np.abs(images.perturbed - images.original).max()
    assert 0.9 < change / (0.05 * val.std[0]) <= 1.001
    sure = [softmax(logits)[np.arange(len(wanted)), images.labels] for logits in (images.before, images.after)]
    assert (sure[0] > sure[1]).all()
    assert classes == val.classes and "simplenet-bn on fashion-mnist-small" in title
    assert subtitle == "attack: untargeted, 10 steps of 0.01 within 0.05 (linf, normalised)"


def test_the_picture_is_written_beside_the_weights(call: Call, trained: Path) -> None:
    arguments = (
        "--attack handout --attack-steps 1 --visualise 1 --limit-val 10 --evaluate --device cpu --resume".split()
    )
    assert call(*arguments, str(trained)) == 0
    assert (trained / "attack.png").read_bytes().startswith(b"\x89PNG")
    assert (trained / "evaluation.json").is_file()


def test_rows_beyond_the_data_are_refused_at_once(
    call: Call, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--evaluate", "--resume", str(trained), "--attack", "handout", "--visualise", "--rows", "1,100"]
    assert call(*arguments, "--device", "cpu", "--out", str(tmp_path / "e")) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: --rows 100: there are 100 validation images, 0 to 99\n"
    assert not (tmp_path / "e").exists()


@pytest.mark.usefixtures("decided")
@pytest.mark.parametrize("units", [["--attack-units", "pixel"], ["--norm", "l2", "--epsilon", "2"]])
def test_autoattack_of_both_scripts(
    trained: Path, call_script: Call, tmp_path: Path, capsys: Any, units: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same images fall in the same stages; the table of stages and evaluation.json say which."""
    torch_attacks = importlib.import_module("models.reference.attacks")
    for library in (minigrad.attacks, torch_attacks):
        few = {"steps": 4, "queries": 6, "classes": 2}
        monkeypatch.setattr(library, "AutoAttack", partial(library.AutoAttack, **few))
    found = []
    for script in ("train_minigrad", "train_torch"):
        out = tmp_path / script
        flags = [
            "--evaluate",
            "--resume",
            trained,
            "--attack",
            "autoattack",
            "--limit-val",
            "12",
            "--device",
            "cpu",
            "--out",
            out,
            *units,
        ]
        assert call_script(script, *map(str, flags)) == 0
        printed = capsys.readouterr().out
        table = json.loads((out / "evaluation.json").read_text())
        names = ["clean", "apgd-ce", "apgd-t", "fab-t", "square"]
        assert [row["name"] for row in table["attack_stages"]] == names
        assert (
            "stage      attacked    right  accuracy    forward   backward" in printed
            and "under attack: autoattack" in printed
        )
        assert table["attack_stages"][-1]["accuracy"] == pytest.approx(table["attack_top1"] / 100)
        found.append([(row["attacked"], row["right"]) for row in table["attack_stages"]])
    assert found[0] == found[1] and found[0][0][1] > found[0][-1][1]


@pytest.mark.usefixtures("decided")
def test_a_range_of_epsilons(trained: Path, call_script: Call, tmp_path: Path, capsys: Any) -> None:
    curves = []
    for script in ("train_minigrad", "train_torch"):
        out = tmp_path / script
        flags = [
            "--attack",
            "untargeted",
            "--epsilon",
            "0:0.3:0.1",
            "--limit-val",
            "12",
            "--device",
            "cpu",
            "--out",
            out,
        ]
        assert call_script(script, *map(str, ["--evaluate", "--resume", trained, *flags])) == 0
        table = json.loads((out / "evaluation.json").read_text())
        assert [row["epsilon"] for row in table["curve"]] == pytest.approx([0, 0.1, 0.2, 0.3])
        assert "untargeted, 10 steps of 0.075 within 0.3" in capsys.readouterr().out
        assert table["curve"][0]["top1"] == table["top1"] > table["curve"][-1]["top1"]
        curves.append([row["loss"] for row in table["curve"]])
    assert curves[0] == pytest.approx(curves[1], rel=1e-6)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--attack autoattack --alpha 0.1", "--alpha 0.1: --attack autoattack has nothing to tune"),
        ("--attack autoattack-plus --restarts 2", "--restarts 2: --attack autoattack-plus has nothing to tune"),
        ("--attack autoattack --epsilon 0.1,0.2,0.3", "--attack autoattack takes one number"),
        ("--attack autoattack --norm l1", "--norm l1: --attack autoattack has linf and l2 alone"),
        ("--attack apgd --norm l0 --epsilon 5", "--norm l0: --attack apgd has linf and l2 alone"),
        ("--attack fgsm --norm l0 --epsilon 5", "--norm l0: --attack fgsm has linf and l2 and l1 alone"),
        ("--attack untargeted --norm l0", "--epsilon 0.1: --norm l0 counts an image's numbers that change, 1 at least"),
        ("--attack untargeted --norm l1 --epsilon 1,2", "a number for each channel belongs to --norm linf"),
        ("--attack untargeted --epsilon 0.2:0.1:0.01", "a range is from:to:step such as 0:0.2:0.02"),
        ("--attack untargeted --epsilon 0:1:0", "a range is from:to:step"),
        ("--attack untargeted --epsilon 0:1:1e-9", "of at most 1000 steps"),
        ("--attack untargeted --epsilon 0:1", "a range is from:to:step"),
    ],
)
def test_what_autoattack_and_ranges_refuse(flags: str, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        options("--evaluate", "--weights", "imagenet", *flags.split())


def test_what_training_refuses_of_them() -> None:
    for flags, message in (
        ("--attack autoattack", "measures, with --evaluate"),
        ("--epsilon 0:1:0.1", "a range is measured"),
    ):
        with pytest.raises(OptionError, match=message):
            options("--adversarial", *flags.split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--attack deepfool --alpha 0.1", "--alpha 0.1 has no effect: --attack deepfool does not use it"),
        ("--attack square --restarts 2", "--restarts 2 has no effect"),
        ("--attack ddn --norm linf", "--norm linf: --attack ddn has l2 alone"),
        ("--attack cw", "--attack cw needs to know how dark and bright pixels can be"),
        ("--attack fab --epsilon 0.1,0.2,0.3", "--attack fab takes one number"),
    ],
)
def test_what_other_attacks_refuse(flags: str, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        options(*"--evaluate --weights imagenet".split(), *flags.split())
    with pytest.raises(OptionError, match="--attack deepfool measures, with --evaluate: train on untargeted"):
        options("--adversarial", "--attack", "deepfool")


def test_an_attack_has_its_own_norm_and_steps() -> None:
    of = lambda *given: options(*"--evaluate --weights imagenet --attack".split(), *given)  # noqa: E731
    assert (of("deepfool").norm, of("deepfool").attack_steps) == ("l2", 50)
    assert (of("deepfool", "--norm", "linf").norm, of("square").attack_steps) == ("linf", 5000)


def test_the_smallest_change_counts_within_epsilon(call_script: Call, tmp_path: Path) -> None:
    """Both scripts: accuracy under DeepFool falls with epsilon, and at 0 is that of the clean images."""
    pytest.importorskip("torch")
    weights = str(EMBEDDED_WEIGHTS)
    found = {}
    for script in ("train_minigrad", "train_torch"):
        out = tmp_path / script
        line = (
            f"--evaluate --resume {weights} --attack deepfool --epsilon 0:4:2 --limit-val 12 --device cpu --out {out}"
        )
        assert call_script(script, *line.split()) == 0
        result = json.loads((out / "evaluation.json").read_text())
        found[script] = [result["top1"], *(row["top1"] for row in result["curve"])]
        assert found[script][0] == found[script][1] > found[script][2] >= found[script][3]
    assert found["train_minigrad"] == found["train_torch"]


def test_an_attack_of_many_stages_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal, after some time: a batch may take minutes."""

    class Slow:
        def run(self, model: Any, images: Any, labels: Any, progress: Any) -> Result:
            stages = [Stage("clean", 9, 7, 9, 0), Stage("apgd-ce", 7, 4, 9, 9)]
            for stage in stages:
                progress(stage)
            return Result(images, 9, stages)

    for patience, said in ((1e9, ""), (0.0, "under attack: apgd-ce, 4 of the 7 images that it was on stand\n")):
        monkeypatch.setattr("minigrad.training.attacks.PATIENCE", patience)
        attacker = Attacker(Slow())
        attacker(None, None, None)
        assert capsys.readouterr().out.endswith(said) and attacker.stages() is not None
