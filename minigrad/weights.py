"""Files of weights, and weights that travel between minigrad and torch, bit for bit.

    .pth, .pth.tar, .pt     torch's own files: read by torch.load(weights_only=True), which executes nothing
    .safetensors            a list of names, types and shapes, then the numbers; neither reading nor writing takes torch

The suffix decides what is written. What is read is looked at: its first bytes say which kind it is, whatever its name.
State_dict keys are torch's on both sides, so nothing is renamed. `python -m minigrad.convert` turns one kind into the other.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import warnings
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.errors import CheckpointError, OptionError
from minigrad.files import write_atomically as write_atomically
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    import torch

Arrays = dict[str, np.ndarray]

TORCH_SUFFIXES = (".pth", ".pth.tar", ".pt")
# Where a file of torch's keeps its state_dict, if it holds more than one; and what stands beside it with tensors of its own.
STATE_DICT_NAMES = ("state_dict", "model_state_dict", "model")
NO_MODELS = ("optim", "lr_", "sched", "scaler")
# What wraps a module, and shows in its keys: torch.compile, FSDP and checkpoints within; DataParallel in front.
WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
IN_FRONT = "module"
# The types that a safetensors file can hold, under torch's names.
SAFETENSORS_TYPES = set(
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float8_e4m3fn float8_e5m2 float16 bfloat16 float32 float64 "
    "complex64".split()
)


def is_torch_file(path: str | Path) -> bool:
    """Whether the name of a file says that it is one of torch's."""
    return Path(path).name.endswith(TORCH_SUFFIXES)


def holds_torch(path: str | Path) -> bool:
    """Whether a file is one of torch's by what is in it: a zip archive, or before torch 1.6 a pickle. Else it may be
    safetensors. CheckpointError if it cannot be read, or is neither: the message says what it is."""
    path = Path(path)
    if path.is_dir() or not path.exists():
        raise CheckpointError(f"there is no checkpoint file {path}")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from error
    if head[4:9] == b"\0\0\0\0{":  # the length of a list, and the list: whatever the length's first bytes say
        return False
    if head.startswith((b"PK\3\4", b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")):
        return True
    if head[8:9] != b"{":  # after the length of a safetensors file's list
        raise _no_checkpoint(path, _in_words(head))
    return False


def _in_words(head: bytes) -> str:
    """What a file is that begins with those bytes."""
    known = {
        b"version https://git-lfs": "it is a pointer of Git LFS: git lfs pull brings the file itself",
        b"\x89HDF": "it is an HDF5 file",
        b"\x93NUMPY": "it is an array of NumPy",
        b"GGUF": "it is a GGUF file",
        b"\x1f\x8b": "it is compressed by gzip: unpack it",
        b"\x89PNG": "it is an image",
        b"\xff\xd8": "it is an image",
        b"<": "it is a page of the web, or XML",
    }
    if head[257:262] == b"ustar":
        return "it is a tar archive: unpack it"
    if not head:
        return "it is empty"
    found = next((words for start, words in known.items() if head.lstrip().startswith(start)), None)
    return found or f"it begins with {head[:12]!r}"


def _no_checkpoint(path: Path, reason: str) -> CheckpointError:
    """The error of a file that is of neither kind; the kind that its name promised stands first."""
    kinds = ["safetensors", "torch"]
    promised, other = reversed(kinds) if is_torch_file(path) else kinds
    return CheckpointError(f"{path} is not a {promised} checkpoint, nor a {other} one, or is not whole ({reason})")


def check_suffix(path: str | Path) -> Path:
    """The path of a file of weights. OptionError if its suffix is none of theirs."""
    path = Path(path)
    if not is_torch_file(path) and path.suffix != ".safetensors":
        raise OptionError(f"{path}: a file of weights ends in .safetensors, {', '.join(TORCH_SUFFIXES)}")
    return path


# ---- between models ----------------------------------------------------------------------------------------------


def load_torch_state_dict(
    model: Any, state_dict_or_path: Mapping[str, torch.Tensor] | str | Path, strict: bool = True
) -> Any:
    """Copy torch's weights into a module of minigrad's; its own dtypes and device stay.

    Args:
        model: a `minigrad.nn.Module`.
        state_dict_or_path: {key: torch tensor}, on any device; or a file, as `load_weights` reads it.
        strict: whether keys that are missing or too many are an error.

    Returns:
        (missing_keys, unexpected_keys), as torch's load_state_dict does.

    Raises:
        RuntimeError: with every missing and unexpected key, and every shape that differs beside the model's; the
            model is then as it was.
        CheckpointError: the file is missing or damaged, or would execute code.
    """
    if isinstance(state_dict_or_path, (str, os.PathLike)):
        return model.load_state_dict(load_weights(state_dict_or_path, model.state_dict()), strict)
    if not isinstance(state_dict_or_path, Mapping):
        raise TypeError(f"a state_dict or the path of a file is wanted, not a {type(state_dict_or_path).__name__}")
    state: Any = OrderedDict(to_arrays(state_dict_or_path))
    if hasattr(state_dict_or_path, "_metadata"):  # the layout versions of the modules
        state._metadata = state_dict_or_path._metadata
    return model.load_state_dict(state, strict)


def to_torch_state_dict(model: Any) -> OrderedDict[str, torch.Tensor]:
    """The state_dict of a module of minigrad's for torch's load_state_dict: copies, on the CPU, each of its own dtype."""
    state = model.state_dict()
    tensors: Any = to_tensors(state)
    tensors._metadata = state._metadata
    return tensors


def to_arrays(tensors: Mapping[str, Any]) -> Arrays:
    """{key: array} of torch tensors, each with its own dtype; what is no torch tensor stays as it is.

    bfloat16 and the 8-bit floats, which NumPy lacks, become float32, which holds them exactly. CheckpointError for a
    tensor that is no plain array: sparse or quantised.
    """
    import torch

    arrays = {}
    for key, value in tensors.items():
        if isinstance(value, torch.Tensor):
            _check_plain(key, value)
            if value.is_floating_point() and value.dtype not in (torch.float16, torch.float32, torch.float64):
                value = value.float()
            value = value.numpy(force=True)
        arrays[key] = value
    return arrays


def to_tensors(values: Mapping[str, Any]) -> OrderedDict[str, torch.Tensor]:
    """{key: torch tensor} of tensors of minigrad's or torch's, or arrays: contiguous copies, on the CPU, dtypes kept.

    CheckpointError for a tensor that is no plain array: sparse or quantised.
    """
    import torch

    tensors: OrderedDict[str, torch.Tensor] = OrderedDict()
    for key, value in values.items():
        if isinstance(value, torch.Tensor):
            _check_plain(key, value)
            tensors[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        else:
            array = value.numpy(force=True) if isinstance(value, Tensor) else value
            tensors[key] = torch.from_numpy(np.array(array, order="C"))
    return tensors


def _check_plain(key: str, tensor: torch.Tensor) -> None:
    if tensor.is_quantized or str(tensor.layout) != "torch.strided":
        raise CheckpointError(f"{key} is no plain tensor but {tensor.layout}, {tensor.dtype}")


# ---- files -------------------------------------------------------------------------------------------------------


def load_weights(path: str | Path, expected: Container[str] | None = None) -> Arrays:
    """A model's weights {key: array} from a torch file, a plain safetensors state_dict or a checkpoint of a run.

    Of {"state_dict": ...}, {"model_state_dict": ...} or {"model": ...} the inner part is taken, of a checkpoint the
    model's. bfloat16 becomes float32. What wrappers add to keys is dropped, and said: "_orig_mod." (torch.compile), a
    leading "module." (DataParallel); and, where the keys of the model are `expected`, any prefix without which the file's
    are among them: "model.", "net.".

    CheckpointError if the file is missing, damaged, no such file, or would have to execute code.
    """
    path = Path(path)
    if holds_torch(path):
        return _unwrapped(to_arrays(read_torch(path)), expected, path)
    arrays, metadata = read_safetensors(path)
    return part(arrays, "model.") if "minigrad" in metadata else _unwrapped(arrays, expected, path)


def _unwrapped(values: Mapping[str, Any], expected: Container[str] | None, path: Path) -> dict[str, Any]:
    """The values under the model's own keys; prints what was dropped from the file's."""
    keys = list(values)
    names = _own_keys(keys, expected)
    if names != keys:
        prefix = keys[0].removesuffix(names[0])
        leading = all(key == prefix + name for key, name in zip(keys, names, strict=True))
        what = f"the leading {prefix!r}" if leading else f"what wraps its modules ({keys[0]!r} is {names[0]!r})"
        print(f"{path}: dropped {what} of its keys")
    return dict(zip(names, values.values(), strict=True))


def _own_keys(keys: list[str], expected: Container[str] | None) -> list[str]:
    """A file's keys as the module has them that was wrapped."""
    plain = [".".join(word for word in key.split(".") if word not in WRAPPERS) for key in keys]
    if "" in plain or len(set(plain)) < len(plain):
        plain = keys
    if expected is not None:
        choices = [keys, plain]
        while len({name.partition(".")[0] for name in choices[-1]}) == 1 and all("." in name for name in choices[-1]):
            choices.append([name.partition(".")[2] for name in choices[-1]])
        best = max(choices, key=lambda names: sum(name in expected for name in names))
        if any(name in expected for name in best):
            return best
    while plain and all(name.startswith(f"{IN_FRONT}.") for name in plain):
        plain = [name.removeprefix(f"{IN_FRONT}.") for name in plain]
    return plain


def save_weights(path: str | Path, state_dict: Mapping[str, Any]) -> None:
    """Write {key: tensor of minigrad's or torch's, or array} to a file, of the kind that its suffix says.

    The file is there whole or not at all. OptionError for an unknown suffix; CheckpointError for a dtype that the
    file cannot hold.
    """
    path = check_suffix(path)
    if is_torch_file(path):
        torch = _import_torch(path)
        buffer = io.BytesIO()
        torch.save(to_tensors(state_dict), buffer)
        write_atomically(path, buffer.getvalue())
    else:
        write_atomically(path, _safetensors_bytes(state_dict))


def _safetensors_bytes(state_dict: Mapping[str, Any]) -> bytes:
    for key, value in state_dict.items():
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype not in SAFETENSORS_TYPES:
            raise CheckpointError(f"{key} is {dtype}, which a .safetensors file cannot hold")
    if all(isinstance(value, (Tensor, np.ndarray)) for value in state_dict.values()):
        from safetensors.numpy import save

        arrays = {
            key: np.asarray(value.numpy(force=True) if isinstance(value, Tensor) else value, order="C")
            for key, value in state_dict.items()
        }
        return save(arrays, metadata={"format": "np"})
    from safetensors.torch import save as save_tensors

    return save_tensors(to_tensors(state_dict), metadata={"format": "pt"})


@contextmanager
def _opened(path: Path, framework: str) -> Iterator[Any]:
    """A safetensors file, opened. CheckpointError if it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    if holds_torch(path):
        raise _no_checkpoint(path, "it is a file of torch's, or a pickle")
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except CheckpointError:
        raise
    except (SafetensorError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise _no_checkpoint(path, str(error)) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error


def read_safetensors(path: str | Path) -> tuple[Arrays, dict[str, str]]:
    """(arrays, metadata) of a safetensors file; bfloat16 becomes float32. Torch is not needed.

    CheckpointError unless the file is one, and whole; a run's checkpoint is checked against its checksum too.
    """
    from safetensors import deserialize

    path = Path(path)
    with _opened(path, "numpy") as file:
        types = {name: file.get_slice(name).get_dtype() for name in file.keys()}
        if small := [name for name, kind in types.items() if kind.startswith("F8_")]:
            raise CheckpointError(f"{path}: {small[0]} is {types[small[0]]}, a type that NumPy has not")
        arrays = {name: file.get_tensor(name) for name, kind in types.items() if kind != "BF16"}
        metadata = file.metadata() or {}
        if "BF16" in types.values():
            for name, entry in deserialize(path.read_bytes()):
                if entry["dtype"] == "BF16":  # the upper half of a float32
                    upper = np.frombuffer(entry["data"], np.uint16).astype(np.uint32)
                    arrays[name] = (upper << 16).view(np.float32).reshape(entry["shape"])
    if "minigrad" in metadata and metadata.get("crc32") != checksum(arrays, metadata["minigrad"]):
        raise CheckpointError(f"{path} is damaged: its contents do not match their checksum")
    return arrays, metadata


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """A model's weights {key: torch tensor} from any of the files that `load_weights` reads, each with its own dtype."""
    path = Path(path)
    if holds_torch(path):
        return _unwrapped(read_torch(path), None, path)
    _import_torch(path)
    with _opened(path, "pt") as file:
        if "minigrad" not in (file.metadata() or {}):
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return _unwrapped(tensors, None, path)
    return to_tensors(load_weights(path))


def read_torch(path: str | Path) -> dict[str, torch.Tensor]:
    """The state_dict {key: tensor} in a torch file, on the CPU. Nothing in it is executed. Where it is a part of what the
    file holds, under a name that is not one of STATE_DICT_NAMES, that name is printed.

    CheckpointError if torch is not installed; if the file is missing or damaged; if it holds anything but plain data, so
    that reading it could execute code; or if there is no state_dict in it.
    """
    path = Path(path)
    torch = _import_torch(path)
    if not holds_torch(path):
        raise _no_checkpoint(path, "it is a safetensors file")
    try:
        _check_zip(path)
        with warnings.catch_warnings(), open(path, "rb") as file:  # without its name, by which torch would judge it
            warnings.simplefilter("ignore")  # of the pickle's age and the like: errors say what matters
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\w[\w.]*)", str(error))
        asks = f"it asks for {wanted[1]}" if wanted else "it has instructions that torch does not know as safe"
        renamed = "" if is_torch_file(path) else "is not a safetensors checkpoint but a pickle, as torch's are, and "
        raise CheckpointError(
            f"{path} {renamed}is refused: it is not plain weights, and loading it could execute code ({asks})"
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # a broken file shows in many ways
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise _no_checkpoint(path, reason) from error
    return {key: value.detach() for key, value in _state_dict(content, path).items()}


def _state_dict(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """The one state_dict in what a torch file holds. CheckpointError, which says what that is, if there is none or several."""
    if _is_state_dict(content) and content:
        return content
    found = _state_dicts(content)
    known = [name for wanted in STATE_DICT_NAMES for name in found if name.rpartition(".")[2] == wanted]
    if not found:
        wanted = "{key: tensor}, or {'state_dict': ...}, is wanted"
        raise CheckpointError(f"{path} holds no state_dict, but {_described(content)}: {wanted}")
    if len(found) > 1 and not known:
        raise CheckpointError(f"{path} holds several state_dicts: {', '.join(found)}; save the one that is meant alone")
    name = (known or list(found))[0]
    if not known:
        print(f"{path}: the state_dict is its part {name!r}")
    return found[name]


def _state_dicts(content: Any, depth: int = 3) -> dict[str, dict[str, torch.Tensor]]:
    """All the state_dicts within a dictionary, by the names that lead there; what belongs to an optimizer is passed by."""
    found = {}
    for name, value in content.items() if isinstance(content, dict) else ():
        if isinstance(name, str) and isinstance(value, dict) and not name.startswith(NO_MODELS):
            if value and _is_state_dict(value):
                found[name] = value
            elif depth:
                found |= {f"{name}.{inner}": state for inner, state in _state_dicts(value, depth - 1).items()}
    return found


def _described(content: Any) -> str:
    """What a file holds, in words."""
    import torch

    if isinstance(content, torch.Tensor):
        return f"a tensor alone, {str(content.dtype).removeprefix('torch.')} {tuple(content.shape)}"
    kind = type(content).__name__
    if not isinstance(content, (dict, list, tuple)):
        return f"a {kind}"
    if not content:
        return f"an empty {kind}"
    if not isinstance(content, dict):
        return f"a {kind} of {len(content)}, the first of them {_described(content[0])}"
    some = ", ".join(f"{key} ({type(value).__name__})" for key, value in list(content.items())[:4])
    return f"a {kind} of {some}{', ...' if len(content) > 4 else ''}"


def _import_torch(path: Path) -> ModuleType:
    """torch. CheckpointError, which names the file that it is wanted for, if it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"{path} is a torch file, or to become one: that takes torch, which is not installed (pip install torch); "
            ".safetensors files are read without it"
        ) from error
    return torch


def _check_zip(path: Path) -> None:
    """CheckpointError if a part of a torch file does not match its checksum: torch.load would not notice."""
    if not zipfile.is_zipfile(path):  # a file of torch before 1.6, or none at all
        return
    with zipfile.ZipFile(path) as file:
        if damaged := file.testzip():
            raise CheckpointError(f"{path} is damaged: {damaged} in it does not match its checksum")


def _is_state_dict(content: Any) -> bool:
    import torch

    return isinstance(content, dict) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in content.items()
    )


def checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    """The CRC-32 of a text and of the names, types, shapes and values of arrays."""
    crc = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.tobytes(), crc)
    return str(crc)


def part(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The arrays whose names start with `prefix`, without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
