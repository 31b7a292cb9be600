"""save and load: tensors, and plain Python around them, in torch's own files, without torch.

A file is a zip: data.pkl, a pickle in which each tensor is torch._utils._rebuild_tensor_v2 of a storage's number, and data/NUMBER,
the storages' bytes. `torch.load(file, weights_only=True)` reads what `save` writes, and `load` what `torch.save` does. Reading
executes nothing: of the names that a pickle may ask for, only those in `_Unpickler.KNOWN` are answered.
"""

from __future__ import annotations

import codecs
import collections
import io
import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.device import CPU, Device, get_device, is_gpu_available, to_device
from minigrad.dtypes import NOT_BUILT
from minigrad.errors import CheckpointError, DeviceError
from minigrad.files import write_atomically
from minigrad.nn.parameter import Parameter
from minigrad.size import Size
from minigrad.tensor import Tensor
from minigrad.weights import _import_torch

STORAGES = {
    "float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage",
    "int32": "IntStorage", "int16": "ShortStorage", "int8": "CharStorage", "uint8": "ByteStorage", "bool": "BoolStorage",
}  # fmt: skip
"""torch's storages of each type."""
TYPES = {storage: np.dtype(name) for name, storage in STORAGES.items()}
PLAIN = (bool, int, float, complex, str, bytes, type(None), list, tuple, dict, set)
ARCHIVE = "archive"


def save(obj: Any, f: Any, *, pickle_protocol: int = 2) -> None:
    """Writes tensors, and numbers, strings, lists, tuples, dicts and sets of such, to a file that torch.load reads.

    A Module's or an Optimizer's state_dict() is one of these. Tensors of the very same memory stay so; of a view, what it shows
    is written. Dtypes, layout, device and requires_grad are kept, graphs are not.

    Args:
        obj: what to write.
        f: a path (the file is there whole or not at all), or a file object open for writing bytes.

    Raises:
        TypeError: obj holds something else: a Module, an array, an object of a class of one's own.
    """
    pickled = io.BytesIO()
    pickler = _Pickler(pickled, pickle_protocol)
    pickler.dump(obj)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{ARCHIVE}/data.pkl", pickled.getvalue())
        archive.writestr(f"{ARCHIVE}/byteorder", sys.byteorder)
        for key, array in enumerate(pickler.storages):
            archive.writestr(f"{ARCHIVE}/data/{key}", array.tobytes())
        archive.writestr(f"{ARCHIVE}/version", "3\n")
    if isinstance(f, (str, os.PathLike)):
        write_atomically(Path(f), written.getvalue())
    elif hasattr(f, "write"):
        f.write(written.getvalue())
    else:
        raise TypeError(f"save() writes to a path or a file object, not {type(f).__name__}")


def load(f: Any, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """What `save` or torch.save wrote. bfloat16, which NumPy lacks, becomes float32.

    Args:
        f: a path, or a file object open for reading bytes.
        map_location: where tensors go: a device, {from: to}, or a function of (a storage as a Tensor, its location) that
            returns it moved, or None. None: where they were.
        weights_only: torch's argument; nothing else is ever read.

    Raises:
        CheckpointError: the file is missing, damaged, no such file, or would have to execute code; or its tensors were on
            a device that is not here, and map_location does not send them elsewhere. One line, with the file's name.
        DeviceError: map_location is not here.
    """
    if not isinstance(f, (str, os.PathLike)) and not hasattr(f, "read"):
        raise TypeError(f"load() reads from a path or a file object, not {type(f).__name__}")
    name = str(f) if isinstance(f, (str, os.PathLike)) else str(getattr(f, "name", "the file"))
    try:
        data = Path(f).read_bytes() if isinstance(f, (str, os.PathLike)) else f.read()
    except OSError as error:
        raise CheckpointError(f"{name} cannot be read ({error.strerror or error})") from error
    try:
        if data[:4] == b"PK\x03\x04":
            return _from_zip(data, map_location)
        return _from_torch(data, Path(name), map_location)
    except DeviceError:  # of map_location
        raise
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error
    except Exception as error:  # a damaged file shows in many ways
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise CheckpointError(
            f"{name} is no file of torch.save's or minigrad.save's, or is not whole ({reason})"
        ) from error


# ---- writing -------------------------------------------------------------------------------------------------------


class _Name:
    """A name of torch's, which is not imported for it."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:  # pickle asks that what it is to call can be called
        raise AssertionError("names are written only")


class _Storage:
    """A storage of the archive: the numbers of one tensor, in the order in which they lie."""

    def __init__(self, key: int, kind: _Name, location: str, count: int) -> None:
        self.id = "storage", kind, str(key), location, count


_NAMES = {
    name: _Name(*name.rsplit(".", 1))
    for name in [
        "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "torch.Size", "torch.device",
        *(f"torch.{name}" for name in (*STORAGES, *STORAGES.values())),
    ]
}  # fmt: skip


_InPython: Any = pickle._Pickler  # which, unlike the one in C, can be made to write a name that is not there


class _Pickler(_InPython):
    """Writes what `save` is given, and notes the storages that it needs."""

    dispatch = dict(_InPython.dispatch)

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.storages: list[np.ndarray] = []
        self.known: dict[Any, tuple[_Storage, tuple[int, ...], Any]] = {}

    def save_name(self, name: _Name) -> None:
        """A name, as pickle writes a function's."""
        self.write(pickle.GLOBAL + f"{name.module}\n{name.name}\n".encode())
        self.memoize(name)

    dispatch[_Name] = save_name

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """As pickle; a type is torch's type of that name."""
        is_type = isinstance(obj, np.dtype) and obj.name in STORAGES
        super().save(_NAMES[f"torch.{obj.name}"] if is_type else obj, save_persistent_id)

    def persistent_id(self, obj: Any) -> Any:
        """How a storage is pointed to."""
        return obj.id if isinstance(obj, _Storage) else None

    def reducer_override(self, obj: Any) -> Any:
        """What calls rebuild an object; pickle's own way for plain Python; TypeError for all else."""
        kind = type(obj)
        if kind in PLAIN or kind is _Name:
            return NotImplemented
        if kind is collections.OrderedDict:
            return collections.OrderedDict, (), vars(obj) or None, None, iter(obj.items())
        if any(obj is call for call in (collections.OrderedDict, collections.Counter, set, complex, codecs.encode)):
            return NotImplemented
        if kind is collections.Counter:
            return kind, (dict(obj),)
        if isinstance(obj, Tensor):
            return self._tensor(obj)
        if isinstance(obj, Size):
            return _NAMES["torch.Size"], (tuple(obj),)
        if isinstance(obj, Device):
            return _NAMES["torch.device"], ("cpu",) if obj.type == "cpu" else ("cuda", obj.index)
        if isinstance(obj, np.generic):
            raise TypeError(f"save() takes Python's numbers: {obj!r}.item() is one")
        hint = "its state_dict() is" if hasattr(obj, "state_dict") else "minigrad.from_numpy makes a tensor of an array"
        raise TypeError(f"save() takes tensors, plain Python and containers of them, not {kind.__name__}: {hint}")

    def _tensor(self, tensor: Tensor) -> Any:
        if tensor.dtype.name not in STORAGES:
            raise TypeError(f"torch has no storage for {tensor.dtype}")
        parameter = isinstance(tensor, Parameter)
        if parameter:
            inner = Tensor._wrap(tensor.array)
            return _NAMES["torch._utils._rebuild_parameter"], (
                inner, tensor.requires_grad, collections.OrderedDict(),
            )  # fmt: skip
        storage, strides, _ = self._storage(tensor)
        return _NAMES["torch._utils._rebuild_tensor_v2"], (
            storage, 0, tuple(tensor.shape), strides, tensor.requires_grad, collections.OrderedDict(),
        )  # fmt: skip

    def _storage(self, tensor: Tensor) -> tuple[_Storage, tuple[int, ...], Any]:
        """The storage of a tensor's numbers, its strides there, and the array, held so that its address stays its own."""
        array = tensor.array
        place = tensor.data_ptr(), array.shape, array.strides, array.dtype
        if place not in self.known or not array.size:
            host = to_device(array, CPU)
            order = sorted(range(host.ndim), key=lambda d: -host.strides[d])
            laid = host.transpose(order)
            if not laid.flags.c_contiguous:
                laid = host = np.ascontiguousarray(host)
            key, location = len(self.storages), str(tensor.device).replace("gpu", "cuda")
            self.storages.append(laid)
            storage = _Storage(key, _NAMES[f"torch.{STORAGES[array.dtype.name]}"], location, int(array.size))
            self.known[place] = storage, tuple([s // host.itemsize for s in host.strides]), array
        return self.known[place]


# ---- reading -------------------------------------------------------------------------------------------------------


def _from_zip(data: bytes, map_location: Any) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise CheckpointError("it is a zip, but not torch's: there is no data.pkl in it")
        return _Unpickler(archive, names[0].removesuffix("data.pkl"), map_location).load()


class _Call:
    """What a name in a pickle stands for: it can be called, and nothing in it can be changed."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise CheckpointError(f"it would change {self._function}")


def _encoded(text: str, encoding: str) -> bytes:
    """How pickles of protocol 2 write bytes."""
    if encoding != "latin1":
        raise CheckpointError(f"it has bytes as {encoding}")
    return text.encode("latin1")


def _rebuilt_parameter(data: Tensor, requires_grad: bool, *_: Any) -> Parameter:
    return Parameter(data.detach(), bool(requires_grad))


class _Unpickler(pickle.Unpickler):
    """Reads a data.pkl: plain Python, and the calls that rebuild tensors."""

    KNOWN: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): _Call(collections.OrderedDict),
        ("collections", "Counter"): _Call(collections.Counter),
        ("builtins", "set"): _Call(set),
        ("builtins", "complex"): _Call(complex),
        ("_codecs", "encode"): _Call(_encoded),
        ("torch", "Size"): _Call(Size),
        ("torch", "device"): _Call(Device),
        ("torch._utils", "_rebuild_parameter"): _Call(_rebuilt_parameter),
        ("torch._utils", "_rebuild_parameter_with_state"): _Call(_rebuilt_parameter),
    }
    KNOWN |= {("torch", name): np.dtype(name) for name in STORAGES}
    KNOWN |= {("torch", storage): storage for storage in [*TYPES, "BFloat16Storage"]}

    def __init__(self, archive: zipfile.ZipFile, root: str, map_location: Any) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")), encoding="utf-8")
        self.archive, self.root, self.map_location = archive, root, map_location
        order = archive.read(f"{root}byteorder") if f"{root}byteorder" in archive.namelist() else b"little"
        self.order: Any = ">" if order.strip() == b"big" else "<"
        self.storages: dict[str, tuple[np.ndarray, Device]] = {}
        self.rebuild = _Call(self._tensor)

    def find_class(self, module: str, name: str) -> Any:
        """What the name stands for. CheckpointError for one that is not known."""
        module = {"__builtin__": "builtins"}.get(module, module)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.rebuild
        if (module, name) in self.KNOWN:
            return self.KNOWN[module, name]
        if module == "torch._utils" and name.startswith("_rebuild") or module == "torch" and name.endswith("Storage"):
            raise CheckpointError(f"it holds what is no plain tensor of minigrad's types: {name}")
        if module != "torch" or name not in NOT_BUILT:
            raise CheckpointError(f"it is refused, for loading it could execute code: it asks for {module}.{name}")
        raise CheckpointError(f"it holds a type that is not built: {name}")

    def persistent_load(self, pid: Any) -> tuple[np.ndarray, Device]:
        """The storage that a tensor points to."""
        kind, storage, key, location, count = pid
        if kind != "storage" or not isinstance(storage, str):
            raise CheckpointError(f"it has no plain storage but {kind} {storage}")
        if key not in self.storages:
            data = self.archive.read(f"{self.root}data/{key}")
            if storage == "BFloat16Storage":  # the upper half of a float32
                upper = np.frombuffer(data, f"{self.order}u2").astype(np.uint32)
                array = (upper << 16).view(np.float32)
            else:
                dtype = TYPES[storage]
                array = np.frombuffer(bytearray(data), dtype.newbyteorder(self.order)).astype(dtype, copy=False)
            if len(array) < count:
                raise CheckpointError(f"storage {key} has {len(array)} elements, {count} are wanted")
            self.storages[key] = array, _where(self.map_location, location, array)
        return self.storages[key]

    def _tensor(self, storage: Any, offset: int, size: Any, stride: Any, requires_grad: bool, *_: Any) -> Tensor:
        array, device = storage
        size, stride = Size(size), Size(stride)
        last = offset + sum([(n - 1) * s for n, s in zip(size, stride, strict=True)])
        if min([offset, *size, *stride]) < 0 or (size.numel() and last >= len(array)):
            raise CheckpointError(f"a tensor of size {list(size)} and stride {list(stride)} reaches past its storage")
        strides = tuple([s * array.itemsize for s in stride])
        tensor = Tensor._wrap(
            to_device(np.lib.stride_tricks.as_strided(array[offset:], size, strides), device)
            if size.numel()
            else to_device(np.empty(size, array.dtype), device)
        )
        return tensor.requires_grad_() if requires_grad else tensor


def _where(map_location: Any, location: str, array: np.ndarray) -> Device:
    """The device that a storage goes to."""
    if isinstance(map_location, Mapping):
        map_location = map_location.get(location)
    elif callable(map_location):
        moved = map_location(Tensor._wrap(array), location)
        map_location = moved.device if isinstance(moved, Tensor) else moved
    if map_location is not None:
        return get_device(map_location)
    if location != "cpu" and not (location.startswith("cuda") and is_gpu_available()):
        raise CheckpointError(f"its tensors were on {location}, which is not here: use map_location='cpu'")
    return get_device(location)


def _from_torch(data: bytes, path: Path, map_location: Any) -> Any:
    """What torch's own reader finds in a file of before torch 1.6, which is no zip."""
    if data[:1] != b"\x80":
        raise CheckpointError("it is no file of torch.save's or minigrad.save's")
    torch = _import_torch(path)
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError("it is refused, for it is damaged, or loading it could execute code") from error
    written = io.BytesIO()
    torch.save(found, written)
    return _from_zip(written.getvalue(), map_location)
