"""gradcheck passes where torch's does, fails where torch's does, and says what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad.autograd import GradcheckError, diagnose, gradcheck, gradgradcheck
from minigrad.autograd.function import once_differentiable


def leaf(*shape: int, fw: Any = mg, seed: int = 0, device: str | None = None) -> Any:
    values = np.random.default_rng(seed).uniform(0.5, 2, shape)
    return fw.tensor(values, device=device).requires_grad_() if device else fw.tensor(values).requires_grad_()


def custom(forward: Any, backward: Any, name: str = "Mine") -> Any:
    """An op of two functions on Tensors: forward(*xs), backward(g, *xs)."""

    class Op(mg.autograd.Function):
        @staticmethod
        def forward(ctx, *xs):
            ctx.save_for_backward(*xs)
            return forward(*xs)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    Op.__name__ = name
    return Op.apply


GOOD = {
    "product": lambda fw, x, y: x * y,
    "chain": lambda fw, x, y: (x.exp() * y).tanh().sum(1),
    "matmul": lambda fw, x, y: x @ y.transpose(0, 1),
    "softmax": lambda fw, x, y: fw.nn.functional.softmax(x * y, 1),
    "several": lambda fw, x, y: (x * 2, (x * y).sum(), (x > 1).long()),
    "in_place": lambda fw, x, y: (x * 1).mul_(y).exp_(),
    "one_unused": lambda fw, x, y: x * 3,
    "views": lambda fw, x, y: x[0, 1:] / y[1, :2],
}


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("name", GOOD)
def test_right_gradients_pass(name: str, fast_mode: bool, device: str) -> None:
    def f(x, y):
        return GOOD[name](mg, x, y)

    inputs = leaf(2, 3, device=device), leaf(2, 3, seed=1, device=device)
    before = [x.tolist() for x in inputs]
    assert gradcheck(f, inputs, fast_mode=fast_mode)
    assert gradgradcheck(f, inputs, fast_mode=fast_mode)
    assert gradgradcheck(f, inputs, gen_non_contig_grad_outputs=True, fast_mode=True)
    assert [x.tolist() for x in inputs] == before and all(x.grad is None for x in inputs)
    torchs = leaf(2, 3, fw=torch), leaf(2, 3, fw=torch, seed=1)
    assert torch.autograd.gradcheck(lambda x, y: GOOD[name](torch, x, y), torchs, fast_mode=fast_mode)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0)])
def test_small_shapes(shape: tuple[int, ...]) -> None:
    assert gradcheck(lambda x: x * x, leaf(*shape)) and gradgradcheck(lambda x: x * x, leaf(*shape))


def test_inputs_that_need_no_gradient_pass_through() -> None:
    assert gradcheck(lambda x, k, y, n: x * k * y if n is None else x, (leaf(3), 2.0, leaf(3).detach(), None))


def test_inputs_reached_by_a_closure_are_moved_too() -> None:
    x = leaf(2)
    assert gradcheck(lambda _: (x * x).sum(), x)


WRONG: dict[str, tuple[Any, tuple[tuple[int, ...], ...], str]] = {
    "sign": (custom(lambda x: x.exp(), lambda g, x: -g * x.exp()), ((3,),), "the wrong sign, worst"),
    "factor": (custom(lambda x: x * x, lambda g, x: g * x), ((3,),), "a constant factor of 0.5: one of two equal paths"),
    "mean": (
        custom(lambda x, w: x * w, lambda g, x, w: (g * w, (g * x).mean(0))), ((3, 2), (2,)),
        "a constant factor of 0.333333",
    ),
    "transpose": (custom(lambda x: x.transpose(0, 1) * 2, lambda g, x: g * 2), ((3, 3),), "the transpose of what is right"),
    "signs": (
        custom(lambda x: x * x, lambda g, x: g * 2 * x * (x - 1.2).sign()), ((2, 3),), "the wrong sign at",
    ),
    "one row": (
        custom(lambda x, w: x + w, lambda g, x, w: (g, g[0])), ((3, 2), (2,)), "sum over a broadcast axis, or one of several",
    ),
    "none": (custom(lambda x, y: x * y, lambda g, x, y: (g * y, None)), ((3,), (3,)), "nothing: it is zero or None"),
    "too much": (custom(lambda x: x.detach() * 0 + 1, lambda g, x: g), ((3,),), "a value, where it should be zero"),
    "other": (custom(lambda x: x**3, lambda g, x: g * x), ((4,),), "other values at 4 of 16 places"),
    "nan": (custom(lambda x: x * 1, lambda g, x: g * float("nan")), ((2,),), "NaN or Inf"),
}  # fmt: skip


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_is_found_named_and_described(name: str, fast_mode: bool) -> None:
    op, shapes, words = WRONG[name]
    inputs = tuple(leaf(*s, seed=i) for i, s in enumerate(shapes))

    def f(*xs):  # the op at fault lies among right ones
        return (op(*[x * 1.5 for x in xs]) * 2).tanh().sum()

    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, inputs, fast_mode=fast_mode)
    error = caught.value
    assert error.op == "MineBackward" and "op at fault: MineBackward, called at" in str(error)
    assert __file__ in str(error) and words in str(error), error
    assert error.kind == "gradient" and isinstance(error, RuntimeError)
    assert not gradcheck(f, inputs, fast_mode=fast_mode, raise_exception=False)


def test_the_worst_element_is_named() -> None:
    def backward(g, x):
        wrong = mg.zeros_like(x)
        wrong[1, 2] = 5.0
        wrong[0, 0] = 1.0
        return g * (2 * x + wrong)

    with pytest.raises(GradcheckError) as caught:
        gradcheck(custom(lambda x: x * x, backward), leaf(2, 3))
    error, x = caught.value, leaf(2, 3)
    assert (error.input, error.index) == (0, (1, 2))
    assert error.analytic == pytest.approx(2 * x[1, 2].item() + 5)
    assert error.numeric == pytest.approx(2 * x[1, 2].item(), rel=1e-6)
    assert "d output[1, 2] / d input[1, 2]: analytic" in str(error)
    assert "Jacobian mismatch for output 0 with respect to input 0: 2 of 36 elements" in str(error)


class Scale(mg.Op):
    """z = x w, without the sum that w's broadcast needs."""

    saves = {0: 1, 1: 0}

    def forward(self, x, w):
        return x * w

    def backward(self, gz):
        x, w = self.inputs
        return gz * w, gz * x


class Turned(mg.Op):
    """z = x^T, with a gradient of the wrong shape."""

    def forward(self, x):
        return x.T

    def backward(self, gz):
        return gz


def test_a_missing_sum_over_a_broadcast_axis() -> None:
    with pytest.raises(
        GradcheckError, match=r"(?s)op at fault: Scale.*input 1.*the sum over the broadcast axis 0 is missing"
    ):
        gradcheck(lambda x, w: Scale()(x, w), (leaf(3, 2), leaf(2, seed=1)))
    with pytest.raises(GradcheckError, match="the sum over the broadcast axes 0, 2 is missing") as caught:
        gradcheck(lambda x, w: Scale()(x, w), (leaf(3, 2, 2), leaf(2, 1, seed=1)))
    assert caught.value.kind == "shape"
    with pytest.raises(GradcheckError, match="Turned.*is it transposed"):
        gradcheck(lambda x: Turned()(x), leaf(3, 2))


def test_a_wrong_second_gradient_is_found() -> None:
    op = custom(lambda x: x**3, lambda g, x: g * 3 * (x * x.detach()))
    assert gradcheck(op, leaf(3))
    with pytest.raises(GradcheckError):
        gradgradcheck(op, leaf(3))

    class Once(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 2

    assert gradcheck(lambda x: Once.apply(x), leaf(2))
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradgradcheck(lambda x: Once.apply(x), leaf(2))


def test_a_path_hidden_from_the_graph_is_no_ops_fault() -> None:
    with pytest.raises(GradcheckError, match="(?s)each op by itself agrees.*hides a path") as caught:
        gradcheck(lambda x: x * x.detach(), leaf(3))
    assert caught.value.op is None and "a constant factor of 0.5" in str(caught.value)
    with pytest.raises(GradcheckError, match="(?s)expected to be zero.*graph cut"):
        gradcheck(lambda x: x.detach() * 2, leaf(3))
    assert gradcheck(lambda x: mg.ones(3, dtype=mg.float64), leaf(3))  # depends on nothing: zero is right


KINKS = {
    "relu": (lambda x: x.relu(), 0.0),
    "sums": (lambda x: (x.relu() + x.exp()).sum(), 0.0), "clamp": (lambda x: x.clamp(min=1.0), 1.0),
    "floor": (lambda x: x.floor() + x, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", KINKS)
def test_a_kink_is_reported_as_a_kink(name: str) -> None:
    f, where = KINKS[name]
    x = leaf(3)
    with mg.no_grad():
        x[1] = where
    with pytest.raises(GradcheckError, match=r"kink at input 0, element \[1\]") as caught:
        gradcheck(f, x)
    assert caught.value.kind == "kink" and caught.value.index == (1,)
    assert diagnose(f, x) == []
    with mg.no_grad():
        x[1] = where + 0.1
    assert gradcheck(f, x)


def test_a_wrong_gradient_at_a_kink_is_a_wrong_gradient() -> None:
    x = mg.tensor([0.0, 1.0], dtype=mg.float64, requires_grad=True)
    twice = custom(lambda x: x.relu(), lambda g, x: g * ((x > 0) + 3.0 * (x == 0)))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(twice, x)
    assert caught.value.kind == "gradient"


def test_steep_is_not_a_kink() -> None:
    """A large second derivative parts the two one-sided slopes as well, but ever less as the step shrinks."""
    wrong = custom(lambda x: (x * 300).exp(), lambda g, x: g * 301 * (x * 300).exp())
    x = mg.tensor([0.02], dtype=mg.float64, requires_grad=True)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(wrong, x)
    assert caught.value.kind == "gradient"
    wrong = custom(lambda x: 1e6 * x * x, lambda g, x: g * (2e6 * x + 0.5))  # the slopes over one step: -1 and 1
    with pytest.raises(GradcheckError) as caught:
        gradcheck(wrong, mg.tensor([0.0, 1.0], requires_grad=True).double().detach().requires_grad_())
    assert caught.value.kind == "gradient"


def test_a_random_gradient_is_not_reentrant() -> None:
    op = custom(lambda x: x * 1, lambda g, x: g + 1e-4 * mg.rand_like(g))
    with pytest.raises(GradcheckError, match="not reentrant") as caught:
        gradcheck(op, leaf(3))
    assert caught.value.kind == "nondeterministic"
    assert gradcheck(op, leaf(3), nondet_tol=1e-3, atol=1e-3)


def test_dtypes_of_gradients() -> None:
    class Narrow(mg.Op):
        def forward(self, x):
            return x * 2

        def backward(self, g):
            return (g * 2).float()

    assert gradcheck(lambda x: Narrow()(x), leaf(3))
    with pytest.raises(GradcheckError, match="float64.*is float32"):
        gradcheck(lambda x: Narrow()(x), leaf(3), check_grad_dtypes=True)


def test_fast_mode_of_what_is_too_large_names_the_op() -> None:
    op = custom(lambda x: x * x, lambda g, x: g * x)
    with pytest.raises(GradcheckError, match="(?s)too large.*op at fault: MineBackward"):
        gradcheck(lambda x: op(x) * 2, leaf(50, 50), fast_mode=True)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(lambda x: x, mg.ones(2))
    with pytest.raises(RuntimeError, match="stride 0"):
        gradcheck(lambda x: x, leaf(1).detach().expand(3).requires_grad_())
    with pytest.warns(UserWarning, match="Input #0.*not a double precision"):
        gradcheck(lambda x: x * 1, mg.ones(2, requires_grad=True), eps=1e-2, atol=1e-2)
    for option in ("check_forward_ad", "check_batched_grad", "check_batched_forward_grad"):
        with pytest.raises(NotImplementedError, match=option):
            gradcheck(lambda x: x, leaf(2), **{option: True})
    with pytest.raises(ValueError, match="at least one of check_forward_ad"):
        gradcheck(lambda x: x, leaf(2), check_backward_ad=False)


def test_the_doctor_looks_at_every_op() -> None:
    good = custom(lambda x: x * 2, lambda g, x: g * 2, "Good")
    bad = custom(lambda x: x * 2, lambda g, x: g * 3, "Bad")
    worse = custom(lambda x, y: x * y, lambda g, x, y: (g * y, -g * x), "Worse")
    findings = diagnose(lambda x: worse(bad(good(x)), good(x)).sum(), leaf(2, 2))
    assert [(f.op, f.input, f.how) for f in findings] == [
        ("BadBackward", 0, "a constant factor of 1.5"), ("WorseBackward", 1, "the wrong sign"),
    ]  # fmt: skip
    assert diagnose(lambda x: good(good(x)), leaf(2)) == []


def test_modules_are_free_of_findings() -> None:
    mg.manual_seed(0)
    model = mg.nn.Sequential(
        mg.nn.Conv2d(2, 3, 3, padding=1), mg.nn.ReLU(), mg.nn.MaxPool2d(2), mg.nn.BatchNorm2d(3), mg.nn.Flatten(),
        mg.nn.Linear(12, 4),
    ).double()  # fmt: skip
    x = mg.randn(2, 2, 4, 4, dtype=mg.float64, requires_grad=True)
    assert diagnose(lambda x: mg.nn.functional.cross_entropy(model(x), mg.tensor([1, 3])), x) == []
