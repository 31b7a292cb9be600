"""The floor of compare speed and compare profile: what is counted is right; what was measured is shown. No time is asserted."""

from __future__ import annotations

from typing import Any

import pytest

import minigrad as mg
from compare import profile, speed
from compare.__main__ import main
from compare.kit.arguments import Parser
from compare.kit.job import Training, make_start
from compare.kit.limit import COPIED, SIDE, Counter, Rates, Work, count_step
from compare.kit.result import read_result
from compare.speed.measure import make_job
from minigrad.nn import functional as F


def training(model: str, batch: int = 2) -> Training:
    """A network on its way, by its recipe."""
    parser = Parser("speed", None)
    speed.options(parser)
    job = make_job(parser.parse_args(["--model", model, "--batch", str(batch)]), "cpu")
    made = Training("minigrad", job)
    made.build(make_start(job))
    return made


def test_the_multiply_adds_of_simplenet() -> None:
    """160.2 million an image in the forward pass; twice that backward, but for the images' own gradient."""
    forward = 160.2e6
    images_gradient = 64 * 64 * 64 * 3 * 7 * 7
    rows = count_step(training("simplenet"))
    assert sum(row.multiply_adds for row in rows.values()) == pytest.approx(
        2 * (3 * forward - images_gradient), rel=1e-3
    )
    assert rows["update"] == Work(0, 5 * 4 * 365_028)


def test_the_multiply_adds_of_the_vision_transformer() -> None:
    rows = count_step(training("vit", 1))
    tokens, dim, depth = 64, 192, 4
    # windows of 16 tokens in blocks 0 and 2; forward two products, backward four
    assert rows["ScaledDotProductAttention"].multiply_adds == 3 * 2 * dim * tokens * (2 * 16 + 2 * 64)
    assert rows["Linear"].multiply_adds == 3 * (depth * 12 * dim * dim * tokens + 100 * dim)
    assert rows["update"] == Work(0, (7 + 3) * 4 * 1_959_076)


def test_each_array_is_read_and_written_once() -> None:
    x, w = mg.randn(3, 5, requires_grad=True), mg.randn(7, 5, requires_grad=True)
    with Counter() as counter:
        y = F.linear(x, w)
        y.exp().sum().backward()
    (sizes,) = ({"x": 15, "w": 35, "y": 21},)
    linear = 4 * (sizes["x"] + sizes["w"] + sizes["y"])
    assert counter.rows["Linear"] == Work(3 * 3 * 5 * 7, linear + linear + 4 * (sizes["x"] + sizes["w"]))
    assert counter.rows["Exp"] == Work(0, 4 * (2 * 21 + 3 * 21))
    with Counter() as counter:
        x.reshape(5, 3).transpose(0, 1)
    assert set(map(str, counter.rows.values())) == {str(Work())}  # views are free


@pytest.mark.parametrize(("a", "b"), [((4, 5), (5, 6)), ((2, 1, 4, 5), (3, 5, 6)), ((5,), (5, 6)), ((4, 5), (5,))])
def test_products_of_every_shape(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with Counter() as counter:
        y = mg.ones(*a) @ mg.ones(*b)
    assert sum(row.multiply_adds for row in counter.rows.values()) == y.numel() * 5


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_and_their_transposes(groups: int) -> None:
    x, w = mg.ones(2, 4, 9, 9, requires_grad=True), mg.ones(6, 4 // groups, 3, 3)
    with Counter() as counter:
        y = F.conv2d(x, w, stride=2, groups=groups)
        y.sum().backward()
    assert counter.rows["Conv2d"].multiply_adds == 2 * y.numel() * w[0].numel()  # the weight has no gradient
    with Counter() as counter:
        F.conv_transpose2d(x, mg.ones(4, 6 // groups, 3, 3), groups=groups)
    assert counter.rows["ConvTranspose2d"].multiply_adds == x.numel() * 6 // groups * 9


def test_a_floor_is_arithmetic_and_traffic() -> None:
    assert Rates(100.0, 10.0).floor(Work(200, 30)) == 5.0 and Work(1, 2) + Work(3, 4) == Work(4, 6)


def test_profile_and_speed_show_it(monkeypatch: Any, tmp_path: Any, capsys: Any) -> None:
    asked = ["--batch", "2", "--image-size", "32", "--steps", "1", "--limit", "--json", str(tmp_path / "found.json")]
    monkeypatch.setattr("compare.kit.limit.machine_rates", lambda: Rates(1e9, 1e9))
    assert main(["profile", *asked, "--sort", "excess"]) == 0
    result = read_result(tmp_path / "found.json", profile.COMMAND.format)
    said = capsys.readouterr().out
    assert "of the floor" in said and "billion multiply-adds at 1.0 billion a second" in said
    excess = [row["forward"] + row["backward"] - row["floor"] for row in result["rows"]]
    assert excess == sorted(excess, reverse=True)
    floors = [row["floor"] for row in result["rows"]]
    assert sum(floors) + result["limit"]["rows"]["update"]["floor"] == pytest.approx(result["limit"]["floor"])
    assert speed.show.limit_notes(result)[0].startswith("the floor, ") and speed.show.limit_notes({}) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["profile", "--sort", "excess"], "--sort excess belongs to --limit"),
        (["speed", "--limit", "--device", "gpu"], "--limit is that of a CPU"),
        (["profile", "--limit", "--device", "gpu"], "--limit is that of a CPU"),
    ],
)
def test_mistakes_are_one_line(monkeypatch: Any, capsys: Any, arguments: list[str], said: str) -> None:
    for module in ("compare.speed.measure", "compare.profile.measure"):
        monkeypatch.setattr(f"{module}.get_device", lambda name: "gpu:0" if name == "gpu" else name)
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert said in line and line.count("\n") == 1


def test_the_rates_are_of_large_things() -> None:
    assert SIDE**2 * 4 * 3 > 32 << 20 and COPIED > 128 << 20  # what they touch fits in no cache
