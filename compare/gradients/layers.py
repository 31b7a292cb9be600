"""A case or two of every module of minigrad.nn, losses apart: with weights that are nothing special, in training and after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import minigrad
import minigrad.nn
from compare.gradients import pytorch
from compare.gradients.derivatives import (
    DIRECTIONS,
    SEEDS,
    Drawn,
    Given,
    Outcome,
    cast,
    draw_inputs,
    positive,
    run_minigrad,
    run_torch,
)
from minigrad.random import Generator


@dataclass(frozen=True)
class Layer:
    """A module and its inputs; `make(framework)` builds it in float32."""

    name: str
    said: str
    make: Callable[[Any], Any]
    inputs: Sequence[Any]
    order: int = 2
    note: str | None = None
    single: bool = True

    def __str__(self) -> str:
        return self.said

    def outcome(self, track: str, dtype: Any, seed: int) -> Outcome:
        """Outputs in training and in evaluation, and the buffers afterwards; gradients by inputs and parameters."""
        framework = torch if track == "torch" else minigrad
        random = np.random.default_rng(seed)
        module = self.make(framework)
        state = {key: _weights(key, value, random) for key, value in module.state_dict().items()}
        module.load_state_dict(
            {key: torch.from_numpy(value) for key, value in state.items()} if track == "torch" else state
        )
        module = module.double() if dtype == np.float64 else module
        arrays = cast(cast(draw_inputs(self.inputs, random), np.float64, np.float32), np.float32, dtype)

        def call(*xs: Any) -> Any:
            return module.train()(*xs), module.eval()(*xs), [b.detach() * 1 for b in module.buffers()]

        cotangents, directions = ([1000 * seed + s for s in seeds] for seeds in (SEEDS, DIRECTIONS))
        leaves = list(module.parameters())
        if track == "torch":
            with sdpa_kernel(SDPBackend.MATH):  # torch's fast attention has no second gradient
                return run_torch(call, arrays, {}, cotangents, directions, self.order, leaves)
        return run_minigrad(call, arrays, {}, cotangents, directions, "cpu", self.order, leaves=leaves)


def _weights(key: str, value: Any, random: np.random.Generator) -> np.ndarray:
    """Random numbers for a parameter or a buffer; no variance is negative; indices stay."""
    before = np.asarray(value.numpy())
    if before.dtype.kind != "f":
        return before.copy()
    low = 0.5 if key.endswith("running_var") or key == "pos_weight" or key == "weight" and before.ndim == 1 else -1.0
    return random.uniform(low, 1.5 if low > 0 else 1.0, before.shape).astype(np.float32)


LAYERS: dict[str, list[Layer]] = {}
"""Of every module that is no loss."""
LOSSES: dict[str, list[Layer]] = {}


def layer(
    name: str, *args: Any, on: Sequence[Any], theirs: Callable[[], Any] | None = None, order: int = 2, note: str | None = None,
    **kwargs: Any,
) -> None:  # fmt: skip
    """A module of nn by its arguments, and the inputs that it is called with. theirs: makes torch's, where names differ."""

    def make(framework: Any) -> Any:
        if framework is torch and theirs is not None:
            return theirs()
        given = {
            k: framework.from_numpy(v.astype(np.float32)) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()
        }
        return getattr(framework.nn, name)(*args, **given)

    said = ", ".join([*map(str, args), *(f"{k}={v}" for k, v in kwargs.items() if not isinstance(v, np.ndarray))])
    table = LOSSES if name.endswith("Loss") else LAYERS
    table.setdefault(name, []).append(Layer(name, f"{name}({said})", make, on, order, note))


class Called(torch.nn.Module):
    """A function in torch as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Masked(torch.nn.Module):
    """A dropout in torch whose masks come from a generator of minigrad."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, 0.3, generator=Generator(pytorch.SEED)) if self.training else x


def encoder(kwargs: dict[str, Any], framework: Any) -> Any:
    """Two layers of the transformer's encoder."""
    nn = framework.nn
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, 0.0, **kwargs), 2, nn.LayerNorm(6))


def decoder(framework: Any) -> Any:
    """Two layers of the transformer's decoder."""
    nn = framework.nn
    return nn.TransformerDecoder(nn.TransformerDecoderLayer(6, 2, 8, 0.0), 2, nn.LayerNorm(6))


def chain(pool: bool, framework: Any) -> Any:
    """Layers that minigrad runs as one op."""
    nn = framework.nn
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), *[nn.MaxPool2d(2)] * pool)


def dropping(name: str, args: tuple[Any, ...], function: Callable[..., torch.Tensor], framework: Any) -> Any:
    """A layer of minigrad with a generator, or the PyTorch version with another of the same seed."""
    return (
        Masked(function) if framework is torch else getattr(minigrad.nn, name)(*args, generator=Generator(pytorch.SEED))
    )


def _torchvisions(*args: Any) -> Any:
    from torchvision.models.swin_transformer import ShiftedWindowAttention

    return ShiftedWindowAttention(*args)


INDEX = np.int64
X, WIDE = (4, 5), Drawn((4, 5), -4.0, 4.0)
SEQUENCE, IMAGE = (2, 3, 9), (2, 3, 7, 6)

# -- with weights
layer("Linear", 5, 3, on=[X])
layer("Linear", 5, 3, bias=False, on=[(2, 4, 5)])
layer("Bilinear", 5, 4, 3, on=[(6, 5), (6, 4)])
layer("Embedding", 6, 4, padding_idx=2, on=[Given([[0, 2, 2], [5, 0, 2]], INDEX)])
layer("Conv1d", 3, 4, 3, padding=1, stride=2, on=[SEQUENCE])
layer("Conv2d", 3, 4, 3, padding=1, on=[IMAGE])
layer("Conv2d", 4, 6, (3, 2), stride=(2, 1), padding=(1, 2), groups=2, bias=False, on=[(2, 4, 7, 6)])
layer("Conv2d", 3, 4, 3, padding=1, padding_mode="reflect", on=[IMAGE])
layer("ConvTranspose1d", 3, 4, 3, stride=2, on=[SEQUENCE])
layer("ConvTranspose2d", 3, 4, 3, stride=2, padding=1, output_padding=1, on=[(2, 3, 4, 5)])
layer("BatchNorm1d", 3, on=[(6, 3)])
layer("BatchNorm1d", 3, momentum=None, on=[(4, 3, 5)])
layer("BatchNorm2d", 3, on=[(4, 3, 5, 2)])
layer("BatchNorm2d", 3, track_running_stats=False, on=[(4, 3, 5, 2)])
layer("InstanceNorm1d", 3, affine=True, on=[SEQUENCE])
layer("InstanceNorm2d", 3, affine=True, track_running_stats=True, on=[IMAGE])
layer("LayerNorm", 5, on=[(3, 4, 5)])
layer("LayerNorm", (4, 5), bias=False, on=[(3, 4, 5)])
layer("RMSNorm", 5, on=[(3, 4, 5)])
layer("GroupNorm", 2, 6, on=[(4, 6, 3, 2)])
layer("LocalResponseNorm", 3, alpha=0.1, k=2.0, on=[(2, 6, 4, 3)])
layer("PReLU", 4, on=[(3, 4, 2)])
layer("MultiheadAttention", 6, 2, on=[(5, 2, 6)] * 3)
layer("MultiheadAttention", 6, 2, kdim=3, vdim=5, batch_first=True, on=[(2, 5, 6), (2, 4, 3), (2, 4, 5)])
layer("TransformerEncoderLayer", 6, 2, 8, 0.0, on=[(5, 8, 6)])
layer("TransformerEncoderLayer", 6, 2, 8, 0.0, "gelu", norm_first=True, batch_first=True, on=[(5, 8, 6)])
LAYERS["TransformerEncoder"] = [
    Layer("TransformerEncoder", f"TransformerEncoder of two layers {kwargs}", partial(encoder, kwargs), [(5, 8, 6)])
    for kwargs in ({}, {"norm_first": True, "batch_first": True})
]
layer("TransformerDecoderLayer", 6, 2, 8, 0.0, on=[(5, 8, 6), (4, 8, 6)])
LAYERS["TransformerDecoder"] = [
    Layer("TransformerDecoder", "TransformerDecoder of two layers", decoder, [(5, 8, 6), (4, 8, 6)])
]
layer("Transformer", 6, 2, 1, 1, 8, 0.0, on=[(5, 8, 6), (4, 8, 6)])
layer("SyncBatchNorm", 3, on=[(4, 3, 5, 2)])
for shift in ([0, 0], [1, 1]):
    layer("WindowAttention", 4, [2, 3], shift, 2, on=[(4, 4, 6, 4)], theirs=partial(_torchvisions, 4, [2, 3], shift, 2),
          note="against torchvision's ShiftedWindowAttention")  # fmt: skip
LAYERS["Sequential"] = [
    Layer("Sequential", f"Sequential of Conv2d, ReLU{', MaxPool2d' * pool}", partial(chain, pool), [IMAGE])
    for pool in (False, True)
]

# -- activations
for name in ("ReLU", "ReLU6", "GELU", "SiLU", "Mish", "ELU", "SELU", "CELU", "LeakyReLU", "Hardtanh", "Hardswish", "Softplus",
             "Softsign", "LogSigmoid", "Tanhshrink", "Hardshrink", "Softshrink", "Tanh", "Sigmoid"):  # fmt: skip
    layer(name, on=[WIDE])
layer(
    "Hardsigmoid",
    on=[WIDE],
    theirs=lambda: Called(pytorch.hardsigmoid),
    note="against torch's primitives (see the function)",
)
layer("Threshold", 0.1, 20.0, on=[WIDE])
layer("GELU", "tanh", on=[WIDE])
layer("GLU", 0, on=[X])
for name in ("Softmax", "LogSoftmax", "Softmin"):
    layer(name, 1, on=[(3, 4, 2)])
layer("Softmax2d", on=[IMAGE])

# -- pools, and images at other sizes
layer("MaxPool1d", 3, stride=2, padding=1, on=[SEQUENCE])
layer("MaxPool2d", 3, stride=2, padding=1, on=[IMAGE])
layer("MaxUnpool2d", 2, on=[(1, 2, 2, 2), Given([[[[0, 3], [9, 14]], [[5, 2], [8, 10]]]], INDEX)])
layer("AvgPool1d", 2, on=[SEQUENCE])
layer("AvgPool2d", (3, 2), stride=(2, 1), padding=1, count_include_pad=False, on=[IMAGE])
layer("LPPool2d", 2, 2, on=[positive(*IMAGE)])
layer("AdaptiveAvgPool1d", 4, on=[SEQUENCE])
layer("AdaptiveAvgPool2d", (3, None), on=[IMAGE])
layer("AdaptiveMaxPool1d", 4, on=[SEQUENCE])
layer("AdaptiveMaxPool2d", (3, None), on=[IMAGE])
layer("Upsample", scale_factor=(1.5, 2), mode="bilinear", align_corners=True, on=[IMAGE])
layer("UpsamplingNearest2d", scale_factor=3, on=[IMAGE])
layer("UpsamplingBilinear2d", (9, 8), on=[IMAGE])
layer("PixelShuffle", 2, on=[(2, 8, 3, 4)])
layer("PixelUnshuffle", 2, on=[(2, 2, 6, 4)])
layer("ChannelShuffle", 2, on=[(2, 6, 3, 4)])
layer("Flatten", on=[IMAGE])
layer("Unflatten", 1, (2, 3), on=[(4, 6, 2)])
layer("Unfold", (2, 3), padding=1, stride=(1, 2), on=[IMAGE])
layer("Fold", (4, 5), (2, 3), padding=1, on=[(2, 12, 25)])
layer("ConstantPad1d", (1, 2), 3.5, on=[SEQUENCE])
layer("ConstantPad2d", (1, 2, 0, 3), 3.5, on=[IMAGE])
for name in ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
    layer(f"{name}1d", (1, 2), on=[SEQUENCE])
    layer(f"{name}2d", (1, 2, 0, 3), on=[IMAGE])
layer("CosineSimilarity", -1, on=[X, X])
layer("PairwiseDistance", on=[X, X])
layer("Identity", on=[X])


# -- dropout
for name, args, shape, function in (
    ("Dropout", (0.3,), (3, 4, 5), pytorch.dropout),
    ("Dropout1d", (0.3,), (3, 4, 5), pytorch.dropout_of_channels),
    ("Dropout2d", (0.3,), (3, 4, 2, 5), pytorch.dropout_of_channels),
    ("AlphaDropout", (0.3,), (3, 4, 5), pytorch.alpha_dropout),
    ("StochasticDepth", (0.3, "row"), (6, 4, 5), pytorch.stochastic_depth),
    ("DropPath", (0.3,), (6, 4, 5), pytorch.stochastic_depth),
):
    made = partial(dropping, name, args, function)
    LAYERS[name] = [
        Layer(name, f"{name}{args}", made, [shape], note="the masks of both come from one generator of minigrad")
    ]

# -- losses
LOGITS = (6, 4)
CLASSES = Given([1, 2, 0, 2, 3, 1], INDEX)
SIGNS = Given([1, -1, -1, 1, 1, -1], INDEX)
FACTORS = np.array([0.75, 1.25, 1.0, 1.5])
CHANCE = Drawn(LOGITS, 0.25, 0.75)
layer("CrossEntropyLoss", on=[LOGITS, CLASSES])
layer("CrossEntropyLoss", weight=FACTORS, ignore_index=2, label_smoothing=0.1, on=[LOGITS, CLASSES])
layer("CrossEntropyLoss", reduction="sum", on=[LOGITS, CHANCE])
layer("NLLLoss", weight=FACTORS, on=[LOGITS, CLASSES])
for reduction in ("mean", "none"):
    layer("MSELoss", reduction=reduction, on=[LOGITS, LOGITS])
    layer("L1Loss", reduction=reduction, on=[LOGITS, LOGITS])
layer("SmoothL1Loss", beta=0.3, on=[LOGITS, LOGITS])
layer("HuberLoss", delta=0.3, on=[LOGITS, LOGITS])
layer("BCELoss", on=[CHANCE, CHANCE], note="torch adds 1e-12 to denominators (see the function)")
layer("BCEWithLogitsLoss", on=[LOGITS, CHANCE])
layer("BCEWithLogitsLoss", pos_weight=FACTORS, reduction="none", on=[LOGITS, CHANCE])
layer("KLDivLoss", reduction="batchmean", on=[LOGITS, CHANCE])
layer("KLDivLoss", reduction="sum", log_target=True, on=[LOGITS, LOGITS])
layer("PoissonNLLLoss", on=[LOGITS, CHANCE])
layer("PoissonNLLLoss", log_input=False, full=True, on=[positive(*LOGITS), positive(*LOGITS)])
layer("GaussianNLLLoss", full=True, on=[LOGITS, LOGITS, CHANCE])
layer("SoftMarginLoss", on=[(6,), SIGNS])
layer("HingeEmbeddingLoss", margin=0.5, on=[(6,), SIGNS])
layer("CosineEmbeddingLoss", margin=-0.5, on=[LOGITS, LOGITS, SIGNS])
layer("MarginRankingLoss", margin=0.7, on=[(6,), (6,), SIGNS])
layer("MultiMarginLoss", on=[LOGITS, CLASSES], order=1, note="torch has no second gradient")
layer("TripletMarginLoss", on=[LOGITS] * 3)
layer("TripletMarginLoss", margin=3.0, swap=True, reduction="none", on=[LOGITS] * 3)
