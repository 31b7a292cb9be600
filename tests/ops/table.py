"""Cases of one test file: a line a case, a line a refusal."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

import minigrad
import minigrad.linalg
from tests.checking import Drawn, Given, check, resolve

INDEX = np.int64
INF, NAN = float("inf"), float("nan")
kinked = partial(check, differences=False)  # inputs that sit on a kink: torch's choice of gradient is the measure


class Table:
    """`case(name, *inputs, **kwargs)` is a call of check; `refusal(...)` a call that torch and minigrad both refuse."""

    def __init__(self) -> None:
        self.cases: dict[str, tuple[Any, ...]] = {}
        self.refusals: dict[str, tuple[Any, ...]] = {}

    def case(self, name: str, *inputs: Any, how: Any = check, **kwargs: Any) -> None:
        self._note(self.cases, name, (how, name, inputs, kwargs))

    def refusal(self, name: str, *inputs: Any, **kwargs: Any) -> None:
        self._note(self.refusals, name, (name, inputs, kwargs))

    @staticmethod
    def _note(table: dict[str, tuple[Any, ...]], name: str, entry: tuple[Any, ...]) -> None:
        count = sum(key.split("#")[0] == name for key in table)
        table[f"{name}#{count}" if count else name] = entry

    def run(self, key: str, device: str) -> None:
        """One case, on a device."""
        how, name, inputs, kwargs = self.cases[key]
        how(name, *inputs, device=device, **kwargs)

    def refuse(self, key: str, device: str) -> None:
        """Both raise, minigrad what an `except` for torch's exception catches."""
        name, inputs, kwargs = self.refusals[key]
        raised = []
        for framework in (torch, minigrad):
            given = [_given(x, framework, device) for x in inputs]
            named = {k: _given(x, framework, device) if isinstance(x, Given) else x for k, x in kwargs.items()}
            call = inputs[0] if callable(inputs[0]) else resolve(framework, name)
            try:
                result = call(*given[1:], **named) if callable(inputs[0]) else call(*given, **named)
            except Exception as error:
                raised.append(error)
            else:
                raise AssertionError(f"{name} of {framework.__name__} does not refuse, but gives {result}")
        theirs, ours = raised
        assert isinstance(ours, type(theirs)), f"{name}: {ours!r} against torch's {theirs!r}"
        assert str(ours), f"{name} refuses without a word"


def _given(x: Any, framework: Any, device: str) -> Any:
    """Shapes are zeros, Given are tensors; anything else is what it is. A list of shapes is a list of tensors."""
    if isinstance(x, list) and x and all(isinstance(part, (tuple, Given)) for part in x):
        return [_given(part, framework, device) for part in x]
    if isinstance(x, (tuple, Drawn)) and all(isinstance(n, int) for n in (x if isinstance(x, tuple) else x.shape)):
        x = Given(np.zeros(x if isinstance(x, tuple) else x.shape))
    if not isinstance(x, Given):
        return x
    tensor = framework.from_numpy(np.asarray(x.array()))
    return tensor.to(device) if framework is minigrad else tensor


def values(name: str, *inputs: Any, **kwargs: Any) -> None:
    """As check, without gradients."""

    def of(framework: Any) -> Any:
        def call(*xs: Any, **named: Any) -> Any:
            return resolve(framework, name)(*[x.detach() if hasattr(x, "detach") else x for x in xs], **named)

        return call

    check(name, *inputs, minigrad_call=of(minigrad), torch_call=of(torch), **kwargs)


def several(name: str) -> dict[str, Any]:
    """Arguments that make check call an op of a list of tensors with its inputs as that list."""
    return {
        "minigrad_call": lambda *xs, **kwargs: resolve(minigrad, name)(xs, **kwargs),
        "torch_call": lambda *xs, **kwargs: resolve(torch, name)(xs, **kwargs),
    }
