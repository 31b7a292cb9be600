"""against_torch and `compare network` find that somebody's network is the same in both, and where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from compare.__main__ import main
from minigrad.errors import OptionError
from minigrad.testing import _apart, against_torch, load_both

NETWORK = f"{Path(__file__).parent / 'foreign' / 'network.py'}:Net"


@pytest.mark.parametrize("train", [False, True])
def test_a_network_that_agrees(train: bool) -> None:
    found = against_torch(NETWORK, (2, 3, 8, 8), train=train, num_classes=3)
    assert found.agree and found.worst[2] < 1e-12 and str(found).endswith("they agree")
    names = {name for name, _, _ in found.rows}
    assert {"output 0", "gradient of the input", "gradient of stem.weight", "head.bias after a step"} <= names
    assert "buffer blocks.0.norm.running_mean" in names
    given = against_torch(NETWORK, np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 8)))
    assert given.agree and against_torch(load_both(Path(NETWORK.rpartition(":")[0]))[0].Net, (1, 3, 8, 8)).agree


def test_a_wrong_op_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = mg.nn.functional.max_pool2d
    monkeypatch.setattr(mg.nn.functional, "max_pool2d", lambda *args, **kwargs: right(*args, **kwargs) * 1.000001)
    found = against_torch(NETWORK, (2, 3, 8, 8))
    assert not found.agree and found.rows[0][2] > 1e-8 and str(found).endswith("they do not agree")


def test_other_keys_are_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "import torch\nfrom torch import nn\n\n\nclass Odd(nn.Linear):\n    def __init__(self):\n        super().__init__(4, 2)\n"
        "        if torch.Tensor.__module__.startswith('minigrad'):\n            self.extra = nn.Parameter(torch.ones(1))\n"
    )
    found = against_torch(f"{file}:Odd", (3, 4))
    assert not found.agree and "keys of the state dicts differ: ['extra']" in found.problems[0]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("nowhere.py:Net", "nowhere.py is no file"),
        ("Net", "path.py:Name"),
        (NETWORK.replace(":Net", ":Nothing"), "has no Nothing"),
        (NETWORK.replace(":Net", ":volume"), "torch itself cannot"),
    ],
)
def test_bad_input(network: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OptionError, match=message):
        against_torch(network)
    assert main(["network", network]) == 2
    assert message in capsys.readouterr().err


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "network.json"
    assert main(["network", NETWORK, "--set", "num_classes=7", "--shape", "2,3,8,8", "--json", str(out)]) == 0
    assert "network.py:Net computes the same in minigrad and in torch" in capsys.readouterr().out and out.exists()
    for wrong in (["--set", "num_classes"], ["--shape", "2,x"], ["--shape", "2,3,8,8", "--nope"]):
        assert main(["network", NETWORK, *wrong]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_network_that_computes_in_float32_itself(tmp_path: Path) -> None:
    file = tmp_path / "positions.py"
    file.write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self, scale=1.0, single=True):\n"
        "        super().__init__(4, 2)\n        self.positions = 1 / (10000 ** (torch.arange(4) / 3)).sin()\n"
        "        self.positions = self.positions if single else self.positions.double()\n"
        "        if torch.Tensor.__module__.startswith('minigrad'):\n            self.positions = self.positions * scale\n\n"
        "    def forward(self, x):\n        return super().forward(x + self.positions)\n"
    )
    for scale, single, agree in (
        (1.0, True, True),
        (1 + 1e-7, True, True),
        (1.001, True, False),
        (1 + 1e-7, False, False),
    ):
        found = against_torch(f"{file}:Net", (3, 4), scale=scale, single=single)
        assert found.agree == agree and found.tolerance in (1e-9, 1e-6), found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_that_are_not_finite_agree_where_both_have_them(tmp_path: Path) -> None:
    """The variance of one channel is 0, and the gradient of its root is NaN in both libraries."""
    file = tmp_path / "deviation.py"
    file.write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.g = torch.nn.Parameter(torch.ones(3, 1))\n"
        "    def forward(self, x):\n        x = x.var(1, unbiased=False, keepdim=True).sqrt() * self.g.sum()\n"
        "        return torch.cat([x, x - 1 / x])\n"
    )
    assert against_torch(f"{file}:Net", (2, 1)).agree
    some = np.array([1.0, np.nan, np.inf, 2.0])
    assert _apart(some, some) == 0 and _apart(some, np.array([1.0, np.nan, np.inf, 4.0])) == 0.5
    for other in (
        [1.0, 1.0, np.inf, 2.0],
        [1.0, np.nan, 5.0, 2.0],
        [1.0, np.nan, -np.inf, 2.0],
        [np.nan, np.nan, np.inf, 2.0],
    ):
        assert not _apart(some, np.array(other)) <= 1e-3 and not _apart(np.array(other), some) <= 1e-3
