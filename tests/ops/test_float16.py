"""float16 against torch's: sums are taken in float32, and rounded once.

The yardstick is float64 of the same float16 inputs: ours may be no further from it than twice torch's own error, and two
units in float16's last place. Where torch's result is finite, ours is; NaN and inf are where they are in torch and in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
import minigrad.nn.functional
from compare.gradients.derivatives import draw_inputs, flat
from tests.cases import Checked, every_case
from tests.ops.test_numbers import is_tensor

HALF, TOP = np.float16, 6e4
SCALES = (1, 3e4, 300, 1e-3, 2e-6)
"""Inputs at the top of float16's range, where squares leave it, and so small that they underflow."""

BY_NAME: dict[str, list[Checked]] = {}
for _case in every_case():
    BY_NAME.setdefault(_case.name, []).append(_case)


def outcome(framework: Any, case: Checked, scale: float, dtype: Any, device: str = "cpu") -> list[Any]:
    """Outputs and gradients of scaled inputs, all of them numbers that float16 holds."""
    leaves: list[Any] = []
    gradients = case.order > 0 and case.how is None  # a check of another kind looks at values alone
    drawn = draw_inputs(case.inputs, np.random.default_rng(0))
    floats = [np.abs(a[np.isfinite(a)]).max(initial=0) for a in drawn if getattr(a, "dtype", None) == np.float64]
    scale = min(scale, TOP / max([*floats, 1]))

    def tensor(a: np.ndarray, requires_grad: bool = True) -> Any:
        if a.dtype == np.float64:
            a = (a * scale if requires_grad else a).astype(HALF).astype(dtype)
        made = framework.from_numpy(np.array(a))
        made = made.to(device) if framework is minigrad else made
        if a.dtype.kind == "f" and requires_grad and gradients:
            leaves.append(made.requires_grad_())
        return made

    args = [tensor(array) if is_tensor(x) else x for x, array in zip(case.inputs, drawn, strict=True)]
    named = {k: tensor(v, False) if isinstance(v, np.ndarray) else v for k, v in case.kwargs.items()}
    outputs = [y for y in flat(case.called(framework)(*args, **named)) if hasattr(y, "dtype")]
    roots = [y for y in outputs if y.requires_grad]
    found = list(outputs)
    if roots and leaves:
        cotangents = []
        for i, y in enumerate(roots):
            c = np.random.default_rng(100 + i).uniform(-1, 1, tuple(y.shape)).astype(HALF)
            cotangents.append(framework.from_numpy(np.array(c)).to(y.dtype))
        if framework is minigrad:
            cotangents = [c.to(device) for c in cotangents]
        found += framework.autograd.grad(roots, leaves, cotangents, allow_unused=True)
    return [None if x is None else x.detach().numpy(force=True) for x in found]


def hold(label: str, ours: list[Any], torchs: list[Any], exact: list[Any]) -> None:
    assert len(ours) == len(torchs), label
    for a, b, e in zip(ours, torchs, exact, strict=True):
        if a is None or b is None:
            one = b if a is None else a
            assert one is None or not np.nan_to_num(one).any(), label  # no gradient is one of zeros
            continue
        assert a.dtype == b.dtype and a.shape == b.shape, f"{label}: {a.dtype}{a.shape}, torch {b.dtype}{b.shape}"
        if a.dtype != HALF:
            continue
        a, b, e = (np.asarray(x, np.float64) for x in (a, b, e))
        with np.errstate(all="ignore"):
            known = np.isfinite(b) & np.isfinite(e)
            own = np.abs(b - e)[known]
            unit = np.spacing(np.abs(e[known]).astype(HALF)).astype(np.float64)
            allowed = 2 * own.max(initial=0) + 2 * np.where(np.isfinite(unit), unit, 0) + 4 * float(np.spacing(HALF(0)))
            off = np.abs(a - e)[known]
        assert np.isfinite(a[known]).all(), f"{label}: {a} where torch has {b}"
        assert (off <= allowed).all(), f"{label}: {a} where float64 has {e}, torch {b}"


KINKS = {"clamp", "clip", "topk"}
"""Where equal numbers, which rounding makes of different ones, decide whose the gradient is."""
STEEP = {"nn.functional.scaled_dot_product_attention", "nn.functional.layer_norm"}
"""Whose odd cases float32 itself rounds too much for: scores of 1e9 in rows made again from their log sum exp; rows of equal
numbers, whose variance is 0 by luck."""
LUCK = {"nn.functional.gaussian_nll_loss"}
"""inf / inf on the way, whose gradient is 0 in torch by the order of its steps."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in LUCK])
def test_every_op(name: str, device: str) -> None:
    """Values and gradients of every case of the tables, wherever torch takes float16."""
    found = BY_NAME[name] if device == "cpu" else BY_NAME[name][:3]
    for case in found:
        for scale in SCALES if device == "cpu" else (1, 3e4):
            odd = not (case.layouts and case.differences)
            if (name in KINKS and scale != 1) or (name in STEEP and odd):
                continue
            try:
                torchs = outcome(torch, case, scale, HALF)
                exact = outcome(torch, case, scale, np.float64)
            except (RuntimeError, NotImplementedError, ValueError, IndexError, TypeError):  # torch has no float16 there
                continue
            hold(f"{case} x {scale}", outcome(minigrad, case, scale, HALF, device), torchs, exact)


N = 70_000  # ones of which float16 cannot hold the sum, nor half of it count further by ones


def ones(framework: Any, *shape: int, scale: float = 1.0) -> Any:
    return framework.from_numpy(np.full(shape, scale, HALF)).requires_grad_()


def functional(framework: Any) -> Any:
    return framework.nn.functional


LONG: dict[str, Callable[[Any], Any]] = {
    "mean": lambda lib: ones(lib, N).mean(),
    "mean of an axis": lambda lib: ones(lib, 2, N, scale=3.0).mean(1),
    "sum": lambda lib: ones(lib, N, scale=0.1).sum(),
    "sum that leaves the range": lambda lib: ones(lib, N).sum(),
    "broadcast": lambda lib: (ones(lib, 3, scale=0.1) * lib.ones(5000, 3, dtype=lib.float16)).mean(),
    "nanmean": lambda lib: ones(lib, N).nanmean(),
    "norm": lambda lib: ones(lib, N).norm(),
    "norm of large numbers": lambda lib: ones(lib, 4, scale=2e4).norm(),
    "1-norm": lambda lib: ones(lib, N, scale=0.25).norm(1),
    "3-norm": lambda lib: ones(lib, N).norm(3),
    "vector_norm": lambda lib: lib.linalg.vector_norm(ones(lib, 3, 9000, scale=200.0), 2, 1),
    "var": lambda lib: (ones(lib, N) * lib.from_numpy(np.tile(np.array([1, 3], HALF), N // 2))).var(),
    "std": lambda lib: (ones(lib, N) * lib.from_numpy(np.tile(np.array([-3e4, 3e4], HALF), N // 2))).std(),
    "cumsum": lambda lib: ones(lib, 9000, scale=0.5).cumsum(0),
    "cumprod": lambda lib: ones(lib, 3000, scale=1.001).cumprod(0),
    "prod": lambda lib: (ones(lib, 8) * lib.from_numpy(np.array([300, 300, 300, 1 / 300, 1 / 300, 1e-2, 7, 1], HALF))).prod(),
    "logsumexp": lambda lib: ones(lib, N).logsumexp(0),
    "softmax": lambda lib: functional(lib).softmax(ones(lib, 2, 9000), 1),
    "log_softmax": lambda lib: functional(lib).log_softmax(ones(lib, 2, 9000), 1),
    "matmul": lambda lib: ones(lib, 2, N, scale=0.1) @ ones(lib, N, 3),
    "linear": lambda lib: functional(lib).linear(ones(lib, 2, 9000, scale=0.1), ones(lib, 3, 9000), ones(lib, 3)),
    "conv2d": lambda lib: functional(lib).conv2d(ones(lib, 1, 64, 12, 12), ones(lib, 2, 64, 11, 11, scale=0.1), ones(lib, 2)),
    "avg_pool2d": lambda lib: functional(lib).avg_pool2d(ones(lib, 1, 1, 300, 300), 299, 1),
    "adaptive_avg_pool2d": lambda lib: functional(lib).adaptive_avg_pool2d(ones(lib, 1, 2, 300, 300), 1),
    "interpolate": lambda lib: functional(lib).interpolate(ones(lib, 1, 1, 300, 300, scale=6e4), (150, 7), mode="bilinear"),
    "area": lambda lib: functional(lib).interpolate(ones(lib, 1, 1, 300, 300), 1, mode="area"),
    "normalize": lambda lib: functional(lib).normalize(ones(lib, 2, N, scale=100.0)),
    "cosine_similarity": lambda lib: functional(lib).cosine_similarity(ones(lib, 2, 9000, scale=50.0), ones(lib, 2, 9000)),
    "layer_norm": lambda lib: functional(lib).layer_norm(
        ones(lib, 2, N) * lib.from_numpy(np.tile(np.array([1, 500], HALF), N // 2)), (N,)
    ),
    "rms_norm": lambda lib: functional(lib).rms_norm(ones(lib, 2, N, scale=300.0), (N,)),
    "group_norm": lambda lib: functional(lib).group_norm(
        ones(lib, 2, 4, 9000) * lib.from_numpy(np.tile(np.array([1, 500], HALF), 4500)), 2
    ),
    "batch_norm": lambda lib: functional(lib).batch_norm(
        ones(lib, 9000, 2) * lib.from_numpy(np.array([[1, 9], [500, 3]] * 4500, HALF)), None, None, training=True
    ),
    "instance_norm": lambda lib: functional(lib).instance_norm(
        ones(lib, 2, 4, 9000) * lib.from_numpy(np.tile(np.array([1, 500], HALF), 4500))
    ),
    "mse_loss": lambda lib: functional(lib).mse_loss(ones(lib, N, scale=2.0), ones(lib, N)),
    "mse_loss of a large difference": lambda lib: functional(lib).mse_loss(ones(lib, 4, scale=200.0), ones(lib, 4)),
    "l1_loss": lambda lib: functional(lib).l1_loss(ones(lib, N, scale=2.0), ones(lib, N)),
    "smooth_l1_loss": lambda lib: functional(lib).smooth_l1_loss(ones(lib, N, scale=9.0), ones(lib, N)),
    "huber_loss": lambda lib: functional(lib).huber_loss(ones(lib, N, scale=9.0), ones(lib, N)),
    "cross_entropy": lambda lib: functional(lib).cross_entropy(
        ones(lib, 9000, 3), lib.from_numpy(np.zeros(9000, np.int64)), label_smoothing=0.1
    ),
    "nll_loss": lambda lib: functional(lib).nll_loss(ones(lib, N, 2, scale=-3.0), lib.from_numpy(np.zeros(N, np.int64))),
    "binary_cross_entropy": lambda lib: functional(lib).binary_cross_entropy(
        ones(lib, N, scale=0.25), lib.from_numpy(np.full(N, 0.5, HALF))
    ),
    "binary_cross_entropy_with_logits": lambda lib: functional(lib).binary_cross_entropy_with_logits(
        ones(lib, N, scale=0.25), lib.from_numpy(np.full(N, 0.5, HALF))
    ),
    "logits far out": lambda lib: functional(lib).binary_cross_entropy_with_logits(
        lib.from_numpy(np.array([-12.0, 12, 30, -30], HALF)).requires_grad_(), lib.from_numpy(np.array([0.0, 1, 1, 0], HALF))
    ),
    "kl_div": lambda lib: functional(lib).kl_div(
        ones(lib, N, scale=-1.0), lib.from_numpy(np.full(N, 0.5, HALF)), reduction="batchmean"
    ),
    "sigmoid far out": lambda lib: ones(lib, 3, scale=-13.0).sigmoid(),
    "silu far out": lambda lib: functional(lib).silu(ones(lib, 3, scale=-13.0)),
    "times a number beyond the range": lambda lib: ones(lib, 3, scale=1e-3) * 1e5,
    "divided by a number beyond the range": lambda lib: ones(lib, 3, scale=6e4) / 1e6,
    "add with alpha": lambda lib: lib.add(ones(lib, 3, scale=-6e4), ones(lib, 3, scale=6e4), alpha=2),
    "addcmul": lambda lib: lib.addcmul(ones(lib, 3), ones(lib, 3, scale=600.0), ones(lib, 3, scale=600.0), value=1e-3),
    "addmm": lambda lib: lib.addmm(ones(lib, 2, 2), ones(lib, 2, N), ones(lib, N, 2), alpha=1e-2),
    "lerp": lambda lib: lib.lerp(ones(lib, 3, scale=-6e4), ones(lib, 3, scale=6e4), 0.75),
    "attention": lambda lib: functional(lib).scaled_dot_product_attention(
        ones(lib, 1, 2, 3, 64, scale=0.5), ones(lib, 1, 2, 3000, 64, scale=0.5), ones(lib, 1, 2, 3000, 8)
    ),
    "embedding": lambda lib: functional(lib).embedding(lib.from_numpy(np.zeros(5000, np.int64)), ones(lib, 2, 3)) * 0.25,
    "an index taken often": lambda lib: (ones(lib, 2, 3)[lib.from_numpy(np.zeros(N, np.int64))] * 1e-3).sum(),
    "gelu": lambda lib: functional(lib).gelu(lib.from_numpy(np.linspace(-6, 6, 50).astype(HALF)).requires_grad_()),
}  # fmt: skip


def leaves_of(framework: Any, make: Callable[[Any], Any], dtype: Any) -> list[Any]:
    """The result and the gradients of a case's leaves, in float16 or, for the truth, in float64."""
    made: list[Any] = []

    class Library:
        def __getattr__(self, name: str) -> Any:
            return getattr(framework, name)

        @staticmethod
        def from_numpy(array: np.ndarray) -> Any:
            array = array.astype(dtype) if array.dtype == HALF else array
            made.append(framework.from_numpy(array))
            return made[-1]

        float16 = getattr(framework, "float16" if dtype == HALF else "float64")

    y = make(Library())
    y.mean().backward()
    return [x.detach().numpy() for x in (y, *[x.grad for x in made if x.grad is not None])]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LONG)
def test_long_sums(name: str) -> None:
    """More terms than float16 counts, and steps on the way that leave its range."""
    exact = leaves_of(torch, LONG[name], np.float64)
    hold(name, leaves_of(minigrad, LONG[name], HALF), leaves_of(torch, LONG[name], HALF), exact)


def test_the_mean_of_many() -> None:
    assert minigrad.ones(N, dtype=minigrad.float16).mean().item() == 1


@pytest.mark.parametrize("module", ["BatchNorm1d", "InstanceNorm1d"])
def test_running_statistics(module: str, device: str) -> None:
    """In float16, and of a float16 batch in float32 as torch's mixed precision has them."""
    x = np.random.default_rng(0).uniform(-200, 200, (3, 2, 500)).astype(HALF)
    for parameters in (HALF, np.float32):
        if parameters is np.float32 and module == "InstanceNorm1d":
            continue
        options = {"affine": True, "track_running_stats": True, "momentum": 0.3}
        ours = getattr(minigrad.nn, module)(2, **options, dtype=minigrad.float16 if parameters is HALF else None).to(
            device
        )
        theirs = getattr(torch.nn, module)(2, **options, dtype=torch.float16 if parameters is HALF else None)
        for _ in range(3):
            y, z = ours(minigrad.from_numpy(x).to(device)), theirs(torch.from_numpy(x))
        assert str(y.dtype) == "float16"
        np.testing.assert_allclose(y.detach().numpy(force=True), z.detach().numpy(), rtol=2e-3, atol=2e-3)
        for name in ("running_mean", "running_var"):
            a, b = getattr(ours, name), getattr(theirs, name)
            assert a.dtype == parameters
            np.testing.assert_allclose(a.numpy(force=True), b.numpy(), rtol=3e-3)
        ours.eval(), theirs.eval()
        y, z = ours(minigrad.from_numpy(x).to(device)), theirs(torch.from_numpy(x))
        assert str(y.dtype) == "float16"
        np.testing.assert_allclose(y.detach().numpy(force=True), z.detach().numpy(), rtol=3e-3, atol=3e-3)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_clip_grad_norm(p: float, device: str) -> None:
    """The norm of 70,000 hundreds is 26,458, though their squares leave float16's range."""
    results = []
    for lib, where in ((minigrad, device), (torch, "cpu")):
        parameters = [lib.nn.Parameter(lib.zeros(N // 10, dtype=lib.float16)) for _ in range(2)]
        parameters = [lib.nn.Parameter(q.detach().to(where)) for q in parameters] if lib is minigrad else parameters
        for i, q in enumerate(parameters):
            q.grad = lib.full((N // 10,), 2.0 + i, dtype=lib.float16).to(where)
        total = lib.nn.utils.clip_grad_norm_(parameters, 3.0, p)
        results.append([total.item(), *[q.grad.numpy(force=True)[0].item() for q in parameters]])
    np.testing.assert_allclose(*results, rtol=2e-3)


def test_graph_names_the_ops_and_frees_them() -> None:
    """The casts are ops like any other: gradients come back as float16, and can be differentiated again."""
    x = minigrad.from_numpy(np.array([1.0, 2.0, 3.0], HALF)).requires_grad_()
    (g,) = minigrad.autograd.grad((x * x).mean(), [x], create_graph=True)
    assert g.dtype == HALF
    (h,) = minigrad.autograd.grad(g.sum(), [x])
    np.testing.assert_allclose(h.numpy(), np.full(3, 2 / 3), rtol=1e-3)
