"""Every layer against torch's of the same arguments: keys, print-out, values, gradients; training and evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn

torch.set_num_threads(1)

# (layer, its arguments, its keyword arguments, the shape of each input)
LAYERS: list[Any] = [
    ("Linear", (5, 3), {}, (4, 5)),
    ("Linear", (5, 3), {"bias": False}, (2, 4, 5)),
    ("Conv2d", (3, 4, 3), {}, (2, 3, 6, 7)),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}, (2, 4, 7, 8)),
    ("Conv2d", (2, 3, 3), {"bias": False, "padding": 1}, (2, 5, 5)),
    ("Conv2d", (2, 3, (4, 3)), {"padding": "same", "dilation": (1, 2)}, (2, 2, 6, 5)),
    ("Conv2d", (2, 3, 3), {"padding": "valid"}, (2, 2, 6, 5)),
    ("BatchNorm1d", (3,), {}, (6, 3)),
    ("BatchNorm1d", (3,), {"momentum": None}, (4, 3, 5)),
    ("BatchNorm2d", (3,), {}, (4, 3, 5, 2)),
    ("BatchNorm2d", (3,), {"eps": 1e-3, "momentum": 0.3, "affine": False}, (4, 3, 2, 2)),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, (4, 3, 2, 2)),
    ("BatchNorm2d", (3,), {"bias": False}, (4, 3, 2, 2)),
    ("ReLU", (), {}, (3, 4)),
    ("ReLU", (), {"inplace": False}, (0, 4)),
    ("Tanh", (), {}, (3, 4)),
    ("Sigmoid", (), {}, (3, 4)),
    ("Softmax", (1,), {}, (3, 4, 2)),
    ("LogSoftmax", (-1,), {}, (3, 4)),
    ("MaxPool2d", (2,), {}, (2, 3, 6, 5)),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1}, (2, 3, 7, 8)),
    ("MaxPool2d", ((3, 2),), {"stride": (2, 1), "dilation": (1, 2), "ceil_mode": True}, (2, 3, 8, 7)),
    ("AdaptiveAvgPool2d", (1,), {}, (2, 3, 5, 6)),
    ("AdaptiveAvgPool2d", ((3, None),), {}, (2, 3, 5, 6)),
    ("Flatten", (), {}, (2, 3, 4, 5)),
    ("Flatten", (), {"start_dim": 0, "end_dim": 2}, (2, 3, 4, 5)),
    ("Unflatten", (1, (2, 3)), {}, (4, 6, 2)),
    ("Unflatten", (-1, (2, -1)), {}, (4, 6)),
    ("Unfold", ((2, 3),), {"dilation": 2, "padding": 1, "stride": (1, 2)}, (2, 3, 6, 7)),
    ("Fold", ((4, 5), (2, 3)), {"padding": 1}, (2, 6 * 2, 5 * 5)),
    ("ZeroPad2d", (1,), {}, (2, 3, 4, 5)),
    ("ZeroPad2d", ((1, 2, 0, 3),), {}, (2, 3, 4, 5)),
    ("Dropout", (0.0,), {}, (3, 4)),
    ("Identity", (7,), {"unused": True}, (3, 4)),
    ("Conv1d", (3, 4, 3), {}, (2, 3, 9)),
    ("Conv1d", (4, 6, (2,)), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False}, (2, 4, 9)),
    ("Conv1d", (2, 3, 4), {"padding": "same", "dilation": 2}, (2, 9)),
    ("Conv1d", (2, 3, 3), {"padding": (2,), "padding_mode": "reflect"}, (2, 2, 9)),
    ("Conv2d", (2, 3, (3, 2)), {"padding": (2, 1), "padding_mode": "replicate"}, (2, 2, 5, 6)),
    ("ConvTranspose1d", (3, 4, 3), {}, (2, 3, 6)),
    (
        "ConvTranspose1d",
        (4, 6, 3),
        {"stride": 3, "padding": 1, "output_padding": 2, "groups": 2, "dilation": 2},
        (4, 5),
    ),
    ("ConvTranspose2d", (3, 4, (2, 3)), {}, (2, 3, 4, 5)),
    (
        "ConvTranspose2d",
        (4, 6, 3),
        {"stride": (2, 3), "padding": (1, 0), "output_padding": 1, "groups": 2, "bias": False, "dilation": (1, 2)},
        (2, 4, 4, 3),
    ),
    ("InstanceNorm1d", (3,), {}, (4, 3, 5)),
    ("InstanceNorm1d", (3,), {"affine": True, "bias": False}, (3, 5)),
    ("InstanceNorm2d", (3,), {"eps": 1e-3, "affine": True}, (4, 3, 5, 2)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True, "momentum": 0.3}, (4, 3, 5, 2)),
    ("InstanceNorm2d", (3,), {"track_running_stats": True, "momentum": None}, (3, 5, 2)),
    ("LayerNorm", (5,), {}, (4, 3, 5)),
    ("LayerNorm", ([3, 5],), {"eps": 1e-2, "bias": False}, (4, 3, 5)),
    ("LayerNorm", ((3, 5),), {"elementwise_affine": False}, (3, 5)),
    ("RMSNorm", (5,), {}, (4, 3, 5)),
    ("RMSNorm", ((3, 5),), {"eps": 1e-2, "elementwise_affine": False}, (4, 3, 5)),
    ("GroupNorm", (2, 6), {}, (4, 6, 3, 2)),
    ("GroupNorm", (3, 6), {"eps": 1e-2, "bias": False}, (4, 6)),
    ("GroupNorm", (1, 6), {"affine": False}, (4, 6, 5)),
    ("LocalResponseNorm", (3,), {"alpha": 0.1, "k": 2.0}, (2, 6, 4, 3)),
    ("Bilinear", (5, 4, 3), {}, (2, 6, 5), (2, 6, 4)),
    ("Bilinear", (5, 4, 3), {"bias": False}, (6, 5), (6, 4)),
    ("GELU", (), {}, (3, 4)),
    ("GELU", ("tanh",), {}, (3, 4)),
    ("SiLU", (), {}, (3, 4)),
    ("Mish", (), {}, (3, 4)),
    ("ELU", (0.7,), {}, (3, 4)),
    ("SELU", (), {}, (3, 4)),
    ("CELU", (), {"alpha": 0.5}, (3, 4)),
    ("LeakyReLU", (), {}, (3, 4)),
    ("LeakyReLU", (0.3,), {}, (3, 4)),
    ("PReLU", (), {}, (3, 4)),
    ("PReLU", (4,), {"init": 0.1}, (3, 4, 2)),
    ("ReLU6", (), {}, (3, 4)),
    ("Hardtanh", (-0.5, 0.7), {}, (3, 4)),
    ("Hardsigmoid", (), {}, (3, 4)),
    ("Hardswish", (), {}, (3, 4)),
    ("Softplus", (), {}, (3, 4)),
    ("Softplus", (2.0,), {"threshold": 1.0}, (3, 4)),
    ("Softsign", (), {}, (3, 4)),
    ("Softmin", (0,), {}, (3, 4)),
    ("Softmax2d", (), {}, (2, 3, 4, 5)),
    ("Softmax2d", (), {}, (3, 4, 5)),
    ("LogSigmoid", (), {}, (3, 4)),
    ("Tanhshrink", (), {}, (3, 4)),
    ("Hardshrink", (), {}, (3, 4)),
    ("Softshrink", (0.3,), {}, (3, 4)),
    ("Threshold", (0.1, 20.0), {}, (3, 4)),
    ("GLU", (), {}, (3, 4)),
    ("GLU", (0,), {}, (4, 3)),
    ("MaxPool1d", (2,), {}, (2, 3, 7)),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}, (3, 9)),
    ("AvgPool1d", (2,), {}, (2, 3, 7)),
    ("AvgPool1d", ((3,),), {"stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}, (3, 8)),
    ("AvgPool2d", (2,), {}, (2, 3, 6, 5)),
    ("AvgPool2d", ((3, 2),), {"stride": (2, 1), "padding": 1, "count_include_pad": False}, (2, 3, 6, 5)),
    ("AvgPool2d", (3,), {"ceil_mode": True, "divisor_override": 4}, (3, 7, 5)),
    ("LPPool2d", (2, 3), {"stride": 2}, (2, 3, 7, 5)),
    ("LPPool2d", (3.0, (2, 1)), {"ceil_mode": True}, (3, 7, 5)),
    ("AdaptiveAvgPool1d", (3,), {}, (2, 3, 7)),
    ("AdaptiveMaxPool1d", (3,), {}, (2, 3, 7)),
    ("AdaptiveMaxPool2d", ((3, None),), {}, (2, 3, 7, 5)),
    ("ConstantPad1d", ((1, 2), 3.5), {}, (2, 3, 4)),
    ("ConstantPad2d", (2, 3.5), {}, (2, 3, 4, 5)),
    ("ConstantPad2d", ((1, -1, 0, 2), -1.0), {}, (3, 4, 5)),
    ("ZeroPad1d", (2,), {}, (2, 3, 4)),
    ("ReflectionPad1d", ((1, 2),), {}, (2, 3, 4)),
    ("ReflectionPad2d", (2,), {}, (2, 3, 4, 5)),
    ("ReplicationPad1d", (2,), {}, (3, 4)),
    ("ReplicationPad2d", ((1, 2, 0, 3),), {}, (2, 3, 4, 5)),
    ("CircularPad1d", (2,), {}, (2, 3, 4)),
    ("CircularPad2d", ((1, 2, 0, 3),), {}, (2, 3, 4, 5)),
    ("ReflectionPad1d", ((-1, 2),), {}, (2, 3, 4)),
    ("ReflectionPad2d", ((-1, 1, 2, -2),), {}, (3, 4, 5)),
    ("ReplicationPad1d", ((3, -2),), {}, (2, 3, 4)),
    ("ReplicationPad2d", ((-1, 1, -2, 1),), {}, (2, 3, 4, 5)),
    ("CircularPad1d", ((-1, 2),), {}, (3, 4)),
    ("CircularPad2d", ((-1, 1, -2, 1),), {}, (2, 3, 4, 5)),
    ("ZeroPad1d", ((-1, 2),), {}, (2, 3, 4)),
    ("ZeroPad2d", ((-1, 1, -2, 1),), {}, (2, 3, 4, 5)),
    ("ConstantPad1d", ((-1, -2), 3.5), {}, (2, 3, 4)),
    ("Conv2d", (2, 3, 3), {"padding": (2, 1), "padding_mode": "circular"}, (2, 2, 5, 6)),
    ("AvgPool1d", (2,), {"stride": ()}, (2, 3, 6)),
    ("AvgPool2d", (2,), {"stride": ()}, (2, 3, 6, 5)),
    ("MaxPool1d", (2,), {"stride": ()}, (2, 3, 6)),
    ("MaxPool2d", (2,), {"stride": ()}, (2, 3, 6, 5)),
    ("Softmax", (0,), {}, ()),
    ("Upsample", ((7, 6),), {"mode": "bicubic"}, (2, 3, 4, 5)),
    ("Upsample", (), {"scale_factor": 1.5, "mode": "bicubic", "align_corners": True}, (2, 3, 4, 5)),
    ("Upsample", (), {"scale_factor": 0.5, "mode": "area"}, (2, 3, 4, 5, 6)),
    ("Upsample", (), {"scale_factor": 2}, (2, 3, 4, 5)),
    ("Upsample", ((7, 6),), {"mode": "bilinear"}, (2, 3, 4, 5)),
    ("Upsample", (), {"scale_factor": (1.5, 2), "mode": "bilinear", "align_corners": True}, (2, 3, 4, 5)),
    ("UpsamplingNearest2d", (), {"scale_factor": 3}, (2, 3, 4, 5)),
    ("UpsamplingBilinear2d", ((7, 9),), {}, (2, 3, 4, 5)),
    ("PixelShuffle", (2,), {}, (2, 8, 3, 4)),
    ("PixelUnshuffle", (2,), {}, (2, 2, 6, 4)),
    ("ChannelShuffle", (2,), {}, (2, 6, 3, 4)),
    ("CosineSimilarity", (), {}, (3, 4), (3, 4)),
    ("CosineSimilarity", (-1, 0.5), {}, (2, 3, 4), (3, 4)),
    ("PairwiseDistance", (), {}, (3, 4), (3, 4)),
    ("PairwiseDistance", (1.0,), {"eps": 1e-3, "keepdim": True}, (3, 4), (3, 4)),
    ("Dropout1d", (0.0,), {}, (2, 3, 4)),
    ("Dropout2d", (0.0,), {}, (2, 3, 4, 5)),
    ("AlphaDropout", (0.0,), {}, (3, 4)),
]


def host(tensor: mg.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


def arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {key: value.detach().numpy().copy() for key, value in module.state_dict().items()}


SINGLE = {"Hardsigmoid"}  # torch computes these gradients with a sixth in float32, whatever the type


def assert_close(actual: mg.Tensor, expected: torch.Tensor, what: str = "", tolerance: float = 1e-10) -> None:
    assert tuple(actual.shape) == tuple(expected.shape), what
    assert str(actual.dtype) == str(expected.dtype).removeprefix("torch."), what
    np.testing.assert_allclose(host(actual), expected.detach().numpy(), rtol=tolerance, atol=tolerance, err_msg=what)


def case_id(case: tuple) -> str:
    name, args, kwargs, *_ = case
    return f"{name}{args}{kwargs}".replace(" ", "")


@pytest.mark.parametrize("case", LAYERS, ids=case_id)
def test_layer_is_torchs(case: tuple, device: str) -> None:
    name, args, kwargs, *shapes = case
    rng = np.random.default_rng(1)
    theirs = getattr(torch.nn, name)(*args, **kwargs).double()
    ours = getattr(nn, name)(*args, **kwargs).double().to(device)
    assert repr(ours) == repr(theirs)
    with torch.no_grad():  # weights that are nothing special
        for p in theirs.parameters():
            p.copy_(torch.from_numpy(rng.standard_normal(p.shape)))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"

    for training in (True, True, False):  # twice: running statistics move on
        theirs.train(training)
        ours.train(training)
        xs = [rng.standard_normal(shape) for shape in shapes]
        their_xs = [torch.from_numpy(x.copy()).requires_grad_() for x in xs]
        our_xs = [mg.tensor(x, device=device, requires_grad=True) for x in xs]
        their_y, our_y = theirs(*their_xs), ours(*our_xs)
        assert our_y.device == device
        assert_close(our_y, their_y, "output")
        cotangent = rng.standard_normal(tuple(their_y.shape))
        theirs.zero_grad()
        ours.zero_grad()
        their_y.backward(torch.from_numpy(cotangent))
        our_y.backward(mg.tensor(cotangent, device=device))
        for our_x, their_x in zip(our_xs, their_xs, strict=True):
            assert_close(our_x.grad, their_x.grad, "gradient of the input", 1e-7 if name in SINGLE else 1e-10)
        for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert_close(p.grad, q.grad, f"gradient of {key}")
        for key, value in theirs.state_dict().items():
            assert_close(ours.state_dict()[key], value, key)


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_other_paddings(mode: str, device: str) -> None:
    theirs = torch.nn.Conv2d(2, 3, (3, 2), padding=(2, 1), padding_mode=mode).double()
    ours = nn.Conv2d(2, 3, (3, 2), padding=(2, 1), padding_mode=mode).double().to(device)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 6))
    assert_close(ours(mg.tensor(x, device=device)), theirs(torch.from_numpy(x)))


@pytest.mark.parametrize(
    "name",
    ["ReLU", "ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "SiLU", "Mish", "Hardtanh", "Hardswish", "Hardsigmoid"],
)
def test_activations_in_place(name: str, device: str) -> None:
    """The input itself holds the result, and gradients pass as ever."""
    x, cotangent = np.random.default_rng(0).standard_normal((2, 3, 4))
    ours, theirs = getattr(nn, name)(inplace=True), getattr(torch.nn, name)(inplace=True)
    assert repr(ours) == repr(theirs)
    leaf = mg.tensor(x, device=device, requires_grad=True)
    their_leaf = torch.from_numpy(x.copy()).requires_grad_()
    moved, their_moved = leaf * 2, their_leaf * 2
    y, their_y = ours(moved), theirs(their_moved)
    assert y is moved
    assert_close(moved, their_moved)
    y.backward(mg.tensor(cotangent, device=device))
    their_y.backward(torch.from_numpy(cotangent))
    assert_close(leaf.grad, their_leaf.grad, name, 1e-7 if name in SINGLE else 1e-10)


def test_threshold_prints_and_works_in_place() -> None:
    assert repr(nn.Threshold(0.1, 2, inplace=True)) == repr(torch.nn.Threshold(0.1, 2, inplace=True))
    x = mg.tensor([0.0, 1.0])
    nn.Threshold(0.1, 2.0, inplace=True)(x)
    assert x.tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "shape"),
    [
        ("MaxPool1d", (2,), {"stride": 1, "padding": 1}, (2, 3, 7)),
        ("MaxPool2d", (3,), {"stride": 2, "dilation": (1, 2)}, (2, 3, 7, 8)),
        ("AdaptiveMaxPool1d", (3,), {}, (2, 3, 7)),
        ("AdaptiveMaxPool2d", ((2, 3),), {}, (3, 7, 5)),
    ],
    ids=str,
)
def test_places_of_the_largest(name: str, args: tuple, kwargs: dict, shape: tuple, device: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    y, indices = getattr(nn, name)(*args, **kwargs, return_indices=True)(mg.tensor(x, device=device))
    their_y, their_indices = getattr(torch.nn, name)(*args, **kwargs, return_indices=True)(torch.from_numpy(x))
    assert_close(y, their_y)
    assert_close(indices, their_indices)


@pytest.mark.parametrize(("args", "size"), [((2,), None), ((2,), (7, 8)), ((3, 2, 1), (2, 3, 7, 8))], ids=str)
def test_unpooling(args: tuple, size: Any, device: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 8))
    pool = {"kernel_size": args[0], "stride": args[1] if args[1:] else None, "padding": args[2] if args[2:] else 0}
    y, places = nn.MaxPool2d(**pool, return_indices=True)(mg.tensor(x, device=device))
    their_y, their_places = torch.nn.MaxPool2d(**pool, return_indices=True)(torch.from_numpy(x))
    ours, theirs = nn.MaxUnpool2d(*args), torch.nn.MaxUnpool2d(*args)
    assert repr(ours) == repr(theirs)
    assert_close(ours(y, places, output_size=size), theirs(their_y, their_places, output_size=size))


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [
        ("ConvTranspose1d", (2, 3, 4), [(11,), [12], (2, 5, 13), (14,), (10,), (11, 12)]),
        ("ConvTranspose1d", (3, 4), [(11,), (5, 13), (1, 5, 13)]),
        ("ConvTranspose2d", (2, 3, 4, 3), [(11, 8), [12, 9], (2, 5, 13, 10), (14, 8), (5, 13, 10)]),
        ("ConvTranspose2d", (3, 4, 3), [(11, 8), (5, 12, 8), (8,)]),
    ],
    ids=str,
)
def test_output_sizes_of_transposed_convolutions(name: str, shape: tuple, sizes: list, device: str) -> None:
    """A size that the convolution maps to the input's is reached; any other is refused, as in torch."""
    theirs = getattr(torch.nn, name)(3, 5, 4, stride=3, padding=1).double()
    ours = getattr(nn, name)(3, 5, 4, stride=3, padding=1).double().to(device)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal(shape)
    reached = 0
    for size in sizes:
        try:
            expected = theirs(torch.from_numpy(x), output_size=size)
        except ValueError as error:
            with pytest.raises(ValueError, match=str(error)[:26].split("(")[0]):
                ours(mg.tensor(x, device=device), output_size=size)
        else:
            assert_close(ours(mg.tensor(x, device=device), output_size=size), expected)
            reached += 1
    assert 0 < reached < len(sizes)


@pytest.mark.parametrize("kwargs", [{}, {"padding_idx": 2}, {"padding_idx": -1, "scale_grad_by_freq": True}], ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 5), (0,)])
def test_embedding(kwargs: dict, shape: tuple, device: str) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = nn.Embedding(6, 4, **kwargs).double().to(device), torch.nn.Embedding(6, 4, **kwargs).double()
    assert repr(ours) == repr(theirs)
    assert ours.padding_idx == theirs.padding_idx
    if ours.padding_idx is not None:
        assert not host(ours.weight)[ours.padding_idx].any() and host(ours.weight)[0].all()
    ours.load_state_dict(theirs.state_dict())
    words = np.asarray(rng.integers(0, 6, shape))
    y, their_y = ours(mg.tensor(words, device=device)), theirs(torch.from_numpy(words))
    assert_close(y, their_y)
    cotangent = rng.standard_normal(their_y.shape)
    y.backward(mg.tensor(cotangent, device=device))
    their_y.backward(torch.from_numpy(cotangent))
    assert_close(ours.weight.grad, theirs.weight.grad)


def test_embedding_of_a_given_table(device: str) -> None:
    table = mg.tensor(np.arange(6.0).reshape(3, 2), device=device)
    ours = nn.Embedding.from_pretrained(table, padding_idx=0)
    assert repr(ours) == repr(torch.nn.Embedding.from_pretrained(torch.zeros(3, 2), padding_idx=0))
    assert ours.weight.array is table.array and not ours.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    assert ours(mg.tensor([2, 0], device=device)).tolist() == [[4.0, 5.0], [0.0, 1.0]]
    for build in (
        lambda lib, t: lib.Embedding.from_pretrained(t.zeros(3)),
        lambda lib, t: lib.Embedding(3, 2, _weight=t.zeros((2, 2))),
        lambda lib, t: lib.Embedding(3, 2, padding_idx=3),
        lambda lib, t: lib.Embedding(3, 2, padding_idx=-4),
    ):
        for lib, tensors in ((torch.nn, torch), (nn, mg)):
            with pytest.raises(AssertionError):
                build(lib, tensors)
    for kwargs in ({"max_norm": 1.0}, {"sparse": True}):
        with pytest.raises(NotImplementedError, match="not built"):
            nn.Embedding(3, 2, **kwargs)


FACTORS = np.array([0.7, 1.3, 0.9, 1.6])  # one a class
CLASSES = np.array([1, 2, 0, 2, 3, 1])
SIGNS = np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0])
NUMBERS = (6, 4)
PROBABILITIES = np.random.default_rng(3).dirichlet(np.ones(4), 6)

# (loss, its keyword arguments, its inputs: shapes are drawn at random, arrays are as they stand)
LOSSES: list[Any] = [
    ("CrossEntropyLoss", {}, NUMBERS, CLASSES),
    ("CrossEntropyLoss", {"reduction": "sum", "label_smoothing": 0.1}, NUMBERS, CLASSES),
    ("CrossEntropyLoss", {"ignore_index": 2, "weight": FACTORS}, NUMBERS, CLASSES),
    ("CrossEntropyLoss", {"reduction": "none", "weight": FACTORS}, NUMBERS, CLASSES),
    ("CrossEntropyLoss", {}, NUMBERS, PROBABILITIES),
    ("NLLLoss", {"weight": FACTORS}, NUMBERS, CLASSES),
    ("NLLLoss", {"reduction": "none", "ignore_index": 1}, NUMBERS, CLASSES),
    ("MSELoss", {}, NUMBERS, NUMBERS),
    ("MSELoss", {"reduction": "sum"}, NUMBERS, NUMBERS),
    ("MSELoss", {"reduction": "none"}, NUMBERS, NUMBERS),
    ("L1Loss", {}, NUMBERS, NUMBERS),
    ("L1Loss", {"reduction": "none"}, NUMBERS, NUMBERS),
    ("SmoothL1Loss", {}, NUMBERS, NUMBERS),
    ("SmoothL1Loss", {"reduction": "sum", "beta": 0.3}, NUMBERS, NUMBERS),
    ("HuberLoss", {}, NUMBERS, NUMBERS),
    ("HuberLoss", {"reduction": "none", "delta": 0.3}, NUMBERS, NUMBERS),
    ("BCELoss", {}, PROBABILITIES, PROBABILITIES[::-1].copy()),
    ("BCELoss", {"reduction": "sum", "weight": FACTORS}, PROBABILITIES, PROBABILITIES[::-1].copy()),
    ("BCEWithLogitsLoss", {}, NUMBERS, PROBABILITIES),
    ("BCEWithLogitsLoss", {"weight": FACTORS, "pos_weight": FACTORS[::-1].copy()}, NUMBERS, PROBABILITIES),
    ("BCEWithLogitsLoss", {"reduction": "none", "pos_weight": FACTORS}, NUMBERS, PROBABILITIES),
    ("KLDivLoss", {"reduction": "batchmean"}, NUMBERS, PROBABILITIES),
    ("KLDivLoss", {"reduction": "sum", "log_target": True}, NUMBERS, NUMBERS),
    ("PoissonNLLLoss", {}, NUMBERS, PROBABILITIES),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 1e-3}, PROBABILITIES, 5 * PROBABILITIES),
    ("GaussianNLLLoss", {}, NUMBERS, NUMBERS, PROBABILITIES),
    ("GaussianNLLLoss", {"full": True, "eps": 0.2, "reduction": "sum"}, NUMBERS, NUMBERS, PROBABILITIES),
    ("SoftMarginLoss", {}, (6,), SIGNS),
    ("HingeEmbeddingLoss", {}, (6,), SIGNS),
    ("HingeEmbeddingLoss", {"margin": 0.5, "reduction": "none"}, (6,), SIGNS),
    ("CosineEmbeddingLoss", {}, NUMBERS, NUMBERS, SIGNS),
    ("CosineEmbeddingLoss", {"margin": -0.5, "reduction": "none"}, NUMBERS, NUMBERS, SIGNS),
    ("MarginRankingLoss", {}, (6,), (6,), SIGNS),
    ("MarginRankingLoss", {"margin": 0.7, "reduction": "sum"}, (6,), (6,), SIGNS),
    ("MultiMarginLoss", {}, NUMBERS, CLASSES),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": FACTORS, "reduction": "none"}, NUMBERS, CLASSES),
    ("TripletMarginLoss", {}, NUMBERS, NUMBERS, NUMBERS),
    ("TripletMarginLoss", {"margin": 3.0, "p": 1.0, "swap": True, "reduction": "none"}, NUMBERS, NUMBERS, NUMBERS),
]


@pytest.mark.parametrize("case", LOSSES, ids=case_id)
def test_loss_is_torchs(case: Any, device: str) -> None:
    """Every drawn input is differentiated, and every given one of floating-point numbers but the last (the target)."""
    name, kwargs, *inputs = case
    rng = np.random.default_rng(2)
    given = {key: value for key, value in kwargs.items() if isinstance(value, np.ndarray)}
    ours = getattr(nn, name)(**{**kwargs, **{key: mg.tensor(value) for key, value in given.items()}})
    ours = ours.to(device)  # the weight is a buffer, and moves with the loss
    theirs = getattr(torch.nn, name)(**{**kwargs, **{key: torch.from_numpy(value) for key, value in given.items()}})
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    our_inputs, their_inputs = [], []
    for i, value in enumerate(inputs):
        array = value if isinstance(value, np.ndarray) else rng.standard_normal(value)
        learned = not isinstance(value, np.ndarray) or (array.dtype.kind == "f" and i < len(inputs) - 1)
        our_inputs.append(mg.tensor(array, device=device, requires_grad=learned))
        their_inputs.append(torch.from_numpy(array.copy()).requires_grad_(learned))
    y, their_y = ours(*our_inputs), theirs(*their_inputs)
    assert_close(y, their_y)
    cotangent = rng.standard_normal(tuple(their_y.shape))
    y.backward(mg.tensor(cotangent, device=device))
    their_y.backward(torch.from_numpy(cotangent))
    for our_x, their_x in zip(our_inputs, their_inputs, strict=True):
        if their_x.requires_grad:
            assert_close(our_x.grad, their_x.grad)


@pytest.mark.parametrize(
    "kwargs",
    [{"size_average": False}, {"reduce": False}, {"size_average": True}, {"size_average": False, "reduce": True}],
    ids=str,
)
def test_losses_old_arguments(kwargs: dict) -> None:
    with pytest.warns(UserWarning, match="please use reduction"):
        ours = nn.MSELoss(**kwargs)
    with pytest.warns(UserWarning):
        theirs = torch.nn.MSELoss(**kwargs)
    assert ours.reduction == theirs.reduction


def test_dropout_drops_in_training_only(device: str) -> None:
    layer = nn.Dropout(0.25)
    x = mg.ones((100, 100), device=device)
    y = host(layer(x))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.03
    np.testing.assert_array_equal(host(layer.eval()(x)), 1)
    assert repr(layer) == repr(torch.nn.Dropout(0.25))


@pytest.mark.parametrize(("name", "shape"), [("Dropout1d", (40, 50, 3)), ("Dropout2d", (40, 50, 2, 2))])
def test_dropout_of_whole_channels(name: str, shape: tuple, device: str) -> None:
    layer = getattr(nn, name)(0.25)
    x = mg.ones(shape, device=device)
    y = host(layer(x)).reshape(40, 50, -1)
    assert (y == y[:, :, :1]).all() and set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.05
    np.testing.assert_array_equal(host(layer.eval()(x)), 1)


def test_alpha_dropout_keeps_mean_and_variance(device: str) -> None:
    layer = nn.AlphaDropout(0.3)
    x = mg.tensor(np.random.default_rng(0).standard_normal((300, 300)), device=device)
    y = host(layer(x))
    assert abs(y.mean()) < 0.02 and abs(y.var() - 1) < 0.02
    values, counts = np.unique(y, return_counts=True)
    assert abs(counts.max() / y.size - 0.3) < 0.01  # what was dropped is one value
    assert layer.eval()(x) is x or (host(layer(x)) == host(x)).all()


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Conv1d", (8, 6, 5)),
        ("Conv1d", (8, 6, 5, 1, 0, 1, 2)),
        ("ConvTranspose1d", (8, 6, 5)),
        ("ConvTranspose2d", (8, 6, (5, 3))),
        ("ConvTranspose2d", (8, 6, (5, 3), 1, 0, 0, 2)),
        ("Bilinear", (20, 15, 10)),
        ("Embedding", (80, 30)),
        ("PReLU", (4, 0.1)),
        ("LayerNorm", (4,)),
        ("RMSNorm", (4,)),
        ("GroupNorm", (2, 4)),
        ("InstanceNorm1d", (4, 1e-5, 0.1, True)),
    ],
    ids=str,
)
def test_parameters_start_as_torchs(name: str, args: tuple) -> None:
    """The same shapes, and draws from the same distribution: by their range, mean and spread over many draws."""
    mg.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        many = [np.concatenate([host(p).ravel()]), q.detach().numpy().ravel()]
        for _ in range(200):
            for i, layer in enumerate((ours, theirs)):
                layer.reset_parameters()
                value = host(p) if i == 0 else q.detach().numpy()
                many[i] = np.concatenate([many[i], value.ravel()])
        assert tuple(p.shape) == tuple(q.shape) and str(p.dtype) == "float32", key
        a, b = many
        spread = max(float(b.std()), 1e-12)
        np.testing.assert_allclose(a.mean(), b.mean(), atol=0.25 * spread, err_msg=key)
        np.testing.assert_allclose(a.std(), b.std(), rtol=0.15, atol=1e-12, err_msg=key)
        if name != "Embedding":
            np.testing.assert_allclose([a.min(), a.max()], [b.min(), b.max()], rtol=0.1, err_msg=key)


ELSEWHERE = {"DropPath", "StochasticDepth", "WindowAttention"}  # torchvision's and timm's


def test_every_module_is_in_a_table() -> None:
    """What torch has too is compared with it here: in LAYERS, in LOSSES, or in a test of this folder that names it."""
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    tabled = {case[0] for case in [*LAYERS, *LOSSES]}
    for name in nn.__all__:
        kind = getattr(nn, name)
        if (
            isinstance(kind, type)
            and issubclass(kind, nn.Module)
            and kind is not nn.Module
            and name not in nn.not_built.CLASSES
        ):
            assert hasattr(torch.nn, name) or name in ELSEWHERE, f"torch has no {name}"
            assert name in tabled or f".{name}(" in source, f"nothing tests {name}"


def test_batch_norm_keeps_no_graph_in_its_statistics(device: str) -> None:
    layer = nn.BatchNorm2d(3).to(device)
    x = mg.tensor(np.random.default_rng(0).standard_normal((4, 3, 2, 2)), dtype=mg.float32, device=device)
    for _ in range(2):
        layer(x.requires_grad_())
    for buffer in layer.buffers():
        assert buffer.is_leaf and not buffer.requires_grad
    assert layer.num_batches_tracked.dtype == np.int64 and int(layer.num_batches_tracked) == 2
    layer.reset_running_stats()
    np.testing.assert_array_equal(host(layer.running_var), 1)
    assert int(layer.num_batches_tracked) == 0


def test_batch_norm_whose_statistics_are_frozen_later() -> None:
    """track_running_stats set to False after the layer was made: training uses the batch and leaves the rest alone."""
    ours, theirs = nn.BatchNorm1d(3).double(), torch.nn.BatchNorm1d(3).double()
    x = np.random.default_rng(0).standard_normal((5, 3)) + 2
    for track, training in ((True, True), (False, True), (False, False)):
        for layer in (ours, theirs):
            layer.track_running_stats = track
            layer.train(training)
        assert_close(ours(mg.tensor(x)), theirs(torch.from_numpy(x)))
        for key, value in theirs.state_dict().items():
            assert_close(ours.state_dict()[key], value, key)


def test_batch_norm_takes_checkpoints_without_a_batch_count() -> None:
    """torch counts batches since version 2 of the layer's layout; older or unversioned checkpoints lack the count."""
    ours, theirs = nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)
    state = arrays(theirs)
    del state["num_batches_tracked"]
    ours.load_state_dict(state)  # a plain dict: no versions
    versioned = theirs.state_dict()
    del versioned["num_batches_tracked"]  # says version 2, so the count is really missing
    for module in (ours, theirs):
        with pytest.raises(RuntimeError, match='Missing key\\(s\\) in state_dict: "num_batches_tracked"'):
            module.load_state_dict(versioned)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factory_arguments(dtype: type, device: str) -> None:
    for layer in (
        nn.Linear(2, 3, dtype=dtype, device=device),
        nn.Conv2d(2, 3, 1, dtype=dtype, device=device),
        nn.BatchNorm2d(2, dtype=dtype, device=device),
        nn.InstanceNorm2d(2, affine=True, track_running_stats=True, dtype=dtype, device=device),
        nn.Conv1d(2, 3, 1, dtype=dtype, device=device),
        nn.ConvTranspose1d(2, 3, 1, dtype=dtype, device=device),
        nn.ConvTranspose2d(2, 3, 1, dtype=dtype, device=device),
        nn.LayerNorm(3, dtype=dtype, device=device),
        nn.RMSNorm(3, dtype=dtype, device=device),
        nn.GroupNorm(1, 3, dtype=dtype, device=device),
        nn.Embedding(3, 2, 0, dtype=dtype, device=device),
        nn.Bilinear(3, 2, 2, dtype=dtype, device=device),
        nn.PReLU(dtype=dtype, device=device),
    ):
        for name, value in layer.state_dict().items():
            assert value.device == device
            assert value.dtype == (np.int64 if name == "num_batches_tracked" else dtype)


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("Conv2d", (3, 4, 3), {"groups": 2}),
        ("Conv2d", (4, 3, 3), {"groups": 2}),
        ("Conv2d", (4, 4, 3), {"groups": 0}),
        ("Conv2d", (4, 4, 3), {"padding": "some"}),
        ("Conv2d", (4, 4, 3), {"padding": "same", "stride": 2}),
        ("Conv2d", (4, 4, 3), {"padding_mode": "some"}),
        ("Dropout", (1.5,), {}),
        ("Unflatten", (1, 6), {}),
        ("Conv1d", (4, 4, 3), {"padding": "same", "stride": 2}),
        ("ConvTranspose2d", (4, 4, 3), {"padding_mode": "reflect"}),
        ("ConvTranspose1d", (4, 3, 3), {"groups": 2}),
        ("GroupNorm", (3, 4), {}),
        ("Hardtanh", (1.0, 1.0), {}),
        ("Softmax", (1.5,), {}),
        ("LogSoftmax", (True,), {}),
        ("Dropout2d", (-0.1,), {}),
        ("Bilinear", (0, 3, 3), {}),
        ("HuberLoss", (), {"delta": "1"}),
        ("TripletMarginLoss", (0.0,), {}),
        ("MultiMarginLoss", (3,), {}),
        ("LPPool2d", (0, 2), {}),
    ],
    ids=str,
)
def test_bad_arguments(name: str, args: tuple, kwargs: dict) -> None:
    with pytest.raises((ValueError, TypeError, AssertionError)) as theirs:
        getattr(torch.nn, name)(*args, **kwargs)
    with pytest.raises(theirs.type):
        getattr(nn, name)(*args, **kwargs)


def test_bad_inputs() -> None:
    with pytest.raises(ValueError, match="expected 4D input"):
        nn.BatchNorm2d(3)(mg.zeros((2, 3)))
    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        nn.BatchNorm1d(3)(mg.zeros((2, 3, 4, 4)))
    for name, args, shape in (
        ("InstanceNorm1d", (3,), (2, 3, 4, 4)),
        ("InstanceNorm2d", (3,), (2, 3)),
        ("InstanceNorm2d", (3, 1e-5, 0.1, True), (2, 4, 5, 5)),
        ("Softmax2d", (), (2, 3)),
        ("CircularPad1d", (1,), (2, 3, 4, 4)),
        ("CircularPad2d", (1,), (2, 3)),
    ):
        messages = []
        for lib, tensors in ((torch.nn, torch), (nn, mg)):
            with pytest.raises(ValueError) as error:
                getattr(lib, name)(*args)(tensors.zeros(shape))
            messages.append(str(error.value))
        assert messages[0] == messages[1]
    with pytest.warns(UserWarning, match="does not match num_features"):
        nn.InstanceNorm1d(3)(mg.zeros((2, 4, 5)))
    for lib in (torch.nn, nn):
        with pytest.warns(FutureWarning, match="renamed to `max_val`"):
            assert lib.Hardtanh(max_value=0.5).max_val == 0.5
    with pytest.raises(RuntimeError, match="multiply"):
        nn.Unflatten(1, (2, 3))(mg.zeros((2, 7)))
    with pytest.raises(NotImplementedError, match="named axis"):
        nn.Unflatten("C", (2, 3))
    with pytest.raises(IndexError):
        nn.Unflatten(3, (2, 3))(mg.zeros((2, 6)))
