"""At a terminal every line fits into its columns; piped, a line is one line; names that are not there propose others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

import minigrad
from minigrad import attacks, attribution, linalg, nn, optim, special
from minigrad.errors import did_you_mean, one_line
from minigrad.terminal import Folded, columns, filled, fold
from minigrad.training.schedule import learning_rate
from tests.commands.conftest import ROOT, Call

LONG = "x" * 200
TEXTS = [
    "error: " + "a word and another one, " * 12,
    "  a/first/column    and what stands in the last one of them, which is longer than all the columns that there are here",
    f"error: no folder '/tmp/{LONG}/inner/{LONG}' exists",
    "error: \u53c2\u6570 " + "\u56fe\u50cf" * 90 + " is no file",
    "e\u0301" * 79 + " and more",
    LONG,
    "",
    " " * 300,
]


@pytest.mark.parametrize("width", [20, 80])
@pytest.mark.parametrize("text", TEXTS)
def test_lines_fit_and_nothing_is_lost(text: str, width: int) -> None:
    for column in (0, 7):
        first, *more = fold(text, width, column)
        assert columns(first) + column <= width and all(columns(line) <= width for line in more)
        assert "".join([first, *more]).replace(" ", "") == text.replace(" ", "")
    assert fold("error: " + "/path" * 15 + " is no file", 80)[0].startswith("error: /path")
    short = "short enough"
    assert fold(short, width) == [short]


def test_what_goes_on_stands_below_its_column() -> None:
    lines = fold("  --option NAME      " + "what it does in many words " * 5, 60)
    assert all(line.startswith(" " * 21 + "w") or line.strip() in line[21:] for line in lines[1:])
    assert filled("Several\nlines\n\n  kept as it is\n", 80) == ["Several lines", "", "  kept as it is"]


class Stream:
    """What a stream that is a terminal is given."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def isatty(self) -> bool:
        return True


def test_a_terminal_of_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Stream()
    out = Folded(stream)
    print("a part of a line that goes on", end=" ", file=out)
    print("and ends here", file=out)
    bar = "\r" + "#" * 60
    print(bar, end="", file=out)
    assert stream.text == f"a part of a line that goes on and ends\n  here\n{bar}"


def test_only_a_terminal_folds(call: Call, at_terminal: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, piped = call("attack", "--attack", "untargetted")
    assert piped.count("\n") == 1 and len(piped) > 81 and "(did you mean untargeted?)" in piped
    code, _, shown = at_terminal("attack", "--attack", "untargetted")
    assert code == 2 and max(map(len, shown.splitlines())) <= 80
    assert " ".join(shown.split()) == " ".join(piped.split())
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, at_terminal("attack", "--attack", "untargetted")[2].splitlines())) <= 50


def test_what_a_terminal_would_obey_is_shown(call: Call, tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "a\x1b[31mb\n.png")
    assert call("predict", "a\x1b[31mb\n.png")[1].startswith("a\\x1b[31mb\\n.png\n")
    assert one_line(ValueError("a\x1b[31m b\n\udcff")) == "error: a\\x1b[31m b \\udcff"


@pytest.mark.parametrize(
    ("module", "name", "meant"),
    [
        (minigrad, "tensr", "tensor"),
        (minigrad, "RESHAPE", "reshape"),
        (minigrad, "laod", "load"),
        (nn, "Conv2D", "Conv2d"),
        (nn, "Batchnorm2d", "BatchNorm2d"),
        (nn.functional, "crossentropy", "cross_entropy"),
        (nn.init, "kaimin_uniform_", "kaiming_uniform_"),
        (nn.utils, "clip_grad_norms_", "clip_grad_norm_"),
        (optim, "Adm", "Adam"),
        (optim.lr_scheduler, "StepLr", "StepLR"),
        (attacks, "DeepFol", "DeepFool"),
        (attribution, "gradcam", "grad_cam"),
        (minigrad.autograd, "gradchek", "gradcheck"),
        (linalg, "nrom", "norm"),
        (special, "expitt", "expit"),
    ],
)  # fmt: skip
def test_names_that_are_not_there(module: ModuleType, name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}' \(did you mean {meant}\?\)"):
        getattr(module, name)
    assert not hasattr(module, "__no_such_protocol__") and not hasattr(module, "qqqqqqqq")


def test_python_does_not_guess_a_second_time() -> None:
    def last_line(code: str) -> str:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        return done.stderr.splitlines()[-1]

    said = last_line("import minigrad as mg; mg.nn.Conv2D")
    assert said == "AttributeError: module 'minigrad.nn' has no attribute 'Conv2D' (did you mean Conv2d?)"
    # of a Tensor Python itself proposes, so that reading its attributes costs nothing more
    assert "Did you mean: 'reshape'?" in last_line("import minigrad as mg; mg.zeros(2).reshap(2)")


def test_other_names_that_are_not_there() -> None:
    model = nn.Sequential()
    model.conv1 = nn.Linear(1, 1)
    for call, meant in (
        (lambda: model.con1, "conv1"),
        (lambda: attacks.preset("untargetted"), "untargeted"),
        (lambda: attacks.PGD(loss="crossentropy"), None),
        (lambda: attacks.PGD(target="lable"), "label"),
        (lambda: learning_rate(0, 1, 0, 1.0, schedule="cosin"), "cosine"),
        (lambda: minigrad.definitions("convd2"), "conv2d"),
    ):
        with pytest.raises((ValueError, AttributeError)) as found:
            call()
        assert meant is None or f"(did you mean {meant}?)" in str(found.value)
    assert did_you_mean("xyz", ["abc"]) == ""
