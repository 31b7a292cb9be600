"""Every layer against torch's of the same arguments: keys, print-out, values, gradients; training and evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn

torch.set_num_threads(1)

# (layer, its arguments, its keyword arguments, input shape)
LAYERS = [
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
]


def host(tensor: mg.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


def arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {key: value.detach().numpy().copy() for key, value in module.state_dict().items()}


def assert_close(actual: mg.Tensor, expected: torch.Tensor, what: str = "") -> None:
    assert tuple(actual.shape) == tuple(expected.shape), what
    assert str(actual.dtype) == str(expected.dtype).removeprefix("torch."), what
    np.testing.assert_allclose(host(actual), expected.detach().numpy(), rtol=1e-10, atol=1e-10, err_msg=what)


def case_id(case: tuple) -> str:
    name, args, kwargs, shape = case
    return f"{name}{args}{kwargs}".replace(" ", "")


@pytest.mark.parametrize("case", LAYERS, ids=case_id)
def test_layer_is_torchs(case: tuple, device: str) -> None:
    name, args, kwargs, shape = case
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
        x = rng.standard_normal(shape)
        their_x = torch.from_numpy(x.copy()).requires_grad_()
        our_x = mg.tensor(x, device=device, requires_grad=True)
        their_y, our_y = theirs(their_x), ours(our_x)
        assert our_y.device == device
        assert_close(our_y, their_y, "output")
        cotangent = rng.standard_normal(tuple(their_y.shape))
        theirs.zero_grad()
        ours.zero_grad()
        their_y.backward(torch.from_numpy(cotangent))
        our_y.backward(mg.tensor(cotangent, device=device))
        assert_close(our_x.grad, their_x.grad, "gradient of the input")
        for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert_close(p.grad, q.grad, f"gradient of {key}")
        for key, value in theirs.state_dict().items():
            assert_close(ours.state_dict()[key], value, key)


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_other_paddings(mode: str, device: str) -> None:
    """Where F.pad has the mode, the layer is torch's; where it has not, it says so."""
    theirs = torch.nn.Conv2d(2, 3, (3, 2), padding=(2, 1), padding_mode=mode).double()
    ours = nn.Conv2d(2, 3, (3, 2), padding=(2, 1), padding_mode=mode).double().to(device)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 6))
    try:
        y = ours(mg.tensor(x, device=device))
    except NotImplementedError as error:
        assert mode in str(error)
    else:
        assert_close(y, theirs(torch.from_numpy(x)))


def test_max_pool_returns_indices(device: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    y, indices = nn.MaxPool2d(2, return_indices=True)(mg.tensor(x, device=device))
    their_y, their_indices = torch.nn.MaxPool2d(2, return_indices=True)(torch.from_numpy(x))
    assert_close(y, their_y)
    assert_close(indices, their_indices)


LOSSES = [
    ("CrossEntropyLoss", {}, False),
    ("CrossEntropyLoss", {"reduction": "sum", "label_smoothing": 0.1}, False),
    ("CrossEntropyLoss", {"ignore_index": 2}, True),
    ("CrossEntropyLoss", {"reduction": "none"}, True),
    ("NLLLoss", {}, True),
    ("NLLLoss", {"reduction": "none", "ignore_index": 1}, False),
    ("MSELoss", {}, False),
    ("MSELoss", {"reduction": "sum"}, False),
    ("MSELoss", {"reduction": "none"}, False),
]


@pytest.mark.parametrize(("name", "kwargs", "weighted"), LOSSES, ids=lambda value: str(value).replace(" ", ""))
def test_loss_is_torchs(name: str, kwargs: dict, weighted: bool, device: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((6, 4))
    target = rng.standard_normal((6, 4)) if name == "MSELoss" else np.array([1, 2, 0, 2, 3, 1])
    our_kwargs, their_kwargs = dict(kwargs), dict(kwargs)
    if weighted:
        weight = rng.uniform(0.5, 2, 4)
        our_kwargs["weight"] = mg.tensor(weight)
        their_kwargs["weight"] = torch.from_numpy(weight)
    ours = getattr(nn, name)(**our_kwargs).to(device)  # the weight is a buffer, and moves with the loss
    theirs = getattr(torch.nn, name)(**their_kwargs)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    our_x = mg.tensor(x, device=device, requires_grad=True)
    their_x = torch.from_numpy(x).requires_grad_()
    y = ours(our_x, mg.tensor(target, device=device))
    their_y = theirs(their_x, torch.from_numpy(target))
    assert_close(y, their_y)
    cotangent = rng.standard_normal(tuple(their_y.shape))
    y.backward(mg.tensor(cotangent, device=device))
    their_y.backward(torch.from_numpy(cotangent))
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
    ],
    ids=str,
)
def test_bad_arguments(name: str, args: tuple, kwargs: dict) -> None:
    with pytest.raises((ValueError, TypeError)) as theirs:
        getattr(torch.nn, name)(*args, **kwargs)
    with pytest.raises(theirs.type):
        getattr(nn, name)(*args, **kwargs)


def test_bad_inputs() -> None:
    with pytest.raises(ValueError, match="expected 4D input"):
        nn.BatchNorm2d(3)(mg.zeros((2, 3)))
    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        nn.BatchNorm1d(3)(mg.zeros((2, 3, 4, 4)))
    with pytest.raises(RuntimeError, match="multiply"):
        nn.Unflatten(1, (2, 3))(mg.zeros((2, 7)))
    with pytest.raises(NotImplementedError, match="named axis"):
        nn.Unflatten("C", (2, 3))
    with pytest.raises(IndexError):
        nn.Unflatten(3, (2, 3))(mg.zeros((2, 6)))
