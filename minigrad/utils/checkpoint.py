"""Activation checkpointing: compute again, in the backward pass, what a part of the network would have to keep.

Within checkpoint(f, x) a node saves nothing but a number. When the backward pass asks for the first of them, f runs once
more, and what it saves this time is handed out. So between the passes only f's inputs are kept, for one more forward.

Source: T. Chen, B. Xu, C. Zhang, C. Guestrin, Training Deep Nets with Sublinear Memory Cost (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from minigrad.autograd.graph import saved_tensors_hooks
from minigrad.autograd.observer import only_observers
from minigrad.grad_mode import enable_grad, state
from minigrad.random import default_generator
from minigrad.tensor import Memory, Tensor, describe

Contexts = Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function saved other tensors than the first."""


class _Enough(BaseException):
    """The second run has saved all that is needed."""


def noop_context_fn() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """The default of context_fn."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    context_fn: Contexts = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs), with the same gradients, keeping its inputs instead of what it saves for them.

    function must do the same when it runs again. preserve_rng_state: it draws the same numbers from the default generator
    then, so that dropout's masks are the same. context_fn: makes a context for the first run and one for the second.
    determinism_check: "default" compares shapes and types of what both runs saved, "none" their number only. early_stop: the
    second run ends as soon as all is there. Works with create_graph, retain_graph, grad() and nested.

    This is torch's variant of use_reentrant=False, here the default; the other, and debug, raise NotImplementedError.
    Raises CheckpointError, in the backward pass, if the runs differ, and RuntimeError if an input was changed in between.
    """
    if use_reentrant or debug:
        raise NotImplementedError(
            "checkpoint: use_reentrant=True and debug=True are not built: use use_reentrant=False"
        )
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be 'default' or 'none', got {determinism_check!r}")
    if not state.grad:
        return function(*args, **kwargs)
    first, second = context_fn()
    frame = _Frame(function, args, kwargs, preserve_rng_state, second, determinism_check == "default", early_stop)
    with first, saved_tensors_hooks(frame.pack, frame.unpack):
        return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """The functions (a Sequential, or a list) one after the other on input, in `segments` checkpoints; the last part plain."""
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    parts = list(functions)
    size = len(parts) // segments

    def run(start: int, end: int) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for part in parts[start:end]:
                x = part(x)
            return x

        return forward

    end = size * (segments - 1)
    for start in range(0, end, size or 1):
        input = checkpoint(run(start, start + size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return run(end, len(parts))(input)


class _Frame:
    """One call of checkpoint: what its nodes would have saved, made again when it is asked for."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], preserve_rng_state: bool,
        context: AbstractContextManager[Any], check_forms: bool, early_stop: bool,
    ) -> None:  # fmt: skip
        self.function, self.args, self.kwargs = function, args, kwargs
        self.context, self.check_forms, self.early_stop = context, check_forms, early_stop
        self.random = default_generator.get_state() if preserve_rng_state else None
        self.definitions = state.definitions
        self.versions = [x.version if isinstance(x, Tensor) else 0 for x in args]
        self.forms: list[tuple[Any, ...]] = []
        self.memories: list[tuple[Memory, int]] = []
        self.made: dict[int, Tensor] = {}

    def pack(self, x: Tensor) -> int:
        """Notes a tensor's form, and lets go of it."""
        self.forms.append((x.shape, x.dtype, x.device))
        self.memories.append((x.memory, x.version))
        return len(self.forms) - 1

    def unpack(self, number: int) -> Tensor:
        """The tensor of that number, each handed out once for each time it is made."""
        memory, version = self.memories[number]
        if memory.changes != version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: a tensor of "
                f"{_form(self.forms[number])} that a checkpointed function used is at version {memory.changes}, but was at "
                f"{version}"
            )
        if number not in self.made:
            self.made = self._run_again()
        return self.made.pop(number)

    def _run_again(self) -> dict[int, Tensor]:
        for i, (x, version) in enumerate(zip(self.args, self.versions, strict=True)):
            if isinstance(x, Tensor) and x.version != version:
                raise RuntimeError(
                    f"argument {i} of a checkpointed function, {describe(x)}, has been modified by an inplace operation: it is "
                    f"at version {x.version}, but was at {version}, and the function cannot run on it again"
                )
        made: list[Tensor] = []

        def keep(x: Tensor) -> None:
            made.append(x)
            if self.early_stop and len(made) == len(self.forms):
                raise _Enough

        args = [x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in self.args]
        with self._as_before(), saved_tensors_hooks(keep, _never):
            try:
                self.function(*args, **self.kwargs)
            except _Enough:
                pass
        self._compare(made)
        return dict(enumerate(made))

    @contextmanager
    def _as_before(self) -> Iterator[None]:
        """The switches and the random numbers of the first run."""
        random, definitions = default_generator.get_state(), state.definitions
        state.definitions = self.definitions
        if self.random is not None:
            default_generator.set_state(self.random)
        try:
            with only_observers(), enable_grad(), self.context:
                yield
        finally:
            state.definitions = definitions
            if self.random is not None:
                default_generator.set_state(random)

    def _compare(self, made: Sequence[Tensor]) -> None:
        if len(made) != len(self.forms):
            raise CheckpointError(
                "checkpoint: A different number of tensors was saved during the original forward and recomputation: "
                f"{len(self.forms)}, then {len(made)}. The function must do the same when it runs again."
            )
        for i, (x, form) in enumerate(zip(made, self.forms, strict=True)):
            if self.check_forms and (x.shape, x.dtype, x.device) != form:
                raise CheckpointError(
                    "checkpoint: Recomputed values for the following tensors have different metadata than during the forward "
                    f"pass: tensor {i} was {_form(form)}, and is {describe(x)}"
                )


def _form(form: tuple[Any, ...]) -> str:
    shape, dtype, device = form
    return f"{dtype}{list(shape)} on {device}"


def _never(packed: Any) -> Tensor:
    raise AssertionError("the graph of a second run is not gone back through")
