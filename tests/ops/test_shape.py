"""Reshaping, permuting, expanding, joining, cutting, repeating, diagonals, borders: against torch, a line a case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from tests.cases import INDEX, Table
from tests.checking import Given, check

T = Table()
case, refusal = T.case, T.refusal
X = (2, 3, 4)
INTS = Given([[1, 2, 3], [4, 5, 6]], INDEX)

# -- other shapes
for shape in ([4, 6], [-1], [2, -1], [2, 12, 1], [3, 2, 4], [1, 2, 3, 4]):
    case("reshape", X, shape)
    case("Tensor.view", X, shape, layouts=False)
case("reshape", (), [1, 1])
case("reshape", (1,), [])
case("reshape", (0, 3), [3, 0])
case("reshape", (0, 3), [-1])
case("Tensor.reshape", X, 6, -1)
case("reshape", INTS, [3, 2])
for shape in ([5, 5], [-1, -1], [7, -1], [-2, 12]):
    refusal("reshape", X, shape)
    refusal("Tensor.view", X, shape)
refusal("reshape", (0, 3), [0, -1])
case("Tensor.reshape_as", X, (6, 4))
case("Tensor.view_as", X, (6, 4), layouts=False)
case("ravel", X)
case("ravel", ())
case("ravel", (0, 3))
case("flatten", X)
case("flatten", ())
case("flatten", X, 1)
case("flatten", X, -2, -1)
case("flatten", (0, 2, 3), 1)
refusal("flatten", X, 2, 1)
refusal("flatten", X, 3)
for dim, sizes in ((1, [3, 1]), (-1, [2, -1]), (0, [1, 2, 1])):
    case("unflatten", X, dim, sizes)
refusal("unflatten", X, 1, [2, 2])
refusal("unflatten", X, 1, [-1, -1])
refusal("unflatten", X, 3, [1])
refusal("unflatten", X, 1, [])
for dim in (0, 1, -1, [0, 2], [1, -1], [0, 1, 2, 3], []):
    case("squeeze", (1, 2, 1, 3), dim)
case("squeeze", (1, 2, 1))
case("squeeze", ())
case("squeeze", (), 0)
refusal("squeeze", (1, 2), 2)
refusal("squeeze", (1, 2), [0, 0])
for dim in (0, 1, -1, -3):
    case("unsqueeze", (2, 3), dim)
case("unsqueeze", (), 0)
refusal("unsqueeze", (2, 3), 3)
refusal("unsqueeze", (2, 3), -4)
# -- axes in another order
case("permute", X, [2, 0, 1])
case("permute", X, [-1, 0, 1])
case("permute", (), [])
refusal("permute", X, [0, 1])
refusal("permute", X, [0, 0, 1])
refusal("permute", X, [0, 1, 3])
for op in ("transpose", "swapaxes", "swapdims"):
    case(op, X, 0, -1)
    case(op, X, 1, 1)
    case(op, (), 0, -1)
    refusal(op, X, 0, 3)
for x in ((), (3,), (2, 3)):
    case("t", x)
refusal("t", X)
for op in ("movedim", "moveaxis"):
    case(op, X, 0, 2)
    case(op, X, -1, 0)
    case(op, (2, 3, 4, 5), [0, 1], [2, -4])
    refusal(op, X, 0, 3)
    refusal(op, X, [0, 0], [1, 2])
    refusal(op, X, [0, 1], [1, 1])
    refusal(op, X, [0, 1], [1])
case("T", (2, 3), call=lambda framework, x: x.T)
case("mT", X, call=lambda framework, x: x.mT)
case("H", (2, 3), call=lambda framework, x: x.H)
# -- expanding
case("Tensor.expand", (2, 1, 3), 2, 4, 3)
case("Tensor.expand", (3,), 2, -1)
case("Tensor.expand", (), 2, 3)
case("Tensor.expand", (1, 3), 0, 3)
for sizes in ([2], [4, 3], [-1, 2, 3], [2, 5]):
    refusal("Tensor.expand", (2, 3), sizes)
case("Tensor.expand_as", (1, 3), (4, 3))
case("broadcast_to", (1, 3), [2, 4, 3])
refusal("broadcast_to", (2, 3), [2, 4])
case("broadcast_tensors", (3,), (2, 1), ())
refusal("broadcast_tensors", (3,), (2,))
for op in ("atleast_1d", "atleast_2d", "atleast_3d"):
    for x in ((), (2,), (2, 3), (2, 3, 4), (1, 2, 3, 4)):
        case(op, x)
    case(op, (), (2, 3))
    case(op, (), (2,), as_list=True)
# -- joining
for op in ("cat", "concat", "concatenate"):
    case(op, (2, 3), (4, 3), as_list=True)
    case(op, (2, 3), (2, 1), (2, 2), dim=1, as_list=True)
    case(op, (2, 3), (2, 3), dim=-2, as_list=True)
    case(op, (2, 3), INTS, as_list=True)
    case(op, (0,), (2, 3), as_list=True)
    case(op, (0, 3), (2, 3), as_list=True)
    case(op, (3,), as_list=True)
    refusal(op, [(2, 3), (2, 4)])
    refusal(op, [(2, 3), (3,)])
    refusal(op, [(), ()])
    refusal(op, [(2, 3)], dim=2)
    refusal(op, [])
for dim in (0, 1, -1, 2):
    case("stack", (2, 3), (2, 3), dim=dim, as_list=True)
case("stack", (), (), as_list=True)
case("stack", (2, 3), INTS, as_list=True)
refusal("stack", [(2, 3), (3, 2)])
refusal("stack", [(2, 3)], dim=3)
refusal("stack", [])
for op in ("hstack", "vstack", "dstack", "column_stack"):
    case(op, (3,), (3,), as_list=True)
    case(op, (2, 3), (2, 3), as_list=True)
    case(op, (), (), as_list=True)
    case(op, (2, 3, 1), (2, 3, 1), as_list=True)
    refusal(op, [])
    refusal(op, [(2, 3), (1, 3, 3, 3)])
case("column_stack", (3,), (3, 2), as_list=True)
# -- cutting
case("split", (5, 2), 2)
case("split", (5, 2), [1, 4])
case("split", (2, 5), 3, 1)
case("split", (2, 5), [0, 5], -1)
case("split", (0, 2), 2)
case("Tensor.split", (5, 2), 7)
for sizes in (0, -1, [1, 1], [6, -1]):
    refusal("split", (5, 2), sizes)
refusal("split", (5, 2), 1, 2)
refusal("split", (), 1)
for chunks in (1, 3, 4, 7):
    case("chunk", (5, 2), chunks)
case("chunk", (2, 5), 2, -1)
case("chunk", (0, 2), 3)
refusal("chunk", (5, 2), 0)
refusal("chunk", (), 1)
for sections in (1, 3, 7, [1, 3], [2, 2], [-1], [9], [3, 1]):
    case("tensor_split", (5, 2), sections)
    case("tensor_split", (2, 5), sections, -1)
refusal("tensor_split", (5,), 0)
refusal("tensor_split", (), 1)
refusal("tensor_split", (5,), 1, 1)
for op, x in (("hsplit", (4,)), ("hsplit", (2, 4)), ("vsplit", (4, 2)), ("dsplit", (1, 2, 4))):
    case(op, x, 2)
    case(op, x, [1, 3])
    refusal(op, x, 3)
    refusal(op, ())
    refusal(op, (), 1)
case("narrow", (4, 5), 1, 1, 3)
case("narrow", (4, 5), 0, -2, 2)
case("narrow", (4, 5), 0, 4, 0)
for dim, start, length in ((0, 3, 2), (2, 0, 1), (0, 0, -1), (0, 5, 0), (0, -5, 1)):
    refusal("narrow", (4, 5), dim, start, length)
case("select", X, 1, 2)
case("select", X, -1, -1)
refusal("select", X, 1, 3)
refusal("select", X, 3, 0)
refusal("select", (), 0, 0)
case("unbind", X)
case("unbind", X, -1)
case("unbind", (2, 0), 1)
refusal("unbind", ())
refusal("unbind", X, 3)
# -- other orders
for dims in ([0], [0, 1], [-1], []):
    case("flip", X, dims)
case("Tensor.flip", X, 0, 2)
case("flip", (0, 3), [0])
case("flip", (), [])
refusal("flip", X, [0, 0])
refusal("flip", X, [3])
case("fliplr", (2, 3))
case("flipud", (3,))
refusal("fliplr", (3,))
refusal("flipud", ())
for shifts, dims in ((1, 0), (-2, 1), (5, -1), ([1, -1], [0, 1]), ([1, 1], [0, 0]), (2, None)):
    case("roll", (3, 4), shifts, *([] if dims is None else [dims]))
case("roll", (), 1)
case("roll", (0, 2), 1, 0)
refusal("roll", (3, 4), [1, 2], 0)
refusal("roll", (3, 4), 1, 2)
refusal("roll", (3, 4), [1, 2])
for k in (-1, 0, 1, 2, 3, 4, 5):
    case("rot90", (2, 3), k)
    case("rot90", X, k, [2, 0])
refusal("rot90", (2, 3), 1, [0, 0])
refusal("rot90", (3,), 1)
refusal("rot90", (2, 3), 1, [0])
refusal("rot90", (2, 3), 1, [0, 2])
# -- several times over
for times in ([2, 3], [1, 1], [3, 1, 2], [0, 2]):
    order = 2 if 0 not in times else 1
    case("Tensor.repeat", (2, 3), times, order=order)
    case("tile", (2, 3), times, order=order)
case("Tensor.repeat", (), 3)
case("tile", (2, 3), [2])
case("tile", (), [2, 2])
case("tile", (2, 3), [])
case("Tensor.repeat", INTS, 2, 1)
refusal("Tensor.repeat", (2, 3), 2)
refusal("Tensor.repeat", (2, 3), 2, -1)
case("repeat_interleave", (2, 3), 2)
case("repeat_interleave", (2, 3), 2, 0)
case("repeat_interleave", (2, 3), 3, dim=-1)
case("repeat_interleave", (2, 3), 0, 1)
case("repeat_interleave", (2, 3), Given([2, 0, 1], INDEX), 1)
case("repeat_interleave", (2, 3), Given([2], INDEX), 1)
case("repeat_interleave", (2,), Given([0, 3], INDEX))
case("repeat_interleave", Given([2, 0, 3], INDEX))
case("repeat_interleave", (), 3)
refusal("repeat_interleave", (2, 3), -1)
refusal("repeat_interleave", (2, 3), Given([1, 2], INDEX), 1)
refusal("repeat_interleave", (2, 3), Given([1, -1, 0], INDEX), 1)
refusal("repeat_interleave", (2, 3), 1, 2)
for indexing in ("ij", "xy"):
    case("meshgrid", (2,), (3,), (4,), indexing=indexing)
    case("meshgrid", (2,), (), indexing=indexing)
    case("meshgrid", (3,), indexing=indexing)
    case("meshgrid", (2,), (0,), indexing=indexing, as_list=True)
refusal("meshgrid", (2, 3), indexing="ij")
refusal("meshgrid", (2,), indexing="yx")
refusal("meshgrid", (2,), INTS, indexing="ij")
# -- diagonals and triangles
for offset in (0, 1, -1, 5):
    case("diagonal", (3, 4), offset, order=2 if offset < 5 else 1)
    case("diag", (3, 4), offset if offset < 5 else 2)
    case("diag", (3,), offset)
    case("diag_embed", (2, 3), offset)
    for op in ("tril", "triu"):
        case(op, (3, 4), offset)
        case(op, (2, 3, 3), -offset)
case("diagonal", X, 0, 0, 2)
case("diagonal", X, 1, -1, 0)
case("diag_embed", (2, 3), 1, 0, 2)
case("diag_embed", (2, 3), 0, -1, 0)
case("diag_embed", INTS)
case("trace", (3, 4))
case("trace", (0, 0))
case("trace", INTS)
case("tril", INTS)
case("triu", Given([[True, True], [True, True]]), 1)
case("tril", (0, 3))
refusal("diagonal", (3,))
refusal("diagonal", (3, 4), 0, 1, 1)
refusal("diagonal", (3, 4), 0, 0, 2)
refusal("diag", X)
refusal("diag", ())
refusal("diag_embed", (3,), 0, 0, 0)
refusal("trace", X)
refusal("trace", (3,))
for op in ("tril", "triu"):
    refusal(op, (3,))
    for shape in ((3, 4), (4, 2), (0, 3)):
        for offset in (0, 1, -2):
            case(op + "_indices", *shape, offset=offset)
    refusal(op + "_indices", -1, 2)
case("Tensor.view", (2, 3), 6, layouts=False)
case("Tensor.permute", (2, 3, 4), -1, 0, 1)
case("unflatten", (2, 6), 1, [2, 3])
case("squeeze", (2, 1, 3, 1))
case("squeeze", (2, 1, 3, 1), 1)
case("squeeze", (2, 1), 0)
case("broadcast_to", (1, 3), [4, 3])
case("Tensor.narrow", (4, 5), 1, 1, 3)
case("unbind", (3, 2), 1)
case("flip", (2, 3), [0, 1])
case("Tensor.contiguous", (2, 3))
case("tril", (3, 4))
for widths, shape in (((1, 2), (3,)), ((1, 0, 2, 1), (2, 3, 4)), ((-1, 1), (4,)), ((0, 1, 1, 1), (1, 2, 3, 3))):
    case("nn.functional.pad", shape, list(widths))
case("nn.functional.pad", (2, 3), [1, 1], value=2.5)
# -- borders
for mode in ("reflect", "replicate", "circular"):
    case("nn.functional.pad", (1, 2, 4, 5), [2, 1, 1, 3], mode=mode)
case("nn.functional.pad", X, [1, 2, 0, 1], value=2.5)
case("nn.functional.pad", X, [-1, 2])
refusal("nn.functional.pad", X, [1])
refusal("nn.functional.pad", X, [-3, -3])
refusal("nn.functional.pad", (1, 2, 3), [3, 3], mode="reflect")


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


def test_broadcast_shapes() -> None:
    for shapes in ([(2, 1), (3,)], [(), (4,)], [(2, 3)], [], [(0, 1), (1, 5)], [3, (2, 1)]):
        assert minigrad.broadcast_shapes(*shapes) == tuple(torch.broadcast_shapes(*shapes))
    with pytest.raises(RuntimeError, match=r"\[2\], \[3\] cannot be broadcast"):
        minigrad.broadcast_shapes((2,), (3,))


SHARING = {
    "reshape": lambda x: x.reshape(6), "view": lambda x: x.view(3, 2), "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: x.swapaxes(0, 1), "t": lambda x: x.t(), "movedim": lambda x: x.movedim(0, 1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0), "unsqueeze": lambda x: x.unsqueeze(1), "flatten": lambda x: x.flatten(),
    "ravel": lambda x: x.ravel(), "narrow": lambda x: x.narrow(1, 0, 2), "select": lambda x: x.select(0, 1),
    "split": lambda x: x.split(1)[0], "chunk": lambda x: x.chunk(2, 1)[1], "unbind": lambda x: x.unbind(1)[0],
    "diagonal": lambda x: x.diagonal(), "index": lambda x: x[1, 1:], "one element": lambda x: x[0, 0],
    "unflatten": lambda x: x.unflatten(1, (3, 1)), "tensor_split": lambda x: x.tensor_split(2)[0], "T": lambda x: x.T,
}  # fmt: skip


@pytest.mark.parametrize("name", SHARING)
def test_views_share_memory(name: str, device: str) -> None:
    """What torch gives as a view is one here: a change of it is a change of the tensor."""
    ours, theirs = minigrad.zeros(2, 3, device=device), torch.zeros(2, 3)
    SHARING[name](ours).add_(1)
    SHARING[name](theirs).add_(1)
    assert ours.tolist() == theirs.tolist()


COPYING = {
    "repeat": lambda x: x.repeat(1, 1), "tile": lambda x: x.tile(1), "flip": lambda x: x.flip(0), "diag": lambda x: x.diag(),
    "roll": lambda x: x.roll(0), "rot90": lambda x: x.rot90(0), "interleave": lambda x: x.repeat_interleave(1, 0),
    "tril": lambda x: x.tril(5), "flip of nothing": lambda x: x.flip([]), "cumsum": lambda x: x[:1].cumsum(0),
}  # fmt: skip


@pytest.mark.parametrize("name", COPYING)
def test_copies_do_not_share_memory(name: str, device: str) -> None:
    x = minigrad.zeros(2, 3, device=device)
    COPYING[name](x).add_(1)
    assert not np.any(x.numpy(force=True))


CUTS = {
    "iteration": lambda x: list(x),
    "unbind": lambda x: x.unbind(1),
    "split": lambda x: x.split(2),
    "split by sizes": lambda x: x.split([1, 0, 3, 2], 0),
    "chunk": lambda x: x.chunk(4, -1),
    "tensor_split": lambda x: x.tensor_split(4),
    "tensor_split at places": lambda x: x.tensor_split([2, 5], 1),
    "tensor_split at places that overlap": lambda x: x.tensor_split([4, 1, 5]),
    "hsplit": lambda x: x.hsplit(2),
    "vsplit": lambda x: x.vsplit(3),
    "dsplit": lambda x: x.dsplit([1, 2]),
}


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("used", ["all", "some", "one twice"])
def test_cuts_as_torch(name: str, used: str, device: str) -> None:
    """Values, gradients and their gradients, where all, some or one of the parts are used."""

    def call(x: Any) -> Any:
        parts = CUTS[name](x)
        if used == "some":
            parts = parts[::2]
        if used == "one twice":
            parts = [parts[-1] * parts[-1].sum()]
        return [part * part for part in parts]

    check(name, (6, 8, 4), device=device, minigrad_call=call, torch_call=call)


@pytest.mark.parametrize("name", [name for name in CUTS if "overlap" not in name])
def test_a_cut_is_one_node(name: str) -> None:
    """Each part with a node of its own would cost a pass over all of x: quadratic in the number of parts."""
    x = minigrad.rand(6, 8, 4, requires_grad=True)
    parts = CUTS[name](x)
    assert len({id(part.grad_fn) for part in parts}) == 1
    assert [part._index for part in parts] == list(range(len(parts)))
    assert all(part.data_ptr() >= x.data_ptr() and part._base is x for part in parts)  # x's own memory


def test_a_part_changed_in_place(device: str) -> None:
    """The change is one of the whole, and of the other views of it. (torch refuses it for parts of several.)"""
    x = minigrad.rand(3, 4, device=device, dtype=minigrad.float64, requires_grad=True)
    y = x * 1.0
    first, second, third = y
    second.mul_(3)
    assert y[1].tolist() == second.tolist()
    (y.sum() + second.sum() * 2 + third.sum()).backward()
    assert x.grad.tolist() == [[1.0] * 4, [9.0] * 4, [2.0] * 4]
    assert first.tolist() == x[0].tolist()


def test_nothing_to_cut() -> None:
    assert list(minigrad.zeros(0, 3)) == [] and minigrad.zeros(2, 0).unbind(1) == ()
    with pytest.raises(TypeError, match="0-d"):
        iter(minigrad.tensor(1.0))
