"""Where torch's modules are in minigrad: the table of places, and the modules that stand for them."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

PRIVATE = (
    "__main__", "builtins", "compare", "cupy", "cupyx", "matplotlib", "minigrad", "models", "numpy", "PIL", "safetensors",
    "scipy", "sys", "tensorboardX", "tests", "tools", "tqdm",
)  # fmt: skip
"""Packages that are never loaded a second time for somebody's torch code."""

HOMES: dict[str, tuple[str, ...]] = {
    "torch": ("minigrad", "minigrad.as_torch.names"),
    "torch.amp": ("minigrad.as_torch.names.amp",),
    "torch.autograd": ("minigrad.autograd",),
    "torch.backends": ("minigrad.as_torch.names.backends",),
    "torch.backends.cuda": ("minigrad.as_torch.names.backends.cuda",),
    "torch.backends.cudnn": ("minigrad.as_torch.names.backends.cudnn",),
    "torch.backends.mps": ("minigrad.as_torch.names.backends.mps",),
    "torch.cuda": ("minigrad.cuda", "minigrad.as_torch.names.cuda"),
    "torch.cuda.amp": ("minigrad.as_torch.names.amp",),
    "torch.distributed": ("minigrad.as_torch.names.distributed", "minigrad.distributed"),
    "torch.distributions": ("minigrad.as_torch.names.distributions",),
    "torch.functional": ("minigrad",),
    "torch.fx": ("minigrad.as_torch.names.fx",),
    "torch.hub": ("minigrad.as_torch.names.hub",),
    "torch.jit": ("minigrad.as_torch.names.jit",),
    "torch.linalg": ("minigrad.linalg",),
    "torch.multiprocessing": ("multiprocessing",),
    "torch.nn": ("minigrad.nn",),
    "torch.nn.functional": ("minigrad.nn.functional",),
    "torch.nn.init": ("minigrad.nn.init",),
    "torch.nn.modules": ("minigrad.nn",),
    "torch.nn.modules.utils": ("minigrad.as_torch.names.tuples",),
    "torch.nn.parallel": ("minigrad.nn.parallel",),
    "torch.nn.parameter": ("minigrad.nn",),
    "torch.nn.utils": ("minigrad.nn.utils",),
    "torch.optim": ("minigrad.optim",),
    "torch.optim.lr_scheduler": ("minigrad.optim.lr_scheduler",),
    "torch.optim.optimizer": ("minigrad.optim", "minigrad.optim.optimizer"),
    "torch.random": ("minigrad", "minigrad.random"),
    "torch.serialization": ("minigrad",),
    "torch.special": ("minigrad.special",),
    "torch.types": ("minigrad.as_torch.names.types",),
    "torch.utils": ("minigrad.utils", "minigrad.as_torch.names.utils"),
    "torch.utils._pytree": ("minigrad.as_torch.names.utils._pytree",),
    "torch.utils.checkpoint": ("minigrad.utils.checkpoint", "minigrad.as_torch.names.checkpoint"),
    "torch.utils.data": ("minigrad.utils.data",),
    "torch.utils.model_zoo": ("minigrad.as_torch.names.hub",),
    "torch.utils.tensorboard": ("tensorboardX",),
    "torchvision": ("minigrad.as_torch.vision",),
    "torchvision.datasets": ("minigrad.as_torch.vision.datasets",),
    "torchvision.transforms": ("minigrad.as_torch.vision.transforms",),
    "torchvision.transforms.functional": ("minigrad.as_torch.vision.transforms.functional",),
    "torchvision.utils": ("minigrad.as_torch.vision.utils",),
}
"""torch's module -> where its names are looked for, in order."""

DIVIDED = {
    "torch.autograd", "torch.distributions", "torch.nn.modules", "torch.nn.utils", "torch.optim", "torch.utils", "torch.utils.data",
}  # fmt: skip
"""Packages of torch's that are divided into modules otherwise than here."""


def home_of(name: str) -> tuple[str, ...] | None:
    """Where the names of one of torch's modules are: its own entry, or that of the package of DIVIDED above it.

    torch.nn.modules.conv has the names of torch.nn.modules. torch.fx has no place, and torch.optim.SGD is no module.
    """
    above, _, last = name.rpartition(".")
    if name in HOMES or above not in DIVIDED or last != last.lower():
        return HOMES.get(name)
    return *HOMES[above], *(f"{home}.{last}" for home in HOMES[above] if f"{home}.{last}" in FILES)


def exists(name: str) -> bool:
    """Whether torch's module of that name has a place in minigrad."""
    return home_of(name) is not None


FILES = {f"minigrad.nn.{name}" for name in "activation batchnorm conv loss module pooling".split()}
"""Modules of minigrad's whose base classes (_Loss, _BatchNorm ...) code for torch subclasses."""


class Place(ModuleType):
    """Stands for one of torch's modules: its names are looked up where minigrad has them, at each first use."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name}, as minigrad has it.")
        self.__path__: list[str] = []
        homes = home_of(name)
        assert homes is not None
        self.__homes = [_found(home) for home in homes]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        whole = f"{self.__name__}.{name}"
        is_place = whole in HOMES
        for home in self.__homes:
            try:
                value = getattr(home, name)
            except AttributeError:
                continue
            is_place = isinstance(value, ModuleType) and exists(whole)
            if is_place:
                break
            return value
        if is_place:
            inside = sys.modules.get(self.__name__) is self  # else the real torch is in sys.modules
            place = importlib.import_module(whole) if inside else Place(whole)
            setattr(self, name, place)
            return place
        raise AttributeError(f"minigrad has no {whole} ({_caller()})")

    @property
    def __all__(self) -> list[str]:
        return sorted({name for home in self.__homes for name in getattr(home, "__all__", dir(home)) if name[0] != "_"})

    def __dir__(self) -> list[str]:
        return self.__all__


def _found(path: str) -> Any:
    """A module, or a name in one."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if error.name is None or not path.startswith(error.name):
                raise
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(f"no module {path}")


def _caller() -> str:
    """file:line of the code that asked."""
    frame: Any = sys._getframe(2)
    while frame.f_back is not None and (
        "importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__
    ):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
