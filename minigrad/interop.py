"""Libraries that know tensors of several frameworks learn minigrad's as soon as they are imported. Today: einops."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from typing import Any


class _Watcher:
    """Lets einops be found as always, and loads minigrad.einops right after it."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != "einops":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Introducing(spec.loader)  # type: ignore[assignment]
        return spec


class _Introducing:
    """einops's own loader, and what comes after it."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: Any) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self.loader.exec_module(module)
        sys.meta_path[:] = [f for f in sys.meta_path if f is not _Watcher]
        importlib.import_module("minigrad.einops")


def watch_for_einops() -> None:
    """Called when minigrad is imported: einops is there already, or will be met when it comes."""
    if "einops" in sys.modules:
        importlib.import_module("minigrad.einops")
    elif _Watcher not in sys.meta_path:
        sys.meta_path.insert(0, _Watcher)  # type: ignore[arg-type]
