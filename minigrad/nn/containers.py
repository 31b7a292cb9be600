"""Modules that hold modules: Sequential, ModuleList, ModuleDict, and Identity that does nothing."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from minigrad.grad_mode import is_definitions
from minigrad.nn import functional as F
from minigrad.nn.activation import ReLU
from minigrad.nn.conv import Conv2d
from minigrad.nn.module import Module, indent
from minigrad.nn.pooling import MaxPool2d
from minigrad.tensor import Tensor


class Identity(Module):
    """y = x, whatever arguments it is made with: a placeholder."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class _Numbered(Module):
    """What Sequential and ModuleList share: children named "0", "1", ... that are reached by number."""

    def _key(self, index: int) -> str:
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range")
        return list(self._modules)[index]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        for key in list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]:
            del self._modules[key]
        self._renumber(self._modules.values())

    def _renumber(self, modules: Iterable[Module]) -> None:
        self._modules = {str(i): module for i, module in enumerate(modules)}

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end; returns the container."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend should be called with an iterable, but got {type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Put a module before the one of that number; returns the container."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, index: int | slice) -> Any:
        """Take a module out and return it."""
        module = self[index]  # type: ignore[index]
        del self[index]
        return module


class Sequential(_Numbered):
    """y = f_n(... f_2(f_1(x))): modules one after another, given in order or as an OrderedDict of names.

    One trick. A Conv2d followed by a ReLU, or by a ReLU and a MaxPool2d, runs as one fused op: the same values and
    gradients, but the maps between them are never stored. It is left out wherever somebody could see those maps or
    replace them: where one of the modules has hooks or is of a subclass, where its `forward` or what that calls is not
    minigrad's own (in the module, in its class, in nn.functional), where the pool returns indices, where the convolution
    does not pad by plain zeros, and where `minigrad.definitions` wants the op in its parts.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input: Any) -> Any:
        modules = list(self)
        i = 0
        while i < len(modules):
            length = _fusable(modules, i, input)
            if length == 1:
                input = modules[i](input)
            else:
                input = _run_fused(modules[i : i + length], input)
            i += length
        return input

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        return self._modules[self._key(index)]

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)


def _fusable(modules: list[Module], i: int, input: Any) -> int:
    """How many modules from the i-th on run as one op: 3 (conv, relu, pool), 2 (conv, relu) or 1 (no fusing)."""
    conv = modules[i]
    if not (_is_plain(conv, Conv2d) and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)):
        return 1
    if is_definitions("conv2d") or not isinstance(input, Tensor) or input.ndim != 4:
        return 1
    if i + 1 == len(modules) or not _is_plain(modules[i + 1], ReLU):
        return 1
    if i + 2 == len(modules) or not _is_plain(modules[i + 2], MaxPool2d) or modules[i + 2].return_indices:
        return 2
    if is_definitions("max_pool2d"):
        return 2
    return 3


# What a call of a module goes through, and the function that it ends in, as they are in minigrad.
_STEPS = ("__call__", "forward", "_conv_forward")
_OWN: dict[type[Module], tuple[str, Any, tuple[Any, ...]]] = {
    kind: (name, getattr(F, name), tuple(getattr(kind, step, None) for step in _STEPS))
    for kind, name in ((Conv2d, "conv2d"), (ReLU, "relu"), (MaxPool2d, "max_pool2d"))
}


def _is_plain(module: Module, kind: type[Module]) -> bool:
    """Whether the module is of exactly that class, nobody watches it, and nothing on the way of a call was replaced."""
    name, function, steps = _OWN[kind]
    return (
        type(module) is kind
        and not module._has_hooks()
        and module.__dict__.keys().isdisjoint(_STEPS)
        and getattr(F, name) is function
        and tuple([getattr(kind, step, None) for step in _STEPS]) == steps
    )


def _run_fused(chain: list[Module], input: Tensor) -> Tensor:
    conv = chain[0]
    arguments = (input, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)
    if len(chain) == 2:
        return F._conv2d_relu(*arguments)
    pool = chain[2]
    window = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)
    return F._conv2d_relu_max_pool2d(*arguments, window)


class ModuleList(_Numbered):
    """A list of modules whose parameters are registered. It has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._key(index)]

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *modules])

    def __repr__(self) -> str:
        """As torch's: neighbours that print alike are printed once, "(0-2): 3 x Linear(...)"."""
        runs: list[tuple[int, int, str]] = []
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        lines = [
            indent(f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}")
            for first, last, text in runs
        ]
        return f"{self._get_name()}(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"


class ModuleDict(Module):
    """A dictionary of modules whose parameters are registered, in the order of insertion. It has no forward."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> ItemsView[str, Module]:
        """(name, module) pairs."""
        return self._modules.items()

    def clear(self) -> None:
        """Remove every module."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        return self._modules.pop(key)

    def update(self, modules: Mapping[str, Module] | ModuleDict | Iterable[tuple[str, Module]]) -> None:
        """Add modules, or replace those of the same name, from a mapping or from (name, module) pairs."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, "
                f"but got {type(modules).__name__}"
            )
        for key, module in modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules:
            self[key] = module
