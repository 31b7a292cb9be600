"""Operators at their edges, against torch: pads that crop and wrap, nothing at all, one number, indices of every type."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad.nn import functional as F
from tests.cases import INDEX, KINKED, NAN, Table, values
from tests.checking import Drawn, Given

T = Table()
case, refusal = T.case, T.refusal
P = "nn.functional."

# -- pads: negative ones crop, then the border is made of what its mode says
MODES = ("constant", "reflect", "replicate", "circular")
for mode in MODES:
    for shape, pads in (
        ((2, 4), ([1, -1], [-2, 3] if mode != "circular" else [-2, 2], [-1, -2], [0, 0])),
        ((2, 3, 5), ([-1, 2], [3, -2], [-2, -2])),
        ((1, 3, 4, 4), ([-1, 1, -2, 1], [1, -1, 2, -2], [0, 0, -1, 2], [-1, -1, -1, -1])),
        ((3, 4, 4), ([-1, 1, -2, 1],)),
        ((1, 2, 3, 4, 4), ([-1, 1, -2, 1, 1, -1], [1, 1, 0, 0, -1, -1], [0, 0, 0, 0, 1, 2])),
        ((2, 3, 4, 4), ([-1, 1, -2, 1, 1, -1],)),
        ((0, 3, 4, 4), ([-1, 1, 2, 1],)),
    ):
        for pad in pads:
            case(P + "pad", shape, pad, mode=mode)
case(P + "pad", (2, 3), [-3, 0])
case(P + "pad", (2, 0), [2, 1], value=1.5)
case(P + "pad", (0,), [0, 0])
case(P + "pad", (2, 3), [])
case(P + "pad", (2, 3), [-1, -2], mode="circular")
for mode in ("reflect", "replicate", "circular"):
    for shape, pad in (
        ((2, 3), [4, 0]), ((1, 2, 3), [0, 5]), ((1, 2, 3), [-1, -3]), ((1, 2, 3), [-5, 1]), ((1, 2, 3, 3), [-2, -2, 0, 0]),
    ):  # fmt: skip
        if mode != "replicate" or sum(pad) < 0:
            refusal(P + "pad", shape, pad, mode=mode)
    for shape, pad in (
        ((3,), [1, 1]), ((2, 3), [1, 1, 1, 1]), ((1, 1, 2, 3), [1, 1]), ((2, 3), []), ((2, 2, 2), [1] * 6), ((2,) * 6, [1] * 6),
    ):  # fmt: skip
        refusal(P + "pad", shape, pad, mode=mode)
for pad in ([-4, 1], [2, -4], [-2, -2]):
    refusal(P + "pad", (2, 3), pad)
for mode in ("reflect", "replicate"):
    refusal(P + "pad", (1, 2, 0), [1, 1], mode=mode)
    refusal(P + "pad", (1, 0, 3), [1, 1], mode=mode)


def test_a_circle_goes_around_once() -> None:
    """Where more is asked for than is left after cropping, torch gives what its memory held; here that is an error."""
    for pad in ((2, -2), (-2, 2), (1, -3), (3, -3)):
        with pytest.raises(RuntimeError, match="more than once"):
            F.pad(minigrad.zeros(1, 1, 3), pad, "circular")


@pytest.mark.parametrize("mode", MODES)
def test_pads_of_every_kind(mode: str) -> None:
    """All pads of an axis of four, where torch says what they are."""
    x = torch.arange(8.0).reshape(2, 4)
    for pad in itertools.product(range(-5, 6), repeat=2):
        kept = 4 + min(pad[0], 0) + min(pad[1], 0)
        if mode == "circular" and max(pad) > kept:
            continue
        try:
            theirs = torch.nn.functional.pad(x, pad, mode).numpy()
        except RuntimeError:
            with pytest.raises(RuntimeError):
                F.pad(minigrad.tensor(x.numpy()), pad, mode)
        else:
            np.testing.assert_array_equal(F.pad(minigrad.tensor(x.numpy()), pad, mode).numpy(), theirs, str(pad))


# -- nothing: no features, no batch, no channels
for x, w, b in (
    ((3, 4, 0), (5, 0), (5,)), ((3, 4, 0), (5, 0), None), ((0, 4), (5, 4), (5,)), ((2, 0, 4), (5, 4), (5,)),
    ((2, 4), (0, 4), (0,)), ((0,), (5, 0), (5,)), ((0,), (0,), None),
):  # fmt: skip
    case(P + "linear", x, w, b)


def running(framework: Any, x: Any, _: Any, __: Any, w: Any, b: Any, training: bool) -> Any:
    """batch_norm with running statistics, which an empty batch leaves alone."""
    mean, var = (framework.tensor([0.5, 1.0, 2.0]).to(x.device).to(x.dtype) for _ in range(2))
    return framework.nn.functional.batch_norm(x, mean, var, w, b, training), mean, var


for training in (True, False):
    for shape in ((0, 3), (0, 3, 4), (0, 3, 4, 4), (2, 3, 0)):
        case(
            P + "batch_norm",
            shape,
            None,
            None,
            (3,),
            (3,),
            call=running,
            training=training,
        )
    case(P + "batch_norm", (0,), None, None, training=True)
refusal(P + "batch_norm", (1, 3), None, None, training=True)
for shape in ((0, 3, 4), (2, 3, 0), (0, 3, 4, 4)):
    case(P + "instance_norm", shape)
refusal(P + "group_norm", (2, 0, 3), 1)
refusal(P + "group_norm", (2, 4, 0), 2)
case(P + "conv1d", (2, 0, 5), (3, 0, 3), (3,), order=1, differences=False)
case(P + "conv2d", (2, 0, 5, 5), (3, 0, 3, 3), (3,), padding=1, order=1, differences=False)
case(P + "glu", (0,))
case(P + "glu", (2, 0))
case(P + "scaled_dot_product_attention", (2, 2, 0), (2, 3, 0), (2, 3, 4))
case(P + "adaptive_avg_pool2d", (2, 0, 6, 6), 1)
for name, args in (("adaptive_max_pool2d", ((1, 2, 6, 6), 0)), ("adaptive_max_pool2d", ((2, 6, 6), [1, 0])),
                   ("adaptive_max_pool1d", ((2, 6), 0)), ("adaptive_avg_pool2d", ((1, 2, 6, 6), 0))):  # fmt: skip
    case(P + name, *args, order=0)
for name in ("avg_pool1d", "max_pool1d"):
    refusal(P + name, (2, 0, 6), 2)
for name in ("avg_pool2d", "max_pool2d", "lp_pool2d"):
    refusal(P + name, (2, 0, 6, 6), *((2.0,) if name == "lp_pool2d" else ()), 2)
refusal(P + "unfold", (1, 0, 6, 6), 2)
refusal(P + "fold", (1, 0, 25), [6, 6], 2)
for reduction in ("none", "mean", "sum"):
    for x, t in (((), ()), ((), (1,)), ((5,), (1,)), ((1, 5), ()), ((0, 5), (0,))):
        if (x, reduction) != ((0, 5), "mean"):  # which torch does not set
            target = Given(np.zeros(t, INDEX))
            case(P + "multi_margin_loss", x, target, **KINKED, reduction=reduction, order=1)
refusal(P + "multi_margin_loss", (5,), Given(np.zeros(5, INDEX)))
refusal(P + "multi_margin_loss", (2, 0), Given(np.zeros(2, INDEX)))


# -- a stride of nothing is the kernel's size
for stride in ((), [], None):
    for name, shape in (
        ("avg_pool1d", (2, 3, 6)),
        ("max_pool1d", (2, 3, 6)),
        ("avg_pool2d", (2, 3, 6, 5)),
        ("max_pool2d", (2, 3, 6, 5)),
    ):
        case(P + name, shape, 2, stride=stride, layouts=False)
    case(P + "lp_pool2d", Drawn((2, 3, 6, 5), 0.5, 2), 2.0, 2, stride=stride, layouts=False)

# -- numbers without axes
for name in ("softmax", "log_softmax", "softmin"):
    for dim in (0, -1):
        case(P + name, (), dim=dim)
    refusal(P + name, (), dim=1)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_the_gradient_of_a_number_s_softmax_can_be_differentiated(name: str, device: str) -> None:
    """It is 0 all over, but part of the graph, as torch's is: a constant gradient could not be differentiated."""
    for lib in (torch, minigrad):
        x = (
            lib.tensor(0.5, requires_grad=True)
            if lib is torch
            else minigrad.tensor(0.5, device=device, requires_grad=True)
        )
        y = getattr(lib.nn.functional, name)(x, 0)
        (g,) = lib.autograd.grad(y, x, create_graph=True)
        (h,) = lib.autograd.grad(g, x)
        assert (float(g), float(h)) == (0, 0)


refusal("flatten", (), 1)
refusal("index_select", (), 0, Given(np.zeros(0, INDEX)))
refusal("take_along_dim", (3,), Given(np.array([3])))
for x, y in (((2, 3), (2,)), ((0,), (3,))):
    for name in ("floor_divide", "isclose", "allclose", "eq", "fmod"):
        refusal(name, x, y)
refusal("isclose", (2,), (2,), rtol=-0.1)
refusal("isclose", (2,), (2,), atol=-0.1)
case("logit", Drawn((2, 3), 0.1, 0.9), eps=0.6, **KINKED)
case("logit", Given([NAN, 0.0, 0.3, 1.0]), eps=0.2, **KINKED)
case("logaddexp", Given([-15.0, 15.0, 0.0, 5.0, 8.0]), Given([15.0, -15.0, 0.0, 4.0, -9.0]), differences=False)

X, LOW, HIGH = (Given(v) for v in np.meshgrid(*[[-1.0, 0.0, 1.0, NAN, float("inf")]] * 3))
case("clamp", X, LOW, HIGH, **KINKED)
case("clamp", Given([[-1.0], [0.0], [2.0]]), Given([0.0, 1.0]), Given(1.0), **KINKED)

# -- indices: of any type and shape for gather and scatter where they are empty, else int32 and int64
EMPTY = [np.zeros(shape, dtype) for dtype in (np.uint8, np.int32, bool, np.float32) for shape in ((0,), (2, 0), (0, 3))]
for index in EMPTY:
    case("gather", (5,), 0, Given(index), layouts=False, single=False)
    case("gather", (3, 3), 1, Given(index), layouts=False, single=False)
    case("scatter", (3, 3), 1, Given(index), 1.5, layouts=False, single=False)
    case("scatter_add", (5,), 0, Given(index), index.shape, layouts=False, single=False, order=1)
for dtype in (np.uint8, np.int8, np.int16, bool):
    index = Given(np.zeros((1, 2), dtype))
    for name, args in (("gather", (index,)), ("scatter", (index, (1, 2))), ("scatter_add", (index, (1, 2)))):
        refusal(name, (3, 2), 0, *args)
    refusal("take_along_dim", (3, 2), index, 0)
    refusal("index_select", (3, 2), 0, Given(np.zeros(1, dtype)))
    refusal("index_add", (3, 2), 0, Given(np.zeros(1, dtype)), (1, 2))


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_masks_of_every_shape(dtype: Any, device: str) -> None:
    """A mask has the shape of the axes that it stands for; a byte is one too, even where it is a single number."""
    for shape, mask in itertools.product(((), (1,), (3,), (2, 3)), ((), (0,), (1,), (3,), (2, 3), (0, 3))):
        x, m = np.arange(6.0)[: int(np.prod(shape))].reshape(shape), np.ones(mask, dtype)
        try:
            theirs = torch.from_numpy(x)[torch.from_numpy(m)].numpy()
        except IndexError:
            with pytest.raises(IndexError):
                minigrad.tensor(x, device=device)[minigrad.tensor(m, device=device)]
        else:
            ours = minigrad.tensor(x, device=device)[minigrad.tensor(m, device=device)]
            np.testing.assert_array_equal(ours.numpy(force=True), theirs)


# -- products of a tensor on the right
for x, y in (((3,), (3,)), ((2, 3), (4, 2)), ((3,), (2, 3))):
    case("Tensor.__rmatmul__", x, y)

# -- matrix norms by singular values
for shape in ((3, 3), (2, 4), (4, 2), (2, 3, 2)):
    for ord in ("nuc", 2, -2):
        case("linalg.matrix_norm", shape, ord)
    case("linalg.matrix_norm", shape, "nuc", dim=(0, -1), keepdim=True)
    case("linalg.norm", shape, 2, dim=(-1, 0), keepdim=True)
case("norm", (3, 4), "nuc")
case("norm", (3, 4), p="nuc", keepdim=True)
case("norm", (2, 3, 4), "nuc", dim=(2, 0))
case("norm", (0, 3), "nuc", order=1)
case("linalg.norm", (3, 4), "nuc")
case("linalg.norm", (1, 1), -2)
for shape in ((0, 4), (4, 0)):
    for ord in (2, 1, float("inf"), "nuc"):
        case("linalg.matrix_norm", shape, ord, layouts=False, how=values)
    refusal("linalg.matrix_norm", shape, -2)
refusal("norm", (2, 3, 4), "nuc")
refusal("norm", (3,), "nuc")
refusal("linalg.matrix_norm", (3, 4), "nuc", dim=(0, 0))
refusal("linalg.matrix_norm", (3, 4), 3)

# -- images at other sizes
for kwargs in (
    {"size": (3, 9)}, {"size": 1}, {"size": (4, 5)}, {"size": (8, 10)}, {"scale_factor": 1.7}, {"scale_factor": (0.4, 2.5)},
    {"scale_factor": 0.6, "recompute_scale_factor": True},
):  # fmt: skip
    for corners in (None, True):
        case(P + "interpolate", (2, 3, 4, 5), mode="bicubic", align_corners=corners, **kwargs)
        for mode in ("bilinear", "bicubic"):
            case(
                P + "interpolate",
                (2, 3, 7, 5),
                mode=mode,
                align_corners=corners,
                antialias=True,
                layouts=False,
                **kwargs,
            )
case(P + "interpolate", (1, 1, 1, 1), size=3, mode="bicubic")
case(P + "interpolate", (0, 2, 4, 5), size=3, mode="bicubic", antialias=True)
for size in (3, (1, 2, 4), (5, 7, 3)):
    case(P + "interpolate", (2, 3, 5, 4, 3), size=size, mode="area")
case(P + "interpolate", (0, 3, 5, 4, 3), size=2, mode="area")
case(P + "interpolate", (2, 1, 5, 4, 3), scale_factor=0.7, mode="area")
for mode, shape in (("bicubic", (2, 3, 4)), ("bicubic", (1, 2, 3, 4, 4)), ("area", (2, 3))):
    refusal(P + "interpolate", shape, size=2, mode=mode)
for mode, shape in (
    ("nearest", (1, 2, 4, 4)),
    ("linear", (1, 2, 4)),
    ("trilinear", (1, 2, 3, 3, 3)),
    ("area", (1, 2, 4, 4)),
):
    refusal(P + "interpolate", shape, size=2, mode=mode, antialias=True)
refusal(P + "interpolate", (1, 2, 4, 4), size=2, mode="area", align_corners=True)

# -- reductions: no axis named, several, none there
for shape in ((), (0,), (1,), (0, 3), (2, 3)):
    for name in ("sum", "mean", "nansum", "nanmean", "prod", "all", "any", "count_nonzero"):
        case(name, shape, layouts=False, how=values)
    for name in (
        "sum",
        "mean",
        "nansum",
        "all",
        "any",
        "count_nonzero",
        "amax" if shape not in ((0,), (0, 3)) else "sum",
    ):
        case(name, shape, dim=(), layouts=False, how=values)
    for name in ("sum", "mean", "nansum", "logsumexp"):
        case(name, shape, dim=-1 if name == "logsumexp" else tuple(range(len(shape))), layouts=False, differences=False)
for name in ("cat", "stack"):
    case(name, (0,), (0,), order=1, as_list=True)


@pytest.mark.parametrize("key", T.cases)
def test_as_torch(key: str, device: str) -> None:
    T.run(key, device)


@pytest.mark.parametrize("key", T.refusals)
def test_refused_as_by_torch(key: str, device: str) -> None:
    T.refuse(key, device)
