"""python -m compare robustness: its figures are the library's, in both frameworks; it goes on where it stopped; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from compare.__main__ import main
from compare.kit.command import find
from compare.kit.tables import as_text
from compare.robustness import parts
from compare.robustness.parts import PARTS
from minigrad.attacks import DDN, AutoAttack, DeepFool
from minigrad.data import normalize, open_dataset
from minigrad.testing import build
from tests.compare.test_transfer import DENSE

IMAGES = 24


def call(capsys: Any, *arguments: Any) -> tuple[int, str]:
    """(exit code, what was printed: the error line, if there is one)."""
    code = main(["robustness", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.err or said.out


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(DENSE)
    return path


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of everything."""
    effort = parts.Effort(steps=3, queries=5, votes=60, strengths=(3,))
    monkeypatch.setattr("compare.robustness.measure.QUICK", effort)
    monkeypatch.setattr(parts, "VOTES", (20, 1e-3))


def test_the_page(short: None, nets: Path, tmp_path: Path, capsys: Any) -> None:
    out, picture = tmp_path / "r.json", tmp_path / "r.png"
    arguments = [f"{nets}:Dense", f"t=torch:{nets}:Dense", "--images", IMAGES, "--epsilon", 0.1, "--json", out]
    code, said = call(capsys, *arguments, "--picture", picture)
    assert code == 0, said
    assert picture.read_bytes().startswith(b"\x89PNG")
    result = json.loads(out.read_text())
    assert all(list(by) == ["minigrad", "torch"] for by in result["found"].values())
    assert all(list(figures) == list(PARTS) for by in result["found"].values() for figures in by.values())
    for title in (
        "Percent right, linf 0.1 (pixels from 0 to 1)", "under noise of the same size", "images right after each stage",
        "Median distance to the decision boundary", "Percent right for certain beyond a radius", "under common corruptions",
        "The audit of PGD", "AutoAttack of 3 steps, 5 queries of Square: shorter than", "the frameworks agree in all",
    ):  # fmt: skip
        assert title in said, title

    data = open_dataset(None, "val", None, IMAGES)
    x = mg.from_numpy(normalize(np.stack([data.load(i, None) for i in range(IMAGES)]), data.mean, data.std))
    model, reference = build(f"{nets}:Dense", "minigrad").eval(), build(f"{nets}:Dense", "torch")
    model.load_state_dict({k: mg.from_numpy(v.numpy().copy()) for k, v in reference.state_dict().items()})
    box: dict[str, Any] = {"epsilon": 0.1, "units": "pixel", "clip": (0, 1), "mean": data.mean, "std": data.std}
    ours = result["found"]["Dense"]["minigrad"]
    attack = AutoAttack(steps=3, queries=5, generator=mg.Generator(2024), **box)
    assert ours["autoattack"]["stages"] == attack.run(model, x, data.labels).rows()
    for name, searched in (("DeepFool", DeepFool(norm="l2", **box)), ("DDN", DDN(steps=15, **box))):
        far = searched.nearest(model, x, data.labels)[1].numpy()
        found = ours["nearest"]["l2"][name]
        assert (
            found["median"] == pytest.approx(float(np.median(far[far > 0])), rel=1e-6)
            and found["of"] == (far > 0).sum()
        )
    curve = [row["pgd"].count("1") for row in ours["curve"]]
    assert curve[0] == ours["clean"].count("1") > curve[-1] and ours["curve"][3]["pgd"] == ours["attacks"]["pgd"]


def test_it_goes_on_where_it_stopped(
    short: None,
    nets: Path,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "r.json"
    arguments = [f"{nets}:Dense", "--images", 8, "--tracks", "minigrad", "--json", out]
    assert call(capsys, *arguments, "--parts", "clean,curve")[0] == 0
    first = json.loads(out.read_text())["found"]["Dense"]["minigrad"]
    asked: list[str] = []

    def noted(name: str) -> Any:
        return lambda subject: asked.append(name) or PARTS[name](subject)

    monkeypatch.setattr("compare.robustness.measure.PARTS", {name: noted(name) for name in PARTS})
    code, said = call(capsys, *arguments, "--parts", "clean,nearest,curve")
    assert code == 0 and asked == ["nearest"]
    result = json.loads(out.read_text())
    assert {k: result["found"]["Dense"]["minigrad"][k] for k in first} == first
    assert result["parts"] == ["clean", "curve", "nearest"]
    assert "one framework: nothing to compare" in said
    asked.clear()
    second = [f"b={nets}:Dense", *arguments[1:], "--parts", "clean"]  # a network more, in the same file
    assert call(capsys, *second)[0] == 0 and asked == ["clean"]
    result = json.loads(out.read_text())
    assert list(result["found"]) == ["Dense", "b"] and len(result["settings"]["networks"]) == 2
    assert [len(result["runs"]), "command" in result] == [3, False] and "b=nets.py:Dense" in result["runs"][-1][
        "command"
    ]
    nets.write_text(DENSE.replace("manual_seed(1)", "manual_seed(2)"))
    assert "has other b" in call(capsys, *second)[1]
    nets.write_text(DENSE)
    before = out.read_bytes()
    for other, message in ((["--epsilon", 0.2], "has other threat"), (["--images", 9], "has other images")):
        code, said = call(capsys, *[a for a in arguments if a not in ("--images", 8)], "--images", 8, *other)
        assert code == 2 and message in said and out.read_bytes() == before


def test_frameworks_that_differ_and_audits_that_fail_are_said() -> None:
    show = find("robustness").show
    figures = {
        "clean": "1" * 100,
        "attacks": {"pgd": "1" * 50 + "-" * 50},
        "audit": {"title": "", "checks": [["unbounded", False, "right: 9 %"]]},
    }
    other = figures | {"attacks": {"pgd": "1" * 80 + "-" * 20}}
    settings = {
        "tracks": ["minigrad", "torch"], "images": 100, "threat": "linf 1", "data": "d", "image_size": 8, "networks": [],
        "effort": {"steps": 100, "queries": 5000, "strengths": [3]},
    }  # fmt: skip
    result = {"settings": settings, "found": {"a": {"minigrad": figures, "torch": other}, "b": {"minigrad": figures}}}
    verdict = show.verdict(result)
    assert "a: 100.0 % clean, 50.0 % under pgd, the audit fails unbounded" in verdict
    assert "THE FRAMEWORKS DIFFER in 1 of 2 figures" in verdict
    text = "\n".join(as_text(table) for table in show.tables(result))
    assert "a, minigrad: unbounded: right: 9 %" in text
    assert "pgd 50.0 / 80.0 50.0 / -".split() in [line.split() for line in text.splitlines()]
    assert list(show.pictures(result)) == ["robustness"]
    assert show.tables(result | {"found": {}}) == [] and show.pictures(result | {"found": {"a": {}}}) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: NETWORK"),
        (["nowhere"], "there is no checkpoint nowhere"),
        (["embedded", "--parts", "everything"], "parts are some of clean"),
        (["embedded", "--epsilon", "nan"], "a finite number above 0 is wanted, not 'nan'"),
        (["embedded", "--sigma", "0"], "a finite number above 0 is wanted, not '0'"),
        (["embedded", "--images", "0"], "a whole number from 1"),
        (["embedded", "--json", "nowhere/r.json"], "there is no folder nowhere"),
    ],
)
def test_what_is_refused(arguments: list[str], message: str, capsys: Any) -> None:
    code, said = call(capsys, *arguments)
    assert code == 2 and message in said and len(said.strip().splitlines()) == 1, said
