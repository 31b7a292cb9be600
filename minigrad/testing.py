"""Anybody's network, written for PyTorch, built in both libraries from the same weights and compared: against_torch.

    print(minigrad.testing.against_torch("resnet.py:ResNet18", (2, 3, 32, 32)))

The file is loaded twice, once with torch and once with minigrad in torch's place (minigrad.as_torch). In float64, what the
two compute has to be equal to 1e-9 (to 1e-6 where the network itself computes in float32): keys and shapes of the state dict,
outputs, every gradient, the buffers afterwards, and the weights after a step of SGD.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import minigrad
from minigrad.as_torch.loading import AsTorch, real
from minigrad.errors import OptionError

TOLERANCE, ROUGH = 1e-9, 1e-6
SHAPES = [
    (2, 3, 32, 32), (2, 3, 64, 64), (2, 1, 28, 28), (2, 3, 224, 224), (2, 64, 7, 7), (2, 16, 8, 8), (2, 512, 7, 7), (2, 49, 64),
    (2, 49, 512), (2, 16, 32), (2, 32), (2, 16),
]  # fmt: skip
"""Shapes of inputs that are tried where none is given, until torch's network takes one."""


@dataclass
class Agreement:
    """What was compared: rows of (name, shape, |ours - torch's| / |torch's|, largest elements), and what could not be."""

    network: str
    rows: list[tuple[str, tuple[int, ...], float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tolerance: float = TOLERANCE

    @property
    def worst(self) -> tuple[str, tuple[int, ...], float]:
        """The row that is furthest apart."""
        return max(self.rows, key=lambda row: row[2] if row[2] == row[2] else np.inf)

    @property
    def agree(self) -> bool:
        """Whether all was compared, and is equal to the tolerance."""
        return not self.problems and bool(self.rows) and all(row[2] <= self.tolerance for row in self.rows)

    def __str__(self) -> str:
        width = max([len(name) for name, _, _ in self.rows], default=0)
        lines = [f"{self.network}: minigrad against torch, float64", *self.problems]
        lines += [
            f"{name:<{width}}  {str(shape):<18} {apart:8.1e}{'' if apart <= self.tolerance else '  differs'}"
            for name, shape, apart in self.rows
        ]
        return "\n".join([*lines, "they agree" if self.agree else "they do not agree"])


def against_torch(network: Any, batch: Any = None, *, train: bool = False, **settings: Any) -> Agreement:
    """Builds a network in both libraries, gives both the same weights, and compares what they compute of one batch.

    network: "path.py:Name", or a class or function from a file; Name(**settings) makes the network. batch: an array, a
    tensor, or a shape, filled with numbers from -1 to 1; by default the first of SHAPES that torch's network takes. train:
    in training mode; then nothing in it may draw random numbers. ModuleNotFoundError without torch; OptionError for a file
    or a name that is not there, or a network that torch itself cannot build or run.
    """
    torch = real("torch")
    path, name = find_network(network)
    theirs, ours = load_both(path)
    for module in (theirs, ours):
        if not hasattr(module, name):
            raise OptionError(f"{path} has no {name}")
    result = Agreement(f"{path.name}:{name}")
    try:
        reference = getattr(theirs, name)(**settings).double().train(train)
        array, expected = first_run(reference, torch, batch)
    except Exception as error:
        raise OptionError(f"torch itself cannot build or run {result.network}: {error}") from error
    try:
        model = getattr(ours, name)(**settings).double().train(train)
        compare_built(result, model, reference, array, expected)
    except Exception as error:
        result.problems.append(f"minigrad: {type(error).__name__}: {error}")
    return result


def build(network: Any, library: str, **settings: Any) -> Any:
    """The network of "path.py:Name" in one library, "torch" or "minigrad", by Name(**settings). OptionError where it cannot be."""
    path, name = find_network(network)
    try:
        return getattr(load_as(path, library), name)(**settings)
    except Exception as error:
        raise OptionError(f"{library} cannot build {path.name}:{name}: {type(error).__name__}: {error}") from error


def find_network(network: Any) -> tuple[Path, str]:
    """(file, name) of "path.py:Name", or of a class or function from a file. OptionError where there is no such file."""
    if not isinstance(network, str):
        source = getattr(network.__init__ if inspect.isclass(network) else network, "__globals__", {}).get("__file__")
        if source is None:
            raise OptionError(f"{network!r} comes from no file")
        return Path(source), network.__qualname__
    file, colon, name = network.rpartition(":")
    if not colon or not name.isidentifier():
        raise OptionError(f"a network is named path.py:Name, not {network!r}")
    if not Path(file).is_file():
        raise OptionError(f"{file} is no file")
    return Path(file), name


def load_both(path: Path) -> tuple[ModuleType, ModuleType]:
    """A file loaded with torch, and once more with minigrad in its place."""
    ours = load_as(path, "minigrad")
    return load_as(path, "torch"), ours


def load_as(path: Path, library: str) -> ModuleType:
    """A file loaded with torch, or with minigrad in its place."""
    if library == "torch":
        return _load(path, lambda module: None)
    with AsTorch() as world:
        return _load(path, world.adopt)


def _load(path: Path, adopt: Callable[[ModuleType], None]) -> ModuleType:
    folder, name = package_of(path.resolve())
    siblings = {k: m for k, m in sys.modules.items() if k.split(".")[0] == name.split(".")[0]}
    for known in siblings:
        del sys.modules[known]
    sys.path.insert(0, str(folder))
    try:
        if "." in name:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        adopt(module)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))
        for known in [k for k in sys.modules if k.split(".")[0] == name.split(".")[0]]:
            del sys.modules[known]
        sys.modules.update(siblings)


def package_of(path: Path) -> tuple[Path, str]:
    """(folder to import from, dotted name): from the outermost folder above that is a package."""
    folder, parts = path.parent, [path.stem]
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def first_run(reference: Any, torch: Any, batch: Any) -> tuple[np.ndarray, Any]:
    """The batch, and what torch's network makes of it."""
    if batch is not None and not _is_shape(batch):
        array = np.asarray(batch.detach().cpu().numpy() if hasattr(batch, "detach") else batch, np.float64)
        return array, run(reference, torch, array)
    failed: Exception | None = None
    for shape in [tuple(batch)] if batch is not None else SHAPES:
        array = np.random.default_rng(0).uniform(-1, 1, shape)
        try:
            return array, run(reference, torch, array)
        except Exception as error:
            failed = error
            reference.zero_grad()
    assert failed is not None
    raise failed


def _is_shape(batch: Any) -> bool:
    return isinstance(batch, Sequence) and all(isinstance(n, int) for n in batch)


Arrays = dict[str, np.ndarray]


def run(model: Any, library: Any, array: np.ndarray) -> Arrays:
    """One step of a network on a batch: outputs, gradients under a fixed cotangent, buffers, the weights after SGD."""
    x = library.tensor(array, requires_grad=True)
    outputs = [y for y in _flat(model(x)) if isinstance(y, library.Tensor) and y.requires_grad]
    if not outputs:
        raise TypeError("no output of the network has a gradient")
    random = np.random.default_rng(1)
    sum((y * library.tensor(random.uniform(-1, 1, tuple(y.shape)))).sum() for y in outputs).backward()  # type: ignore[union-attr]
    found = {f"output {i}": y for i, y in enumerate(outputs)} | {"gradient of the input": x.grad}
    found |= {f"gradient of {n}": p.grad for n, p in model.named_parameters() if p.grad is not None}
    arrays = {name: y.detach().numpy().copy() for name, y in found.items()}
    arrays |= {f"buffer {n}": b.detach().numpy().copy() for n, b in model.named_buffers() if b is not None}
    before = {n: p.detach().numpy().copy() for n, p in model.named_parameters()}
    library.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-3).step()
    arrays |= {f"{n} after a step": p.detach().numpy().copy() for n, p in model.named_parameters()}
    with library.no_grad():
        for n, p in model.named_parameters():
            p.copy_(library.tensor(before[n]))
    return arrays


def _copy_constants(model: Any, reference: Any, start: Arrays) -> None:
    """Buffers that no state dict holds were computed by both, mostly in float32: equal to ROUGH they are made the same."""
    theirs = dict(reference.named_buffers())
    for name, buffer in model.named_buffers():
        if name in theirs and name not in start and buffer.shape == tuple(theirs[name].shape):
            value = theirs[name].detach().numpy()
            if np.allclose(buffer.numpy(), value, rtol=0, atol=ROUGH):
                buffer.copy_(minigrad.tensor(value))


def tolerance_of(reference: Any, torch: Any, array: np.ndarray) -> float:
    """TOLERANCE, or ROUGH of a network in which torch meets float32, though its weights and its input are of float64."""
    mode: Any = importlib.import_module("torch.utils._python_dispatch").TorchDispatchMode
    seen: list[bool] = []

    class Watch(mode):  # type: ignore[misc]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            seen.extend(getattr(x, "dtype", None) == torch.float32 for x in _flat([args, made]))
            return made

    with Watch(), torch.no_grad():
        reference(torch.tensor(array))
    return ROUGH if any(seen) else TOLERANCE


def _flat(value: Any) -> list[Any]:
    """The leaves of nested tuples, lists and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    return [y for v in value for y in _flat(v)] if isinstance(value, (tuple, list)) else [value]


def compare_built(result: Agreement, model: Any, reference: Any, array: np.ndarray, expected: Arrays) -> None:
    """Adds to `result` how far apart two networks are, which are given torch's weights; `expected`: torch's run of the array."""
    mine, other = model.state_dict(), reference.state_dict()
    if list(mine) != list(other):
        result.problems.append(f"the keys of the state dicts differ: {sorted(set(mine) ^ set(other))[:5]}")
        return
    shapes = {k: (tuple(mine[k].shape), tuple(other[k].shape)) for k in mine}
    if apart := {k: pair for k, pair in shapes.items() if pair[0] != pair[1]}:
        result.problems.append(f"shapes differ: {apart}")
        return
    start = {k: v.detach().numpy().copy() for k, v in other.items()}
    if any(name.startswith("buffer") for name in expected):  # torch's have moved in its run: both begin anew
        for key, value in start.items():
            other[key] = real("torch").tensor(value)
        reference.load_state_dict(other)
        reference.zero_grad()
        expected = run(reference, real("torch"), array)
    for key, value in start.items():
        mine[key] = minigrad.tensor(value)
    model.load_state_dict(mine)
    _copy_constants(model, reference, start)
    found = run(model, minigrad, array)
    if set(found) != set(expected):
        result.problems.append(f"only one of both has {sorted(set(found) ^ set(expected))[:5]}")
    for name in [name for name in expected if name in found]:
        a, b = found[name], expected[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            result.problems.append(f"{name}: {a.dtype} {a.shape}, in torch {b.dtype} {b.shape}")
            continue
        result.rows.append((name, a.shape, _apart(a, b)))
    if result.rows and not result.worst[2] <= TOLERANCE:
        result.tolerance = tolerance_of(reference, real("torch"), array)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """max |a - b| / max |b|; NaN or an infinity at the same place in both is no difference, in one alone it is."""
    other = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    off = np.abs(a[other].astype(np.float64) - b[other]).max(initial=0)
    return float(off) / max(float(np.abs(b[np.isfinite(b)]).max(initial=0)), 1e-3)
