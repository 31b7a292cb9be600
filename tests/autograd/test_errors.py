"""Bad input to the engine: torch's kind of exception, with what was given and what would be right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg


def leaf(fw: Any, *shape: int) -> Any:
    return fw.ones(*shape, requires_grad=True)


def freed(fw: Any) -> None:
    x = leaf(fw, 2)
    y = (x * x).sum()
    y.backward()
    y.backward()


def in_place_after_use(fw: Any) -> None:
    x = leaf(fw, 2)
    y = x * 1
    z = y * y
    y += 1
    z.sum().backward()


def in_place_on_leaf(fw: Any) -> None:
    x = leaf(fw, 2)
    x += 1


CASES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "integer that requires grad": (lambda fw: fw.tensor([1, 2], requires_grad=True), ("floating point", "int64[2] on cpu")),
    "integer asked to": (lambda fw: fw.ones(2, dtype=fw.int64).requires_grad_(), ("floating point", "int64[2]")),
    "bool asked to": (lambda fw: (fw.ones(2) > 0).requires_grad_(), ("floating point", "bool[2]")),
    "backward on a vector": (lambda fw: (leaf(fw, 2, 3) * 2).backward(), ("scalar", "float32[2, 3]", ".sum()")),
    "grad of a vector": (lambda fw: fw.autograd.grad(leaf(fw, 2) * 2, leaf(fw, 2)), ("scalar", "float32[2]")),
    "through a freed graph": (freed, ("Mul", "retain_graph=True")),
    "what needs no gradient": (lambda fw: fw.ones(()).backward(), ("does not require grad", "requires_grad=True")),
    "a leaf changed in place": (in_place_on_leaf, ("leaf", "float32[2] on cpu", "no_grad")),
    "a leaf assigned to": (lambda fw: leaf(fw, 2).__setitem__(0, 1.0), ("leaf", "float32[")),
    "a leaf filled": (lambda fw: leaf(fw, 2).fill_(1.0), ("leaf", "float32[2] on cpu")),
    "a leaf copied to": (lambda fw: leaf(fw, 2).copy_(fw.zeros(2)), ("leaf", "float32[2] on cpu")),
    "changed after use": (in_place_after_use, ("Mul", "float32", "(2,)", "version 1", "version 0", "clone()")),
    "gradient of another shape": (
        lambda fw: (leaf(fw, 2) * 2).backward(fw.ones(3)), ("shape", "float32[2] on cpu", "float32[3] on cpu"),
    ),
    "an input that needs none": (lambda fw: fw.autograd.grad(leaf(fw, 2).sum(), fw.ones(2)), ("does not require grad",)),
    "an input that was not used": (
        lambda fw: fw.autograd.grad(leaf(fw, 2).sum(), leaf(fw, 3)), ("allow_unused=True", "float32[3]"),
    ),
    "a hook where none can be": (lambda fw: fw.ones(2).register_hook(print), ("doesn't require gradient",)),
    "flag of what is no leaf": (lambda fw: setattr(leaf(fw, 2) * 2, "requires_grad", False), ("leaf", "detach()")),
    "numpy of what requires grad": (lambda fw: leaf(fw, 2).numpy(), ("detach().numpy()",)),
    "pickled inside a graph": (lambda fw: __import__("copy").deepcopy(leaf(fw, 2) * 2), ("deepcopy", "clone()")),
    "truth of several": (lambda fw: bool(leaf(fw, 2)), ("ambiguous",)),
    "shapes that do not broadcast": (lambda fw: leaf(fw, 2, 3) + leaf(fw, 4), ("Add", "float32[2, 3] on cpu", "float32[4]")),
    "shapes that do not multiply": (lambda fw: leaf(fw, 2, 3) @ leaf(fw, 2, 3), ("float32[2, 3] on cpu",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_kind_is_torchs_and_the_text_says_what_and_why(name: str) -> None:
    case, words = CASES[name]
    with pytest.raises(Exception) as theirs:
        case(torch)
    with pytest.raises(theirs.type) as ours:
        case(mg)
    for word in words:
        assert word in str(ours.value), f"{word!r} is not in: {ours.value}"


@pytest.mark.gpu
@pytest.mark.parametrize("op", ["__add__", "__mul__", "__matmul__", "__truediv__"])
def test_mixed_devices(op: str) -> None:
    x, y = mg.ones(2, 2, requires_grad=True), mg.ones(2, 2, device="gpu")
    with pytest.raises(
        RuntimeError, match=r"same device.*float32\[2, 2\] on cpu.*float32\[2, 2\] on gpu:0.*\.to\(device\)"
    ):
        getattr(x, op)(y)
    z = x * 2
    with pytest.raises(RuntimeError, match=r"gpu:0"):
        z.backward(mg.ones(2, 2, device="gpu"))


def test_gradients_of_another_kind_or_number() -> None:
    with pytest.raises(RuntimeError, match="1 tensors and 2 gradients"):
        mg.autograd.backward([leaf(mg, 2).sum()], [None, None])
    with pytest.raises(TypeError, match="gradients must be Tensors or None, not ndarray"):
        (leaf(mg, 2) * 2).backward(np.ones(2))
