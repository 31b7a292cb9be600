"""Code that was written for PyTorch, run on minigrad unchanged: within `as_torch`, `import torch` is minigrad.

    with mg.as_torch():
        import resnet                  # somebody's file, which says import torch, torch.nn, torch.nn.functional ...
    model = resnet.ResNet18()          # its layers are minigrad's
    model(mg.randn(1, 3, 32, 32)).sum().backward()

    python -m minigrad.as_torch script.py --epochs 1      # a whole script

Modules that are loaded within belong to minigrad for good: an `import torch` in one of their functions, run later, finds
minigrad too. Everything else in the process keeps the real torch, whether it was loaded before or comes afterwards. A module
that was loaded with the real torch before is loaded once more within, and both copies live on.

A name of torch that minigrad does not have is an AttributeError that says so, with the line that asked for it. What belongs
to torch alone (layers of videos, recurrent networks, compilers, processes) has names that can be imported and mentioned: they
refuse when they are used. docs/as_torch.md has the list.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from minigrad.as_torch.loading import AsTorch

__all__ = ["AsTorch"]


class _Callable(ModuleType):
    """`mg.as_torch` is this package and the function of the same name."""

    def __call__(self) -> Any:
        """A context within which `import torch` is minigrad."""
        return AsTorch()


sys.modules[__name__].__class__ = _Callable
