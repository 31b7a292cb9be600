"""Wrong and hostile command lines, each option of each command: one line, exit code 2, nothing made, and no traceback."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from compare import __main__ as compare
from compare.kit.arguments import Parser as CompareParser
from minigrad.option import Parser
from models import MODELS
from tests.commands.conftest import Call

HOSTILE = ("many!", "nan", "", "1e999x", "\u0661\u0662", "0x10", "1,,2")
"""Values that no number, list of numbers or choice is."""


def options_of(command: str) -> list[argparse.Action]:
    """The options of a command that take one of some choices, or a number."""
    found: list[argparse.Action] = []

    class Stop(Exception):
        pass

    def look(self: Any, *given: Any, **settings: Any) -> Any:
        found.extend(self._actions)
        raise Stop

    patch = pytest.MonkeyPatch()
    patch.setattr(Parser, "parse_args", look)
    patch.setattr(CompareParser, "parse_args", look)
    try:
        if command in ("train", "evaluate"):
            from minigrad.training.options import _parser

            found.extend(_parser("train_minigrad.py", list(MODELS))._actions)
        elif command.startswith("compare "):
            import_module(f"compare.{command.split()[1]}").run([])
        else:
            import_module(f"minigrad.commands.{command}").run([])
    except Stop:
        pass
    finally:
        patch.undo()
    return [a for a in found if a.option_strings and (a.choices or a.type not in (None, Path, str)) and a.nargs != 0]


COMMANDS = [
    "train",
    "predict",
    "explain",
    "attack",
    "trace",
    "summary",
    *[f"compare {name}" for name in compare.COMMANDS],
]


@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_values_of_every_option(command: str, refused: Callable[..., str], tmp_path: Path) -> None:
    count = 0
    for action in options_of(command):
        flag = action.option_strings[-1]
        for value in HOSTILE:
            if _means_something(action, value):
                continue
            line = refused(*command.split(), f"{flag}={value}")
            assert flag.strip("-") in line.replace("_", "-"), line
            assert "Traceback" not in line
            count += 1
    assert not list(tmp_path.iterdir()), "something was made"
    assert count or command in ("compare report", "compare network", "compare overhead"), command


def _means_something(action: argparse.Action, value: str) -> bool:
    """Whether a value is one after all: Python reads digits of all scripts."""
    if action.choices:
        return value in action.choices
    try:
        action.type(value)  # type: ignore[operator, misc]
    except (argparse.ArgumentTypeError, ValueError, TypeError):
        return False
    return value != ""


LINES = """
--help-me
train --no-such-option
train train
train --epochs
train --epochs 3 4
train --model
train --limit-train 10 --batch-size 1000 --device cpu --out x
train --device toaster
train --device gpu:99
train --data nowhere
train --data FashionMNISTT
train --weights nowhere.pth
train --resume nowhere
train --resume file.txt
train --config nowhere.json
train --config file.txt
train --out file.txt
train --out file.txt/inner
train --out nested/../file.txt
train --evaluate
train --tta
train --visualise
train --rows 1
train --custom-conv
train --attack untargeted
train --attack-steps 3
train --epsilon 0.1
train --adversarial 2
train --warmup 99
train --evaluate --weights file.txt
train --evaluate --resume file.txt --weights file.txt
train --evaluate --weights nowhere --attack pgd
train --model vit --dim 7
train --model vit --heads 5
train --model vit --patch-size 5
train --model vit --window-size 0
train --model vit --window-blocks 9
train --model simplenet --depth 3
train --model resnet18 --drop-path 0.1
train --torch --conv definition
train --image-size 7
train --seed -1
train --workers -1
train --workers 1000
train --logger wandb2
train --limit-val 0
train --limit-train 0
train --lr 0
train --momentum 1
train --label-smoothing 1
train --ema 1
train --mixup -1
train --accumulate 0
evaluate nowhere
evaluate file.txt
evaluate --attack
evaluate --attack handout --epsilon -1
evaluate --audit
evaluate --save-adversarial x.npz
evaluate --attack fgsm --save-adversarial x.png
evaluate --attack fgsm --save-adversarial nowhere/x.npz
evaluate --attack fgsm --audit --norm l2 --epsilon 0.1,0.2
evaluate --visualise 3
evaluate --data nowhere
evaluate --watch
evaluate --adversarial
predict nowhere.png
predict file.txt
predict . --top 3
predict --weights file.txt
predict --data nowhere --weights nowhere
predict --model nothing
explain nowhere.png
explain --layer nothing
explain --of nobody
explain --of 99
attack --target 99
attack --epsilon 1/0x
attack --norm l3
attack --alpha -1
attack nowhere.png
trace nowhere.png
trace --label 99
trace --out file.txt/x.html
summary nothing
summary vit --heads 7
summary vit --image-size 30
summary file.txt
summary --weights nowhere
convert
convert a
convert a b c
convert nowhere.pth out.safetensors
convert file.txt out.safetensors
convert file.txt out.pth
convert file.txt out.onnx
convert out.onnx out.pth
convert nowhere.safetensors out.zip
compare
compare nothing
compare speed --model nothing
compare speed --batch 0
compare speed --json nowhere/x.json
compare speed --json file.txt
compare layerwise
compare layerwise nothing
compare layerwise simplenet --plant nothing
compare layerwise simplenet --set depth=3
compare network
compare network nowhere.py:Net
compare network file.txt
compare explain
compare explain --weights nowhere
compare explain --weights file.txt --rows x
compare attacks --weights nowhere
compare accuracy nothing
compare report --results nowhere
compare report --html nowhere/x.html
compare report --html file.txt --results empty
compare gradients --only nothing
compare gradients --group nothing
compare lockstep --model nothing
compare scaling --axis nothing
compare profile --model nothing
compare overhead --jsn x
""".split("\n")
RIGHT = ("compare",)
"""Lines that are right after all: they print the usage."""


@pytest.mark.parametrize("line", [line for line in LINES if line and line not in RIGHT])
def test_wrong_lines(line: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("neither weights nor an image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "nested").mkdir()
    before = set(_everything(tmp_path))
    code, out, err = call(*line.split())
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1, (out, err)
    assert all(said.startswith(("device: ", "data: ")) and len(said) <= 80 for said in out.splitlines()), out
    assert set(_everything(tmp_path)) == before


def _everything(folder: Path) -> Iterator[Path]:
    return folder.rglob("*")
