"""Tensor(...), Parameter(...) and torch's old typed constructors: sizes or data, as torch tells them apart. And Size."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn

SIZES = [
    "Tensor()", "Tensor(3)", "Tensor(2, 3)", "Tensor(0)", "Tensor(2, 0, 4)", "Tensor(np.int64(3))", "Tensor(2, np.int32(3))",
    "Tensor(size=(2, 3))", "Tensor(fw.Size([2, 3]))", "Tensor(fw.ones(3, 2).shape)", "Tensor(fw.ones(3, 2).size())",
    "Tensor(2, fw.tensor(3))", "Tensor(2, 3, device='cpu')", "FloatTensor(2, 3)", "LongTensor(2)", "BoolTensor(1, 2)",
    "nn.Parameter(fw.Tensor(64))", "nn.Parameter(fw.Tensor(2, 3))", "nn.Parameter()", "nn.Parameter(None)",
]  # fmt: skip
DATA = [
    "Tensor([1, 2])", "Tensor((2, 3))", "Tensor([])", "Tensor([[1], [2]])", "Tensor([[]])", "Tensor(range(3))",
    "Tensor([True, False])", "Tensor([fw.tensor(1.), fw.tensor(2.)])", "Tensor(data=[1.5])", "Tensor(fw.tensor(3))",
    "Tensor(fw.ones(2).long())", "Tensor(np.ones((2, 2), np.float32))", "LongTensor([2**53 + 1])", "DoubleTensor([.1])",
    "HalfTensor([1, 2])", "ByteTensor([255])", "CharTensor([-1])", "ShortTensor([1])", "IntTensor([[1]])", "BoolTensor([2, 0])",
    "LongTensor(np.ones(2))", "FloatTensor(np.arange(3))", "nn.Parameter(fw.Tensor([1, 2]))",
]  # fmt: skip
REFUSED = [
    "Tensor(2.5)", "Tensor(True)", "Tensor(np.float64(3))", "Tensor(np.float32(3))", "Tensor(None)",
    "Tensor('ab')", "Tensor({1: 2})", "Tensor({1, 2})", "Tensor(1j)", "Tensor(x for x in [1])", "Tensor(2, 2.5)", "Tensor(-1)",
    "Tensor([1.], [2.])", "Tensor([1.], True)", "Tensor(data=3)", "Tensor([[1, 2], [3]])", "FloatTensor(2.)", "LongTensor(None)",
    "ones(2, 2) @ 2", "2 @ fw.ones(2, 2)", "[1., 2.] @ fw.ones(2, 2)", "matmul(2, fw.ones(2, 2))", "matmul(fw.ones(2, 2), 2)",
    "matmul([[1.]], fw.ones(1, 2))",
]  # fmt: skip


def evaluated(line: str, framework: Any) -> Any:
    prefix = "" if line[0] in "2[" else "fw."
    return eval(prefix + line, {"fw": framework, "np": np})


@pytest.mark.parametrize("line", SIZES)
def test_sizes(line: str) -> None:
    ours, theirs = evaluated(line, mg), evaluated(line, torch)
    assert ours.shape == tuple(theirs.shape) and str(theirs.dtype) == f"torch.{ours.dtype}"
    assert type(ours).__name__ == type(theirs).__name__ and ours.requires_grad == theirs.requires_grad
    assert not ours.detach().any()


@pytest.mark.parametrize("line", DATA)
def test_data(line: str) -> None:
    ours, theirs = evaluated(line, mg), evaluated(line, torch)
    assert ours.tolist() == theirs.tolist() and str(theirs.dtype) == f"torch.{ours.dtype}"
    assert ours.requires_grad == theirs.requires_grad


@pytest.mark.parametrize("line", REFUSED)
def test_refused_as_by_torch(line: str) -> None:
    with pytest.raises(Exception) as theirs:
        evaluated(line, torch)
    with pytest.raises(theirs.type) as ours:
        evaluated(line, mg)
    assert str(ours.value)


@pytest.mark.parametrize("number", [2, 2.5, np.float32(2)])
def test_a_number_is_no_parameter(number: Any) -> None:
    for given in ((number,), (number, 3)):
        with pytest.raises(TypeError, match="minigrad.tensor.*minigrad.empty"):
            nn.Parameter(*given)
    with pytest.raises(TypeError, match="minigrad.tensor.*minigrad.empty"):
        mg.Tensor(data=number)


def test_arrays_and_tensors_share_their_memory(device: str) -> None:
    x = mg.ones(3, device=device)
    assert mg.Tensor(x).array is x.array and mg.Tensor(x.array).array is x.array
    assert mg.Tensor(np.ones(2)).dtype == np.float64 and mg.Tensor([1.0], device=device).device == device
    assert mg.Tensor(2, 3, device=device, requires_grad=True).requires_grad


def test_an_array_times_a_matrix() -> None:
    assert (np.ones((2, 2), np.float32) @ mg.ones(2, 3)).tolist() == [[2.0] * 3] * 2
    assert (mg.ones(3, 2) @ np.ones((2, 2), np.float32)).tolist() == [[2.0] * 2] * 3


def test_size_is_torchs() -> None:
    lines = [
        "a[1:]", "a[:-1]", "a[::2]", "a[0]", "a[-1]", "a + b", "b + a", "a + a", "a * 2", "2 * a", "a.numel()", "a[:0].numel()",
        "copy.copy(a)", "copy.deepcopy(a)", "pickle.loads(pickle.dumps(a))", "tuple(a)", "a == (2, 3, 4)", "a == [2, 3, 4]",
        "hash(a) == hash((2, 3, 4))", "a.index(3)", "a.count(3)", "len(a)", "3 in a", "sum(a)", "[*a]", "a < b", "max(a)",
        "fw.ones(2, 3).size()", "fw.ones(2, 3).size(-1)", "fw.ones(2, 3).size(dim=0)", "fw.ones(()).size()", "fw.Size()",
        "fw.Size([True])", "fw.Size(range(2))", "fw.Size([fw.tensor(3)])", "fw.ones(2, 3).shape[-1:]", "isinstance(a, tuple)",
        "fw.zeros(a[1:]).shape", "fw.zeros(*a).shape.numel()", "fw.ones(2, 3).reshape(a[:1] + b[:0] + (-1,)).shape",
    ]  # fmt: skip
    for line in lines:
        found = []
        for framework in (mg, torch):
            names = {"fw": framework, "a": framework.Size([2, 3, 4]), "b": (5,), "copy": copy, "pickle": pickle}
            found.append(eval(line, names))
        assert found[0] == found[1] and type(found[0]).__name__ == type(found[1]).__name__, line
    assert repr(mg.ones(2, 3).shape) == "minigrad.Size([2, 3])" and str(mg.ones(2, 3).shape) == "(2, 3)"
    for wrong in ("fw.Size(3)", "fw.Size([1.5])", "fw.Size([1]) + [1]", "[1] + fw.Size([1])"):
        for framework in (mg, torch):
            with pytest.raises(TypeError):
                eval(wrong, {"fw": framework})
    for dim in (2, -3):
        for framework in (mg, torch):
            with pytest.raises(IndexError, match="Dimension out of range"):
                framework.ones(2, 3).size(dim)
