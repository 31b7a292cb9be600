"""Weights between minigrad and torch, and between kinds of files: bit for bit, and nothing in a file is executed."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import minigrad
import models
import models.reference
from minigrad import nn
from minigrad.convert import convert, main
from minigrad.errors import CheckpointError, OptionError, WriteError
from minigrad.training import initial_weights, save_checkpoint
from minigrad.training.checkpoints import read_state
from minigrad.weights import holds_torch, load_weights, save_weights

ROOT = Path(__file__).parents[1]
SUFFIXES = [".pth", ".pth.tar", ".pt", ".safetensors"]


def same_bits(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two tensors are alike in type, shape and bits (those of NaNs included)."""

    def bits(tensor: torch.Tensor) -> bytes:
        return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

    return (found.dtype, found.shape, bits(found)) == (expected.dtype, expected.shape, bits(expected))


def random_bits(model: torch.nn.Module) -> torch.nn.Module:
    """Every bit of every number drawn, so that NaNs, infinities and denormal numbers travel too."""
    generator = torch.Generator().manual_seed(5)
    for value in model.state_dict().values():
        size = value.numel() * value.element_size()
        noise = torch.randint(0, 256, (size,), dtype=torch.uint8, generator=generator)
        value.copy_(noise.view(value.dtype).reshape(value.shape))
    return model


# ---- between models ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(models.MODELS))
def test_every_model_travels_there_and_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    """torch to minigrad to torch, in memory, through each kind of file, and through the converter."""
    theirs = random_bits(models.reference.create(name, 10, 3, image_size=32))
    expected = theirs.state_dict()
    ours = models.create(name, 10, 3, image_size=32)
    assert minigrad.load_torch_state_dict(ours, expected) == ([], [])

    back = minigrad.to_torch_state_dict(ours)
    assert list(back) == list(expected)
    save_weights(tmp_path / "a.pth", ours.state_dict())
    save_weights(tmp_path / "a.safetensors", ours.state_dict())
    convert(tmp_path / "a.pth", tmp_path / "b.safetensors")
    convert(tmp_path / "a.safetensors", tmp_path / "b.pth")
    states = [back, torch.load(tmp_path / "a.pth"), torch.load(tmp_path / "b.pth")]
    states += [load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "b.safetensors")]
    for state in states:
        assert state.keys() == expected.keys()
        assert all(same_bits(state[key], value) for key, value in expected.items())
    theirs.load_state_dict(back)
    for file in ("a.pth", "b.pth", "a.safetensors", "b.safetensors"):
        for value in ours.state_dict().values():
            value.zero_()
        assert minigrad.load_torch_state_dict(ours, tmp_path / file) == ([], [])
        found = minigrad.to_torch_state_dict(ours)
        assert all(same_bits(found[key], back[key]) for key in expected), file


def test_to_torch_state_dict_copies() -> None:
    """Contiguous ones, however the module's own numbers lie in memory."""
    model = nn.Linear(2, 3)
    model.weight = nn.Parameter(minigrad.from_numpy(np.arange(6, dtype=np.float32).reshape(2, 3).T))
    state = minigrad.to_torch_state_dict(model)
    before = model.weight.numpy(force=True).copy()
    state["weight"].zero_()
    np.testing.assert_array_equal(model.weight.numpy(force=True), before)
    assert not state["weight"].requires_grad and state["weight"].is_contiguous()


def test_weights_of_a_model_on_either_device(device: str) -> None:
    theirs = torch.nn.Conv2d(3, 4, 3)
    ours = nn.Conv2d(3, 4, 3).to(device)
    minigrad.load_torch_state_dict(ours, theirs.state_dict())
    assert ours.weight.device.backend == device
    assert torch.equal(minigrad.to_torch_state_dict(ours)["weight"], theirs.weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16, torch.float8_e4m3fn])
def test_a_model_keeps_its_own_dtype(dtype: torch.dtype) -> None:
    weight = torch.tensor([[0.5, -1.25]]).to(dtype)
    model = nn.Linear(2, 1, bias=False)
    minigrad.load_torch_state_dict(model, {"weight": weight})
    assert model.weight.dtype == minigrad.float32
    assert model.weight.tolist() == [[0.5, -1.25]]


def test_tensors_that_are_not_contiguous_or_need_gradients() -> None:
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(3, 2))
    model = nn.Linear(3, 2, bias=False)
    minigrad.load_torch_state_dict(model, {"weight": weight.T})
    assert model.weight.tolist() == weight.T.tolist()


def test_what_does_not_fit_is_listed_with_its_shape_and_nothing_is_changed() -> None:
    model = nn.Linear(3, 2)
    before = model.weight.numpy(force=True).copy()
    wrong = {"weight": torch.zeros(2, 5), "scale": torch.zeros(1)}
    with pytest.raises(RuntimeError) as error:
        minigrad.load_torch_state_dict(model, wrong)
    for text in (
        'Missing key(s) in state_dict: "bias"',
        'Unexpected key(s) in state_dict: "scale"',
        "(2, 5)",
        "(2, 3)",
    ):
        assert text in str(error.value)
    np.testing.assert_array_equal(model.weight.numpy(force=True), before)
    keys = minigrad.load_torch_state_dict(model, {"weight": torch.ones(2, 3), "scale": torch.zeros(1)}, strict=False)
    assert (keys.missing_keys, keys.unexpected_keys) == (["bias"], ["scale"])
    assert (model.weight.numpy(force=True) == 1).all()


def test_missing_counts_are_judged_as_torch_judges_them() -> None:
    """Files from before torch had num_batches_tracked load; a state_dict that says it is newer must have it."""
    state = torch.nn.BatchNorm2d(3).state_dict()
    del state["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        torch.nn.BatchNorm2d(3).load_state_dict(state)
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        minigrad.load_torch_state_dict(nn.BatchNorm2d(3), state)
    assert minigrad.load_torch_state_dict(nn.BatchNorm2d(3), dict(state)) == ([], [])


@pytest.mark.parametrize("wrong", [3, None, [torch.zeros(1)]])
def test_what_is_no_state_dict_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="state_dict or the path of a file is wanted, not a"):
        minigrad.load_torch_state_dict(nn.Linear(1, 1), wrong)


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.eye(3).to_sparse()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="weight is no plain tensor but torch.sparse_coo"):
        minigrad.load_torch_state_dict(nn.Linear(3, 3), tmp_path / "w.pth")
    for target in ("x.pt", "x.safetensors"):
        with pytest.raises(CheckpointError, match="weight is no plain tensor but torch.sparse_coo"):
            convert(tmp_path / "w.pth", tmp_path / target)
    assert os.listdir(tmp_path) == ["w.pth"]


def test_types_that_numpy_has_not_are_named(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", {"small": FOR_TORCH_ALONE["float8"]})
    with pytest.raises(CheckpointError, match="small is F8_E4M3, a type that NumPy has not"):
        load_weights(tmp_path / "w.safetensors")


# ---- files -------------------------------------------------------------------------------------------------------

ODD_TENSORS = OrderedDict(
    float16=torch.tensor([1.5, -0.0, float("nan"), float("inf")], dtype=torch.float16),
    float32=torch.tensor(3.25),
    float64=torch.tensor([[1e-300, 1 / 3]], dtype=torch.float64),
    int64=torch.tensor(2**53 + 1),
    int32=torch.arange(-3, 3, dtype=torch.int32),
    int16=torch.zeros((0, 2), dtype=torch.int16),
    int8=torch.tensor([-128], dtype=torch.int8),
    uint8=torch.tensor([[255]], dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    strided=torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
)
FOR_TORCH_ALONE = OrderedDict(
    bfloat16=torch.tensor([[1.0, -2.5], [float("nan"), 3e38]], dtype=torch.bfloat16),
    scalar=torch.tensor(0.5, dtype=torch.bfloat16),
    float8=torch.tensor([0.5, -448.0]).to(torch.float8_e4m3fn),
    other_float8=torch.tensor([0.5]).to(torch.float8_e5m2),
    uint16=torch.tensor([65535], dtype=torch.uint16),
    complex64=torch.tensor([1 + 2j], dtype=torch.complex64),
)


@pytest.mark.parametrize("first", SUFFIXES)
@pytest.mark.parametrize("second", SUFFIXES)
def test_the_converter_keeps_every_bit_of_every_type(first: str, second: str, tmp_path: Path) -> None:
    tensors = {**ODD_TENSORS, **FOR_TORCH_ALONE}
    tensors["shared"] = tensors["float32"]  # one memory under two names, as tied weights are
    start, middle, end = tmp_path / f"start{first}", tmp_path / f"middle{second}", tmp_path / f"end{first}"
    if first == ".safetensors":
        save_file({key: value.clone().contiguous() for key, value in tensors.items()}, start)
    else:
        torch.save(tensors, start)
    assert convert(start, middle) == convert(middle, end) == len(tensors)
    for path in (middle, end):
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path)
        assert found.keys() == tensors.keys()
        assert all(same_bits(found[key], value) for key, value in tensors.items())
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in (start, middle, end))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_arrays_from_files_keep_their_types(suffix: str, tmp_path: Path) -> None:
    """All but bfloat16, which NumPy has not: that becomes float32, exactly, with and without torch."""
    path = tmp_path / f"w{suffix}"
    save_weights(path, {**ODD_TENSORS, "bfloat16": FOR_TORCH_ALONE["bfloat16"]})
    arrays = load_weights(path)
    for key, value in ODD_TENSORS.items():
        assert arrays[key].dtype == value.numpy().dtype and arrays[key].shape == tuple(value.shape)
        np.testing.assert_array_equal(arrays[key], value.numpy())
    assert arrays["bfloat16"].dtype == np.float32
    np.testing.assert_array_equal(arrays["bfloat16"], FOR_TORCH_ALONE["bfloat16"].float().numpy())


def test_a_run_of_this_project_becomes_a_state_dict(tmp_path: Path) -> None:
    model = models.create("simplenet-bn", 10, 1)
    arrays = {f"model.{key}": value.numpy(force=True) for key, value in model.state_dict().items()}
    arrays["optimizer.0.momentum_buffer"] = np.zeros(3, np.float32)
    save_checkpoint(tmp_path / "best.safetensors", arrays, {"epoch": 1})
    for name in ("w.pth", "w.safetensors"):
        assert convert(tmp_path / "best.safetensors", tmp_path / name) == len(arrays) - 1
    reference = models.reference.create("simplenet-bn", 10, 1)
    reference.load_state_dict(torch.load(tmp_path / "w.pth"))
    assert all(
        torch.equal(value, reference.state_dict()[k]) for k, value in load_file(tmp_path / "w.safetensors").items()
    )


def test_safetensors_are_read_and_written_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"  # any import of it raises ImportError
        "import minigrad, models\n"
        "from minigrad.weights import save_weights, read_tensors\n"
        "model = models.create('simplenet', 10, 1)\n"
        "save_weights('w.safetensors', model.state_dict())\n"
        "print(minigrad.load_torch_state_dict(model, 'w.safetensors'))\n"
        "for call in (lambda: save_weights('w.pth', model.state_dict()), lambda: read_tensors('w.safetensors')):\n"
        "    try: call()\n"
        "    except minigrad.CheckpointError as error: print(error)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert out[0] == "<All keys matched successfully>"
    assert len(out) == 3 and all("takes torch, which is not installed" in line for line in out[1:])
    assert os.listdir(tmp_path) == ["w.safetensors"]


# ---- what is refused ---------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("touch exploded",)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that the command line must end with, beside exit code 2."""
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


@pytest.mark.parametrize("protocol", ["zip", "legacy", 2, 4])
def test_a_file_that_would_execute_code_is_refused_and_says_why(
    protocol: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"state_dict": {"w": torch.zeros(2), "bomb": Bomb()}}
    if isinstance(protocol, int):
        Path("bomb.pth").write_bytes(pickle.dumps({"w": Bomb()}, protocol))
    else:
        torch.save(content, "bomb.pth", _use_new_zipfile_serialization=protocol == "zip")
    assert "loading it could execute code" in (line := refused(capsys, "bomb.pth", "out.safetensors"))
    if protocol != 4:
        assert "it asks for posix.system" in line
    with pytest.raises(CheckpointError, match="could execute code"):
        minigrad.load_torch_state_dict(nn.Linear(1, 1), "bomb.pth")
    assert os.listdir(tmp_path) == ["bomb.pth"]


def test_a_flipped_bit_in_a_torch_file_is_noticed(tmp_path: Path) -> None:
    """torch.load itself returns other numbers for most of these."""
    path = tmp_path / "w.pth"
    expected = {"w": torch.arange(500.0)}
    torch.save(expected, path)
    whole = path.read_bytes()
    refusals = 0
    for place in range(0, len(whole), 41):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            assert torch.equal(torch.from_numpy(load_weights(path)["w"]), expected["w"]), place
        except CheckpointError as error:
            assert "w.pth" in str(error)
            refusals += 1
    assert refusals > 2000 // 41


@pytest.mark.parametrize("wrap", ["state_dict", "model_state_dict", "model"])
def test_the_state_dict_inside_a_training_checkpoint(wrap: str, tmp_path: Path) -> None:
    torch.save({wrap: {"w": torch.ones(2)}, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    assert load_weights(tmp_path / "w.pth")["w"].tolist() == [1, 1]


def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_weights("w.pth", {"w": torch.ones(2)})
    Path("junk.pth").write_bytes(b"hello" * 30)
    Path("junk.safetensors").write_bytes(b"hello" * 30)
    Path("short.pth").write_bytes(Path("w.pth").read_bytes()[:-40])
    Path("folder.pth").mkdir()
    torch.save({"epoch": 3}, "none.pth")
    torch.save({1: torch.zeros(1)}, "numbers.pth")
    torch.save({"w": torch.zeros(2, dtype=torch.complex128)}, "complex.pth")
    save_file({}, "none.safetensors")
    there = Path("w.safetensors")
    there.write_bytes(b"precious")

    assert "w.bin: a file of weights ends in .safetensors, .pth" in refused(capsys, "w.bin", "x.pth")
    assert "x.npz: a file of weights ends in" in refused(capsys, "w.pth", "x.npz")
    assert "there is no checkpoint file missing.pth" in refused(capsys, "missing.pth", "x.safetensors")
    assert "there is no checkpoint file missing.safetensors" in refused(capsys, "missing.safetensors", "x.pth")
    assert "there is no checkpoint file folder.pth" in refused(capsys, "folder.pth", "x.safetensors")
    assert "junk.pth is not a torch checkpoint" in refused(capsys, "junk.pth", "x.safetensors")
    assert "junk.safetensors is not a safetensors checkpoint" in refused(capsys, "junk.safetensors", "x.pth")
    assert "short.pth is not a torch checkpoint" in refused(capsys, "short.pth", "x.safetensors")
    assert "holds no state_dict" in refused(capsys, "none.pth", "x.safetensors")
    assert "holds no state_dict" in refused(capsys, "numbers.pth", "x.safetensors")
    assert "holds no state_dict" in refused(capsys, "none.safetensors", "x.pth")
    assert "w is complex128, which a .safetensors file cannot hold" in refused(capsys, "complex.pth", "x.safetensors")
    assert "w.safetensors is there already: --force" in refused(capsys, "w.pth", "w.safetensors")
    assert "cannot be written (No such file" in refused(capsys, "w.pth", "nowhere/x.safetensors")
    assert "required: OUT" in refused(capsys, "w.pth")
    assert "--fast" in refused(capsys, "w.pth", "x.safetensors", "--fast")
    assert there.read_bytes() == b"precious" and not list(tmp_path.glob("x.*")) and not list(tmp_path.glob(".*"))

    assert main(["w.pth", "w.safetensors", "--force"]) == 0
    assert capsys.readouterr().out == "w.safetensors: 1 tensors\n"
    assert load_file(there)["w"].tolist() == [1, 1]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_weights(tmp_path / "w.pth", {"w": torch.ones(2)})
    (tmp_path / "w.safetensors").write_bytes(b"precious")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OptionError, match="cannot be written .No space left"):
        convert(tmp_path / "w.pth", tmp_path / "w.safetensors", force=True)
    assert (tmp_path / "w.safetensors").read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["w.pth", "w.safetensors"]


def test_the_command(tmp_path: Path) -> None:
    """As a user calls it: quiet but for its line, and without a warning."""
    save_weights(tmp_path / "w.pth", {"w": torch.ones(2)})
    command = [sys.executable, "-m", "minigrad.convert", str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_weights(tmp_path / "w.safetensors")["w"].tolist() == [1, 1]


# ---- looked at by content, and what wraps a model -------------------------------------------------------------------

STATE = {"0.weight": torch.arange(6.0).reshape(3, 2), "0.bias": torch.ones(3)}
NAMES = ["w.ckpt", "w.bin", "w.th", "w.tar", "w.pth.tar", "w.pt", "w.pth", "w.safetensors", "w"]


def holds_state(arrays: Any) -> bool:
    return arrays.keys() == STATE.keys() and all((np.asarray(arrays[key]) == STATE[key].numpy()).all() for key in STATE)


def write(path: Path, kind: str, state: dict[str, torch.Tensor] = STATE) -> Path:
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "run":
        save_checkpoint(path, {f"model.{key}": value.numpy() for key, value in state.items()}, {"epoch": 1})
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    return path


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "run"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_what_is_in_it_whatever_its_name(name: str, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, kind)
    assert holds_state(load_weights(path))
    assert read_state(path) == ({"epoch": 1} if kind == "run" else None)
    assert minigrad.load_torch_state_dict(nn.Sequential(nn.Linear(2, 3)), path) == ([], [])
    assert main([str(path), str(tmp_path / "out.safetensors")]) == 0
    assert holds_state(load_file(tmp_path / "out.safetensors"))


PREFIXES = ["module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "_orig_mod.module.", "model._orig_mod.net."]


@pytest.mark.parametrize("kind", ["zip", "safetensors"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_that_all_keys_share_is_taken_off_and_said(
    prefix: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "w.ckpt", kind, {prefix + key: value for key, value in STATE.items()})
    said = f"{path}: dropped the leading '{prefix}' of its keys\n"
    assert holds_state(load_weights(path, STATE))
    assert capsys.readouterr().out == said
    assert minigrad.load_torch_state_dict(nn.Sequential(nn.Linear(2, 3)), path) == ([], [])
    assert capsys.readouterr().out == said
    shapes = {key: tuple(value.shape) for key, value in STATE.items()}
    assert holds_state(initial_weights(path, "simplenet", shapes, "0"))
    assert capsys.readouterr().out == f"{said}weights: {path}: 2 of 2 keys loaded\n"


def test_what_only_wrappers_write_is_taken_off_without_a_model_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "w.pth", "zip", {f"module._orig_mod.{key}": value for key, value in STATE.items()})
    assert holds_state(load_weights(path))
    assert main([str(path), str(tmp_path / "w.safetensors")]) == 0
    assert capsys.readouterr().out.count("dropped the leading 'module._orig_mod.' of its keys") == 2
    assert holds_state(load_file(tmp_path / "w.safetensors"))


def test_compiled_parts_of_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """torch.compile of a layer writes its word within the keys."""
    path = write(tmp_path / "w.pth", "zip", {"0._orig_mod.weight": STATE["0.weight"], "0.bias": STATE["0.bias"]})
    assert holds_state(load_weights(path))
    assert "'0._orig_mod.weight' is '0.weight'" in capsys.readouterr().out


def test_a_prefix_of_the_models_own_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential(nn.Linear(2, 3))

        def forward(self, x: Any) -> Any:
            return self.model(x)

    net = Net()
    save_weights(tmp_path / "w.pth", net.state_dict())
    assert list(load_weights(tmp_path / "w.pth")) == list(net.state_dict())
    assert minigrad.load_torch_state_dict(net, tmp_path / "w.pth") == ([], [])
    wrapped = {f"_orig_mod.{key}": torch.from_numpy(v.numpy()) for key, v in net.state_dict().items()}
    assert minigrad.load_torch_state_dict(net, write(tmp_path / "x.pth", "zip", wrapped)) == ([], [])
    assert capsys.readouterr().out.count("dropped") == 1
    one = write(tmp_path / "one.safetensors", "safetensors", {"fc.weight": torch.ones(1), "fc.bias": torch.ones(1)})
    assert load_weights(one).keys() == {"fc.weight", "fc.bias"}  # one layer is no wrapper


@pytest.mark.parametrize(
    "content",
    [
        {
            "state_dict": STATE,
            "hyper_parameters": {"lr": 0.1},
            "optimizer_states": [{"state": {0: {"m": torch.ones(1)}}}],
        },
        {"model": STATE, "ema": {"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(3)}},
        {"checkpoint": {"model_state_dict": STATE, "epoch": 3}},
        {"network": STATE, "optimizer": {"state": {"a": torch.ones(1)}}, "scheduler": {"last": torch.ones(1)}},
    ],
)
def test_the_state_dict_is_found_within(content: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(content, tmp_path / "w.ckpt")
    assert holds_state(load_weights(tmp_path / "w.ckpt"))
    assert ("its part 'network'" in capsys.readouterr().out) == ("network" in content)


FOUND = {
    "a tensor alone": (torch.ones(2, 3), r"holds no state_dict, but a tensor alone, float32 \(2, 3\)"),
    "a number": (3, "holds no state_dict, but a int"),
    "nothing": (None, "holds no state_dict, but a NoneType"),
    "a list": ([torch.ones(2)], r"but a list of 1, the first of them a tensor alone"),
    "an empty dict": ({}, "but an empty dict"),
    "no tensors": ({"epoch": 3, "best": 0.5}, r"but a dict of epoch \(int\), best \(float\): "),
    "two networks": ({"generator": STATE, "critic": STATE}, "several state_dicts: generator, critic"),
}


@pytest.mark.parametrize("case", FOUND)
@pytest.mark.parametrize("name", ["w.pth", "w.bin"])
def test_what_is_no_state_dict_is_said_in_one_line(
    case: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = FOUND[case]
    path = tmp_path / name
    torch.save(content, path)
    for read in (load_weights, lambda p: minigrad.load_torch_state_dict(nn.Linear(1, 1), p)):
        with pytest.raises(CheckpointError, match=message):
            read(path)
    assert re.search(message, refused(capsys, path, tmp_path / "x.safetensors"))


KINDS = {
    b"": "it is empty",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:1": "a pointer of Git LFS",
    b"<!DOCTYPE html><html>": "a page of the web",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"\x1f\x8b\x08\0\0": "compressed by gzip",
    b"\0" * 257 + b"ustar\0" + b"\0" * 300: "a tar archive",
    b"hello world": "it begins with b'hello world'",
}


@pytest.mark.parametrize("content", KINDS)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.ckpt"])
def test_what_else_a_file_may_be_is_said(
    content: bytes, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    line = refused(capsys, path, tmp_path / "x.safetensors")
    promised = "torch" if name == "w.pth" else "safetensors"
    assert f"{name} is not a {promised} checkpoint" in line and KINDS[content] in line


def test_a_renamed_file_that_would_execute_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Bomb()}, "w.bin")
    line = refused(capsys, "w.bin", "x.pth")
    assert "w.bin is not a safetensors checkpoint but a pickle" in line and "asks for posix.system" in line
    assert os.listdir(tmp_path) == ["w.bin"]


def test_a_device_is_not_written_over(tmp_path: Path) -> None:
    pipe = tmp_path / "w.pth"
    os.mkfifo(pipe)
    with pytest.raises(WriteError, match="w.pth cannot be written .it is a folder, or a device"):
        save_weights(pipe, {"w": torch.ones(2)})
    assert pipe.is_fifo() and os.listdir(tmp_path) == ["w.pth"]


@pytest.mark.parametrize("length", [0x280, 0x580])
def test_a_list_whose_length_begins_as_a_pickle_does(length: int, tmp_path: Path) -> None:
    """A safetensors file of 0x280 bytes of list begins as a pickle of protocol 2 does, and is none."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(length).encode()
    file = tmp_path / "weights.safetensors"
    file.write_bytes(length.to_bytes(8, "little") + header + np.ones(1, np.float32).tobytes())
    assert not holds_torch(file) and file.read_bytes()[:2] in (b"\x80\2", b"\x80\5")


def test_convert_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's files are written and read by minigrad itself, bit for bit."""
    torch = pytest.importorskip("torch")
    state = {"a.weight": torch.randn(3, 4), "b": torch.arange(5), "half": torch.randn(2).half()}
    torch.save({"model": state, "epoch": 3}, tmp_path / "in.pth")
    monkeypatch.setattr("minigrad.convert.find_spec", lambda name: None)
    assert convert(tmp_path / "in.pth", tmp_path / "middle.safetensors") == 3
    assert convert(tmp_path / "middle.safetensors", tmp_path / "out.pth") == 3
    found = torch.load(tmp_path / "out.pth", weights_only=True)
    assert found.keys() == state.keys()
    assert all(found[key].dtype == state[key].dtype and torch.equal(found[key], state[key]) for key in state)
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="holds no state_dict"):
        convert(tmp_path / "none.pth", tmp_path / "x.safetensors")
