"""Every option is checked before anything is opened; the defaults fit the data."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from minigrad.errors import CheckpointError, OptionError
from minigrad.training.checkpoints import save_checkpoint
from minigrad.training.options import DEFAULTS, as_dict, parse_options

MODELS = ("simplenet", "simplenet-bn")


def parse(*arguments: str):
    return parse_options(arguments, MODELS, "train.py")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--model", "resnet1000"),
        ("--epochs", "-1"),
        ("--epochs", "0"),
        ("--epochs", "2.5"),
        ("--batch-size", "0"),
        ("--batch-size", "many"),
        ("--lr", "0"),
        ("--lr", "-0.1"),
        ("--lr", "nan"),
        ("--lr", "inf"),
        ("--momentum", "1"),
        ("--momentum", "-0.1"),
        ("--weight-decay", "-1"),
        ("--warmup", "-1"),
        ("--warmup", "1000"),
        ("--clip-grad", "-1"),
        ("--workers", "-1"),
        ("--seed", "-3"),
        ("--seed", "x"),
        ("--print-freq", "0"),
        ("--limit-train", "0"),
        ("--limit-val", "-5"),
        ("--image-size", "0"),
        ("--optimizer", "adam"),
        ("--nonsense", "1"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_option(option: str, value: str) -> None:
    with pytest.raises(OptionError) as error:
        parse(option, value)
    assert option in str(error.value)
    assert "\n" not in str(error.value)


def test_abbreviations_are_refused() -> None:
    with pytest.raises(OptionError):
        parse("--batch", "3")


def test_evaluate_wants_weights_and_tta_wants_evaluate() -> None:
    with pytest.raises(OptionError, match="--resume"):
        parse("--evaluate")
    with pytest.raises(OptionError, match="--tta belongs to --evaluate"):
        parse("--tta")


def test_defaults_of_a_folder_are_the_recipe() -> None:
    options = parse("--data", "some/folder")
    assert (options.epochs, options.lr, options.batch_size, options.warmup) == (60, 0.1, 256, 5)
    assert (options.weight_decay, options.momentum, options.image_size, options.seed) == (1e-4, 0.9, 128, 2024)
    options = parse("--data", "some/folder", "--model", "simplenet-bn")
    assert (options.epochs, options.lr) == (90, 0.5)


@pytest.mark.parametrize(("data", "line"), [(None, "the embedded images"), ("some/folder", "a folder (MiniPlaces)")])
def test_help_tells_the_defaults_as_they_are(data: str | None, line: str) -> None:
    options = parse() if data is None else parse("--data", data)
    (said,) = (each for each in DEFAULTS.splitlines() if line in each)
    words = said.split()
    for option in ("image-size", "epochs", "batch-size", "lr", "warmup"):
        value = float(words[words.index(f"--{option}") + 1])
        assert value == getattr(options, option.replace("-", "_"))


@pytest.mark.parametrize(("data", "size"), [("FashionMNIST", 28), ("cifar10", 32), ("CIFAR100:/somewhere", 32)])
def test_data_sets_by_name_have_their_own_size(data: str, size: int) -> None:
    assert parse("--data", data).image_size == size


def test_the_default_warmup_never_fills_a_short_run() -> None:
    assert parse("--data", "some/folder", "--epochs", "10").warmup == 5
    assert parse("--data", "some/folder", "--epochs", "4").warmup == 2


def test_what_is_given_counts() -> None:
    options = parse("--lr", "0.3", "--optimizer", "adamw", "--limit-train", "100", "--device", "gpu:1")
    assert (options.lr, options.weight_decay, options.limit_train, options.device) == (0.3, 0.01, 100, "gpu:1")
    assert parse("--optimizer", "adamw").lr == 1e-3


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    stored = as_dict(parse("--lr", "0.3", "--epochs", "7", "--limit-train", "100", "--device", "cpu", "--out", "x"))
    save_checkpoint(tmp_path / "last.safetensors", {"model.w": np.zeros(2)}, {"options": stored})
    save_checkpoint(tmp_path / "best.safetensors", {"model.w": np.zeros(2)}, {"options": stored})
    return tmp_path


def test_resume_takes_the_options_of_the_checkpoint(checkpoint: Path) -> None:
    options = parse("--resume", str(checkpoint))
    assert (options.lr, options.epochs, options.limit_train, options.warmup) == (0.3, 7, 100, 1)
    assert (options.out, options.device, options.evaluate) == (None, "auto", False)
    assert parse("--resume", str(checkpoint), "--workers", "3", "--epochs", "7").workers == 3


@pytest.mark.parametrize("contradiction", [("--lr", "0.1"), ("--model", "simplenet-bn"), ("--epochs", "9")])
def test_resume_refuses_what_contradicts_the_checkpoint(checkpoint: Path, contradiction: tuple[str, str]) -> None:
    with pytest.raises(OptionError, match=f"{contradiction[0]} .*contradicts .*last.safetensors"):
        parse("--resume", str(checkpoint), *contradiction)


def test_evaluation_keeps_the_model_alone(checkpoint: Path) -> None:
    options = parse("--resume", str(checkpoint), "--evaluate", "--data", "CIFAR10", "--tta")
    assert (options.image_size, options.tta, options.model) == (32, True, "simplenet")
    with pytest.raises(OptionError, match="--model simplenet-bn contradicts"):
        parse("--resume", str(checkpoint), "--evaluate", "--model", "simplenet-bn")


def test_weights_alone_can_be_evaluated_and_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"w": np.zeros(2)}, path)
    assert parse("--resume", str(path), "--evaluate").model == "simplenet"
    with pytest.raises(OptionError, match="weights alone"):
        parse("--resume", str(path))


def test_resume_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        parse("--resume", str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match="holds no last.safetensors"):
        parse("--resume", str(tmp_path))
