"""The profile adds up, its trace loads and is nested, and bad input is one line. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compare import profile
from compare.__main__ import main
from compare.kit.result import ROOT, read_result
from compare.kit.worker import WARM_UP_STEPS
from compare.profile.measure import summarize_steps, watch_steps
from minigrad.grad_mode import state

SMALL = ["--batch", "2", "--image-size", "32", "--threads", "1", "--steps", "2"]


def check_trace(path: Path, steps: int) -> list[dict[str, Any]]:
    """A Chrome trace of so many steps: complete events of one thread, each within, or apart from, every other."""
    events = json.loads(path.read_text())["traceEvents"]
    assert all(e["ph"] == "X" and e["dur"] >= 0 and e["cat"] in ("forward", "backward", "phase") for e in events)
    assert len({(e["pid"], e["tid"]) for e in events}) == 1
    open_until = []
    names = {"phase": ["step", "forward", "backward", "update"]}
    assert all(sum(e["cat"] == "phase" and e["name"] == name for e in events) == steps for name in names["phase"])
    for event in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
        start, end = event["ts"], event["ts"] + event["dur"]
        while open_until and open_until[-1][0] <= start:
            open_until.pop()
        assert not open_until or end <= open_until[-1][0] + 1e-3, event  # microseconds
        within = [name for _, name in open_until]
        if event["cat"] != "phase":
            assert within[:2] == ["step", event["cat"]]
        else:
            assert within == ([] if event["name"] == "step" else ["step"])
        open_until.append((end, event["name"]))
    return events


def test_a_small_run_from_end_to_end(tmp_path: Path, capsys: Any) -> None:
    json_file, trace, picture = (tmp_path / name for name in ("profile.json", "trace.json", "profile.png"))
    asked = ["--json", str(json_file), "--trace", str(trace), "--picture", str(picture)]
    assert main(["profile", *SMALL, *asked]) == 0
    printed = capsys.readouterr().out
    result = read_result(json_file, profile.COMMAND.format)
    assert result["job"]["model"] == "simplenet" and result["versions"] and result["facts"]["threads"] == 1
    rows = {row["op"]: row for row in result["rows"]}
    assert rows["Conv2dRelu"]["calls"] == rows["Conv2dRelu"]["backward_calls"] == 5
    assert rows["CrossEntropy"]["saved"] > 0 and rows["Conv2dRelu"]["made"] > 0
    events = check_trace(trace, steps=2)
    assert sum(e["name"] == "Conv2dRelu" for e in events) == 2 * 2 * 5
    assert picture.read_bytes().startswith(b"\x89PNG")
    (table,) = profile.show.tables(result)
    assert [row[0] for row in table.rows[:-4]] == list(rows)
    assert all(text in printed for text in ("Conv2dReluMaxPool2d", "update (sgd)", profile.show.verdict(result)))
    assert main(["profile", *SMALL, *asked]) == 0  # its own files are written over


def test_everything_adds_up_to_the_step() -> None:
    result: dict[str, Any] = {
        "job": {"model": "vit", "batch": 4, "image_size": 32, "device": "cpu", "optimizer": "adamw"},
        "machine": {"processor": "P", "cores": 2, "usable_cores": 2},
        "facts": {"threads": 2},
        "definitions": True,
        "steps": 3,
        "rows": [
            {"op": "Mul", "calls": 2, "forward": 0.1, "backward": 0.2, "made": 5e6, "saved": 2e6},
            {"op": "Exp", "calls": 1, "forward": 0.3, "backward": 0.1, "made": 1e6, "saved": 0.0},
        ],
        "rest": {"forward": 0.1, "backward": 0.1},
        "phases": {"update": {"median": 0.1}},
        "step": {"plain": {"median": 0.9}, "watched": {"median": 1.0}},
    }
    (table,) = profile.show.tables(result)
    assert [(row[0], row[4], row[5]) for row in table.rows] == [
        ("Mul", "300.00", "30.0"), ("Exp", "400.00", "40.0"), ("engine and Python, forward", "100.00", "10.0"),
        ("engine and Python, backward", "100.00", "10.0"), ("update (adamw)", "100.00", "10.0"), ("total", "1000.00", "100.0"),
    ]  # fmt: skip
    assert table.rows[0][1:] == ["2", "100.00", "200.00", "300.00", "30.0", "5.00", "2.00"]
    assert table.rows[-1][1:4] == ["3", "500.00", "400.00"] and table.rows[-1][6:] == ["6.00", "2.00"]
    text = profile.show.verdict(result)
    assert "vit, batch 4, 32x32, in primitives: 70 % of a training step's 1000 ms" in text
    assert "Exp (40 %) and Mul (30 %); the update takes 10.0 %, the engine and Python 20.0 %; 2 MB" in text
    assert profile.show.pictures(result)["profile-vit-b4"].startswith(b"\x89PNG")


def test_medians_over_the_steps_and_what_is_left() -> None:
    watched = []
    for forward, whole in ((1.0, 1.5), (2.0, 4.0), (9.0, 10.0)):
        p = profile.measure.profile(norms=False)
        p.rows["Mul"] = row = profile_row("Mul")
        row.forward, row.backward, row.calls = forward, 0.5, 3
        p.phases = {"step": 20.0, "forward": whole, "backward": 0.75, "update": 0.25}
        watched.append(p)
    found = summarize_steps([15.0], watched, "share")
    assert found["rows"][0] | {"forward": 2.0, "backward": 0.5, "calls": 3} == found["rows"][0]
    assert found["rest"] == {"forward": 1.0, "backward": 0.25}
    assert found["phases"]["update"]["median"] == 0.25 and found["step"]["watched"]["median"] == 20


def profile_row(op: str) -> Any:
    from minigrad.autograd.profiler import Row

    return Row(op)


def test_only_the_watched_steps_count() -> None:
    class Fake:
        def __init__(self) -> None:
            self.seen: list[tuple[str, int]] = []

        def __getattr__(self, phase: str) -> Any:
            return lambda: self.seen.append((phase, len(state.observers)))

        framework = SimpleNamespace(synchronize=lambda: None)

    training: Any = Fake()
    plain, watched = watch_steps(training, 3)
    assert len(plain) == len(watched) == 3
    unwatched, looked_at = ([("forward", n), ("backward", n), ("update", 0)] for n in (0, 1))
    assert training.seen == unwatched * WARM_UP_STEPS + (unwatched + looked_at) * 3
    assert all(p.phases.keys() == {"step", "forward", "backward", "update"} for p in watched)


def test_definitions_are_primitives_and_rows_are_sorted(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "profile.json"
    assert main(["profile", *SMALL, "--definitions", "--sort", "saved", "--json", str(file)]) == 0
    result = read_result(file)
    ops = [row["op"] for row in result["rows"]]
    assert {"Unfold", "Matmul"} <= set(ops) and not any("Conv2d" in op for op in ops)
    saved = [row["saved"] for row in result["rows"]]
    assert saved == sorted(saved, reverse=True) and result["definitions"]
    assert main(["profile", *SMALL, "--sort", "op"]) == 0
    assert "in primitives" not in capsys.readouterr().out.splitlines()[-1]


def test_torch_beside_it(tmp_path: Path) -> None:
    """And nothing but the tables is said."""
    pytest.importorskip("torch")
    file = tmp_path / "profile.json"
    command = [sys.executable, "-m", "compare", "profile", *SMALL, "--torch", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    result = read_result(file)
    _, torchs = profile.show.tables(result)
    assert len(torchs.rows) == profile.show.MOST_ROWS + 1
    convolution = next(row for row in result["torch"]["rows"] if row["op"] == "aten::convolution_backward")
    assert convolution["calls"] == 7 and convolution["seconds"] > 0


def test_torch_is_not_needed() -> None:
    code = "import sys; sys.modules['torch'] = None; from compare.__main__ import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "profile", *SMALL], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "Conv2dRelu" in done.stdout, done.stderr


def test_the_gpu_is_profiled_too(device: str, tmp_path: Path) -> None:
    from minigrad import get_device

    file = tmp_path / "profile.json"
    assert main(["profile", *SMALL, "--steps", "1", "--device", str(get_device(device)), "--json", str(file)]) == 0
    result = read_result(file)
    assert result["job"]["device"] == str(get_device(device))
    ops = {row["op"] for row in result["rows"]}
    assert "Conv2dRelu" in ops and ops & {"CrossEntropy", "TotalCrossEntropy"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nonesuch"], ["nonesuch", "vit"]),
        (["--steps", "0"], ["--steps"]),
        (["--sort", "speed"], ["speed", "share"]),
        (["--set", "depth=6"], ["depth=6", "simplenet has no settings"]),
        (["--json", "pyproject.toml"], ["pyproject.toml", "nothing was overwritten"]),
        (["--trace", "pyproject.toml"], ["pyproject.toml", "no trace", "nothing was overwritten"]),
        (["--trace", "/nonesuch/trace.json"], ["--trace /nonesuch/trace.json"]),
        (["--picture", "profile.svg"], ["profile.svg", ".png"]),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: list[str], capsys: Any) -> None:
    assert main(["profile", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert all(word in printed.err for word in words), printed.err


def test_torch_missing_is_said_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("compare.kit.arguments.find_spec", lambda name: None)
    assert main(["profile", "--torch"]) == 2
    assert "PyTorch" in capsys.readouterr().err
