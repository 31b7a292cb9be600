"""python -m compare attacks: lines and letters, both frameworks, results that go on where they stopped, what is refused."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minigrad as mg
import models
from compare import attacks
from compare.__main__ import main
from compare.attacks import curve as attack_curve
from compare.attacks import examples as attack_examples
from compare.attacks.lines import CLEAN, NOISE, PRESETS, ROWS, Line, sweep_lines, table_lines
from compare.attacks.results import Results
from compare.kit.arguments import Parser, add_trained, read_trained
from compare.kit.frameworks import FRAMEWORKS
from compare.kit.letters import Difference, accuracy, accuracy_error, difference, hits
from compare.kit.tables import as_text
from minigrad.attacks import preset
from minigrad.data import normalize, open_dataset
from minigrad.training.checkpoints import save_checkpoint
from minigrad.weights import save_weights
from tests.rounding import in_float64, without_ties

IMAGES = 20


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both frameworks compute in float64, on images without ties: rounding decides no letter."""
    without_ties(monkeypatch)
    in_float64(monkeypatch)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SimpleNet for the embedded images whose answers depend on them."""
    return save_network(tmp_path_factory.mktemp("weights") / "plain.safetensors", 1)


def save_network(path: Path, seed: int) -> Path:
    """Its layers at random, but the last one: that answers 300 training images as right as least squares can.

    In float64: the weights are the same on every processor, but for the last digit of float32 here and there.
    """
    mg.manual_seed(seed)
    model = models.create("simplenet", 10, 1).double()
    data = open_dataset(None, "train", None, 300)
    images = normalize(np.stack([data.load(i, None) for i in range(300)]), data.mean, data.std).astype(np.float64)
    head, model.fc = model.fc, mg.nn.Identity()
    with mg.no_grad():
        features = model(mg.from_numpy(images)).numpy()
    model.fc = head
    inputs = np.hstack([features, np.full((300, 1), np.abs(features).max())])
    found = np.linalg.lstsq(inputs, 10 * np.eye(10)[data.labels], rcond=1e-4)[0]
    head.weight.data = mg.from_numpy(found[:-1].T.copy())
    head.bias.data = mg.from_numpy(found[-1] * inputs[0, -1])
    save_weights(path, model.float().state_dict())
    return path


def attack(capsys: Any, weights: Path, *arguments: Any) -> tuple[int, str]:
    """(exit code, what was printed: the error line, if there is one)."""
    code = main(["attacks", "--weights", str(weights), "--limit", str(IMAGES), *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.err or said.out


def letters(path: Path) -> dict[str, dict[str, str]]:
    """{line: {framework: letters}} of a results file."""
    content = json.loads(path.read_text())
    return {f"{e['preset']} {e['steps']} {e['epsilon']:g}": e["hits"] for e in content["lines"]}


def test_letters() -> None:
    logits = np.array([[6.0, 5, 4, 3, 2, 1], [5, 6, 4, 3, 2, 1], [1, 6, 5, 4, 3, 2], [2, 6, 5, 4, 3, 1]])
    assert hits(logits, np.zeros(4, int)) == "15-5"
    assert accuracy("15-5", "top1") == 25 and accuracy("15-5", "top5") == 75
    assert accuracy_error(50, 100) == 5


def test_differences() -> None:
    found = difference("11155--1", "1-55115-", "top1")  # ours alone: 3, theirs alone: 2
    assert (found.points, found.error) == (12.5, pytest.approx(100 * 5**0.5 / 8))
    assert str(found) == "+12.50 ± 27.95" and found.alike
    found = difference("11155--1", "1-55115-", "top5")
    assert (found.points, found.error) == (0, 25)
    assert Difference(0.3, 0).alike and not Difference(0.31, 0).alike and not Difference(-0.31, 0).alike
    assert Difference(3.3, 1).alike and not Difference(3.4, 1).alike
    assert not difference("1" * 16 + "-" * 984, "-" * 1000, "top1").alike
    assert difference("1" * 8 + "-" * 992, "-" * 1000, "top1").alike
    with pytest.raises(ValueError):
        difference("11", "1", "top1")


def test_lines_of_the_table_and_what_was_reported() -> None:
    lines = table_lines(["plain"], PRESETS, ROWS)
    assert len(lines) == 1 + 3 * 6 and len({line.path for line in lines}) == 1 + 3 * 5
    assert [str(line) for line in lines[:3]] == ["clean", "10/0.1/0.01 handout", "10/0.1/0.01 report"]
    reported = {str(line): line.reported(False) for line in lines if line.reported(False)}
    assert len(reported) == 7 and all(name == "clean" or name.endswith("report") for name in reported)
    assert reported["20/1/0.01 report"] == (39.05, 61.13) and reported["clean"] == (43.6789, 73.2803)
    pair = table_lines(["plain", "defended"], ["report"], ROWS[:1])
    assert [line.reported(True) for line in pair] == [(22.28, 51.68), (14.38, 37.58), (20.75, 50.3), (19.12, 46.03)]
    swept = sweep_lines(["report"], [0.1, 0, 0.02])
    assert [str(line) for line in swept] == [
        "clean", "0.02 noise", "10/0.02/0.005 report", "0.1 noise", "10/0.1/0.025 report",
    ]  # fmt: skip


def test_the_table(decided: None, weights: Path, tmp_path: Path, capsys: Any) -> None:
    """Each line is what the attack of so many steps comes to, though 1 and 3 steps are read off one path."""
    out = tmp_path / "x.json"
    code, said = attack(capsys, weights, "--rows", "3/.3/.1,1/.3/.1,2/.05/1", "--json", out)
    assert code == 0, said
    assert "1/4 clean, minigrad: top-1 " not in said and "1/7 clean, minigrad: top-1 " in said
    assert "the frameworks agree in all 10 lines" in said and "reported" not in said
    data = open_dataset(None, "val", None, IMAGES)
    model = models.create("simplenet", 10, 1).double()
    mg.weights.load_torch_state_dict(model, weights)
    pixels = np.stack([data.load(i, None) for i in range(IMAGES)])
    x, y = mg.from_numpy(normalize(pixels, data.mean, data.std)).double(), mg.from_numpy(data.labels)
    expected = {"clean 0 0": hits(model(x).numpy(force=True), data.labels)}
    for steps, epsilon, alpha in ((3, 0.3, 0.1), (1, 0.3, 0.1), (2, 0.05, 1.0)):
        for name in PRESETS:
            moved = preset(name, steps=steps, epsilon=epsilon, alpha=alpha)(model, x, y)
            expected[f"{name} {steps} {epsilon:g}"] = hits(model(moved).numpy(force=True), data.labels)
    found = letters(out)
    assert {line: both["minigrad"] for line, both in found.items()} == expected
    assert len(set(expected.values())) > 5
    assert all(both["torch"] == both["minigrad"] for both in found.values())

    content = json.loads(out.read_text())
    assert content["complete"] and content["agree"] and content["settings"]["images"] == IMAGES
    assert content["lines"][0]["accuracy"]["torch"]["top5"] == accuracy(expected["clean 0 0"], "top5")
    (run,) = content["runs"]
    assert run["command"].startswith("python -m compare attacks --weights")
    assert {"minigrad", "numpy", "torch"} <= run["versions"].keys()
    assert run["machine"]["python"] and run["started"] and "commit" in run


def test_reported_figures_stand_beside_simplenet_on_a_hundred_classes() -> None:
    settings = {"model": "simplenet", "data": "x", "images": 2, "classes": 100, "image_size": 8, "device": "cpu"}
    settings |= {"weights": {"plain": ""}, "tracks": ["torch"]}
    for changed, shown in (({}, True), ({"classes": 10}, False), ({"model": "vit"}, False)):
        results = Results(None, settings | changed, table_lines(["plain"], PRESETS, ROWS))
        for line in results.lines:
            results.hits[line]["torch"] = "1-"
        text = "\n".join(
            [*map(as_text, attacks.show.tables(results.content())), attacks.show.verdict(results.content())]
        )
        assert ("43.68 / 73.28" in text) == shown and text.count("39.05 / 61.13") == shown
        assert "one framework: nothing to compare" in text


def test_results_go_on_where_they_stopped(
    decided: None, weights: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    common = [capsys, weights, "--rows", "2/.3/.1,1/.3/.1", "--presets", "handout", "--json"]
    monkeypatch.setattr(attacks.measure, "BATCH", 8)
    assert attack(*common, whole)[0] == 0
    walk, calls = attacks.measure.attacked, [0]

    def stopped(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] in (5, 8):
            raise KeyboardInterrupt
        return walk(*arguments)

    monkeypatch.setattr(attacks.measure, "attacked", stopped)
    assert attack(*common, parts)[0] == 130
    assert [len(found) for found in letters(parts)["clean 0 0"].values()] == [20, 8]
    content = json.loads(parts.read_text())
    assert not content["complete"] and content["agree"] is None
    assert content["lines"][0]["accuracy"].keys() == {"minigrad"}
    assert attacks.show.verdict(content) == "Not finished: 0 of 3 lines are measured; the same command goes on."
    assert attacks.show.tables(content) == [] and attacks.show.pictures(content) == {}
    assert attack(*common, parts)[0] == 130
    code, said = attack(*common, parts)
    assert code == 0 and calls[0] == 12 + 2
    assert letters(parts) == letters(whole) and len(json.loads(parts.read_text())["runs"]) == 3
    before = parts.read_bytes()
    code, again = attack(*common, parts)  # nothing is left to do: the table alone
    assert code == 0 and calls[0] == 14 and parts.read_bytes() == before and again.strip() in said


def test_results_of_other_settings_or_damaged_are_refused(weights: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "x.json"
    common: list[Any] = ["--rows", "1/.1/.1", "--presets", "report", "--tracks", "minigrad", "--json", out]
    assert attack(capsys, weights, *common)[0] == 0
    whole = out.read_text()

    def refused(message: str, *more: Any, weights: Path = weights) -> None:
        before = out.read_bytes()
        code, said = attack(capsys, weights, *common, *more)
        assert code == 2 and said.startswith("error: ") and said.count("\n") == 1, said
        assert message in said and "nothing was overwritten" in said
        assert out.read_bytes() == before

    refused("has images 20, not 10", "--limit", 10)
    refused("has frameworks ['minigrad'], not ['torch']", "--tracks", "torch")
    refused("has seed 2024, not 1", "--seed", 1)
    refused("is of other presets, rows or epsilons", "--rows", "2/.1/.1")
    refused("has weights {'plain': ", weights=save_network(tmp_path / "other.safetensors", 2))
    for text in ("", whole[: len(whole) // 2], "\x00\xff"):
        out.write_text(text, encoding="latin-1")
        refused("is no file of results, or was cut short")
    for text in ("[]", "{}", whole.replace("compare attacks 1", "compare attacks 0")):
        out.write_text(text)
        refused("is of format")
    content = json.loads(whole)
    for broken in (
        {"lines": content["lines"] + [{}]},
        {"lines": 3},
        {"settings": None},
        {"runs": 1},
        {"lines": [entry | {"hits": {"minigrad": "x" * IMAGES}} for entry in content["lines"]]},
        {"lines": [entry | {"hits": {"minigrad": "1" * (IMAGES + 1)}} for entry in content["lines"]]},
        {"lines": [entry | {"hits": {"torch": "1"}} for entry in content["lines"]]},
    ):
        out.write_text(json.dumps(content | broken))
        refused("is damaged")


def test_frameworks_that_differ_are_exit_code_1(
    decided: None, weights: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.reference import attacks as theirs

    right = theirs.preset
    monkeypatch.setattr(theirs, "preset", lambda name, **given: right(name, **given | {"direction": "descend"}))
    code, said = attack(capsys, weights, "--rows", "10/.3/.1", "--presets", "untargeted", "--limit", 60)
    assert code == 1 and "THE FRAMEWORKS DIFFER" in said and " !" in said


def test_the_sweep(decided: None, weights: Path, tmp_path: Path, capsys: Any) -> None:
    picture, out = tmp_path / "x.png", tmp_path / "x.json"
    code, said = attack(
        capsys, weights, "--sweep", "0,.1,.3", "--presets", "report,untargeted", "--picture", picture, "--json", out
    )
    assert code == 0 and f"picture: {picture}" in said and "10/0.1/0.025 report" in said
    with Image.open(picture) as found:
        assert found.format == "PNG" and found.width > found.height > 400
    found = letters(out)
    assert len(found) == 1 + 2 * 3 and found["noise 0 0.3"]["minigrad"] == found["noise 0 0.3"]["torch"]
    before = picture.read_bytes()
    assert_contract(out, [7], {"sweep": before})
    older = {name: value for name, value in json.loads(out.read_text()).items() if name != "std"}
    assert attacks.show.pictures(older)["sweep"] != before  # without grey levels
    out.write_text(json.dumps(older))
    picture.unlink()
    arguments = ["--sweep", "0,.1,.3", "--presets", "report,untargeted", "--picture", picture, "--json", out]
    assert attack(capsys, weights, *arguments)[0] == 0  # drawn again, from the results
    assert picture.read_bytes() == before


def assert_contract(path: Path, rows: list[int], drawn: dict[str, bytes]) -> None:
    """A file says what it holds by itself: tables of so many rows, pictures, a sentence."""
    result = json.loads(path.read_text())
    assert [len(table.rows) for table in attacks.show.tables(result)] == rows
    assert attacks.show.pictures(result) == drawn
    assert attacks.show.verdict(result).endswith("the frameworks agree in all " + f"{len(result['lines'])} lines.")


def test_the_seed_decides_the_noise(
    weights: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    noisy = attacks.measure.noisy

    def spy(inputs: np.ndarray, epsilon: float, draws: np.random.Generator) -> np.ndarray:
        found = noisy(inputs, epsilon, draws)
        seen.append(float(np.abs(found - inputs).sum()))
        return found

    monkeypatch.setattr(attacks.measure, "noisy", spy)
    monkeypatch.setattr(attacks.measure, "BATCH", 5)
    common = ["--limit", 10, "--sweep", ".1", "--presets", "report", "--picture", tmp_path / "x.png"]
    for seed in (1, 1, 2):
        assert attack(capsys, weights, *common, "--tracks", "minigrad", "--seed", seed)[0] == 0
    first, second, third = seen[:2], seen[2:4], seen[4:]
    assert first == second and len({*first, *third}) == 4  # no batch has another's


def test_examples(decided: None, weights: Path, tmp_path: Path, capsys: Any) -> None:
    """Kept are images that the network knows, and perturbations that are the attack's, to a part in 127."""
    out = tmp_path / "x.json"
    common = ["--rows", "1/.5/.5,3/.05/.02", "--presets", "untargeted", "--tracks", "minigrad", "--json", out]
    assert attack(capsys, weights, *common)[0] == 0
    before = json.loads(out.read_text())
    assert attack(capsys, weights, *common, "--examples", 2)[0] == 0  # what was measured stays
    content = json.loads(out.read_text())
    assert content["lines"] == before["lines"] and len(content["runs"]) == 2
    clean = content["lines"][0]["hits"]["minigrad"]
    found = content["examples"]["images"]
    assert [image["index"] for image in found] == [i for i, letter in enumerate(clean) if letter == "1"][:2]
    data = open_dataset(None, "val", None, IMAGES)
    image = found[1]
    pixels = data.load(image["index"], None)
    np.testing.assert_array_equal(attack_examples.decode(image["png"]), pixels)
    assert image["says"][0] == image["label"] == data.classes[data.labels[image["index"]]]
    (kept,) = image["attacks"]  # none of the original's rows was asked for: the first
    assert kept["line"] == "1/0.5/0.5 untargeted" and kept["limit"] == pytest.approx(0.5 * data.std[0], rel=1e-5)
    model = models.create("simplenet", 10, 1).double()
    mg.weights.load_torch_state_dict(model, weights)
    x = mg.from_numpy(normalize(pixels[None], data.mean, data.std)).double()
    y = mg.from_numpy(data.labels[[image["index"]]])
    delta = preset("untargeted", steps=1, epsilon=0.5, alpha=0.5)(model, x, y) - x
    seen = (attack_examples.decode(kept["png"]) - 128) / 127 * kept["limit"]
    np.testing.assert_allclose(seen, delta.numpy()[0].transpose(1, 2, 0) * data.std[0], atol=kept["limit"] / 250)

    drawn = attacks.show.pictures(content)["examples"]
    assert Image.open(io.BytesIO(drawn)).format == "PNG" and attacks.show.pictures(before) == {}
    assert attack(capsys, weights, *common, "--examples", 2)[0] == 0
    assert json.loads(out.read_text()) == content  # nothing was left to do


@pytest.mark.gpu
def test_on_the_gpu(decided: None, weights: Path, tmp_path: Path, capsys: Any) -> None:
    common = ["--rows", "2/.3/.1", "--presets", "untargeted", "--tracks", "minigrad", "--limit", 3, "--json"]
    assert attack(capsys, weights, *common, tmp_path / "cpu.json")[0] == 0
    code, said = attack(capsys, weights, *common, tmp_path / "gpu.json", "--device", "gpu")
    assert code == 0 and "of 28x28, on gpu:0." in said, said
    assert letters(tmp_path / "gpu.json") == letters(tmp_path / "cpu.json")


def test_noise_fills_its_box() -> None:
    x = np.full((2, 3, 50, 50), 7, np.float32)
    small, large = (attacks.measure.noisy(x, epsilon, np.random.default_rng(0)) - x for epsilon in (0.1, 0.4))
    assert small.dtype == np.float32 and 0.0999 < np.abs(small).max() < 0.1001 and abs(small.mean()) < 0.002
    np.testing.assert_allclose(4 * small, large, atol=1e-5)
    assert len(np.unique(small)) > 10000


def test_the_picture_draws_the_accuracies(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"model": "simplenet", "data": "x", "images": 4, "classes": 10, "weights": {"plain": ""}}
    results = Results(None, settings | {"tracks": ["minigrad", "torch"]}, sweep_lines(["report"], [0.1, 0.2]))
    for line in results.lines:
        first = 3 if line.preset == CLEAN else 2 if line.preset == NOISE else 1 if line.epsilon < 0.15 else 0
        for framework in results.frameworks:
            results.hits[line][framework] = ("1" * first).ljust(4, "5")
    figures: list[Any] = []
    from matplotlib.figure import Figure

    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k)))
    results.std = [0.2, 0.3]
    drawn = attack_curve.draw(results)
    assert Image.open(io.BytesIO(drawn)).format == "PNG"
    top1, top5 = figures[0].axes
    curves = {line.get_label(): list(line.get_ydata()) for line in top1.get_lines()}
    assert curves[attack_curve.WORDS["report"]] == [75, 25, 0] and curves[attack_curve.WORDS[NOISE]] == [75, 50, 50]
    assert all(
        np.ravel(line.get_ydata()).tolist() in ([100, 100, 100], [100, 100], [50, 50], [50], [])
        for line in top5.get_lines()
    )
    assert [text.get_text() for text in top1.get_xticklabels()] == ["0\n0", "0.1\n6.4", "0.2\n13"]


def test_a_defended_network_beside_a_plain_one(decided: None, weights: Path, tmp_path: Path, capsys: Any) -> None:
    other, out = save_network(tmp_path / "other.safetensors", 2), tmp_path / "x.json"
    code, said = attack(capsys, weights, "--defended", other, "--rows", "1/.1/.1", "--presets", "report", "--json", out)
    assert code == 0
    content = json.loads(out.read_text())
    assert [entry["checkpoint"] for entry in content["lines"]] == ["plain", "plain", "defended", "defended"]
    plain, defended = content["lines"][1], content["lines"][3]
    assert plain["hits"] != defended["hits"]
    assert_contract(out, [2, 2, 2], {})
    gain = difference(defended["hits"]["torch"], plain["hits"]["torch"], "top5")
    last = said[said.index("defended less plain") :].splitlines()[2]
    assert (
        f"changes top-1 by {difference(*(e['hits']['minigrad'] for e in content['lines'][2::-2]), 'top1')} points"
        in said
    )
    assert last.startswith("1/0.1/0.1 report") and last.endswith(str(gain))
    network = models.create("simplenet", 7, 1)
    save_weights(other, network.state_dict())
    code, said = attack(capsys, weights, "--defended", other)
    assert code == 2 and "fc.weight is (7, 512), the model's is (10, 512)" in said


def test_a_checkpoint_brings_its_options_along(tmp_path: Path, capsys: Any) -> None:
    settings = {"dim": 16, "depth": 2, "heads": 2, "patch_size": 7, "window_size": 2, "window_blocks": [0]}
    arrays = {f"model.{k}": v.numpy() for k, v in models.create("vit", 10, 1, 28, **settings).state_dict().items()}
    options = {"model": "vit", "settings": settings, "data": None, "image_size": 28}
    save_checkpoint(tmp_path / "best.safetensors", arrays, {"options": options})
    code, said = attack(capsys, tmp_path, "--rows", "1/.1/.1", "--presets", "report")
    assert code == 0 and "vit on 20 validation images of fashion-mnist-small" in said and "of 28x28, on cpu" in said


def test_a_checkpoint_from_before_models_had_settings(tmp_path: Path) -> None:
    options = {"model": "simplenet-bn", "data": None, "image_size": 30}
    save_checkpoint(tmp_path / "old.safetensors", {"model.x": np.zeros(1, np.float32)}, {"options": options})
    parser = Parser("attacks", None)
    add_trained(parser)
    trained = read_trained(parser.parse_args(["--weights", str(tmp_path / "old.safetensors")]))
    assert trained[1:] == ("simplenet-bn", None, 30, {})


def test_without_torch(weights: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    common = ["--rows", "1/.1/.1", "--presets", "report"]
    code, said = attack(capsys, weights, *common)
    assert code == 2 and "PyTorch cannot be imported" in said and "--tracks minigrad" in said
    assert attack(capsys, weights, *common, "--tracks", "minigrad")[0] == 0


def test_weights_that_are_not_finite(tmp_path: Path, capsys: Any) -> None:
    state = models.create("simplenet", 10, 1).state_dict()
    state["fc.weight"][3, 5] = float("nan")
    save_weights(tmp_path / "nan.safetensors", state)
    for framework in FRAMEWORKS:
        code, said = attack(capsys, tmp_path / "nan.safetensors", "--tracks", framework)
        assert code == 2 and said == "error: clean: the network's answers are NaN or infinite\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--presets", "madry"], "presets are some of handout,report,untargeted, each once, not 'madry'"),
        (["--presets", "report,report"], "each once"),
        (["--presets", ""], "presets are some of"),
        (["--tracks", "jax"], "frameworks are some of minigrad,torch"),
        (["--rows", "10/.1"], "rows are steps/epsilon/alpha such as 10/.1/.01,20/1/.01"),
        (["--rows", "0/.1/.01"], "1 to 10000 steps"),
        (["--rows", "10/-.1/.01"], "not '10/-.1/.01'"),
        (["--rows", "10/nan/.01"], "not '10/nan/.01'"),
        (["--rows", "10/.1/inf"], "not '10/.1/inf'"),
        (["--rows", "10/.1/.01,10/.1/.010"], "each once"),
        (["--sweep", "0"], "finite epsilons"),
        (["--sweep=-1,2"], "finite epsilons"),
        (["--sweep", ".1,x"], "finite epsilons"),
        (["--sweep", ".1,inf"], "finite epsilons"),
        (["--sweep", "--rows", "1/.1/.1"], "--rows belongs to the tables, not to --sweep"),
        (["--sweep", "--defended", "x"], "--defended belongs to the tables, not to --sweep"),
        (["--sweep", "--examples", "2"], "--examples belongs to the tables, not to --sweep"),
        (["--examples", "2"], "--examples are kept in a file of results: name one with --json"),
        (["--sweep", "--picture", "x.jpg"], "--picture x.jpg: a name that ends in .png is wanted"),
        (["--sweep", "--picture", "nowhere/x.png"], "--picture nowhere/x.png: no file can be written there"),
        (["--picture", "x.png"], "only --sweep draws one"),
        (["--json", "nowhere/x.json"], "--json nowhere/x.json: no file can be written there"),
        (["--limit", "0"], "a whole number from 1"),
        (["--data", "nowhere"], "no folder 'nowhere' exists"),
        (["--defended", "nowhere.pth"], "there is no checkpoint nowhere.pth"),
        (["--weights", "nowhere.pth"], "there is no checkpoint nowhere.pth"),
        (["--model", "simplenet-bn"], "is of another model: it lacks features.2.weight"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--device", "gpu:99", "--tracks", "torch"], "PyTorch finds no such GPU"),
    ],
)
def test_bad_input(arguments: list[str], message: str, weights: Path, capsys: Any) -> None:
    code, said = attack(capsys, weights, *arguments)
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1, said
    assert message in said, said


def test_line_order_on_a_path() -> None:
    results = Results(
        None, {"images": 1, "tracks": []}, table_lines(["plain"], ["report"], [(20, 0.1, 0.01), (10, 0.1, 0.01)])
    )
    order = sorted(results.lines, key=results.order)
    assert order == [Line("plain", CLEAN), *(Line("plain", "report", n, 0.1, 0.01) for n in (10, 20))]
