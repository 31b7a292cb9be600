"""Types of what is installed as minigrad is imported: the stubs are current, and type checkers read them as users expect."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
import minigrad.nn.functional
from minigrad.ops.public import PLACES, offer
from tools.stubs import ROOT, stubs

REVEALED = {
    "x.sum(dim=1)": "Tensor",
    "x.sum(axis=1, keepdims=True)": "Tensor",
    "x.cumsum(axis=1)": "Tensor",
    "x.exp_()": "Tensor",
    "x + 1": "Tensor",
    "-x[0]": "Tensor",
    "x == x": "Tensor",
    "x.to(mg.float64).reshape(3, 2)": "Tensor",
    "x.chunk(2)": "tuple[Tensor, ...]",
    "x.allclose(x)": "bool",
    "mg.relu(x)": "Tensor",
    "mg.zeros(2, 3, layout=mg.strided)": "Tensor",
    "mg.linalg.norm(x)": "Tensor",
    "mg.special.expit(x)": "Tensor",
    "mg.nn.Linear(2, 3).weight": "Parameter",
    "F.conv2d(x, x, stride=2)": "Tensor",
    "F.relu_(x)": "Tensor",
    "Size((2, 3)).numel()": "int",
    "mg.optim.SGD([x])": "SGD",
    "mg.autograd.grad(x.sum(), x)[0]": "Tensor | None",
}
REFUSED = [
    "x.summ()",
    "x.sum(dim='rows')",
    "mg.exp2(x, 3)",
    "mg.reelu(x)",
    "F.conv2d(x)",
    "x.cumsum()",
    "F.conv4d(x, x)",
]


def test_the_stubs_are_current() -> None:
    for path, text in stubs().items():
        assert path.read_text() == text, f"run python tools/stubs.py: {path.relative_to(ROOT)}"


@pytest.mark.parametrize("place", ["minigrad", "Tensor", "nn.functional", "linalg", "special"])
def test_every_public_op_has_its_types(place: str) -> None:
    files = {"minigrad": "__init__.pyi", "Tensor": "_methods.pyi"}
    path = ROOT / "minigrad" / files.get(place, place.replace(".", "/") + ".pyi")
    typed = set(re.findall(r"^ *def (\w+)\(", path.read_text(), re.MULTILINE))
    in_place = {f"{name}_" for name in PLACES.get(f"{place}_", ())}
    assert not (PLACES[place].keys() | in_place) - typed


def test_type_checkers_see_them(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    lines = [f"reveal_type({call})" for call in REVEALED] + REFUSED
    head = "import minigrad as mg\nfrom minigrad import Size\nfrom minigrad.nn import functional as F\n\nx = mg.ones(2, 3)\n"
    (tmp_path / "user.py").write_text(head + "\n".join(lines) + "\n")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--no-implicit-reexport",
        "--cache-dir",
        str(tmp_path / "cache"),
        str(tmp_path / "user.py"),
    ]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    first = head.count("\n") + 1
    found = dict(re.findall(r'user\.py:(\d+): note: Revealed type is "(.*)"', out))
    revealed = {call: found.get(str(first + i)) for i, call in enumerate(REVEALED)}
    assert {
        call: re.sub(r"(minigrad|builtins)\.([a-z]+\.)*", "", str(t)) for call, t in revealed.items()
    } == REVEALED, out
    errors = {int(line) for line in re.findall(r"user\.py:(\d+): error", out)}
    assert errors == {first + len(REVEALED) + i for i in range(len(REFUSED))}, out


def test_the_package_says_that_it_is_typed() -> None:
    packaged = (ROOT / "pyproject.toml").read_text().split("[tool.setuptools.package-data]")[1].split("[")[1]
    assert (ROOT / "minigrad" / "py.typed").exists()
    assert '"py.typed"' in packaged and '"**/*.pyi"' in packaged


def test_every_file_of_ops_that_offers_something_is_imported() -> None:
    offering = {path.stem for path in (ROOT / "minigrad" / "ops").glob("*.py") if "\noffer(" in path.read_text()}
    code = (
        "import sys, minigrad.nn; print(*[m.rpartition('.')[2] for m in sys.modules if m.startswith('minigrad.ops.')])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert offering <= set(out.stdout.split())


def test_a_name_belongs_to_one_op() -> None:
    with pytest.raises(ValueError, match="exp from minigrad.ops.exponential"):
        offer("minigrad", exp=mg.sum)
    with pytest.raises(KeyError):
        offer("nowhere", mg.sum)
