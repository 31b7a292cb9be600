"""--epsilon and --alpha with a number for each channel, through both scripts and python -m compare attacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import models
from compare.__main__ import main
from compare.attacks.lines import Line
from minigrad.errors import OptionError
from minigrad.training import folder
from minigrad.training.attacks import attack_settings, described
from minigrad.training.options import Options, parse_options
from minigrad.weights import save_weights

Call = Callable[..., int]


def parse(*arguments: str) -> Options:
    return parse_options(arguments, ("simplenet", "simplenet-bn"), "train_minigrad.py")


@pytest.fixture(autouse=True)
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves and events take longer to draw than these runs to train."""
    monkeypatch.setattr(folder, "find_spec", lambda name: None)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of coloured noise in two classes."""
    random, root = np.random.default_rng(0), tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 8), ("val", 4)):
        for name, level in (("dark", 60), ("light", 190)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = random.normal(level, 50, (16, 16, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


# -- options


def test_what_is_parsed() -> None:
    evaluate = "--evaluate --weights imagenet --attack untargeted".split()
    given = parse(*evaluate, "--epsilon", "8/255,0.1,2", "--alpha", "0.01,0,2/255")
    assert (given.epsilon, given.alpha) == ([8 / 255, 0.1, 2.0], [0.01, 0.0, 2 / 255])
    assert parse(*evaluate, "--epsilon", "0.1,0.2,0.3").alpha == 0.01
    training = parse(*"--adversarial --epsilon 0.1,0.2,0.3 --attack-steps 4".split())
    assert training.alpha == [0.1 / 4, 0.2 / 4, 0.3 / 4]
    assert described(training) == "untargeted, 4 steps of 0.025,0.05,0.075 within 0.1,0.2,0.3 (linf, normalised)"
    settings = attack_settings(training, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    assert (settings["epsilon"], settings["alpha"]) == (training.epsilon, training.alpha)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epsilon 0.1,x,0.3", "a number of at least 0 and at most 1e.38 is wanted, not 'x'"),
        ("--epsilon 0.1,-0.2,0.3", "a number of at least 0 and at most 1e.38 is wanted, not '-0.2'"),
        ("--alpha 0.1,nan,0.3", "a number of at least 0 and at most 1e.38 is wanted, not 'nan'"),
        ("--alpha 0.1,1/0", "a number of at least 0 and at most 1e.38 is wanted, not '1/0'"),
        ("--epsilon 0.1,,0.3", "a number of at least 0 and at most 1e.38 is wanted, not ''"),
        ("--epsilon 0.1,0.2,0.3 --norm l2", "--epsilon 0.1,0.2,0.3: a number for each channel belongs to --norm linf"),
        ("--alpha 0.1,0.2,0.3 --norm l2", "--alpha 0.1,0.2,0.3: a number for each channel belongs to --norm linf"),
    ],
)
def test_what_is_refused(arguments: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse("--adversarial", *arguments.split())


def test_numbers_for_other_channels() -> None:
    options = parse(*"--adversarial --epsilon 0.1,0.2".split())
    with pytest.raises(OptionError, match=r"^--epsilon 0.1,0.2: 2 numbers, but the images have 3 channels$"):
        attack_settings(options, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


# -- the scripts


def test_a_run_and_its_evaluation(
    call: Call, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, common = tmp_path / "run", ["--device", "cpu"]
    small = [
        "--data",
        str(pictures),
        *"--image-size 16 --batch-size 4 --epochs 1 --model simplenet-bn --workers 0".split(),
    ]
    attack = ["--adversarial", "1", "--epsilon", "0.3,0.1,0.2", "--attack-steps", "2"]
    assert call(*small, *attack, *common, "--out", str(run)) == 0
    config = json.loads((run / "config.json").read_text())["options"]
    assert (config["epsilon"], config["alpha"]) == ([0.3, 0.1, 0.2], [0.15, 0.05, 0.1])
    assert call("--resume", str(run), "--epsilon", "0.3,0.1,0.2", *common) == 0  # it agrees with the checkpoint
    assert call("--resume", str(run), "--epsilon", "0.3,0.1,0.1", *common) == 2
    assert "--epsilon 0.3,0.1,0.1 contradicts" in capsys.readouterr().err

    sizes = [
        "--epsilon",
        "8/255,4/255,2/255",
        "--alpha",
        "2/255,1/255,1/255",
        "--attack-units",
        "pixel",
        "--random-start",
    ]
    found = tmp_path / "found"
    evaluation = ["--evaluate", "--resume", str(run), "--attack", "untargeted", *sizes, *common]
    assert call(*evaluation, "--out", str(found)) == 0
    assert "within 0.0313725,0.0156863,0.00784314 (linf, pixel)" in " ".join(capsys.readouterr().out.split())
    entry = json.loads((found / "evaluation.json").read_text())["attack"]
    assert entry["epsilon"] == [8 / 255, 4 / 255, 2 / 255] and entry["alpha"] == [2 / 255, 1 / 255, 1 / 255]
    assert (entry["units"], entry["clip"], entry["random_start"]) == ("pixel", [0.0, 1.0], True)


def test_a_wrong_number_of_channels_is_one_line(
    call: Call, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--data", str(pictures), *"--image-size 16 --batch-size 4 --epochs 1 --workers 0 --device cpu".split()]
    for arguments in (["--epsilon", "0.3,0.1"], ["--alpha", "0.1,0.1,0.1,0.1"]):
        assert call(*small, "--adversarial", *arguments, "--out", str(tmp_path / "run")) == 2
        (line,) = capsys.readouterr().err.splitlines()
        number = arguments[1].count(",") + 1
        assert line == f"error: {' '.join(arguments)}: {number} numbers, but the images have 3 channels"
        assert not (tmp_path / "run").exists()


# -- compare attacks


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "plain.safetensors"
    save_weights(path, models.create("simplenet-bn", 2, 3).state_dict())
    return path


def test_rows_for_each_channel(
    weights: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def attack(*arguments: str) -> tuple[int, str]:
        network = ["--weights", str(weights), "--model", "simplenet-bn", "--data", str(pictures), "--image-size", "16"]
        code = main(["attacks", *network, "--presets", "untargeted", "--limit", "4", *arguments])
        said = capsys.readouterr()
        return code, said.err or said.out

    rows, path = "2/0.2:0.05:0.1/0.05:0.02:0.03,2/0.1/0.05", tmp_path / "found.json"
    code, said = attack("--rows", rows, "--json", str(path))
    assert code in (0, 1) and "2/0.2:0.05:0.1/0.05:0.02:0.03 untargeted" in said
    content = json.loads(path.read_text())
    entry = content["lines"][1]
    assert (entry["epsilon"], entry["alpha"]) == ([0.2, 0.05, 0.1], [0.05, 0.02, 0.03])
    assert len({*entry["hits"]}) == 2 and all(len(letters) == 4 for letters in entry["hits"].values())
    assert attack("--rows", rows, "--json", str(path))[0] == code  # nothing left to measure
    assert json.loads(path.read_text()) == content
    for wrong, message in (
        ("2/0.2:0.05/0.05", "--rows 2/0.2:0.05/0.05: a number for each channel, but the images have 3 channels"),
        ("2/0.2:-0.05:0.1/0.05", "rows are steps/epsilon/alpha"),
        ("2/0.2:nan:0.1/0.05", "rows are steps/epsilon/alpha"),
        ("2/0.2::0.1/0.05", "rows are steps/epsilon/alpha"),
    ):
        code, said = attack("--rows", wrong)
        assert code == 2 and message in said and said.count("\n") == 1


def test_a_line_in_words() -> None:
    values: dict[str, Any] = {"epsilon": (0.1, 0.25), "alpha": 0.01}
    assert str(Line("plain", "report", 3, **values)) == "3/0.1:0.25/0.01 report"
