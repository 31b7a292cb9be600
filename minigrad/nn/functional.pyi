# Written by tools/stubs.py out of minigrad/ops: change the ops, and run it again.

import builtins
from typing import Any, overload

from collections.abc import Sequence
from minigrad.ops.convolution import IntOrPair
from minigrad.random import Generator
from minigrad.tensor import Tensor

__all__ = ['_conv2d_relu', '_conv2d_relu_max_pool2d', 'adaptive_avg_pool1d', 'adaptive_avg_pool2d', 'adaptive_max_pool1d', 'adaptive_max_pool2d', 'affine_grid', 'alpha_dropout', 'avg_pool1d', 'avg_pool2d', 'batch_norm', 'bilinear', 'binary_cross_entropy', 'binary_cross_entropy_with_logits', 'celu', 'celu_', 'channel_shuffle', 'conv1d', 'conv2d', 'conv_transpose1d', 'conv_transpose2d', 'cosine_embedding_loss', 'cosine_similarity', 'cross_entropy', 'dropout', 'dropout1d', 'dropout2d', 'elu', 'elu_', 'embedding', 'fold', 'gaussian_nll_loss', 'gelu', 'glu', 'grid_sample', 'group_norm', 'gumbel_softmax', 'hardshrink', 'hardsigmoid', 'hardswish', 'hardtanh', 'hardtanh_', 'hinge_embedding_loss', 'huber_loss', 'instance_norm', 'interpolate', 'kl_div', 'l1_loss', 'layer_norm', 'leaky_relu', 'leaky_relu_', 'linear', 'local_response_norm', 'log_softmax', 'logsigmoid', 'lp_pool2d', 'margin_ranking_loss', 'max_pool1d', 'max_pool2d', 'max_pool2d_with_indices', 'max_unpool2d', 'mish', 'mse_loss', 'multi_head_attention_forward', 'multi_margin_loss', 'nll_loss', 'normalize', 'one_hot', 'pad', 'pairwise_distance', 'pixel_shuffle', 'pixel_unshuffle', 'poisson_nll_loss', 'prelu', 'relu', 'relu6', 'relu_', 'rms_norm', 'scaled_dot_product_attention', 'selu', 'selu_', 'shifted_window_attention', 'sigmoid', 'silu', 'smooth_l1_loss', 'soft_margin_loss', 'softmax', 'softmin', 'softplus', 'softshrink', 'softsign', 'stochastic_depth', 'tanh', 'tanhshrink', 'threshold', 'threshold_', 'triplet_margin_loss', 'unfold', 'upsample', 'window_partition', 'window_reverse']

def _conv2d_relu(input: Tensor, weight: Tensor, bias: Tensor | None, stride: IntOrPair = 1, padding: IntOrPair | builtins.str = 0, dilation: IntOrPair = 1, groups: builtins.int = 1) -> Tensor:
    """relu(conv2d(...)) as one op: the same values, with one pass over memory less and the result saved once."""
def _conv2d_relu_max_pool2d(input: Tensor, weight: Tensor, bias: Tensor | None, stride: IntOrPair, padding: IntOrPair | builtins.str, dilation: IntOrPair, groups: builtins.int, pool: builtins.tuple[IntOrPair, IntOrPair | None, IntOrPair, IntOrPair, builtins.bool]) -> Tensor:
    """max_pool2d(relu(conv2d(...)), *pool) as one op: the map before the pool is never stored."""
def adaptive_avg_pool1d(input: Tensor, output_size: builtins.int | Sequence[builtins.int]) -> Tensor:
    """The mean of each of OL bins of input (N, C, L) or (C, L)."""
def adaptive_avg_pool2d(input: Tensor, output_size: builtins.int | Sequence[builtins.int | None] | None) -> Tensor:
    """The mean of each of OH x OW bins of input (N, C, H, W) or (C, H, W); None keeps an axis's size."""
def adaptive_max_pool1d(input: Tensor, output_size: builtins.int | Sequence[builtins.int], return_indices: builtins.bool = False) -> Any:
    """The largest of each of OL bins of input (N, C, L) or (C, L), and where along L it is if asked for."""
def adaptive_max_pool2d(input: Tensor, output_size: builtins.int | Sequence[builtins.int | None], return_indices: builtins.bool = False) -> Any:
    """The largest of each of OH x OW bins of input (N, C, H, W) or (C, H, W); None keeps an axis's size."""
def affine_grid(theta: Tensor, size: Sequence[builtins.int], align_corners: builtins.bool | None = None) -> Tensor:
    """The place (x, y)^T = theta (j, i, 1)^T of each pixel (i, j) of an image of `size`: (N, H, W, 2)."""
def alpha_dropout(input: Tensor, p: builtins.float = 0.5, training: builtins.bool = False, inplace: builtins.bool = False, generator: Generator | None = None) -> Tensor:
    """In training, sets each element to SELU's lower limit with probability p, then restores mean 0 and variance 1."""
def avg_pool1d(input: Tensor, kernel_size: builtins.int | Sequence[builtins.int], stride: builtins.int | Sequence[builtins.int] | None = None, padding: builtins.int | Sequence[builtins.int] = 0, ceil_mode: builtins.bool = False, count_include_pad: builtins.bool = True) -> Tensor:
    """The mean of each window of input (N, C, L) or (C, L); stride is the kernel's size unless given."""
def avg_pool2d(input: Tensor, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: IntOrPair = 0, ceil_mode: builtins.bool = False, count_include_pad: builtins.bool = True, divisor_override: builtins.int | None = None) -> Tensor:
    """The mean of each window of input (N, C, H, W) or (C, H, W); stride is the kernel's size unless given."""
def batch_norm(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None, bias: Tensor | None = None, training: builtins.bool = False, momentum: builtins.float = 0.1, eps: builtins.float = 1e-05) -> Tensor:
    """Batch normalisation of input (N, C, ...); weight, bias and running statistics are (C)."""
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_k = x1^T W_k x2 + b_k: input1 (..., I), input2 (..., J), weight (K, I, J), bias (K), result (..., K)."""
def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """-weight (target log input + (1 - target) log(1 - input)), for probabilities; logarithms are at least -100, as in torch."""
def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean', pos_weight: Tensor | None = None) -> Tensor:
    """binary_cross_entropy of sigmoid(input), without overflow; pos_weight is a factor on the terms of target."""
def celu(input: Tensor, alpha: builtins.float = 1.0, inplace: builtins.bool = False) -> Tensor:
    """input where it is positive, else alpha (e^(input / alpha) - 1)."""
def celu_(input: Tensor, alpha: builtins.float = 1.0, inplace: builtins.bool = False) -> Tensor:
    """celu into input's own memory."""
def channel_shuffle(input: Tensor, groups: builtins.int) -> Tensor:
    """(N, C, ...) with channels dealt out: y[:, i groups + g] = x[:, g C / groups + i]."""
def conv1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: builtins.int | Sequence[builtins.int] = 1, padding: builtins.int | Sequence[builtins.int] | builtins.str = 0, dilation: builtins.int | Sequence[builtins.int] = 1, groups: builtins.int = 1) -> Tensor:
    """The cross-correlation of input (N, C, L), or (C, L), with weight (O, C/groups, K), plus bias (O)."""
def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: IntOrPair = 1, padding: IntOrPair | builtins.str = 0, dilation: IntOrPair = 1, groups: builtins.int = 1) -> Tensor:
    """The cross-correlation of input (N, C, H, W), or (C, H, W), with weight (O, C/groups, KH, KW), plus bias (O)."""
def conv_transpose1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: builtins.int | Sequence[builtins.int] = 1, padding: builtins.int | Sequence[builtins.int] = 0, output_padding: builtins.int | Sequence[builtins.int] = 0, groups: builtins.int = 1, dilation: builtins.int | Sequence[builtins.int] = 1) -> Tensor:
    """The adjoint of conv1d: input (N, C, L) or (C, L), weight (C, O/groups, K); conv_transpose2d with one row."""
def conv_transpose2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: IntOrPair = 1, padding: IntOrPair = 0, output_padding: IntOrPair = 0, groups: builtins.int = 1, dilation: IntOrPair = 1) -> Tensor:
    """The adjoint of conv2d: input (N, C, H, W) or (C, H, W), weight (C, O/groups, KH, KW), bias (O)."""
def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: builtins.float = 0, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; cos of the angle between the rows of two inputs."""
def cosine_similarity(x1: Tensor, x2: Tensor, dim: builtins.int = 1, eps: builtins.float = 1e-08, *, axis: builtins.int = ...) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along an axis: the cosine of the angle. The two broadcast."""
def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: builtins.bool | None = None, ignore_index: builtins.int = -100, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean', label_smoothing: builtins.float = 0.0) -> Tensor:
    """-log softmax(input)[target]: input (N, C, ...) or (C) are logits, target (N, ...) classes, or probabilities of input's shape."""
def dropout(input: Tensor, p: builtins.float = 0.5, training: builtins.bool = True, inplace: builtins.bool = False, generator: Generator | None = None) -> Tensor:
    """In training, zeros each element with probability p and scales the others by 1 / (1 - p)."""
def dropout1d(input: Tensor, p: builtins.float = 0.5, training: builtins.bool = True, inplace: builtins.bool = False, generator: Generator | None = None) -> Tensor:
    """In training, zeros each channel of input (N, C, L) or (C, L) with probability p and scales the others by 1 / (1 - p)."""
def dropout2d(input: Tensor, p: builtins.float = 0.5, training: builtins.bool = True, inplace: builtins.bool = False, generator: Generator | None = None) -> Tensor:
    """In training, zeros each channel of input (N, C, H, W) with probability p and scales the others by 1 / (1 - p)."""
def elu(input: Tensor, alpha: builtins.float = 1.0, inplace: builtins.bool = False) -> Tensor:
    """input where it is positive, else alpha (e^input - 1)."""
def elu_(input: Tensor, alpha: builtins.float = 1.0, inplace: builtins.bool = False) -> Tensor:
    """elu into input's own memory."""
def embedding(input: Tensor, weight: Tensor, padding_idx: builtins.int | None = None, max_norm: builtins.float | None = None, norm_type: builtins.float = 2.0, scale_grad_by_freq: builtins.bool = False, sparse: builtins.bool = False) -> Tensor:
    """weight[input]: input of any shape (...), int64 or int32, weight (V, D), result (..., D)."""
def fold(input: Tensor, output_size: IntOrPair, kernel_size: IntOrPair, dilation: IntOrPair = 1, padding: IntOrPair = 0, stride: IntOrPair = 1) -> Tensor:
    """(N, C KH KW, L) to (N, C, H, W): the sum of the columns' entries at each pixel. The adjoint of unfold."""
def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor | builtins.float, full: builtins.bool = False, eps: builtins.float = 1e-06, reduction: builtins.str = 'mean') -> Tensor:
    """(log v + (input - target)^2 / v) / 2, v = max(var, eps): input the means, var the variances of normal distributions."""
def gelu(input: Tensor, *, approximate: builtins.str = 'none') -> Tensor:
    """input Phi(input), Phi(x) the probability that a normal variable is below x; approximate="tanh": see Gelu."""
def glu(input: Tensor, dim: builtins.int = -1) -> Tensor:
    """a sigmoid(b), a and b the first and second half of input along dim. Source: Y. Dauphin et al. (2017)."""
def grid_sample(input: Tensor, grid: Tensor, mode: builtins.str = 'bilinear', padding_mode: builtins.str = 'zeros', align_corners: builtins.bool | None = None) -> Tensor:
    """y[n, :, i, j] = the image x[n] at the place grid[n, i, j] = (x, y)."""
def group_norm(input: Tensor, num_groups: builtins.int, weight: Tensor | None = None, bias: Tensor | None = None, eps: builtins.float = 1e-05) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance of each group of channels of each sample."""
def gumbel_softmax(logits: Tensor, tau: builtins.float = 1, hard: builtins.bool = False, eps: builtins.float = 1e-10, dim: builtins.int = -1) -> Tensor:
    """softmax((logits + g) / tau), g drawn from Gumbel(0, 1). hard: its one-hot winner, with the soft one's gradient."""
def hardshrink(input: Tensor, lambd: builtins.float = 0.5) -> Tensor:
    """input, but 0 where -lambd <= input <= lambd."""
def hardsigmoid(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """min(max(input + 3, 0), 6) / 6."""
def hardswish(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """input hardsigmoid(input)."""
def hardtanh(input: Tensor, min_val: builtins.float = -1.0, max_val: builtins.float = 1.0, inplace: builtins.bool = False) -> Tensor:
    """input, but at least min_val and at most max_val, in input's type."""
def hardtanh_(input: Tensor, min_val: builtins.float = -1.0, max_val: builtins.float = 1.0, inplace: builtins.bool = False) -> Tensor:
    """hardtanh into input's own memory."""
def hinge_embedding_loss(input: Tensor, target: Tensor, margin: builtins.float = 1.0, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1."""
def huber_loss(input: Tensor, target: Tensor, reduction: builtins.str = 'mean', delta: builtins.float = 1.0, weight: Tensor | None = None) -> Tensor:
    """d^2 / 2 where d = |input - target| is at most delta, delta (d - delta / 2) elsewhere."""
def instance_norm(input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: builtins.bool = True, momentum: builtins.float = 0.1, eps: builtins.float = 1e-05) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance of each channel of each sample."""
def interpolate(input: Tensor, size: builtins.int | Sequence[builtins.int] | None = None, scale_factor: builtins.float | Sequence[builtins.float] | None = None, mode: builtins.str = 'nearest', align_corners: builtins.bool | None = None, recompute_scale_factor: builtins.bool | None = None, antialias: builtins.bool = False) -> Tensor:
    """input (N, C, L), (N, C, H, W) or (N, C, D, H, W) at another size: floor(scale_factor times its own), or `size`."""
def kl_div(input: Tensor, target: Tensor, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean', log_target: builtins.bool = False) -> Tensor:
    """target (log target - input), 0 where target is 0: input log-probabilities, target probabilities, or their logarithms."""
def l1_loss(input: Tensor, target: Tensor, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean', weight: Tensor | None = None) -> Tensor:
    """|input - target|. With a weight for each element, "mean" divides by the sum of the weights."""
def layer_norm(input: Tensor, normalized_shape: Sequence[builtins.int], weight: Tensor | None = None, bias: Tensor | None = None, eps: builtins.float = 1e-05) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias with mean and biased variance over the last axes of input."""
def leaky_relu(input: Tensor, negative_slope: builtins.float = 0.01, inplace: builtins.bool = False) -> Tensor:
    """input where it is positive, else negative_slope input."""
def leaky_relu_(input: Tensor, negative_slope: builtins.float = 0.01, inplace: builtins.bool = False) -> Tensor:
    """leaky_relu into input's own memory."""
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (..., in) times weight (out, in) transposed, plus bias (out)."""
def local_response_norm(input: Tensor, size: builtins.int, alpha: builtins.float = 0.0001, beta: builtins.float = 0.75, k: builtins.float = 1.0) -> Tensor:
    """x / (k + alpha mean(x^2))^beta, the mean over `size` neighbouring channels (zeros beyond the first and the last)."""
def log_softmax(input: Tensor, dim: builtins.int | None = None, dtype: Any = None) -> Tensor:
    """x - log sum e^x along `dim`."""
def logsigmoid(input: Tensor) -> Tensor:
    """ln sigmoid(input), without overflow."""
def lp_pool2d(input: Tensor, norm_type: builtins.float, kernel_size: IntOrPair, stride: IntOrPair | None = None, ceil_mode: builtins.bool = False) -> Tensor:
    """(sum of x^p over each window)^(1/p), p = norm_type, of input (N, C, H, W) or (C, H, W); 0 where the sum is not positive."""
def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: builtins.float = 0, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """max(0, -target (input1 - input2) + margin): target 1 says that input1 should be the larger, -1 input2."""
def max_pool1d(input: Tensor, kernel_size: builtins.int | Sequence[builtins.int], stride: builtins.int | Sequence[builtins.int] | None = None, padding: builtins.int | Sequence[builtins.int] = 0, dilation: builtins.int | Sequence[builtins.int] = 1, ceil_mode: builtins.bool = False, return_indices: builtins.bool = False) -> Any:
    """The largest of each window of input (N, C, L) or (C, L); stride is the kernel's size unless given."""
def max_pool2d(input: Tensor, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: IntOrPair = 0, dilation: IntOrPair = 1, ceil_mode: builtins.bool = False, return_indices: builtins.bool = False) -> Any:
    """The largest of each window of input (N, C, H, W) or (C, H, W); stride is the kernel's size unless given."""
def max_pool2d_with_indices(input: Tensor, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: IntOrPair = 0, dilation: IntOrPair = 1, ceil_mode: builtins.bool = False, return_indices: builtins.bool = False) -> builtins.tuple[Tensor, Tensor]:
    """max_pool2d, and the winners' places: int64, counted through the flattened (H, W)."""
def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: IntOrPair = 0, output_size: Sequence[builtins.int] | None = None) -> Tensor:
    """Zeros, but each element of input (N, C, H, W) or (C, H, W) where max_pool2d found it: at `indices` of the flattened image."""
def mish(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """input tanh(softplus(input))."""
def mse_loss(input: Tensor, target: Tensor, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean', weight: Tensor | None = None) -> Tensor:
    """(input - target)^2. With a weight for each element, "mean" divides by the sum of the weights."""
def multi_head_attention_forward(query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: builtins.int, num_heads: builtins.int, in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: builtins.bool, dropout_p: builtins.float, out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: builtins.bool = True, key_padding_mask: Tensor | None = None, need_weights: builtins.bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: builtins.bool = False, q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: builtins.bool = True, is_causal: builtins.bool = False, *, generator: Generator | None = None) -> builtins.tuple[Tensor, Tensor | None]:
    """(Y, P): Y (L, N, E) for query (L, N, E), key (S, N, K), value (S, N, V); all without N for one sample. P: the weights."""
def multi_margin_loss(input: Tensor, target: Tensor, p: builtins.int = 1, margin: builtins.float = 1.0, weight: Tensor | None = None, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """sum over the other classes c of max(0, margin - x[target] + x[c])^p weight[target] / C, p = 1 or 2."""
def nll_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: builtins.bool | None = None, ignore_index: builtins.int = -100, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """-input[target] weight[target]: input (N, C, ...) or (C) are log-probabilities, target (N, ...) or () classes."""
def normalize(input: Tensor, p: builtins.float = 2.0, dim: builtins.int = 1, eps: builtins.float = 1e-12) -> Tensor:
    """input / max(its p-norm, eps) along an axis."""
def one_hot(input: Tensor, num_classes: builtins.int = -1) -> Tensor:
    """int64 zeros (..., num_classes) with a 1 at each index."""
def pad(input: Tensor, pad: Sequence[builtins.int], mode: builtins.str = 'constant', value: builtins.float | None = None) -> Tensor:
    """A border around the last axes: pad = (left, right, top, bottom, ...), the last axis first; negative widths crop."""
def pairwise_distance(x1: Tensor, x2: Tensor, p: builtins.float = 2.0, eps: builtins.float = 1e-06, keepdim: builtins.bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis; x1 (N, D) or (D), x2 of a shape that broadcasts with it."""
def pixel_shuffle(input: Tensor, upscale_factor: builtins.int) -> Tensor:
    """(..., C r^2, H, W) to (..., C, H r, W r): y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]."""
def pixel_unshuffle(input: Tensor, downscale_factor: builtins.int) -> Tensor:
    """(..., C, H r, W r) to (..., C r^2, H, W): what pixel_shuffle takes apart, put back."""
def poisson_nll_loss(input: Tensor, target: Tensor, log_input: builtins.bool = True, full: builtins.bool = False, size_average: builtins.bool | None = None, eps: builtins.float = 1e-08, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """x - target log x for Poisson rates x: e^input, or input itself (its logarithm of x + eps then)."""
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where it is positive, else weight input. weight: one number, or one for each channel (axis 1)."""
def relu(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """max(input, 0)."""
def relu6(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """min(max(input, 0), 6)."""
def relu_(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """relu into input's own memory."""
def rms_norm(input: Tensor, normalized_shape: Sequence[builtins.int], weight: Tensor | None = None, eps: builtins.float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight with the mean over the last axes of input (..., *normalized_shape)."""
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: builtins.float = 0.0, is_causal: builtins.bool = False, *, scale: builtins.float | None = None, enable_gqa: builtins.bool = False, generator: Generator | None = None) -> Tensor:
    """softmax(query key^T scale + attn_mask) value: query (..., L, E), key (..., S, E), value (..., S, F), result (..., L, F)."""
def selu(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """1.0507... elu(input, 1.6733...): keeps mean 0 and variance 1. Source: G. Klambauer et al. (2017)."""
def selu_(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """selu into input's own memory."""
def shifted_window_attention(input: Tensor, qkv_weight: Tensor, proj_weight: Tensor, relative_position_bias: Tensor | None, window_size: Sequence[builtins.int], num_heads: builtins.int, shift_size: Sequence[builtins.int], attention_dropout: builtins.float = 0.0, dropout: builtins.float = 0.0, qkv_bias: Tensor | None = None, proj_bias: Tensor | None = None, logit_scale: Tensor | None = None, training: builtins.bool = True, *, generator: Generator | None = None) -> Tensor:
    """Y = softmax(Q K^T / sqrt(d) + bias + mask) V W_proj^T + b_proj in each window: input, result (B, H, W, C)."""
def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-input)."""
def silu(input: Tensor, inplace: builtins.bool = False) -> Tensor:
    """input sigmoid(input), also called swish."""
def smooth_l1_loss(input: Tensor, target: Tensor, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean', beta: builtins.float = 1.0) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| is below beta, d - beta / 2 elsewhere; l1_loss for beta = 0."""
def soft_margin_loss(input: Tensor, target: Tensor, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """log(1 + e^(-target input)), target 1 or -1."""
def softmax(input: Tensor, dim: builtins.int | None = None, dtype: Any = None) -> Tensor:
    """e^x / sum e^x along `dim` (None: torch's old rule, axis 1 for 2-D and 4-D tensors and more, else 0)."""
def softmin(input: Tensor, dim: builtins.int | None = None, dtype: Any = None) -> Tensor:
    """e^-x / sum e^-x along `dim`."""
def softplus(input: Tensor, beta: builtins.float = 1.0, threshold: builtins.float = 20.0) -> Tensor:
    """ln(1 + e^(beta input)) / beta, a smooth max(input, 0); input itself where beta input > threshold."""
def softshrink(input: Tensor, lambd: builtins.float = 0.5) -> Tensor:
    """input drawn towards 0 by lambd: input - lambd above lambd, input + lambd below -lambd, 0 between."""
def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|)."""
def stochastic_depth(input: Tensor, p: builtins.float, mode: builtins.str, training: builtins.bool = True, generator: Generator | None = None) -> Tensor:
    """In training, zeros each sample of input (N, ...) with probability p and scales the others by 1 / (1 - p)."""
def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input)."""
def threshold(input: Tensor, threshold: builtins.float, value: builtins.float, inplace: builtins.bool = False) -> Tensor:
    """input where it is above the threshold (or NaN), else value, in input's type."""
def threshold_(input: Tensor, threshold: builtins.float, value: builtins.float, inplace: builtins.bool = False) -> Tensor:
    """threshold into input's own memory."""
def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: builtins.float = 1.0, p: builtins.float = 2, eps: builtins.float = 1e-06, swap: builtins.bool = False, size_average: builtins.bool | None = None, reduce: builtins.bool | None = None, reduction: builtins.str = 'mean') -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm of the difference along the last axis."""
def unfold(input: Tensor, kernel_size: IntOrPair, dilation: IntOrPair = 1, padding: IntOrPair = 0, stride: IntOrPair = 1) -> Tensor:
    """(N, C, H, W) to (N, C KH KW, L): the columns that each place of a sliding window sees. (C, H, W) works too."""
def upsample(input: Tensor, size: builtins.int | Sequence[builtins.int] | None = None, scale_factor: builtins.float | Sequence[builtins.float] | None = None, mode: builtins.str = 'nearest', align_corners: builtins.bool | None = None) -> Tensor:
    """The older name of interpolate."""
def window_partition(input: Tensor, window_size: builtins.int | Sequence[builtins.int], shift_size: builtins.int | Sequence[builtins.int] = 0) -> Tensor:
    """The windows (B nH nW, h, w, C) of input (B, H, W, C): image by image, row by row."""
def window_reverse(windows: Tensor, window_size: builtins.int | Sequence[builtins.int], height: builtins.int, width: builtins.int, shift_size: builtins.int | Sequence[builtins.int] = 0) -> Tensor:
    """The image (B, height, width, C) whose windows (B nH nW, h, w, C) are given: undoes window_partition, padding and shift."""
