"""How a module is called, with the hooks around its forward and backward; Module's base."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from minigrad.hooks import RemovableHandle
from minigrad.nn.backward_hooks import BackwardHooks

HOOKS = (
    "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks",
    "_state_dict_pre_hooks", "_state_dict_post_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip
"""The attributes of a module that hold its hooks, each a dictionary by number."""


class ForwardHook(NamedTuple):
    """A hook around the forward, and how it wants to be called."""

    function: Callable[..., Any]
    with_kwargs: bool
    always_call: bool = False

    def run(self, module: Any, args: tuple, kwargs: dict[str, Any], *result: Any) -> Any:
        """Call it with the keyword arguments if it takes them."""
        if self.with_kwargs:
            return self.function(module, args, kwargs, *result)
        return self.function(module, args, *result)


def register_hook(hooks: dict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Add a hook after those that are there, or before them (Module and Optimizer)."""
    before = dict(hooks) if prepend else {}
    for key in before:
        del hooks[key]
    handle = RemovableHandle(hooks, hook)
    hooks.update(before)
    return handle


class Hooked:
    """What is called with hooks around it; subclasses write `forward`."""

    forward: Callable[..., Any]
    _forward_pre_hooks: dict[int, ForwardHook]
    _forward_hooks: dict[int, ForwardHook]
    _backward_pre_hooks: dict[int, Callable]
    _backward_hooks: dict[int, Callable]
    _state_dict_pre_hooks: dict[int, Callable]
    _state_dict_post_hooks: dict[int, Callable]
    _load_state_dict_pre_hooks: dict[int, Callable]
    _load_state_dict_post_hooks: dict[int, Callable]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._has_hooks():
            return self.forward(*args, **kwargs)
        result = None
        called: set[int] = set()
        try:
            for hook in list(self._forward_pre_hooks.values()):
                args, kwargs = self._changed(hook, args, kwargs)
            backward_hooks = None
            if self._backward_pre_hooks or self._backward_hooks:
                backward_hooks = BackwardHooks(
                    self, list(self._backward_hooks.values()), list(self._backward_pre_hooks.values())
                )
                args = backward_hooks.enter(args)
            result = self.forward(*args, **kwargs)
            for number, hook in list(self._forward_hooks.items()):
                called.add(number)
                changed = hook.run(self, args, kwargs, result)
                result = result if changed is None else changed
            return backward_hooks.leave(result) if backward_hooks else result
        except Exception:
            self._call_always(called, args, kwargs, result)
            raise

    def _has_hooks(self) -> bool:
        return bool(self._forward_pre_hooks or self._forward_hooks or self._backward_hooks or self._backward_pre_hooks)

    def _changed(self, hook: ForwardHook, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """The arguments after a hook before the forward."""
        changed = hook.run(self, args, kwargs)
        if changed is None:
            return args, kwargs
        if not hook.with_kwargs:
            return changed if isinstance(changed, tuple) else (changed,), kwargs
        if not (isinstance(changed, tuple) and len(changed) == 2):
            raise RuntimeError(
                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
            )
        return changed

    def _call_always(self, called: set[int], args: tuple, kwargs: dict[str, Any], result: Any) -> None:
        """After an error: the hooks that are to be called all the same, and have not been."""
        for number, hook in list(self._forward_hooks.items()):
            if hook.always_call and number not in called:
                try:
                    changed = hook.run(self, args, kwargs, result)
                    result = result if changed is None else changed
                except Exception as error:
                    warnings.warn(
                        "module forward hook with ``always_call=True`` raised an exception that was silenced as another "
                        f"error was raised in forward: {error}",
                        stacklevel=3,
                    )

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before every forward; what it returns, unless None, replaces the arguments.

        with_kwargs: `hook(module, args, kwargs)`, which returns None or both. prepend: before the hooks that are there.
        """
        return register_hook(self._forward_pre_hooks, ForwardHook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after every forward; what it returns, unless None, replaces the output.

        with_kwargs: `hook(module, args, kwargs, output)`. prepend: before the hooks that are there. always_call: also
        when the forward raised an error, with what there is of the output (None).
        """
        return register_hook(self._forward_hooks, ForwardHook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[[Any, tuple], Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the module's outputs are there, before its backward.

        What the hook returns, unless None, replaces them.
        """
        return register_hook(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[[Any, tuple, tuple], Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the module's inputs are computed.

        Both are tuples with a place for each positional argument and for each output: None for what is no Tensor,
        zeros for an input and None for an output that no gradient reaches. What the hook returns, unless None,
        replaces grad_input. Where no input requires a gradient, the hook is called with None for each of them.
        """
        return register_hook(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Callable[[Any, tuple, tuple], Any]) -> RemovableHandle:
        """torch's deprecated hooks, which saw the gradients of a module's last op alone: not built."""
        raise NotImplementedError("register_backward_hook is not built: use register_full_backward_hook")

    def register_state_dict_pre_hook(self, hook: Callable[[Any, str, bool], None]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before the module's entries of a state_dict are made."""
        return register_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[[Any, dict, str, dict], None]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after the module's entries and those below it are
        made; it may change the state_dict in place, and must return None (RuntimeError)."""
        return register_hook(self._state_dict_post_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`
        before the module's entries are looked up; it may change the state_dict (a copy) and the lists in place."""
        return register_hook(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[[Any, Any], None]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after the module and those below it were loaded.

        It may change the lists missing_keys and unexpected_keys in place: what is left in them is what a strict load
        complains of. Must return None (AssertionError).
        """
        return register_hook(self._load_state_dict_post_hooks, hook)
