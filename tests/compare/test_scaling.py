"""Scaling: slopes that are known are found, each value is the job that it says, and bad input is one line. No time is asserted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compare import scaling
from compare.__main__ import main
from compare.kit.result import RESULTS, read_result
from compare.speed.measure import turn_steps


def test_a_small_run_from_end_to_end(tmp_path: Path, capsys: Any) -> None:
    json_file, picture = tmp_path / "scaling.json", tmp_path / "scaling.png"
    asked = ["--axis", "batch", "--values", "1,3", "--image-size", "32", "--rounds", "2", "--turn", "1"]
    files = ["--json", str(json_file), "--picture", str(picture)]
    assert main(["scaling", *asked, "--threads", "1", "--no-channels-last", *files]) == 0
    printed = capsys.readouterr().out
    result = read_result(json_file, scaling.COMMAND.format)
    assert result["agree"] and result["versions"] and result["machine"]["processor"]
    assert [point["job"]["batch"] for point in result["points"]] == result["values"] == [1, 3]
    for point in result["points"]:
        assert list(point["tracks"]) == list(point["memory"]) == ["minigrad", "torch"]
        assert all(len(track["turns"]) == 2 for track in point["tracks"].values())
        assert len(point["ratios"]["torch"]["rounds"]) == 2 and list(point["agreement"]) == ["minigrad"]
    assert len(result["slopes"]["minigrad"]["exponents"]) == 2
    assert "round 2 of 2" in printed and "all computed the same" in printed and scaling.show.verdict(result) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def made_up(axis: str, seconds: dict[str, list[float]], memory: dict[str, list[int]] | None = None) -> dict[str, Any]:
    """A result along 2, 4, 8 (times 16 along image-size), each step of an implementation taking the seconds given; the second round
    on a machine half as fast."""
    values = [32, 64, 128] if axis == "image-size" else [2, 4, 8]
    points = []
    for i, value in enumerate(values):
        job: dict[str, Any] = {"model": "vit", "batch": 8, "image_size": 64, "device": "cpu", "settings": {"depth": 4}}
        job |= {
            "depth": {"settings": {"depth": value}},
            "image-size": {"image_size": value},
            "batch": {"batch": value},
        }[axis]
        timed = {}
        for name, found in seconds.items():
            timed[name] = {"turns": [{"seconds": [found[i], found[i], 9.0]}, {"seconds": [2 * found[i]] * 3}]}
        point = {"value": value, "job": job, "tracks": timed}
        point["ratios"] = {name: {"summary": {"median": 0.5}} for name in list(seconds)[1:]}
        if memory:
            point["memory"] = {name: {"above_ready": found[i]} for name, found in memory.items()}
        points.append(point)
    machine = {"processor": "P", "cores": 2, "usable_cores": 2, "load": None}
    result: dict[str, Any] = {
        "axis": axis,
        "values": values,
        "rounds": 2,
        "points": points,
        "machine": machine,
        "agree": True,
    }
    return result | {"slopes": scaling.measure.slopes(result)}


def test_a_known_slope_is_found_on_a_machine_that_slows_down() -> None:
    """Ours is in proportion, theirs goes as batch to the power 1.5: their image costs 2, 2.83, 4."""
    memory = {"minigrad": [1_000_000 + 500_000 * n for n in (2, 4, 8)], "torch": [3_000_000 * n for n in (2, 4, 8)]}
    result = made_up("batch", {"minigrad": [2.0, 4.0, 8.0], "torch": [n**1.5 for n in (2, 4, 8)]}, memory)
    ours, theirs = result["slopes"]["minigrad"], result["slopes"]["torch"]
    assert ours["exponents"] == pytest.approx([0, 0], abs=1e-12) and ours["of_least"] == pytest.approx(1)
    assert theirs["exponents"] == pytest.approx([0.5, 0.5]) and theirs["of_least"] == pytest.approx(2)
    time, slope, peaks = scaling.show.tables(result)
    assert [row[:3] for row in time.rows] == [[n, "1500.00", "1250.00-1750.00"] for n in ("2", "4", "8")]
    assert [row[-1] for row in slope.rows] == ["no", "yes"]
    assert peaks.rows[0] == ["2", "2.0", "6.0"] and peaks.rows[-1] == ["MB an image", "0.50", "3.00"]
    text = scaling.show.verdict(result)
    assert "vit, batch 2 to 8 (64x64 pixels): minigrad's time an image does not grow" in text
    assert "torch +0.50 and 2.00; an image adds so many MB of peak memory: 0.50 in minigrad, 3.00 in torch." in text
    swapped = made_up("batch", {"minigrad": [n**1.5 for n in (2, 4, 8)], "torch": [2.0, 4.0, 8.0]})
    assert "minigrad's time an image GROWS" in scaling.show.verdict(swapped) and len(scaling.show.tables(swapped)) == 2
    assert "mean nothing" in scaling.show.verdict(swapped | {"agree": False})


def test_the_cheapest_round_is_what_is_compared_with_the_least() -> None:
    result = made_up("batch", {"minigrad": [2.0, 4.0, 8.0], "torch": [2.0, 4.0, 8.0]})
    for point, seconds in zip(
        result["points"], (2.0, 4.0, 80.0), strict=True
    ):  # the last value's other round was disturbed
        point["tracks"]["minigrad"]["turns"][1]["seconds"] = [seconds]
    slope = scaling.measure.slopes(result)["minigrad"]
    assert slope["of_least"] == pytest.approx(1) and slope["exponents"][1] > 1


def test_a_cost_that_falls_and_rises_again_grows() -> None:
    """The straight line falls; the last value is dearer than the one before."""
    slope = made_up("batch", {"minigrad": [20.0, 4.0, 12.0], "torch": [2.0, 4.0, 8.0]})["slopes"]["minigrad"]
    assert slope["summary"]["median"] < -0.5 and slope["of_least"] == pytest.approx(1.5)
    assert scaling.show.grows(slope)


@pytest.mark.parametrize(
    ("axis", "seconds", "each", "costs"),
    [
        ("image-size", [1.024 * n for n in (1, 4, 16)], "ns a pixel", "187500.00"),  # 8 * 32 * 32 pixels
        ("depth", [16.0, 32.0, 64.0], "ms an image and block", "1500.00"),
    ],
)
def test_the_cost_is_by_pixel_or_by_block(axis: str, seconds: list[float], each: str, costs: str) -> None:
    memory = {name: [8192 * 3, 8192 * 3 * 4, 8192 * 3 * 16] for name in ("minigrad", "torch")}
    result = made_up(axis, {"minigrad": seconds, "torch": seconds}, memory)
    by_image, by_each, *_, peaks = scaling.show.tables(result)
    assert by_image.title.endswith("ms an image") and by_each.title.endswith(each)
    assert [row[1] for row in by_each.rows] == [costs] * 3 and len({row[1] for row in by_image.rows}) == 3
    assert result["slopes"]["minigrad"]["of_least"] == pytest.approx(1)
    if axis == "image-size":
        assert peaks.rows[-1] == ["bytes a pixel", "3.00", "3.00"]
    (picture,) = scaling.show.pictures(result).items()
    assert picture[0] == f"scaling-vit-{axis}" and picture[1].startswith(b"\x89PNG")


def jobs(*arguments: str) -> dict[int, Any]:
    return scaling.measure.make_jobs(scaling.COMMAND.parse(arguments), "cpu")


def test_each_value_is_the_job_that_it_says() -> None:
    assert {value: job.batch for value, job in jobs("--axis", "batch").items()} == {n: n for n in (4, 8, 16, 32)}
    sizes = jobs("--axis", "image-size", "--model", "vit", "--values", "32,128", "--batch", "4")
    assert [(job.image_size, job.batch, job.settings["patch_size"]) for job in sizes.values()] == [
        (32, 4, 16),
        (128, 4, 16),
    ]
    depths = jobs("--axis", "depth", "--values", "2,6", "--set", "dim=32")
    assert [(job.model, job.settings["dim"], job.settings["depth"]) for job in depths.values()] == [
        ("vit", 32, 2), ("vit", 32, 6),
    ]  # fmt: skip
    assert [job.settings["window_blocks"] for job in depths.values()] == [[0], [0, 2, 4]]
    assert jobs("--axis", "depth", "--set", "window_blocks=[1]")[4].settings["window_blocks"] == [1]
    assert {job.optimizer for job in depths.values()} == {"adamw"}


def test_how_many_steps_a_turn_has() -> None:
    assert [turn_steps(step, 0.2) for step in (0.5, 0.15, 0.01, 1e-6)] == [1, 2, 20, 20]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--axis"]),
        (["--axis", "width"], ["width", "image-size"]),
        (["--axis", "depth", "--model", "resnet18"], ["resnet18 has no depth", "vit has"]),
        (["--axis", "depth", "--set", "depth=3"], ["depth=3", "--values"]),
        (["--axis", "batch", "--batch", "4"], ["--batch", "--values"]),
        (["--axis", "image-size", "--image-size=64"], ["--image-size", "--values"]),
        (["--axis", "batch", "--values", "4"], ["4,8,16", "'4'"]),
        (["--axis", "batch", "--values", "8,4"], ["ascending", "8,4"]),
        (["--axis", "batch", "--values", "0,4"], ["0,4"]),
        (["--axis", "batch", "--values", "4,x"], ["4,x"]),
        (["--axis", "image-size", "--model", "vit", "--values", "64,100"], ["patch_size", "100"]),
        (["--axis", "batch", "--json", "pyproject.toml"], ["pyproject.toml", "nothing was overwritten"]),
        (["--axis", "batch", "--picture", "scaling.svg"], ["scaling.svg", ".png"]),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: list[str], capsys: Any) -> None:
    assert main(["scaling", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert all(word in printed.err for word in words), printed.err


def test_an_implementation_that_computes_something_else_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    found = made_up("batch", {"minigrad": [2.0, 4.0, 8.0], "torch": [2.0, 4.0, 8.0]})["points"]
    for point in found:
        distance = 0.2 if point is found[-1] else 0.0
        point["agreement"] = {"minigrad": {"loss": 0.0, "gradient": distance, "change": 0.0}}
    monkeypatch.setattr(scaling.measure, "measure_points", lambda *_: found)
    small = ["--axis", "batch", "--values", "2,4,8", "--image-size", "8", "--rounds", "2", "--no-memory"]
    assert main(["scaling", *small]) == 1
    assert "NOT THE SAME COMPUTATION" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(RESULTS.glob("scaling-*.json")), ids=lambda path: path.stem)
def test_what_is_committed_can_be_shown(path: Path) -> None:
    result = read_result(path, scaling.COMMAND.format)
    assert scaling.show.tables(result) and scaling.show.pictures(result)
    assert result["points"][0]["job"]["model"] in scaling.show.verdict(result)
