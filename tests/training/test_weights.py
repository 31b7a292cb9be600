"""What a run starts from: torchvision's ImageNet weights, a file's, another's head; and weights that change frameworks."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import models
from minigrad.convert import convert
from minigrad.errors import CheckpointError, OptionError
from minigrad.training import initial_weights, save_checkpoint
from minigrad.weights import Arrays, save_weights
from tests.rounding import in_float64, without_ties

FILE = "resnet18-f37072fd.pth"


def shapes(name: str, classes: int, channels: int = 3) -> dict[str, tuple[int, ...]]:
    state = models.create(name, classes, channels, image_size=32).state_dict()
    return {key: tuple(value.shape) for key, value in state.items()}


def arrays(expected: dict[str, tuple[int, ...]], seed: int = 0) -> Arrays:
    """Weights of those shapes."""
    random = np.random.default_rng(seed)
    return {
        key: np.array(7) if key.endswith("num_batches_tracked") else random.standard_normal(shape, np.float32)
        for key, shape in expected.items()
    }


RESNET = shapes("resnet18", 1000)
SIMPLENET_BN = shapes("simplenet-bn", 10)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which torchvision looks for weights, empty, on a machine without a network."""

    def unreachable(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def as_published(path: Path) -> dict[str, torch.Tensor]:
    """A file of ImageNet's shapes as torchvision's are: parameters, and no counts of batches."""
    state = {key: torch.nn.Parameter(torch.from_numpy(array)) for key, array in arrays(RESNET).items() if array.ndim}
    torch.save(state, path)
    return state


def promise(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Make the file of that content the one that the cached file's name stands for."""
    genuine = hashlib.sha256

    class Promised:
        def hexdigest(self) -> str:
            return "f37072fd" + 56 * "0"

    monkeypatch.setattr(hashlib, "sha256", lambda data=b"": Promised() if data == content else genuine(data))


# ---- imagenet ----------------------------------------------------------------------------------------------------


def test_imagenets_name_is_the_one_that_torchvision_publishes() -> None:
    assert torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url.endswith("/" + FILE)


def test_imagenet_from_torchvisions_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = as_published(cache / FILE)
    promise(monkeypatch, (cache / FILE).read_bytes())
    expected = shapes("resnet18", 10)
    weights = initial_weights("imagenet", "resnet18", expected, "fc")
    assert weights.keys() == expected.keys() - {"fc.weight", "fc.bias"}
    for key, array in weights.items():
        assert array.shape == expected[key]
        assert (array == (state[key].detach().numpy() if key in state else 0)).all()
    assert capsys.readouterr().out == (
        f"weights: {cache / FILE}: 100 of 122 keys loaded, fresh: fc.weight, fc.bias (1000 classes there, 10 here), "
        "at 0: num_batches_tracked of 20 batch norms\n"
    )
    model = models.create("resnet18", 10)
    assert model.load_state_dict(weights, strict=False) == (["fc.weight", "fc.bias"], [])


def test_a_cached_file_with_another_hash_is_refused_by_name(cache: Path) -> None:
    as_published(cache / FILE)
    found = hashlib.sha256((cache / FILE).read_bytes()).hexdigest()[:8]
    with pytest.raises(CheckpointError) as error:
        initial_weights("imagenet", "resnet18", RESNET, "fc")
    assert f"{cache / FILE} is not what its name says: its SHA-256 begins with {found}, not f37072fd" in str(
        error.value
    )


def test_without_a_network_the_message_says_where_to_put_the_file(cache: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        initial_weights("imagenet", "resnet18", RESNET, "fc")
    text = str(error.value)
    assert "cannot be downloaded (URLError: <urlopen error no route to host>)" in text
    assert f"put https://download.pytorch.org/models/{FILE} at {cache / FILE}" in text and "--weights FILE" in text
    assert not list(cache.iterdir())


def test_imagenet_by_download(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The download checks its hash, and reads what came with weights_only."""
    state = as_published(cache / "elsewhere.pth")
    asked: list[Any] = []

    def download(url: str, path: str, hash_prefix: str, progress: bool = True) -> None:
        asked.append((url, hash_prefix))
        Path(path).write_bytes((cache / "elsewhere.pth").read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    weights = initial_weights("imagenet", "resnet18", RESNET, "fc")
    assert asked == [(f"https://download.pytorch.org/models/{FILE}", "f37072fd")]
    assert all((weights[key] == value.detach().numpy()).all() for key, value in state.items())
    assert f"{FILE}: 102 of 122 keys loaded, at 0: num_batches_tracked" in capsys.readouterr().out


def test_a_download_that_would_execute_code_does_not(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda url, path, *_, **__: torch.save(torch.nn.Linear(1, 1), path)
    )
    with pytest.raises(CheckpointError, match="cannot be downloaded .UnpicklingError"):
        initial_weights("imagenet", "resnet18", RESNET, "fc")


def test_imagenet_is_for_resnet18_alone() -> None:
    with pytest.raises(OptionError, match="imagenet is for resnet18 alone, not for simplenet"):
        initial_weights("imagenet", "simplenet", shapes("simplenet", 10), "fc")


@pytest.mark.parametrize("missing", ["torch", "torchvision"])
def test_imagenet_takes_torchvision(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, f"{missing}.models", raising=False)
    with pytest.raises(CheckpointError, match="takes torch and torchvision .*pip install torchvision"):
        initial_weights("imagenet", "resnet18", RESNET, "fc")


def test_imagenet_is_for_images_of_three_channels(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_published(cache / FILE)
    promise(monkeypatch, (cache / FILE).read_bytes())
    with pytest.raises(CheckpointError) as error:
        initial_weights("imagenet", "resnet18", shapes("resnet18", 10, channels=1), "fc")
    assert "takes images of 3 channels (conv1.weight is (64, 3, 7, 7)), and these have 1" in str(error.value)


# ---- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "best.safetensors", ""])
def test_weights_of_a_file_or_a_run(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = arrays(SIMPLENET_BN)
    if name.startswith("w"):
        save_weights(tmp_path / name, given)
    else:
        save_checkpoint(tmp_path / "best.safetensors", {f"model.{key}": a for key, a in given.items()}, {"epoch": 1})
    weights = initial_weights(tmp_path / name, "simplenet-bn", SIMPLENET_BN, "fc")
    assert weights.keys() == given.keys() and all((weights[key] == given[key]).all() for key in given)
    path = tmp_path / (name or "best.safetensors")
    assert capsys.readouterr().out == f"weights: {path}: 31 of 31 keys loaded\n"


def test_another_number_of_classes_leaves_the_head_fresh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_weights(tmp_path / "w.safetensors", arrays(shapes("simplenet-bn", 100)))
    weights = initial_weights(tmp_path / "w.safetensors", "simplenet-bn", SIMPLENET_BN, "fc")
    assert SIMPLENET_BN.keys() - weights.keys() == {"fc.weight", "fc.bias"}
    assert "29 of 31 keys loaded, fresh: fc.weight, fc.bias (100 classes there, 10 here)" in capsys.readouterr().out


@pytest.mark.parametrize("classes", [10, 100])
def test_weights_of_another_architecture_say_which_keys_and_shapes(classes: int, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"

    def refusal(wrong: dict[str, tuple[int, ...]]) -> str:
        save_weights(path, arrays(wrong))
        with pytest.raises(CheckpointError, match=re.escape(f"{path} is of another model")) as error:
            initial_weights(path, "simplenet-bn", SIMPLENET_BN, "fc")
        assert "\n" not in str(error.value)
        return str(error.value)

    text = refusal(shapes("simplenet", classes))
    assert "it lacks features.2.weight" in text and "features.3.bias" in text and "too many" in text
    own = shapes("simplenet-bn", classes)
    assert "it has extra too many" in refusal({**own, "extra": (1,)})
    assert "it lacks features.0.bias" in refusal({key: own[key] for key in own if key != "features.0.bias"})
    assert "features.0.weight is (64, 3, 5, 5), the model's is (64, 3, 7, 7)" in refusal(
        {**own, "features.0.weight": (64, 3, 5, 5)}
    )
    assert "fc.weight is (7, 256), the model's is (10, 512)" in refusal({**own, "fc.weight": (7, 256)})
    assert "it lacks fc.weight, fc.bias" in refusal({key: own[key] for key in own if not key.startswith("fc.")})


def test_weights_for_other_channels(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.pth", arrays(shapes("simplenet-bn", 100, channels=1)))
    with pytest.raises(CheckpointError, match="w.pth takes images of 1 channels .*and these have 3"):
        initial_weights(tmp_path / "w.pth", "simplenet-bn", SIMPLENET_BN, "fc")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint .*w.pth"):
        initial_weights(tmp_path / "w.pth", "simplenet-bn", SIMPLENET_BN, "fc")


# ---- between the frameworks ------------------------------------------------------------------------------------------

FEW = "--limit-train 160 --limit-val 200 --batch-size 16 --epochs 2 --device cpu".split()
NETWORKS = {
    "simplenet-bn": ["--lr", "0.05"],
    "resnet18": ["--lr", "0.005"],
    "vit": "--patch-size 7 --dim 16 --heads 2 --depth 2 --lr 0.005".split(),
}


@pytest.mark.parametrize("trained, measured", [("torch", "minigrad"), ("minigrad", "torch")])
@pytest.mark.parametrize("network", [pytest.param(n, marks=[pytest.mark.slow] * (n == "resnet18")) for n in NETWORKS])
def test_trained_in_one_track_measured_in_the_other(
    network: str, trained: str, measured: str, call_script: Callable[..., int], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The same top-1 and top-5 on real images, of the run's own checkpoint, and of the .pth that it is converted to."""
    without_ties(monkeypatch)
    in_float64(monkeypatch)
    model = ["--model", network, *NETWORKS[network]]
    assert call_script(f"train_{trained}", *model, *FEW, "--out", str(tmp_path / "run")) == 0
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    convert(tmp_path / "run" / "last.safetensors", tmp_path / "weights.pth")
    shape = model[: model.index("--lr")]
    for source, options in ((tmp_path / "weights.pth", shape), (tmp_path / "run" / "last.safetensors", [])):
        out = tmp_path / f"of-{source.name}"
        weights = ["--evaluate", "--resume", str(source), "--out", str(out)]
        assert call_script(f"train_{measured}", *options, *weights, *FEW[2:4], "--device", "cpu") == 0
        found = json.loads((out / "evaluation.json").read_text())
        assert (found["top1"], found["top5"], found["images"]) == (row["val_top1"], row["val_top5"], 200)
        assert found["loss"] == pytest.approx(row["val_loss"], rel=1e-9)
        assert 100 > found["top5"] > found["top1"] > 10  # it has learnt something, so that this says something
