"""NumPy's numbers, and tensors and arrays of one number, as settings: what Python's own numbers give, in the same types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from compare.gradients.derivatives import draw_inputs, flat
from tests.cases import Checked, every_case

FLOATS: dict[str, Callable[[Any, float], Any]] = {
    "float64": lambda _, x: np.float64(x),
    "float32": lambda _, x: np.float32(x),
    "float16": lambda _, x: np.float16(x),
    "0-d tensor": lambda framework, x: framework.tensor(x),
}
INTS: dict[str, Callable[[Any, int], Any]] = {
    "int64": lambda _, n: np.int64(n),
    "int32": lambda _, n: np.int32(n),
    "uint8": lambda _, n: np.uint8(n) if n >= 0 else np.int8(n),
    "0-d array": lambda _, n: np.array(n),
    "0-d tensor": lambda framework, n: framework.tensor(n),
}
OTHER_MEANING = ("clamp", "clip", "max", "min", "scatter")
"""Where a tensor in place of a number is another argument: max(x, other), scatter(..., src)."""
POSITIONAL = ("std", "std_mean", "var", "var_mean")
"""Whose second argument, if it is a bool, is torch's old `unbiased`."""


def replaced(given: Any, kind: type, new: Callable[[Any], Any]) -> Any:
    """The setting with every number of a kind in another form: within lists and tuples too."""
    if type(given) is kind:
        return new(given)
    if type(given) in (list, tuple):
        return type(given)([replaced(x, kind, new) for x in given])
    return given


def is_tensor(x: Any) -> bool:
    """Whether `check` makes a tensor of this input: a Given, a Drawn, a shape."""
    return hasattr(x, "array") or (isinstance(x, tuple) and all(type(n) is int for n in x))


def settings(case: Checked) -> list[Any]:
    """What is no tensor among a case's arguments."""
    named = [v for v in case.kwargs.values() if not hasattr(v, "array")]
    return [x for x in case.inputs if not is_tensor(x)] + named


def has(case: Checked, kind: type) -> bool:
    seen: list[Any] = []
    for x in settings(case):
        replaced(x, kind, seen.append)
    return bool(seen)


def differing(kind: type) -> dict[str, list[Checked]]:
    """By name, the cases with settings of this kind, one for each way of giving them."""
    found: dict[str, dict[str, Checked]] = {}
    for case in every_case():
        if has(case, kind):
            given = [type(x).__name__ for x in case.inputs], sorted(case.kwargs)
            found.setdefault(case.name, {}).setdefault(repr(given), case)
    return {name: list(ways.values()) for name, ways in found.items()}


WITH_FLOATS, WITH_INTS = differing(float), differing(int)


def run(
    framework: Any, case: Checked, change: Callable[[Any], Any], backward: bool = True, device: str = "cpu"
) -> list[Any]:
    """Outputs and gradients, in float32, with the settings changed."""
    leaves = []

    def tensor(a: np.ndarray, requires_grad: bool = True) -> Any:
        made = framework.from_numpy(a.astype(np.float32) if a.dtype == np.float64 else a.copy())
        made = made.to(device) if framework is minigrad else made
        if a.dtype.kind == "f" and requires_grad:
            leaves.append(made.requires_grad_())
        return made

    drawn = draw_inputs(case.inputs, np.random.default_rng(0))
    args = [tensor(array) if is_tensor(x) else change(x) for x, array in zip(case.inputs, drawn, strict=True)]
    named = {
        k: tensor(v, False) if isinstance(v, np.ndarray) else v if hasattr(v, "array") else change(v)
        for k, v in case.kwargs.items()
    }
    found = [x for x in flat(case.called(framework)(*args, **named)) if hasattr(x, "dtype")]
    roots = [y for y in found if y.requires_grad]
    if backward and roots:
        sum(y.sum() for y in roots).backward()
        found += [x.grad for x in leaves]
    return found


def torch_takes(case: Checked, change: Callable[[Any], Any]) -> bool:
    try:
        run(torch, case, change, backward=False)
    except Exception:
        return False
    return True


def same(ours: list[Any], plain: list[Any], label: str) -> None:
    assert len(ours) == len(plain), label
    for a, b in zip(ours, plain, strict=True):
        assert (a is None) == (b is None), label
        if a is not None:
            assert a.dtype == b.dtype, f"{label}: {a.dtype} where a Python number gives {b.dtype}"
            np.testing.assert_array_equal(a.detach().numpy(force=True), b.detach().numpy(force=True), label)


def hold(found: list[Checked], kind: type, forms: dict[str, Any], device: str) -> None:
    """Each case with its numbers in each form that torch takes there, against Python's numbers of the same values."""
    for case in found:
        for form, new in forms.items():
            if form == "0-d tensor" and (case.name in OTHER_MEANING or device != "cpu"):
                continue

            def given(framework: Any, new: Any = new) -> Any:
                return lambda setting: replaced(setting, kind, lambda x: new(framework, x))

            if not torch_takes(case, given(torch)):
                continue
            value = (lambda x, new=new: float(new(minigrad, x))) if kind is float else int
            try:
                plain = run(minigrad, case, lambda setting, value=value: replaced(setting, kind, value), device=device)
            except NotImplementedError:  # sums of integers on a GPU
                continue
            same(run(minigrad, case, given(minigrad), device=device), plain, f"{case.name} {settings(case)}, {form}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WITH_FLOATS)
def test_floats(name: str, device: str) -> None:
    """leaky_relu(x, np.float64(.1)) is leaky_relu(x, .1): the values, the gradients and their types."""
    hold(WITH_FLOATS[name], float, FLOATS, device)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WITH_INTS)
def test_ints(name: str, device: str) -> None:
    """Kernel sizes, strides, sizes, counts, axes: NumPy's integers and whatever is an index."""
    hold(WITH_INTS[name], int, INTS if device == "cpu" else {"int64": INTS["int64"]}, device)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in WITH_INTS if name not in POSITIONAL])
def test_bools_are_no_integers(name: str) -> None:
    """Where torch refuses True as a size, a stride, an axis, so does minigrad."""
    for case in WITH_INTS[name]:

        def change(setting: Any) -> Any:
            return replaced(setting, int, bool)

        if torch_takes(case, lambda setting: setting) and not torch_takes(case, change):
            with pytest.raises((TypeError, RuntimeError, IndexError, ValueError)):
                run(minigrad, case, change, backward=False)
                pytest.fail(f"{name} takes bools for {settings(case)}")
