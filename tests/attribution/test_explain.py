"""python -m compare explain: every model, both frameworks, the picture, mosaics, and what is refused in one line."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minigrad as mg
import models
from compare.__main__ import main
from compare.explain import measure as explain
from compare.explain import show as heatmaps
from minigrad.data import open_dataset
from minigrad.training.checkpoints import save_checkpoint
from minigrad.weights import save_weights

VIT = {"dim": 16, "depth": 2, "heads": 2, "patch_size": 7, "window_size": 2, "window_blocks": [0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of weights of each model, for images like the embedded ones."""
    folder = tmp_path_factory.mktemp("weights")
    for name in models.MODELS:
        mg.manual_seed(1)
        model = models.create(name, 10, 1, 28, **(VIT if name == "vit" else {}))
        if name == "simplenet":
            for parameter in model.parameters():  # as it starts, all images look alike to it
                parameter.data = parameter * 2.0
        save_weights(folder / f"{name}.safetensors", model.state_dict())
    return folder


def explained(capsys: Any, *arguments: Any) -> tuple[int, str]:
    """(exit code, what was printed: the error line, if there is one)."""
    code = main(["explain", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.err or said.out


def vit_settings() -> list[str]:
    return [f"--set={name}={json.dumps(value)}" for name, value in VIT.items()]


@pytest.mark.parametrize("name", models.MODELS)
def test_both_frameworks_agree_on_every_model(name: str, folder: Path, tmp_path: Path, capsys: Any) -> None:
    out, settings = tmp_path / "x.png", vit_settings() if name == "vit" else []
    weights = folder / f"{name}.safetensors"
    code, said = explained(
        capsys, "--model", name, *settings, "--weights", weights, "--rows", "7,0", "--track", "both", "--out", out
    )
    assert code == 0, said
    lines = said.splitlines()
    assert lines[0].startswith("row 7: label Shirt, predicted ") and lines[1].startswith("row 0: label Ankle boot, ")
    assert lines[2] == f"{out}: saliency, SmoothGrad, Grad-CAM at {explain.LAYERS[name]}"
    assert lines[3].startswith("minigrad and torch differ by ") and lines[3].endswith(" of an image's largest number")
    with Image.open(out) as picture:
        assert picture.format == "PNG" and picture.width > picture.height > 300


def test_a_checkpoint_brings_its_options_along(folder: Path, tmp_path: Path, capsys: Any) -> None:
    arrays = {f"model.{k}": v.numpy() for k, v in models.create("vit", 10, 1, 28, **VIT).state_dict().items()}
    options = {"model": "vit", "settings": {**VIT}, "data": None, "image_size": 28}
    save_checkpoint(tmp_path / "best.safetensors", arrays, {"options": options})
    code, said = explained(capsys, "--weights", tmp_path, "--rows", 1, "--out", tmp_path / "x.png")
    assert code == 0 and said.endswith("Grad-CAM at norm\n"), said
    code, said = explained(capsys, "--weights", tmp_path, "--model", "simplenet", "--out", tmp_path / "x.png")
    assert code == 2 and "best.safetensors is of another model: it lacks features.0.weight" in said


def test_another_layer_and_the_label(folder: Path, tmp_path: Path, capsys: Any) -> None:
    common = ["--weights", folder / "simplenet.safetensors", "--rows", "0,1,2,3", "--out", tmp_path / "x.png"]
    code, said = explained(capsys, *common, "--layer", "features.7", "--of", "label", "--track", "torch")
    assert code == 0 and "at features.7" in said
    rows = [line for line in said.splitlines() if line.startswith("row")]
    for line in rows:
        label, predicted = line.split("label ")[1].split(",")[0], line.split("predicted ")[1].split(" (")[0]
        assert (f"; explained: {label} (" in line) == (label != predicted)
    assert any("explained" in line for line in rows)


def test_frameworks_that_differ_are_exit_code_1(
    folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.reference import attribution

    right = attribution.saliency
    monkeypatch.setattr(attribution, "saliency", lambda *given: right(*given) * 1.001)
    arguments = ["--weights", folder / "simplenet.safetensors", "--rows", 0, "--out", tmp_path / "x.png"]
    code, said = explained(capsys, *arguments, "--track", "both")
    assert code == 1 and "1.0e-03 (saliency)" in said and "NOT THE SAME COMPUTATION" in said


def test_differences_are_measured_image_by_image() -> None:
    theirs = np.array([[100.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert explain.largest_difference(theirs, theirs) == 0
    assert explain.largest_difference(theirs + [[0.0], [0.01], [0.0]], theirs) == pytest.approx(0.01)
    assert explain.largest_difference(theirs + [[0.0], [0.0], [2.0]], theirs) == 2
    assert np.isnan(explain.largest_difference(theirs * np.nan, theirs))


def test_no_flat_area_is_left_for_ties() -> None:
    data = open_dataset(None, "val")
    images = explain.inputs(np.zeros((2, 28, 28, 1), np.uint8), data)
    assert images.dtype == np.float64 and len(np.unique(images)) == images.size
    np.testing.assert_allclose(images, -data.mean[0] / data.std[0], atol=1e-6)
    np.testing.assert_array_equal(images, explain.inputs(np.zeros((2, 28, 28, 1), np.uint8), data))


def test_the_page_runs_and_names_the_layers() -> None:
    page = (Path(__file__).parents[2] / "docs/attribution.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    exec(code, {})
    for name, layer in explain.LAYERS.items():
        assert re.search(rf"^\|.*\b{name}\b.*\| `{layer}`", page, re.M), name
    for picture in re.findall(r"!\[.*\]\((.*)\)", page):
        assert (Path(__file__).parents[2] / "docs" / picture).is_file()


def test_tokens_become_maps() -> None:
    tokens = np.random.default_rng(0).standard_normal((2, 3, 4, 5))  # (N, h, w, K)
    maps = explain.tokens_to_maps(mg.tensor(tokens))
    assert maps.shape == (2, 5, 3, 4)
    assert maps[1, 4, 2, 3].item() == tokens[1, 2, 3, 4]
    assert explain.tokens_to_maps(maps[0]).shape == (5, 3, 4)


def test_mosaics(folder: Path, tmp_path: Path, capsys: Any) -> None:
    pixels = np.arange(8 * 2 * 3, dtype=np.uint8).reshape(8, 2, 3, 1)
    found = explain.mosaics(pixels)
    assert found.shape == (8, 4, 6, 1)
    for i in range(8):
        of = 4 * (i // 4)
        for k, (top, left) in enumerate(((0, 0), (0, 3), (2, 0), (2, 3))):
            np.testing.assert_array_equal(found[i, top : top + 2, left : left + 3], pixels[of + k])
    maps = np.zeros((4, 4, 6))
    maps[0, 1, 2] = maps[1, 1, 3] = maps[2, 3, 0] = 1.0  # each within its own quarter, but for
    maps[3] = 1.0  # a quarter of this one
    assert explain.own_share(maps) == (3 + 0.25) / 4
    maps[0], maps[3] = maps[1], 0
    assert explain.own_share(maps) == 0.5

    common = ["--weights", folder / "simplenet.safetensors", "--mosaic", "--out", tmp_path / "x.png", "--rows"]
    code, said = explained(capsys, *common, "11,18,2,1")
    assert code == 0 and "within the label's own quarter (25 % would be chance): " in said
    code, said = explained(capsys, *common, "2,3,11,18")
    assert code == 2 and "four different labels, not of labels [1, 1, 5, 8]" in said
    assert explained(capsys, *common, "2,11,18")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "features.99"], "--layer features.99: simplenet has features, features.0, features.1,"),
        (["--layer", "fc"], "--layer fc: the layer's output must be (N, K, h, w), got float64[1, 10] on cpu"),
        (["--layer", "fc", "--track", "torch"], "--layer fc: its output must be (N, K, h, w), got (1, 10)"),
        (["--rows", "0,2000"], "fashion-mnist-small has 2000 validation images, there is no row 2000"),
        (["--rows", "0,-1"], "row numbers such as 0,4,17 are wanted, not '0,-1'"),
        (["--rows", ""], "row numbers such as 0,4,17 are wanted, not ''"),
        (["--rows", "1," * 32 + "1"], "up to 32 row numbers"),
        (["--model", "simplenet-bn"], "is of another model: it lacks features.2.weight"),
        (["--model", "lenet"], "invalid choice: 'lenet'"),
        (["--data", "nowhere"], "no folder 'nowhere' exists"),
        (["--set", "depth=3"], "simplenet has no settings of its own"),
        (["--out", "x.jpg"], "--out x.jpg: the picture is a PNG"),
        (["--out", "nowhere/x.png"], "--out nowhere/x.png: no file can be written there"),
        (["--weights", "nowhere.pth"], "there is no checkpoint nowhere.pth"),
    ],
)
def test_bad_input(arguments: list[str], message: str, folder: Path, tmp_path: Path, capsys: Any) -> None:
    given = ["--weights", folder / "simplenet.safetensors", "--rows", "0", "--out", tmp_path / "x.png", *arguments]
    code, said = explained(capsys, *given)
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1
    assert message in said, said
    assert not (tmp_path / "x.png").exists()


def test_weights_that_are_not_finite(folder: Path, tmp_path: Path, capsys: Any) -> None:
    state = models.create("simplenet", 10, 1).state_dict()
    state["fc.weight"][3, 5] = float("nan")
    save_weights(tmp_path / "nan.safetensors", state)
    code, said = explained(capsys, "--weights", tmp_path / "nan.safetensors", "--out", tmp_path / "x.png")
    assert code == 2 and "logits or gradients of these images are NaN or infinite" in said


def test_weights_for_other_classes(tmp_path: Path, capsys: Any) -> None:
    save_weights(tmp_path / "other.safetensors", models.create("simplenet", 7, 1).state_dict())
    code, said = explained(capsys, "--weights", tmp_path / "other.safetensors", "--out", tmp_path / "x.png")
    assert code == 2 and "fc.weight is (7, 512), the model's is (10, 512)" in said


def test_the_picture() -> None:
    """The first map's strongest place is light where it stands alone; under Grad-CAM's peak the image turns red."""
    data = open_dataset(None, "val")
    spot = np.zeros((28, 28))
    spot[4:10, 4:10] = 1.0
    row = heatmaps.Row(2, data.load(2, None), data.classes, 1, 1, np.eye(10)[1], {"saliency": spot, "Grad-CAM": spot})
    with Image.open(io.BytesIO(heatmaps.draw([row]))) as file:
        picture = np.asarray(file.convert("RGB"), np.float64)
    side, top = 100 * heatmaps.PICTURE, 100 * heatmaps.HEAD
    place = int(top + 0.25 * side)
    saliency, cam = (picture[place, int(100 * heatmaps.TEXT + (j + 0.25) * side)] for j in (1, 2))
    assert saliency.min() > 90 and saliency[0] > 240
    assert cam[0] > 150 and cam[0] > 1.5 * cam[1:].max()
    bar = -int(100 * (heatmaps.FOOT - 0.2 + heatmaps.BAR / 2))
    inferno, turbo = (
        picture[bar, int(100 * heatmaps.TEXT + j * side) : int(100 * heatmaps.TEXT + k * side)]
        for j, k in ((1, 2), (2, 3))
    )
    assert inferno[20].sum() < 150 < 400 < inferno[150].sum()  # the bars below go from nothing to the most
    assert turbo[150][0] > 1.5 * turbo[150][1:].max()
    assert row.predicted == 1 and row.confidence(1) == pytest.approx(100 * np.e / (np.e + 9))


def test_a_map_of_zeros_is_drawn() -> None:
    row = heatmaps.Row(
        0, np.zeros((8, 8, 3), np.uint8), ["a" * 60, "b"], 0, 0, np.zeros(2), {"saliency": np.zeros((8, 8))}
    )
    assert heatmaps.draw([row, row])[:4] == b"\x89PNG"
