"""What was saved for a gradient and changed since is caught: what minigrad changes always, what others change by the guard."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import grad, guard, is_guard_enabled, set_guard
from minigrad.autograd.guard import fingerprint
from minigrad.backends import of

OUTSIDE = r"modified from outside: .* of {op}.*called at .*test_guard\.py:\d+.*backward pass at .*test_guard\.py:\d+"


def leaf(values: Any, device: str = "cpu") -> mg.Tensor:
    return mg.tensor(np.asarray(values, np.float64), device=device, requires_grad=True)


CHANGES = {
    "array": lambda x: x.array.__setitem__(0, 7.0),
    "array in place": lambda x: x.array.__imul__(2.0),
    "data": lambda x: x.data.mul_(2.0),
    "one bit": lambda x: x.array.__setitem__(1, np.nextafter(float(x.array[1]), 3.0)),
    "exchanged": lambda x: x.array.__setitem__(slice(None), x.array[::-1].copy()),
    "replaced": lambda x: setattr(x, "array", x.array * 2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_saved_input_changed_from_outside(name: str, device: str) -> None:
    x, w = leaf([1.0, 2.0, 3.0], device), leaf([4.0, 5.0, 6.0], device)
    with guard():
        loss = (x * w).sum()
    CHANGES[name](x)
    with pytest.raises(RuntimeError, match=OUTSIDE.format(op="Mul")):
        loss.backward()


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "replaced"])  # the result's array is kept itself
def test_a_saved_result_changed_from_outside(name: str, device: str) -> None:
    x = leaf([1.0, 2.0, 3.0], device)
    with guard():
        y = x.exp()
        loss = y.sum()
    CHANGES[name](y)
    with pytest.raises(RuntimeError, match=OUTSIDE.format(op="Exp")):
        loss.backward()


def test_the_array_that_a_tensor_was_made_from() -> None:
    array = np.ones(3)
    x = mg.from_numpy(array).requires_grad_()
    with guard():
        loss = (x * x).sum()
    array += 1
    with pytest.raises(RuntimeError, match="modified from outside"):
        loss.backward()


def test_what_an_op_holds_beside_its_inputs(device: str) -> None:
    """Indices, targets and masks are arrays of the user's as well."""
    x, index = leaf([1.0, 2.0, 3.0], device), mg.tensor([0, 2], device=device)
    target = mg.tensor([1, 0], device=device)
    logits = leaf([[1.0, 2.0], [3.0, 5.0]], device)
    with guard():
        picked, loss = x[index].sum(), mg.nn.functional.cross_entropy(logits, target)
    index.array[0] = 1
    target.array[0] = 0
    with pytest.raises(RuntimeError, match="its index of GetItem"):
        picked.backward()
    with pytest.raises(RuntimeError, match="(its target|saved tensor .) of (Total)?CrossEntropy"):
        loss.backward()


def test_the_users_own_op() -> None:
    class Times(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.save_for_backward(x)
            ctx.k = k
            return x * x * k

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0] * ctx.k, None

    for change in (0, 1):
        x, k = leaf([1.0, 2.0]), mg.tensor([3.0, 3.0], dtype=mg.float64)
        with guard():
            loss = Times.apply(x, k).sum()
        (x, k)[change].array[0] = 5
        with pytest.raises(RuntimeError, match="TimesBackward"):
            loss.backward()


def test_nothing_is_caught_where_nothing_changed(device: str) -> None:
    mg.manual_seed(0)
    model = mg.nn.Sequential(
        mg.nn.Conv2d(2, 3, 3, padding=1), mg.nn.BatchNorm2d(3), mg.nn.ReLU(), mg.nn.MaxPool2d(2), mg.nn.Dropout(0.3),
        mg.nn.Flatten(), mg.nn.Linear(12, 4),
    ).to(device)  # fmt: skip
    x, target = mg.randn(2, 2, 4, 4, device=device), mg.tensor([1, 3], device=device)
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for watched in (False, True):
        mg.manual_seed(1)
        for p in model.parameters():
            mg.nn.init.constant_(p, 0.1)
        model.zero_grad()
        with guard(watched):
            for _ in range(2):
                loss = mg.nn.functional.cross_entropy(model(x), target)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
        optimizer.state.clear()
        losses.append(loss.item())
    assert losses[0] == losses[1]


def test_what_is_not_read_is_not_held_against_anyone() -> None:
    x = leaf([1.0, 2.0])
    with guard():
        y = x**2  # keeps its result, for a gradient of the exponent that nobody asks for
        loss = y.sum()
    y.array[0] = 9
    loss.backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_changes_by_ops_keep_their_own_error() -> None:
    x = leaf([1.0, 2.0])
    with guard():
        y = x * 1
        z = (y * y).sum()
        y.add_(1)
    with pytest.raises(RuntimeError, match=r"inplace operation.*Mul.*called at .*test_guard\.py"):
        z.backward()


def test_in_place_ops_pass_under_the_guard(device: str) -> None:
    x = leaf([1.0, 2.0], device)
    with guard():
        y = x * 1.5
        y.mul_(y)
        y[0] = 3.0
        y.exp_()
        y.sum().backward()
    assert x.grad.tolist()[0] == 0.0


def test_gradients_of_gradients_are_guarded_too(device: str) -> None:
    x = leaf([1.0, 2.0], device)
    with guard():
        (g,) = grad((x**3).sum(), x, create_graph=True)
        loss = (g * g).sum()
    x.array[0] = 5
    with pytest.raises(RuntimeError, match="modified from outside"):
        loss.backward()


def test_switching() -> None:
    assert not is_guard_enabled()
    with guard():
        assert is_guard_enabled()
        with guard(False):
            assert not is_guard_enabled()
        assert is_guard_enabled()
        seen: list[bool] = []
        thread = threading.Thread(target=lambda: seen.append(is_guard_enabled()))
        thread.start()
        thread.join()
        assert seen == [False]
    set_guard(True)
    try:
        assert is_guard_enabled()
    finally:
        set_guard(False)
    assert not is_guard_enabled()
    x = leaf([1.0])
    y = (x * x).sum()
    x.array[0] = 3  # unguarded: unseen, as documented
    y.backward()
    assert x.grad.item() == 6.0


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "uint8", "bool"])
def test_fingerprints(dtype: str, device: str) -> None:
    random = np.random.default_rng(0)
    values = (random.uniform(0, 2, (4, 6)) if "float" in dtype else random.integers(0, 2, (4, 6))).astype(dtype)
    array = mg.from_numpy(values).to(device).array
    same = array.copy()
    assert fingerprint(array) == fingerprint(same) == fingerprint(array)
    assert fingerprint(array) != fingerprint(array.reshape(6, 4))
    seen = {fingerprint(array)}
    for place in np.ndindex(4, 6):
        before = array[place].copy()
        array[place] = not before if dtype == "bool" else before + 1
        seen.add(fingerprint(array))
        array[place] = before
    assert len(seen) == 25
    for view in (
        array.T,
        array[:, ::2],
        array[::-1],
        array[:0],
        array[1, 2],
        of(array).xp.broadcast_to(array[:1], (4, 6)),
    ):
        assert fingerprint(view) == fingerprint(view)
    square = array[:, :4].copy()
    assert fingerprint(square) != fingerprint(square.T)  # the same memory, read in another order
    rows = array.copy()
    rows[[0, 1]] = rows[[1, 0]]
    assert fingerprint(rows) != fingerprint(array)


def test_round_numbers_exchanged_far_apart(device: str) -> None:
    """The words of round numbers are many zeros: a sum of them, weighted by place, would not see this."""
    array = mg.zeros(1 << 14, dtype=mg.float64, device=device).array
    array[0], array[1 << 13] = 1.0, 2.0
    before = fingerprint(array)
    array[0], array[1 << 13] = 2.0, 1.0
    assert fingerprint(array) != before


# -- versions, always ---------------------------------------------------------------------------------------------------


INITIALISERS = [
    "constant_", "ones_", "zeros_", "uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_",
    "kaiming_uniform_", "kaiming_normal_", "orthogonal_", "eye_", "dirac_", "sparse_",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in INITIALISERS if hasattr(mg.nn.init, name)])
def test_every_initialiser_counts(name: str, device: str) -> None:
    w = mg.ones(3, 3, 3, device=device) if name == "dirac_" else mg.ones(3, 3, device=device)
    w.requires_grad_()
    loss = (w * w).sum()
    more = {"constant_": (2.0,), "sparse_": (0.5,)}.get(name, ())
    getattr(mg.nn.init, name)(w, *more)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def optimizers() -> list[str]:
    return [
        name for name in dir(mg.optim)
        if isinstance(getattr(mg.optim, name), type) and issubclass(getattr(mg.optim, name), mg.optim.Optimizer)
        and name != "Optimizer"
    ]  # fmt: skip


@pytest.mark.parametrize("name", optimizers())
def test_every_optimizers_step_counts(name: str, device: str) -> None:
    w = mg.ones(3, device=device).requires_grad_()
    optimizer = getattr(mg.optim, name)([w], lr=0.1)
    loss = (w * w).sum()
    w.grad = mg.ones(3, device=device)
    optimizer.step()
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def in_place_methods() -> list[str]:
    skipped = ("requires_grad_", "detach_", "retain_grad_", "share_memory_")
    return [name for name in dir(mg.Tensor) if name.endswith("_") and not name.startswith("_") and name not in skipped]


def tries() -> Any:
    """(tensor, arguments) of many forms: one of them suits each method."""
    m, index = mg.tensor([[0.25, 0.5], [0.5, 0.25]]), mg.tensor([[0, 1], [1, 0]])
    v, picked = mg.tensor([0.5, 0.25]), mg.tensor([0, 1])
    batch = mg.stack([m, m])
    arguments: list[tuple[Any, ...]] = [
        (), (m,), (0.5,), (index,), (0, 1), (m, 0.5), (m, m), (v, v), (m, v), (batch, batch), (0.2, 0.8), (0,), (index > 0,),
        (m > 0.3, 1.0), (m > 0.3, m), (0, index, m), (0, index, 1.0), (0, picked, m), (0, picked, 1.0), (picked, v), (2, 0, 0.1),
        (0, index, m, "sum"),
    ]  # fmt: skip
    for x in (m, index, batch, v):
        for more in arguments:
            yield x.clone(), more


@pytest.mark.parametrize("name", in_place_methods())
def test_every_in_place_method_counts(name: str) -> None:
    for x, arguments in tries():
        try:
            with mg.no_grad():
                result = getattr(x, name)(*arguments)
        except (TypeError, RuntimeError, AttributeError, ValueError, IndexError):
            continue
        assert result is x and x.version > 0
        return
    pytest.fail(f"no arguments found for {name}")


def test_other_roads_count(device: str) -> None:
    def check(change: Any) -> None:
        w = mg.ones(2, 2, device=device).requires_grad_()
        loss = (w * w).sum()
        with mg.no_grad():
            change(w)
        with pytest.raises(RuntimeError, match="inplace"):
            loss.backward()

    def assign_data(w: mg.Tensor) -> None:
        w.data = mg.zeros(2, 2, device=device)

    def load(w: mg.Tensor) -> None:
        module = mg.nn.Linear(2, 2, bias=False)
        module.weight = mg.nn.Parameter(w)
        w._memory = module.weight.memory  # the Parameter shares the memory
        module.load_state_dict({"weight": mg.zeros(2, 2)})

    for change in (
        lambda w: w.__setitem__(0, 1.0), lambda w: w.detach().mul_(2), lambda w: w[0].add_(1), lambda w: w.t().zero_(),
        assign_data, load,
    ):  # fmt: skip
        check(change)
