"""NumPy's spellings, wherever torch takes them: axis, keepdims, x, a, x1, x2."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import minigrad as mg
import minigrad.linalg
import minigrad.nn.functional
import minigrad.special
from minigrad.ops.public import PLACES
from tests.checking import resolve

NAMES = sorted(
    {name for name in mg.__all__ if callable(getattr(torch, name, None)) and name not in ("get_device", "Size")}
    | {f"{room}.{name}" for room in ("linalg", "special") for name in getattr(mg, room).__all__}
    | {"nn.functional.cosine_similarity"}
    | {f"Tensor.{name}" for name in PLACES["Tensor"] if hasattr(torch.Tensor, name)}
)


def calls(framework: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Arguments that one function or other can be called with."""
    x = framework.arange(1.0, 13.0).reshape(3, 4) / 13
    rows, cells = framework.tensor([0, 2]), framework.zeros(3, 4).long()
    extras: list[dict[str, Any]] = [
        {}, {"index": rows}, {"index": cells}, {"index": cells, "src": x}, {"index": rows, "source": x[:2]},
        {"index": rows, "value": 1.0}, {"indices": cells}, {"k": 2}, {"repeats": 2}, {"chunks": 2}, {"start": 1, "length": 1},
        {"index": 1}, {"sizes": (-1, 1)}, {"indices_or_sections": 3},
    ]  # fmt: skip
    for extra in extras:
        for named in ("input", "x", "a"):
            for place in (
                {},
                {"dim": 0},
                {"axis": 0},
                {"axis": (0, 1)},
                {"axis": -1, "keepdims": True},
                {"dim": 1, "keepdims": True},
            ):
                yield named, {named: x} | extra | place
    for first, second in (("input", "other"), ("x1", "x2"), ("x", "x2"), ("a", "other")):
        yield first, {first: x, second: x + 0.5}
        yield first, {first: x, second: x + 0.5, "axis": 0}
    for place in ({"dim": 1}, {"axis": 1}):
        yield "tensors", {"tensors": [x, x]} | place


def result(framework: Any, name: str, kwargs: dict[str, Any], first: str) -> Any:
    """What the call gives, as plain numbers; None if it is refused."""
    if name.startswith("Tensor."):
        kwargs = dict(kwargs)
        if first == "tensors" or first != "input":
            return None
        call: Callable[..., Any] = getattr(kwargs.pop("input"), name[7:])
    else:
        call = resolve(framework, name)
    try:
        found = call(**kwargs)
    except (TypeError, RuntimeError, IndexError, ValueError, NotImplementedError):
        return None
    return numbers(found)


def numbers(x: Any) -> list[Any]:
    """All numbers of nested tuples of tensors."""
    if isinstance(x, (tuple, list)):
        return [number for part in x for number in numbers(part)]
    return [float(v) for v in x.reshape(-1).tolist()] if isinstance(x, (mg.Tensor, torch.Tensor)) else []


@pytest.mark.parametrize("name", NAMES)
def test_taken_wherever_torch_takes_them(name: str) -> None:
    random = any(word in name for word in ("rand", "bernoulli", "multinomial", "normal", "empty", "dropout"))
    for (first, ours), (_, theirs) in zip(calls(mg), calls(torch), strict=True):
        alias = {"axis", "keepdims", "x", "a", "x1", "x2"} & theirs.keys()
        if alias and not (first == "input" and not {"axis", "keepdims", "x2"} & theirs.keys()):
            expected = result(torch, name, theirs, first)
            if expected is not None and not random:
                found = result(mg, name, ours, first)
                assert found is not None, f"{name}({', '.join(theirs)}) is refused"
                assert found == pytest.approx(expected, rel=1e-4, nan_ok=True), f"{name}({', '.join(theirs)})"


@pytest.mark.parametrize(
    "place", ["mg.sum(x, 0, axis=0)", "x.sum(dim=0, axis=0)", "x.mean(keepdim=True, keepdims=True)"]
)
def test_one_argument_twice_is_an_error(place: str) -> None:
    with pytest.raises(TypeError):
        eval(place, {"x": mg.ones(2, 2), "mg": mg})


def test_gradients_and_in_place_forms() -> None:
    x = mg.ones(2, 3, requires_grad=True)
    x.sum(axis=1, keepdims=True).mul(mg.ones(2, 1) * 2).sum().backward()
    assert x.grad.tolist() == [[2.0] * 3] * 2
    assert mg.ones(2, 3).cumsum_(axis=1).tolist() == [[1.0, 2.0, 3.0]] * 2


def test_functions_are_still_themselves() -> None:
    for function in (mg.sum, mg.exp, mg.softmax, mg.linalg.vector_norm, mg.special.softmax, mg.cat):
        assert pickle.loads(pickle.dumps(function)) is function and function.__doc__
    assert list(inspect.signature(mg.sum).parameters) == ["input", "dim", "keepdim", "dtype"]
