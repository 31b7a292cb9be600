"""The tables of op tests: a line a call on which minigrad and torch must agree, a line a call that both must refuse.

    T = Table("nn.functional.")
    T.case("softmax", (2, 3), dim=1)          values, dtypes and both gradients are torch's: see tests/checking.py
    T.refusal("softmax", (2, 3), dim=2)       minigrad raises what an `except` for torch's exception catches

Each file of tests/ops has a table of its family, `T`; `every_case` reads them all, for what every op has to do. The table of
`python -m compare gradients`, a case or two of every name, is made of the same cases (compare/gradients/cases.py).
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import minigrad
import minigrad.linalg
import minigrad.nn.functional
import minigrad.special
from compare.gradients.cases import Case, Cases
from tests.checking import Drawn, Given, check, resolve

INDEX = np.int64
INF, NAN = float("inf"), float("nan")
KINKED: dict[str, Any] = {"differences": False}
"""For inputs that sit on a kink: torch's choice of gradient is the measure, not finite differences."""


def agree(case: Case, device: str, **options: Any) -> None:
    """What tests/checking.py compares, of a case. options: `check`'s own."""
    with sdpa_kernel(SDPBackend.MATH):  # torch's fast kernels of attention have no second gradient
        check(
            case.name, *case.inputs, device=device, order=case.order,
            minigrad_call=case.called(minigrad), torch_call=case.called(torch), **options, **case.kwargs,
        )  # fmt: skip


@dataclass(frozen=True)
class Checked(Case):
    """A case with the options of its check."""

    differences: bool = True  # whether finite differences make sense
    layouts: bool = True  # whether inputs are laid out in memory in every way
    seed: int = 0
    how: Callable[[Checked, str], None] | None = None  # a check of another kind, as how(case, device)

    def run(self, device: str) -> None:
        """Fails where minigrad and torch disagree."""
        if self.how is not None:
            self.how(replace(self, how=None), device)
        else:
            options = {"differences": self.differences, "layouts": self.layouts, "seed": self.seed}
            agree(self, device, float32=self.single, **options)


class Table(Cases):
    """The cases and refusals of one file."""

    kind = Checked

    def __init__(self, prefix: str = "") -> None:
        super().__init__(prefix)
        self.refused: dict[str, list[tuple[Any, ...]]] = {}

    @property
    def cases(self) -> dict[str, Checked]:
        """Every case, numbered within its name."""
        return _numbered(self.by_name)

    @property
    def refusals(self) -> dict[str, tuple[Any, ...]]:
        """(name, inputs, kwargs) of every call that is refused."""
        return _numbered(self.refused)

    def refusal(self, name: str, *inputs: Any, **kwargs: Any) -> None:
        """A call that torch and minigrad both refuse: shapes are zeros, Given and arrays tensors; or functions of them."""
        self.refused.setdefault(name, []).append((self.prefix + name, inputs, kwargs))

    def run(self, key: str, device: str) -> None:
        """One case, on a device. torch does not warn of NaN and inf, so minigrad may not."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of what is deprecated, in either framework
            warnings.filterwarnings("error", category=RuntimeWarning, module=r"minigrad\.(ops|backends)")
            self.cases[key].run(device)

    def refuse(self, key: str, device: str) -> None:
        """Both raise, minigrad what an `except` for torch's exception catches."""
        name, inputs, kwargs = self.refusals[key]
        raised = []
        for framework in (torch, minigrad):
            given = [_given(x, framework, device) for x in inputs]
            named = {k: v if isinstance(v, tuple) else _given(v, framework, device) for k, v in kwargs.items()}
            call = given.pop(0) if callable(inputs[0]) else resolve(framework, name)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = call(*given, **named)
                    minigrad.synchronize(device)  # a GPU's kernels raise what they find there
            except Exception as error:
                raised.append(error)
            else:
                raise AssertionError(f"{name} of {framework.__name__} does not refuse, but gives {result}")
        theirs, ours = raised
        assert isinstance(ours, type(theirs)), f"{name}: {ours!r} against torch's {theirs!r}"
        assert str(ours), f"{name} refuses with an empty message"


def _numbered(by_name: dict[str, list[Any]]) -> dict[str, Any]:
    return {f"{name}#{i}" if i else name: one for name, listed in by_name.items() for i, one in enumerate(listed)}


def _given(x: Any, framework: Any, device: str) -> Any:
    """A tensor for a shape (of zeros), a Given or an array; a list of tensors for a list of those; anything else as it is."""
    if isinstance(x, list) and x and all(isinstance(part, (tuple, Given)) for part in x):
        return [_given(part, framework, device) for part in x]
    if isinstance(x, Drawn) or isinstance(x, tuple) and all(isinstance(n, int) for n in x):
        x = np.zeros(x.shape if isinstance(x, Drawn) else x)
    elif isinstance(x, Given):
        x = x.array()
    if not isinstance(x, np.ndarray):
        return x
    tensor = framework.from_numpy(x.copy())
    return tensor.to(device) if framework is minigrad else tensor


def values(case: Checked, device: str) -> None:
    """A check of values alone: what goes in is detached."""

    def call(framework: Any, *inputs: Any, **kwargs: Any) -> Any:
        return case.called(framework)(*[x.detach() if hasattr(x, "detach") else x for x in inputs], **kwargs)

    replace(case, call=call, torch_call=None, as_list=False).run(device)


FAMILIES = (
    "activation", "attention", "edges", "elementwise", "indexing", "losses", "matmul", "multihead", "networks",
    "normalization", "reduction", "shape", "windows",
)  # fmt: skip


def family(name: str) -> Table:
    """The table of tests/ops/test_<name>.py."""
    return importlib.import_module(f"tests.ops.test_{name}").T


def every_case() -> Iterator[Checked]:
    """The cases of all families."""
    for name in FAMILIES:
        yield from family(name).cases.values()
