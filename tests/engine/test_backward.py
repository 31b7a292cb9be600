"""The backward pass: what broke in other engines, each a test; and the graph's promises."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad.autograd import grad


def leaf(values, device="cpu", dtype=np.float64):
    return mg.tensor(np.asarray(values, dtype), device=device, requires_grad=True)


def values(t):
    return t.detach().numpy(force=True)


def test_a_chain_of_100_000_ops() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0
    del y  # dropping the chain must not recurse either


def test_a_deep_chain_is_dropped_without_recursion() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(200_000):
        y = y * 1.0
    del y
    assert x.grad is None


def test_thirty_residual_additions_visit_each_node_once() -> None:
    """Walking every path of 2^30 would not end."""
    x = leaf(1.0)
    y = x
    for _ in range(30):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**30


def test_the_same_tensor_twice(device: str) -> None:
    x = leaf([1.0, 2.0], device)
    (x + x).sum().backward()
    assert values(x.grad).tolist() == [2.0, 2.0]


def test_branches_do_not_write_into_a_shared_gradient(device: str) -> None:
    z = leaf([-1.0, 3.0], device)
    (z.abs() + z).sum().backward()
    assert values(z.grad).tolist() == [0.0, 2.0]


def test_gradients_of_two_leaves_do_not_share_memory(device: str) -> None:
    x, y = leaf([1.0, 2.0], device), leaf([3.0, 4.0], device)
    (x + y).backward(mg.tensor([1.0, 1.0], dtype=mg.float64, device=device))
    x.grad.fill_(7.0)
    assert values(y.grad).tolist() == [1.0, 1.0]


def test_the_callers_gradient_is_not_written_to(device: str) -> None:
    x = leaf([1.0, 2.0], device)
    start = mg.tensor([1.0, 1.0], dtype=mg.float64, device=device)
    y = x + x * 3 + x
    y.backward(start, retain_graph=True)
    y.backward(start)
    assert values(start).tolist() == [1.0, 1.0]
    assert values(x.grad).tolist() == [10.0, 10.0]


def test_saved_arrays_are_not_written_to(device: str) -> None:
    """z = x y and its gradient x must not be accumulated into x's own array."""
    x, y = leaf([1.0, 2.0], device), leaf([3.0, 4.0], device)
    one = mg.tensor([1.0, 1.0], dtype=mg.float64, device=device)
    z = x * y + y * 2 + y
    z.backward(one)
    assert values(x).tolist() == [1.0, 2.0]
    assert values(y.grad).tolist() == [4.0, 5.0]


def test_a_repeated_index_gets_every_gradient(device: str) -> None:
    x = leaf([1.0, 2.0, 3.0], device)
    x[[0, 0, 2]].sum().backward()
    assert values(x.grad).tolist() == [2.0, 0.0, 1.0]


def test_max_pool_over_zeros_sends_the_gradient_once(device: str) -> None:
    x = leaf(np.zeros((1, 1, 2, 2)), device)
    mg.nn.functional.max_pool2d(x, 2).sum().backward()
    assert values(x.grad).ravel().tolist() == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["relu", "abs"])
def test_gradient_nought_at_the_kink(name: str, device: str) -> None:
    x = leaf([0.0], device)
    getattr(x, name)().sum().backward()
    assert values(x.grad).tolist() == [0.0]


def test_python_scalars_are_weak(device: str) -> None:
    x = leaf([1.0], device, np.float32)
    for y in (x * 2.0, 2.0 * x, x + 1, 1 / x, x**2.0, x - np.float64(1.0), np.float64(3.0) * x, x / np.float32(2)):
        assert y.dtype == np.float32
        x.grad = None
        y.sum().backward()
        assert x.grad.dtype == np.float32


def test_float64_graphs_stay_float64(device: str) -> None:
    x = leaf(np.ones((2, 3, 8, 8)), device)
    w = leaf(np.ones((4, 3, 3, 3)), device)
    y = mg.nn.functional.max_pool2d(mg.nn.functional.conv2d(x, w, padding=1).relu(), 2).mean((2, 3))
    loss = mg.nn.functional.cross_entropy(y, mg.tensor([0, 1], device=device))
    assert loss.dtype == np.float64
    loss.backward()
    assert x.grad.dtype == w.grad.dtype == np.float64


def test_numpy_on_the_left_gives_a_tensor() -> None:
    x = leaf([1.0, 2.0])
    for y in (np.float32(2) * x, np.array([2.0, 2.0]) * x, np.ones(2) + x, np.ones((2, 2)) @ x, np.ones(2) > x, 2 - x):
        assert isinstance(y, mg.Tensor)
    assert (np.array([2.0, 3.0]) * x).requires_grad


def test_a_saved_tensor_changed_in_place_is_an_error(device: str) -> None:
    x = leaf([1.0, 2.0], device)
    y = x * 2
    z = y * y
    y += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation.*Mul"):
        z.sum().backward()


def test_a_saved_output_changed_in_place_is_an_error(device: str) -> None:
    x = leaf([1.0, 2.0], device)
    y = x.exp()
    z = y.sum()
    y *= 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation.*Exp"):
        z.backward()


def test_a_parameter_changed_under_no_grad_after_use_is_an_error(device: str) -> None:
    w = leaf([1.0, 2.0], device)
    loss = (w * w).sum()
    with mg.no_grad():
        w -= 0.1
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def test_in_place_ops_have_the_right_gradient(device: str) -> None:
    for change in (
        lambda t: t.mul_(3.0), lambda t: t.add_(1.0), lambda t: t.exp_(), lambda t: t.relu_(),
        lambda t: t.pow_(2), lambda t: t.div_(2.0),
    ):  # fmt: skip
        x = leaf([1.0, 2.0], device)
        y = x * 1.5
        y = change(y)
        (y * 2).sum().backward()
        tx = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
        ty = change(tx * 1.5)
        (ty * 2).sum().backward()
        np.testing.assert_allclose(values(x.grad), tx.grad.numpy(), rtol=1e-12)


def test_in_place_by_a_tensor_that_requires_grad(device: str) -> None:
    x, w = leaf([1.0, 2.0], device), leaf([3.0, 4.0], device)
    y = x * 2
    y *= w
    y.sum().backward()
    assert values(x.grad).tolist() == [6.0, 8.0]
    assert values(w.grad).tolist() == [2.0, 4.0]


def test_in_place_by_itself_has_the_right_gradient(device: str) -> None:
    """torch refuses this one."""
    x = leaf([1.0, 2.0], device)
    y = x * 1.5
    y.mul_(y)
    y.sum().backward()
    assert values(x.grad).tolist() == [4.5, 9.0]


def test_in_place_on_a_leaf_is_an_error() -> None:
    x = leaf([1.0])
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x += 1
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x[0] = 2.0
    with mg.no_grad():
        x += 1
    assert x.item() == 2.0


def test_in_place_keeps_the_type() -> None:
    x = mg.tensor([1, 2])
    with pytest.raises(RuntimeError, match="can't be cast"):
        x += 0.5
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        x += mg.tensor([[1, 2], [3, 4]])


def test_views_share_memory_and_versions() -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    v = x.t()[0]
    v += 10
    assert x.tolist() == [[11.0, 2.0], [13.0, 4.0]]
    assert x.version == v.version == 1
    copy = mg.tensor([[1.0, 2.0], [3.0, 4.0]]).t().reshape(4)
    copy += 1
    assert x.version == 1


def test_a_second_backward_is_an_error_that_names_retain_graph(device: str) -> None:
    x = leaf([1.0, 2.0], device)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()
    assert values(x.grad).tolist() == [2.0, 4.0]
    z = (x * x).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert values(x.grad).tolist() == [6.0, 12.0]


def test_what_was_saved_is_freed_as_the_pass_goes() -> None:
    import weakref

    x = leaf(np.ones(4))
    y = x.exp()
    z = y * y
    loss = z.sum()
    alive = weakref.ref(y.array)
    del y, z
    loss.backward()
    assert alive() is None


def _live_objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def test_nothing_is_left_after_forward_and_backward() -> None:
    model = mg.nn.Sequential(
        mg.nn.Conv2d(2, 3, 3, padding=1), mg.nn.ReLU(), mg.nn.MaxPool2d(2), mg.nn.Conv2d(3, 4, 1), mg.nn.BatchNorm2d(4),
        mg.nn.AdaptiveAvgPool2d(1), mg.nn.Flatten(), mg.nn.Linear(4, 5),
    )  # fmt: skip
    x, target = mg.randn(2, 2, 8, 8), mg.tensor([0, 1])

    def step() -> None:
        loss = mg.nn.functional.cross_entropy(model(x), target)
        loss.backward()
        model.zero_grad()

    step()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(100):
            step()
        after = len(gc.get_objects())
        assert gc.collect() == 0  # no cycles: everything was freed by reference counts
    finally:
        gc.enable()
    assert after - before < 50  # caches settle; one object a step would be a hundred


def test_retain_grad_and_hooks_leave_no_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf([1.0, 2.0])
        y = x * 2
        y.retain_grad()
        y.register_hook(lambda g: g * 2)
        (y * y).sum().backward()
        assert values(y.grad).tolist() == [4.0, 8.0]
        assert values(x.grad).tolist() == [16.0, 32.0]
        del x, y
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_hooks_on_leaves_see_the_whole_gradient() -> None:
    seen = []
    x = leaf([1.0])
    handle = x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [5.0]
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [5.0]
    y = leaf([1.0])
    y.register_hook(lambda g: g * 10)
    (y * 2).sum().backward()
    assert y.grad.item() == 20.0


def test_several_outputs_with_one_dropped(device: str) -> None:
    x = leaf([[3.0, 1.0], [2.0, 5.0]], device)
    kept, _ = x.max(1)
    kept.sum().backward()
    assert values(x.grad).tolist() == [[1.0, 0.0], [0.0, 1.0]]

    class Both(mg.Op):
        """(2 x, 3 x)."""

        def forward(self, x):
            return 2 * x, 3 * x

        def backward(self, g2, g3):
            return 2 * g2 + 3 * g3

    y = leaf([1.0], device)
    Both()(y)[1].sum().backward()
    assert y.grad.item() == 3.0


def test_grad_touches_nothing_and_computes_only_what_is_asked(device: str) -> None:
    calls = []

    class Counted(mg.Op):
        """x, noting which gradients were asked for."""

        def forward(self, x, w):
            return x * w

        def backward(self, g):
            calls.append(self.asked_for)
            return g, (g if self.asked_for[1] else None)

    x, w = leaf([2.0], device), leaf([3.0], device)
    y = Counted()(x, w)
    (gx,) = grad(y.sum(), x, retain_graph=True)
    assert calls == [(True, False)]
    assert x.grad is None and w.grad is None and gx.item() == 1.0
    y.sum().backward()
    assert calls[1] == (True, True)


def test_an_op_that_keeps_arrays_of_its_own_is_gone_through_once(device: str) -> None:
    class Half(mg.Op):
        """x where it is positive: the mask is all that the gradient needs."""

        keeps = ("mask",)

        def forward(self, x):
            self.mask = x > 0
            return x * self.mask

        def backward(self, g):
            return g * mg.Tensor._wrap(self.mask)

    x = leaf([-1.0, 2.0], device)
    y = Half()(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="through Half a second time"):
        y.backward()
    assert values(x.grad).tolist() == [0.0, 2.0]


def test_grad_of_what_was_not_used() -> None:
    x, unused = leaf([1.0]), leaf([1.0])
    with pytest.raises(RuntimeError, match="allow_unused"):
        grad((x * 2).sum(), [x, unused])
    assert grad((x * 2).sum(), [x, unused], allow_unused=True)[1] is None
    assert grad((x * 2).sum(), [x, unused], materialize_grads=True)[1].item() == 0.0


def test_grad_with_respect_to_a_tensor_in_the_middle() -> None:
    x = leaf([2.0])
    y = x * x
    z = y * y
    gy, gx = grad(z.sum(), [y, x])
    assert (gy.item(), gx.item()) == (8.0, 32.0)


def test_create_graph_to_the_third_order(device: str) -> None:
    x = leaf([2.0], device)
    y = (x**5).sum()
    for expected in (80.0, 160.0, 240.0):
        (g,) = grad(y, x, create_graph=True)
        assert g.item() == pytest.approx(expected)
        y = g.sum()


def test_backward_accumulates_and_inputs_restrict() -> None:
    x, w = leaf([1.0]), leaf([2.0])
    (x * w).sum().backward()
    (x * w).sum().backward()
    assert (x.grad.item(), w.grad.item()) == (4.0, 2.0)
    (x * w).sum().backward(inputs=[x])
    assert (x.grad.item(), w.grad.item()) == (6.0, 2.0)


def test_backward_of_the_wrong_things() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="implicitly created only for scalar"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        mg.tensor(1.0).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2).backward(mg.tensor([1.0], dtype=mg.float64))
    with pytest.raises(RuntimeError, match="floating point dtype"):
        mg.tensor([1, 2], requires_grad=True)


def test_an_error_in_a_hook_changes_no_gradient() -> None:
    x, w = leaf([1.0]), leaf([2.0])
    y = x * w

    def fails(gradient):
        raise ValueError("stop")

    x.register_hook(fails)
    with pytest.raises(ValueError, match="stop"):
        (y * 3).sum().backward()
    assert x.grad is None


def test_no_grad_and_enable_grad() -> None:
    x = leaf([1.0])
    with mg.no_grad():
        assert not (x * 2).requires_grad
        with mg.enable_grad():
            assert (x * 2).requires_grad
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()

    @mg.no_grad()
    def f(t):
        return t * 2

    assert not f(x).requires_grad
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        1 / 0  # noqa: B018
    assert mg.is_grad_enabled()
    mg.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    mg.set_grad_enabled(True)
    with mg.set_grad_enabled(False):
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()


def test_grad_mode_belongs_to_its_thread() -> None:
    seen = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(mg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_run_their_own_graphs() -> None:
    results: dict[int, float] = {}

    def work(i: int) -> None:
        for _ in range(50):
            x = leaf(np.full(10, float(i)))
            (x * x).sum().backward()
            results[i] = x.grad.array[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {i: 2.0 * i for i in range(4)}


def test_definitions_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    x = mg.randn(2, 3)
    with mg.definitions():
        y = mg.nn.functional.softmax(x.requires_grad_(), 1)
        assert type(y.grad_fn).__name__ == "Div"
    assert type(mg.nn.functional.softmax(x, 1).grad_fn).__name__ == "Softmax"


def test_second_order_where_one_input_depends_on_another(device: str) -> None:
    """conv2d(x, x-made weights): the gradient at x must not count the way through the weights twice."""
    a = np.random.default_rng(0).standard_normal((1, 2, 4, 4))

    def f(framework, x):
        w = x.reshape(2, 2, 2, 4)[:, :, :, :2] * 0.5
        return framework.nn.functional.conv2d(x, w)

    x, tx = leaf(a, device), torch.tensor(a, requires_grad=True)
    (g,) = grad((f(mg, x) ** 2).sum(), x, create_graph=True)
    (tg,) = torch.autograd.grad((f(torch, tx) ** 2).sum(), tx, create_graph=True)
    np.testing.assert_allclose(values(g), tg.detach().numpy(), rtol=1e-10)
    (h,) = grad((g**2).sum(), x)
    (th,) = torch.autograd.grad((tg**2).sum(), tx)
    np.testing.assert_allclose(values(h), th.numpy(), rtol=1e-10)


def test_anomaly_names_the_op_and_the_line() -> None:
    x = leaf([1.0, 0.0])
    with mg.detect_anomaly(), np.errstate(all="ignore"):
        with pytest.raises(RuntimeError, match=r"Log returned NaN or Inf.*test_backward\.py"):
            x.log()
        y = x.sqrt()
        with pytest.raises(RuntimeError, match=r"backward of Sqrt.*test_backward\.py"):
            y.sum().backward()


def test_the_gradient_has_the_leafs_layout(device: str) -> None:
    w = leaf(np.ones((4, 3, 3, 3)), device)
    mg.nn.functional.conv2d(leaf(np.ones((1, 3, 5, 5)), device), w).sum().backward()
    assert w.grad.array.strides == w.array.strides


def test_a_gradient_that_broadcasts_is_made_whole() -> None:
    """sum's gradient is one number seen many times: the leaf's must be an array of its own."""
    x = leaf(np.ones((3, 4)))
    x.sum().backward()
    assert x.grad.array.flags.writeable and x.grad.array.strides == x.array.strides


def test_infinite_gradients_meet_without_numpys_warnings() -> None:
    x = leaf([0.0])
    with np.errstate(all="raise"):
        (x.log() - x.log() * 2 + 1 / x).sum().backward()
        (x.log() - 1 / x).sum().backward()
    assert not np.isfinite(values(x.grad)).any()
