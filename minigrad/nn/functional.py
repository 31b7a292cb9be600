"""The functions of neural networks, under torch.nn.functional's names."""

import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from minigrad.aliases import numpys_names as _numpys_names
from minigrad.ops import late
from minigrad.ops.activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from minigrad.ops.attention import scaled_dot_product_attention
from minigrad.ops.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d, fold, unfold
from minigrad.ops.convolution import conv2d_relu as _conv2d_relu
from minigrad.ops.convolution import conv2d_relu_max_pool2d as _conv2d_relu_max_pool2d
from minigrad.ops.creation import dropout
from minigrad.ops.dropout import alpha_dropout, dropout1d, dropout2d, stochastic_depth
from minigrad.ops.elementwise import sigmoid, tanh
from minigrad.ops.embedding import embedding
from minigrad.ops.indexing import one_hot
from minigrad.ops.interpolation import channel_shuffle, interpolate, pixel_shuffle, pixel_unshuffle, upsample
from minigrad.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)  # fmt: skip
from minigrad.ops.margin_loss import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
)  # fmt: skip
from minigrad.ops.matmul import linear
from minigrad.ops.multihead import multi_head_attention_forward
from minigrad.ops.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)  # fmt: skip
from minigrad.ops.padding import pad
from minigrad.ops.pairs import bilinear, cosine_similarity, normalize, pairwise_distance
from minigrad.ops.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    lp_pool2d,
    max_pool1d,
    max_pool2d,
    max_pool2d_with_indices,
    max_unpool2d,
)  # fmt: skip
from minigrad.ops.windows import shifted_window_attention, window_partition, window_reverse
from minigrad.tensor import Tensor

late.functional.room = sys.modules[__name__]


def _in_place(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return op(input, *args, **kwargs, inplace=True)

    update_wrapper(function, op, assigned=(), updated=())  # it takes op's arguments
    function.__name__, function.__doc__ = op.__name__ + "_", f"{op.__name__} into input's own memory."
    return function


cosine_similarity = _numpys_names(
    cosine_similarity, __name__
)  # alone with a `dim` among those that torch builds in C++
celu_, elu_, hardtanh_, leaky_relu_ = _in_place(celu), _in_place(elu), _in_place(hardtanh), _in_place(leaky_relu)
relu_, selu_, threshold_ = _in_place(relu), _in_place(selu), _in_place(threshold)

__all__ = [
    "_conv2d_relu", "_conv2d_relu_max_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "alpha_dropout", "avg_pool1d", "avg_pool2d", "batch_norm", "bilinear",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu", "celu_", "channel_shuffle", "conv1d",
    "conv2d", "conv_transpose1d", "conv_transpose2d", "cosine_embedding_loss", "cosine_similarity", "cross_entropy",
    "dropout", "dropout1d", "dropout2d", "elu", "elu_", "embedding", "fold", "gaussian_nll_loss", "gelu", "glu",
    "group_norm", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "hinge_embedding_loss",
    "huber_loss", "instance_norm", "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "leaky_relu_",
    "linear", "local_response_norm", "log_softmax", "logsigmoid", "lp_pool2d", "margin_ranking_loss", "max_pool1d",
    "max_pool2d", "max_pool2d_with_indices", "max_unpool2d", "mish", "mse_loss", "multi_head_attention_forward",
    "multi_margin_loss", "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance", "pixel_shuffle",
    "pixel_unshuffle", "poisson_nll_loss", "prelu", "relu", "relu6", "relu_", "rms_norm", "scaled_dot_product_attention", "selu",
    "selu_", "shifted_window_attention", "sigmoid", "silu", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin",
    "softplus", "softshrink", "softsign", "stochastic_depth", "tanh", "tanhshrink", "threshold", "threshold_",
    "triplet_margin_loss", "unfold", "upsample", "window_partition", "window_reverse",
]  # fmt: skip
