"""A case or two of every public function and method that has a gradient (the forms in place are made of them: names.py)."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import numpy as np
import torch

from compare.gradients import pytorch
from compare.gradients.cases import Cases
from compare.gradients.derivatives import Drawn, Given, positive

INDEX = np.int64
F = "nn.functional."
X, ROW, CUBE = (4, 5), (5,), (3, 4, 5)

T = Cases()
case = T.case
inside = partial(Drawn, X)  # inside(low, high)

# -- one operand
case("exp exp2 expm1 sin cos sinh cosh tanh atan asinh sigmoid erf erfc neg square positive abs relu clone", X)
case("log log2 log10 log1p sqrt rsqrt reciprocal", positive(*X))
case("asin acos atanh", inside(-0.9, 0.9))
case("acosh", inside(1.2, 3.0))
case("tan", inside(-1.2, 1.2))
case("logit", inside(0.1, 0.9))
case("logit", inside(0.0, 1.0), 0.2)
case("floor ceil trunc fix round sign sgn frac nan_to_num", X)
case("round", X, decimals=1)
case("deg2rad rad2deg sinc", X)
case("erfinv", inside(-0.9, 0.9))
case("diff", X)
case("diff", X, 2, 0)
case("renorm", X, 2, 0, 1.5)
case("Tensor.unfold", CUBE, 1, 2, 2)

case(f"{F}affine_grid", (2, 2, 3), size=(2, 3, 4, 5), align_corners=False)
case(f"{F}grid_sample", (2, 3, 4, 5), Drawn((2, 3, 4, 2), -0.9, 0.9), align_corners=False)
case(
    f"{F}grid_sample",
    (2, 3, 4, 5),
    Drawn((2, 3, 4, 2), -1.3, 1.3),
    mode="bicubic",
    padding_mode="border",
    align_corners=True,
)
case("scatter_reduce", X, 0, np.array([[0, 1, 0, 2, 1]]), (1, 5), "sum")
case("scatter_reduce", X, 1, np.array([[0, 0], [1, 2], [2, 2], [4, 3]]), (4, 2), "mean", include_self=False)

# -- two operands
case("copysign fmax fmin dist", X, X)
case("cdist", X, (3, 5))
for name in (
    "add",
    "sub",
    "subtract",
    "rsub",
    "mul",
    "hypot",
    "atan2",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
):
    low = 0.5 if name in ("hypot", "atan2") else -2.0
    case(name, Drawn(X, low), Drawn(X, low))
    case(name, Drawn(X, low), Drawn(ROW, low))
case("add sub", X, ROW, alpha=2.5)
case("mul add div", X, 2.5)
case("div fmod remainder", X, positive(*X))
case("div true_divide fmod remainder", X, positive(*ROW))
case("div", positive(*X), positive(*X), rounding_mode="floor")
FLOORS = "against torch.div: torch's own has no gradient"
floors = partial(torch.div, rounding_mode="floor")
case("floor_divide Tensor.__floordiv__", X, positive(*ROW), torch_call=floors, note=FLOORS)
case("Tensor.__rfloordiv__", positive(*X), 2.5, torch_call=lambda x, y: floors(torch.full_like(x, y), x), note=FLOORS)
case("Tensor.__ifloordiv__", X, positive(*ROW), call=lambda framework, x, y: operator.ifloordiv(x * 1, y), torch_call=floors,
     note=FLOORS)  # fmt: skip
case("xlogy pow", positive(*X), positive(*X))
case("xlogy pow", positive(*X), positive(*ROW))
case("pow", X, 3)
case("pow", 2.0, X)
case("float_power", positive(*X), X, single=False, note="float64 only: torch's result is float64 whatever goes in")

# -- three operands, and choices
case("lerp", X, X, 0.25)
case("lerp", X, ROW, Drawn((4, 1), 0.0, 1.0))
case("addcmul", X, ROW, (4, 1), value=-1.5)
case("addcdiv", X, ROW, positive(4, 1), value=0.5)
case("clamp clip", X, -0.5, 1.0)
case("clamp", X, (4, 1), positive(*ROW))
case("clamp_min clamp_max", X, 0.3)
MASK = Given([True, False, True, True, False])
case("where", MASK, X, (4, 1))
case("Tensor.where", X, MASK, (4, 1))
case("masked_fill", X, MASK, 1.5)
case("masked_fill", X, MASK, ())

# -- sums, spreads, products, extremes, orders
for name in ("sum", "mean", "nansum", "nanmean", "var", "std", "var_mean", "std_mean", "logsumexp", "amax", "amin"):
    case(name, CUBE, dim=(0, 2))
    case(name, CUBE, dim=1, keepdim=True)
case("var std", CUBE, dim=1, correction=0)
case("sum mean max min median prod", X)
case("max min median", CUBE, dim=1)
case("aminmax", CUBE, dim=1)
case("prod", CUBE, dim=1)
case("cumsum cumprod", CUBE, dim=1)
case("cumprod", Given([[1.5, 0.0, 2.0, 3.0], [1.0, 2.0, -1.0, 0.5]]), dim=1)
case("prod", Given([[1.5, 0.0, 2.0], [0.0, 3.0, 0.0], [1.0, 2.0, -3.0]]), dim=1)
case("sort", CUBE, dim=1, descending=True)
case("msort", X)
case("topk kthvalue", CUBE, 2, dim=1)
case("norm linalg.vector_norm", X)
case("norm linalg.vector_norm", positive(*CUBE), 3.0, dim=(0, 2))
case("linalg.norm", CUBE, dim=(0, 1))
case("linalg.norm linalg.matrix_norm", X, 1)
case("linalg.matrix_norm", CUBE)

# -- products
case("matmul", X, (5, 3))
case("matmul", (2, 1, 4, 5), (3, 5, 2))
case("mm", X, (5, 3))
case("bmm", CUBE, (3, 5, 2))
case("mv", X, ROW)
case("dot vdot inner", ROW, ROW)
case("inner", X, (3, 5))
case("outer", (4,), ROW)
case("kron", (2, 3), (3, 2))
for name, added, shapes in (
    ("addmm", (4, 3), [(4, 5), (5, 3)]), ("addmv", (4,), [(4, 5), (5,)]), ("addr", (4, 3), [(4,), (3,)]),
    ("baddbmm", (3, 4, 2), [(3, 4, 5), (3, 5, 2)]), ("addbmm", (4, 2), [(3, 4, 5), (3, 5, 2)]),
):  # fmt: skip
    case(name, added, *shapes)
    case(name, added, *shapes, beta=0.5, alpha=-2.0)
case("einsum", "bij,bjk->bik", CUBE, (3, 5, 2))
case("einsum", "ijk,jl,kl->il", CUBE, (4, 3), (5, 3))
case("tensordot", CUBE, (4, 3, 2), [[0, 1], [1, 0]])

# -- other shapes
case("reshape", CUBE, [6, 10])
case("Tensor.view", CUBE, 6, 10)
case("Tensor.view_as Tensor.reshape_as", CUBE, (10, 6))
case("ravel", CUBE)
case("flatten", CUBE, 1)
case("unflatten", (2, 12), 1, [3, 4])
case("squeeze", (4, 1, 5), 1)
case("unsqueeze", X, 1)
case("permute", CUBE, [2, 0, 1])
case("transpose swapaxes", CUBE, 0, -1)
case("t", X)
case("movedim", CUBE, 0, 2)
case("Tensor.expand", (4, 1, 5), 4, 3, 5)
case("Tensor.expand_as", (1, 5), X)
case("broadcast_to", ROW, [3, 5])
case("broadcast_tensors", ROW, (4, 1))
case("atleast_1d atleast_2d atleast_3d", ROW)
case("cat stack hstack vstack dstack column_stack", X, X, as_list=True)
case("cat", X, (4, 2), as_list=True, dim=1)
case("split Tensor.split", CUBE, [1, 3], 1)
case("chunk tensor_split", CUBE, 2, 1)
case("hsplit vsplit", (4, 6), 2)
case("dsplit", (3, 2, 4), 2)
case("narrow", CUBE, 1, 1, 2)
case("select", CUBE, 1, 2)
case("unbind", CUBE, 1)
case("flip", CUBE, [0, 2])
case("fliplr flipud", X)
case("roll", X, [1, -2], [0, 1])
case("rot90", CUBE, 1, [2, 0])
case("tile Tensor.repeat", X, [2, 1, 3])
case("repeat_interleave", X, 2, 1)
case("repeat_interleave", X, Given([2, 0, 1, 3], INDEX), 0)
case("meshgrid", (3,), (4,), indexing="ij")
case("diagonal", CUBE, 1, 1, 2)
case("diag", X, 1)
case("diag", ROW)
case("diag_embed", X, 1)
case("trace Tensor.trace", X)
case("tril triu", CUBE, 1)
case("Tensor.contiguous Tensor.cpu as_tensor", X)
case("Tensor.to", X, "cpu")
case("Tensor.type_as", X, X)
case("Tensor.double Tensor.float", X)
case("Tensor.T Tensor.mT Tensor.H", X, call=lambda framework, x: (x.T, x.mT, x.H))
case("Tensor.copy_", X, ROW, call=lambda framework, x, y: (x * 1).copy_(y))
case("Tensor.fill_", X, call=lambda framework, x: (x * 1).fill_(2.5))
case("Tensor.zero_", X, call=lambda framework, x: (x * 1).zero_())

# -- operators
for name in ("add", "sub", "mul", "truediv", "pow"):
    first = positive(*X) if name == "pow" else X
    case(f"Tensor.__{name}__", first, positive(*ROW))
    case(f"Tensor.__r{name}__", positive(*X), 2.5)
    augmented = getattr(operator, f"i{name}")
    case(f"Tensor.__i{name}__", first, positive(*ROW), call=lambda framework, x, y, op=augmented: op(x * 1, y))
case("Tensor.__mod__", X, positive(*ROW))
case("Tensor.__rmod__", positive(*X), 2.5, torch_call=lambda x, y: torch.full_like(x, y) % x)
case("Tensor.__imod__", X, positive(*ROW), call=lambda framework, x, y: operator.imod(x * 1, y))
case("Tensor.__matmul__", X, (5, 3))
FIXED = np.arange(12.0).reshape(3, 4)
case(
    "Tensor.__rmatmul__",
    X,
    call=lambda framework, x: FIXED.astype(x.dtype) @ x,
    torch_call=lambda x: torch.from_numpy(FIXED).to(x.dtype) @ x,
)
case("Tensor.__neg__ Tensor.__pos__ Tensor.__abs__", X)
case("Tensor.__getitem__", CUBE, (slice(None), slice(1, 3), 2))
case("Tensor.__getitem__", CUBE, Given([0, 2, 2], INDEX))
case("Tensor.__iter__", X, call=lambda framework, x: list(x))


def assigned(framework: Any, x: Any, value: Any, index: Any) -> Any:
    """A tensor after x[index] = value."""
    y = x * 1
    y[index] = value
    return y


case("Tensor.__setitem__", CUBE, (5,), slice(1, 3), call=assigned)
case("Tensor.__setitem__", CUBE, (2, 4, 5), Given([0, 2], INDEX), call=assigned)

# -- taking out and putting back
PLACES = Given([[0, 2], [3, 1], [2, 2], [4, 0]], INDEX)
APART = Given([[0, 2], [3, 1], [2, 4], [4, 0]], INDEX)
case("gather", X, 1, PLACES)
case("take_along_dim", X, PLACES, 1)
case("take", X, Given([[0, 19], [-1, 5]], INDEX))
case("index_select", X, 1, Given([2, 0, 2], INDEX))
case("masked_select", X, MASK)
case("scatter", X, 1, APART, (4, 2))
case("scatter_add", X, 1, PLACES, (4, 2))
case("index_add", X, 1, Given([2, 0, 2], INDEX), (4, 3), alpha=2.5)
case("index_copy", X, 1, Given([2, 0], INDEX), (4, 2))
case("index_fill", X, 1, Given([2, 0], INDEX), 1.5)
case("index_fill", X, 1, Given([2, 0], INDEX), ())


def index_put(framework: Any, x: Any, rows: Any, columns: Any, values: Any, accumulate: bool) -> Any:
    return x.index_put((rows, columns), values, accumulate), (x * 1).index_put_((rows, columns), values, accumulate)


REPEATED = Given([0, 2, 0], INDEX), Given([1, 1, 1], INDEX)
case("index_put Tensor.index_put_", X, *REPEATED, (3,), True, call=index_put)
case("put", X, Given([0, 5, 0], INDEX), (3,), True)
case("masked_scatter", X, MASK, (14,))

# -- activations
for name in ("gelu", "silu", "mish", "softplus", "softsign", "selu", "celu", "elu", "leaky_relu", "logsigmoid", "hardtanh",
             "hardswish", "relu", "relu6", "tanhshrink", "hardshrink", "softshrink"):  # fmt: skip
    case(F + name, Drawn(CUBE, -4.0, 4.0))
case(F + "gelu", Drawn(CUBE, -4.0, 4.0), approximate="tanh")
case(F + "softplus", Drawn(CUBE, -4.0, 4.0), beta=2.0, threshold=1.0)
case(F + "celu " + F + "elu", X, 0.5)
case(F + "leaky_relu", X, 0.3)
case(F + "hardsigmoid", Drawn(CUBE, -4.0, 4.0), torch_call=pytorch.hardsigmoid,
     note="against torch's primitives: the gradient of torch's own has float32's sixth in float64 too")  # fmt: skip
case(F + "threshold", X, 0.2, -1.5)
case(F + "prelu", CUBE, (4,))
case(F + "glu", (4, 6), 1)
case(F + "softmax", CUBE, dim=1)
case(F + "softmax", X, dim=-1)
case(F + "log_softmax", CUBE, dim=1)
case(F + "log_softmax", X, dim=-1)
case(F + "softmin", CUBE, dim=1)

# -- layers
case(F + "linear", X, (3, 5), (3,))
case(F + "linear", CUBE, (3, 5))
case(F + "bilinear", (4, 3), (4, 5), (2, 3, 5), (2,))
case(F + "conv1d", (2, 4, 9), (6, 2, 3), (6,), stride=2, padding=1, groups=2)
case(F + "conv2d", (2, 3, 7, 6), (4, 3, 3, 2), (4,), stride=(2, 1), padding=(1, 0))
case(F + "conv2d", (2, 4, 8, 8), (6, 2, 3, 3), None, padding="same", groups=2)
case(F + "conv2d", (2, 16, 8, 8), (16, 16, 3, 3), (16,), padding=1)
case(F + "conv2d", (2, 4, 6, 6), (4, 1, 3, 3), (4,), groups=4, dilation=2, padding=2)
case(F + "conv_transpose1d", (2, 4, 6), (4, 3, 3), (6,), stride=2, padding=1, output_padding=1, groups=2)
case(F + "conv_transpose2d", (2, 3, 4, 5), (3, 4, 3, 3), (4,), stride=2, padding=1, output_padding=1)
case(F + "unfold", (2, 3, 6, 5), [3, 2], padding=1, stride=(2, 1))
case(F + "fold", (2, 18, 15), [5, 4], [3, 2], padding=(1, 0))
POOL = ((3, 2), (2, 1), (1, 0), (1, 1), False)
case(F + "_conv2d_relu", (2, 3, 7, 6), (4, 3, 3, 3), (4,), 1, 1, 1, 1, torch_call=pytorch.conv2d_relu)
case(F + "_conv2d_relu_max_pool2d", (2, 3, 9, 8), (4, 3, 3, 3), (4,), 1, 1, 1, 1, POOL, torch_call=pytorch.conv2d_relu)
case(F + "max_pool1d", (2, 3, 9), 3, stride=2, padding=1)
case(F + "max_pool2d", (2, 3, 7, 6), 3, stride=2, padding=1)
case(F + "max_pool2d", (2, 3, 9, 8), 3, stride=2, dilation=(2, 1), padding=1)
case(F + "max_pool2d_with_indices", (2, 3, 7, 6), 3, stride=2, padding=1)
case(F + "max_unpool2d", (1, 2, 2, 2), Given([[[[0, 3], [9, 14]], [[5, 2], [8, 10]]]], INDEX), 2)
case(F + "avg_pool1d", (2, 3, 9), 3, stride=2, padding=1)
case(F + "avg_pool2d", (2, 3, 7, 8), 3, stride=2, padding=1, count_include_pad=False)
case(F + "avg_pool2d", (2, 3, 7, 8), [3, 2], stride=(2, 1), ceil_mode=True)
case(F + "lp_pool2d", positive(2, 3, 6, 5), 2, 2)
case(F + "adaptive_avg_pool1d " + F + "adaptive_max_pool1d", (2, 3, 9), 4)
case("adaptive_max_pool1d", (2, 3, 9), 4)
case(F + "adaptive_avg_pool2d " + F + "adaptive_max_pool2d", (2, 3, 5, 6), [2, 4])
case(F + "batch_norm", (4, 3, 5, 2), (3,), positive(3), (3,), (3,), call=pytorch.batch_norm, training=True)
case(F + "batch_norm", (4, 3, 5, 2), (3,), positive(3), (3,), (3,), call=pytorch.batch_norm, training=False)
case(F + "instance_norm", (4, 3, 5, 2), None, None, (3,), (3,))
case(F + "layer_norm", CUBE, [5], (5,), (5,))
case(F + "layer_norm", CUBE, [4, 5], (4, 5))
case(F + "rms_norm", CUBE, [5], (5,))
case(F + "group_norm", (2, 4, 3, 2), 2, (4,), (4,))
case(F + "local_response_norm", (2, 5, 4), 3, alpha=0.5)
case(F + "embedding", Given([[0, 2, 2], [3, 0, 2]], INDEX), (4, 3))
case(F + "pad", (1, 2, 4, 5), [2, 1, 1, 3])
for mode in ("reflect", "replicate", "circular"):
    case(F + "pad", (1, 2, 4, 5), [2, 1, 1, 3], mode=mode)
case(F + "normalize", X)
case(F + "normalize", CUBE, p=3.0, dim=-1)
case(F + "cosine_similarity", CUBE, CUBE, dim=-1)
case(F + "pairwise_distance", X, X)
case(F + "pairwise_distance", X, X, p=3.0, keepdim=True)
case(F + "interpolate", (2, 3, 4, 5), scale_factor=1.7, mode="bilinear")
case(F + "interpolate", (2, 3, 4, 5), size=[7, 3], mode="nearest")
case(F + "interpolate", (2, 3, 4, 5), size=3, mode="area")
case(F + "upsample", (2, 3, 4, 5), scale_factor=2, mode="bilinear", align_corners=True)
case(F + "pixel_shuffle", (2, 8, 2, 3), 2)
case(F + "pixel_unshuffle", (2, 3, 4, 6), 2)
case(F + "channel_shuffle", (2, 6, 3, 2), 3)
MASKS = "the masks of both come from one generator of minigrad"
case("dropout", CUBE, 0.3, call=pytorch.masked("dropout"), torch_call=pytorch.dropout, note=MASKS)
case(F + "dropout", CUBE, 0.3, call=pytorch.masked("nn.functional.dropout"), torch_call=pytorch.dropout, note=MASKS)
case(
    F + "dropout1d",
    CUBE,
    0.3,
    call=pytorch.masked("nn.functional.dropout1d"),
    torch_call=pytorch.dropout_of_channels,
    note=MASKS,
)
case(F + "dropout2d", (3, 4, 2, 5), 0.3, call=pytorch.masked("nn.functional.dropout2d"), torch_call=pytorch.dropout_of_channels,
     note=MASKS)  # fmt: skip
case(F + "alpha_dropout", CUBE, 0.3, True, call=pytorch.masked("nn.functional.alpha_dropout"), torch_call=pytorch.alpha_dropout,
     note=MASKS)  # fmt: skip
case(F + "stochastic_depth", CUBE, 0.3, "row", call=pytorch.masked("nn.functional.stochastic_depth"),
     torch_call=pytorch.stochastic_depth, note=MASKS)  # fmt: skip

# -- attention
Q, K, V = (2, 2, 5, 4), (2, 2, 6, 4), (2, 2, 6, 3)
case(F + "scaled_dot_product_attention", Q, K, V)
case(F + "scaled_dot_product_attention", Q, K, (2, 2, 6, 8), (5, 6))
case(F + "scaled_dot_product_attention", Q, Q, Q, is_causal=True)
case(
    F + "multi_head_attention_forward",
    (4, 2, 6),
    (5, 2, 6),
    (5, 2, 6),
    (18, 6),
    (18,),
    (6, 6),
    (6,),
    call=pytorch.multi_head,
)
WINDOWS = ((2, 4, 6, 4), (12, 4), (4, 4), (1, 2, 6, 6), [2, 3], 2, [1, 1], 0.0, 0.0, (12,), (4,))
case(
    F + "shifted_window_attention", *WINDOWS, torch_call=pytorch.shifted_window_attention, note="against torchvision's"
)
PRIMITIVES = "against torch's primitives"
case(F + "window_partition", (2, 5, 6, 3), [2, 3], [1, 1], torch_call=pytorch.window_partition, note=PRIMITIVES)
case(F + "window_reverse", (12, 2, 3, 3), [2, 3], 5, 6, torch_call=pytorch.window_reverse, note=PRIMITIVES)

# -- losses, as functions
CLASSES = Given([0, 3, 1, 2, 3], INDEX)
SIGNS = Given([1, -1, -1, 1, 1], INDEX)
FACTORS = np.array([0.5, 1.0, 2.0, 0.25])
LOGITS = (5, 4)
BCE = "torch adds 1e-12 to the denominators of the second gradient, hence the distance there"
chance = partial(Drawn, low=0.25, high=0.75)
for reduction in ("mean", "sum", "none"):
    case(F + "mse_loss " + F + "l1_loss " + F + "smooth_l1_loss " + F + "huber_loss", X, X, reduction=reduction)
    case(F + "cross_entropy", LOGITS, CLASSES, reduction=reduction)
    case(F + "nll_loss", LOGITS, CLASSES, weight=FACTORS, ignore_index=2, reduction=reduction)
    case(F + "binary_cross_entropy", chance(X), chance(X), reduction=reduction, note=BCE)
    case(F + "binary_cross_entropy_with_logits", X, chance(X), reduction=reduction)
    case(F + "kl_div", X, chance(X), reduction=reduction)
case(F + "cross_entropy", LOGITS, CLASSES, weight=FACTORS, label_smoothing=0.1)
case(F + "cross_entropy", (2, 4, 3), chance((2, 4, 3)), label_smoothing=0.2)
case(F + "smooth_l1_loss", X, X, beta=0.3)
case(F + "huber_loss", X, X, delta=0.3)
case(F + "kl_div", X, X, log_target=True)
case(F + "cosine_embedding_loss", LOGITS, LOGITS, SIGNS, margin=0.3)
case(F + "margin_ranking_loss", ROW, ROW, SIGNS, margin=0.5)
case(F + "hinge_embedding_loss", ROW, SIGNS, margin=0.7)
case(F + "soft_margin_loss", ROW, SIGNS)
case(F + "triplet_margin_loss", LOGITS, LOGITS, LOGITS)
case(F + "triplet_margin_loss", LOGITS, LOGITS, LOGITS, margin=0.3, p=3.0, swap=True, reduction="none")
case(F + "multi_margin_loss", LOGITS, CLASSES, order=1, note="torch has no second gradient")
case(
    F + "multi_margin_loss",
    LOGITS,
    CLASSES,
    p=2,
    margin=0.4,
    weight=FACTORS,
    order=1,
    note="torch has no second gradient",
)
case(F + "poisson_nll_loss", X, Drawn(X, 0.0, 4.0), full=True)
case(F + "poisson_nll_loss", positive(*X), Drawn(X, 0.0, 4.0), log_input=False)
case(F + "gaussian_nll_loss", X, X, positive(*X))
