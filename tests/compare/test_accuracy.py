"""python -m compare accuracy: the tests of equality, the experiments, results that grow, what is refused, real small runs."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import compare.accuracy as accuracy
from compare.__main__ import main
from compare.accuracy import experiments
from compare.accuracy.experiments import EXPERIMENTS, ON_MINIPLACES, SCALES, Arm, Experiment, Pair, find
from compare.accuracy.measure import Plan
from compare.kit.statistics import LEVEL, paired, welch

stats = pytest.importorskip("scipy.stats")
METRICS = ("lr", "train_loss", "train_top1", "train_top5", "val_loss", "val_top1", "val_top5")


def command(capsys: Any, *arguments: Any) -> tuple[int, str]:
    """(exit code, what was printed: the error line, if there is one)."""
    code = main(["accuracy", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.err or said.out


# the tests of equality


def test_paired_is_scipys() -> None:
    draws = np.random.default_rng(0)
    for n in (2, 3, 5, 20):
        ours, theirs = draws.normal(70, 2, n), draws.normal(69, 2, n)
        found, wanted = paired(ours, theirs), stats.ttest_rel(ours, theirs)
        interval = wanted.confidence_interval(1 - LEVEL)
        assert np.isclose(found["p"], wanted.pvalue) and np.isclose(found["difference"], (ours - theirs).mean())
        assert np.allclose((found["low"], found["high"]), interval)


def test_welch_is_scipys() -> None:
    draws = np.random.default_rng(1)
    for n, m in ((2, 2), (3, 5), (20, 4)):
        ours, theirs = draws.normal(70, 1, n), draws.normal(75, 4, m)
        found, wanted = welch(ours, theirs), stats.ttest_ind(ours, theirs, equal_var=False)
        interval = wanted.confidence_interval(1 - LEVEL)
        assert np.isclose(found["p"], wanted.pvalue) and np.allclose((found["low"], found["high"]), interval)


def test_pairing_sees_what_two_samples_hide() -> None:
    seeds = np.array([60.0, 65.0, 70.0, 75.0, 80.0])  # each its own luck, shared by both
    ours = seeds + np.array([1.0, 1.1, 0.9, 1.05, 0.95])
    assert paired(ours, seeds)["equal"] is False and welch(ours, seeds)["equal"] is True


@pytest.mark.parametrize("test", [paired, welch])
def test_without_spread(test: Callable[..., Any]) -> None:
    assert test([1.0], [2.0])["p"] is None and test([1.0], [2.0])["equal"] is None
    alike = test([5.0] * 3, [5.0] * 3)
    assert alike["p"] == 1 and alike["equal"] is True and (alike["low"], alike["high"]) == (0, 0)
    assert test([5.1] * 3, [5.0] * 3)["equal"] is False
    assert test([5.1] * 3, [5.0] * 3, resolution=0.1)["equal"] is True  # one image each proves nothing
    assert test([9.0] * 3, [5.0] * 3, resolution=0.1)["equal"] is False


# the experiments


def test_recipes_are_those_of_the_report() -> None:
    assert list(EXPERIMENTS) == [
        "simplenet-60", "simplenet-custom-conv-10", "simplenet-bn-90", "resnet18-finetune-60", "vit-d4-90", "vit-d6-90",
        "attack-table", "adversarial-training-10",
    ]  # fmt: skip
    rates = {"simplenet-60": 0.1, "simplenet-bn-90": 0.5, "resnet18-finetune-60": 0.1, "vit-d4-90": 0.01}
    for name, rate in rates.items():
        full = find(name).options["full"]
        assert (full["lr"], full["batch_size"], full["warmup"], full["image_size"]) == (rate, 256, 5.0, 128)
        assert full["epochs"] == int(name.rsplit("-", 1)[1]) and "limit_train" not in full
        medium = find(name).options["medium"]
        assert medium["epochs"] == -(-full["epochs"] // 6) and medium["warmup"] == round(5 / 6, 4)
        assert {**medium, "image_size": 128} | {key: full[key] for key in ("epochs", "warmup")} == full | (
            {"patch_size": 8} if name.startswith("vit") else {}
        )
    vit = find("vit-d6-90").options["full"]
    assert (vit["depth"], vit["optimizer"], vit["weight_decay"], vit["clip_grad"]) == (6, "adamw", 0.05, 1.0)
    assert find("adversarial-training-10").pairs[1].reported["report_top1"] == 19.12


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_scripts_take_every_recipe(name: str, scale: str) -> None:
    experiment = find(name)
    recipe = Plan(experiment, scale, None, "cpu", "shared", Path("runs")).recipe()
    chosen = {**recipe["options"], **recipe["options"]["settings"]}
    assert all(chosen[key] == value for key, value in experiment.options[scale].items())
    assert list(recipe["arms"]) == [arm.name for arm in experiment.arms]
    assert (recipe["initial_weights"] == "imagenet") == (name.startswith("resnet") and scale in ON_MINIPLACES)
    if name.startswith("simplenet-custom"):
        assert recipe["arms"]["minigrad definition"]["conv"] == "definition"
        assert recipe["arms"]["torch custom-conv"]["custom_conv"] is True


def test_the_list(capsys: Any) -> None:
    code, said = command(capsys)
    assert code == 0 and command(capsys, "--list") == (0, said)
    for name in EXPERIMENTS:
        assert f"{name}: " in said
    for text in ("--epochs 90 --lr 0.5", "top-1, % 52.90", "full", "small", "smoke", "other teams: top-1, % 41.9-44.6"):
        assert text in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["simplenet-61"], f"unknown experiment 'simplenet-61': there are {', '.join(EXPERIMENTS)}"),
        (["vit-d4-90"], "--scale full is for MiniPlaces: --data FOLDER"),
        (["vit-d4-90", "--scale", "medium"], "--scale medium is for MiniPlaces: --data FOLDER"),
        (["vit-d4-90", "--scale", "smoke", "--arms", "jax"], "some of minigrad,torch, each once, not 'jax'"),
        (["vit-d4-90", "--scale", "smoke", "--tracks", "torch", "--arms", "minigrad"], "some of torch, each once"),
        (["vit-d4-90", "--scale", "smoke", "--data-on-device", "--device", "cpu"], "and the device is the CPU"),
        (["vit-d4-90", "--scale", "smoke", "--data-on-device", "--tracks", "torch"], "minigrad trains nothing here"),
        (["vit-d4-90", "--scale", "smoke", "--weights", "x.pth"], "vit-d4-90 starts from random weights"),
        (["resnet18-finetune-60", "--scale", "smoke", "--weights", "x.pth"], "random weights at --scale smoke"),
        (["vit-d4-90", "--data", "/nowhere/at/all"], "/nowhere/at/all"),
        (["vit-d4-90", "--scale", "tiny"], "invalid choice: 'tiny'"),
        (["vit-d4-90", "--scale", "smoke", "--seeds", "0"], "a whole number from 1 to 1000"),
        (["vit-d4-90", "--scale", "smoke", "--tracks", "jax"], "some of minigrad,torch"),
        (["vit-d4-90", "--scale", "smoke", "--json", "/nowhere/at/all.json"], "no file can be written there"),
    ],
)
def test_mistakes_are_one_line(capsys: Any, tmp_path: Path, arguments: list[str], said: str) -> None:
    code, line = command(capsys, *arguments, "--runs", tmp_path)
    assert code == 2 and said in line and line.count("\n") == 1
    assert not list(tmp_path.iterdir())


# results, of runs that were not made


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Instead of training: figures from the arm and the seed. "points" of an arm are added, "calls" are counted."""
    control: dict[str, Any] = {"points": {}, "calls": [], "stop": None}

    def train(plan: Plan, dataset: Any, arm: Any, seed: int) -> dict[str, Any]:
        if control["stop"] == len(control["calls"]):
            raise KeyboardInterrupt
        control["calls"].append((arm.name, seed))
        top1 = 60 + seed % 7 + 0.3 * np.sin(seed + len(arm.name)) + control["points"].get(arm.name, 0)
        rows = [
            {"epoch": e, **{k: e + top1 / 10 for k in METRICS}, "images_per_second": 9.0, "peak_memory_bytes": 2**20}
            for e in (1, 2)
        ]
        final = {"top1": top1, "top5": 90.0, "loss": 5 - top1 / 20, "mirrored_top1": top1, "mirrored_top5": 91.0}
        made = {"arm": arm.name, "track": arm.framework, "seed": seed, "device": "cpu", "seconds": 1.0}
        return {**made, "peak_memory_bytes": 2**20, "epochs": rows, "final": final}

    monkeypatch.setattr(accuracy.measure, "train", train)
    return control


def test_equal_arms_are_equal(capsys: Any, tmp_path: Path, made_up: dict[str, Any]) -> None:
    path = tmp_path / "result.json"
    code, said = command(capsys, "simplenet-60", "--scale", "smoke", "--seeds", 5, "--json", path)
    result = json.loads(path.read_text())
    assert code == 0 and result["complete"] and len(result["runs"]) == 10
    assert "equal" in said and "DIFFERENT" not in said and "points could be hidden" in said
    ours, theirs = ([r["final"]["top1"] for r in result["runs"] if r["track"] == t] for t in ("minigrad", "torch"))
    wanted = stats.ttest_rel(ours, theirs)
    found = result["test"]["pairs"][0]["figures"]["top1"]
    assert np.isclose(found["p"], max(wanted.pvalue, found["p"])) and found["equal"]
    assert np.isclose(result["summary"]["minigrad"]["final"]["top1"]["error"], stats.sem(ours))
    (table, cost) = accuracy.show.tables(result)
    assert "reported" in table.head and table.rows[0][1:3] == ["43.68", "43.76-44.10"] and len(cost.rows) == 2
    assert any("not to be compared with this scale" in note for note in table.notes)
    assert accuracy.show.overview([result]).rows[0][-1] == "equal"
    for png in (*accuracy.show.pictures(result).values(), accuracy.show.picture_of_two(result, result)):
        assert Image.open(io.BytesIO(png)).size[0] > 900


@pytest.mark.parametrize("start", ["shared", "own"])
def test_an_arm_that_is_different_is_seen(capsys: Any, tmp_path: Path, made_up: dict[str, Any], start: str) -> None:
    made_up["points"] = {"torch": 25}
    path = tmp_path / "result.json"
    code, said = command(capsys, "simplenet-60", "--scale", "smoke", "--seeds", 5, "--json", path, "--start", start)
    assert code == 1 and "DIFFERENT" in said and "THE ARMS DIFFER in top1 (-2" in said
    assert json.loads(path.read_text())["test"]["name"].startswith("paired" if start == "shared" else "Welch")


def test_a_hand_written_convolution_that_is_different_is_seen(capsys: Any, made_up: dict[str, Any]) -> None:
    made_up["points"] = {"minigrad definition": 25}
    code, said = command(capsys, "simplenet-custom-conv-10", "--scale", "smoke", "--seeds", 4, "--tracks", "minigrad")
    assert code == 1 and "in minigrad, hand-written against its own, top1 (+25" in said


def test_a_result_goes_on_where_it_stopped(capsys: Any, tmp_path: Path, made_up: dict[str, Any]) -> None:
    path = tmp_path / "result.json"
    asked = ("vit-d4-90", "--scale", "smoke", "--seeds", 2, "--json", path)
    made_up["stop"] = 3
    assert command(capsys, *asked) == (130, "stopped\n")
    stopped = json.loads(path.read_text())
    assert not stopped["complete"] and len(stopped["runs"]) == 3
    assert (
        "not finished" in accuracy.show.verdict(stopped)
        and accuracy.show.tables(stopped)
        and accuracy.show.pictures(stopped)
    )
    made_up["stop"] = None
    assert command(capsys, *asked)[0] == 0
    assert made_up["calls"] == [(arm, seed) for seed in (2024, 2025) for arm in ("minigrad", "torch")]
    whole = json.loads(path.read_text())
    assert whole["complete"] and whole["started"] == stopped["started"] and len(whole["runs"]) == 4
    command(capsys, *asked)
    assert len(made_up["calls"]) == 4  # nothing is done twice
    command(capsys, *asked[:4], 3, *asked[5:])
    assert made_up["calls"][4:] == [("minigrad", 2026), ("torch", 2026)]  # more seeds are more runs


def test_arms_are_trained_alone_and_added(capsys: Any, tmp_path: Path, made_up: dict[str, Any]) -> None:
    asked = ("simplenet-custom-conv-10", "--scale", "smoke", "--seeds", 1, "--json", tmp_path / "result.json")
    code, said = command(capsys, *asked, "--arms", "minigrad,torch custom-conv")
    assert code == 0 and made_up["calls"] == [("minigrad", 2024), ("torch custom-conv", 2024)] and "minigrad" in said
    result = json.loads((tmp_path / "result.json").read_text())
    alone, _ = accuracy.show.tables(result)
    assert alone.head == ["", "reported", "other teams", "minigrad", "torch custom-conv"]
    assert alone.rows[0][:3] == ["top-1, %", "22.53", "22.46-22.82"] and len(alone.rows) == 5
    assert list(accuracy.show.pictures(result)) == ["curves-alone"]
    ours, theirs = accuracy.show.overview([result]).rows
    assert (
        ours[4].startswith(alone.rows[0][3]) and theirs[5].startswith(alone.rows[0][4]) and ours[5] == theirs[4] == ""
    )
    assert command(capsys, *asked)[0] == 0
    assert made_up["calls"][2:] == [("torch", 2024), ("minigrad definition", 2024)]


def test_results_of_something_else_stay(capsys: Any, tmp_path: Path, made_up: dict[str, Any]) -> None:
    path = tmp_path / "result.json"
    asked = ("vit-d4-90", "--scale", "smoke", "--json", path)
    assert command(capsys, *asked)[0] == 0
    sound = path.read_text()

    def refused(said: str, *arguments: Any) -> None:
        before = path.read_text()
        code, line = command(capsys, *arguments)
        assert code == 2 and said in line and "nothing was overwritten" in line and line.count("\n") == 1
        assert path.read_text() == before

    refused("has experiment vit-d4-90, not vit-d6-90", "vit-d6-90", *asked[1:])
    refused("has scale smoke, not small", *asked[:2], "small", *asked[3:])
    refused("has start shared, not own", *asked, "--start", "own")
    for old, new, said in (
        ('"epochs": 1', '"epochs": 7', "has recipe options.epochs 7, not 1"),
        ("compare accuracy 1", "compare accuracy 0", "of format"),
        ('"final"', '"fnal"', "damaged"),
        ('"val_top1"', '"val"', "damaged"),
        ('"training_images": 64', '"training_images": 65', "has dataset training_images 65, not 64"),
    ):
        path.write_text(sound.replace(old, new))
        refused(said, *asked)
    path.write_text(sound[: len(sound) // 2])
    refused("cut short", *asked)


# real runs, small ones


def little(monkeypatch: pytest.MonkeyPatch, name: str, **options: Any) -> None:
    """Change the smoke scale of an experiment."""
    found = find(name)
    smoke = {**found.options["smoke"], **options}
    changed: Experiment = replace(found, options={**found.options, "smoke": smoke})
    for module in (experiments, accuracy):
        monkeypatch.setattr(module, "EXPERIMENTS", {**EXPERIMENTS, name: changed})


def learnt(path: Path) -> list[dict[str, float]]:
    """What the epochs of the only run came to, but for its speed."""
    (run,) = json.loads(path.read_text())["runs"]
    return [{name: row[name] for name in METRICS} for row in run["epochs"]]


def test_an_interrupted_run_goes_on_to_the_same_end(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little(monkeypatch, "simplenet-60", epochs=4, limit_train=320)
    asked = ("simplenet-60", "--scale", "smoke", "--tracks", "minigrad", "--device", "cpu")
    whole = (*asked, "--runs", tmp_path / "whole", "--json", tmp_path / "whole.json")
    parts = (*asked, "--runs", tmp_path / "parts", "--json", tmp_path / "parts.json")
    assert command(capsys, *whole)[0] == 0
    folder = tmp_path / "parts" / "simplenet-60-smoke" / "minigrad-2024"

    def learnt_so_far() -> int:
        metrics = folder / "metrics.jsonl"
        return len(metrics.read_text().splitlines()) if metrics.is_file() else 0

    def interrupt() -> None:
        while not learnt_so_far():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    assert command(capsys, *parts) == (130, "stopped\n")
    thread.join()
    assert json.loads((tmp_path / "parts.json").read_text())["runs"] == []
    assert 0 < learnt_so_far() < 4
    code, said = command(capsys, *parts)
    assert code == 0 and "going on with" in said
    assert learnt(tmp_path / "parts.json") == learnt(tmp_path / "whole.json")

    (tmp_path / "parts.json").unlink()  # the folder alone says it, too
    started = time.perf_counter()
    monkeypatch.setattr("compare.accuracy.measure.call", None)
    assert command(capsys, *parts)[0] == 0 and time.perf_counter() - started < 60
    assert learnt(tmp_path / "parts.json") == learnt(tmp_path / "whole.json")

    little(monkeypatch, "simplenet-60", epochs=4, limit_train=320, lr=0.04)
    (tmp_path / "parts.json").unlink()
    code, said = command(capsys, *parts)
    assert code == 2 and "holds a run of other settings (lr 0.05, not 0.04)" in said and said.count("\n") == 1


def test_the_images_lie_on_the_device_in_minigrad_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, list[str]]] = []

    def call(framework: str, arguments: list[str]) -> None:
        called.append((framework, arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy.measure, "call", call)
    experiment = find("simplenet-60")
    plan = Plan(experiment, "smoke", None, "gpu", "own", tmp_path, data_on_device=True)
    for arm in experiment.arms:
        with pytest.raises(KeyboardInterrupt):
            accuracy.measure.train(plan, plan.dataset(), arm, 2024)
    assert [("--data-on-device" in arguments, framework) for framework, arguments in called] == [
        (True, "minigrad"),
        (False, "torch"),
    ]


def test_what_a_script_complains_of_is_passed_on(capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    little(monkeypatch, "simplenet-60", lr=1e30, warmup=0.0)
    code, said = command(
        capsys, "simplenet-60", "--scale", "smoke", "--tracks", "minigrad", "--runs", tmp_path, "--device", "cpu"
    )
    assert code == 2 and said.startswith("error: epoch 1, step") and said.count("\n") == 1


def test_both_frameworks_and_the_attacks_on_their_networks(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    table = find("attack-table")
    assert table.attack is not None
    few = replace(table, attack=replace(table.attack, rows=[table.attack.rows[i] for i in (0, 3, 5)]))
    for module in (experiments, accuracy):
        monkeypatch.setattr(module, "EXPERIMENTS", {**EXPERIMENTS, "attack-table": few})
    asked = ("--scale", "smoke", "--runs", tmp_path, "--device", "cpu")
    path = tmp_path / "result.json"
    assert command(capsys, "simplenet-60", *asked, "--json", path)[0] == 0
    result = json.loads(path.read_text())
    ours, theirs = result["runs"]
    assert ours["epochs"][0]["train_loss"] == pytest.approx(theirs["epochs"][0]["train_loss"], rel=1e-4)  # one start
    assert result["dataset"]["classes"] == 10 and ours["parameters"] == theirs["parameters"]
    assert str(tmp_path) not in path.read_text()

    path = tmp_path / "attacks.json"
    code, said = command(capsys, "attack-table", *asked, "--json", path)
    assert code == 0 and "the frameworks agree in all 10 lines" in said
    attacked = json.loads(path.read_text())
    (run,) = attacked["runs"]
    assert run["command"] == ours["command"]  # the network that was there
    (shown, _) = accuracy.show.tables(attacked)
    assert len(shown.rows) == 10 and shown.rows[2][:2] == ["10/0.1/0.01 report", "39.97 / 64.89"]
    letters = run["attacks"]["lines"][0]["hits"]
    letters["minigrad"], letters["torch"] = "1" * 10, "-" * 10
    assert "THE ARMS DIFFER in clean" in accuracy.show.verdict(attacked)


@pytest.mark.slow  # what it attacks with, and how, is compared in tests/training and above
def test_networks_trained_on_attacked_images(capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    asked = ("adversarial-training-10", "--scale", "smoke", "--tracks", "minigrad", "--device", "cpu")
    code, said = command(capsys, *asked, "--runs", tmp_path, "--json", path)
    result = json.loads(path.read_text())
    assert code == 0 and [run["arm"] for run in result["runs"]] == ["minigrad plain", "minigrad defended"]
    assert "attacked_share" in result["runs"][1]["epochs"][0]
    figures = result["test"]["pairs"][2]["figures"]
    assert {"clean_top1", "report_top1", "untargeted_top5"} <= figures.keys()


@pytest.mark.slow
def test_a_real_arm_that_is_different_is_seen(capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find("vit-d4-90")
    arms = (Arm("minigrad", "minigrad"), Arm("minigrad slow", "minigrad", {"lr": 1e-5}))
    changed = replace(found, arms=arms, pairs=(Pair("", "minigrad", "minigrad slow"),))
    for module in (experiments, accuracy):
        monkeypatch.setattr(module, "EXPERIMENTS", {**EXPERIMENTS, "vit-d4-90": changed})
    asked = ("vit-d4-90", "--scale", "smoke", "--tracks", "minigrad", "--device", "cpu")
    code, said = command(capsys, *asked, "--seeds", 4, "--runs", tmp_path)
    assert code == 1 and "THE ARMS DIFFER in" in said and "loss (-0." in said
