"""python -m compare lockstep: a tiny run from end to end, what its judgement says of made-up drifts, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import models
from compare import lockstep
from compare.__main__ import main
from compare.kit.tables import as_text
from compare.lockstep.measure import EXACT, NAMES, OURS, OURS_EXACT, TORCH, Lockstep, distances, judge
from minigrad.weights import save_weights

TINY = ["--model", "vit", "--image-size", "12", "--batch", "4", "--threads", "1", "--seeds", "1"]
TINY += [f"--set={setting}" for setting in ("depth=2", "dim=16", "heads=2", "patch_size=4", "drop_path=0.5")]


def test_a_small_run_from_end_to_end(tmp_path: Path, capsys: Any) -> None:
    file, picture = tmp_path / "lockstep.json", tmp_path / "lockstep.png"
    assert main(["lockstep", *TINY, "--steps", "4", "--json", str(file), "--picture", str(picture)]) == 0
    result = json.loads(file.read_text())
    (run,) = result["runs"]
    assert result["format"] == lockstep.COMMAND.format and result["agree"]
    assert run["lr"][0] == 0 and run["lr"][3] == 3 * run["lr"][1]  # it warms up
    assert list(run["losses"]) == list(NAMES) and list(run["drift"]) == ["weights", "gradients"]
    assert len(set(run["losses"][EXACT])) == 4  # another batch in each step
    np.testing.assert_allclose(run["losses"][OURS_EXACT], run["losses"][EXACT], rtol=1e-12)
    for name, least, most in [(OURS, 1e-9, 1e-5), (TORCH, 1e-9, 1e-5), (OURS_EXACT, 0, 1e-12)]:
        assert run["drift"]["weights"][name][0] == 0  # the first rate is 0
        assert all(least < drift < most for drift in run["drift"]["gradients"][name])
    assert run["layers"]["steps"] == [1, 2, 4]
    layers = run["layers"]["drift"]["weights"]
    assert {"patch_embed", "pos_embed", "blocks.1.attn.qkv", "head"} <= layers.keys()
    assert all(len(values) == 3 for found in layers.values() for values in found.values())

    said = capsys.readouterr().out
    assert "step 4/4" in said and lockstep.show.verdict(result) in said
    assert all(as_text(table) in said for table in lockstep.show.tables(result))
    assert lockstep.show.pictures(result) == {"lockstep-vit": picture.read_bytes()}


def test_statistics_of_batch_norm_are_compared_too(tmp_path: Path) -> None:
    file = tmp_path / "lockstep.json"
    size = ["--image-size", "12", "--batch", "4", "--threads", "1", "--seeds", "2"]
    main(["lockstep", "--model", "simplenet-bn", *size, "--steps", "2", "--json", str(file)])
    result = json.loads(file.read_text())
    assert list(result["ratios"]) == ["weights", "gradients", "statistics"]
    assert [run["seed"] for run in result["runs"]] == [2024, 2025]
    assert "features.2" in result["runs"][0]["layers"]["drift"]["statistics"]
    assert result["exact"]["statistics"] < 1e-9


def test_a_trained_start(tmp_path: Path, capsys: Any) -> None:
    """All four trainings begin with the weights of the file: their first loss is another than that of new weights."""
    learnt, file = tmp_path / "learnt.safetensors", tmp_path / "lockstep.json"
    save_weights(learnt, {key: 2 * value for key, value in models.create("simplenet", 10, 1, 12).state_dict().items()})
    size = ["--image-size", "12", "--batch", "4", "--threads", "1", "--seeds", "1", "--steps", "1"]
    losses = []
    for more in ([], ["--weights", str(learnt)]):
        main(["lockstep", *size, *more, "--json", str(file)])
        result = json.loads(file.read_text())
        losses.append(result["runs"][0]["losses"])
        np.testing.assert_allclose(list(losses[-1].values()), [losses[-1][EXACT]] * 4, rtol=1e-5)
        assert ("from a trained start" in lockstep.show.what(result)) == bool(more)
    assert abs(losses[0][EXACT][0] - losses[1][EXACT][0]) > 1e-3
    capsys.readouterr()
    assert main(["lockstep", "--weights", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def a_higher_rate(training: Lockstep, images: np.ndarray, lr: float) -> tuple[np.ndarray, float]:
    return images, lr * 1.001


def blurred_in_float32(training: Lockstep, images: np.ndarray, lr: float) -> tuple[np.ndarray, float]:
    return images.astype(np.float16).astype(np.float32) if training.dtype == "float32" else images, lr


@pytest.mark.parametrize(("change", "exact"), [(a_higher_rate, False), (blurred_in_float32, True)])
def test_another_training_is_not_the_same(
    change: Any, exact: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    take = Lockstep.take

    def wrong(self: Lockstep, images: np.ndarray, labels: np.ndarray, lr: float) -> float:
        if self.framework.name == "minigrad":
            images, lr = change(self, images, lr)
        return take(self, images, labels, lr)

    monkeypatch.setattr(Lockstep, "take", wrong)
    file = tmp_path / "lockstep.json"
    assert main(["lockstep", *TINY, "--steps", "3", "--json", str(file)]) == 1
    found = json.loads(file.read_text())
    assert (max(found["exact"].values()) <= lockstep.measure.EXACT_LIMIT) is exact
    assert (found["ratios"]["gradients"]["mean"] <= lockstep.measure.LIMIT) is not exact
    assert "NOT THE SAME" in capsys.readouterr().out


def made_up(ours: Any, torchs: Any, exact: Any = 1e-12, losses: Any = 1.0) -> dict[str, Any]:
    """A run of 100 steps."""
    drift = {OURS: ours, TORCH: torchs, OURS_EXACT: exact}
    every = {name: np.broadcast_to(values, 100).tolist() for name, values in drift.items()}
    of = {name: np.broadcast_to(1.0, 100).tolist() for name in NAMES} | {
        OURS_EXACT: np.broadcast_to(losses, 100).tolist()
    }
    return {"seed": 7, "drift": {"weights": every}, "losses": of}


def at(step: int, value: float, otherwise: float) -> np.ndarray:
    return np.where(np.arange(1, 101) == step, value, otherwise)


@pytest.mark.parametrize(
    ("run", "agree"),
    [
        (made_up(1.9e-6, 1e-6), True),
        (made_up(2.1e-6, 1e-6), False),
        (made_up(1.9e-8, 0), True),  # less than rounding does to a number
        (
            made_up(np.repeat([1e-6, 1e-2, 1], [30, 20, 50]), np.repeat([1e-6, 1], [50, 50])),
            True,
        ),  # it tips 20 steps earlier
        (made_up(5.0, 1.0), True),  # nothing in common any more
        (made_up(5.0, 0.4), False),
        (made_up(at(30, 0.1, 1e-6), at(31, 0.1, 1e-6)), True),  # the same kink, a step apart
        (made_up(at(30, 1e-5, 1e-6), 1e-6), True),
        (made_up(at(30, 1e-3, 1e-6), 1e-6), False),  # the root mean square sees it
        (
            made_up(np.geomspace(4e-6, 1, 100), np.geomspace(1e-6, 1, 100)),
            True,
        ),  # twice, in the mean: as far as it goes
        (made_up(np.geomspace(5e-6, 1, 100), np.geomspace(1e-6, 1, 100)), False),
        (made_up(at(30, np.nan, 1e-6), 1e-6), False),
        (made_up(at(30, np.inf, 1e-6), 1e-6), False),
        (made_up(1e-6, 1e-6, at(50, 2e-9, 1e-12)), False),
        (made_up(1e-6, 1e-6, at(51, 2e-9, 1e-12)), True),
        (made_up(1e-6, 1e-6, losses=at(50, 1 + 2e-9, 1)), False),
        (made_up(1e-6, 1e-6, losses=at(50, np.nan, 1)), False),
    ],
)
def test_the_rule(run: dict[str, Any], agree: bool) -> None:
    assert judge([run])["agree"] is agree


def test_ratios_are_means_over_the_seeds_and_the_worst_step_is_named() -> None:
    runs = [made_up(at(30, 8e-6, 4e-6), 1e-6), made_up(1e-6, 4e-6)]
    found = judge(runs)["ratios"]["weights"]
    assert found["mean"] == pytest.approx(2 ** (1 / 200)) and found["rms"] == pytest.approx(1.0, rel=0.02)
    assert (found["worst"], found["worst_step"], found["worst_seed"], found["best"]) == (8, 30, 7, 0.25)


def test_distances() -> None:
    exact = {"a.weight": np.array([3.0, 4.0]), "a.bias": np.zeros(1), "b": np.zeros(2)}
    off = {"a.weight": np.array([3.0, 4.0]), "a.bias": np.ones(1), "b": np.zeros(2)}
    assert distances(off, exact) == {"": 0.2, "a": 0.2, "b": 0.0}
    assert distances({**exact, "b": np.ones(2)}, exact)["b"] == np.inf


@pytest.mark.filterwarnings("ignore:overflow|invalid:RuntimeWarning")
def test_a_rate_too_high_for_torch_is_one_line(capsys: Any) -> None:
    size = ["--model", "simplenet", "--image-size", "12", "--batch", "4", "--seeds", "1", "--threads", "1"]
    assert main(["lockstep", *size, "--steps", "30", "--lr", "1e6"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and "a lower --lr" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nonsense"], "simplenet"),
        (["--steps", "0"], "a whole number"),
        (["--lr", "0"], "above 0"),
        (["--lr", "nan"], "above 0"),
        (["--set", "depth=6"], "simplenet has"),
        (["--data", "/nowhere"], "no folder"),
        (["--json", "/nowhere/a.json"], "no file can be written"),
        (["--picture", "/nowhere/a.png"], "no file can be written"),
    ],
)
def test_bad_options_are_one_line(arguments: list[str], said: str, capsys: Any) -> None:
    assert main(["lockstep", *arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and said in error


def test_a_file_of_something_else_stays(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "other.json"
    file.write_text('{"format": "compare speed 2"}')
    assert main(["lockstep", "--json", str(file)]) == 2
    assert "nothing was overwritten" in capsys.readouterr().err
    assert file.read_text() == '{"format": "compare speed 2"}'


def test_without_torch_one_line(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compare.kit.arguments.find_spec", lambda name: None)
    assert main(["lockstep"]) == 2
    assert "PyTorch" in capsys.readouterr().err
