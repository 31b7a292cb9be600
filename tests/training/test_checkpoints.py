"""Checkpoints are whole or refused; nothing that is read is executed."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from minigrad.errors import CheckpointError
from minigrad.training.checkpoints import (
    check_weights,
    find_checkpoint,
    load_checkpoint,
    load_weights,
    pack,
    read_state,
    save_checkpoint,
    unpack,
)

ARRAYS = {
    "model.fc.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "model.features.0.weight": np.random.default_rng(0).normal(size=(2, 3, 3, 3)).astype(np.float32),
    "model.count": np.array(7, np.int64),
    "model.empty": np.zeros((0, 3), np.float32),
    "optimizer.0.momentum_buffer": np.ones((3, 4), np.float32),
    "random.torch": np.arange(50, dtype=np.uint8),
}
STATE = {"epoch": 3, "step": 17, "metrics": [{"lr": 0.1 + 0.2, "val_top1": 84.0}], "options": {"model": "simplenet"}}


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, ARRAYS, STATE)
    return path


def test_round_trip(saved: Path) -> None:
    arrays, state = load_checkpoint(saved)
    assert_same(arrays, ARRAYS)
    assert state == STATE
    assert json.loads(saved.with_suffix(".json").read_text()) == STATE
    assert sorted(os.listdir(saved.parent)) == ["last.json", "last.safetensors"]


def test_strided_arrays_keep_their_values(tmp_path: Path) -> None:
    images = np.arange(24.0).reshape(2, 2, 3, 2).transpose(0, 3, 1, 2)  # channels-last
    save_checkpoint(tmp_path / "a.safetensors", {"x": images}, {})
    assert np.array_equal(load_checkpoint(tmp_path / "a.safetensors")[0]["x"], images)


def test_every_truncation_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in sorted({*range(0, 64), *range(64, len(whole), 37), len(whole) - 1}):
        saved.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"last\.safetensors"):
            load_checkpoint(saved)


def test_every_flipped_byte_is_noticed(saved: Path) -> None:
    whole = saved.read_bytes()
    for place in range(0, len(whole), 23):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        saved.write_bytes(damaged)
        try:
            arrays, state = load_checkpoint(saved)
        except CheckpointError:
            continue
        assert_same(arrays, ARRAYS)  # a byte that carries nothing: padding, or the order of the header
        assert state == STATE


def test_a_failed_write_leaves_the_old_one(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(saved, {"model.fc.weight": np.zeros(3)}, {"epoch": 9})
    assert_same(load_checkpoint(saved)[0], ARRAYS)
    assert sorted(os.listdir(saved.parent)) == ["last.json", "last.safetensors"]


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, pickle.dumps({"a": 1})])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for read in (load_checkpoint, load_weights, read_state):
        with pytest.raises(CheckpointError, match=r"notes\.txt is not a safetensors checkpoint"):
            read(path)


def test_plain_weights_are_weights_but_no_run(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"fc.weight": ARRAYS["model.fc.weight"]}, path)
    assert_same(load_weights(path), {"fc.weight": ARRAYS["model.fc.weight"]})
    assert read_state(path) is None
    with pytest.raises(CheckpointError, match="weights alone"):
        load_checkpoint(path)


def test_weights_of_a_checkpoint(saved: Path) -> None:
    weights = {name[6:]: array for name, array in ARRAYS.items() if name.startswith("model.")}
    assert_same(load_weights(saved), weights)


@pytest.mark.parametrize("suffix", [".pth", ".pth.tar", ".pt"])
@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"state_dict": d, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_torch_files(tmp_path: Path, suffix: str, wrap, prefix: str, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / f"weights{suffix}"
    tensors = {"fc.weight": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}
    torch.save(wrap({prefix + key: value for key, value in tensors.items()}), path)
    assert_same(load_weights(path), {key: value.numpy() for key, value in tensors.items()})
    assert ("module." in capsys.readouterr().out) == bool(prefix)


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch exploded",))


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError, match=r"bomb\.pth is refused.*execute code"):
        load_weights(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()


def test_a_truncated_torch_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"w\.pth"):
            load_weights(path)


@pytest.mark.parametrize("content", [{}, {"a": 3}, [torch.zeros(2)], {"state_dict": {}}])
def test_a_torch_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="holds no state_dict"):
        load_weights(tmp_path / "w.pth")


def test_weights_of_another_model_say_what_differs() -> None:
    found = {"a": np.zeros(3), "b": np.zeros((2, 2)), "d": np.zeros(1)}
    with pytest.raises(CheckpointError) as error:
        check_weights(found, {"a": (3,), "b": (2, 5), "c": (1,)}, "w.safetensors")
    text = str(error.value)
    assert "w.safetensors is of another model" in text
    assert "lacks c" in text and "has d too many" in text and "b is (2, 2), the model's is (2, 5)" in text
    check_weights({"a": np.zeros(3)}, {"a": (3,)}, "w.safetensors")


def test_find_checkpoint(saved: Path, tmp_path: Path) -> None:
    assert find_checkpoint(saved.parent) == saved == find_checkpoint(saved)
    with pytest.raises(CheckpointError, match="holds no best.safetensors"):
        find_checkpoint(saved.parent, "best.safetensors")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        find_checkpoint(tmp_path / "nowhere")


def test_optimizer_states_travel_between_the_tracks() -> None:
    parameter = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    state = optimizer.state_dict()["state"]
    arrays = pack({"w": parameter}, state, lambda tensor: tensor.detach().numpy())
    assert set(arrays) == {"model.w", "optimizer.0.step", "optimizer.0.exp_avg", "optimizer.0.exp_avg_sq"}
    model_state, again = unpack(arrays, torch.from_numpy)
    assert torch.equal(model_state["w"], parameter.detach())
    assert again.keys() == state.keys()
    assert all(torch.equal(again[0][name], value) for name, value in state[0].items())
    assert pack({}, {0: {"momentum_buffer": None}}, np.asarray) == {}
