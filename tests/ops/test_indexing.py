"""Taking out and putting back: every kind of index, gather and scatter and their kin, against torch: a line a case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from tests.cases import INDEX, NAN, Checked, Table, values
from tests.checking import Drawn, Given, check

T = Table()
case, refusal = T.case, T.refusal
FLAT = Given([0, 2], INDEX)
PLACES = Given([[0, 2], [3, 1], [2, 2]], INDEX)
NARROW = Given([[0, 2, 1, 1]], np.int32)
MASK = Given([[True, False, True]])
EMPTY = Given(np.zeros((0, 4)), INDEX)


def counted(case: Checked, device: str) -> None:
    """Adding up integers at given places is refused on a GPU, where that kernel is for floats alone."""
    if device == "cpu" or case.name == "scatter":
        case.run(device)
        return
    with pytest.raises(NotImplementedError, match="int64"):
        case.run(device)


# -- taking
case("gather", (3, 4), 1, PLACES)
case("gather", (3, 4), -1, PLACES)
case("gather", (3, 4), 0, NARROW)
case("gather", (2, 3, 4), 1, Given(np.arange(8).reshape(2, 1, 4) % 3, INDEX))
case("gather", (), 0, Given(0, INDEX))
case("gather", (), 0, Given([0, 0], INDEX))
case("gather", (5,), 0, Given(3, INDEX))
case("gather", (3, 4), 0, EMPTY)
case("gather", Given([[1, 2], [3, 4]], INDEX), 1, Given([[1], [0]], INDEX))
for wrong in (
    Given([0], INDEX),
    Given([[4]], INDEX),
    Given([[-1]], INDEX),
    Given([[0.0]]),
    Given(np.zeros((4, 1)), INDEX),
):
    refusal("gather", (3, 4), 1, wrong)
refusal("gather", (3, 4), 2, PLACES)
case("take_along_dim", (3, 4), PLACES, 1)
case("take_along_dim", (3, 4), Given([[1], [-1]], INDEX), 0)
case("take_along_dim", (3, 1), Given([[0, 0, 0]], INDEX), 1)
case("take_along_dim", (3, 4), Given([11, 0], INDEX))
refusal("take_along_dim", (3, 4), Given([1], INDEX), 1)
case("take_along_dim", (3, 4), Given([[9], [-1], [-6]], INDEX), 1)
refusal("take_along_dim", (0, 4), Given([[0]], INDEX), 0)
case("take", (3, 4), Given([[0, 11], [-1, 5]], INDEX))
case("take", (3, 4), Given(3, INDEX))
case("take", (), Given([0], INDEX))
refusal("take", (3, 4), Given([12], INDEX))
refusal("take", (3, 4), (2,))
for dim in (0, 1, -1):
    case("index_select", (3, 4), dim, Given([2, 0, 2], INDEX))
case("index_select", (3, 4), 0, Given(1, np.int32))
case("index_select", (), 0, Given([0], INDEX))
case("index_select", (3, 4), 0, Given([], INDEX))
refusal("index_select", (3, 4), 0, (2,))
refusal("index_select", (3, 4), 0, Given([[1]], INDEX))
refusal("index_select", (3, 4), 2, FLAT)
case("masked_select", (2, 3), MASK)
case("masked_select", (3,), Given([[True, False, True], [True, True, False]]))
case("masked_select", (2, 3), Given(True))
case("masked_select", (0, 3), MASK)
refusal("masked_select", (2, 3), (2, 3))
refusal("masked_select", (2, 3), Given([True, False]))
SPARSE = Given([[1.0, 0.0, NAN], [0.0, -2.0, 0.0]])
for x in (SPARSE, Given([True, False]), Given(3.0), Given(0.0), Given(np.zeros((0, 2))), Given([0, 7], np.uint8)):
    case("nonzero", x, how=values)
    case("nonzero", x, as_tuple=True, how=values)
    case("argwhere", x, how=values)
case("gather", (3, 4), 1, Given([[0, 0], [3, 1], [2, 2]], INDEX))
case("gather", (3, 4), 0, Given([[0, 2, 1, 1]], INDEX))
case("scatter_add", (3, 4), 1, Given([[0, 0], [3, 1], [2, 2]], INDEX), (3, 2))
case("nn.functional.one_hot", Given([0, 2, 1], INDEX), 4)
case("nonzero", Given([[1.0, 0.0], [0.0, 2.0]]), order=0)
# -- putting
for op in ("scatter", "scatter_add"):
    case(op, (3, 4), 1, Given([[0, 2], [3, 1], [2, 0]], INDEX), (3, 2))
    case(op, (3, 4), -1, Given([[0, 2], [3, 1]], INDEX), (3, 5), how=values)  # torch has no gradient
    case(op, (3, 4), 0, NARROW, (2, 4), how=values)
    case(op, (3, 4), 0, NARROW, (1, 4))
    case(op, (), 0, Given(0, INDEX), ())
    case(op, (), 0, Given([0], INDEX), (1,))
    case(op, (3, 4), 0, EMPTY, (0, 4), order=1)
    case(op, Given([1, 2, 3], INDEX), 0, FLAT, Given([7, 8], INDEX), how=counted)
    refusal(op, (3, 4), 1, FLAT, (2,))
    refusal(op, (3, 4), 1, Given([[4]], INDEX), (1, 1))
    refusal(op, (3, 4), 1, Given([[-1]], INDEX), (1, 1))
    refusal(op, (3, 4), 1, PLACES, (3, 1))
    refusal(op, (3, 4), 1, Given(np.zeros((4, 1)), INDEX), (4, 1))
    refusal(op, (3, 4), 1, Given([[0]], INDEX), Given([[1]], INDEX))
    refusal(op, (3, 4), 2, PLACES, (3, 2))
    refusal(op, (3, 4), 1, (1, 1), (1, 1))
case("scatter_add", (3, 4), 1, PLACES, (3, 2))
case("scatter", (3, 4), 1, PLACES, 1.5)
case("scatter", (3, 4), 1, PLACES, value=1.5)
case("scatter", (3, 4), 1, PLACES, 2.0, reduce="add", order=0, how=values)
case("Tensor.scatter", Given([1, 2, 3], INDEX), 0, FLAT, 7)
for dim in (0, 1, -1):
    shape = (2, 4) if dim == 0 else (3, 2)
    case("index_add", (3, 4), dim, FLAT, shape)
    case("index_add", (3, 4), dim, Given([1, 1], INDEX), shape, alpha=2.5)
    case("index_copy", (3, 4), dim, FLAT, shape)
    case("index_fill", (3, 4), dim, FLAT, 1.5)
    case("index_fill", (3, 4), dim, Given([1, 1], INDEX), ())
    case("index_fill", (3, 4), dim, Given([-1, -2], INDEX), (), how=values)  # torch has no gradient
case("index_add", (), 0, Given([0], INDEX), ())
case("index_copy", (), 0, Given([0], INDEX), (1,))
case("index_fill", (), 0, Given([0], INDEX), 2.0)
case("index_add", (3,), 0, Given(1, INDEX), (1,))
case("index_add", (3, 4), 0, Given([], INDEX), (0, 4))
case("index_add", Given([1, 2], INDEX), 0, Given([1], INDEX), Given([5], INDEX), alpha=3, how=counted)
for op, error in (("index_add", (1, 4)), ("index_copy", (1, 4))):
    refusal(op, (3, 4), 0, Given([3], INDEX), error)
    refusal(op, (3, 4), 0, Given([-1], INDEX), error)
    refusal(op, (3, 4), 0, FLAT, error)
    refusal(op, (3, 4), 0, Given([0], INDEX), (1, 5))
    refusal(op, (3, 4), 0, Given([0], INDEX), Given([[1, 2, 3, 4]], INDEX))
    refusal(op, (3, 4), 2, Given([0], INDEX), error)
refusal("index_fill", (3, 4), 0, Given([3], INDEX), 1.0)
refusal("index_fill", (3, 4), 0, FLAT, (2,))
refusal("index_add", (3, 4), 0, Given([[0]], INDEX), (1, 4))
for accumulate in (False, True):
    repeated = Given([0, 5, 0] if accumulate else [0, 5, -2], INDEX)
    case("Tensor.put", (3, 4), repeated, (3,), accumulate)
    case("Tensor.put", (3, 4), Given([[1], [2]], INDEX), (1, 2), accumulate)
refusal("Tensor.put", (3, 4), FLAT, (3,))
refusal("Tensor.put", (3, 4), Given([12], INDEX), (1,))
refusal("Tensor.put", (3, 4), FLAT, Given([1, 2], INDEX))
case("masked_scatter", (2, 3), MASK, (5,))
case("masked_scatter", (2, 3), Given([[True, False, True], [False, True, True]]), (2, 2))
case("masked_scatter", (3,), Given([[True, False, True], [False, True, True]]), (4,))
refusal("masked_scatter", (2, 3), MASK, (3,))
refusal("masked_scatter", (2, 3), (2, 3), (6,))
refusal("masked_scatter", (2, 3), MASK, Given([1, 2, 3, 4], INDEX))


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


# -- x[index], and assignment

CUBE = np.arange(36).reshape(3, 3, 4) % 3 == 0
INDICES: dict[str, Any] = {
    "int": 1, "negative": -1, "slice": slice(1, 3), "step": slice(None, None, 2), "ellipsis": (..., 0), "none": (None, 1),
    "tuple": (0, slice(None), 2), "list": [0, 2], "arrays": ([0, 2], [1, 1]), "outer": ([[0], [2]], [[1, 0]]),
    "mixed": (slice(None), [1, 0]), "split": ([0, 1], slice(None), [2, 3]), "mask": CUBE, "none last": (..., None),
    "row mask": np.array([True, False, True]), "empty": [], "all": (), "true": True, "none and array": (None, [0, 1]),
    "false": False, "number then array": (0, slice(None), [1, 2]), "array then number": ([0, 1], slice(None), 0),
    "number beside array": (slice(None), 0, [1, 2]), "number, none, array": (0, None, slice(None), [1, 2]),
    "number and mask": (0, np.array([True, False, True])), "mask then number": (np.eye(3, dtype=bool), 1),
    "ellipsis and array": (..., [0, 3]), "array, ellipsis, number": ([0, 2], ..., 1), "element": (0, 1, 2),
    "negative array": [-1, 0], "slices": (slice(1, 3), slice(0, 2), slice(None, None, 3)), "nothing": slice(2, 2),
    "past the end": slice(1, 99), "slice and array": (slice(0, 2), slice(None), [3, 0]), "two masks":
    (np.array([True, False, True]), np.array([False, True, True])), "array of one": (slice(None), [0], 1)
}  # fmt: skip


REPEATED: dict[str, Any] = {
    "list of repeated": [0, 0, 2], "arrays of repeated": ([0, 2, 0], [1, 1, 0]), "mixed, repeated": (slice(None), [1, 0, 1]),
}  # fmt: skip
"""To be read alone: of several values for one place, any may win."""


def indexed(framework: Any, index: Any, device: str | None = None) -> Any:
    """An index whose lists and arrays are the framework's own tensors."""

    def part(p: Any) -> Any:
        if not isinstance(p, (list, np.ndarray)):
            return p
        made = framework.from_numpy(np.array(p, None if np.array(p).dtype == bool else np.int64))
        return made if device is None else made.to(device)

    return tuple([part(p) for p in index]) if isinstance(index, tuple) else part(index)


@pytest.mark.parametrize("name", INDICES | REPEATED)
def test_getitem(name: str, device: str) -> None:
    index = (INDICES | REPEATED)[name]
    check("getitem", (3, 3, 4), device=device, minigrad_call=lambda x: x[indexed(minigrad, index, device)],
          torch_call=lambda x: x[indexed(torch, index)])  # fmt: skip


def assigned(framework: Any, index: Any, device: str | None, base: str) -> Any:
    def call(x: Any, v: Any) -> Any:
        y = (x * 2).permute(1, 0, 2) if base == "view" else x * 2
        y[indexed(framework, index, device)] = v
        return y

    return call


@pytest.mark.parametrize("base", ["whole", "view"])
@pytest.mark.parametrize("value", ["one", "row", "whole"])
@pytest.mark.parametrize("name", INDICES)
def test_setitem(name: str, value: str, base: str, device: str) -> None:
    """In place, with the gradient of what was there and of what was put there."""
    index = INDICES[name]
    taken = tuple(torch.zeros(3, 3, 4)[indexed(torch, index)].shape)
    shape = {"one": (), "row": taken[-1:], "whole": taken}[value]
    call = assigned(minigrad, index, device, base)
    check("setitem", (3, 3, 4), Drawn(shape), device=device, minigrad_call=call,
          torch_call=assigned(torch, index, None, base), layouts=(value, base) == ("one", "whole"))  # fmt: skip


def test_setitem_of_a_value_with_leading_axes_of_length_one(device: str) -> None:
    def call(framework: Any, device: str | None) -> Any:
        def f(x: Any, v: Any) -> Any:
            y = x * 2
            y[indexed(framework, [0, 2], device)] = v
            return y * y

        return f

    check("setitem", (3, 4), (1, 1, 2, 4), device=device, minigrad_call=call(minigrad, device),
          torch_call=call(torch, None))  # fmt: skip


@pytest.mark.parametrize("name", INDICES)
def test_setitem_without_a_graph(name: str, device: str) -> None:
    """Numbers and tensors of other types, into a tensor of integers."""
    for value in (7, 2.9, True):
        ours, theirs = (f.zeros(3, 3, 4, dtype=f.int64) for f in (minigrad, torch))
        ours = ours.to(device)
        ours[indexed(minigrad, INDICES[name], device)] = value
        theirs[indexed(torch, INDICES[name])] = value
        ours[0, 0] = minigrad.tensor([1.7, 2.2, -3.8, 4.0], device=device)
        theirs[0, 0] = torch.tensor([1.7, 2.2, -3.8, 4.0])
        assert ours.tolist() == theirs.tolist()


ARRAYS = {name: index if isinstance(index, tuple) else (index,) for name, index in INDICES.items()}
ARRAYS = {k: v for k, v in ARRAYS.items() if v and all(isinstance(part, (list, np.ndarray)) for part in v)}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("accumulate", [False, True])
def test_index_put(name: str, accumulate: bool, device: str) -> None:
    parts = ARRAYS[name]
    taken = tuple(torch.zeros(3, 3, 4)[indexed(torch, parts)].shape)
    for shape in (taken, ()):
        check("index_put", (3, 3, 4), Drawn(shape), device=device, layouts=False,
              minigrad_call=lambda x, v: x.index_put(indexed(minigrad, parts, device), v, accumulate),
              torch_call=lambda x, v: x.index_put(indexed(torch, parts), v, accumulate))  # fmt: skip


def test_repeated_places_add_up(device: str) -> None:
    index = [0, 0, 2]
    for op in ("index_put", "index_add"):

        def call(framework: Any, op: str = op) -> Any:
            def f(x: Any, v: Any) -> Any:
                places = framework.from_numpy(np.array(index)).to(x.device)
                return x.index_put((places,), v, True) if op == "index_put" else x.index_add(0, places, v)

            return f

        check(op, (3, 3, 4), (3, 3, 4), device=device, minigrad_call=call(minigrad), torch_call=call(torch))


WRONG: dict[str, Any] = {
    "too many": (0, 0, 0, 0), "past the end": 3, "before the start": -4, "array past the end": ([0, 3],), "float": 1.0,
    "mask of another shape": np.array([True, False]), "step": slice(None, None, -1),
    "array deep": (slice(None), slice(None), [4]), "number past the end": (0, 3), "arrays that do not broadcast":
    ([0, 1], [0, 1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_index(name: str, device: str) -> None:
    for assign in (False, True):
        kinds = []
        for framework in (torch, minigrad):
            x = framework.zeros(3, 3, 4)
            x = x.to(device) if framework is minigrad else x
            index = indexed(framework, WRONG[name], None if framework is torch else device)
            with pytest.raises(Exception) as caught:
                if assign:
                    x[index] = 1.0
                else:
                    x[index]
                minigrad.synchronize(device)  # where a GPU's kernels say what they found
            kinds.append(caught.type)
        assert issubclass(kinds[1], kinds[0]), kinds


def test_wrong_values(device: str) -> None:
    x = minigrad.zeros(3, 4, device=device)
    for index in (0, (slice(None), 1), [0, 1]):
        with pytest.raises(RuntimeError, match=r"float32\[7\]"):
            x[index] = minigrad.zeros(7, device=device)
    with pytest.raises(TypeError, match="can't assign a str"):
        x[0] = "a"
    with pytest.raises(IndexError, match="0-dim"):
        minigrad.tensor(1.0)[0]
    with pytest.raises(IndexError, match="got float"):
        x[1.5]
    with pytest.raises(NotImplementedError, match="multiply"):
        x.scatter(0, minigrad.zeros(1, 1, dtype="int64", device=device), 2.0, reduce="multiply")


@pytest.mark.parametrize(
    "op", ["index_add", "index_copy", "index_fill", "scatter", "scatter_add", "put", "masked_scatter", "cumsum"]
)
def test_in_place(op: str, device: str) -> None:
    def call(framework: Any) -> Any:
        def f(x: Any, v: Any) -> Any:
            def made(a: Any) -> Any:
                return framework.from_numpy(np.array(a)).to(x.device)

            y = x * 2
            arguments = {
                "index_add": (0, made([1, 0, 2]), v), "index_copy": (0, made([1, 0, 2]), v), "index_fill": (1, made([1, 3]), 5.0),
                "scatter": (1, made([[0, 1, 2, 3]] * 3), v), "scatter_add": (0, made([[0, 2, 2, 1]] * 3), v),
                "put": (made([0, 5, 11]), v[:, 0], True), "masked_scatter": (made([[True, False, True, True]]), v),
                "cumsum": (0,),
            }[op]  # fmt: skip
            assert getattr(y, op + "_")(*arguments) is y
            return y * v

        return f

    check(op + "_", (3, 4), (3, 4), device=device, minigrad_call=call(minigrad), torch_call=call(torch), layouts=False)


def test_lists_are_indices(device: str) -> None:
    x = minigrad.arange(12, device=device).reshape(3, 4)
    assert x[[2, 0]].tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert x[[True, False, True]].tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert x[range(2), 1].tolist() == [1, 5]
    assert x[np.int64(1), np.array([0, 3])].tolist() == [4, 7]
    assert x[minigrad.tensor([1, 0, 1], dtype="uint8", device=device)].tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert x[minigrad.tensor(1, device=device), minigrad.tensor(2, device=device)].item() == 6
