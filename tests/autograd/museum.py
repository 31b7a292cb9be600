"""The museum of broken backwards: ops as students write them, each with one classic mistake, and what the doctor has to say.

An exhibit is a class whose backward is wrong; `expects` are words of the right name for the mistake, `input` the place of the
input whose gradient is wrong. The line that is wrong ends in "# here". RIGHT holds the same ops without a mistake.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.autograd import Function

EXHIBITS: list[Any] = []


def exhibit(expects: str, *shapes: tuple[int, ...], input: int = 0, positive: bool = False) -> Any:
    def hang(op: type) -> type:
        op.expects, op.shapes, op.input, op.positive = expects, shapes, input, positive  # type: ignore[attr-defined]
        EXHIBITS.append(op)
        return op

    return hang


def call(op: Any, *inputs: Any) -> Any:
    """The op of either style."""
    return op.apply(*inputs) if issubclass(op, Function) else op()(*inputs)


def inputs_of(op: Any) -> list[Any]:
    random = np.random.default_rng(3)
    low = 0.2 if op.positive else -1.5
    return [mg.tensor(random.uniform(low, 1.5, s), dtype=mg.float64).requires_grad_() for s in op.shapes]


class Saved(Function):
    """What the exhibits in torch's style share: every input is saved."""

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)


class SavedOutput(Function):
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)


# -- products ----------------------------------------------------------------------------------------------------------


@exhibit("input 1 transposed", (2, 3), (3, 3))
class WForItsTranspose(Saved):
    @staticmethod
    def forward(x, w):
        return x @ w

    @staticmethod
    def backward(ctx, gz):
        x, w = ctx.saved_tensors
        return (
            gz @ w,  # here
            x.transpose(0, 1) @ gz,
        )


@exhibit("the two inputs are swapped", (2, 3), (2, 3))
class InputsSwapped(mg.Op):
    saves = {0: None, 1: None}

    def forward(self, x, y):
        return x * y

    def backward(self, gz):
        x, y = self.inputs
        return gz * x, gz * y  # here


@exhibit("the two inputs are swapped", (3, 3), (3, 3))
class GradientsInTheWrongOrder(Saved):
    @staticmethod
    def forward(x, w):
        return x @ w

    @staticmethod
    def backward(ctx, gz):
        x, w = ctx.saved_tensors
        gw, gx = x.transpose(0, 1) @ gz, gz @ w.transpose(0, 1)
        return gw, gx  # here


@exhibit("the transpose of what is right", (3, 3), (2, 3), input=0)
class WeightGradientTransposed(Saved):
    """y = x w^T, as in a linear layer."""

    @staticmethod
    def forward(w, x):
        return x @ w.transpose(0, 1)

    @staticmethod
    def backward(ctx, gy):
        w, x = ctx.saved_tensors
        return x.transpose(0, 1) @ gy, gy @ w  # here


@exhibit("the length of input 0's axis 0: a mean where a sum belongs", (5, 3), (3, 2), input=1)
class BatchMeanForASum(Saved):
    @staticmethod
    def forward(x, w):
        return x @ w

    @staticmethod
    def backward(ctx, gz):
        x, w = ctx.saved_tensors
        return gz @ w.transpose(0, 1), x.transpose(0, 1) @ gz / len(x)  # here


@exhibit("one of several paths, is left out", (3, 2), (2,), input=1)
class BiasWithoutItsSum(Function):
    @staticmethod
    def forward(ctx, x, b):
        return x + b

    @staticmethod
    def backward(ctx, gz):
        return gz, gz[0]  # here


@exhibit("the sum over the broadcast axis 0 is missing", (3, 2), (2,), input=1)
class BroadcastWithoutItsSum(mg.Op):
    saves = {0: 1, 1: 0}

    def forward(self, x, w):
        return x * w

    def backward(self, gz):
        x, w = self.inputs
        return gz * w, gz * x  # here


# -- the gradient that comes in ----------------------------------------------------------------------------------------


@exhibit("the upstream gradient is forgotten", (4,))
class UpstreamForgotten(Saved):
    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def backward(ctx, gz):
        (x,) = ctx.saved_tensors
        return 2 * x  # here


@exhibit("not linear in the gradient that comes in: a term without the upstream gradient", (4,))
class UpstreamForgottenInOneTerm(Saved):
    @staticmethod
    def forward(x):
        return x * x + x

    @staticmethod
    def backward(ctx, gz):
        (x,) = ctx.saved_tensors
        return gz * 2 * x + 1  # here


@exhibit("the square of the gradient that comes in", (4,))
class UpstreamTwice(Saved):
    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def backward(ctx, gz):
        (x,) = ctx.saved_tensors
        return gz * gz * x.cos()  # here


@exhibit("added to what an earlier call left", (3,))
class AccumulatedOverCalls(Saved):
    @staticmethod
    def forward(x):
        return x * 3

    @staticmethod
    def backward(ctx, gz):
        ctx.total = getattr(ctx, "total", 0) + gz * 3
        return ctx.total  # here


@exhibit("a constant factor of 2: is it added twice", (3,))
class AddedTwice(Saved):
    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def backward(ctx, gz):
        (x,) = ctx.saved_tensors
        gx = gz * x.exp()
        gx += gz * x.exp()
        return gx  # here


@exhibit("it is added twice there", (5,))
class AddedTwiceAtSomePlaces(Saved):
    """y = x[1:4]; the gradient of the first of them is added once too often."""

    @staticmethod
    def forward(x):
        return x[1:4] * 1

    @staticmethod
    def backward(ctx, gz):
        gx = mg.zeros(5, dtype=gz.dtype)
        gx[1:4] = gz
        gx[1] = gx[1] + gz[0]
        return gx  # here


# -- one element at a time ---------------------------------------------------------------------------------------------


@exhibit("the mask is inverted", (6,))
class MaskInverted(mg.Op):
    saves = {0: None}

    def forward(self, x):
        return x * (x > 0)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * (x <= 0)  # here


@exhibit("the mask is inverted", (6,))
class LeakySlopeOnTheWrongSide(Saved):
    @staticmethod
    def forward(x):
        return mg.where(x > 0, x, 0.1 * x)

    @staticmethod
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return gy * mg.where(x > 0, 0.1, 1.0)  # here


@exhibit("the mask is left out", (6,))
class ReluWithoutItsMask(mg.Op):
    def forward(self, x):
        return x * (x > 0)

    def backward(self, gy):
        return gy  # here


@exhibit("the mask is left out", (8,))
class ClampWithoutItsMask(Saved):
    @staticmethod
    def forward(x):
        return 3 * x.clamp(-0.4, 0.6)

    @staticmethod
    def backward(ctx, gy):
        return 3 * gy  # here


@exhibit("computed from the input, where the output is due", (5,))
class TanhOfX(SavedOutput):
    @staticmethod
    def forward(x):
        return x.tanh()

    @staticmethod
    def backward(ctx, gy):
        x, y = ctx.saved_tensors
        return gy * (1 - x * x)  # here


@exhibit("computed from the input, where the output is due", (2, 3))
class SigmoidOfX(SavedOutput):
    @staticmethod
    def forward(x):
        return x.sigmoid()

    @staticmethod
    def backward(ctx, gy):
        x, y = ctx.saved_tensors
        return gy * x * (1 - x)  # here


@exhibit("computed from the output, where the input is due", (5,), positive=True)
class CubeOfY(SavedOutput):
    @staticmethod
    def forward(x):
        return x * x * x

    @staticmethod
    def backward(ctx, gy):
        x, y = ctx.saved_tensors
        return gy * 3 * y * y  # here


@exhibit("the right value times the input", (4,), positive=True)
class LogWithoutItsDivision(Saved):
    @staticmethod
    def forward(x):
        return x.log()

    @staticmethod
    def backward(ctx, gy):
        return gy  # here


@exhibit("the right value divided by input 1: that factor is missing", (2, 3), (2, 3))
class FactorForgotten(Saved):
    @staticmethod
    def forward(x, w):
        return (x * x) * w

    @staticmethod
    def backward(ctx, gz):
        x, w = ctx.saved_tensors
        return gz * 2 * x, gz * x * x  # here


@exhibit("the wrong sign", (4,), (4,), input=1, positive=True)
class QuotientWithoutItsSign(Saved):
    @staticmethod
    def forward(x, y):
        return x / y

    @staticmethod
    def backward(ctx, gz):
        x, y = ctx.saved_tensors
        return gz / y, gz * x / (y * y)  # here


@exhibit("a constant factor of 0.5: one of two equal paths left out", (4,))
class SquareWithoutItsTwo(Saved):
    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def backward(ctx, gz):
        (x,) = ctx.saved_tensors
        return gz * x  # here


# -- chains ------------------------------------------------------------------------------------------------------------


@exhibit("without the path from input 0 into Mul", (5,))
class ChainThroughTheOtherUse(Saved):
    """y = x s(x): x is used twice, and one chain is missing."""

    @staticmethod
    def forward(x):
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return gy * x * s * (1 - s)  # here


@exhibit("one term of the product rule alone", (5,))
class ProductRuleOnArrays(mg.Op):
    """The same on arrays, where no graph can be looked at."""

    saves = {0: None}

    def forward(self, x):
        return x / (1 + np.exp(-x))

    def backward(self, gy):
        (x,) = self.inputs
        return gy * x.sigmoid()  # here


@exhibit("the path through a sum or a mean over axis 1", (2, 4))
class CentredWithoutTheMean(mg.Op):
    def forward(self, x):
        return 3 * (x - x.mean(1, keepdims=True))

    def backward(self, gy):
        return 3 * gy  # here


@exhibit("that use of a tensor is left out of the chain", (2, 4))
class NormTakenForAConstant(Saved):
    @staticmethod
    def forward(x):
        return x / (x * x).sum(1, keepdim=True).sqrt()

    @staticmethod
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return gy / (x * x).sum(1, keepdim=True).sqrt()  # here


@exhibit("the path through a variance over axis 1", (2, 5))
class StandardisedWithoutTheDeviation(mg.Op):
    saves = {0: None}

    def forward(self, x):
        return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)

    def backward(self, gy):
        (x,) = self.inputs
        deviation = x.std(1, correction=0, keepdim=True)
        return (gy - gy.mean(1, keepdim=True)) / deviation  # here


@exhibit("one of several paths, is left out", (2, 4))
class SoftmaxOfItsDiagonal(SavedOutput):
    @staticmethod
    def forward(x):
        return x.softmax(1)

    @staticmethod
    def backward(ctx, gy):
        x, y = ctx.saved_tensors
        return gy * y * (1 - y)  # here


@exhibit("nothing: it is zero or None", (3,), (3,), input=1)
class NoneForAGradient(Saved):
    @staticmethod
    def forward(x, y):
        return x * y

    @staticmethod
    def backward(ctx, gz):
        x, y = ctx.saved_tensors
        return gz * y, None  # here


# -- places ------------------------------------------------------------------------------------------------------------


@exhibit("the kernel is not flipped", (1, 1, 5, 6), (1, 1, 3, 3))
class KernelNotFlipped(Saved):
    @staticmethod
    def forward(x, w):
        return mg.nn.functional.conv2d(x, w, padding=1)

    @staticmethod
    def backward(ctx, gy):
        x, w = ctx.saved_tensors
        gx = mg.nn.functional.conv2d(gy, w, padding=1)
        return gx, None  # here


@exhibit("one place too late along axis 0: is an index shifted by one", (6,))
class IndexShifted(Saved):
    """y = x[::2] (even places); the gradient goes to the odd ones."""

    @staticmethod
    def forward(x):
        return x[0::2] * 1

    @staticmethod
    def backward(ctx, gy):
        gx = mg.zeros(6, dtype=gy.dtype)
        gx[1::2] = gy
        return gx  # here


@exhibit("one place too early along axis 0: is an index shifted by one", (6,))
class DifferencesShifted(mg.Op):
    """y_k = x_{k+1} - x_k over k = 0 .. 4, with the gradients put one place too early."""

    def forward(self, x):
        return x[1:] - x[:-1]

    def backward(self, gy):
        gx = mg.zeros(6, dtype=gy.dtype)
        gx[0:5] = gx[0:5] + gy
        gx[0:4] = gx[0:4] - gy[1:]
        return gx  # here


@exhibit("one place beside its place along axis 1: is an index shifted", (2, 4))
class LabelShifted(Saved):
    """The loss of each row, with the classes counted from 1 in the backward."""

    @staticmethod
    def forward(x):
        return mg.nn.functional.cross_entropy(x, mg.tensor([2, 0]), reduction="none")

    @staticmethod
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        right = mg.nn.functional.one_hot(mg.tensor([3, 1]), 4)
        return gy[:, None] * (x.softmax(1) - right)  # here


@exhibit("in reverse along axis 0", (4,))
class CumulativeSumForwards(mg.Op):
    """y_k = x_0 + .. + x_k: its gradient is summed from the end."""

    def forward(self, x):
        return x[::-1] * np.arange(1.0, 5)

    def backward(self, gy):
        return gy * mg.tensor([1.0, 2, 3, 4], dtype=gy.dtype)  # here


# -- without a mistake -------------------------------------------------------------------------------------------------

RIGHT: dict[str, tuple[Any, tuple[tuple[int, ...], ...]]] = {
    "product": (lambda x, w: x @ w, ((2, 3), (3, 3))),
    "bias": (lambda x, b: x + b, ((3, 2), (2,))),
    "relu": (lambda x: x.relu(), ((6,),)),
    "tanh": (lambda x: x.tanh(), ((5,),)),
    "silu": (lambda x: x * x.sigmoid(), ((5,),)),
    "softmax": (lambda x: x.softmax(1), ((2, 4),)),
    "layer norm": (lambda x: mg.nn.functional.layer_norm(x, (5,)), ((2, 5),)),
    "normalize": (lambda x: mg.nn.functional.normalize(x), ((2, 4),)),
    "conv2d": (lambda x, w: mg.nn.functional.conv2d(x, w, padding=1), ((1, 2, 5, 6), (2, 2, 3, 3))),
    "max_pool2d": (lambda x: mg.nn.functional.max_pool2d(x, 2), ((1, 2, 4, 4),)),
    "cumsum": (lambda x: x.cumsum(0), ((4,),)),
    "slices": (lambda x: x[1:] - x[:-1], ((6,),)),
    "attention": (mg.nn.functional.scaled_dot_product_attention, ((1, 1, 3, 2),) * 3),
    "cross entropy": (lambda x: mg.nn.functional.cross_entropy(x, mg.tensor([1, 0])), ((2, 3),)),
}
