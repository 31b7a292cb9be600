"""The kernels on NumPy: those of minigrad.backends.kernels."""

import numpy as xp

from minigrad.backends.cpu.attention import attention, attention_backward
from minigrad.backends.cpu.convolution import (
    conv2d,
    conv2d_backward,
    conv2d_relu_max_pool2d,
    conv2d_relu_max_pool2d_backward,
)
from minigrad.backends.cpu.device import (
    check_device,
    device_count,
    drawn,
    from_host,
    max_memory_allocated,
    memory_allocated,
    reset_peak_memory_stats,
    synchronize,
    to_host,
)
from minigrad.backends.cpu.elementwise import (
    erf,
    erfc,
    floor_divide,
    gelu,
    gelu_backward,
    relu,
    relu_backward,
    remainder,
)
from minigrad.backends.cpu.folding import fold, unfold
from minigrad.backends.cpu.indexing import assign, check_indices, scatter_add
from minigrad.backends.cpu.layer_norm import layer_norm, layer_norm_backward
from minigrad.backends.cpu.layout import keeping_layout
from minigrad.backends.cpu.normalization import (
    batch_norm,
    batch_norm_apply,
    batch_norm_backward,
    follow,
)
from minigrad.backends.cpu.optimizer import (
    adadelta_step,
    adagrad_step,
    adamax_step,
    adamw_step,
    clip,
    nadam_step,
    norm,
    rmsprop_step,
    sgd_step,
    together,
)
from minigrad.backends.cpu.pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_gather,
)
from minigrad.backends.cpu.products import linear, linear_backward, matmul, sum_rows
from minigrad.backends.cpu.softmax import (
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_total,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
    sums_losses,
)
from minigrad.backends.cpu.threads import blas_core, get_num_threads, set_num_threads
