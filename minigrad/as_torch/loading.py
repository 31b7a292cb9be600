"""How `import torch` becomes minigrad: modules loaded within an AsTorch see other modules of that name, now and later.

Python's import looks names up in sys.modules, which all share. So while the context is open, torch's entries there are ours;
a module that is loaded meanwhile gets builtins of its own, whose `__import__` puts ours back for as long as it works.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Set
from pathlib import Path
from types import ModuleType
from typing import Any

from minigrad.as_torch import places

OURS = ("torch", "torchvision")

REAL: dict[str, ModuleType] = {}
"""The real torch and torchvision while ours stand in their place."""


class AsTorch:
    """Within it `import torch` is minigrad. It may be entered again; what it loaded is there again then."""

    def __init__(self) -> None:
        self._kept: list[dict[str, ModuleType]] = []
        self._own: dict[str, ModuleType] = {}
        self._finder = _Finder(self)
        self._builtins = dict(vars(builtins), __import__=self._import, __as_torch__=True)

    def __enter__(self) -> AsTorch:
        kept = _take({*OURS, *_users_of_torch()})
        REAL.update({k: m for k, m in kept.items() if k.split(".")[0] in OURS and not _is_ours(m)})
        self._kept.append(kept)
        sys.modules.update(self._own)
        sys.meta_path.insert(0, self._finder)
        return self

    def __exit__(self, *error: object) -> None:
        sys.meta_path.remove(self._finder)
        kept = self._kept.pop()
        self._own.update(_take({*OURS, *(name.split(".")[0] for name in kept)}))
        sys.modules.update(kept)

    def run(self, script: Path) -> None:
        """Runs a script as `__main__`."""
        module = ModuleType("__main__")
        module.__file__ = str(script)
        self.adopt(module)
        before, sys.modules["__main__"] = sys.modules["__main__"], module
        try:
            exec(compile(script.read_bytes(), str(script), "exec"), vars(module))
        finally:
            sys.modules["__main__"] = before

    def adopt(self, module: ModuleType) -> None:
        """Makes a module, before its code runs, one of those for which torch is minigrad."""
        vars(module)["__builtins__"] = self._builtins

    def _import(self, name: str, *where: Any) -> Any:
        """`__import__` as the adopted modules see it."""
        if self._kept:
            return builtins.__import__(name, *where)
        with self:
            return builtins.__import__(name, *where)


def _users_of_torch() -> set[str]:
    """Packages that were loaded with the real torch: one of their modules has a module of torch's among its names."""
    torchs = {id(m) for name, m in sys.modules.items() if name.split(".")[0] in OURS and not _is_ours(m)}
    found = set()
    for name, module in list(sys.modules.items()):
        package = name.split(".")[0]
        if package in found or package in OURS or package in places.PRIVATE or _WITHOUT.get(name) == id(module):
            continue
        if any(id(value) in torchs for value in list(getattr(module, "__dict__", {}).values())):
            found.add(package)
        elif not getattr(getattr(module, "__spec__", None), "_initializing", False):
            _WITHOUT[name] = id(module)
    return found


_WITHOUT: dict[str, int] = {}
"""Modules that have been looked through, and have no module of torch's."""


def _is_ours(module: ModuleType) -> bool:
    """Whether this is no module of the real torch or torchvision, but a place, or a file that was loaded within."""
    return isinstance(module, places.Place) or isinstance(getattr(module, "__loader__", None), _Adopting)


def _take(names: Set[str]) -> dict[str, ModuleType]:
    """Takes these packages and what is below them out of sys.modules."""
    found = {k: m for k, m in sys.modules.items() if k.split(".")[0] in names}
    for name in found:
        del sys.modules[name]
    return found


class _Finder(importlib.abc.MetaPathFinder):
    """Finds torch's modules in minigrad, and adopts all others on their way."""

    def __init__(self, world: AsTorch) -> None:
        self.world = world

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if places.exists(name):
            return importlib.machinery.ModuleSpec(name, _Maker(self.world), is_package=True)
        if name.split(".")[0] in places.PRIVATE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Adopting(self.world, spec.loader.name, spec.loader.path)
        return spec


class _Maker(importlib.abc.Loader):
    """Makes the module that stands for one of torch's."""

    def __init__(self, world: AsTorch) -> None:
        self.world = world

    def create_module(self, spec: Any) -> ModuleType:
        return places.Place(spec.name, self.world)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Adopting(importlib.machinery.SourceFileLoader):
    """Loads a source file whose imports are those of an AsTorch."""

    def __init__(self, world: AsTorch, name: str, path: str) -> None:
        super().__init__(name, path)
        self.world = world

    def exec_module(self, module: ModuleType) -> None:
        self.world.adopt(module)
        super().exec_module(module)


def real(name: str) -> ModuleType:
    """torch's or torchvision's own module of this name, wherever it is called from."""
    present = _take({*OURS})
    finders = [finder for finder in sys.meta_path if isinstance(finder, _Finder)]
    for finder in finders:
        sys.meta_path.remove(finder)
    if not any(map(_is_ours, present.values())):
        REAL.update(present)
    sys.modules.update(REAL)
    try:
        return importlib.import_module(name)
    finally:
        REAL.update(_take({*OURS}))
        sys.modules.update(REAL if not any(map(_is_ours, present.values())) else present)
        sys.meta_path[:0] = finders
