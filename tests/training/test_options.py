"""Every option is checked before anything is opened; the defaults fit the data."""

from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import models
from minigrad.errors import CheckpointError, OptionError
from minigrad.training.checkpoints import save_checkpoint
from minigrad.training.options import OF_ATTACKS, Options, as_dict, parse_options
from minigrad.training.recipes import defaults

MODELS = tuple(models.MODELS)


def parse(*arguments: str, program: str = "train_minigrad.py") -> Options:
    return parse_options(arguments, MODELS, program)


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
        ("--patch-size", "0"),
        ("--dim", "-1"),
        ("--depth", "0"),
        ("--heads", "none"),
        ("--mlp-ratio", "0"),
        ("--drop-path", "1"),
        ("--dropout", "-0.1"),
        ("--window-size", "0"),
        ("--window-blocks", "0,x"),
        ("--window-blocks", "-1"),
        ("--window-blocks", ""),
        ("--conv", "slow"),
        ("--adversarial", "1.1"),
        ("--adversarial", "-0.1"),
        ("--adversarial", "nan"),
        ("--adversarial", "often"),
        ("--attack", "nuke"),
        ("--attack-steps", "0"),
        ("--attack-steps", "2.5"),
        ("--alpha", "-0.01"),
        ("--alpha", "inf"),
        ("--epsilon", "-1/255"),
        ("--epsilon", "nan"),
        ("--epsilon", "1/0"),
        ("--epsilon", "8/255/2"),
        ("--norm", "l1"),
        ("--attack-units", "bytes"),
        ("--restarts", "0"),
        ("--visualise", "0"),
        ("--visualise", "1000"),
        ("--rows", "1,x"),
        ("--rows", "-1"),
        ("--rows", ""),
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


def test_evaluate_wants_weights_and_tta_wants_evaluate(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--resume, or those of --weights"):
        parse("--evaluate")
    with pytest.raises(OptionError, match="give one of the two"):
        parse("--evaluate", "--weights", "imagenet", "--resume", str(tmp_path))
    with pytest.raises(OptionError, match="--tta belongs to --evaluate"):
        parse("--tta")


def test_the_attack_of_training_and_that_of_evaluation() -> None:
    plain = parse()
    assert (plain.adversarial, plain.attack, plain.visualise, plain.rows) == (0, None, 0, None)
    training = parse("--adversarial")
    assert (training.adversarial, training.attack, training.attack_steps) == (0.2, "untargeted", 5)
    assert (training.alpha, training.epsilon, training.norm) == (0.02, 0.1, "linf")  # five steps that reach epsilon
    assert parse(*"--adversarial --epsilon 0.3 --attack-steps 3".split()).alpha == pytest.approx(0.1)
    assert parse("--adversarial", "--alpha", "0").alpha == 0
    given = parse(*"--adversarial 0.5 --attack report --attack-steps 7 --alpha 2/255 --epsilon 8/255 --norm l2".split())
    assert (given.adversarial, given.attack, given.attack_steps) == (0.5, "report", 7)
    assert (given.alpha, given.epsilon, given.norm) == (2 / 255, 8 / 255, "l2")
    measuring = parse(*"--evaluate --weights imagenet --attack handout --visualise --rows 7,2,7".split())
    assert (measuring.alpha, measuring.epsilon) == (0.01, 0.1)
    assert (measuring.attack, measuring.attack_steps, measuring.visualise, measuring.rows) == ("handout", 10, 5, [7, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--attack handout", "--attack handout belongs to --evaluate --attack PRESET, or to --adversarial"),
        ("--epsilon 0.1", "--epsilon 0.1 belongs to --evaluate --attack PRESET, or to --adversarial"),
        ("--evaluate --weights imagenet --attack-steps 3", "--attack-steps 3 belongs to --evaluate --attack PRESET"),
        ("--evaluate --weights imagenet --random-start", "--random-start belongs to --evaluate --attack PRESET"),
        ("--evaluate --weights imagenet --adversarial 0.5", "--adversarial belongs to training"),
        ("--evaluate --weights imagenet --visualise", "--visualise .* belongs to --evaluate --attack PRESET"),
        ("--adversarial --attack handout --visualise", "--visualise .* belongs to --evaluate --attack PRESET"),
        ("--evaluate --weights imagenet --attack handout --rows 1", "--rows 1 belongs to --visualise"),
    ],
)
def test_options_of_an_attack_that_is_not_there(arguments: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse(*arguments.split())


# The rows of RECIPE.md that can be given as options: model, epochs, optimizer, learning rate, weight decay, clipping.
RECIPE = [
    ("simplenet", 60, "sgd", 0.1, 1e-4, 0),
    ("simplenet-bn", 90, "sgd", 0.5, 1e-4, 0),
    ("resnet18", 60, "sgd", 0.1, 1e-4, 0),
    ("vit", 90, "adamw", 0.01, 0.05, 1),
]


@pytest.mark.parametrize(("model", "epochs", "optimizer", "lr", "weight_decay", "clip"), RECIPE)
def test_defaults_of_a_folder_are_the_recipe(
    model: str, epochs: int, optimizer: str, lr: float, weight_decay: float, clip: float
) -> None:
    options = parse("--data", "some/folder", "--model", model)
    assert (options.epochs, options.optimizer, options.lr) == (epochs, optimizer, lr)
    assert (options.weight_decay, options.clip_grad) == (weight_decay, clip)
    assert (options.batch_size, options.warmup, options.momentum) == (256, 5, 0.9)
    assert (options.image_size, options.seed) == (128, 2024)


def test_every_model_has_its_recipes_and_its_settings() -> None:
    from models import MODELS as registered
    from models import find

    assert set(registered) == set(MODELS)
    common = {"num_classes", "channels", "image_size", "generator"}
    for name in registered:
        takes = {key: value.default for key, value in signature(find(name, "models")).parameters.items()}
        settings = parse("--model", name, "--image-size", "128").settings
        assert settings == {
            key: list(value) if isinstance(value, tuple) else value for key, value in takes.items() if key not in common
        }


@pytest.mark.parametrize("data", [(), ("--data", "some/folder")])
def test_help_tells_the_defaults_as_they_are(data: tuple[str, ...]) -> None:
    lines = iter(defaults().splitlines())
    header = next(line.split() for line in lines if line.strip().startswith("a folder" if data else "small images"))
    for _, line in zip(MODELS, lines, strict=False):
        model, *values = line.split()
        options = as_dict(parse("--model", model, *data))
        assert len(values) == 7
        for name, value in zip(header[2:], values, strict=True):
            assert f"{options[name.replace('-', '_')]}" == value or options[name.replace("-", "_")] == float(value)


def test_settings_of_the_vision_transformer() -> None:
    options = parse(
        *"--model vit --image-size 64 --patch-size 8 --dim 96 --depth 6 --heads 3 --mlp-ratio 2 --no-qkv-bias".split(),
        *"--drop-path 0.2 --dropout 0.1 --window-size 2 --window-blocks 3,1,1 --shift --relative-positions".split(),
        "--no-absolute-positions",
    )
    assert options.settings == {
        "patch_size": 8, "dim": 96, "depth": 6, "heads": 3, "mlp_ratio": 2.0, "qkv_bias": False, "drop_path": 0.2,
        "dropout": 0.1, "window_size": 2, "window_blocks": [1, 3], "shift": True, "relative_positions": True,
        "absolute_positions": False,
    }  # fmt: skip
    assert options.settings.keys() == models.MODELS["vit"].options.keys()


@pytest.mark.parametrize(("size", "patch"), [(28, 4), (32, 4), (63, 4), (64, 16), (128, 16)])
def test_patches_follow_from_the_image_size(size: int, patch: int) -> None:
    assert parse("--model", "vit", "--image-size", str(size)).settings["patch_size"] == patch


@pytest.mark.parametrize(
    ("given", "depth", "blocks"),
    [(None, 4, [0, 2]), (None, 2, [0]), ("all", 3, [0, 1, 2]), ("none", 4, []), ("2", 4, [2])],
)
def test_window_blocks(given: str | None, depth: int, blocks: list[int]) -> None:
    window_blocks = () if given is None else ("--window-blocks", given)
    assert parse("--model", "vit", "--depth", str(depth), *window_blocks).settings["window_blocks"] == blocks


def test_a_setting_of_another_model_is_refused() -> None:
    with pytest.raises(OptionError, match="simplenet has no --depth 3: that is an option of vit"):
        parse("--depth", "3")
    with pytest.raises(OptionError, match="resnet18 has no --no-qkv-bias: that is an option of vit"):
        parse("--model", "resnet18", "--no-qkv-bias")


def test_each_script_has_its_own_way_to_convolve_by_hand() -> None:
    assert parse("--conv", "definition").conv == "definition"
    assert parse("--custom-conv", program="train_torch.py").custom_conv
    with pytest.raises(OptionError, match="--custom-conv belongs to train_torch.py: train_minigrad.py has --conv def"):
        parse("--custom-conv")
    with pytest.raises(
        OptionError, match="--conv definition belongs to train_minigrad.py: train_torch.py has --custom"
    ):
        parse("--conv", "definition", program="train_torch.py")


def test_weights_are_looked_for_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse("--weights", "imagenet").weights == "imagenet"
    (tmp_path / "w.pth").touch()
    monkeypatch.chdir(tmp_path)
    assert parse("--weights", "w.pth").weights == str(tmp_path / "w.pth")  # wherever a resumed run then is
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*nowhere\.pth"):
        parse("--weights", str(tmp_path / "nowhere.pth"))


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
    assert parse("--optimizer", "adamw", "--model", "vit").weight_decay == 0.05
    options = parse("--optimizer", "sgd", "--model", "vit", "--data", "some/folder")
    assert (options.lr, options.weight_decay, options.clip_grad) == (0.1, 1e-4, 1)


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


@pytest.mark.parametrize("contradiction", [("--lr", "0.1"), ("--model", "simplenet-bn"), ("--momentum", "0.5")])
def test_resume_refuses_what_contradicts_the_checkpoint(checkpoint: Path, contradiction: tuple[str, str]) -> None:
    with pytest.raises(OptionError, match=f"{contradiction[0]} .*contradicts .*last.safetensors"):
        parse("--resume", str(checkpoint), *contradiction)


NEW = ("settings", "weights", "freeze_backbone", "conv", "custom_conv", "adversarial", *OF_ATTACKS, "visualise", "rows")


def test_a_checkpoint_of_before_there_were_settings_still_resumes(tmp_path: Path) -> None:
    stored = {name: value for name, value in as_dict(parse("--epochs", "7")).items() if name not in NEW}
    save_checkpoint(tmp_path / "last.safetensors", {"model.w": np.zeros(2)}, {"options": stored})
    options = parse("--resume", str(tmp_path))
    assert (options.epochs, options.settings, options.weights, options.conv) == (7, {}, None, "fast")
    assert (options.adversarial, options.attack) == (0, None)
    for unheard_of in ("--freeze-backbone", "--adversarial"):
        with pytest.raises(OptionError, match=f"{unheard_of} .*contradicts|{unheard_of} contradicts"):
            parse("--resume", str(tmp_path), unheard_of)


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    """The checkpoint of a vision transformer for images of 40 pixels, all of whose blocks look at windows."""
    arguments = "--model vit --image-size 40 --window-blocks all --weights imagenet --custom-conv --no-qkv-bias"
    stored = as_dict(parse(*arguments.split(), program="train_torch.py"))
    for name in ("last", "best"):
        save_checkpoint(tmp_path / f"{name}.safetensors", {"model.w": np.zeros(2)}, {"options": stored})
    return tmp_path


def test_resume_takes_the_settings_of_the_checkpoint(vit: Path) -> None:
    options = parse("--resume", str(vit), "--window-blocks", "all", "--depth", "4")
    assert options.settings["window_blocks"] == [0, 1, 2, 3] and not options.settings["qkv_bias"]
    assert (options.optimizer, options.weights, options.custom_conv) == ("adamw", "imagenet", False)
    assert parse("--resume", str(vit), program="train_torch.py").custom_conv
    for contradiction, there in (("--depth 5", "4"), ("--window-blocks none", "[0, 1, 2, 3]"), ("--shift", "False")):
        with pytest.raises(OptionError) as error:
            parse("--resume", str(vit), *contradiction.split())
        assert f"{contradiction} contradicts {vit}" in str(error.value) and f"where it is {there}" in str(error.value)


def test_evaluation_keeps_the_settings_and_what_they_are_for(vit: Path) -> None:
    options = parse("--resume", str(vit), "--evaluate")
    assert (options.weights, options.settings["patch_size"], options.image_size) == (None, 4, 40)
    options = parse("--resume", str(vit), "--evaluate", "--data", "some/folder")
    assert (options.settings["patch_size"], options.settings["qkv_bias"], options.image_size) == (4, False, 40)
    with pytest.raises(OptionError, match="--dim 64 contradicts"):
        parse("--resume", str(vit), "--evaluate", "--dim", "64")


def test_resume_takes_the_attack_of_the_checkpoint_and_evaluation_does_not(tmp_path: Path) -> None:
    stored = as_dict(parse(*"--adversarial 0.3 --attack handout --attack-steps 7 --epsilon 0.2".split()))
    for name in ("last", "best"):
        save_checkpoint(tmp_path / f"{name}.safetensors", {"model.w": np.zeros(2)}, {"options": stored})
    run = ("--resume", str(tmp_path))
    for options in (parse(*run), parse(*run, "--attack", "handout", "--adversarial", "0.3")):
        assert (options.adversarial, options.attack, options.attack_steps, options.epsilon) == (0.3, "handout", 7, 0.2)
    for contradiction in ("--adversarial", "--attack report", "--epsilon 0.1", "--random-start"):
        with pytest.raises(OptionError, match=f"{contradiction} .*contradicts|{contradiction} contradicts"):
            parse(*run, *contradiction.split())
    options = parse(*run, "--evaluate")
    assert (options.adversarial, options.attack) == (0, None)
    options = parse(*run, "--evaluate", "--attack", "report")
    assert (options.adversarial, options.attack, options.attack_steps, options.epsilon) == (0, "report", 10, 0.1)


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
