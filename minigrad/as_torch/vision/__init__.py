"""torchvision, the real one, for code that runs on minigrad: what its transforms and data sets return are minigrad's tensors.

Its networks and its compiled operators stand on torch, and have no place here.
"""

from __future__ import annotations

import functools
from typing import Any

from minigrad.as_torch.loading import OURS, real
from minigrad.ops.creation import tensor
from minigrad.tensor import Tensor

__all__ = ["datasets", "transforms", "utils"]


def to_minigrad(value: Any) -> Any:
    """The same with minigrad's tensors for torch's, also in tuples, lists and dicts."""
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(to_minigrad(v) for v in value)
    if isinstance(value, dict):
        return {k: to_minigrad(v) for k, v in value.items()}
    return tensor(value.detach().cpu().numpy()) if _is_torchs(value) else value


def to_torch(value: Any) -> Any:
    """The same with torch's tensors for minigrad's."""
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(to_torch(v) for v in value)
    return real("torch").from_numpy(value.detach().numpy(force=True).copy()) if isinstance(value, Tensor) else value


def _is_torchs(value: Any) -> bool:
    return type(value).__module__.split(".")[0] in OURS and hasattr(value, "requires_grad")


class Translated:
    """A module of torchvision whose functions and objects take and give minigrad's tensors."""

    def __init__(self, name: str, **below: Any) -> None:
        self._name = name
        vars(self).update(below)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return translated(getattr(real(self._name), name))


def translated(thing: Any) -> Any:
    """A function, or a class whose objects are called or indexed, between the two kinds of tensors."""
    if isinstance(thing, type):
        return _translated_class(thing)
    if not callable(thing):
        return thing

    @functools.wraps(thing)
    def call(*args: Any, **kwargs: Any) -> Any:
        return to_minigrad(thing(*to_torch(args), **{k: to_torch(v) for k, v in kwargs.items()}))

    return call


@functools.cache
def _translated_class(kind: type) -> type:
    """A subclass whose objects take and give minigrad's tensors, to everyone but to torchvision itself."""
    if not (hasattr(kind, "forward") or "__call__" in vars(kind) or hasattr(kind, "__getitem__")):
        return kind

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = to_torch(args)
        return to_minigrad(kind.__call__(self, *given, **kwargs))

    def __getitem__(self: Any, index: Any) -> Any:
        return to_minigrad(kind.__getitem__(self, index))  # type: ignore[index]

    body = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    if hasattr(kind, "forward") or "__call__" in vars(kind):
        body["__call__"] = __call__  # type: ignore[assignment]
    if hasattr(kind, "__getitem__"):
        body["__getitem__"] = __getitem__  # type: ignore[assignment]
    return type(kind)(kind.__name__, (kind,), body)


datasets = Translated("torchvision.datasets")
transforms = Translated("torchvision.transforms", functional=Translated("torchvision.transforms.functional"))
utils = Translated("torchvision.utils")
