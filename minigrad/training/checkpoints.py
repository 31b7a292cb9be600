"""Checkpoints: all that a run needs to go on, in one safetensors file that is there whole or not at all.

    tensors     model.<key>                 the model's state_dict, torch's keys
                optimizer.<index>.<name>    the optimizer's state of parameter <index>: momentum_buffer ... as in torch
                random.<name>               states of random generators
    metadata    minigrad                    JSON: epoch, step, options, metrics so far ...
                crc32                       of the JSON and of every tensor

The file is written under another name, forced to the disk and then renamed, which is atomic: whoever is killed, and
whenever, leaves the old checkpoint or the new one. Nothing that is read here is ever executed.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import CheckpointError

Arrays = dict[str, np.ndarray]


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader, or a crash, sees the old file or the new one and nothing between."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # the rename itself has to reach the disk too
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def save_checkpoint(path: str | Path, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
    """Write arrays and state (what JSON can hold) to `path`; the state again, for people, to the .json beside it."""
    from safetensors.numpy import save

    path = Path(path)
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(state)
    write_atomically(path, save(whole, metadata={"minigrad": text, "crc32": str(_crc32(whole, text))}))
    write_atomically(path.with_suffix(".json"), (json.dumps(state, indent=2) + "\n").encode())


def load_checkpoint(path: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """(arrays, state) as they were given to save_checkpoint. CheckpointError if the file is not one, or not whole."""
    path = Path(path)
    arrays, metadata = _read_safetensors(path)
    if "minigrad" not in metadata:
        raise CheckpointError(f"{path} holds weights alone, not a run that could go on: use it with --evaluate")
    if metadata.get("crc32") != str(_crc32(arrays, metadata["minigrad"])):
        raise CheckpointError(f"{path} is damaged: its contents do not match their checksum")
    return arrays, json.loads(metadata["minigrad"])


def load_weights(path: str | Path) -> Arrays:
    """A model's weights {key: array} from a checkpoint, from a plain safetensors state_dict or from a torch file.

    .pth, .pth.tar and .pt files are read by torch.load(weights_only=True), which executes nothing; files that would
    have to execute code are refused. Of {"state_dict": ...} the inner part is taken. A leading "module.", which
    DataParallel adds, is dropped.
    """
    path = Path(path)
    if path.name.endswith((".pth", ".pth.tar", ".pt")):
        arrays = _read_torch(path)
    else:
        arrays, metadata = _read_safetensors(path)
        if "minigrad" in metadata:
            arrays, _ = load_checkpoint(path)
            return part(arrays, "model.")
    if arrays and all(key.startswith("module.") for key in arrays):
        print(f"{path}: dropped the leading 'module.' of its keys")
        arrays = part(arrays, "module.")
    return arrays


def read_state(path: str | Path) -> dict[str, Any] | None:
    """The state of a checkpoint; None for a file that holds weights alone."""
    path = Path(path)
    if path.name.endswith((".pth", ".pth.tar", ".pt")):
        return None
    _, metadata = _read_safetensors(path)
    return load_checkpoint(path)[1] if "minigrad" in metadata else None


def find_checkpoint(path: str | Path, default: str = "last.safetensors") -> Path:
    """The checkpoint file that `path`, a file or a run folder, means. CheckpointError if there is none."""
    path = Path(path)
    if path.is_dir():
        if not (path / default).is_file():
            raise CheckpointError(f"{path} holds no {default}: it is no run folder, or its run had not yet begun")
        return path / default
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint {path}")
    return path


def check_weights(found: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]], path: str | Path) -> None:
    """CheckpointError, with the keys and shapes that differ, unless `found` has just the keys and shapes `expected`."""
    complaints = []
    if missing := [key for key in expected if key not in found]:
        complaints.append(f"it lacks {_some(missing)}")
    if unexpected := [key for key in found if key not in expected]:
        complaints.append(f"it has {_some(unexpected)} too many")
    shapes = [
        f"{key} is {found[key].shape}, the model's is {tuple(shape)}"
        for key, shape in expected.items()
        if key in found and found[key].shape != tuple(shape)
    ]
    if shapes:
        complaints.append(_some(shapes))
    if complaints:
        raise CheckpointError(f"{path} is of another model: {'; '.join(complaints)}")


def part(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The arrays whose names start with `prefix`, without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def pack(
    model_state: Mapping[str, Any], optimizer_state: Mapping[int, Mapping[str, Any]], to_numpy: Callable
) -> Arrays:
    """A checkpoint's arrays from model.state_dict() and optimizer.state_dict()["state"]; what is None is left out."""
    arrays = {f"model.{key}": to_numpy(value) for key, value in model_state.items()}
    for index, state in optimizer_state.items():
        for name, value in state.items():
            if value is not None:
                arrays[f"optimizer.{index}.{name}"] = to_numpy(value)
    return arrays


def unpack(arrays: Mapping[str, np.ndarray], from_numpy: Callable) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """(model_state, optimizer_state), the inverse of pack."""
    model_state = {key: from_numpy(array) for key, array in part(arrays, "model.").items()}
    optimizer_state: dict[int, dict[str, Any]] = {}
    for name, array in part(arrays, "optimizer.").items():
        index, field = name.split(".", 1)
        optimizer_state.setdefault(int(index), {})[field] = from_numpy(array)
    return model_state, optimizer_state


def _crc32(arrays: Mapping[str, np.ndarray], text: str) -> int:
    crc = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.tobytes(), crc)
    return crc


def _some(items: list[str], most: int = 3) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def _read_safetensors(path: Path) -> tuple[Arrays, dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    if path.is_dir() or not path.exists():
        raise CheckpointError(f"there is no checkpoint file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a safetensors checkpoint, or is not whole ({error})") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error


def _read_torch(path: Path) -> Arrays:
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(f"{path} is a torch file: reading it takes torch, which is not installed") from error
    import pickle

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it is not plain weights, and loading it could execute code"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        raise CheckpointError(f"{path} is not a torch checkpoint, or is not whole ({error})") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    tensors = isinstance(content, dict) and all(isinstance(value, torch.Tensor) for value in content.values())
    if not content or not tensors:
        raise CheckpointError(f"{path} holds no state_dict: {{key: tensor}}, or {{'state_dict': ...}}, is wanted")
    return {key: (value.float() if value.is_floating_point() else value).numpy() for key, value in content.items()}
