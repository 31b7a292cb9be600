"""The commands of `minigrad`: what each prints and writes is what Python finds with the same network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minigrad
from compare import __main__ as compare
from minigrad.commands import COMMANDS
from minigrad.commands.network import EMBEDDED_WEIGHTS
from minigrad.data import normalize, open_dataset
from minigrad.errors import OptionError
from minigrad.training.attack_kinds import ATTACKS
from models import create
from tests.commands.conftest import Call

ROOT = Path(__file__).parents[2]
WIDTH = 80


@pytest.fixture(scope="session")
def trained() -> minigrad.nn.Module:
    """The network that comes with minigrad."""
    model = create("simplenet-bn", 10, channels=1, image_size=28)
    minigrad.load_torch_state_dict(model, EMBEDDED_WEIGHTS)
    return model.eval()


@pytest.fixture
def photo(scene: np.ndarray, tmp_path: Path) -> str:
    """The name of a photograph."""
    Image.fromarray(scene).save(tmp_path / "photo.png")
    return "photo.png"


def shares(model: minigrad.nn.Module, pixels: np.ndarray) -> np.ndarray:
    """softmax of the logits of one embedded image, uint8 (28, 28, 1)."""
    data = open_dataset(None, "val")
    with minigrad.no_grad():
        logits = model(minigrad.from_numpy(normalize(pixels[None], data.mean, data.std)))
    return minigrad.nn.functional.softmax(logits, 1).numpy()[0]


def test_help_of_every_command_fits_a_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    names = [*COMMANDS, *[f"compare {name}" for name in compare.COMMANDS]]
    for arguments in [("--help",), *[(*name.split(), "--help") for name in names]]:
        code, out, _ = call(*arguments)
        assert code == 0 and len(out) > 100, arguments
        assert max(map(len, out.splitlines()), default=0) <= WIDTH, arguments


def test_the_network_that_comes_along_is_right_about_most_of_the_embedded_images(trained: minigrad.nn.Module) -> None:
    data = open_dataset(None, "val", limit=200)
    images = minigrad.from_numpy(normalize(np.stack([data.load(i, None) for i in range(200)]), data.mean, data.std))
    with minigrad.no_grad():
        right = (trained(images).argmax(1).numpy() == data.labels).mean()
    assert right > 0.8
    assert EMBEDDED_WEIGHTS.stat().st_size < 1.6e6


def test_predict_is_the_softmax_of_the_network(call: Call, trained: minigrad.nn.Module, tmp_path: Path) -> None:
    data = open_dataset(None, "val")
    Image.fromarray(data.load(7, None)[..., 0]).save(tmp_path / "seven.png")
    code, out, _ = call("predict", "seven.png", "--json", "--top", "10", "--picture", "seven-classes.png")
    assert code == 0
    (row,) = json.loads(out)
    expected = shares(trained, data.load(7, None))
    assert row["image"] == "seven.png"
    assert [k["index"] for k in row["predictions"]] == np.argsort(-expected).tolist()
    assert [k["class"] for k in row["predictions"]] == [data.classes[k] for k in np.argsort(-expected)]
    np.testing.assert_allclose([k["probability"] for k in row["predictions"]], np.sort(expected)[::-1], rtol=1e-4)
    assert Image.open(tmp_path / "seven-classes.png").size[0] > 300
    code, out, _ = call("predict", "seven.png")
    assert out.splitlines()[0] == "seven.png" and len(out.splitlines()) == 6
    assert data.classes[int(expected.argmax())] in out.splitlines()[1]


def test_explain_draws_and_says_what_it_explains(call: Call, photo: str, tmp_path: Path) -> None:
    code, out, _ = call("explain", photo, "--of", "bag", "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert row["explained"] == "Bag" and all(0 < x < 1 for x in row["strongest"])
    assert Image.open(tmp_path / "explain.png").size[0] > 300


def test_attack_changes_no_pixel_by_more_than_epsilon_and_saves_what_it_made(
    call: Call, trained: minigrad.nn.Module, tmp_path: Path
) -> None:
    data = open_dataset(None, "val")
    pixels = data.load(3, None)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "three.png")
    code, out, _ = call("attack", "three.png", "--epsilon", "16/255", "--save", "out", "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert 0 < row["largest_change"] <= 16 / 255 + 1e-6
    saved = np.asarray(Image.open(tmp_path / "out" / "three.png"))[..., None]
    assert np.abs(saved.astype(int) - pixels).max() <= 16
    before = int(shares(trained, pixels).argmax())
    assert row["before"]["class"] == data.classes[before]
    assert shares(trained, saved)[before] < shares(trained, pixels)[before]
    assert Image.open(tmp_path / "attack.png").size[0] > 300


@pytest.mark.parametrize("attack", [name for name in ATTACKS if "auto" not in name])
def test_every_attack_runs_on_a_photograph(call: Call, photo: str, attack: str) -> None:
    kind = ATTACKS[attack]
    steps = ["--steps", "40" if attack == "square" else "3"] if "attack_steps" in kind.takes else []
    code, out, err = call("attack", photo, "--attack", attack, *steps, "--json")
    assert code == 0, err
    if not kind.nearest:
        assert json.loads(out)[0]["largest_change"] <= 8 / 255 + 1e-6
    reach = ("--epsilon", "1e-6", "--norm", kind.norms[0])
    assert call("attack", photo, "--attack", attack, *steps, *reach)[0] == 0


@pytest.mark.parametrize("attack", ["untargeted", "apgdt", "square", "cw", "hopskipjump"])
def test_attacks_that_lead_to_a_class(call: Call, photo: str, attack: str) -> None:
    steps = "40" if attack in ("square", "cw") else "3"
    code, _, err = call("attack", photo, "--attack", attack, "--steps", steps, "--target", "Bag", "--json")
    assert code == 0, err


@pytest.mark.parametrize("name", ATTACKS)
def test_both_frameworks_make_the_attack_of_a_name(name: str) -> None:
    from minigrad import attacks
    from minigrad.training.attack_kinds import build

    threat: dict[str, Any] = {"epsilon": 0.1, "norm": ATTACKS[name].norms[0], "units": "pixel", "clip": (0.0, 1.0)}
    threat |= {"mean": (0.5,), "std": (0.5,), "steps": 4, "alpha": 0.03, "random_start": True, "restarts": 2}
    ours = build(attacks, name, threat)
    assert isinstance(ours, attacks.Attack) and ours.epsilon == 0.1
    steps = getattr(ours, ATTACKS[name].steps_as, None)
    assert ("attack_steps" not in ATTACKS[name].takes) or steps == 4
    pytest.importorskip("torch")
    from models.reference import attacks as reference

    if not hasattr(reference, ATTACKS[name].cls):
        with pytest.raises(OptionError, match="PyTorch version is not written"):
            build(reference, name, threat)
        return
    theirs = build(reference, name, threat)
    same = [f.name for f in fields(ours) if f.name not in ("generator", "criterion", "retarget")]
    for field in same:
        mine = getattr(ours, field)
        assert getattr(theirs, field, mine) == mine or field == "version" and theirs.version == mine, field


def test_attack_towards_a_class(call: Call, photo: str) -> None:
    _, out, _ = call("attack", photo, "--target", "Bag", "--epsilon", "0.3", "--steps", "20", "--json")
    assert json.loads(out)[0]["after"]["class"] == "Bag"


def test_trace_writes_a_page(call: Call, photo: str, tmp_path: Path) -> None:
    code, out, _ = call("trace", photo, "--label", "Bag")
    assert code == 0 and "of Bag" in out
    assert "<html" in (tmp_path / "trace.html").read_text()[:2000].lower()


def test_examples_stand_in_for_images(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("predict")
    assert code == 0 and out.count("(it is ") == 5


def test_convert_and_evaluate_what_comes_along(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code, out, _ = call("convert", str(EMBEDDED_WEIGHTS), "weights.pth")
    assert code == 0 and out.startswith("weights.pth: ")
    assert call("convert", str(EMBEDDED_WEIGHTS), "weights.pth")[0] == 2
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.safetensors").write_bytes(EMBEDDED_WEIGHTS.read_bytes())
    assert call("convert", "run", "of-a-run.safetensors")[0] == 0
    code, out, _ = call("evaluate", "--limit-val", "50", "--device", "cpu", "--out", "measured")
    assert code == 0 and "simplenet-bn" in out
    assert (tmp_path / "measured" / "evaluation.json").exists()


@pytest.mark.parametrize("model", ["simplenet", "simplenet-bn", "resnet18", "vit"])
def test_summary_counts_what_torch_counts(call: Call, model: str) -> None:
    torch = pytest.importorskip("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from models.reference import create as create_reference

    code, out, _ = call("summary", model, "--image-size", "32", "--json")
    found = json.loads(out)
    settings = {"patch_size": 4} if model == "vit" else {}
    theirs = create_reference(model, 100, 3, 32, **settings).eval()
    plain = sdpa_kernel(SDPBackend.MATH)  # whose two products the counter sees
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        theirs(torch.zeros(1, 3, 32, 32))
    assert found["multiply_adds"] == counter.get_total_flops() // 2
    assert found["parameters"] == sum(p.numel() for p in theirs.parameters())
    assert sum(layer["parameters"] for layer in found["layers"]) == found["parameters"]


def test_summary_fits_a_terminal(call: Call) -> None:
    for model in ("simplenet", "simplenet-bn", "resnet18", "vit"):
        _, out, _ = call("summary", model, "--image-size", "64")
        assert max(map(len, out.splitlines())) <= WIDTH
        assert "\nmultiply-adds  " in out


BAD = [
    "trian",
    "predict nothing.jpg",
    "predict text.jpg",
    "predict empty",
    "predict photo.png --top 0",
    "predict photo.png --topp 3",
    "predict photo.png --picture photo.jpg",
    "predict photo.png --picture nowhere/photo.png",
    "predict photo.png -w nothing.safetensors",
    "predict photo.png -w text.jpg",
    "predict photo.png --model resnet18",
    "predict photo.png --model resnet",
    "predict photo.png text.jpg",
    "predict photo.png --image-size 3",
    "explain photo.png --layer features.99",
    "explain photo.png --of Bagg",
    "explain photo.png --picture explain.pdf",
    "attack photo.png --epsilon -1",
    "attack photo.png --epsilon many",
    "attack photo.png --attack pgd",
    "attack photo.png --steps 0",
    "attack photo.png --target 10",
    "attack photo.png --target Bag --attack handout",
    "attack photo.png --save text.jpg",
    "attack nothing.png",
    "trace photo.png --out nowhere/x.html",
    "trace photo.png --label Bagg",
    "summary",
    "summary resnet81",
    "summary vit --image-size 33",
    "summary simplenet --depth 3",
    "summary simplenet --classes 0",
    "convert",
    "convert nothing.pth x.safetensors",
    "convert text.jpg x.safetensors",
    "convert photo.png x.bin",
    "evaluate nothing",
    "evaluate --limit-val 0",
    "train --epoch 3",
    "train --model simplnet",
    "compare sped",
]


@pytest.mark.parametrize("line", BAD)
def test_bad_lines_are_one_line(refused: Callable[..., str], photo: str, tmp_path: Path, line: str) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    refused(*line.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("trian", "train"),
        ("train --epoch 3", "--epochs"),
        ("train --model simplnet", "simplenet"),
        ("summary resnet81", "resnet18"),
        ("attack --attack untargetted", "untargeted"),
        ("compare sped", "speed"),
        ("compare speed --modle vit", "--model"),
        ("explain --of Bagg", "Bag"),
    ],
)  # fmt: skip
def test_did_you_mean(refused: Callable[..., str], line: str, meant: str) -> None:
    assert f"did you mean {meant}?" in refused(*line.split())


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


def start(*arguments: str, interpreter: Sequence[str] = (), **how: object) -> subprocess.Popen:
    """python -m minigrad in a process of its own."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.Popen([sys.executable, *interpreter, "-m", "minigrad", *arguments], env=ENVIRONMENT, **how)  # type: ignore[call-overload]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("module", ["numpy.linalg", "minigrad.engine"])
def test_ctrl_c_during_the_imports_leaves_no_traceback(module: str) -> None:
    heard = partial(
        signal.signal, signal.SIGINT, signal.default_int_handler
    )  # else as in a shell's background: ignored
    process = start("predict", interpreter=("-X", "importtime"), preexec_fn=heard)
    assert process.stderr is not None
    for line in process.stderr:  # a line an import
        if line.split()[-1] == module.encode():
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert b"Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_output_that_nobody_takes(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        process = start("--help", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and err.decode().count("\n") == 1 and "No space left" in err.decode()
    shell = f"{sys.executable} -m minigrad --help | head -1; {sys.executable} -m minigrad --help >&-"
    done = subprocess.run(["bash", "-c", shell], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1
