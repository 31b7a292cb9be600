"""An input or a result is changed in place after the forward: who refuses the backward pass, and what the gradients are.

Every case of the tables of this folder, each of its tensors in turn: where torch goes on, so does minigrad, to the same
gradients; where only torch refuses, minigrad's gradients are those of the values that went in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import minigrad
from compare.gradients.derivatives import draw_inputs, flat
from minigrad.nn import functional as F
from tests.cases import FAMILIES, Checked, family

COPIED = {
    "matmul", "einsum", "kron", "scaled_dot_product_attention", "multi_head_attention_forward", "shifted_window_attention",
    "norm", "matrix_norm",
}  # fmt: skip
"""What minigrad saves of them is their operands (and attention's result, as torch's fused kernels do); torch may save copies:
broadcast, permuted, or of queries and keys that are scaled, and the decomposition of a norm by singular values. To go on here,
minigrad would have to copy, too."""
STAND_IN = {"hardsigmoid"}  # whose `torch_call` is not torch's op


class DrawnCase(NamedTuple):
    """A case, and the arrays that go in."""

    case: Checked
    arrays: list[Any]


def cases(name: str) -> Iterator[DrawnCase]:
    """Those of a family that have something to differentiate."""
    for case in family(name).cases.values():
        arrays = draw_inputs(case.inputs, np.random.default_rng(case.seed))
        floats = [a for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        if floats and not any(np.isnan(a).any() for a in floats) and short(case) not in STAND_IN:
            yield DrawnCase(case, arrays)


def short(case: Checked) -> str:
    """The function's name alone."""
    return case.name.split(".")[-1]


class Refused(Exception):
    pass


def gradients(fw: Any, drawn: DrawnCase, place: tuple[str, int] | None) -> Any:
    """(the gradients of the float inputs, the tensors changed with that one), or None where there is no such place."""
    leaves: list[Any] = []
    tensors: list[Any] = []
    for a in drawn.arrays:
        if isinstance(a, np.ndarray):
            a = fw.from_numpy(a.copy())
            if a.is_floating_point():
                leaves.append(a.requires_grad_())
                a = a.clone()
        tensors.append(a)
    kwargs = {k: fw.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in drawn.case.kwargs.items()}
    outputs = [y for y in flat(drawn.case.called(fw)(*tensors, **kwargs)) if isinstance(y, fw.Tensor)]
    roots = [(y, cotangent(fw, y, j)) for j, y in enumerate(outputs) if y.requires_grad]
    factors = [1.0] * len(roots)
    if not roots:
        return None
    if place is not None:
        among = tensors if place[0] == "input" else outputs
        if place[1] >= len(among) or not isinstance(among[place[1]], fw.Tensor):
            return None
        changed = among[place[1]]
        if fw is minigrad:
            factors = [1.5 if np.shares_memory(y.array, changed.array) else 1.0 for y, _ in roots]
        try:
            change(fw, changed)
        except RuntimeError as error:
            raise Refused("change", str(error)) from error
    try:
        found = fw.autograd.grad(*[list(part) for part in ([y for y, _ in roots], leaves, [c for _, c in roots])],
                                 allow_unused=True)  # fmt: skip
    except (RuntimeError, IndexError) as error:  # torch's IndexError: of an index that was changed behind its back
        raise Refused("backward", str(error)) from error
    return [np.zeros(x.shape) if g is None else g.detach().numpy() for x, g in zip(leaves, found, strict=True)], factors


def cotangent(fw: Any, y: Any, j: int, factor: float = 1.0) -> Any:
    drawn = np.random.default_rng(100 + j).uniform(-1, 1, tuple(y.shape))
    return fw.from_numpy(np.asarray(factor * drawn, str(y.dtype).removeprefix("torch.")))


def change(fw: Any, x: Any) -> None:
    """Times 1.5; integers and bools keep their values, and count as changed."""
    if x.is_floating_point():
        x.mul_(1.5)
    elif fw is torch:
        x.copy_(x.clone())
    else:
        x.copy_(x)


def expected(drawn: DrawnCase, factors: list[float]) -> list[np.ndarray]:
    """The gradients if nothing was changed, but for the outputs that were: they are 1.5 times what they were."""
    leaves = [minigrad.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in drawn.arrays]
    floats = [x.requires_grad_() for x in leaves if isinstance(x, minigrad.Tensor) and x.is_floating_point()]
    kwargs = {
        k: minigrad.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in drawn.case.kwargs.items()
    }
    outputs = [y for y in flat(drawn.case.called(minigrad)(*leaves, **kwargs)) if isinstance(y, minigrad.Tensor)]
    roots = [(y, j) for j, y in enumerate(outputs) if y.requires_grad]
    cotangents = [cotangent(minigrad, y, j, factor) for (y, j), factor in zip(roots, factors, strict=True)]
    found = minigrad.autograd.grad([y for y, _ in roots], floats, cotangents, allow_unused=True)
    return [np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(floats, found, strict=True)]


def complaint(drawn: DrawnCase, place: tuple[str, int]) -> str | None:
    """What is wrong in that place, or None."""
    try:
        ours = gradients(minigrad, drawn, place)
    except Refused as refused:
        ours = refused
    try:
        theirs = gradients(torch, drawn, place)
    except Refused as refused:
        theirs = refused
    if isinstance(ours, Refused):
        fine = isinstance(theirs, Refused) or short(drawn.case) in COPIED
        return None if fine else f"refused: {ours.args}"
    if ours is None:
        return None
    wanted = expected(drawn, ours[1]) if isinstance(theirs, Refused) or theirs is None else theirs[0]
    alike = all(np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True) for a, b in zip(ours[0], wanted, strict=True))
    return None if alike else f"gradients {ours[0]} instead of {wanted}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAMILIES)
def test_where_torch_goes_on_minigrad_does(name: str) -> None:
    wrong, tried = [], 0
    for drawn in cases(name):
        places = [("input", i) for i, a in enumerate(drawn.arrays) if isinstance(a, np.ndarray)]
        for place in [*places, ("output", 0), ("output", 1)]:
            found = complaint(drawn, place)
            tried += 1
            wrong += [f"{drawn.case}, {place[0]} {place[1]}: {found}"] if found else []
    assert tried > 50
    assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(wrong)


# -- by name: what people write


def both(run: Any) -> None:
    """run(framework) gives arrays; the same in both."""
    for ours, theirs in zip(run(minigrad), run(torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("pool", [(2, 2, 0), (3, 2, 1), (2, 1, 0)])
def test_positions_are_added_to_what_a_pool_gave(inplace: bool, pool: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    x, w, b, positions = (random.standard_normal(s) for s in ((2, 2, 8, 8), (3, 2, 3, 3), (3,), (1, 3, 1, 1)))

    def run(fw: Any) -> list[np.ndarray]:
        model = fw.nn.Sequential(fw.nn.Conv2d(2, 3, 3), fw.nn.ReLU(inplace), fw.nn.MaxPool2d(*pool)).double()
        with fw.no_grad():
            model[0].weight.copy_(fw.from_numpy(w))
            model[0].bias.copy_(fw.from_numpy(b))
        given, added = fw.from_numpy(x.copy()).requires_grad_(), fw.from_numpy(positions.copy()).requires_grad_()
        y = model(given)
        y += added
        y *= -2
        inputs = [given, added, *model.parameters()]
        first = fw.autograd.grad((y**2).sum(), inputs, create_graph=True)
        second = fw.autograd.grad(sum((g**2).sum() for g in first), inputs)
        return [v.detach().numpy() for v in (y, *first, *second)]

    both(run)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"reduction": "sum", "ignore_index": 2}])
@pytest.mark.parametrize("leaf", [False, True])
def test_logits_are_changed_after_the_loss(options: dict[str, Any], leaf: bool) -> None:
    random = np.random.default_rng(1)
    logits, classes = random.standard_normal((4, 5)), np.array([0, 2, 4, 1])

    def run(fw: Any) -> list[np.ndarray]:
        x = fw.from_numpy(logits.copy()).requires_grad_()
        z = x if leaf else x * 2
        loss = fw.nn.functional.cross_entropy(z, fw.from_numpy(classes), **options)
        with fw.no_grad():
            z += 1
        (first,) = fw.autograd.grad(loss, x, create_graph=True)
        (second,) = fw.autograd.grad((first**3).sum(), x, create_graph=True)
        (third,) = fw.autograd.grad((second**2).sum(), x)
        return [v.detach().numpy() for v in (loss, first, second, third)]

    both(run)


def test_logits_are_not_kept() -> None:
    import weakref

    z = minigrad.ones((3, 4), requires_grad=True) * 2
    kept = weakref.ref(z)
    loss = F.cross_entropy(z, minigrad.tensor([0, 1, 2]))
    del z
    assert kept() is None and loss.requires_grad


def test_views_that_repeat_nothing_can_be_written_into() -> None:
    def run(fw: Any) -> list[np.ndarray]:
        x = fw.from_numpy(np.arange(3.0)).requires_grad_()
        y = x * 2
        y.expand(1, 3).mul_(3)
        y.expand(4, 3)[2].add_(1)
        fw.meshgrid(y, fw.from_numpy(np.ones(1)), indexing="ij")[0].mul_(2)
        (y**2).sum().backward()
        return [y.detach().numpy(), x.grad.numpy()]

    both(run)
    for fw in (minigrad, torch):
        with pytest.raises(RuntimeError, match="single memory location"):
            fw.ones(3).expand(2, 3).mul_(2)


@pytest.mark.parametrize("shape", [(2, 4, 1, 1), (2, 1, 3, 2)])
@pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"])
def test_what_moves_nothing_is_a_copy(name: str, shape: tuple[int, ...]) -> None:
    def run(fw: Any) -> list[np.ndarray]:
        x = fw.from_numpy(np.ones(shape))
        y = getattr(fw.nn.functional, name)(x, 1)
        y += 1
        return [x.numpy(), y.numpy()]

    both(run)
