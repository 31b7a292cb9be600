"""python -m compare layerwise (once bisect): errors that are planted are found at the right layer, none where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import models
from compare.__main__ import main
from compare.kit.command import find
from compare.kit.tables import as_text
from minigrad.backends import cpu
from minigrad.weights import save_weights

COMMAND = find("layerwise").COMMAND
SIZE = ["--image-size", "16", "--batch", "3"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def find(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The result of a command; the exit code says the same."""
    file = tmp_path / "bisect.json"
    code = main(["layerwise", *SIZE, *arguments, "--json", str(file)])
    result = json.loads(file.read_text())
    assert result["format"] == COMMAND.format and code == (0 if result["agree"] else 1)
    return result


def short(first: dict[str, Any] | None) -> Any:
    return first and (first["what"], first["name"], first["after"])


# What the help promises: model, what is planted -> first output, first gradient (with the layer where all was right before),
# first buffer.
FLOW = "gradient at the output"
PLANTED = [
    ("simplenet", "output:features.5", ("output", "features.5", "features.4"), (FLOW, "logits", None), None),
    ("simplenet", "weight:features.5", None, ("gradient", "features.5.weight", "features.5"), None),
    ("simplenet", "bias:features.12", None, ("gradient", "features.12.bias", "features.12"), None),
    ("simplenet", "input:features.10", None, (FLOW, "features.9", "features.10"), None),
    ("simplenet-bn", "statistics:features.2", None, None, ("buffer", "features.2.running_mean", None)),
    ("simplenet-bn", "input:features.11", None, (FLOW, "features.10", "features.11"), None),
    ("vit", "input:blocks.1.norm2", None, (FLOW, "blocks.1.drop_path", "blocks.1.norm2"), None),
    ("vit", "input:blocks.2.attn", None, (FLOW, "blocks.2.norm1", "blocks.2.attn"), None),
]


@pytest.mark.parametrize(("model", "plant", "output", "gradient", "buffer"), PLANTED, ids=[row[1] for row in PLANTED])
def test_an_error_is_named_where_it_was_planted(
    tmp_path: Path, capsys: Any, model: str, plant: str, output: Any, gradient: Any, buffer: Any
) -> None:
    result = find(tmp_path, model, "--plant", plant)
    first = result["first"]
    assert not result["agree"]
    assert (short(first["outputs"]), short(first["gradients"]), short(first["buffers"])) == (output, gradient, buffer)
    error = (first["outputs"] or first["gradients"] or first["buffers"])["error"]
    assert 1e-3 < error < 0.02 and plant in capsys.readouterr().out
    assert f"layerwise {model} --plant {plant} " in (COMMAND.about or "")  # the help shows it


@pytest.mark.parametrize("model", models.MODELS)
@pytest.mark.parametrize("mode", [[], ["--eval"]], ids=["train", "eval"])
def test_where_there_is_no_error_none_is_found(tmp_path: Path, capsys: Any, model: str, mode: list[str]) -> None:
    result = find(tmp_path, model, *mode)
    assert result["agree"] and set(result["first"].values()) == {None}
    counted = {what: sum(d["what"] == what for d in result["distances"]) for what in ("output", FLOW, "gradient")}
    assert counted["output"] == len(result["layers"]) >= counted[FLOW] >= counted["output"] - 1
    assert counted["gradient"] == 1 + len(list(models.create(model, 10).parameters()))
    said = capsys.readouterr().out
    assert COMMAND.show.verdict(result) in said and all(as_text(table) in said for table in COMMAND.show.tables(result))


def test_in_float32_the_yardstick_is_torchs_own_error(tmp_path: Path) -> None:
    result = find(tmp_path, "vit", "--dtype", "float32")
    assert result["agree"] and all(1e-8 < d["allowed"] < 1e-4 for d in result["distances"])
    result = find(tmp_path, "vit", "--dtype", "float32", "--plant", "weight:blocks.1.mlp.0")
    assert short(result["first"]["gradients"])[:2] == ("gradient", "blocks.1.mlp.0.weight")


def test_a_batch_norm_that_forgets_its_statistics_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong kernel, gx = gy w invstd: the mean and the variance depend on x too. The last batch norm is the first to show."""
    right = cpu.batch_norm_backward

    def forgetful(*arrays: Any, training: bool, needs: Any) -> Any:
        return right(*arrays, training=False, needs=needs)

    monkeypatch.setattr(cpu, "batch_norm_backward", forgetful)
    result = find(tmp_path, "simplenet-bn")
    assert result["first"]["outputs"] is None
    assert short(result["first"]["gradients"]) == (FLOW, "features.17", "features.18")


def test_weights_of_a_file(tmp_path: Path, capsys: Any) -> None:
    """They decide classes and channels; an error in the file of another model is one line."""
    file = tmp_path / "weights.safetensors"
    state = models.create("simplenet", 5, 1).state_dict()
    save_weights(file, {key: value.numpy() for key, value in state.items()})
    result = find(tmp_path, "simplenet", "--weights", str(file))
    assert result["agree"] and (result["classes"], result["channels"], result["weights"]) == (5, 1, file.name)
    capsys.readouterr()
    assert main(["bisect", "vit", "--weights", str(file)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and "another model" in error


def test_a_layer_that_gives_nan_differs() -> None:
    from compare.layerwise.traces import Trace, compare_traces

    arrays = {"fc": np.ones(3), "logits": np.ones(3)}
    theirs = Trace(arrays, {"input": np.ones(3)}, {})
    ours = Trace({**arrays, "fc": np.array([1, np.nan, 1])}, {"input": np.ones(3)}, {})
    assert [d.name for d in compare_traces(ours, theirs) if d.beyond] == ["fc"]
    other = Trace({**arrays, "fc": np.ones(3, np.float32)}, {"input": np.ones(3)}, {})
    assert [d.name for d in compare_traces(other, theirs) if d.beyond] == ["fc"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "model"),
        (["nonsense"], "simplenet"),
        (["simplenet", "--plant", "nonsense:fc"], "one of output"),
        (["simplenet", "--plant", "bias:features.1"], "features.0, features.3"),
        (["simplenet", "--plant", "statistics:fc"], "none"),
        (["simplenet", "--batch", "0"], "a whole number"),
        (["simplenet", "--dtype", "float16"], "float64"),
        (["simplenet", "--weights", "/nowhere"], "/nowhere"),
        (["simplenet", "--json", "/nowhere/a.json"], "no file can be written"),
        (["vit", "--image-size", "30"], "vit"),
    ],
)
def test_bad_options_are_one_line(arguments: list[str], said: str, capsys: Any) -> None:
    assert main(["layerwise", *arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and said in error


def test_a_file_of_something_else_stays(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "other.json"
    file.write_text('{"format": "compare lockstep 1"}')
    assert main(["bisect", "simplenet", "--json", str(file)]) == 2
    assert "nothing was overwritten" in capsys.readouterr().err
    assert file.read_text() == '{"format": "compare lockstep 1"}'


def test_without_torch_one_line(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compare.kit.arguments.find_spec", lambda name: None)
    assert main(["layerwise", "simplenet"]) == 2
    assert "PyTorch" in capsys.readouterr().err
