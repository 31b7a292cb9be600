"""New tensors: numbers, shapes, dtypes and refusals as torch's; random ones by their seed and their statistics."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from tests.cases import INF, NAN, Checked, Table

T = Table()
refusal = T.refusal


def framework(name: str) -> Any:
    return minigrad if name == "minigrad" else torch


def dtype_of(x: Any) -> str:
    return str(x.dtype).removeprefix("torch.")


def created(case: Checked, device: str) -> None:
    """What is made, on that device: a leaf with torch's shape, dtype and numbers. A dtype is given by its name."""
    made = []
    for lib, where in ((minigrad, device), (torch, "cpu")):
        named = {k: getattr(lib, v) if k == "dtype" else v for k, v in case.kwargs.items()}
        made.append(case.called(lib)(*case.inputs, device=where, **named))
    ours, theirs = made
    assert ours.device == device and not ours.requires_grad and ours.is_leaf
    assert ours.shape == tuple(theirs.shape) and dtype_of(ours) == dtype_of(theirs)
    np.testing.assert_allclose(
        ours.numpy(force=True), theirs.numpy(), rtol=1e-6 if dtype_of(ours) == "float32" else 1e-14
    )


case = partial(T.case, how=created)

for name in ("zeros", "ones"):
    case(name, 2, 3)
    case(name, (2, 3))
    case(name, [2])
    case(name, ())
    case(name, 0)
    case(name, 0, 3)
    case(name, size=(2, 1))
    for dtype in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"):
        case(name, 2, dtype=dtype)
    refusal(name, -1)
    refusal(name, 2, -3)
    refusal(name, 2.5)
case("full", (2, 3), 1.5)
case("full", (2,), True)
case("full", (), 3)
case("full", (2,), 3, dtype="float64")
case("full", (0,), NAN)
refusal("full", [-1], 1.0)
for args in ((5,), (0,), (3.5,), (1, 5), (5, 1, -2), (1, 2, 0.25), (-3, 3, 2), (0, 1, 0.1), (2**31, 2**31 + 2), (2, 2)):
    case("arange", *args)
    case("arange", *args, dtype="float64")
case("arange", 5, dtype="int32")
case("arange", 1, 3, dtype="float16")
refusal("arange", 5, 1)
refusal("arange", 0, 1, 0)
for args in ((0, 1, 5), (0, 1, 1), (0, 1, 0), (-3, 2, 7), (5, -5, 4), (2, 2, 3), (0.1, 0.7, 50)):
    for dtype in (None, "float64"):
        case("linspace", *args, **({} if dtype is None else {"dtype": dtype}))
        case("logspace", *args, **({} if dtype is None else {"dtype": dtype}))
case("linspace", 0, 10, 4, dtype="int64")
case("logspace", 0, 3, 4, base=2.0)
case("logspace", 0, 3, 4, 2)
refusal("linspace", 0, 1, -1)
refusal("logspace", 0, 1, -1)
for args in ((3,), (2, 3), (3, 2), (0,)):
    case("eye", *args)
    case("eye", *args, dtype="int64")
refusal("eye", -1)
refusal("eye", 2, -1)
for data in (1, 2.5, True, [1, 2.5], [[1, 2], [3, 4]], [], [[], []], [True, False], (1, 2), [True, 2]):
    case("tensor", data)
    case("tensor", data, dtype="float64")
refusal("tensor", "a")
refusal("tensor", [[1], [2, 3]])


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str) -> None:
    T.refuse(key, "cpu")


LIKE: dict[str, tuple[Any, ...]] = {
    "zeros_like": (), "ones_like": (), "full_like": (2.7,), "empty_like": (), "rand_like": (), "randn_like": (),
    "randint_like": (3, 5),
}  # fmt: skip


@pytest.mark.parametrize("name", LIKE)
def test_like(name: str, device: str) -> None:
    """Shape, type and device are the model's unless given; no graph is taken over."""
    model = minigrad.zeros(2, 3, dtype=minigrad.float64, device=device, requires_grad=True)
    theirs = getattr(torch, name)(torch.zeros(2, 3, dtype=torch.float64), *LIKE[name])
    made = getattr(minigrad, name)(model * 2, *LIKE[name])
    assert made.shape == (2, 3) and made.device == device and dtype_of(made) == dtype_of(theirs)
    assert not made.requires_grad and made.is_leaf
    if name not in ("empty_like", "rand_like", "randn_like", "randint_like"):
        assert made.tolist() == theirs.tolist()
    other = getattr(minigrad, name)(model, *LIKE[name], dtype=minigrad.float32, device="cpu", requires_grad=True)
    assert other.dtype == minigrad.float32 and other.device == "cpu" and other.requires_grad
    if name in ("full_like", "zeros_like", "ones_like", "randint_like"):
        whole = getattr(minigrad, name)(minigrad.zeros(2, dtype=minigrad.int32, device=device), *LIKE[name])
        assert whole.dtype == minigrad.int32
    else:
        assert name == "empty_like" or _refuses_integers(name, device)


def _refuses_integers(name: str, device: str) -> bool:
    for lib, where in ((torch, "cpu"), (minigrad, device)):
        with pytest.raises(NotImplementedError):
            getattr(lib, name)(lib.zeros(2, dtype=lib.int64, device=where))
    return True


RANDOM: dict[str, Any] = {
    "rand": lambda **k: minigrad.rand(40, 50, **k), "randn": lambda **k: minigrad.randn((40, 50), **k),
    "randint": lambda **k: minigrad.randint(3, 9, (40, 50), **k), "randperm": lambda **k: minigrad.randperm(2000, **k),
    "normal": lambda **k: minigrad.normal(2.0, 3.0, (40, 50), **k),
}  # fmt: skip


@pytest.mark.parametrize("name", RANDOM)
def test_one_seed_decides(name: str, device: str) -> None:
    """The same numbers from the same seed, on every device; a generator leaves the default one alone."""
    draw = RANDOM[name]
    first = draw(generator=minigrad.Generator(1)).tolist()
    assert draw(generator=minigrad.Generator(1), device=device).tolist() == first
    assert draw(generator=minigrad.Generator(2)).tolist() != first
    minigrad.manual_seed(1)
    assert draw().tolist() == first
    state = minigrad.get_rng_state()
    draw(generator=minigrad.Generator(3))
    assert minigrad.get_rng_state() == state
    assert draw(device=device).device == device
    assert draw().tolist() != first
    if name not in ("randint", "randperm"):
        made = draw(dtype=minigrad.float64, requires_grad=True)
        assert made.dtype == minigrad.float64 and made.requires_grad


def test_statistics() -> None:
    generator = minigrad.Generator(0)
    x = minigrad.rand(100_000, generator=generator).numpy()
    assert x.min() >= 0 and x.max() < 1 and abs(x.mean() - 0.5) < 0.005 and abs(x.var() - 1 / 12) < 0.002
    x = minigrad.randn(100_000, generator=generator).numpy()
    assert abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02
    x = minigrad.normal(minigrad.tensor([0.0, 10.0]), minigrad.tensor([[1.0], [0.0]]), generator=generator)
    assert x.shape == (2, 2) and x[1].tolist() == [0.0, 10.0]
    x = minigrad.normal(minigrad.zeros(50_000), 3.0, generator=generator).numpy()
    assert abs(x.std() - 3) < 0.05
    x = minigrad.randint(2, 5, (60_000,), generator=generator).numpy()
    assert np.abs(np.bincount(x)[2:] / 60_000 - 1 / 3).max() < 0.01
    assert sorted(minigrad.randperm(50, generator=generator).tolist()) == list(range(50))
    x = minigrad.bernoulli(minigrad.full((50_000,), 0.3), generator=generator).numpy()
    assert set(np.unique(x)) == {0.0, 1.0} and abs(x.mean() - 0.3) < 0.01
    x = minigrad.zeros(50_000, dtype=minigrad.int64).bernoulli(0.7, generator=generator)
    assert x.dtype == minigrad.int64 and abs(x.numpy().mean() - 0.7) < 0.01


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial(replacement: bool, device: str) -> None:
    weights = np.array([[1.0, 2.0, 0.0, 5.0], [4.0, 0.0, 4.0, 0.0]])
    rows = minigrad.tensor(weights, device=device)
    x = minigrad.multinomial(rows, 40_000, True, generator=minigrad.Generator(0)) if replacement else None
    if x is not None:
        assert x.dtype == minigrad.int64 and x.device == device and x.shape == (2, 40_000)
        found = np.stack([np.bincount(row, minlength=4) for row in x.numpy(force=True)]) / 40_000
        assert np.abs(found - weights / weights.sum(1, keepdims=True)).max() < 0.01
        return
    generator = minigrad.Generator(0)
    first = np.zeros(4)
    for _ in range(2000):
        drawn = minigrad.multinomial(rows, 2, generator=generator).tolist()
        assert len(set(drawn[0])) == 2 and 2 not in drawn[0] and sorted(drawn[1]) == [0, 2]
        first[drawn[0][0]] += 1
    assert np.abs(first / 2000 - weights[0] / 8).max() < 0.04
    assert minigrad.multinomial(rows[0], 3, generator=generator).shape == (3,)


BAD: dict[str, Any] = {
    "randint empty": lambda f: f.randint(5, 5, (2,)), "randperm": lambda f: f.randperm(-1),
    "rand of integers": lambda f: f.rand(2, dtype=f.int64), "normal": lambda f: f.normal(0.0, -1.0, (2,)),
    "normal of tensors": lambda f: f.normal(f.zeros(2), f.tensor([1.0, -1.0])),
    "bernoulli": lambda f: f.bernoulli(f.tensor([2.0])), "bernoulli p": lambda f: f.bernoulli(f.zeros(2), -0.1),
    "bernoulli of integers": lambda f: f.bernoulli(f.tensor([1, 0])),
    "multinomial zeros": lambda f: f.multinomial(f.zeros(3), 1), "multinomial negative":
    lambda f: f.multinomial(f.tensor([-1.0, 2.0]), 1), "multinomial inf": lambda f: f.multinomial(f.tensor([INF, 2.0]), 1),
    "multinomial many": lambda f: f.multinomial(f.ones(3), 4), "multinomial none": lambda f: f.multinomial(f.ones(3), 0),
    "multinomial of integers": lambda f: f.multinomial(f.tensor([1, 2]), 1),
    "multinomial 3D": lambda f: f.multinomial(f.ones(2, 2, 2), 1),
    "integers with gradients": lambda f: f.zeros(2, dtype=f.int64, requires_grad=True),
    "randint with gradients": lambda f: f.randint(0, 3, (2,), requires_grad=True),
    "rand of a negative size": lambda f: f.rand(-1), "randint of a negative size": lambda f: f.randint(3, (-1,)),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name: str) -> None:
    with pytest.raises(Exception) as theirs:
        BAD[name](torch)
    with pytest.raises(theirs.type):
        BAD[name](minigrad)


@pytest.mark.parametrize("make", [
    lambda: minigrad.zeros(2, dtype="complex64"), lambda: minigrad.tensor([1j]), lambda: minigrad.full((2,), 1j),
    lambda: minigrad.rand(2, dtype="complex128"), lambda: minigrad.arange(3, dtype="complex64"),
])  # fmt: skip
def test_complex_numbers_are_refused_by_name(make: Any) -> None:
    with pytest.raises(NotImplementedError, match="complex|1j"):
        make()


def test_tensors_and_numpy_numbers_as_arguments() -> None:
    assert minigrad.arange(minigrad.tensor(3)).tolist() == [0, 1, 2]
    assert minigrad.arange(np.int64(1), np.int64(3)).dtype == minigrad.int64
    assert minigrad.full((2,), minigrad.tensor(2.5)).tolist() == [2.5, 2.5]
    assert minigrad.linspace(minigrad.tensor(0.0), minigrad.tensor(1.0), 3).tolist() == [0.0, 0.5, 1.0]
    assert minigrad.zeros(minigrad.tensor([2, 3]).tolist()).shape == (2, 3)
    assert minigrad.zeros(np.int64(2), minigrad.tensor(3)).shape == (2, 3)
    assert minigrad.randint(5, size=(3,)).shape == (3,) and minigrad.randint(2, 5, size=(3,)).shape == (3,)
