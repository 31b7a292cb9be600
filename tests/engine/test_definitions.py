"""minigrad.definitions: which ops run their definitions within it, and which stay on the fast path."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.fused import FusedOp
from minigrad.grad_mode import fused_ops
from minigrad.nn import functional as F

IMAGE = mg.ones(1, 2, 6, 6).requires_grad_()
CALLS: dict[str, tuple[Callable[[], mg.Tensor], str]] = {
    "conv2d": (lambda: F.conv2d(IMAGE, mg.ones(3, 2, 2, 2)), "Conv2d"),
    "max_pool2d": (lambda: F.max_pool2d(IMAGE, 2), "MaxPool2d"),
    "batch_norm": (lambda: F.batch_norm(IMAGE, mg.zeros(2), mg.ones(2)), "BatchNormApply"),
    "layer_norm": (lambda: F.layer_norm(IMAGE, (6,)), "LayerNorm"),
    "gelu": (lambda: F.gelu(IMAGE), "Gelu"),
    "logsigmoid": (lambda: F.logsigmoid(IMAGE), "LogSigmoid"),
    "leaky_relu": (lambda: F.leaky_relu(IMAGE), "LeakyRelu"),
    "rms_norm": (lambda: F.rms_norm(IMAGE, (6,)), "RMSNorm"),
    "cross_entropy": (lambda: F.cross_entropy(IMAGE[0, 0], mg.zeros(6, dtype=mg.int64), reduction="none"), "CrossEntropy"),
    "scaled_dot_product_attention": (
        lambda: F.scaled_dot_product_attention(IMAGE, IMAGE, IMAGE),
        "ScaledDotProductAttention",
    ),
}  # fmt: skip


def ops(node: object) -> set[str]:
    """The ops of the graph behind a node."""
    below = [ops(n) for n, _ in getattr(node, "next_functions", ()) if n is not None]
    return {type(node).__name__}.union(*below)


def fast() -> set[str]:
    """The names of CALLS that take their fast path now."""
    return {name for name, (call, node) in CALLS.items() if node in ops(call().grad_fn)}


def test_names_choose_the_ops() -> None:
    assert fast() == set(CALLS)
    for name in CALLS:
        with mg.definitions(name):
            assert fast() == set(CALLS) - {name}
    with mg.definitions("conv2d", "gelu"):
        assert fast() == set(CALLS) - {"conv2d", "gelu"}
    with mg.definitions():
        assert fast() == set()
    assert fast() == set(CALLS)


def test_contexts_nest() -> None:
    with mg.definitions("conv2d"):
        with mg.definitions("gelu"):
            assert fast() == set(CALLS) - {"conv2d", "gelu"}
            with mg.definitions():
                assert fast() == set()
                with mg.definitions("gelu"):
                    assert fast() == set()
            assert fast() == set(CALLS) - {"conv2d", "gelu"}
        assert fast() == set(CALLS) - {"conv2d"}
    with pytest.raises(KeyError), mg.definitions("gelu"):
        raise KeyError
    assert fast() == set(CALLS)


def test_as_a_decorator() -> None:
    assert mg.definitions("gelu", "conv2d")(fast)() == set(CALLS) - {"conv2d", "gelu"}
    assert mg.definitions(fast)() == mg.definitions()(fast)() == set()
    assert fast() == set(CALLS)


def test_it_holds_for_its_thread_alone() -> None:
    inside, go_on, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        with mg.definitions("gelu"):
            inside.set()
            go_on.wait(10)
            seen.append(fast())

    thread = threading.Thread(target=other)
    with mg.definitions("conv2d"):
        thread.start()
        inside.wait(10)
        assert fast() == set(CALLS) - {"conv2d"}
    go_on.set()
    thread.join()
    assert seen == [set(CALLS) - {"gelu"}] and fast() == set(CALLS)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match="no fused op is called con2d, selfie .did you mean conv2d.*: there are adaptive_avg_pool2d, .*conv2d",
    ):
        mg.definitions("con2d", "conv2d", "selfie")
    assert fast() == set(CALLS)


def fused_classes(base: type = FusedOp) -> list[type]:
    """The classes of minigrad's own fused ops."""
    below = [cls for direct in base.__subclasses__() for cls in (direct, *fused_classes(direct))]
    return [cls for cls in below if cls.__module__.startswith("minigrad.") and hasattr(cls, "known_as")]


def test_the_names_are_those_of_functions() -> None:
    names = {cls.known_as for cls in fused_classes()}
    assert len(names) > 25 and names <= fused_ops
    assert [name for name in names if not (hasattr(F, name) or hasattr(mg, name))] == []


def test_an_op_of_ones_own_has_its_name() -> None:
    class Textbook(FusedOp):
        saves = {0: None}

        def definition(self, x: mg.Tensor) -> mg.Tensor:
            return x * x

        def forward(self, x: object) -> object:
            return x * x  # type: ignore[operator]

    x = mg.ones(2).requires_grad_()
    assert type(Textbook()(x).grad_fn) is Textbook
    with mg.definitions("textbook"):
        assert type(Textbook()(x).grad_fn).__name__ == "Mul"


@pytest.mark.parametrize(
    "names, expected",
    [
        (["gelu"], {"Conv2dReluMaxPool2d"}),
        (["conv2d"], {"MaxPool2d"}),
        (["max_pool2d"], {"Conv2dRelu"}),
        (["max_pool2d", "conv2d"], set()),
    ],
)
def test_a_fused_chain_of_modules_runs_in_parts_where_it_must(names: list[str], expected: set[str]) -> None:
    chain = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d(2))
    with mg.definitions(*names):
        found = ops(chain(mg.ones(1, 2, 6, 6)).grad_fn)
    assert {name for name in found if name.startswith(("Conv2d", "MaxPool2d"))} == expected
