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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import CheckpointError
from minigrad.files import write_atomically
from minigrad.weights import Arrays, checksum, holds_torch, part, read_safetensors, read_torch
from minigrad.weights import load_weights as load_weights  # of any file, this module's among them


def save_checkpoint(path: str | Path, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
    """Write arrays and state (what JSON can hold) to `path`; the state again, for people, to the .json beside it."""
    from safetensors.numpy import save

    path = Path(path)
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(state)
    write_atomically(path, save(whole, metadata={"minigrad": text, "crc32": checksum(whole, text)}))
    write_atomically(path.with_suffix(".json"), (json.dumps(state, indent=2) + "\n").encode())


def load_checkpoint(path: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """(arrays, state) as they were given to save_checkpoint. CheckpointError if the file is not one, or not whole."""
    path = Path(path)
    arrays, metadata = read_safetensors(path)
    if "minigrad" not in metadata:
        raise CheckpointError(f"{path} holds weights alone, not a run that could go on: use it with --evaluate")
    return arrays, json.loads(metadata["minigrad"])


def read_state(path: str | Path) -> dict[str, Any] | None:
    """The state of a checkpoint; None for a file that holds weights alone. CheckpointError for one that holds neither."""
    path = Path(path)
    if holds_torch(path):
        read_torch(path)
        return None
    _, metadata = read_safetensors(path)
    return json.loads(metadata["minigrad"]) if "minigrad" in metadata else None


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


def load_checked(path: str | Path, expected: Mapping[str, tuple[int, ...]], head: str = "") -> Arrays:
    """The weights in a file for the model whose keys and shapes are `expected`. CheckpointError: see check_weights."""
    weights = load_weights(path, expected)
    check_weights(weights, expected, path, head)
    return weights


def check_weights(
    found: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]], path: str | Path, head: str = ""
) -> None:
    """CheckpointError, with the keys and shapes that differ, unless `found` has just the keys and shapes `expected`.

    Where all that differs is the number of classes, in the last layer `head`, or of channels, that is what it says.
    The counts of batch norms (num_batches_tracked) may be missing: files from before torch had them are none the worse.
    """
    _check_same_images(found, expected, path, head)
    complaints = []
    if missing := [key for key in expected if key not in found and not key.endswith("num_batches_tracked")]:
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
    if strange := [key for key in found if found[key].dtype.kind not in "fiub"]:
        raise CheckpointError(f"{path} holds no real numbers in {_some(strange)}")


def _check_same_images(
    found: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]], path: str | Path, head: str
) -> None:
    """CheckpointError if the weights are this model's, but for images of other classes or another number of channels."""
    if any(key not in expected for key in found):
        return
    differ = [key for key in expected if key in found and found[key].shape != tuple(expected[key])]
    if not differ:
        return
    reasons = []
    ours = [key for key in differ if head and key.startswith(f"{head}.")]
    if ours and all(found[key].shape[1:] == tuple(expected[key])[1:] for key in ours):
        reasons.append(f"is for {len(found[ours[0]])} classes, and the data has {expected[ours[0]][0]}")
        differ = [key for key in differ if key not in ours]
    if len(differ) == 1 and found[differ[0]].ndim == len(expected[differ[0]]) == 4:
        there, here = found[differ[0]].shape, tuple(expected[differ[0]])
        if (there[0], *there[2:]) == (here[0], *here[2:]):
            reasons.append(f"takes images of {there[1]} channels ({differ[0]} is {there}), and these have {here[1]}")
            differ = []
    if reasons and not differ:
        raise CheckpointError(f"{path} {', and '.join(reasons)}: choose other data, or other weights")


def check_finite(weights: Mapping[str, np.ndarray], path: str | Path) -> None:
    """CheckpointError, with the keys, if numbers are NaN or infinite, or would be in float32: nothing can be learnt from them."""
    with np.errstate(over="ignore"):
        broken = [key for key in weights if not np.isfinite(weights[key].astype(np.float32, copy=False)).all()]
    if broken:
        raise CheckpointError(f"{path} is of no use: NaN or infinite numbers are in {_some(broken)}")


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


def _some(items: list[str], most: int = 3) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
