"""One line a name: `case("nn.functional.gelu", (4, 5))` is a call in both frameworks, with inputs drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import minigrad
from compare.gradients.derivatives import (
    DIRECTIONS,
    SEEDS,
    Given,
    Outcome,
    cast,
    draw_inputs,
    resolve,
    run_minigrad,
    run_torch,
)

Call = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A call of `name` in both frameworks. call, if given: what is called instead, as call(framework, *inputs, **kwargs)."""

    name: str
    inputs: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    call: Call | None = None
    torch_call: Call | None = None  # where torch has no such function, as torch_call(*inputs, **kwargs)
    order: int = 2
    single: bool = True  # whether it takes float32
    as_list: bool = False  # whether the inputs are given as one list
    note: str | None = None  # what a reader of the row must know

    def __str__(self) -> str:
        named = [f"{key}={value}" for key, value in self.kwargs.items() if not isinstance(value, np.ndarray)]
        return f"{self.name}({', '.join([*map(_shown, self.inputs), *named])})"

    def outcome(self, track: str, dtype: Any, seed: int) -> Outcome:
        """What a framework ("minigrad", "definition", "torch") computes, of float32's numbers in that precision."""
        drawn = draw_inputs(self.inputs, np.random.default_rng(seed))
        arrays, kwargs = (
            cast(cast(given, np.float64, np.float32), np.float32, dtype) for given in (drawn, self.kwargs)
        )
        cotangents, directions = ([1000 * seed + s for s in seeds] for seeds in (SEEDS, DIRECTIONS))
        if track == "torch":
            with sdpa_kernel(SDPBackend.MATH):  # torch's fast attention has no second gradient
                return run_torch(self.called(torch), arrays, kwargs, cotangents, directions, self.order)
        with minigrad.definitions() if track == "definition" else nullcontext():
            return run_minigrad(self.called(minigrad), arrays, kwargs, cotangents, directions, "cpu", self.order)

    def called(self, framework: Any) -> Call:
        """What is called with the inputs, minigrad's or torch's."""
        if framework is torch and self.torch_call is not None:
            return self.torch_call
        function = resolve(framework, self.name) if self.call is None else partial(self.call, framework)
        return (lambda *inputs, **kwargs: function(list(inputs), **kwargs)) if self.as_list else function


def _shown(x: Any) -> str:
    """An input in few letters: the shape of what is drawn, a number as it is."""
    if isinstance(x, Given):
        return f"{np.asarray(x.values).dtype}{np.shape(x.values)}"
    return str(getattr(x, "shape", x))


class Cases:
    """The cases of many names. `kind`: what a case is noted as, whose fields are the options of `case`."""

    kind: type[Case] = Case

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.by_name: dict[str, list[Any]] = {}

    def case(self, names: str, *inputs: Any, **kwargs: Any) -> None:
        """A case of each of the names, which spaces part. kwargs: the case's options by their names, and the call's own."""
        options = {f.name: kwargs.pop(f.name) for f in fields(self.kind)[3:] if f.name in kwargs}
        for name in names.split():
            made = self.kind(self.prefix + name, inputs, kwargs, **options)
            self.by_name.setdefault(made.name, []).append(made)


def renamed(case: Case, name: str) -> Case:
    """The same call by another name of the function."""
    return replace(case, name=name)


NOT_IN_PLACE = "acosh arccosh asinh arcsinh atanh arctanh".split()
"""Of these torch has no gradient in place."""


def in_place(case: Case, name: str) -> Case:
    """The call of the form that writes into its first input: of `x * 1`, since a leaf may not be changed."""

    def call(framework: Any, x: Any, *rest: Any, **kwargs: Any) -> Any:
        y = x * 1
        result = resolve(framework, name)(y, *rest, **kwargs)
        return y, result

    def apart(x: torch.Tensor, *rest: Any, **kwargs: Any) -> Any:
        y = (case.torch_call or resolve(torch, case.name))(x, *rest, **kwargs)
        return y, y

    if case.name in NOT_IN_PLACE:
        note = "against torch's function that is not in place: it has no gradient of the other"
        return replace(case, name=name, call=call, torch_call=apart, note=note)
    return replace(case, name=name, call=call, torch_call=apart if case.torch_call else None)
