"""The options that people's hands know, in both scripts: what each does, and that both do the same."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import minigrad
from minigrad.errors import OptionError
from minigrad.training.checkpoints import load_checkpoint
from minigrad.training.lock import Lock
from minigrad.training.mixing import mixed
from minigrad.training.options import Options, parse_options
from minigrad.training.output import captured
from minigrad.training.schedule import SCHEDULES, learning_rate
from models import MODELS
from tests.rounding import in_float64, without_ties
from tests.training.conftest import ENVIRONMENT, ROOT

Call = Callable[..., int]
TINY = "--limit-train 90 --limit-val 30 -b 10 --warmup 0 --model simplenet-bn --lr 0.02 --device cpu".split()


def parse(*arguments: str) -> Options:
    """The options of train_minigrad.py."""
    return parse_options(arguments, list(MODELS), "train_minigrad.py")


def refused(call: Call, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command line that ends with exit code 2."""
    capsys.readouterr()
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1, captured.err
    return captured.err


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of minigrad's."""
    folder = tmp_path_factory.mktemp("conventions") / "run"
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(ROOT))
    import train_minigrad

    patch.setattr(sys, "argv", ["train_minigrad.py", *TINY, "--epochs", "1", "--out", str(folder)])
    assert train_minigrad.main(train_minigrad.train, list(MODELS)) == 0
    patch.undo()
    return folder


def test_both_scripts_do_the_same(call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same weights, in float64: mixup, label smoothing, accumulation, averages, schedule, a clipped gradient."""
    pytest.importorskip("torch")
    without_ties(monkeypatch)
    in_float64(monkeypatch)
    minigrad.manual_seed(3)
    from minigrad.weights import save_weights
    from models import create

    save_weights(tmp_path / "start.safetensors", create("simplenet-bn", 10, 1, 28).state_dict())
    options = [
        "--mixup",
        "0.4",
        "--label-smoothing",
        "0.1",
        "--accumulate",
        "2",
        "--ema",
        "0.8",
        "--schedule",
        "linear",
    ]
    options += ["--clip-grad", "1", "--epochs", "1", "--weights", str(tmp_path / "start.safetensors")]
    found = {}
    for name in ("torch", "minigrad"):
        assert call_script(f"train_{name}", *TINY, *options, "--out", str(tmp_path / name)) == 0
        found[name], state = load_checkpoint(tmp_path / name / "last.safetensors")
    assert any(key.startswith("latest.") for key in found["torch"])
    start = minigrad.weights.load_weights(tmp_path / "start.safetensors")
    for key, array in found["torch"].items():
        if not key.startswith("random."):
            apart = np.abs(array - found["minigrad"][key]).max()
            assert apart <= 1e-9 * max(np.abs(array).max(), 1e-3), (key, apart)
    assert np.abs(found["minigrad"]["model.fc.weight"] - start["fc.weight"]).max() > 1e-4


def test_accumulated_batches_are_one_large_batch(
    call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no batch norm looks at the batch, two batches of 10 make the step of one of 20."""
    without_ties(monkeypatch)
    in_float64(monkeypatch, "minigrad")
    plain = [
        *TINY[:4],
        "--warmup",
        "0",
        "--schedule",
        "constant",
        "--epochs",
        "1",
        "--limit-train",
        "80",
        "--device",
        "cpu",
    ]
    weights = {}
    for name, options in {"one": ["-b", "20"], "two": ["-b", "10", "--accumulate", "2"]}.items():
        assert call_script("train_minigrad", *plain, *options, "--lr", "0.05", "--out", str(tmp_path / name)) == 0
        weights[name] = load_checkpoint(tmp_path / name / "last.safetensors")[0]["model.fc.weight"]
    np.testing.assert_allclose(weights["two"], weights["one"], rtol=1e-9)


def test_an_average_is_what_its_formula_says(call_script: Call, tmp_path: Path) -> None:
    """After one step from w0 to w1 the average is share w0 + (1 - share) w1; evaluation and resumption take their own."""
    arguments = [*TINY, "--epochs", "1", "--limit-train", "10", "--out", str(tmp_path / "run")]
    minigrad.manual_seed(2024)
    from models import create

    w0 = create("simplenet-bn", 10, 1, 28).state_dict()["fc.weight"].numpy()
    assert call_script("train_minigrad", *arguments, "--ema", "0.7", "--momentum", "0") == 0
    arrays, _ = load_checkpoint(tmp_path / "run" / "last.safetensors")
    latest = arrays["latest.fc.weight"]
    assert np.abs(latest - w0).max() > 1e-5
    np.testing.assert_allclose(arrays["model.fc.weight"], 0.7 * w0 + 0.3 * latest, atol=1e-7)


def test_interrupted_with_all_of_it_and_resumed_is_the_same_run(
    call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minigrad.training.run import Run

    options = [*TINY, "--epochs", "2", "--mixup", "--ema", "0.9", "--accumulate", "2", "--schedule", "step"]
    assert call_script("train_minigrad", *options, "--out", str(tmp_path / "whole")) == 0
    record = Run.record

    def stop(self: Run, *given: object) -> None:
        record(self, *given)  # type: ignore[arg-type]
        if self.step == 4:
            os.kill(os.getpid(), signal.SIGHUP)

    ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # so that it is heard under nohup, too
    with monkeypatch.context() as patch:
        patch.setattr(Run, "record", stop)
        assert call_script("train_minigrad", *options, "--out", str(tmp_path / "run")) == 128 + signal.SIGHUP
    signal.signal(signal.SIGHUP, ignored)
    assert load_checkpoint(tmp_path / "run" / "last.safetensors")[1]["step"] == 6  # where an update begins
    assert call_script("train_minigrad", "--resume", str(tmp_path / "run"), "--device", "cpu") == 0
    whole, resumed = (load_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("whole", "run"))
    assert all(whole[key].tobytes() == resumed[key].tobytes() for key in whole)


def test_longer_by_resume(run: Path, call_script: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    longer = ("--resume", str(run), "--out", str(tmp_path / "more"), "--device", "cpu")
    assert call_script("train_minigrad", *longer, "--epochs", "2") == 0
    assert "its 1 epochs are done" in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "more" / "last.safetensors")[1]["epoch"] == 2
    call = lambda *arguments: call_script("train_minigrad", *arguments)  # noqa: E731
    fewer = ("--resume", str(tmp_path / "more"), "--epochs", "1", "--device", "cpu")
    assert "has 2 epochs behind it" in refused(call, capsys, *fewer)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(schedule: str) -> None:
    rates = [learning_rate(step, 90, 10, 0.5, schedule=schedule) for step in range(90)]
    assert rates[:10] == [0.5 * step / 10 for step in range(10)] and rates[10] == pytest.approx(0.5)
    assert rates[89] == pytest.approx({"cosine": 1e-8, "linear": 1e-8, "step": 0.005, "constant": 0.5}[schedule])
    assert all(a >= b for a, b in zip(rates[10:], rates[11:], strict=False))
    middle = {"linear": 0.5 * 40 / 79, "step": 0.05, "constant": 0.5}
    if schedule in middle:
        assert rates[49] == pytest.approx(middle[schedule], rel=1e-6)


def test_mixup_mixes_images_and_targets_alike() -> None:
    options = parse("--mixup", "1")
    inputs, labels = np.arange(6.0).reshape(6, 1, 1, 1), np.arange(6)
    images, targets = mixed(options, 3, 4, inputs, labels, 6)
    np.testing.assert_allclose(images.ravel(), targets @ np.arange(6.0))
    np.testing.assert_allclose(targets.sum(1), 1)
    assert not np.array_equal(targets, np.eye(6))
    assert mixed(parse(), 3, 4, inputs, labels, 6)[1] is labels
    again, other = mixed(options, 3, 4, inputs, labels, 6), mixed(options, 3, 5, inputs, labels, 6)
    assert np.array_equal(again[0], images) and not np.array_equal(other[0], images)


def test_short_names() -> None:
    options = parse("-b", "7", "-j", "2", "-p", "3", "--wd", "0.5")
    assert (options.batch_size, options.workers, options.print_freq, options.weight_decay) == (7, 2, 3, 0.5)


def test_options_of_a_file(run: Path, tmp_path: Path) -> None:
    taken = parse("--config", str(run / "config.json"), "--seed", "5")
    assert (taken.model, taken.batch_size, taken.lr, taken.seed, taken.out) == ("simplenet-bn", 10, 0.02, 5, None)
    own = tmp_path / "own.json"
    own.write_text(
        json.dumps({"model": "vit", "depth": 2, "batch-size": 9, "check_files": False, "window_blocks": [1]})
    )
    options = parse("--config", str(own), "-b", "11")
    assert options.model == "vit" and options.settings["depth"] == 2 and options.settings["window_blocks"] == [1]
    assert options.batch_size == 11 and not options.check_files
    yaml = pytest.importorskip("yaml")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"epochs": 4, "optimizer": "adamw"}))
    assert parse("--config", str(tmp_path / "own.yaml")).epochs == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"epoch": 3}', "did you mean epochs?"),
        ('{"epochs": 0}', "--epochs"),
        ('{"epochs": true}', "wants a value"),
        ("[1, 2]", "names and values"),
        ("{", "neither JSON nor YAML"),
        ('{"model": "resnet"}', "invalid choice"),
    ],
)
def test_a_bad_file_of_options_is_named(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(OptionError, match="bad.json") as error:
        parse("--config", str(path))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--optimizer adamw --momentum 0.9", "--momentum 0.9 has no effect"),
        ("--model vit --shift --window-blocks none", "--shift has no effect"),
        ("--model vit --shift --window-blocks 1", "--shift has no effect"),
        ("--model vit --window-size 2 --window-blocks none", "--window-size 2 has no effect"),
        ("--adversarial --attack fgsm --attack-steps 3", "--attack-steps 3 has no effect"),
        ("--adversarial --attack apgd --alpha 0.1", "--alpha 0.1 has no effect"),
        ("--audit", "--audit belongs to"),
        ("--save-adversarial x.npz", "--save-adversarial belongs to"),
        ("--out=", "is given an empty text"),
        ("--schedule cosin", "did you mean cosine?"),
    ],
)
def test_options_without_effect_are_refused(line: str, said: str) -> None:
    with pytest.raises(OptionError, match=said.replace("?", r"\?")):
        parse(*line.split())
    with pytest.raises(OptionError, match="--out is given an empty text"):
        parse("--out", "")


@pytest.mark.parametrize("attack", ["apgd", "fgsm", "mifgsm"])
def test_attacks_of_the_evaluation_are_those_of_python(attack: str, run: Path, call: Call, tmp_path: Path) -> None:
    from minigrad import attacks
    from models import create

    out = tmp_path / "measured"
    arguments = [
        "-e",
        "--resume",
        str(run),
        "--attack",
        attack,
        "--epsilon",
        "0.3",
        "--device",
        "cpu",
        "--out",
        str(out),
    ]
    assert call(*arguments, "--save-adversarial", str(tmp_path / "moved.npz")) == 0
    result = json.loads((out / "evaluation.json").read_text())
    assert result["attack"]["preset"] == attack
    moved = np.load(tmp_path / "moved.npz")
    model = create("simplenet-bn", 10, 1, 28)
    minigrad.load_torch_state_dict(model, run / "best.safetensors")
    from minigrad.data import normalize, open_dataset

    data = open_dataset(None, "val", limit=30)
    images = minigrad.from_numpy(normalize(np.stack([data.load(i, None) for i in moved["index"]]), data.mean, data.std))
    made = {"apgd": attacks.APGD, "fgsm": attacks.FGSM, "mifgsm": attacks.MIFGSM}[attack]
    expected = made(epsilon=0.3, target="label", direction="ascend")(model.eval(), images, moved["label"]).numpy()
    apart = np.abs(moved["inputs"] - expected)
    assert np.quantile(apart, 0.9) < 1e-4  # but where rounding decides a sign
    assert np.abs(moved["inputs"] - images.numpy()).max() <= 0.3 + 1e-5


def test_what_an_evaluation_leaves(run: Path, call: Call, tmp_path: Path) -> None:
    out = tmp_path / "measured"
    arguments = ["-e", "--resume", str(run), "--device", "cpu", "--out", str(out), "--attack", "fgsm"]
    assert call(*arguments) == 0 and call(*arguments, "--tta") == 0
    lines = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
    assert [line["tta"] for line in lines] == [False, True] and lines[1].items() >= json.loads(
        (out / "evaluation.json").read_text()
    ).items()
    assert (
        lines[0]["data"] == "fashion-mnist-small"
        and lines[0]["image_size"] == 28
        and "--attack fgsm" in lines[0]["command"]
    )
    rows = list(csv.DictReader((out / "predictions.csv").open()))
    assert len(rows) == lines[1]["images"] == 30
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert 100 * right / 30 == pytest.approx(lines[1]["top1"])
    assert 100 * sum(int(row["rank_of_label"]) <= 5 for row in rows) / 30 == pytest.approx(lines[1]["top5"])
    classes = list(csv.DictReader((out / "classes.csv").open()))
    assert sum(int(row["right"]) for row in classes) == right and sum(int(row["images"]) for row in classes) == 30
    assert all((out / name).stat().st_size > 5000 for name in ("confusion.png", "worst.png"))
    from PIL import Image

    inked = (np.asarray(Image.open(out / "worst.png").convert("L")) < 128).mean()
    assert inked > 0.2  # images on black ground, not blank panels


def test_nothing_is_written_beside_weights_that_are_of_no_run(
    run: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes((run / "best.safetensors").read_bytes())
    assert call("-e", "--resume", str(weights), "--device", "cpu") == 0
    assert "nothing is written" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_another_size_is_noted(run: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("-e", "--resume", str(run), "--image-size", "56", "--device", "cpu", "--out", str(tmp_path / "o")) == 0
    assert "trained at 28 pixels, and is measured at 56" in capsys.readouterr().out


def test_weights_of_other_classes_or_channels_are_called_that(
    run: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for split in ("train", "val"):
        for name in ("a", "b", "c"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (40, 40)).save(folder / "x.png")
    line = refused(call, capsys, "-e", "--resume", str(run), "--data", str(tmp_path / "data"), "--device", "cpu")
    assert "is for 10 classes, and the data has 3" in line and "takes images of 1 channels" in line


def test_one_class_alone_is_refused_and_classes_without_images_are_named(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for path in ("one/train/a", "one/val/a", "two/train/a", "two/train/b", "two/val/a", "two/val/b"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("one/train/a", "one/val/a", "two/train/a", "two/train/b", "two/val/a"):
        for i in range(2):
            Image.new("RGB", (40, 40), (i, 0, 0)).save(tmp_path / path / f"{i}.png")
    common = ("--device", "cpu", "--epochs", "1", "-b", "2", "--image-size", "32", "--out", str(tmp_path / "run"))
    assert "one class alone (a)" in refused(call, capsys, "--data", str(tmp_path / "one"), *common)
    assert not (tmp_path / "run").exists()
    call("--data", str(tmp_path / "two"), *common)
    assert "1 of 2 classes have no validation images: b" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_two_runs_in_one_folder(run: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", "import sys, minigrad.training.lock as l, pathlib; k = l.Lock(pathlib.Path(sys.argv[1])); "
         "print('held', flush=True); sys.stdin.read()", str(run)],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    try:
        line = refused(call, capsys, "--resume", str(run), "--epochs", "2", "--device", "cpu")
        assert "in use by another run" in line and str(other.pid) in line
    finally:
        other.communicate()
    Lock(run).release()


def test_what_the_run_printed_is_in_its_log(run: Path) -> None:
    log = (run / "log.txt").read_text()
    assert log.startswith("device: cpu") and "\nmodel: simplenet-bn, " in log and "\nepoch 1/1  " in log
    assert max(map(len, log.splitlines())) <= 120
    assert max(len(line) for line in log.splitlines() if line.startswith("epoch ")) <= 80


def test_steps_are_in_tensorboard(run: Path) -> None:
    pytest.importorskip("tensorboardX")
    (events,) = (run / "steps").iterdir()
    content = events.read_bytes()
    assert all(name in content for name in (b"step/loss", b"step/gradient_norm", b"step/lr"))


class _Full:
    """A stream on a full disk."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def test_output_that_cannot_be_printed_is_said_at_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdout", _Full())
    with pytest.raises(OSError, match="No space left"), captured() as out:
        print("before")
        out.log_to(tmp_path / "log.txt")
        print("after")
    assert (tmp_path / "log.txt").read_text() == "before\nafter\n"


def test_a_reader_who_has_enough_ends_the_run_and_it_is_saved(tmp_path: Path) -> None:
    script = f"{sys.executable} {ROOT}/train_minigrad.py {' '.join(TINY)} --epochs 1 -p 1 --out {tmp_path}/run"
    line = f"{script} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["device: cpu (1 threads)", "141"], done
    assert done.stderr == ""
    assert load_checkpoint(tmp_path / "run" / "last.safetensors")[1]["step"] >= 0


class FakeLogger(ModuleType):
    """wandb as far as a run uses it: it takes so many calls, and then fails."""

    def __init__(self, calls: int) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.calls, self.said = calls, []  # type: ignore[var-annotated]
        self.config = self

    def _call(self, name: str, /, *given: object, **named: object) -> FakeLogger:
        self.said.append((name, given, named))
        if len(self.said) > self.calls:
            raise ConnectionError("the service\nis away")
        return self

    def __getattr__(self, name: str) -> Callable[..., FakeLogger]:
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(self._call, name)


@pytest.mark.parametrize("calls", [0, 2, 1000])
def test_a_logger_that_fails(
    calls: int, call: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the beginning it ends the run, which leaves nothing; later on the run goes on without it."""
    library = FakeLogger(calls)
    monkeypatch.setitem(sys.modules, "wandb", library)
    out, arguments = tmp_path / "run", (*TINY, "--epochs", "1", "--logger", "wandb", "--out", str(tmp_path / "run"))
    if not calls:
        assert "cannot begin: the service is away" in refused(call, capsys, *arguments)
        assert not out.exists()
        return
    assert call(*arguments) == 0
    said = capsys.readouterr().out
    assert ("note: --logger wandb fails, and gets no more: the service is away" in said) == (calls == 2)
    names = [name for name, *_ in library.said]
    assert names[:2] == ["init", "update"] and (names[-1] == "finish") == (calls == 1000)
    assert load_checkpoint(out / "last.safetensors")[1]["epoch"] == 1


def test_logger_that_is_not_installed(call: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("wandb", "mlflow"):
        try:
            __import__(name)
        except ImportError:
            assert "pip install" in refused(call, capsys, "--logger", name, "--out", str(tmp_path / "run"))
            assert not (tmp_path / "run").exists()


def test_anomalies_name_the_layer(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*TINY, "--lr", "1e30", "--epochs", "1", "--out", str(tmp_path / "run"), "--detect-anomaly"]
    assert "features." in refused(call, capsys, *arguments)


def test_a_folder_that_is_removed_in_mid_run_is_made_again(
    call_script: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from minigrad.training.run import Run

    record, out = Run.record, tmp_path / "run"

    def remove(self: Run, *given: object) -> None:
        record(self, *given)  # type: ignore[arg-type]
        if (self.epoch, self.step) == (1, 3):
            shutil.rmtree(out)

    monkeypatch.setattr(Run, "record", remove)
    assert call_script("train_minigrad", *TINY, "--epochs", "2", "--out", str(out)) == 0
    assert "was removed in mid-run" in capsys.readouterr().out
    assert {"config.json", "last.safetensors", "metrics.jsonl"} <= {path.name for path in out.iterdir()}


@pytest.mark.parametrize("given", ["data/images", "data/images/train", "above"])
def test_the_folder_that_was_meant_is_named(
    given: str, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    root = tmp_path / ("above/places" if given == "above" else "data")
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(root / "images" / split / "1.jpg")
        (root / f"{split}.txt").write_text(f"{split}/1.jpg 0\n")
    line = refused(call, capsys, "--data", str(tmp_path / given), "--out", str(tmp_path / "run"))
    assert f"did you mean {root}?" in line
