"""Random shapes, axes, indices and matrices, against torch and against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import minigrad
from minigrad.autograd import grad
from tests.properties.strategies import drawn, same_as_torch, shapes, tries

# -- broadcasting

BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "atan2", "hypot", "logaddexp", "lt", "eq"]


@tries(60)
@given(
    name=st.sampled_from(BINARY),
    forms=arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4),
)
def test_broadcasting(name: str, forms: Any) -> None:
    a, b = (drawn(shape, seed) for seed, shape in enumerate(forms.input_shapes))
    same_as_torch(lambda f, x, y: getattr(f, name)(x, y), a, b)


@tries(40)
@given(name=st.sampled_from(BINARY), a=shapes(smallest=1), b=shapes(smallest=1))
def test_shapes_that_may_not_broadcast(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    same_as_torch(lambda f, x, y: getattr(f, name)(x, y), drawn(a), drawn(b, 1), order=1)


@tries(25)
@given(forms=arrays.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3))
def test_where_of_three_shapes(forms: Any) -> None:
    condition, a, b = (drawn(shape, seed) for seed, shape in enumerate(forms.input_shapes))
    same_as_torch(lambda f, c, x, y: f.where(c, x, y), np.asarray(condition > 0), a, b)


# -- reductions


@st.composite
def axes_of(draw: Any, ndim: int) -> Any:
    """None, an axis, or several; negative ones too; now and then one too many."""
    one = st.integers(-max(ndim, 1), max(ndim, 1) - 1)
    return draw(st.one_of(st.none(), one, st.lists(one, max_size=ndim).map(tuple), st.just(ndim + 1)))


SEVERAL_AXES = ["sum", "mean", "amax", "amin", "var", "std", "logsumexp", "nansum", "all", "any"]
ONE_AXIS = ["prod", "max", "min", "argmax", "argmin", "cumsum", "cumprod", "softmax", "log_softmax", "sort", "median"]


@tries(80)
@given(name=st.sampled_from(SEVERAL_AXES), shape=shapes(), keepdim=st.booleans(), data=st.data())
def test_reductions(name: str, shape: tuple[int, ...], keepdim: bool, data: Any) -> None:
    dim = data.draw(axes_of(len(shape)))
    if name == "logsumexp" and dim is None:
        dim = ()
    if name in ("var", "std") and (dim == () or int(np.prod(shape)) < 2):
        return  # torch takes () for all axes, but its gradient for none; and of one number there is no variance
    same_as_torch(lambda f, x: getattr(f, name)(x, dim=dim, keepdim=keepdim), drawn(shape))


@tries(60)
@given(name=st.sampled_from(ONE_AXIS), shape=shapes(), data=st.data())
def test_along_one_axis(name: str, shape: tuple[int, ...], data: Any) -> None:
    dim = data.draw(st.integers(-len(shape) - 1, len(shape)))
    same_as_torch(lambda f, x: _values(getattr(f, name)(x, dim)), drawn(shape))


def _values(result: Any) -> Any:
    """A named tuple as a plain one."""
    return tuple(result) if isinstance(result, tuple) else result


@tries(40)
@given(
    name=st.sampled_from(["sum", "mean", "max", "min", "prod", "var", "std", "cumsum", "argmax", "argmin"]),
    shape=shapes(1, 4, 1),
    data=st.data(),
)
def test_reductions_against_numpy(name: str, shape: tuple[int, ...], data: Any) -> None:
    x, dim = drawn(shape), data.draw(st.integers(-len(shape), len(shape) - 1))
    options = {"unbiased": False} if name in ("var", "std") else {}
    ours = getattr(minigrad, name)(minigrad.from_numpy(x), dim, **options)
    ours = ours[0] if isinstance(ours, tuple) else ours
    np.testing.assert_allclose(ours.numpy(), getattr(np, name)(x, axis=dim), rtol=1e-12, atol=1e-12)


# -- indices


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """An index as torch takes it: numbers, slices, index arrays, masks, None and an ellipsis, in any order."""
    form = draw(shapes(0, 2, 1, 3))
    parts: list[Any] = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        kind = draw(st.sampled_from(["number", "slice", "slice", "array", "mask"] if n else ["slice"]))
        if kind == "number":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "array":
            picked = draw(st.lists(st.integers(-n, n - 1), min_size=9, max_size=9))
            parts.append(np.array(picked[: int(np.prod(form))], np.int64).reshape(form))
        elif kind == "mask":
            parts.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))))
        else:
            bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
            parts.append(slice(draw(bound), draw(bound), draw(st.one_of(st.none(), st.integers(1, 3)))))
    for extra in (None, None, Ellipsis):
        if draw(st.booleans()):
            parts.insert(draw(st.integers(0, len(parts))), extra)
    return tuple(parts)


def _as_index(framework: Any, index: tuple[Any, ...]) -> Any:
    return tuple([framework.from_numpy(i) if isinstance(i, np.ndarray) else i for i in index])


@tries(150)
@given(shape=shapes(1, 4), data=st.data())
def test_indices(shape: tuple[int, ...], data: Any) -> None:
    index = data.draw(indices(shape))
    same_as_torch(lambda f, x: x[_as_index(f, index)], drawn(shape))


@tries(60)
@given(shape=shapes(1, 3, 1), data=st.data())
def test_assignment(shape: tuple[int, ...], data: Any) -> None:
    """Where an element is written at most once: then the order of writing cannot matter."""
    index = data.draw(indices(shape))
    places = np.arange(int(np.prod(shape))).reshape(shape)
    try:
        written = places[index]
    except IndexError:
        return
    if len(np.unique(written)) != written.size:
        return

    def assign(f: Any, x: Any, v: Any) -> Any:
        y = x * 2
        y[_as_index(f, index)] = v
        return y

    same_as_torch(assign, drawn(shape), drawn(written.shape, 1))
    same_as_torch(assign, drawn(shape), drawn((), 1))


@tries(30)
@given(shape=shapes(1, 4), data=st.data())
def test_masks_of_several_axes(shape: tuple[int, ...], data: Any) -> None:
    mask = drawn(shape[: data.draw(st.integers(1, len(shape)))], 1) > 0
    same_as_torch(lambda f, x: x[f.from_numpy(mask)], drawn(shape))


@tries(30)
@given(name=st.sampled_from(["gather", "index_select", "take_along_dim"]), shape=shapes(1, 3, 1), data=st.data())
def test_index_tensors(name: str, shape: tuple[int, ...], data: Any) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = (data.draw(st.integers(0, 5)),)
    form = count if name == "index_select" else shape[: dim % len(shape)] + count + shape[dim % len(shape) + 1 :]
    index = np.random.default_rng(0).integers(0, shape[dim], form)

    def pick(f: Any, x: Any, i: Any) -> Any:
        return f.take_along_dim(x, i, dim) if name == "take_along_dim" else getattr(f, name)(x, dim, i)

    same_as_torch(pick, drawn(shape), index)


# -- arrangements


def _same(x: Any, y: Any) -> None:
    """y is x, and hands its gradient on to it unchanged."""
    g = drawn(x.shape, 9)
    (gx,) = grad(y, [x], minigrad.from_numpy(g))
    assert y.shape == x.shape
    np.testing.assert_array_equal(y.detach().numpy(), x.detach().numpy())
    np.testing.assert_array_equal(gx.numpy(), g)


def _tensor(shape: tuple[int, ...]) -> Any:
    return minigrad.from_numpy(drawn(shape)).requires_grad_()


@tries(40)
@given(shape=shapes(1, 5, 1, 3), data=st.data())
def test_there_and_back(shape: tuple[int, ...], data: Any) -> None:
    """Every arrangement undone gives what was there, and so does its gradient."""
    x, ndim = _tensor(shape), len(shape)
    order = data.draw(st.permutations(range(ndim)))
    dim = data.draw(st.integers(-ndim, ndim - 1))
    a, b = data.draw(st.integers(0, ndim - 1)), data.draw(st.integers(0, ndim - 1))
    _same(x, x.permute(order).permute([order.index(i) for i in range(ndim)]))
    _same(x, x.reshape(-1).reshape(shape))
    _same(x, x.flatten(min(a, b), max(a, b)).reshape(shape))
    _same(x, x.movedim(a, b).movedim(b, a))
    _same(x, x.unsqueeze(dim).squeeze(dim))
    _same(x, x.flip(dim).flip(dim))
    _same(x, minigrad.cat(x.split(data.draw(st.integers(1, 3)), dim), dim))
    _same(x, minigrad.cat(x.chunk(data.draw(st.integers(1, 4)), dim), dim))
    _same(x, minigrad.stack(x.unbind(dim), dim))
    _same(x, x.roll(a + 1, dim).roll(-a - 1, dim))
    _same(x, x.expand(2, *shape).mean(0))


ARRANGEMENTS = {
    "permute": lambda f, x, a, b: x.permute([*range(1, x.ndim), 0]),
    "transpose": lambda f, x, a, b: x.transpose(a % x.ndim, b % x.ndim),
    "flip": lambda f, x, a, b: x.flip(a % x.ndim),
    "every second": lambda f, x, a, b: x[(slice(None),) * (a % x.ndim) + (slice(b % 2, None, 2),)],
    "reshape": lambda f, x, a, b: x.reshape(x.shape[0], -1, 1) if x.shape[0] and x.numel() else x,
    "expand": lambda f, x, a, b: x.unsqueeze(0).expand(2, *x.shape),
    "cat": lambda f, x, a, b: f.cat([x, 2 * x], a % x.ndim) if x.shape != (0,) else x,  # torch's has no graph there
    "stack": lambda f, x, a, b: f.stack([x, x * x], b % (x.ndim + 1)),
    "sum": lambda f, x, a, b: x.sum(a % x.ndim, keepdim=True) * x,
    "narrow": lambda f, x, a, b: x.narrow(a % x.ndim, 0, x.shape[a % x.ndim] // 2),
    "tile": lambda f, x, a, b: f.tile(x, (2, 1)),
    "roll": lambda f, x, a, b: x.roll(b, a % x.ndim),
    "rot90": lambda f, x, a, b: f.rot90(x, a, [0, 1]) if x.ndim > 1 else x,
    "diagonal": lambda f, x, a, b: x.diagonal(a % 3 - 1) if x.ndim > 1 else x,
    "triu": lambda f, x, a, b: x.triu(b - 2) if x.ndim > 1 else x,
    "repeat_interleave": lambda f, x, a, b: x.repeat_interleave(2, a % x.ndim),
    "pad": lambda f, x, a, b: f.nn.functional.pad(x, (a % 2, b % 3)),
}


@tries(100)
@given(
    shape=shapes(1, 3, 0, 3),
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(ARRANGEMENTS)), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5
    ),
)
def test_chains_of_arrangements(shape: tuple[int, ...], steps: list[Any]) -> None:
    def chain(f: Any, x: Any) -> Any:
        for name, a, b in steps:
            if x.ndim < 6:
                x = ARRANGEMENTS[name](f, x, a, b)
        return x * x.detach()

    same_as_torch(chain, drawn(shape))


# -- products


@tries(60)
@given(batch=arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3), data=st.data())
def test_matmul(batch: Any, data: Any) -> None:
    n, k, m = (data.draw(st.integers(0, 4)) for _ in range(3))
    other = data.draw(st.sampled_from([k, k, k, k + 1]))  # now and then one that does not fit
    a, b = batch.input_shapes
    x = data.draw(st.sampled_from([(*a, n, k), (k,)]))
    y = data.draw(st.sampled_from([(*b, other, m), (other,)]))
    same_as_torch(lambda f, x, y: f.matmul(x, y), drawn(x), drawn(y, 1))
    if other == k:
        ours = minigrad.matmul(minigrad.from_numpy(drawn(x)), minigrad.from_numpy(drawn(y, 1)))
        np.testing.assert_allclose(ours.numpy(), np.matmul(drawn(x), drawn(y, 1)), rtol=1e-12, atol=1e-12)


@tries(80)
@given(data=st.data())
@pytest.mark.skipif(not hasattr(minigrad, "einsum"), reason="no einsum")
def test_einsum(data: Any) -> None:
    """Letters in any order, repeated in an operand and between operands; kept, summed; with an ellipsis or without."""
    sizes = dict(zip("abcd", data.draw(st.lists(st.integers(1, 3), min_size=4, max_size=4)), strict=True))
    terms = data.draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3))
    dots = data.draw(st.booleans())
    used = sorted(set("".join(terms)))
    kept = data.draw(st.permutations(used))[: data.draw(st.integers(0, len(used)))]
    equation = ",".join(("..." if dots else "") + term for term in terms)
    if data.draw(st.booleans()):
        equation += "->" + ("..." if dots else "") + "".join(kept)
    operands = [
        drawn(((2,) if dots and i != 1 else ()) + tuple(sizes[c] for c in term), i) for i, term in enumerate(terms)
    ]
    same_as_torch(lambda f, *xs: f.einsum(equation, *xs), *operands)
    ours = minigrad.einsum(equation, *[minigrad.from_numpy(x) for x in operands])
    np.testing.assert_allclose(ours.numpy(), np.einsum(equation, *operands), rtol=1e-12, atol=1e-12)
