"""Looking at graphs, packing what they save, and checkpoints."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad.autograd import grad, guard, print_graph, saved_bytes, saved_tensors_hooks
from minigrad.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


def leaf(values: Any, device: str = "cpu") -> mg.Tensor:
    return mg.tensor(np.asarray(values, np.float64), device=device, requires_grad=True)


def test_saved_bytes_counts_memory_once() -> None:
    x = leaf(np.ones((10, 10)))
    assert saved_bytes(x) == 0
    y = x * 2.0
    assert saved_bytes(y) == 0  # nothing is kept for the gradient of a product with a number
    z = y * y
    assert saved_bytes(z) == 800
    assert saved_bytes(z + z.t().exp() * z[0]) == 800 + 800 + 800
    loss = z.sum()
    loss.backward()
    assert saved_bytes(loss) == 0


def test_print_graph(capsys: pytest.CaptureFixture[str]) -> None:
    x = leaf([1.0, 2.0])
    y = x.exp()
    print_graph((y * y + x).sum())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "float64[] on cpu"
    assert [line.strip().split()[0] for line in lines[1:]] == ["Sum", "Add", "Mul", "Exp", "leaf", "Exp", "leaf"]
    assert "keeps saved tensor 0 float64[2]" in lines[3] and "keeps the result" in lines[4] and "as above" in lines[6]
    print_graph((y * y).sum(), depth=2)
    assert len(capsys.readouterr().out.splitlines()) == 3
    print_graph(x)
    assert capsys.readouterr().out == "float64[2] on cpu\n"


# -- saved_tensors_hooks ------------------------------------------------------------------------------------------------


def network(device: str = "cpu") -> tuple[mg.nn.Sequential, mg.Tensor, mg.Tensor]:
    mg.manual_seed(0)
    model = mg.nn.Sequential(
        mg.nn.Conv2d(2, 4, 3, padding=1), mg.nn.ReLU(), mg.nn.MaxPool2d(2), mg.nn.BatchNorm2d(4), mg.nn.Dropout(0.4),
        mg.nn.Conv2d(4, 4, 1), mg.nn.ReLU(), mg.nn.Flatten(), mg.nn.Linear(16, 5),
    ).double().to(device)  # fmt: skip
    return (
        model,
        mg.randn(3, 2, 4, 4, dtype=mg.float64, device=device).requires_grad_(),
        mg.tensor([1, 0, 4], device=device),
    )


def gradients(model: mg.nn.Sequential, x: mg.Tensor, target: mg.Tensor, through: Any = None) -> list[list[float]]:
    model.zero_grad()
    x.grad = None
    mg.manual_seed(3)
    out = model(x) if through is None else through(model, x)
    mg.nn.functional.cross_entropy(out, target).backward()
    return [p.grad.tolist() for p in (x, *model.parameters())]


def test_packing_changes_nothing(device: str) -> None:
    model, x, target = network(device)
    plain = gradients(model, x, target)
    packed: list[Any] = []

    def pack(t: mg.Tensor) -> int:
        assert not t.requires_grad and t.grad_fn is None
        packed.append(t.numpy(force=True).copy())
        return len(packed) - 1

    def through(model, x):
        with saved_tensors_hooks(pack, lambda i: mg.tensor(packed[i], device=device)):
            out = model(x)
        assert saved_bytes(out) == 0
        return out

    assert gradients(model, x, target, through) == plain
    assert len(packed) > 10


def test_hooks_as_in_torch() -> None:
    def case(fw, graph):
        seen = []
        x = fw.tensor([1.0, 2.0], dtype=fw.float64, requires_grad=True)
        w = fw.tensor([3.0, 4.0], dtype=fw.float64, requires_grad=True)

        def pack(t):
            seen.append(("pack", t.tolist()))
            return t * 2

        def unpack(t):
            seen.append(("unpack", t.tolist()))
            return t

        with graph.saved_tensors_hooks(pack, unpack):
            y = x * w
            with graph.saved_tensors_hooks(lambda t: t.tolist(), lambda v: fw.tensor(np.array(v))):
                z = y.exp()
        z.sum().backward()
        return sorted(map(str, seen)), x.grad.tolist(), w.grad.tolist()

    assert case(mg, mg.autograd) == case(torch, torch.autograd.graph)


def test_second_gradients_go_through_what_was_unpacked(device: str) -> None:
    def case(wrap: Any) -> list[Any]:
        x, w = leaf([1.0, 2.0], device), leaf([3.0, 4.0], device)
        with wrap():
            y = (x * w).exp() * w
        (g,) = grad(y.sum(), x, create_graph=True)
        return [h.tolist() for h in grad((g * g).sum(), [x, w])]

    import contextlib

    assert case(contextlib.nullcontext) == case(lambda: saved_tensors_hooks(lambda t: t.clone(), lambda t: t))


def test_retained_graphs_are_unpacked_each_time() -> None:
    count = [0]

    def unpack(t: mg.Tensor) -> mg.Tensor:
        count[0] += 1
        return t

    x = leaf([1.0, 2.0])
    with saved_tensors_hooks(lambda t: t, unpack):
        y = (x * x).sum()
    for _ in range(2):
        y.backward(retain_graph=True)
        assert saved_bytes(y) == 0
    y.backward()
    assert x.grad.tolist() == [6.0, 12.0] and count == [6]
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_errors_of_hooks() -> None:
    x = leaf([1.0, 2.0])
    with saved_tensors_hooks(lambda t: 1, lambda v: v):
        y = x.exp()
    with pytest.raises(TypeError, match="returned int"):
        y.sum().backward()
    with saved_tensors_hooks(lambda t: t, lambda t: t):
        y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="a packed tensor of Exp.*version 1.*version 0"):
        y.sum().backward()


# -- checkpoints --------------------------------------------------------------------------------------------------------


def in_one(model: mg.nn.Sequential, x: mg.Tensor) -> mg.Tensor:
    return checkpoint(model, x, use_reentrant=False)


def in_parts(model: mg.nn.Sequential, x: mg.Tensor) -> mg.Tensor:
    return checkpoint_sequential(model, 3, x, use_reentrant=False)


@pytest.mark.parametrize("through", [in_one, in_parts])
def test_checkpoints_have_the_same_gradients(through: Any, device: str) -> None:
    """Dropout's masks are drawn again as they were; parameters that no argument names get theirs."""
    model, x, target = network(device)
    plain = gradients(model, x, target)
    assert gradients(model, x, target, through) == plain
    after = mg.rand(3).tolist()
    gradients(model, x, target)
    assert mg.rand(3).tolist() == after  # the generator goes on from where the first run left it
    textbook = gradients(model, x, target, lambda model, x: mg.definitions(through)(model, x))
    for a, b in zip(textbook, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_without_the_random_state_the_masks_differ() -> None:
    x = leaf(np.ones(100))
    for preserve in (True, False):
        x.grad = None
        y = checkpoint(lambda x: mg.nn.functional.dropout(x * x, 0.5), x, preserve_rng_state=preserve)
        mask = y.detach().numpy() != 0
        y.sum().backward()
        assert ((x.grad.numpy() != 0) == mask).all() == preserve


def test_checkpoints_keep_less() -> None:
    def deep(x: mg.Tensor) -> mg.Tensor:
        for _ in range(10):
            x = (x * x).tanh()
        return x

    x = leaf(np.linspace(0, 1, 1000))
    assert saved_bytes(deep(x)) == 8000 * 11  # each tanh keeps its result, which the next product keeps too; and x
    assert saved_bytes(checkpoint(deep, x)) == 0
    assert saved_bytes(checkpoint_sequential([deep] * 4, 4, x)) == 8000 * 11  # the last part is plain
    model, images, _ = network()
    inside = saved_bytes(model(images))
    assert inside > 4 * saved_bytes(checkpoint(model, images))


def test_the_recomputation_ends_early_and_is_let_go_of() -> None:
    runs: list[str] = []

    def f(x: mg.Tensor) -> mg.Tensor:
        runs.append("start")
        y = (x * x).exp()
        runs.append("end")
        return y + 1

    x = leaf([1.0, 2.0])
    y = checkpoint(f, x)
    y.sum().backward()
    assert runs == ["start", "end", "start"]
    runs.clear()
    y = checkpoint(f, x, early_stop=False)
    y.sum().backward(retain_graph=True)
    assert runs == ["start", "end"] * 2
    assert saved_bytes(y) == 0
    y.sum().backward()
    assert runs == ["start", "end"] * 3
    gc.collect()
    gc.disable()
    try:
        checkpoint(f, x).sum().backward()
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("nested", [False, True])
def test_second_gradients_through_checkpoints(nested: bool, device: str) -> None:
    x, w = leaf([0.5, 1.0], device), leaf([[1.0, 2.0], [3.0, 4.0]], device)

    def inner(x: mg.Tensor) -> mg.Tensor:
        return (w @ x).tanh() * x

    def f(x: mg.Tensor) -> mg.Tensor:
        y = checkpoint(inner, x) if nested else inner(x)
        return (y * w).exp()

    def case(y: mg.Tensor) -> list[Any]:
        gx, gw = grad(y.sum(), [x, w], create_graph=True)
        return [g.tolist() for g in (gx, gw, *grad((gx * gx).sum() + gw.sum(), [x, w]))]

    assert case(checkpoint(f, x)) == case(f(x))


def test_arguments_of_every_kind_and_several_outputs() -> None:
    x, k = leaf([1.0, 2.0]), leaf([3.0, 1.0])

    def f(x, n, k=None, *, flag):
        return (x * k * n, (x.exp(), n)) if flag else None

    y, (z, n) = checkpoint(f, x, 3, k=k, flag=True)
    (y.sum() + z.sum()).backward()
    assert n == 3
    np.testing.assert_allclose(x.grad.numpy(), 3 * k.detach().numpy() + np.exp([1.0, 2.0]))
    with mg.no_grad():
        assert checkpoint(lambda x: x * 2, x).tolist() == [2.0, 4.0]


def test_contexts_for_both_runs() -> None:
    seen: list[str] = []

    class Note:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            seen.append(self.name)

        def __exit__(self, *exception: object) -> None:
            seen.append("out")

    x = leaf([1.0])
    checkpoint(lambda x: x * x, x, context_fn=lambda: (Note("first"), Note("second"))).sum().backward()
    assert seen == ["first", "out", "second", "out"]


def test_runs_that_differ_are_refused() -> None:
    x, count = leaf([1.0, 2.0]), [0]

    def another_count(x):
        count[0] += 1
        return x.exp() if count[0] % 2 else x + 1

    def another_shape(x):
        count[0] += 1
        return (x[: 1 + count[0] % 2] * 2).exp().sum()

    with pytest.raises(CheckpointError, match="different number of tensors"):
        checkpoint(another_count, x).sum().backward()
    count[0] = 0
    with pytest.raises(CheckpointError, match="different metadata"):
        checkpoint(another_shape, x).backward()


def test_changes_between_the_runs_are_caught() -> None:
    w = leaf([3.0, 4.0])
    x = leaf([1.0, 2.0]) * 1
    y = checkpoint(lambda x: (x * w).exp() * w, x)
    with mg.no_grad():
        w.mul_(2)  # an optimizer's step, say
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    y = checkpoint(lambda x: (x + 1).exp(), x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="argument 0 of a checkpointed function"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        checkpoint(lambda x: (x * 2).mul_(x), leaf([1.0])).sum().backward()


def test_what_is_not_built() -> None:
    for kwargs in ({"use_reentrant": True}, {"debug": True}):
        with pytest.raises(NotImplementedError, match="use_reentrant=False"):
            checkpoint(lambda x: x, leaf([1.0]), **kwargs)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(lambda x: x, leaf([1.0]), determinism_check="maybe")
    with pytest.raises(ValueError, match="Unexpected keyword"):
        checkpoint_sequential([lambda x: x], 1, leaf([1.0]), other=1)
    assert mg.utils.checkpoint.checkpoint is checkpoint


def test_guard_and_checkpoint_together(device: str) -> None:
    model, x, target = network(device)
    plain = gradients(model, x, target)
    with guard():
        assert gradients(model, x, target, in_one) == plain
