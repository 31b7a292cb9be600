"""Every name that was promised is there, as a function, as a method where torch has one, and takes torch's arguments."""

from __future__ import annotations

import inspect

import pytest
import torch

import minigrad
import minigrad.nn.functional

FUNCTIONS = """
add sub mul div pow neg exp exp2 log log2 log10 log1p expm1 sqrt rsqrt reciprocal square abs sign sgn positive sin cos tan
sinh cosh tanh sigmoid erf erfc floor ceil round trunc frac maximum minimum clamp clamp_min clamp_max where logaddexp lerp
addcmul addcdiv sum mean var std prod amax amin max min argmax argmin logsumexp cumsum norm all any count_nonzero matmul mm
bmm mv dot outer einsum addmm addbmm baddbmm tensordot reshape permute transpose t movedim swapaxes flatten unflatten ravel
squeeze unsqueeze broadcast_to flip fliplr flipud rot90 roll repeat_interleave tile meshgrid cat stack hstack vstack split
chunk narrow select unbind index_select gather scatter scatter_add take_along_dim masked_fill masked_select tril triu diag
diagonal trace topk sort argsort eq ne lt le gt ge isnan isinf isfinite zeros ones full empty arange linspace eye zeros_like
ones_like full_like empty_like rand_like randn_like rand randn randint randperm
""".split()

METHODS = "view expand expand_as repeat".split()

NETWORK = """
relu leaky_relu elu gelu silu softplus hardtanh relu6 logsigmoid sigmoid tanh softmax softmin log_softmax conv1d conv2d
conv_transpose2d unfold fold max_pool1d max_pool2d avg_pool1d avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d batch_norm
layer_norm group_norm instance_norm linear embedding dropout pad normalize interpolate one_hot cosine_similarity
scaled_dot_product_attention cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy
binary_cross_entropy_with_logits kl_div multi_head_attention_forward
""".split()

MODULES = """
Conv1d Conv2d ConvTranspose2d BatchNorm1d BatchNorm2d LayerNorm GroupNorm InstanceNorm1d InstanceNorm2d GELU SiLU ELU
LeakyReLU ReLU ReLU6 Hardtanh Softplus LogSigmoid Sigmoid Tanh Softmax Softmin LogSoftmax MaxPool1d MaxPool2d AvgPool1d
AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d Linear Embedding Dropout Unfold Fold Flatten Unflatten Upsample
CosineSimilarity CrossEntropyLoss NLLLoss MSELoss L1Loss SmoothL1Loss HuberLoss BCELoss BCEWithLogitsLoss KLDivLoss
ModuleList ModuleDict Identity Sequential MultiheadAttention TransformerEncoderLayer TransformerEncoder
""".split()

OPTIMIZERS = "SGD Adam AdamW RMSprop Adagrad".split()
SCHEDULES = "LambdaLR StepLR MultiStepLR CosineAnnealingLR OneCycleLR LinearLR SequentialLR".split()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    assert callable(getattr(minigrad, name))
    if hasattr(torch.Tensor, name) and not name.endswith("_like") and name not in ("arange", "eye", "empty"):
        assert callable(getattr(minigrad.Tensor, name)), f"Tensor.{name}"


@pytest.mark.parametrize("name", METHODS)
def test_method(name: str) -> None:
    assert callable(getattr(minigrad.Tensor, name))


def test_vector_norm() -> None:
    assert callable(minigrad.linalg.vector_norm)


def parameters(function) -> list[tuple[str, object]]:
    """Names and defaults, in order."""
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", NETWORK)
def test_network_function_takes_torchs_arguments(name: str) -> None:
    ours, theirs = getattr(minigrad.nn.functional, name), getattr(torch.nn.functional, name)
    try:
        expected = parameters(theirs)
    except ValueError:  # torch's C functions have no signature
        return
    deprecated = {"size_average", "reduce", "_stacklevel", "antialias", "out"}
    expected = [p for p in expected if p[0] not in deprecated]
    found = [p for p in parameters(ours) if p[0] not in deprecated and p[0] != "generator"]
    if any(n in ("args", "kwargs") for n, _ in expected):  # torch dispatches on the arguments: no names to compare with
        return
    assert [n for n, _ in found][: len(expected)] == [n for n, _ in expected]
    for (_, ours_default), (argument, default) in zip(found, expected, strict=False):
        assert ours_default == default or default is inspect.Parameter.empty, f"{name}({argument})"


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    ours, theirs = getattr(minigrad.nn, name), getattr(torch.nn, name)
    assert issubclass(ours, minigrad.nn.Module)
    aside = {"args", "kwargs", "size_average", "reduce", "generator"}
    expected = [n for n, _ in parameters(theirs) if n not in aside][:3]
    assert [n for n, _ in parameters(ours) if n not in aside][:3] == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str) -> None:
    ours, theirs = getattr(minigrad.optim, name), getattr(torch.optim, name)
    assert [n for n, _ in parameters(ours)][:4] == [n for n, _ in parameters(theirs)][:4]


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    ours, theirs = getattr(minigrad.optim.lr_scheduler, name), getattr(torch.optim.lr_scheduler, name)
    assert [n for n, _ in parameters(ours)][:3] == [n for n, _ in parameters(theirs)][:3]
