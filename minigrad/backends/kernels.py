"""Every kernel that a backend has: what it takes and returns. mypy holds `cpu` and `gpu` to this list.

Arrays go by position, settings by keyword. Arrays are float32 or float64 unless something else is named, of any strides;
no kernel changes its inputs but `assign` and the optimizer steps. Images are (N, C, H, W) to the
reader, and image results are channels-last: (N, H, W, C) in memory. Element-wise results lie in memory as their first
operand does. Pairs are (height, width). A gradient that `needs` does not ask for is None, and so may be the arrays that
it alone would read. NaN in is NaN out, in the elements that depend on it; nothing warns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import numpy as np

from minigrad.window import Pair, Window

Array: TypeAlias = Any
"""An array of the backend's library: numpy.ndarray or cupy.ndarray."""

Gradients: TypeAlias = tuple[Array, Array, Array]
"""(gx, gw, gb), each None where `needs` is False."""


class Kernels(Protocol):
    """A backend: the module `minigrad.backends.cpu` or `minigrad.backends.gpu`."""

    @property
    def xp(self) -> Any:
        """The array library itself, numpy or cupy."""

    # -- convolution: x (N, C, H, W), w (O, C/groups, KH, KW), b (O,) or None, y (N, O, OH, OW) --------------------------

    def conv2d(self, x: Array, w: Array, b: Array | None, *, window: Window, relu: bool = False) -> Array:
        """y = b + the sum over offsets and channels of w x, outside of the image 0; relu: max(y, 0) in the same pass."""

    def conv2d_backward(
        self, gy: Array, x: Array | None, w: Array | None, y: Array | None, *, x_shape: Sequence[int], window: Window,
        needs: Sequence[bool],
    ) -> Gradients:  # fmt: skip
        """(gx, gw, gb). y: the output of a fused ReLU, where gy passes unless y <= 0 (so at NaN too); None without one."""

    def conv2d_relu_max_pool2d(
        self, x: Array, w: Array, b: Array | None, *, window: Window, pool: Window
    ) -> tuple[Array, Array]:
        """(p, tap): max_pool2d(relu(conv2d)), its full map never stored; taps.cut_bit is set in tap where p <= 0."""

    def conv2d_relu_max_pool2d_backward(
        self, gp: Array, x: Array | None, w: Array | None, tap: Array, *, x_shape: Sequence[int], window: Window,
        pool: Window, needs: Sequence[bool],
    ) -> Gradients:  # fmt: skip
        """(gx, gw, gb); gp goes to each window's winner, unless its tap has cut_bit set."""

    def unfold(self, x: Array, *, window: Window) -> Array:
        """(N, C KH KW, OH OW) of x (N, C, H, W): the patches in torch's order, contiguous. window.groups is not read."""

    def fold(self, cols: Array, *, output_size: Pair, window: Window) -> Array:
        """(N, C, H, W), the transpose of unfold: each column's entries added where unfold takes them from."""

    # -- pooling ---------------------------------------------------------------------------------------------------------

    def max_pool2d(self, x: Array, *, window: Window) -> tuple[Array, Array]:
        """(y, tap): the largest of each window, and its offset kh KW + kw there, uint8, or int32 from 129 offsets on.

        The first among equals wins; NaN wins over all, the last NaN, as in torch; the padding never.
        """

    def max_pool2d_backward(self, gy: Array, tap: Array, *, x_shape: Sequence[int], window: Window) -> Array:
        """gx: gy added at each window's winner."""

    def max_pool2d_gather(self, x: Array, tap: Array, *, window: Window) -> Array:
        """x at each window's winner: the transpose of max_pool2d_backward."""

    def adaptive_avg_pool2d(self, x: Array, *, output_size: Pair) -> Array:
        """Means over the bins floor(i H/OH) to ceil((i + 1) H/OH), and the columns likewise."""

    def adaptive_avg_pool2d_backward(self, gy: Array, *, x_shape: Sequence[int]) -> Array:
        """gx, which may be a broadcast view: not to be written to."""

    # -- element-wise ----------------------------------------------------------------------------------------------------

    def relu(self, x: Array) -> Array:
        """max(x, 0), NaN at NaN; of any dtype."""

    def relu_backward(self, gy: Array, y: Array) -> Array:
        """gy, but 0 where y <= 0: at NaN it passes, as in torch."""

    def floor_divide(self, x: Array, y: Array) -> Array:
        """x // y of arrays that broadcast, one of which may be a number, by the exact quotient: 1.0 // 0.1 = 9."""

    def remainder(self, x: Array, y: Array) -> Array:
        """x % y of arrays that broadcast, one of which may be a number, by the exact quotient."""

    def keeping_layout(self, function: Callable[..., Array], *arrays: Array) -> Array:
        """function(*arrays), element by element, numbers among the arrays; the result lies as they do, if they lie alike."""

    def erf(self, x: Array) -> Array:
        """The error function."""

    def erfc(self, x: Array) -> Array:
        """1 - erf(x), exact in its tail."""

    def gelu(self, x: Array, *, approximate: bool, keep: bool) -> tuple[Array, Array | None]:
        """(y, kept): y = x Phi(x), Phi by erf or (approximate) by tanh; kept: for gelu_backward, None unless `keep`."""

    def gelu_backward(self, gy: Array, x: Array, kept: Array | None, *, approximate: bool) -> Array:
        """gx; right without kept too, only slower."""

    # -- products and sums -----------------------------------------------------------------------------------------------

    def matmul(self, x: Array, y: Array, b: Array | None = None) -> Array:
        """x @ y as numpy.matmul, of any dtype, plus b (N,)."""

    def linear(self, x: Array, w: Array, b: Array | None) -> Array:
        """x w^T + b for x (M, K), w (N, K), b (N,) or None."""

    def linear_backward(self, gy: Array, x: Array | None, w: Array | None, *, needs: Sequence[bool]) -> Gradients:
        """(gx, gw, gb) = (gy w, gy^T x, the sum of gy's rows)."""

    def sum_rows(self, x: Array) -> Array:
        """The sum over M of x (M, N), as (N,), added in float64."""

    # -- softmax ---------------------------------------------------------------------------------------------------------

    def softmax(self, x: Array, *, dim: int) -> Array:
        """exp(x) / sum exp(x) along an axis, without overflow; a row of -inf is NaN."""

    def softmax_backward(self, gy: Array, y: Array, *, dim: int) -> Array:
        """gx = y (gy - sum gy y)."""

    def log_softmax(self, x: Array, *, dim: int) -> Array:
        """x - log sum exp(x) along an axis, without overflow; a row of -inf is NaN."""

    def log_softmax_backward(self, gy: Array, y: Array, *, dim: int) -> Array:
        """gx = gy - exp(y) sum gy."""

    def cross_entropy(
        self, logits: Array, target: Array, weight: Array | None, *, ignore_index: int, label_smoothing: float
    ) -> tuple[Array, Array]:
        """(losses (M,), logp (M, C)) for logits (M, C), target (M,) integers, weight (C,): torch's, reduction="none".

        The op has a target that is neither a class nor ignore_index refused (check_indices); on a GPU its loss is NaN.
        """

    @property
    def sums_losses(self) -> bool:
        """Whether a loss and its mean come out of one kernel, cross_entropy_total: on a GPU, where each launch costs."""

    def cross_entropy_total(
        self, logits: Array, target: Array, weight: Array | None, *, ignore_index: int, label_smoothing: float, mean: bool,
        error: type[Exception], message: str,
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        """(the losses' sum over `divisor`, logp, divisor): 0-d, and the sum of the targets' weights if `mean`, else 1.

        `error`, as check_indices raises it, for a target that is neither a class nor ignore_index.
        """

    def cross_entropy_backward(
        self, g: Array, logp: Array, target: Array, weight: Array | None, divisor: Array | None = None, *,
        ignore_index: int, label_smoothing: float,
    ) -> Array:  # fmt: skip
        """g_logits (M, C) for g (M,), or for g 0-d over divisor."""

    # -- normalisation: w, b None for 1 and 0; variances are biased, invstd = 1 / sqrt(var + eps) ------------------------

    def batch_norm(
        self, x: Array, w: Array | None, b: Array | None, running_mean: Array | None = None,
        running_var: Array | None = None, *, eps: float, momentum: float = 0.0, unbias: float = 1.0,
    ) -> tuple[Array, Array, Array, Array]:  # fmt: skip
        """(y, mean, invstd, var): over all axes of x (N, C, ...) but 1, statistics (C,), NaN of an empty batch."""

    def batch_norm_apply(self, x: Array, w: Array | None, b: Array | None, mean: Array, invstd: Array) -> Array:
        """y = (x - mean) invstd w + b with given statistics (evaluation)."""

    def batch_norm_backward(
        self, gy: Array, x: Array | None, w: Array | None, mean: Array, invstd: Array, *, training: bool,
        needs: Sequence[bool],
    ) -> Gradients:  # fmt: skip
        """(gx, gw, gb). training: the statistics are x's own, so that gx goes through them too."""

    def follow(
        self, running_mean: Array | None, running_var: Array | None, mean: Array, var: Array, *, momentum: float,
        unbias: float,
    ) -> None:  # fmt: skip
        """running = (1 - momentum) running + momentum batch, in place, the batch's variance times `unbias` first."""

    def layer_norm(self, x: Array, w: Array | None, b: Array | None, *, eps: float) -> tuple[Array, Array, Array]:
        """(y, mean, invstd): each row of x (M, D) by its own statistics (M,); w, b (D,)."""

    def layer_norm_backward(
        self, gy: Array, x: Array, w: Array | None, mean: Array, invstd: Array, *, needs: Sequence[bool]
    ) -> Gradients:
        """(gx, gw, gb)."""

    # -- attention -------------------------------------------------------------------------------------------------------

    def attention(
        self, q: Array, k: Array, v: Array, mask: Array | None, dropped: Array | None, *, causal: bool, scale: float,
        keep_probabilities: bool,
    ) -> tuple[Array, Array | None, Array]:  # fmt: skip
        """(y, p, lse): p = softmax(q k^T scale + mask), None unless kept; y = (p dropped) v; lse = log sum exp, (B, H, L).

        q (B, H, L, E), k (B, H, S, E), v (B, H, S, F), y (B, H, L, F), by token in memory. mask (bool: where to look, or
        added) and dropped (factors, or bools for 0 and 1) broadcast to (B, H, L, S). A query that may look nowhere has
        y = 0 and lse = inf.
        """

    def attention_backward(
        self, gy: Array, q: Array, k: Array, v: Array, mask: Array | None, dropped: Array | None, y: Array | None,
        p: Array | None, lse: Array | None, *, causal: bool, scale: float, needs: Sequence[bool],
    ) -> tuple[Array | None, Array | None, Array | None, Array | None]:  # fmt: skip
        """(gq, gk, gv, gscores), from p, or from y and lse; gscores (B, H, L, S) is the gradient of a float mask."""

    # -- indexing --------------------------------------------------------------------------------------------------------

    def scatter_add(self, index: Any, values: Array, *, shape: tuple[int, ...]) -> Array:
        """zeros(shape) of values' dtype with out[index] += values, repeats added too; index as NumPy takes it.

        An index out of range: IndexError on the CPU; it wraps around on a GPU, where check_indices refuses it.
        """

    def assign(self, out: Array, index: Any, values: Any) -> None:
        """out[index] = values, in place; of several values for one place the last stays."""

    def check_indices(
        self, index: Array, *, low: int = 0, high: int, ignore: int | None = None, error: type[Exception], message: str
    ) -> None:
        """Raises `error` of an index that is neither in low ... high - 1 nor `ignore`, which stands for {} in the message.

        At once on the CPU. On a GPU, for which nobody waits here, a flag is raised on the device, and looked at where an
        array is next brought to the host: by to_host, so by item(), numpy() and float(), and by synchronize. Until then the
        index wraps around.
        """

    # -- gradient clipping, of arrays of one type, float32 or float64 -----------------------------------------------------

    def norm(self, arrays: Sequence[Array]) -> Array:
        """The 2-norm of all arrays as one vector, 0-d."""

    def clip(self, arrays: Sequence[Array], total: Array, *, largest: float) -> None:
        """The arrays times min(1, largest / (total + 1e-6)), in place; total is 0-d."""

    # -- optimizer steps: in place on every array but g; maximize: -g; the formulas are torch's --------------------------

    def together(self) -> AbstractContextManager[None]:
        """Within it steps may be put off until its end, to be made in one go. The arrays must not change until then."""

    def sgd_step(
        self, p: Array, g: Array, buf: Array | None, *, lr: float, momentum: float, dampening: float,
        weight_decay: float, nesterov: bool, maximize: bool, first: bool,
    ) -> None:  # fmt: skip
        """buf: None without momentum; on the `first` step buf = g."""

    def adamw_step(
        self, p: Array, g: Array, m: Array, v: Array, vmax: Array | None, *, step: int, lr: float, beta1: float,
        beta2: float, eps: float, weight_decay: float, maximize: bool, decoupled: bool = True,
    ) -> None:  # fmt: skip
        """AdamW, or Adam if not decoupled; vmax: None without amsgrad; step is counted from 1."""

    def nadam_step(
        self, p: Array, g: Array, m: Array, v: Array, *, size_g: float, size_m: float, shrink: float, correction: float,
        beta1: float, beta2: float, eps: float, weight_decay: float, maximize: bool,
    ) -> None:  # fmt: skip
        """p = shrink p - (size_g g + size_m m) / (sqrt(v / correction) + eps)."""

    def adamax_step(
        self, p: Array, g: Array, m: Array, u: Array, *, step: int, lr: float, beta1: float, beta2: float, eps: float,
        weight_decay: float, maximize: bool,
    ) -> None:  # fmt: skip
        """step is counted from 1."""

    def rmsprop_step(
        self, p: Array, g: Array, v: Array, mean: Array | None, buf: Array | None, *, lr: float, alpha: float,
        eps: float, weight_decay: float, momentum: float, maximize: bool,
    ) -> None:  # fmt: skip
        """mean: None if not centered; buf: None without momentum."""

    def adagrad_step(
        self, p: Array, g: Array, total: Array, *, lr: float, eps: float, weight_decay: float, maximize: bool
    ) -> None:
        """total: the sum of squares of all gradients."""

    def adadelta_step(
        self, p: Array, g: Array, v: Array, delta: Array, *, lr: float, rho: float, eps: float, weight_decay: float,
        maximize: bool,
    ) -> None:  # fmt: skip
        """v, delta: running means of the squares of gradients and of steps."""

    # -- the device ------------------------------------------------------------------------------------------------------

    def device_count(self) -> int:
        """How many devices of this type there are."""

    def check_device(self, index: int) -> None:
        """DeviceError, one line, unless that device computes: a GPU may be busy, full, or without a compiler for its kernels."""

    def to_host(self, array: Array) -> np.ndarray:
        """The array as NumPy's, lying in memory as it does: itself on the CPU, a copy that is waited for of a GPU's.

        Raises what check_indices has found on a GPU.
        """

    def from_host(self, array: np.ndarray, *, index: int = 0) -> Array:
        """The array on device number `index`, lying in memory as it does: itself on the CPU."""

    def drawn(self, make: Callable[[], np.ndarray], *, index: int = 0) -> Array:
        """What make() draws on the host, on device number `index`; drawn anew each time a CUDA graph is launched in which it
        was captured."""

    def memory_allocated(self) -> int:
        """Bytes: the process's resident memory on the CPU, the pool's in use on a GPU."""

    def max_memory_allocated(self) -> int:
        """The most of those since the last reset_peak_memory_stats."""

    def reset_peak_memory_stats(self) -> None:
        """Lets max_memory_allocated start anew."""

    def synchronize(self) -> None:
        """Waits until all kernels are done. Raises what check_indices has found on a GPU."""
