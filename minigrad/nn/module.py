"""Module: a function with parameters, buffers and children that register themselves as attributes.

Names, orders, keys and messages are torch's, so that a torch state_dict loads without a renaming table.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minigrad.errors import did_you_mean
from minigrad.grad_mode import no_grad
from minigrad.methods import gpu_device, target
from minigrad.nn.hooks import HOOKS, Hooked
from minigrad.nn.parameter import Parameter
from minigrad.tensor import Tensor

Self = TypeVar("Self", bound="Module")


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class IncompatibleKeys(_Keys):
    """What load_state_dict(strict=False) left alone: keys that the module wanted, and keys that it has no place for."""

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Module(Hooked):
    """Base class of layers and networks: subclasses assign parameters and children in `__init__` and write `forward`.

    class Net(Module):
        def __init__(self):
            super().__init__()
            self.fc = Linear(3, 2)          # registers fc.weight and fc.bias

        def forward(self, x):
            return self.fc(x).relu()
    """

    training: bool
    _version = 1  # of the layout of the module's own state_dict entries; torch's numbers
    _shown = ""  # the settings that are printed as name=value; `:name` as the value alone, `name?` unless False

    def __init__(self) -> None:
        # object.__setattr__, for Module.__setattr__ looks into these dictionaries
        for name, value in (
            ("training", True),
            ("_parameters", {}),
            ("_buffers", {}),
            ("_non_persistent_buffers_set", set()),
            ("_modules", {}),
            *((name, {}) for name in HOOKS),
        ):
            object.__setattr__(self, name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's function, written by every subclass. Call the module, not this: a call also runs the hooks."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # ---- registration ------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            if isinstance(value, (Parameter, Module)):
                kind = "parameters" if isinstance(value, Parameter) else "module"
                raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
            self._forget(name, keep=self._parameters)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name, keep=self._modules)
            self._modules[name] = value
        elif name in self._parameters:
            self.register_parameter(name, value)
        elif name in self._modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' (nn.Module or None expected)"
                )
            self._modules[name] = None
        elif name in self._buffers:
            self.register_buffer(name, value, persistent=name not in self._non_persistent_buffers_set)
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:  # called only where the ordinary look-up found nothing
        for registry in ("_parameters", "_buffers", "_modules"):
            members = self.__dict__.get(registry, {})
            if name in members:
                return members[name]
        near = "" if name.startswith("_") else did_you_mean(name, dir(self))
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{near}", obj=self)

    def __delattr__(self, name: str) -> None:
        for members in (self._parameters, self._buffers, self._modules):
            if name in members:
                del members[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]
        return sorted(name for name in names if not name[0].isdigit())

    def _forget(self, name: str, keep: dict) -> None:
        """Drop what the name stood for before, unless it was of the same kind (its place in the order stays)."""
        for members in (self.__dict__, self._parameters, self._buffers, self._modules):
            if members is not keep:
                members.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def _check_name(self, kind: str, name: str, members: dict) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in members:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name. None reserves the name: it is no part of the state_dict."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name("parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign '{_typename(param)}' as parameter '{name}' (nn.Parameter or None expected)")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module's state but is not learned (running statistics, say).

        A buffer that is not persistent moves with the module but is no part of the state_dict.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (Tensor or None required)")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child under a name."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        self._modules[name] = module

    register_module = add_module

    # ---- looking around ----------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(name, module) of this module ("") and all below it, parents first; a shared module once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it; a shared module once, unless remove_duplicate is False."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules directly below; a shared module once."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules directly below; a shared module once."""
        return (module for _, module in self.named_children())

    def _named_members(
        self, members_of: Callable[[Module], dict], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for module_name, module in modules:
            for name, member in members_of(module).items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield _join(module_name, name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter) of this module and, with `recurse`, of all below it; a shared parameter once."""
        return self._named_members(lambda module: module._parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and, with `recurse`, of all below it; a shared one once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(name, buffer) of this module and, with `recurse`, of all below it; a shared buffer once."""
        return self._named_members(lambda module: module._buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and, with `recurse`, of all below it; a shared one once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module of that dotted name; "" is this one. AttributeError if there is none."""
        module = self
        for name in target.split(".") if target else []:
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of that dotted name. AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if owner._parameters.get(name) is None:
            raise AttributeError(f"{type(owner).__name__} has no parameter `{name}`")
        return owner._parameters[name]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of that dotted name. AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if owner._buffers.get(name) is None:
            raise AttributeError(f"{type(owner).__name__} has no buffer `{name}`")
        return owner._buffers[name]

    # ---- state -------------------------------------------------------------------------------------------------

    def _persistent(self) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of this module's own entries in the state_dict: parameters, then persistent buffers."""
        yield from ((name, p) for name, p in self._parameters.items() if p is not None)
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Tensor]:
        """Parameters and persistent buffers by dotted name, detached and sharing memory (themselves with `keep_vars`).

        As torch's, it carries the layout versions of the modules in an attribute `_metadata`.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        for name, member in self._persistent():
            destination[prefix + name] = member if keep_vars else member.detach()
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self._state_dict_post_hooks.values()):
            if hook(self, destination, prefix, local_metadata) is not None:
                raise RuntimeError("state_dict post-hook must return None")
        return destination

    def _upgrade_state_dict(self, state_dict: dict[str, Any], prefix: str, version: int | None) -> None:
        """Bring the entries of an older layout up to date, in place; `version` is None where none is known."""

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy a state_dict into the parameters and buffers; their dtypes and devices stay.

        Values may be Tensors, NumPy arrays or torch tensors on the CPU. With `assign` they become the module's own
        instead of being copied. Everything is checked first: if anything is wrong nothing is changed (where there are
        hooks after loading, which decide about missing and unexpected keys, these are found wrong after the rest).

        Raises TypeError if state_dict is not a mapping; RuntimeError that lists every missing and unexpected key
        (unless `strict` is False), every mis-shaped one with both shapes, and every value that is not a tensor.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", {})
        state = dict(state_dict)
        keys, problems = IncompatibleKeys([], []), list[str]()
        known: set[str] = set()
        copies: list[tuple[Module, str, Tensor, Tensor]] = []
        for path, module in self.named_modules(remove_duplicate=False):
            prefix, local_metadata = path + "." if path else "", metadata.get(path, {})
            for hook in list(module._load_state_dict_pre_hooks.values()):
                hook(module, state, prefix, local_metadata, True, *keys, problems)
            module._upgrade_state_dict(state, prefix, local_metadata.get("version"))
            for name, own in module._persistent():
                known.add(key := prefix + name)
                if key not in state:
                    keys.missing_keys.append(key)
                elif (value := _fitting(key, state[key], own, problems)) is not None:
                    copies.append((module, name, own, value))
        keys.unexpected_keys.extend(key for key in state if key not in known)
        after = [(module, hook) for module in self._bottom_up() for hook in module._load_state_dict_post_hooks.values()]
        if problems or not after:
            self._complain(keys, problems, strict)
        with no_grad():
            for module, name, own, value in copies:
                if not assign:
                    own.copy_(value)
                elif isinstance(own, Parameter):
                    setattr(module, name, Parameter(value.detach(), own.requires_grad))
                else:
                    setattr(module, name, value)
        for module, hook in after:
            if hook(module, keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values: "
                    "incompatible_keys are changed in place."
                )
        self._complain(keys, [], strict)
        return keys

    def _bottom_up(self) -> Iterator[Module]:
        """Every module below this one, each after those below it, and this one."""
        for child in self._modules.values():
            if child is not None:
                yield from child._bottom_up()
        yield self

    def _complain(self, keys: IncompatibleKeys, problems: list[str], strict: bool) -> None:
        """RuntimeError with all that is wrong with a state_dict, if anything is."""
        if strict and keys.unexpected_keys:
            problems = [f"Unexpected key(s) in state_dict: {_quoted(keys.unexpected_keys)}. ", *problems]
        if strict and keys.missing_keys:
            problems = [f"Missing key(s) in state_dict: {_quoted(keys.missing_keys)}. ", *problems]
        if problems:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(problems))

    # ---- modes, devices, gradients -----------------------------------------------------------------------------

    def apply(self: Self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module below and then on this one; returns this one. For initialisation."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Training mode for this module and all below it: dropout drops, batch norm uses the batch's statistics."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Whether gradients are wanted for the parameters of this module and all below it; False freezes them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the parameters' gradients; with `set_to_none=False` they become zeros instead of None."""
        for parameter in self.parameters():
            zero_grad_(parameter, set_to_none)

    def _apply(self: Self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Put `fn` of it in the place of each parameter's contents and gradient and of each buffer, in place."""
        for child in self.children():
            child._apply(fn)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is not None:
                    gradient = parameter.grad
                    parameter.grad = None  # first, for a gradient must fit its parameter
                    parameter.data = fn(parameter.data)
                    parameter.grad = None if gradient is None else fn(gradient)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device and/or turn floating-point parameters and buffers into a dtype, in place; returns itself.

        `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`, or by keyword; memory_format: of those with 4 axes.
        """
        device, dtype, _, memory_format = target(*args, **kwargs)
        if dtype is not None and dtype.kind != "f":
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")

        def convert(t: Tensor) -> Tensor:
            if dtype is not None and t.dtype.kind == "f":
                t = t.to(dtype)
            t = t if device is None else t.to(device)
            return t if memory_format is None or t.ndim != 4 else t.to(memory_format=memory_format)

        return self._apply(convert)

    def type(self: Self, dst_type: Any) -> Self:
        """All parameters and buffers in a type, in place; returns itself."""
        return self._apply(lambda t: t.type(dst_type))

    def half(self: Self) -> Self:
        """float16 for the floating-point parameters and buffers."""
        return self.to(np.dtype(np.float16))

    def bfloat16(self: Self) -> Self:
        """Not built: NotImplementedError."""
        return self.to(dtype="bfloat16")

    def float(self: Self) -> Self:
        """float32 for the floating-point parameters and buffers."""
        return self.to(np.dtype(np.float32))

    def double(self: Self) -> Self:
        """float64 for the floating-point parameters and buffers."""
        return self.to(np.dtype(np.float64))

    def cpu(self: Self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self: Self, device: Any = None) -> Self:
        """Move to a GPU: the first, or that of a number, a name or a Device."""
        return self.to(gpu_device(device))

    gpu = cuda

    # ---- printing ----------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed: name=value of what the class has `_shown`."""
        shown = {word: getattr(self, word.strip(":?")) for word in self._shown.split()}
        texts = {word: str(value) if word[0] == ":" else f"{word.rstrip('?')}={value}" for word, value in shown.items()}
        return ", ".join(text for word, text in texts.items() if shown[word] or word[-1] != "?")

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {indent(repr(child))}" for name, child in self._modules.items()]
        if len(extra_lines) == 1 and not child_lines:
            return f"{self._get_name()}({extra})"
        lines = extra_lines + child_lines
        return f"{self._get_name()}(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"


def zero_grad_(parameter: Tensor, set_to_none: bool) -> None:
    """Forget one tensor's gradient, or set it to zeros (Module.zero_grad and Optimizer.zero_grad)."""
    if parameter.grad is None:
        return
    if set_to_none:
        parameter.grad = None
    else:
        parameter.grad = parameter.grad.detach()  # a gradient made with create_graph must not drag its graph along
        parameter.grad.zero_()


def indent(text: str) -> str:
    """Every line but the first two spaces further in."""
    return text.replace("\n", "\n  ")


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


def _typename(value: Any) -> str:
    return type(value).__name__


def _as_tensor(value: Any) -> Tensor:
    """A Tensor as it is; a NumPy array, NumPy number or CPU torch tensor as a Tensor of its numbers."""
    if isinstance(value, Tensor):
        return value
    if not hasattr(value, "__array__"):
        raise TypeError("it is not an array")
    return Tensor(np.asarray(value))


def _fitting(key: str, found: Any, own: Tensor, problems: list[str]) -> Tensor | None:
    """A state_dict's value as a Tensor of own's shape; None, and what is wrong with it among the problems."""
    try:
        value = _as_tensor(found)
    except (TypeError, ValueError) as error:
        problems.append(
            f'While copying the parameter named "{key}", expected a tensor or an array from checkpoint '
            f"but received {type(found)}: {error}"
        )
        return None
    if own.ndim == 0 and tuple(value.shape) == (1,):  # checkpoints from before torch had 0-d tensors
        value = value.reshape(())
    if tuple(value.shape) == tuple(own.shape):
        return value
    problems.append(
        f"size mismatch for {key}: copying a param with shape {tuple(value.shape)} from checkpoint, "
        f"the shape in current model is {tuple(own.shape)}."
    )
    return None
