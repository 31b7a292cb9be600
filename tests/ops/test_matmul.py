"""Products of matrices and Einstein's notation against torch: a line a case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from tests.cases import INDEX, NAN, Table, values
from tests.checking import Given, check

T = Table()
case, refusal = T.case, T.refusal
INTS = Given([[1, 2, 3], [4, 5, 6]], INDEX)
TURNED = Given([[1, 2], [3, 4], [5, 6]], INDEX)

for x, y in (
    ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)), ((1, 1), (1, 1)),
    ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)), ((0, 2, 3), (0, 3, 4)), ((0,), (0,)), ((2, 0, 3), (3,)),
):  # fmt: skip
    case("matmul", x, y)
case("matmul", INTS, TURNED)
for x, y in (((2, 3), (2, 3)), ((), (3,)), ((3,), ()), ((2,), (3,)), ((2, 2, 3), (3, 3, 4))):
    refusal("matmul", x, y)
refusal("matmul", Given([[True]]), Given([[True]]))
refusal("matmul", (2, 3), TURNED)
case("mm", (2, 3), (3, 4))
case("mm", INTS, TURNED)
case("mm", (0, 3), (3, 4))
case("bmm", (2, 3, 4), (2, 4, 5))
case("bmm", (0, 3, 4), (0, 4, 5))
case("mv", (2, 3), (3,))
case("mv", (0, 3), (3,))
for op in ("dot", "vdot", "inner"):
    case(op, (3,), (3,))
    case(op, (0,), (0,))
    case(op, Given([1, 2], INDEX), Given([3, 4], INDEX))
    refusal(op, (3,), (4,))
for op in ("dot", "vdot"):
    refusal(op, (2, 3), (3,))
    refusal(op, (3,), Given([1, 2, 3], INDEX))
for op, x, y in (("mm", (2, 3), (2, 3)), ("mm", (3,), (3, 2)), ("bmm", (2, 3), (2, 3)), ("bmm", (2, 3, 4), (3, 4, 5)),
                 ("mv", (2, 3), (2,)), ("mv", (3,), (3,)), ("bmm", (2, 3, 4), (2, 3, 4))):  # fmt: skip
    refusal(op, x, y)
case("outer", (2,), (3,))
case("outer", (0,), (3,))
case("outer", Given([1, 2], INDEX), (2,))
refusal("outer", (2, 3), (3,))
refusal("outer", (2,), (3, 1))
case("matmul", (5, 1, 2, 3), (2, 3, 4))
# -- with something added
NANS = Given([[NAN, NAN], [NAN, NAN]])
for op, c, shapes in (
    ("addmm", (2, 4), [(2, 3), (3, 4)]), ("addmv", (2,), [(2, 3), (3,)]), ("addr", (2, 3), [(2,), (3,)]),
    ("baddbmm", (5, 2, 4), [(5, 2, 3), (5, 3, 4)]), ("addbmm", (2, 4), [(5, 2, 3), (5, 3, 4)]),
):  # fmt: skip
    case(op, c, *shapes)
    case(op, c, *shapes, beta=0.5, alpha=-2.0)
    case(op, c, *shapes, beta=0, alpha=2)
    case(op, c[-1:], *shapes)
    case(op, (), *shapes, beta=2)
    refusal(op, (7,), *shapes)
    if op == "addr":
        case(op, Given(np.ones(c, INDEX)), *shapes)
    else:
        refusal(op, Given(np.ones(c, INDEX)), *shapes)
    refusal(op, c, shapes[0], (9, 9, 9))
case("addmm", NANS, (2, 3), (3, 2), beta=0, how=values)
case("addmm", Given([[1, 2], [3, 4]], INDEX), INTS, TURNED)
case("addmm", (2, 4), (2, 0), (0, 4))
case("addbmm", (2, 4), (0, 2, 3), (0, 3, 4))
# -- Einstein's notation
for equation, *shapes in (
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("ii->i", (3, 3)),
    ("ii", (3, 3)), ("ij->ji", (2, 3)), ("ij", (2, 3)), ("ba", (2, 3)), ("i,j", (2,), (3,)), ("i,i", (3,), (3,)),
    ("i,i->i", (3,), (3,)), ("...ij,...jk->...ik", (5, 2, 3), (4, 5, 3, 2)), ("ij,ij", (2, 3), (2, 3)),
    ("bn,anm,bm->ba", (2, 5), (3, 5, 4), (2, 4)), ("iij->j", (3, 3, 2)), ("iijj->ij", (2, 2, 3, 3)), ("iii->i", (2, 2, 2)),
    ("ij,kj->", (2, 3), (4, 3)), ("bA,aB", (2, 3), (4, 5)), ("i...->...", (2, 3, 4)), ("...i->...", (2, 3, 4)),
    ("ij,j->i", (2, 1), (3,)), ("abc,cd,de->eab", (2, 3, 4), (4, 5), (5, 2)), ("i,i,i->i", (3,), (3,), (3,)),
    ("ij,jk->ik", (0, 3), (3, 4)), ("ij,jk->ik", (2, 0), (0, 4)), ("->", ()), (",->", (), ()), (",i->i", (), (3,)),
    ("...,...", (2, 3), (3,)), ("a...b,b->...a", (2, 3, 4), (4,)), (" i j , j k -> i k ", (2, 3), (3, 4)), ("ij->", (2, 3)),
    ("ij->i", (2, 3)), ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)), ("ij,kl->ijkl", (2, 3), (2, 2)),
    ("ii,i->i", (3, 3), (3,)), ("ijk,jl,kl->il", (2, 3, 4), (3, 5), (4, 5)), ("...ii->...i", (2, 3, 3)),
    ("i...,i...->...", (2, 3), (2, 3)), ("ab,cd,ef->acf", (2, 2), (3, 2), (2, 2)),
):  # fmt: skip
    case("einsum", equation, *shapes)
case("einsum", "ij,jk->ik", INTS, TURNED)
case("einsum", "ij->j", INTS)
case("einsum", "ij,ij->ij", (2, 3), INTS)
for equation, *shapes in (
    ("ij,jk", (2, 3), (2, 3)), ("ii", (2, 3)), ("ij->ijj", (2, 3)), ("ij->k", (2, 3)), ("i", (2, 3)), ("ijk", (2, 3)),
    ("i?", (2, 3)), ("ij,ij", (2, 3)), ("ij", (2, 3), (2, 3)), ("i.j", (2, 3)), ("......", (2, 3)),
):  # fmt: skip
    refusal("einsum", equation, *shapes)


def listed(*labels: Any) -> dict[str, Any]:
    """einsum with numbers in place of letters."""

    def call(framework: Any, *xs: Any) -> Any:
        pairs = [part for pair in zip(xs, labels, strict=False) for part in pair]
        return framework.einsum(*pairs, *labels[len(xs) :])

    return {"call": call}


case("einsum", (2, 3), (3, 4), **listed([0, 1], [1, 2], [0, 2]))
case("einsum", (2, 3), (3, 4), **listed([0, 1], [1, 2]))
case("einsum", (2, 3), (3, 4), **listed([51, 1], [1, 30]))
case("einsum", (5, 2, 3), (3, 4), **listed([Ellipsis, 1], [1, 2], [Ellipsis, 2]))
case("einsum", (2, 3), **listed([1, 0]))
case("einsum", (2, 3), (2, 3), call=lambda framework, *x: framework.einsum("ij,ij->i", x))
# -- its special cases
for dims in (1, 0, [[1], [0]], [[-1], [-2]]):
    case("tensordot", (2, 3), (3, 4), dims)
case("tensordot", (2, 3, 4), (3, 4, 5))
case("tensordot", (2, 3, 4), (4, 2, 5), [[0, 2], [1, 0]])
case("tensordot", (2, 3), (2, 3), 2)
case("tensordot", (2, 0), (0, 3), 1)
refusal("tensordot", (2, 3), (2, 3), 1)
refusal("tensordot", (2, 3), (3, 2), [[0], [0, 1]])
refusal("tensordot", (2, 3), (3, 2), -1)
refusal("tensordot", (2, 3), (3, 2), [[5], [0]])
case("inner", (2, 3), (4, 3))
case("inner", (2, 3), (3,))
case("inner", (), (2, 3))
case("inner", (2, 5, 3), (4, 3))
refusal("inner", (2, 3), (2, 4))
for x, y in (((2, 3), (4, 5)), ((2, 3), (2,)), ((3,), (2,)), ((), (2, 3)), ((2, 0), (2, 2))):
    case("kron", x, y)
case("linalg.matmul", (2, 3), (3, 4))


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


@pytest.mark.parametrize("op, c, shapes", [("addmm", (2, 4), [(2, 3), (3, 4)]), ("addmv", (2,), [(2, 3), (3,)]),
                                           ("baddbmm", (5, 2, 4), [(5, 2, 3), (5, 3, 4)])])  # fmt: skip
def test_in_place(op: str, c: Any, shapes: Any, device: str) -> None:
    def call(c: Any, *xs: Any) -> Any:
        y = c * 2
        getattr(y, op + "_")(*xs, beta=0.5)
        return y

    check(op + "_", c, *shapes, device=device, minigrad_call=call, torch_call=call)


def test_random_equations(device: str) -> None:
    """Any letters, any order, up to three operands."""
    random = np.random.default_rng(1)
    sizes = dict(zip("abcde", (2, 3, 1, 4, 2), strict=True))
    for _ in range(40):
        terms = ["".join(random.choice([*sizes], random.integers(0, 4))) for _ in range(random.integers(1, 4))]
        letters = [*dict.fromkeys("".join(terms))]
        output = "".join(random.permutation(letters)[: random.integers(0, len(letters) + 1)])
        equation = ",".join(terms) + "->" + output
        arrays = [random.uniform(-1, 1, [sizes[k] for k in term]) for term in terms]
        ours = minigrad.einsum(equation, *[minigrad.tensor(a, device=device) for a in arrays])
        theirs = torch.einsum(equation, *[torch.from_numpy(np.asarray(a)) for a in arrays])
        assert ours.shape == tuple(theirs.shape), equation
        assert np.allclose(ours.numpy(force=True), theirs.numpy(), rtol=1e-10, atol=1e-12), equation
