"""Wrong and hostile command lines, each option of each command: one line, exit code 2, nothing made, and no traceback."""

from __future__ import annotations

import argparse
import shlex
import struct
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compare import __main__ as compare
from compare.kit.arguments import Parser as CompareParser
from minigrad.commands.network import EMBEDDED_WEIGHTS
from minigrad.option import Parser
from minigrad.terminal import columns
from minigrad.weights import load_weights, save_weights
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


WRONG = Path(__file__).with_name("wrong_lines.txt")
RIGHT = """
--help
-h
help
--version
compare
compare --help
summary simplenet
summary simplenet-bn --classes 3 --channels 1 --image-size 28
summary vit --depth 2 --image-size 32 --json
summary run
predict photo.png
predict photos --top 3 --json
predict фото.png
predict photo.png photo.png --invert -w run
predict loose.png
convert loose.safetensors made.pth
convert run made.safetensors
convert run made.safetensors --force
evaluate --limit-val 20 --device cpu
evaluate run --limit-val 20 --out measured --device cpu
evaluate run --limit-val 20 --tta --image-size 14 --out measured --device cpu
evaluate loose.safetensors --limit-val 12 --attack deepfool --norm linf --out measured --device cpu
evaluate run --limit-val 12 --attack cw --attack-units pixel --attack-steps 2 --out measured --device cpu
attack photo.png --attack apgd --norm l2 --steps 2
attack photo.png --norm l0 --epsilon 30 --steps 2
explain photo.png --layer features
trace photo.png --label bag
train --limit-train 20 --limit-val 10 -b 10 --epochs 1 --model simplenet-bn --device cpu --out fresh
train --resume fresh --epochs 2 --device cpu
train --resume fresh --device cpu
evaluate fresh --device cpu
compare accuracy --list
compare gradients --list
"""
"""Command lines that are right."""


def groups() -> dict[str, list[list[str]]]:
    """{heading: the command lines below it}."""
    found: dict[str, list[list[str]]] = {}
    for line in WRONG.read_text().splitlines()[1:]:
        if line.startswith("# "):
            found[line[2:]] = []
        elif line:
            found[list(found)[-1]].append([part.replace("\\0", "\0") for part in shlex.split(line)])
    return found


def furnish(folder: Path) -> None:
    """Files and folders of all kinds to be wrong about."""
    folder.joinpath("file.txt").write_text("neither weights nor an image")
    for name in "empty nested photos folder.npz folder.png folder.pth folder.onnx folder.html bad mini/images".split():
        folder.joinpath(name).mkdir(parents=True)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    classes = ["one/train/cat", "one/val/cat", *(f"broken/{part}/{name}" for part in ("train", "val") for name in "ab")]
    for name in classes:
        folder.joinpath(name).mkdir(parents=True)
    for name in (
        "photo",
        "photos/a",
        "mini/images/1",
        *(f"{name}/1" for name in classes),
        *(f"{name}/2" for name in classes),
    ):
        photo.save(folder / f"{name}.png")
    whole = folder.joinpath("photo.png").read_bytes()
    for name in classes[2:]:
        folder.joinpath(name, "2.png").write_bytes(whole[:60])
    folder.joinpath("cut.png").write_bytes(whole[: len(whole) // 2])
    header = whole.replace(struct.pack(">II", 50, 40), struct.pack(">II", 60000, 60000), 1)
    ihdr = header.index(b"IHDR")
    crc = struct.pack(">I", zlib.crc32(header[ihdr : ihdr + 17]))
    folder.joinpath("bomb.png").write_bytes(header[: ihdr + 17] + crc + header[ihdr + 21 :])
    Image.new("L", (1, 1)).save(folder / "wide.png")
    photo.save(folder / "фото.png")
    Image.new("L", (1, 1)).save(folder / "loose.png")
    weights = EMBEDDED_WEIGHTS.read_bytes()
    folder.joinpath("run").mkdir()
    for name in ("loose.safetensors", "run/best.safetensors", "run/last.safetensors"):
        folder.joinpath(name).write_bytes(weights)
    folder.joinpath("cut.safetensors").write_bytes(weights[: len(weights) // 2])
    arrays = dict(load_weights(EMBEDDED_WEIGHTS))
    save_weights(folder / "nan.safetensors", arrays | {"fc.bias": arrays["fc.bias"] * np.nan})
    texts = {
        "zero.png": "", "zero.safetensors": "", "there.pth": "x", "there.onnx": "x", "run/config.json": "{}", "list.json": "[1]",
        "cut.json": "{", "unknown.json": '{"epoch": 3}', "range.json": '{"epochs": 0}', "wrong.yaml": "a: [1",
        "self.json": '{"config": "self.json"}', "broken.py": "def", "bad/x.json": "{}",
        "net.py": "import torch\n\n\nclass Net(torch.nn.Module):\n    pass\n",
    }  # fmt: skip
    for name, text in texts.items():
        folder.joinpath(name).write_text(text)
    folder.joinpath("latin.json").write_bytes(b'{"data": "\xe9"}')


@pytest.mark.parametrize("group", groups())
def test_wrong_lines(group: str, at_terminal: Call, tmp_path: Path) -> None:
    """No traceback; one error, in lines of at most 80 columns; exit code 2; nothing made or changed."""
    furnish(tmp_path)
    before, wrong = everything(tmp_path), []
    for arguments in groups()[group]:
        code, out, err = at_terminal(*arguments)
        first, *more = err.splitlines() or [""]
        one = first.startswith("error: ") and all(line.startswith("  ") for line in more)
        short = all(columns(line) <= 80 for line in (out + err).splitlines())
        beside = [
            line
            for line in out.splitlines()
            if not line.startswith(("device: ", "data: ", "weights: ", "note: ", "  "))
        ]
        if code != 2 or not one or not short or beside or everything(tmp_path) != before:
            wrong.append((arguments, code, out, err, sorted(everything(tmp_path) ^ before)))
    assert not wrong, wrong


def test_right_lines(at_terminal: Call, tmp_path: Path) -> None:
    furnish(tmp_path)
    for line in RIGHT.strip().splitlines():
        code, out, err = at_terminal(*line.split())
        assert code == (0), (line, err)
        shown = [part for part in (out + err).split("\n") if "\r" not in part and not out.startswith(("[", "{"))]
        assert all(columns(part) <= 80 for part in shown), (line, out, err)


def test_there_are_enough_of_them() -> None:
    assert sum(map(len, groups().values())) >= 270


def everything(folder: Path) -> set[tuple[str, int]]:
    """What is in a folder, and when each file was last written."""
    found = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {(str(path.relative_to(folder)), path.stat().st_mtime_ns if path.is_file() else 0) for path in found}
