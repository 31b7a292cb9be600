"""The functions of neural networks, under torch.nn.functional's names."""

from minigrad.ops.activation import log_softmax, softmax
from minigrad.ops.attention import scaled_dot_product_attention
from minigrad.ops.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d, fold, unfold
from minigrad.ops.convolution import conv2d_relu as _conv2d_relu
from minigrad.ops.convolution import conv2d_relu_max_pool2d as _conv2d_relu_max_pool2d
from minigrad.ops.creation import dropout
from minigrad.ops.elementwise import relu as _relu
from minigrad.ops.elementwise import sigmoid, tanh
from minigrad.ops.indexing import one_hot
from minigrad.ops.loss import cross_entropy, l1_loss, mse_loss, nll_loss
from minigrad.ops.matmul import linear
from minigrad.ops.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)  # fmt: skip
from minigrad.ops.padding import pad
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
from minigrad.tensor import Tensor


def relu(input: Tensor, inplace: bool = False) -> Tensor:  # noqa: A002 - torch's name
    """max(input, 0); inplace writes into input's own memory."""
    return input.relu_() if inplace else _relu(input)


def relu_(input: Tensor) -> Tensor:  # noqa: A002
    """max(input, 0), in place."""
    return input.relu_()


__all__ = [
    "_conv2d_relu", "_conv2d_relu_max_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "avg_pool1d", "avg_pool2d", "batch_norm", "conv1d", "conv2d", "conv_transpose1d",
    "conv_transpose2d", "cross_entropy", "dropout", "fold", "group_norm", "instance_norm", "l1_loss", "layer_norm",
    "linear", "local_response_norm", "log_softmax", "lp_pool2d", "max_pool1d", "max_pool2d",
    "max_pool2d_with_indices", "max_unpool2d", "mse_loss", "nll_loss", "one_hot", "pad", "relu", "relu_",
    "rms_norm", "scaled_dot_product_attention", "sigmoid", "softmax", "tanh", "unfold",
]  # fmt: skip
