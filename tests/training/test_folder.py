"""Run folders: a new one each time, never over an old one; curves and events where the packages are."""

import json
from pathlib import Path

import pytest

from minigrad.errors import OptionError
from minigrad.training import folder as folder_module
from minigrad.training.folder import METRICS, RunFolder, new_folder
from minigrad.training.progress import duration

ROW = dict.fromkeys(METRICS, 1.0) | {"epoch": 1}


def test_two_runs_in_one_second_have_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder_module.time, "strftime", lambda _: "20260102-030405")
    names = [new_folder(None, "simplenet", "places").name for _ in range(3)]
    assert names == [f"simplenet-places-20260102-030405{end}" for end in ("", "-2", "-3")]


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "last.safetensors", "best.safetensors"])
def test_another_run_is_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(OptionError, match=f"already holds a run \\({name}"):
        new_folder(str(tmp_path), "m", "d")


def test_an_empty_folder_will_do_and_a_file_will_not(tmp_path: Path) -> None:
    assert new_folder(str(tmp_path), "m", "d") == tmp_path
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="cannot make the run folder"):
        new_folder(str(tmp_path / "file"), "m", "d")


def test_metrics_are_just_the_keys_in_their_order(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, "title")
    run.write_metrics([ROW, {**ROW, "epoch": 2, "extra": 5}])
    run.write_metrics([ROW, {**ROW, "epoch": 2, "extra": 5}])
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(tuple(line) == METRICS for line in lines)
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_without_the_optional_packages_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(folder_module, "find_spec", lambda name: None)
    run = RunFolder(tmp_path, "title")
    run.write_metrics([ROW])
    run.write_events(ROW)
    run.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    said = capsys.readouterr().out
    assert "matplotlib is not installed" in said and "tensorboardX is not installed" in said


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_events_are_what_tensorboard_reads(tmp_path: Path) -> None:
    """A resumed run writes a file of its own, which hides what there was of its epochs before."""
    from tensorboardX.proto.event_pb2 import Event

    run = RunFolder(tmp_path, "title")
    run.write_events({**ROW, "epoch": 3, "val_top1": 84.5})
    run.write_events({**ROW, "epoch": 4, "train_loss": 0.25})
    run.close()
    (file,) = tmp_path.glob("events.out.tfevents.*")
    data, events = file.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    first, start, *rows = events
    assert first.file_version == "brain.Event:2"
    assert start.step == 3 and start.session_log.status == 1
    tags = [key.replace("train_", "train/").replace("val_", "val/") for key in METRICS[1:]]
    found = {(row.step, row.summary.value[0].tag): row.summary.value[0].simple_value for row in rows}
    assert found.keys() == {(epoch, tag) for epoch in (3, 4) for tag in tags}
    assert (found[3, "val/top1"], found[4, "train/loss"]) == (84.5, 0.25)
