"""python -m compare transfer: as attacks.transfer, in both frameworks; anybody's networks; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import models
from compare.__main__ import main
from compare.kit.attacks import KINDS
from compare.kit.command import find
from minigrad.attacks import MIFGSM, Square, transfer
from minigrad.commands.network import EMBEDDED_WEIGHTS
from minigrad.data import normalize, open_dataset
from minigrad.weights import load_torch_state_dict, save_weights
from tests.rounding import in_float64, without_ties

IMAGES = 16
DENSE = '''
"""A dense network, whose weights come from a seed, as in a file of anybody's."""

import torch
from torch import nn


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.Tanh(), nn.Linear(16, 10))

    def forward(self, x):
        return self.body(x)


class Five(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :5]


class Colour(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 10, 28)

    def forward(self, x):
        return self.body(x).flatten(1)


def broken():
    raise RuntimeError("no file of weights")
'''


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(DENSE)
    return path


def call(capsys: Any, *arguments: Any) -> tuple[int, str]:
    """(exit code, what was printed: the error line, if there is one)."""
    code = main(["transfer", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.err or said.out


def test_the_table_is_that_of_the_library_in_both_frameworks(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    """In float64 on images without ties, where rounding decides no letter."""
    without_ties(monkeypatch)
    in_float64(monkeypatch)
    mg.manual_seed(0)
    other = models.create("simplenet", 10, 1)
    save_weights(tmp_path / "other.safetensors", other.state_dict())
    out, picture = tmp_path / "t.json", tmp_path / "t.png"
    networks = ["embedded", f"new={tmp_path / 'other.safetensors'}"]
    options = ["--attacks", "mifgsm,square", "--steps", 4, "--limit", IMAGES, "--epsilon", 0.1]
    code, said = call(capsys, *networks, *options, "--json", out, "--picture", picture)
    assert code == 0, said
    assert "the frameworks agree in all 10 figures" in said and picture.read_bytes().startswith(b"\x89PNG")
    result = json.loads(out.read_text())
    for table in (result["clean"], *result["attacked"].values()):
        assert table["minigrad"] == table["torch"]
    data = open_dataset(None, "val", None, IMAGES)
    pixels = np.stack([data.load(i, None) for i in range(IMAGES)])
    x = mg.from_numpy(normalize(pixels, data.mean, data.std).astype(np.float64))
    trained = models.create("simplenet-bn", 10, 1).double().eval()
    load_torch_state_dict(trained, EMBEDDED_WEIGHTS)
    pair = {"embedded": trained.double(), "new": other.double().eval()}
    units: dict[str, Any] = {"epsilon": 0.1, "units": "pixel", "clip": (0, 1), "mean": data.mean, "std": data.std}
    made = {
        "mifgsm": MIFGSM(alpha=0.025, steps=4, target="label", direction="ascend", **units),
        "square": Square(queries=4, generator=mg.Generator(2024), **units),
    }
    for name, attack in made.items():
        shares = find("transfer").show.matrix(result, name, "minigrad")
        if name == "square":  # a generator for each network there, one for all in attacks.transfer
            found = [Square(queries=4, generator=mg.Generator(2024), **units)(m, x, data.labels) for m in pair.values()]
            with mg.no_grad():
                rows = [[(m(y).argmax(1).numpy() == data.labels).mean() for m in pair.values()] for y in found]
            assert shares[1].tolist() == rows
            continue
        expected = transfer(pair, attack, x, data.labels)
        assert shares[0].tolist() == expected.clean and shares[1].tolist() == expected.accuracy
    assert 0 < shares[0][0] and shares[1][0][0] < shares[0][0]


def test_networks_of_anybody(nets: Path, capsys: Any, tmp_path: Path) -> None:
    """In both frameworks with the weights that PyTorch drew, as a PyTorch network, and with the weights of a file."""
    mg.manual_seed(0)
    dense = mg.nn.Sequential(mg.nn.Flatten(), mg.nn.Linear(784, 16), mg.nn.Tanh(), mg.nn.Linear(16, 10))
    weights = tmp_path / "dense.safetensors"
    save_weights(weights, {f"body.{key}": value for key, value in dense.state_dict().items()})
    out = tmp_path / "t.json"
    named = [f"{nets}:Dense", f"theirs=torch:{nets}:Dense", f"other={nets}:Dense@{weights}"]
    options = ["--attacks", "fgsm", "--limit", 40, "--json", out]
    code, said = call(capsys, *named, *options)
    assert code == 0, said
    result = json.loads(out.read_text())
    kinds = {network["label"]: network["model"] for network in result["settings"]["networks"]}
    assert kinds == {"Dense": "nets.py:Dense", "theirs": "nets.py:Dense, PyTorch", "other": "nets.py:Dense"}
    with mg.no_grad():
        data = open_dataset(None, "val", None, 40)
        x = mg.from_numpy(normalize(np.stack([data.load(i, None) for i in range(40)]), data.mean, data.std))
        letters = "".join("1" if hit else "-" for hit in dense(x).argmax(1).numpy() == data.labels)
    for framework in ("minigrad", "torch"):
        clean = result["clean"][framework]
        assert clean["Dense"] == clean["theirs"] != clean["other"]
        assert clean["other"].replace("5", "-") == letters
    assert "attacked on" in said and "Dense" in said


def test_every_attack_of_the_list_in_both_frameworks(nets: Path, capsys: Any) -> None:
    names = [f"{nets}:Dense", f"b={nets}:Dense"]
    code, said = call(capsys, *names, "--attacks", ",".join(KINDS), "--limit", 10, "--steps", 3)
    assert code == 0 and f"the frameworks agree in all {2 + 4 * len(KINDS)} figures" in said, said
    code, said = call(
        capsys, *names, "--limit", 10, "--norm", "l2", "--epsilon", 1, "--units", "normalised", "--tracks", "minigrad"
    )
    assert code == 0 and "l2 1 (normalised units)" in said and "one framework: nothing to compare" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embedded"], "embedded alone: an attack is carried from one network to another, name two"),
        (["embedded", "embedded"], "two networks are called embedded: give them labels, one=embedded"),
        (["embedded", "nowhere"], "there is no checkpoint nowhere"),
        (["embedded", "torch:embedded"], "torch: belongs before FILE.py:NAME"),
        (["embedded", "nowhere.py:Net"], "nowhere.py is no file"),
        (["embedded", "NETS:Nothing"], "cannot build nets.py:Nothing"),
        (["embedded", "NETS:broken"], "cannot build nets.py:broken: RuntimeError: no file of weights"),
        (["embedded", "NETS:Five"], "Five answers (1, 5) to 1 images of 10 classes"),
        (["embedded", "NETS:Colour"], "Colour takes no images (1, 28, 28)"),
        (["embedded", "NETS:Dense@nowhere.pth"], "there is no checkpoint nowhere.pth"),
        (["embedded", "NETS:Dense", "--epsilon", "0"], "a finite number above 0 is wanted, not '0'"),
        (["embedded", "NETS:Dense", "--attacks", "gradient"], "attacks are some of fgsm"),
        (["embedded", "NETS:Dense", "--steps", "0"], "a whole number from 1 to 10000 is wanted, not '0'"),
        (["embedded", "NETS:Dense", "--json", "nowhere/x.json"], "there is no folder nowhere"),
    ],
)
def test_what_is_refused(arguments: list[str], message: str, nets: Path, capsys: Any) -> None:
    code, said = call(capsys, *(text.replace("NETS", str(nets)) for text in arguments))
    assert code == 2 and message in said and len(said.strip().splitlines()) == 1, said


def test_frameworks_that_differ_are_noticed() -> None:
    """One letter of two hundred may differ, twenty may not."""
    show = find("transfer").show
    measure = find("transfer").measure
    for wrong, alike in ((1, True), (20, False)):
        letters = {
            "minigrad": {"a": "1" * 200, "b": "1" * 200},
            "torch": {"a": "1" * 200, "b": "-" * wrong + "1" * (200 - wrong)},
        }
        found = {"clean": letters, "attacked": {"x": {k: {"a": v, "b": v} for k, v in letters.items()}}}
        assert all(d.alike for d in measure.differences(found)) is alike
        labels = [{"label": name} for name in "ab"]
        result = {"settings": {"tracks": ["minigrad", "torch"], "networks": labels}, **found}
        assert ("DIFFER in 3 of 6" in show.verdict(result)) is not alike
