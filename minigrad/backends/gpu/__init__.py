"""The kernels on a GPU, by CuPy and the CUDA sources in cuda/: those of minigrad.backends.kernels.

Importing this package imports CuPy, and raises DeviceError where CuPy or a GPU is missing. Kernels run on the current
device and on the current stream; their arrays must be on that device. Results are the same, bit for bit, in every run.
"""

from .attention import attention, attention_backward
from .capture import Capture
from .convolution import (
    conv2d,
    conv2d_backward,
    conv2d_relu_max_pool2d,
    conv2d_relu_max_pool2d_backward,
)
from .device import (
    check_device,
    copy_in,
    device_count,
    from_host,
    max_memory_allocated,
    memory_allocated,
    require,
    reset_peak_memory_stats,
    synchronize,
    to_host,
    xp,
)
from .elementwise import (
    erf,
    erfc,
    floor_divide,
    gelu,
    gelu_backward,
    relu,
    relu_backward,
    remainder,
)
from .feeding import Conveyor, Images, normalize_bytes
from .folding import fold, unfold
from .indexing import assign, check_indices, scatter_add
from .launch import drawn
from .layer_norm import layer_norm, layer_norm_backward
from .layout import keeping_layout
from .normalization import batch_norm, batch_norm_apply, batch_norm_backward, follow
from .optimizer import (
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
from .pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_gather,
)
from .products import linear, linear_backward, matmul, sum_rows
from .softmax import (
    count_hits,
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_total,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
    sums_losses,
)
