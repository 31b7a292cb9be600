"""Where in the user's program an op runs: in which modules, at which line, and what the program calls its tensors.

Found by looking at the call stack, so that nothing is hooked: modules run, and fuse, as they do without a trace.
"""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from minigrad.nn import containers
from minigrad.nn.hooks import Hooked
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

_CALL = Hooked.__call__.__code__
_FUSED = containers._run_fused.__code__
_PACKAGE = str(Path(__file__).parent.parent) + os.sep


class Places:
    """The modules, lines and names of what runs below one frame of the user's: that of the `with`.

    nowhere: there are none. anywhere: whatever the frame.
    """

    def __init__(self, nowhere: bool = False, anywhere: bool = False) -> None:
        self.frame = None if nowhere or anywhere else _users(sys._getframe(1))
        self._nowhere = nowhere
        self._paths: dict[int, tuple[Module, dict[int, str]]] = {}
        self.parameters: dict[int, str] = {}
        """id of a parameter or buffer: its name, by the modules that were called."""

    def here(self) -> tuple[str, str]:
        """(the module's name such as "features.0", or "features.0-2" where one op runs three; file:line of the user's)."""
        frame: FrameType | None = None if self._nowhere else sys._getframe(1)
        modules: list[Module] = []
        line, last = "", None
        while frame is not None:
            code = frame.f_code
            if not line and not code.co_filename.startswith(_PACKAGE):
                line = f"{os.path.basename(code.co_filename)}:{frame.f_lineno}"
            if code is _FUSED:
                chain = frame.f_locals["chain"]
                modules, last = [chain[0]], chain[-1]
            elif code is _CALL:
                modules.append(frame.f_locals["self"])
            if frame is self.frame:
                break
            frame = frame.f_back
        return self._name(modules, last), line

    def _name(self, modules: list[Module], last: Module | None) -> str:
        if not modules:
            return ""
        root = modules[-1]
        if id(root) not in self._paths:
            self._paths[id(root)] = root, {id(m): name for name, m in root.named_modules()}
            for name, x in [*root.named_parameters(), *root.named_buffers()]:
                self.parameters.setdefault(id(x), name)
        paths = self._paths[id(root)][1]
        name = paths.get(id(modules[0]), "") or type(modules[0]).__name__
        return name if last is None else f"{name}-{paths.get(id(last), '').rpartition('.')[2]}"

    def name_of(self, x: Tensor) -> str:
        """x.name, the parameter's name in its module, or the variable's at the `with`; "" where it has none."""
        return x.name or self.parameters.get(id(x), "") or self._in_locals(x)

    def variables(self) -> dict[str, Any]:
        """The user's variables at the `with`, those of notebooks' history left out."""
        if self.frame is None:
            return {}
        local = self.frame.f_locals
        found = {name: value for name, value in local.items() if not name.startswith("_")}
        if self.frame.f_code.co_flags & inspect.CO_OPTIMIZED and sys.version_info < (3, 13):
            local.clear()  # of a function it is a copy, which the frame would keep, and with it what the user lets go of
        return found

    def left(self) -> None:
        """Lets go of the frame, and with it of the user's variables."""
        self.frame = None

    def _in_locals(self, x: Tensor) -> str:
        variables = self.variables()
        for name, value in variables.items():
            if value is x:
                return name
        for value in variables.values():
            if isinstance(value, Module):
                for name, parameter in value.named_parameters():
                    if parameter is x:
                        return name
        return ""


def _users(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame
