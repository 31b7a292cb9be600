"""Sums, means, spreads, extremes, orders, running sums and products, norms: against torch, a line a case."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import minigrad
from tests.cases import INDEX, INF, KINKED, NAN, Table, values
from tests.checking import Drawn, Given, check, positive

T = Table()
case, refusal = T.case, T.refusal
TIES = Given([[1.0, 3.0, 3.0], [2.0, 2.0, -1.0]])
HOLES = Given([[1.0, NAN, 3.0], [NAN, NAN, NAN], [4.0, 5.0, -6.0]])
COUNTS = Given([[3, -1, 2], [0, 3, 3]], INDEX)
TRUTHS = Given([[True, False, True], [True, True, True]])
BYTES = Given([[3, 0, 2], [7, 1, 1]], np.uint8)

# -- sums and means
for op in ("sum", "mean", "nansum", "nanmean"):
    case(op, (2, 3, 4))
    case(op, ())
    case(op, (), dim=-1)
    for dim in (0, -2, (0, 2), (-1, 1), (0, 1, 2), ()):
        case(op, (2, 3, 4), dim=dim)
    case(op, (2, 3, 4), dim=(0, -1), keepdim=True)
    for dim in (None, 0, 1):
        case(op, (0, 3), dim=dim, **KINKED)
        case(op, HOLES, dim=dim, **KINKED)
    case(op, Given([INF, -INF, 1.0]), **KINKED)
    case(op, Given([INF, 1.0]), **KINKED)
    refusal(op, (2, 3), dim=2)
    refusal(op, (2, 3), dim=(0, -2))
    refusal(op, (), dim=1)
for op in ("sum", "nansum"):
    for x in (COUNTS, TRUTHS, BYTES):
        case(op, x)
        case(op, x, dim=1, keepdim=True)
case("sum", (4000, 3), dim=0)
case("mean", (20_000,))
for op in ("mean", "nanmean", "var", "std"):
    refusal(op, COUNTS)
# -- spreads
for op in ("var", "std", "var_mean", "std_mean"):
    case(op, (2, 3, 4))
    for dim in (0, -1, (0, 2), (-1, 1), None):
        case(op, (2, 3, 4), dim=dim)
        case(op, (2, 3, 4), dim=dim, keepdim=True, correction=0)
    case(op, (2, 3), dim=1, unbiased=False)
    case(op, (5,), False)
    case(op, (5,), 0, True, True)
    case(op, (2, 5), dim=1, correction=2.5)
    case(op, Given([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]]), dim=1, **KINKED, order=1)
    case(op, Given([[1e4, 1e4 + 1, 1e4 + 2]]), dim=1)
    case(op, (3, 1), dim=1, **KINKED, order=1)
    case(op, (), **KINKED, order=1)
    case(op, (3, 2), dim=1, correction=2, how=values)
    case(op, (0, 3), dim=0, **KINKED, order=1)
    case(op, Given([1.0, NAN, 2.0]), **KINKED, order=1)
    refusal(op, (2, 3), dim=5)
    refusal(op, (2, 3), dim=(1, 1))
# -- products
for x in ((4,), (2, 3, 4), (), (1,)):
    case("prod", x)
case("prod", Given([[1.5, 0.0, 2.0], [0.0, 3.0, 0.0], [1.0, 2.0, -3.0], [0.0, 0.0, 0.0]]), dim=1)
case("prod", Given([[1.5, 0.0, 2.0], [1.0, 2.0, -3.0]]))
case("prod", Given([0.0, 0.0, 2.0]))
for dim in (0, 1, -1):
    case("prod", (2, 3, 5), dim=dim)
    case("prod", (2, 3, 5), dim=dim, keepdim=True)
case("prod", (0, 3), dim=0, **KINKED)
case("prod", (0, 3), dim=1, **KINKED)
case("prod", (0,), **KINKED)
case("prod", (), dim=0)
case("prod", Given([2.0, NAN, 0.0]), how=values)
case("prod", Given([2.0, INF, 3.0]), how=values)
for x in (COUNTS, TRUTHS, BYTES):
    case("prod", x)
    case("prod", x, dim=1)
refusal("prod", (2, 3), dim=2)
for op in ("cumsum", "cumprod"):
    for dim in (0, 1, -1):
        case(op, (3, 4, 2), dim=dim)
    case(op, (), dim=0)
    case(op, (0, 3), dim=0)
    case(op, (1, 3), dim=0)
    case(op, (3, 0), dim=0)
    for x in (COUNTS, TRUTHS, BYTES):
        case(op, x, dim=1)
    case(op, Given([1.0, NAN, 2.0]), dim=0, how=values)
    refusal(op, (2, 3), dim=2)
    refusal(op, (), dim=1)
case("cumprod", Given([[1.5, 2.0, -1.0, 3.0], [1.5, 0.0, 2.0, 3.0], [0.0, 0.0, 3.0, 1.0], [2.0, 3.0, 0.0, 0.0]]), dim=1)
case("cumprod", Given([0.0, 1.0, 2.0, 0.0, 3.0]), dim=0, single=False)  # cancels
case("cumsum", (3000,), dim=0)
# -- extremes
for op in ("amax", "amin"):
    case(op, (2, 3, 4))
    for dim in (0, -1, (0, 2), (-1, 1), ()):
        case(op, (2, 3, 4), dim=dim)
        case(op, TIES, dim=dim if dim in (0, -1, ()) else 0, **KINKED)
    case(op, (2, 3, 4), dim=(0, 2), keepdim=True)
    case(op, (), dim=0)
    case(op, Given([1.0, NAN, NAN]), **KINKED)
    case(op, Given([INF, INF, -INF, -INF]), **KINKED)
    case(op, (3, 0), dim=0)
    for x in (COUNTS, TRUTHS, BYTES):
        case(op, x, dim=1)
    refusal(op, (0, 3), dim=0)
    refusal(op, (0, 3))
    refusal(op, (2, 3), dim=2)
    refusal(op, (2, 3), dim=(0, 0))
case("aminmax", (2, 3))
for dim in (0, -1):
    case("aminmax", (2, 3), dim=dim)
    case("aminmax", TIES, dim=dim, keepdim=True, **KINKED)
case("aminmax", TIES, **KINKED)
case("aminmax", (2, 3), keepdim=True)
case("aminmax", (), dim=0)
case("aminmax", COUNTS, dim=0)
refusal("aminmax", (0, 3))
for op in ("max", "min"):
    case(op, (2, 3, 4))
    case(op, ())
    case(op, TIES, **KINKED)
    case(op, Given([1.0, NAN, 2.0]), **KINKED)
    for dim in (0, 1, -1):
        case(op, (2, 3, 4), dim=dim)
        case(op, (2, 3, 4), dim, True)
        case(op, TIES, dim=dim, **KINKED)
        case(op, HOLES, dim=dim, **KINKED)
    case(op, (), dim=0)
    case(op, (3, 0), dim=0)
    case(op, (2, 3), (3,), **KINKED)
    for x in (COUNTS, TRUTHS, BYTES):
        case(op, x)
        case(op, x, dim=1)
    case(f"arg{op}", (2, 3, 4))
    case(f"arg{op}", (2, 3), keepdim=True)
    for dim in (0, 1, -1):
        case(f"arg{op}", (2, 3, 4), dim=dim)
        case(f"arg{op}", TIES, dim=dim, keepdim=True)
        case(f"arg{op}", HOLES, dim=dim)
    case(f"arg{op}", (), dim=0)
    case(f"arg{op}", ())
    case(f"arg{op}", COUNTS)
    case(f"arg{op}", (3, 0), dim=0)
    refusal(op, (0, 3))
    refusal(op, (0, 3), dim=0)
    refusal(op, (2, 3), dim=2)
    refusal(f"arg{op}", (0, 3))
    refusal(f"arg{op}", (0, 3), dim=0)
    refusal(f"arg{op}", (2, 3), dim=-3)
    refusal(f"arg{op}", TRUTHS)
# -- truths and counts
for op in ("all", "any", "count_nonzero"):
    for x in (TRUTHS, COUNTS, BYTES, Given([[0.0, -0.0, 1.0], [NAN, 2.0, 3.0]]), Given(np.zeros((0, 3))), Given(2.0)):
        case(op, x, how=values)
        if np.ndim(x.values) == 2:
            for dim in (0, -1, (0, 1)):
                case(op, x, dim=dim, how=values)
    refusal(op, TRUTHS, dim=2)
for op in ("all", "any"):
    case(op, TRUTHS, dim=1, keepdim=True)
# -- logsumexp
for dim in (0, -1, (0, 2), (-1, 1)):
    case("logsumexp", (2, 3, 4), dim=dim)
    case("logsumexp", (2, 3, 4), dim=dim, keepdim=True)
case("logsumexp", (), dim=0)
case("logsumexp", (0, 3), dim=0, how=values)
case("logsumexp", (0, 3), dim=1, **KINKED)
case(
    "logsumexp", Given([[1000.0, 1000.0], [-1000.0, -1001.0], [INF, 1.0], [-INF, -INF], [NAN, 1.0]]), dim=1, how=values
)
case("logsumexp", Given([[1000.0, 1000.0], [-1000.0, -1001.0], [-INF, 2.0]]), dim=1, **KINKED)
case("logsumexp", COUNTS, dim=1)
refusal("logsumexp", (2, 3), dim=2)
# -- norms
ZEROS = Given([[0.0, 0.0, 0.0], [1.0, -2.0, 0.0], [2.0, -2.0, 2.0]])
for p in (1, 2, 3, 1.5, 0.5, 0, INF, -INF, -1, 2.5):
    for dim in (None, 0, -1, [0, 1]):
        case("linalg.vector_norm", (3, 4), p, dim)
    case("norm", positive(2, 3, 4), p, [0, 2], True)
    case("linalg.norm", (5,), p)
    case("linalg.vector_norm", (), p)
for p in (1, 2, 3, 1.5, 0, INF, -INF):
    case("linalg.vector_norm", ZEROS, p, 1, **KINKED, order=1)
    case("norm", Given([[INF, 1.0], [NAN, 1.0]]), p, 1, how=values)
case("linalg.vector_norm", Given([[0.0, 0.0], [1.0, 2.0]]), 2, 1, **KINKED, order=1)
case("norm", (2, 3))
case("norm", (2, 3), "fro", 1)
case("norm", (2, 3), "fro", [0, 1], True)
case("norm", (2, 3, 4), dim=1)
case("linalg.norm", (2, 3, 4))
case("linalg.norm", (2, 3), "fro")
case("linalg.norm", (2, 3, 4), "fro", [0, 2], True)
for p in (1, -1, INF, -INF):
    case("linalg.norm", (2, 3), p)
    case("linalg.matrix_norm", (2, 3, 4), p, [0, 2])
    case("linalg.matrix_norm", (2, 3, 4), p, [-1, 0], True)
case("linalg.matrix_norm", (2, 3, 4))
case("linalg.vector_norm", (0, 3), 2, 0, **KINKED)
case("linalg.vector_norm", (0, 3), 2, **KINKED)
case("linalg.vector_norm", (0, 3), INF, 1, **KINKED)
refusal("linalg.vector_norm", (0, 3), INF, 0)
refusal("linalg.vector_norm", (0, 3), -1.0)
refusal("linalg.vector_norm", COUNTS)
refusal("linalg.vector_norm", (2, 3), 2, 5)
refusal("norm", COUNTS)
refusal("norm", (2, 3), 2, [1, 1])
refusal("linalg.norm", (2, 3, 4), 1)
# -- orders
MIXED = Given([[3.0, NAN, 1.0, 2.0], [INF, -INF, 0.0, 5.0]])
for descending in (False, True):
    for dim in (0, 1, -1):
        case("sort", (3, 4), dim=dim, descending=descending)
        case("argsort", (3, 4, 2), dim, descending)
    case("sort", MIXED, dim=1, descending=descending, **KINKED)
    case("sort", Given([[2.0, 1.0, 2.0, 1.0]]), dim=1, descending=descending, stable=True, **KINKED)
    case("sort", Given([[2, 1, 2, 1]], INDEX), dim=1, descending=descending, stable=True)
    case("argsort", TRUTHS, dim=1, descending=descending, stable=True)
    case("sort", (), descending=descending)
    case("sort", (0, 3), descending=descending)
    case("sort", (3, 0), dim=1, descending=descending)
case("msort", (4, 3))
refusal("sort", (2, 3), 2)
refusal("argsort", (2, 3), -3)
for largest in (True, False):
    case("topk", (2, 6), 3, largest=largest)
    case("topk", (5, 4), 2, 0, largest)
    case("topk", MIXED, 4, largest=largest, **KINKED)
    case("topk", (), 1, largest=largest)
    case("topk", (3, 4), 0, largest=largest)
    case("topk", Given([5, 1, 3], INDEX), 2, largest=largest)
refusal("topk", (2, 3), 4)
refusal("topk", (2, 3), -1)
refusal("topk", (2, 3), 1, 2)
for k in (1, 3, 5):
    case("kthvalue", (2, 5), k)
    case("kthvalue", (5, 2), k, 0, True)
case("kthvalue", (), 1)
refusal("kthvalue", (2, 3), 4)
refusal("kthvalue", (2, 3), 0)
for x in ((5,), (4,), (2, 3), ()):
    case("median", x)
case("median", Given([1.0, 2.0, 2.0, 2.0, 5.0]), **KINKED)
case("median", Given([1.0, NAN, 2.0]), **KINKED)
case("median", Given([3, 1, 2, 9], INDEX))
case("median", (0,), how=values)
for dim in (0, 1, -1):
    case("median", (3, 4, 5), dim=dim)
    case("median", (3, 4), dim, True)
case("median", Given([[1.0, NAN, 2.0], [3.0, 2.0, 1.0]]), dim=1, **KINKED)
case("median", (), dim=0)
refusal("median", (0, 3), 0)
refusal("median", (2, 3), 2)
# -- distinct values, buckets
for x in (
    COUNTS,
    TRUTHS,
    BYTES,
    Given([[2.0, 1.0], [2.0, -1.0]]),
    Given(np.zeros(0)),
    Given(3.0),
    Given([NAN, 1.0, NAN]),
):
    case("unique", x, how=values)
    case("unique", x, return_inverse=True, return_counts=True, how=values)
    case("unique", x, return_counts=True, how=values)
case("unique", Given([[1, 2], [0, 5], [1, 2]], INDEX), dim=0, return_inverse=True, return_counts=True)
case("unique", Given([[1, 0, 1], [2, 5, 2]], INDEX), dim=1, return_inverse=True)
case("unique", Given([[1.0, 0.0, 1.0], [2.0, 5.0, 2.0]]), dim=-1, how=values)
refusal("unique", (2, 3), dim=2)
case("bincount", Given([0, 3, 3, 1], INDEX))
case("bincount", Given([0, 3, 3, 1], np.uint8), minlength=7)
case("bincount", Given([], INDEX))
case("bincount", Given([], INDEX), minlength=2)
case("bincount", Given([0, 3, 3, 1], INDEX), Given([1, 2, 3, 4], INDEX))
refusal("bincount", Given([-1], INDEX))
refusal("bincount", Given([[1]], INDEX))
refusal("bincount", (3,))
refusal("bincount", Given([1], INDEX), minlength=-1)
SORTED = Given([1.0, 2.0, 2.0, 4.0])
for right in (False, True):
    case("searchsorted", SORTED, Given([[0.0, 2.0], [4.0, 9.0], [3.0, NAN]]), right=right, how=values)
    case("searchsorted", Given([[1, 3], [2, 2]], INDEX), Given([[0, 3, 5], [2, 1, 9]], INDEX), right=right)
    case("bucketize", Given([[0.0, 2.0], [4.0, 9.0]]), SORTED, right=right, how=values)
case("searchsorted", SORTED, 2.0, how=values)
case("searchsorted", SORTED, Given([2.0]), side="right", out_int32=True, how=values)
case("searchsorted", Given([3.0, 1.0, 2.0]), Given([1.5]), sorter=np.array([1, 2, 0]), how=values)
case("bucketize", Given([1, 5], INDEX), Given([1, 2, 3], INDEX), out_int32=True)
refusal("searchsorted", (2, 3), (3, 2))
refusal("searchsorted", SORTED, (2,), side="middle")
refusal("searchsorted", SORTED, (2,), side="left", right=True)
refusal("bucketize", (2,), (2, 3))
# -- once more, where the axes are others
for op in ("sum", "mean", "var", "std"):
    case(op, (2, 3, 4), dim=1, keepdim=True)
for op in ("sum", "mean"):
    case(op, (0, 3), **KINKED)
    case(op, (), dim=0)
    case(op, (300, 5), dim=0)
    case(op, (5000,))
case("sum", Given([1, 2, 3], np.int32))
case("sum", Given([True, True, False]))
case("sum", Given([1, 2], np.uint8))
case("var", (2, 3, 4), dim=1, unbiased=False)
case("var", (2, 3, 4), dim=(0, 1), correction=0)
case("std", (2, 3), dim=1, correction=0.5)
for op in ("amax", "amin"):
    case(op, (2, 3, 4), dim=1)
    case(op, (2, 3))
    case(op, Given([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]]), dim=1, **KINKED)
for op in ("max", "min"):
    case(op, (2, 3))
    case(op, (2, 3, 4), dim=-1, keepdim=True)
    case(op, (2, 3), (2, 3))
    case(op, Given([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]]), dim=1, **KINKED)
    case(op, Given([1.0, 1.0, 0.0]), **KINKED)
    case(op, Given([3, 1, 2], INDEX))
for op in ("argmax", "argmin"):
    case(op, (2, 3))
    case(op, (2, 3), dim=1)
    case(op, (2, 3), dim=0, keepdim=True)
    case(op, Given([1.0, 2.0, 2.0, 1.0]))
case("topk", (2, 6), 3)
case("topk", (5, 4), 2, dim=0)
case("topk", (5,), 2, largest=False)
case("sort", (3, 4))
case("argsort", (3, 4))
case("all", Given([[True, False], [True, True]]), dim=1)
case("any", Given([[True, False], [False, False]]))
case("count_nonzero", Given([[1.0, 0.0], [2.0, 3.0]]), order=0)
case("logsumexp", (2, 3), dim=1)
case("logsumexp", Given([[1000.0, 1000.0], [-1000.0, 0.0]]), dim=1)


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)


@pytest.mark.parametrize("op", ["sum", "mean", "prod", "nansum"])
def test_dtype(op: str, device: str) -> None:
    ours = getattr(minigrad, op)(minigrad.tensor([1, 2, 4], device=device), dtype=minigrad.float64)
    theirs = getattr(torch, op)(torch.tensor([1, 2, 4]), dtype=torch.float64)
    assert ours.dtype == minigrad.float64 and ours.item() == theirs.item()
    for op in ("cumsum", "cumprod"):
        assert getattr(minigrad.tensor([1, 2], device=device), op)(0, dtype=minigrad.float32).dtype == minigrad.float32


def test_weights_of_bincount(device: str) -> None:
    index, weights = np.array([0, 3, 3, 1]), np.array([0.5, 1.0, 2.0, 4.0])
    for dtype in (np.float32, np.float64):
        ours = minigrad.bincount(*[minigrad.tensor(v, device=device) for v in (index, weights.astype(dtype))])
        theirs = torch.bincount(torch.from_numpy(index), torch.from_numpy(weights.astype(dtype)))
        assert ours.dtype == dtype and ours.tolist() == theirs.tolist()


def test_names_of_results() -> None:
    x = minigrad.tensor([[1.0, 3.0], [2.0, 0.0]])
    assert x.max(1).values.tolist() == [3.0, 2.0] and x.min(0).indices.tolist() == [0, 1]
    assert x.sort().values[1].tolist() == [0.0, 2.0] and x.topk(1).indices.tolist() == [[1], [0]]
    low, high = x.aminmax()
    assert (low.item(), high.item()) == (0.0, 3.0) and x.aminmax().max.item() == 3.0
    assert x.max(other=x * 2).tolist() == [[2.0, 6.0], [4.0, 0.0]]


def test_nothing_is_warned_of(device: str) -> None:
    """NaN and infinities say it; NumPy keeps silent, as torch does."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        empty = minigrad.zeros(0, 2, device=device)
        for op in ("mean", "var", "std", "nanmean", "nansum", "prod"):
            getattr(minigrad, op)(empty, 0)
        x = minigrad.tensor([1e38, 1e38, 0.0], device=device)
        x.prod(), x.cumprod(0), x.norm(3), x.logsumexp(0), minigrad.zeros(1, device=device).var()
        x.requires_grad_()
        minigrad.linalg.vector_norm(x * 0, -1).backward()


def test_gradients_of_products_of_many(device: str) -> None:
    """Against the definition, which multiplies pairs: long axes, odd lengths, zeros anywhere."""
    random = np.random.default_rng(0)
    for n in (1, 2, 3, 7, 16, 33):
        values = random.uniform(0.5, 1.5, (4, n)) * (random.uniform(size=(4, n)) > 0.15)
        for op in ("prod", "cumprod"):
            check(op, Given(values), device=device, dim=1, float32=False, layouts=False)


def test_a_mean_of_many_large_numbers() -> None:
    """A mean of large numbers: what is summed in float32 alone would be off."""
    check("mean", Drawn((100_000,), 1000.0, 1001.0), order=1, layouts=False)
