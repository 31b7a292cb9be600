"""Optimizer: parameters in groups with options, a state for each parameter, and torch's state_dict of both."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from itertools import chain
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from minigrad import backends
from minigrad.arguments import plain
from minigrad.grad_mode import enable_grad, no_grad
from minigrad.hooks import RemovableHandle
from minigrad.nn.hooks import register_hook
from minigrad.nn.module import zero_grad_
from minigrad.tensor import Tensor

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
ParamsT = _params_t = Parameters  # torch's names


def _hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step`, with the optimizer's hooks before and after it, and a note for the schedules that it was called."""

    @functools.wraps(step)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        args = (self, *args)  # the hooks see the optimizer among the arguments, as in torch
        for hook in list(self._optimizer_step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"a hook before {type(self).__name__}.step must return None or a tuple of "
                        f"(new_args, new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
        result = step(*args, **kwargs)
        if self._stepped is False:
            self._stepped = True
        for hook in list(self._optimizer_step_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    return run


class _Required:
    """A default that has to be given: torch's mark, which optimizers of former days declare."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()

_HOOKS = [
    f"_optimizer_{when}_hooks"
    for when in "step_pre step_post state_dict_pre state_dict_post load_state_dict_pre load_state_dict_post".split()
]
_NO_HOOKS: Any = MappingProxyType({})
_CALLED = {"lr": "learning rate", "eps": "epsilon value"}


class Optimizer:
    """Base class: subclasses declare the state of a parameter and write `apply_single`, which moves one parameter.

    Everything else is here: the defaults of the options are the constructor's own, and the state is made at a
    parameter's first step by `init_single`, after what `averages` and `numbers` name.

    param_groups: a list of dictionaries, each with "params" (a list of Tensors) and the options of these parameters;
    what a group does not say comes from `defaults`. state: parameter -> dictionary (momentum buffers and the like).

    params: Tensors, (name, Tensor) pairs, or dictionaries that make groups. Raises TypeError for anything else and
    ValueError if there are none, one is no leaf, or one is in two groups.
    """

    averages: ClassVar[dict[str, str | None]] = {}
    """States of a parameter's shape, zeros at first; each with the option that asks for it, None for always."""
    numbers: ClassVar[dict[str, float]] = {"step": 0.0}
    """States that are single float32 numbers, which stay on the host, and where they start."""
    kept_on_host: ClassVar[tuple[str, ...]] = ("step",)
    """Such numbers of an optimizer that makes its state by itself."""
    non_negative: ClassVar[tuple[str, ...]] = ()
    """The options that must not be negative."""

    # An optimizer that wraps another need not call this class's constructor, and has no hooks then.
    _optimizer_step_pre_hooks: dict[int, Any] = _NO_HOOKS
    _optimizer_step_post_hooks: dict[int, Any] = _NO_HOOKS
    _optimizer_state_dict_pre_hooks: dict[int, Any] = _NO_HOOKS
    _optimizer_state_dict_post_hooks: dict[int, Any] = _NO_HOOKS
    _optimizer_load_state_dict_pre_hooks: dict[int, Any] = _NO_HOOKS
    _optimizer_load_state_dict_post_hooks: dict[int, Any] = _NO_HOOKS
    _step_pre_hooks = property(lambda self: self._optimizer_step_pre_hooks)  # its former name
    _stepped: bool | None = None  # whether step() was called since the first schedule was made; None without one

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:  # an optimizer that has a step of its own gets the hooks too
            cls.step = _hooked(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Parameters, defaults: dict[str, Any]) -> None:
        if isinstance(params, (Tensor, dict)):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type(params).__name__}"
            )
        if isinstance(params, (set, frozenset)):
            warnings.warn(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead.",
                FutureWarning,
                stacklevel=3,
            )
        self._check(defaults)
        if defaults.get("differentiable"):
            raise NotImplementedError("differentiable=True is not built: a step is not recorded for the backward pass")
        if defaults.get("capturable"):
            raise NotImplementedError("capturable=True is not built: the number of steps is kept on the host")
        self._without_hooks()
        self.defaults = plain(defaults)
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: {"params": Tensors or (name, Tensor) pairs, option: value, ...}; defaults fill the rest."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but "
                "the ordering of tensors in sets will change between runs. Please use a list instead."
            )
        entries = [params] if isinstance(params, Tensor) else list(params)
        names = [entry[0] for entry in entries if isinstance(entry, tuple)]
        tensors = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
        if names and len(names) != len(tensors):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(tensor).__name__}"
                )
            if not tensor.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        if len(set(tensors)) != len(tensors):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        if not set(tensors).isdisjoint(chain.from_iterable(group["params"] for group in self.param_groups)):
            raise ValueError("some parameters appear in more than one parameter group")
        group = {**plain({k: v for k, v in param_group.items() if k != "params"}), "params": tensors}
        if names:
            group["param_names"] = names
        if any(("param_names" in other) != ("param_names" in group) for other in self.param_groups):
            raise ValueError("all optimizer param groups should be with/without names")
        if isinstance(group.get("lr", self.defaults.get("lr")), Tensor):
            raise NotImplementedError("lr as a Tensor is not built: give a Python float")
        self.param_groups.append({**group, **{k: v for k, v in self.defaults.items() if k not in group}})

    @_hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. `closure`, if given, computes the loss and its gradients first.

        Returns what the closure returned. Updates are not recorded for the backward pass, and parameters without a
        gradient are left alone, weight decay included.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for parameter in chain.from_iterable(group["params"] for group in self.param_groups):
            if (gradient := parameter.grad) is not None and gradient.array.shape != parameter.array.shape:
                raise RuntimeError(
                    f"a parameter and its gradient differ in shape: {list(parameter.shape)} and {list(gradient.shape)}"
                )
        with no_grad():
            for group in self.param_groups:
                options = {
                    k: v if k == "params" else plain(v) for k, v in group.items()
                }  # a rate set by hand may be NumPy's
                moved = [parameter for parameter in group["params"] if parameter.grad is not None]
                with backends.of(moved[0].array).together() if moved else nullcontext():
                    for parameter in moved:
                        self._update(parameter, options)
                        parameter._bump_version()
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        """Move one parameter, in place, with the options of its group."""
        asked = [name for name, option in self.averages.items() if option is None or group[option]]
        names = [*self.numbers, *asked]
        state = self.state[parameter] if names else {}
        for name in names:
            if state.get(name) is None:
                state[name] = self.init_single(name, parameter)
        arrays = {name: state[name].array for name in names}
        if "step" in arrays:
            arrays["step"] += 1
        self.apply_single(parameter.array, parameter.grad.array, arrays, group)  # type: ignore[union-attr]

    def init_single(self, name: str, parameter: Tensor) -> Tensor:
        """The state of that name before a parameter's first step."""
        start = self.numbers.get(name)
        return zeros_beside(parameter) if start is None else Tensor(np.array(start, np.float32))

    def apply_single(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Move the array p along its gradient g, in place; state: the arrays that `numbers` and `averages` name."""
        raise NotImplementedError(f"{type(self).__name__} has no apply_single(p, g, state, group)")

    def _check(self, options: dict[str, Any]) -> None:
        """ValueError, in torch's words, for an option out of range."""
        for name in self.non_negative:
            if not options[name] >= 0.0:  # nor NaN
                raise ValueError(f"Invalid {_CALLED.get(name, f'{name} value')}: {options[name]}")
        for i, beta in enumerate(options["betas"] if self.non_negative and "betas" in options else ()):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with `set_to_none=False` they become zeros instead of None."""
        for parameter in chain.from_iterable(group["params"] for group in self.param_groups):
            zero_grad_(parameter, set_to_none)

    # ---- hooks -------------------------------------------------------------------------------------------------

    def _without_hooks(self) -> None:
        for name in _HOOKS:
            setattr(self, name, {})

    def _patch_step_function(self) -> None:
        """What torch's constructor calls, and optimizers that do without it: steps have their hooks here from the start."""

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: everything but the hooks, as in torch."""
        return {name: value for name, value in self.__dict__.items() if name not in _HOOKS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._without_hooks()
        self.__dict__.update(state)

    def register_step_pre_hook(self, hook: Callable[[Any, tuple, dict], Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before every step; what it returns, unless None, replaces both."""
        return RemovableHandle(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[[Any, tuple, dict], None]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after every step."""
        return RemovableHandle(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[[Any], None], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before state_dict() is made; `prepend`: before the hooks that are there."""
        return register_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[[Any, dict], dict | None], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` on what state_dict() made; what it returns, unless None, replaces it."""
        return register_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[[Any, dict], dict | None], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before it is loaded; what it returns, unless None, is loaded instead."""
        return register_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[[Any], None], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after a state_dict was loaded."""
        return register_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    # ---- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {name: value}}, "param_groups": [{option: value, "params": [numbers]}]}, as torch's.

        Parameters are numbered through all groups; the values are the optimizer's own, not copies.
        """
        for hook in list(self._optimizer_state_dict_pre_hooks.values()):
            hook(self)
        numbers: dict[Tensor, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            for i, parameter in enumerate(group["params"], start):
                numbers.setdefault(parameter, i)
            start += len(group["params"])
            options = {name: value for name, value in group.items() if name != "params"}
            groups.append({**options, "params": [numbers[parameter] for parameter in group["params"]]})
        state_dict = {"state": {numbers[p]: state for p, state in self.state.items()}, "param_groups": groups}
        for hook in list(self._optimizer_state_dict_post_hooks.values()):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        return state_dict

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state_dict, of this class or of torch's optimizer of the same name; values are copied.

        Tensors in it may be Tensors, NumPy arrays or torch tensors on the CPU; they get the dtype and the device of
        their parameter (`step` stays as it is, on the host). Raises ValueError if the groups are not of the same
        number and sizes, or a value has not its parameter's shape; nothing is changed then.
        """
        state_dict = dict(state_dict)
        for hook in list(self._optimizer_load_state_dict_pre_hooks.values()):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        groups = copy.deepcopy(list(state_dict["param_groups"]))
        if len(groups) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(groups)} instead of {len(self.param_groups)}"
            )
        sizes = [len(group["params"]) for group in groups]
        own_sizes = [len(group["params"]) for group in self.param_groups]
        if sizes != own_sizes:
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                f"sizes {sizes} instead of {own_sizes}"
            )
        numbers = chain.from_iterable(group["params"] for group in groups)
        parameters = chain.from_iterable(group["params"] for group in self.param_groups)
        parameter_of = dict(zip(numbers, parameters, strict=True))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            parameter = parameter_of.get(number)
            if parameter is None:
                raise ValueError(
                    f"loaded state dict has a state for parameter {number!r}, which is in none of its groups"
                )
            state[parameter] = {name: self._adopt(parameter, name, value) for name, value in values.items()}
        new_groups = []
        for own, loaded in zip(self.param_groups, groups, strict=True):
            names = {"param_names": own["param_names"]} if "param_names" in own else {}
            new_groups.append({**self.defaults, **names, **loaded, "params": own["params"]})
        self.state, self.param_groups = state, new_groups
        for hook in list(self._optimizer_load_state_dict_post_hooks.values()):
            hook(self)

    def _adopt(self, parameter: Tensor, name: str, value: Any) -> Any:
        """A copy of a state's value as the parameter needs it; what is no array is copied as it is."""
        if name == "step" and isinstance(value, (int, float)):  # as older checkpoints have it
            return Tensor(np.array(value, np.float32))
        if not isinstance(value, Tensor) and not hasattr(value, "__array__"):
            return copy.deepcopy(value)
        array = value.array if isinstance(value, Tensor) else np.asarray(value)
        if name in self.numbers or name in self.kept_on_host:
            return Tensor(array.copy()).to("cpu")
        if tuple(array.shape) != tuple(parameter.shape):
            raise ValueError(
                f"loaded state dict has a {name} of shape {tuple(array.shape)} "
                f"for a parameter of shape {tuple(parameter.shape)}"
            )
        return zeros_beside(parameter).copy_(Tensor(array))

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            options = "".join(f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params")
            text += f"\nParameter Group {i}\n{options}"
        return text + ")"


def zeros_beside(parameter: Tensor) -> Tensor:
    """Zeros of a parameter's shape, dtype, device and layout in memory: where its momentum and the like are kept."""
    return Tensor(backends.of(parameter.array).xp.zeros_like(parameter.array))


def options(arguments: dict[str, Any], first: str = "") -> dict[str, Any]:
    """The options among a constructor's locals(), in their order but for those that torch has `first` in its defaults."""
    ordered = {name: arguments[name] for name in first.split()} | arguments
    return {name: value for name, value in ordered.items() if name not in ("self", "params", "__class__")}
