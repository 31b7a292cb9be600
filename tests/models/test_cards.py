"""Each fact of a network stands on its card, and adding a network takes one file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import models
import models.reference

ROOT = Path(__file__).parent.parent.parent

TINY = '''
"""A network of one convolution."""

from minigrad import Tensor, nn
from minigrad.option import Option, count
from dataclasses import replace

from models.card import SMALL_IMAGES, Card


class Tiny(nn.Module):
    """A convolution, the mean over the places, a linear layer."""

    def __init__(self, num_classes: int = 100, channels: int = 3, width: int = 8) -> None:
        super().__init__()
        self.features = nn.Conv2d(channels, width, 3, stride=2)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).relu().mean((2, 3)))


CARDS = {
    "tiny": Card(
        "Tiny", "Tiny", parameters=1_124, layer="features", small_images=replace(SMALL_IMAGES, lr=0.25),
        options={"width": Option("features of the convolution (8)", count)}, small={"width": 3},
    )
}
'''  # fmt: skip
IN_TORCH = """
from torch import Tensor, nn


class Tiny(nn.Module):
    def __init__(self, num_classes: int = 100, channels: int = 3, width: int = 8) -> None:
        super().__init__()
        self.features = nn.Conv2d(channels, width, 3, stride=2)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).relu().mean((2, 3)))
"""


@pytest.mark.parametrize("name", models.MODELS)
def test_cards_say_what_is(name: str) -> None:
    card = models.MODELS[name]
    for package in (models, models.reference):
        model = package.create(name, 100)
        assert sum(p.numel() for p in model.parameters()) == card.parameters
        modules = dict(model.named_modules())
        assert {card.layer, card.head, *(card.image_layers or ())} <= modules.keys()
        assert modules[card.head].weight.shape[0] == 100
    assert models.settings_of(name).keys() == card.options.keys()
    models.create(name, 5, **card.small)


def test_networks_are_listed_from_the_smallest_to_the_largest() -> None:
    sizes = [card.parameters for card in models.MODELS.values()]
    assert sizes == sorted(sizes) and len(sizes) == 4


def test_create_loads_only_the_network_asked_for_when_its_package_is_imported() -> None:
    code = "import sys, models; print([m for m in sys.modules if m.startswith(('models.', 'minigrad.nn'))])"
    assert run("-c", code).strip() == "['models.card']"


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one more network, and its PyTorch version."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny.py").write_text(TINY)
    (folder / "reference").mkdir()
    (folder / "reference" / "tiny.py").write_text(IN_TORCH)
    return folder


def run(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_it(folder: Path, program: str, *arguments: str) -> str:
    """What a program prints where models/ has that folder's files as well."""
    code = (
        f"import sys, models; models.__path__.append({str(folder)!r}); import models.reference as reference; "
        f"reference.__path__.append({str(folder / 'reference')!r}); sys.argv = {[program, *arguments]!r}; "
    )
    if program == "compare":
        code += f"from compare.__main__ import main; sys.exit(main({list(arguments)!r}))"
    else:
        code += f"import {program} as script; sys.exit(script.main(script.train, list(script.MODELS)))"
    return run("-c", code)


@pytest.mark.parametrize("program", ["train_minigrad", "train_torch"])
def test_one_file_adds_a_network_to_both_scripts(program: str, added: Path, tmp_path: Path) -> None:
    said = with_it(added, program, "--help")
    assert "--model {tiny,simplenet" in said and "options of --model tiny" in said and "--width" in said
    short = "--model tiny --width 4 --epochs 1 --limit-train 64 --limit-val 20 --device cpu".split()
    said = with_it(added, program, *short, "--out", str(tmp_path / "run"))
    assert "tiny" in (tmp_path / "run" / "config.json").read_text() and "val" in said
    config = (tmp_path / "run" / "config.json").read_text()
    assert '"width": 4' in config and '"lr": 0.25' in config


COMMANDS = ["speed", "lockstep", "layerwise", "scaling", "profile", "explain", "attacks"]


@pytest.mark.parametrize("command", COMMANDS)
def test_one_file_adds_a_network_to_the_commands_that_take_one(command: str, added: Path) -> None:
    assert "{tiny,simplenet," in with_it(added, "compare", command, "--help")


def test_one_file_adds_a_network_to_what_compares_gradients(added: Path) -> None:
    assert "tiny" in with_it(added, "compare", "gradients", "--only", "tiny")
    assert "tiny" in with_it(added, "compare", "layerwise", "tiny", "--batch", "2", "--image-size", "16")
