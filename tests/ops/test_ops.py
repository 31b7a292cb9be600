"""Every op against torch: a line an op (see tests/checking.py for what a line checks)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.checking import Drawn, Given, check, positive

INDEX = np.int64
F = "nn.functional."
kinked = partial(check, differences=False)  # inputs that sit on a kink: torch's choice of gradient is the measure

CASES: dict[str, list[Any]] = {}


def case(name: str, *inputs: Any, how: Any = check, **kwargs: Any) -> None:
    """Notes one check; cases of one name are numbered."""
    key = name + ("" if name not in CASES else f"#{sum(k.split('#')[0] == name for k in CASES)}")
    CASES[key] = [how, name, inputs, kwargs]


# -- arithmetic
for op in ("add", "sub", "mul", "div", "maximum", "minimum"):
    case(op, (2, 3), (2, 3))
    case(op, (2, 3), (3,))
    case(op, (2, 1, 3), (4, 1))
    case(op, (0, 3), (3,))
    case(op, (), ())
    case(op, (2, 3), ())
for op in ("add", "sub", "mul", "div"):
    case(op, (2, 3), 2.5)
    case(op, Given([[1, 2], [3, 4]], INDEX), (2, 2))
    case(op, Given([1, 2, 3], np.int32), 2)
    case(op, Given([1, 2, 3], INDEX), 2.5)
    case(op, Given([1, 2, 3], np.int32), Given([4, 5, 6], np.uint8))
    case(op, Given([1, 2, 3], np.int32), Given(2.5))
case("add", (2, 3), (3,), alpha=2.5)
case("sub", (2, 3), (3,), alpha=0.5)
case("add", Given([True, False]), Given([True, True]))
case("div", Given([7.5, -7.5, 4.0]), Given([2.0, 2.0, -3.0]), rounding_mode="floor")
case("div", Given([7.5, -7.5, 4.0]), Given([2.0, 2.0, -3.0]), rounding_mode="trunc")
case("div", Given([7, -7, 4], INDEX), Given([2, 2, -3], INDEX), rounding_mode="floor")
case("div", Given([7, -7, 4], INDEX), Given([2, 2, -3], INDEX), rounding_mode="trunc")
case("div", Given([7, -7, 4], INDEX), 2)
case("floor_divide", Given([7, -7], INDEX), 2)
case("remainder", Given([7.5, -7.5, 4.0]), Given([2.0, 2.0, -3.0]))
case("remainder", Given([7, -7, 4], INDEX), 3)
case("maximum", Given([1.0, 2.0, float("nan")]), Given([1.0, 3.0, 0.0]), how=kinked)
case("minimum", Given([1.0, 2.0, 3.0]), Given([1.0, 3.0, float("nan")]), how=kinked)
case("pow", positive(2, 3), (2, 3))
case("pow", positive(2, 3), (3,))
case("pow", (2, 3), 2)
case("pow", (2, 3), 3)
case("pow", positive(4), 0.5)
case("pow", positive(4), -1.5)
case("pow", (2, 3), 0)
case("pow", (2, 3), 1)
case("pow", 2.0, (3,))
case("pow", Given([0.0, 1.0, 2.0]), Given([2.0, 0.0, 1.5]), how=kinked, order=1)
case("pow", Given([0.0, 2.0]), 2.0)
case("pow", Given([1, 2, 3], INDEX), 2)
for op in (
    "neg",
    "exp",
    "tanh",
    "sigmoid",
    "square",
    "sign",
    "abs",
    "relu",
    "clone",
    "floor",
    "ceil",
    "round",
    "trunc",
):
    case(op, (2, 3))
    case(op, ())
    case(op, (0,))
for op in ("log", "sqrt", "rsqrt"):
    case(op, positive(2, 3))
    case(op, positive())
    case(op, positive(0, 2))
for op in ("exp", "log", "sqrt", "tanh", "sigmoid"):
    case(op, Given([1, 2, 3], INDEX))
case("sigmoid", Given([-800.0, -30.0, 0.0, 30.0, 800.0]))
for op in ("abs", "relu", "sign"):
    case(op, Given([-1.0, 0.0, 2.0, float("inf")]), how=kinked)
case("relu", Given([float("nan"), -1.0, 1.0]), how=kinked)
case("relu", Given([-1, 2], INDEX))
case("round", Given([0.5, 1.5, 2.5, -0.5]), how=kinked)
case("clamp", (3, 4), min=-0.5, max=1.0)
case("clamp", (3, 4), min=0.1)
case("clamp", (3, 4), max=0.1)
case("clamp", Given([-2.0, -0.5, 1.0, float("nan")]), min=-1.0, max=0.0, how=kinked)
case("clamp", (3, 4), (4,), positive(3, 1), differences=False)
case("clamp", Given([1, 2, 3], INDEX), min=2)
case("clamp", Given([1, 2, 3], INDEX), min=1.5)
case("clamp_min", (3,), 0.0)
case("clamp_max", (3,), 0.0)
case("where", Given([[True, False, True]]), (2, 3), (3,))
case("where", Given([True, False, True]), (3,), 1.5)
case("where", Given([True, False]), Given([1, 2], INDEX), 0.5)
case("where", Given([True, False]))
case("masked_fill", (2, 3), Given([[True, False, True]]), 1.5)
case("masked_fill", (2, 3), Given([[True, False, True]]), -float("inf"), how=kinked)
for op in ("eq", "ne", "lt", "le", "gt", "ge"):
    case(op, Given([1.0, 2.0, 3.0]), Given([3.0, 2.0, 1.0]), order=0)
    case(op, Given([1, 2, 3], INDEX), 2, order=0)
for op in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    case(op, Given([True, False]), Given([True, True]))
    case(op, Given([6, 3], INDEX), 5)
case("bitwise_not", Given([True, False]))
case("logical_and", Given([1.0, 0.0]), Given([2.0, 3.0]), order=0)
case("logical_or", Given([1, 0], INDEX), Given([0, 0], INDEX))
case("logical_not", Given([1.0, 0.0]), order=0)
for op in ("isnan", "isinf", "isfinite"):
    case(op, Given([1.0, float("nan"), float("inf"), -float("inf")]), order=0)
# -- reductions
for op in ("sum", "mean", "var", "std"):
    case(op, (2, 3, 4))
    for dim in (0, 1, -1, (0, 2), (-1, 1)):
        case(op, (2, 3, 4), dim=dim)
    case(op, (2, 3, 4), dim=1, keepdim=True)
for op in ("sum", "mean"):
    case(op, ())
    case(op, (0, 3), how=kinked)
    case(op, (0, 3), dim=0, how=kinked)
    case(op, (), dim=0)
    case(op, (300, 5), dim=0)
    case(op, (5000,))
case("sum", Given([1, 2, 3], np.int32))
case("sum", Given([True, True, False]))
case("sum", Given([1, 2], np.uint8))
case("var", (2, 3, 4), dim=1, unbiased=False)
case("var", (2, 3, 4), dim=(0, 1), correction=0)
case("var", (5,), False)
case("std", (2, 3), dim=1, correction=0.5)
for op in ("amax", "amin"):
    case(op, (2, 3, 4), dim=1)
    case(op, (2, 3, 4), dim=(0, 2), keepdim=True)
    case(op, (2, 3))
    case(op, Given([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]]), dim=1, how=kinked)
for op in ("max", "min"):
    case(op, (2, 3))
    case(op, (2, 3, 4), dim=1)
    case(op, (2, 3, 4), dim=-1, keepdim=True)
    case(op, (2, 3), (2, 3))
    case(op, Given([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]]), dim=1, how=kinked)
    case(op, Given([1.0, 1.0, 0.0]), how=kinked)
    case(op, ())
    case(op, (), dim=0)
    case(op, Given([3, 1, 2], INDEX))
for op in ("argmax", "argmin"):
    case(op, (2, 3))
    case(op, (2, 3), dim=1)
    case(op, (2, 3), dim=0, keepdim=True)
    case(op, ())
    case(op, Given([1.0, 2.0, 2.0, 1.0]))
case("topk", (2, 6), 3)
case("topk", (5, 4), 2, dim=0)
case("topk", (5,), 2, largest=False)
case("sort", (3, 4))
case("sort", (3, 4), dim=0, descending=True)
case("argsort", (3, 4))
case("all", Given([[True, False], [True, True]]), dim=1)
case("any", Given([[True, False], [False, False]]))
case("count_nonzero", Given([[1.0, 0.0], [2.0, 3.0]]), order=0)
case("logsumexp", (2, 3), dim=1)
case("logsumexp", (2, 3, 4), dim=(0, 2), keepdim=True)
case("logsumexp", Given([[1000.0, 1000.0], [-1000.0, 0.0]]), dim=1)
# -- products
case("matmul", (2, 3), (3, 4))
case("matmul", (3,), (3,))
case("matmul", (3,), (3, 4))
case("matmul", (2, 3), (3,))
case("matmul", (5, 2, 3), (3, 4))
case("matmul", (5, 2, 3), (5, 3, 4))
case("matmul", (5, 1, 2, 3), (2, 3, 4))
case("matmul", (3,), (5, 3, 4))
case("matmul", (5, 2, 3), (3,))
case("matmul", (0, 3), (3, 4))
case("matmul", (2, 0), (0, 4))
case("mm", (2, 3), (3, 4))
case("bmm", (2, 3, 4), (2, 4, 5))
case("mv", (2, 3), (3,))
case("dot", (3,), (3,))
# -- shapes
case("reshape", (2, 3, 4), [4, 6])
case("reshape", (2, 3, 4), [-1])
case("reshape", (2, 3, 4), [2, -1])
case("Tensor.view", (2, 3), 6, layouts=False)
case("permute", (2, 3, 4), [2, 0, 1])
case("Tensor.permute", (2, 3, 4), -1, 0, 1)
case("transpose", (2, 3, 4), 0, -1)
case("t", (2, 3))
case("movedim", (2, 3, 4), 0, 2)
case("flatten", (2, 3, 4), 1)
case("flatten", ())
case("unflatten", (2, 6), 1, [2, 3])
case("squeeze", (2, 1, 3, 1))
case("squeeze", (2, 1, 3, 1), 1)
case("squeeze", (2, 1), 0)
case("unsqueeze", (2, 3), 1)
case("unsqueeze", (2, 3), -1)
case("Tensor.expand", (2, 1, 3), 2, 4, 3)
case("Tensor.expand", (3,), 2, -1)
case("broadcast_to", (1, 3), [4, 3])
case("Tensor.expand_as", (1, 3), (4, 3))
case("Tensor.narrow", (4, 5), 1, 1, 3)
case("chunk", (5, 2), 3)
case("split", (5, 2), 2)
case("split", (5, 2), [1, 4])
case("unbind", (3, 2), 1)
case("flip", (2, 3), [0, 1])
case("Tensor.contiguous", (2, 3))
case("tril", (3, 4))
case("triu", (2, 3, 3), 1)
for widths, shape in (((1, 2), (3,)), ((1, 0, 2, 1), (2, 3, 4)), ((-1, 1), (4,)), ((0, 1, 1, 1), (1, 2, 3, 3))):
    case(F + "pad", shape, list(widths))
case(F + "pad", (2, 3), [1, 1], value=2.5)
for mode in ("reflect", "replicate", "circular"):
    case(F + "pad", (1, 2, 4, 5), [2, 1, 1, 3], mode=mode)
# -- indexing
case("gather", (3, 4), 1, Given([[0, 0], [3, 1], [2, 2]], INDEX))
case("gather", (3, 4), 0, Given([[0, 2, 1, 1]], INDEX))
case("index_select", (3, 4), 1, Given([2, 0, 2], INDEX))
case("masked_select", (2, 3), Given([[True, False, True]]))
case("scatter_add", (3, 4), 1, Given([[0, 0], [3, 1], [2, 2]], INDEX), (3, 2))
case(F + "one_hot", Given([0, 2, 1], INDEX), 4)
case("nonzero", Given([[1.0, 0.0], [0.0, 2.0]]), order=0)
# -- networks
case(F + "relu", (2, 3))
for dim in (0, 1, -1):
    case(F + "softmax", (3, 4), dim=dim)
    case(F + "log_softmax", (3, 4), dim=dim)
case(F + "softmax", (2, 3, 4, 5), dim=1)
case(F + "softmax", Given([[1000.0, 0.0], [-1000.0, -1001.0]]), dim=1)
case(F + "log_softmax", Given([[1000.0, 0.0], [-1000.0, -1001.0]]), dim=1)
case(F + "softmax", (), dim=0)
case(F + "softmax", (0, 3), dim=1)
case(F + "linear", (4, 3), (2, 3), (2,))
case(F + "linear", (4, 3), (2, 3))
case(F + "linear", (3,), (2, 3), (2,))
case(F + "linear", (2, 4, 3), (2, 3), (2,))
case(F + "linear", (0, 3), (2, 3), (2,))
case(F + "unfold", (2, 3, 6, 5), [3, 2])
case(F + "unfold", (2, 3, 6, 5), [3, 2], dilation=(1, 2), padding=(2, 1), stride=(2, 1))
case(F + "unfold", (3, 6, 5), 2)
case(F + "fold", (2, 18, 15), [5, 4], [3, 2], padding=(1, 0))
case(F + "fold", (2, 12, 9), [6, 5], [2, 2], dilation=(1, 2), stride=(2, 2), padding=(0, 1))
CONVOLUTIONS: list[tuple[Any, Any, Any, dict[str, Any]]] = [
    ((2, 3, 6, 5), (4, 3, 3, 3), (4,), {}),
    ((2, 3, 6, 5), (4, 3, 3, 3), (4,), {"padding": 1}),
    ((2, 3, 7, 6), (4, 3, 3, 2), (4,), {"stride": (2, 1), "padding": (1, 0)}),
    ((2, 3, 9, 8), (4, 3, 3, 3), (4,), {"dilation": (2, 1), "padding": (2, 1)}),
    ((2, 4, 6, 5), (6, 2, 3, 3), (6,), {"groups": 2, "padding": 1}),
    ((2, 4, 6, 5), (4, 1, 3, 3), (4,), {"groups": 4, "stride": 2}),
    ((2, 3, 6, 5), (4, 3, 1, 1), (4,), {}),
    ((2, 3, 6, 5), (4, 3, 1, 1), (4,), {"stride": 2}),
    ((1, 3, 14, 15), (4, 3, 7, 7), (4,), {"stride": 2, "padding": 3}),
    ((2, 3, 6, 5), (4, 3, 3, 3), None, {"padding": "same"}),
    ((2, 3, 6, 5), (4, 3, 2, 4), (4,), {"padding": "same"}),
    ((2, 3, 6, 5), (4, 3, 3, 3), None, {"padding": "valid"}),
    ((3, 6, 5), (4, 3, 3, 3), (4,), {}),
    ((0, 3, 6, 5), (4, 3, 3, 3), (4,), {}),
    ((2, 3, 4, 4), (4, 3, 4, 4), (4,), {}),
    ((2, 3, 8, 3), (2, 3, 5, 2), (2,), {"stride": (3, 2), "padding": (4, 1)}),
]
for x, w, b, kwargs in CONVOLUTIONS:
    case(F + "conv2d", x, w, b, **kwargs)
POOLS: list[tuple[Any, Any, dict[str, Any]]] = [
    ((2, 3, 6, 5), 2, {}),
    ((2, 3, 7, 6), 3, {"stride": 2, "padding": 1}),
    ((2, 3, 7, 6), [3, 2], {"stride": (1, 2), "padding": (1, 0)}),
    ((2, 3, 9, 8), 3, {"stride": 2, "dilation": (2, 1), "padding": 1}),
    ((2, 3, 7, 6), 3, {"stride": 2, "ceil_mode": True}),
    ((2, 3, 7, 6), 2, {"stride": 3, "padding": 1, "ceil_mode": True}),
    ((2, 3, 7, 6), 3, {"stride": 2, "padding": 1, "return_indices": True}),
    ((3, 7, 6), 2, {}),
]
for x, kernel, kwargs in POOLS:
    case(F + "max_pool2d", x, kernel, **kwargs)
case(F + "max_pool2d", Given(np.zeros((1, 1, 4, 4))), 2, how=kinked)
case(F + "max_pool2d", Given(np.zeros((1, 1, 4, 4))), 3, stride=1, padding=1, how=kinked)
case(F + "max_pool2d", Given([[[[1.0, float("nan")], [3.0, 4.0]]]]), 2, how=kinked)
for size in (1, [2, 3], [4, 1], (None, 2), 7):
    case(F + "adaptive_avg_pool2d", (2, 3, 5, 6), size)
case(F + "adaptive_avg_pool2d", (3, 5, 6), 2)
TARGET = Given([0, 3, 1, 2, 3], INDEX)
WEIGHT = np.array([0.5, 1.0, 2.0, 0.3])
for reduction in ("mean", "sum", "none"):
    case(F + "cross_entropy", (5, 4), TARGET, reduction=reduction)
    case(F + "nll_loss", (5, 4), TARGET, reduction=reduction)
    case(F + "cross_entropy", (5, 4), TARGET, weight=WEIGHT, reduction=reduction, label_smoothing=0.1)
    case(F + "nll_loss", (5, 4), TARGET, weight=WEIGHT, reduction=reduction)
    case(F + "mse_loss", (2, 3), (2, 3), reduction=reduction)
    case(F + "l1_loss", (2, 3), (2, 3), reduction=reduction)
case(F + "cross_entropy", (5, 4), TARGET, label_smoothing=0.1)
case(F + "cross_entropy", (5, 4), Given([0, -100, 1, 2, -100], INDEX))
case(F + "cross_entropy", (5, 4), Given([0, 2, 1, 2, 2], INDEX), ignore_index=2, reduction="none", label_smoothing=0.2)
case(F + "cross_entropy", (4,), Given(2, INDEX))
case(F + "cross_entropy", (2, 4, 3), Given([[0, 1, 2], [3, 3, 0]], INDEX))
case(F + "cross_entropy", (2, 4, 2, 3), Given(np.arange(12).reshape(2, 2, 3) % 4, INDEX), reduction="none")
case(F + "cross_entropy", (3, 4), Drawn((3, 4), 0.0, 1.0))
case(F + "cross_entropy", (3, 4), Drawn((3, 4), 0.0, 1.0), label_smoothing=0.3, reduction="none")
case(F + "nll_loss", (2, 4, 3), Given([[0, 1, 2], [3, 3, 0]], INDEX))


@pytest.mark.parametrize("key", CASES)
def test_op(key: str, device: str) -> None:
    how, name, inputs, kwargs = CASES[key]
    how(name, *inputs, device=device, **kwargs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (3, 4, 3, 2)])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(shape: tuple[int, ...], training: bool, affine: bool, device: str) -> None:
    channels = shape[1]
    mean, var = np.linspace(-1, 1, channels), np.linspace(0.5, 2, channels)

    def call(framework: Any, as_input: Any) -> Any:
        def f(x: Any, w: Any = None, b: Any = None) -> Any:
            dtype = np.float32 if "32" in str(x.dtype) else np.float64
            m, v = as_input(mean.astype(dtype)), as_input(var.astype(dtype))
            y = framework.nn.functional.batch_norm(x, m, v, w, b, training, 0.3, 1e-3)
            return y, m, v

        return f

    import torch

    import minigrad

    check(
        "batch_norm", shape, *([(channels,), (channels,)] if affine else []), device=device,
        minigrad_call=call(minigrad, lambda a: minigrad.from_numpy(a.copy()).to(device)),
        torch_call=call(torch, lambda a: torch.from_numpy(a.copy())),
    )  # fmt: skip


INDICES = {
    "int": 1, "negative": -1, "slice": slice(1, 3), "step": slice(None, None, 2), "ellipsis": (..., 0), "none": (None, 1),
    "tuple": (0, slice(None), 2), "list": [0, 0, 2], "arrays": ([0, 2, 0], [1, 1, 0]), "outer": ([[0], [2]], [[1, 0]]),
    "mixed": (slice(None), [1, 0, 1]), "split": ([0, 1], slice(None), [2, 3]), "mask": np.arange(36).reshape(3, 3, 4) % 3 == 0,
    "row mask": np.array([True, False, True]), "empty": [], "all": (), "true": True, "none and array": (None, [0, 1]),
}  # fmt: skip


def _indexed(framework: Any, index: Any, device: str | None = None) -> Any:
    """An index whose lists and arrays are the framework's own tensors."""
    parts = index if isinstance(index, tuple) else (index,)

    def part(p: Any) -> Any:
        if not isinstance(p, (list, np.ndarray)):
            return p
        array = np.array(p, None if np.array(p).dtype == bool else np.int64)
        made = framework.from_numpy(array)
        return made if device is None else made.to(device)

    made = tuple([part(p) for p in parts])
    return made if isinstance(index, tuple) else made[0]


@pytest.mark.parametrize("name", INDICES)
def test_getitem(name: str, device: str) -> None:
    import torch

    import minigrad

    index = INDICES[name]
    check("getitem", (3, 3, 4), device=device, minigrad_call=lambda x: x[_indexed(minigrad, index, device)],
          torch_call=lambda x: x[_indexed(torch, index)])  # fmt: skip


@pytest.mark.parametrize(
    "name", [n for n in INDICES if n not in ("true", "none", "none and array", "arrays", "list", "mixed")]
)
def test_setitem(name: str, device: str) -> None:
    """In place, with the gradient of what was there and of what was put there."""
    import torch

    import minigrad

    index = INDICES[name]

    def call(framework: Any, device: str | None) -> Any:
        def f(x: Any, v: Any) -> Any:
            y = x * 2
            y[_indexed(framework, index, device)] = v
            return y

        return f

    check("setitem", (3, 3, 4), (), device=device, minigrad_call=call(minigrad, device), torch_call=call(torch, None))


@pytest.mark.parametrize("name", ["conv2d_relu", "conv2d_relu_max_pool2d"])
@pytest.mark.parametrize("x, w, b, kwargs", [c for c in CONVOLUTIONS if len(c[0]) == 4 and c[0][0] and c[0][2] > 4])
def test_fused_convolution(name: str, x: Any, w: Any, b: Any, kwargs: Any, device: str) -> None:
    import torch

    import minigrad

    convolve = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **kwargs}
    pool: Any = ((3, 2), (2, 1), (1, 0), (1, 1), False)
    ours = getattr(minigrad.nn.functional, "_" + name)
    more = [pool] if name.endswith("pool2d") else []

    def reference(x: Any, w: Any, b: Any = None) -> Any:
        y = torch.nn.functional.conv2d(x, w, b, **convolve).relu()
        return torch.nn.functional.max_pool2d(y, *pool[:4]) if more else y

    # Bigger images, so that every pool has room.
    x = (*x[:2], x[2] + 3, x[3] + 3)
    inputs = [x, w] if b is None else [x, w, b]
    check(name, *inputs, device=device,
          minigrad_call=lambda x, w, b=None: ours(x, w, b, *convolve.values(), *more), torch_call=reference)  # fmt: skip


def test_setitem_of_a_value_with_leading_axes_of_length_one(device: str) -> None:
    import torch

    import minigrad

    def call(framework: Any, device: str | None) -> Any:
        def f(x: Any, v: Any) -> Any:
            y = x * 2
            y[_indexed(framework, [0, 2], device)] = v
            return y * y

        return f

    check("setitem", (3, 4), (1, 1, 2, 4), device=device, minigrad_call=call(minigrad, device),
          torch_call=call(torch, None))  # fmt: skip
