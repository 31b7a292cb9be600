"""Tensor: types and their promotion, other libraries, devices, copies, errors."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch

import minigrad as mg

TYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]


def numpy_name(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype


def operand(kind: str, framework: str):
    """An operand with axes ("float32"), without ("float32()"), or a Python number ("2.5")."""
    if kind in ("True", "2", "2.5"):
        return eval(kind)
    shape = () if kind.endswith("()") else (2,)
    array = np.ones(shape, numpy_name(kind.removesuffix("()")))
    return mg.from_numpy(array) if framework == "minigrad" else torch.from_numpy(array)


OPERANDS = [*TYPES, *[t + "()" for t in TYPES], "True", "2", "2.5"]


@pytest.mark.parametrize("first", OPERANDS[:16])
def test_promotion_is_torchs(first: str, device: str) -> None:
    for second in OPERANDS:
        a, b = operand(first, "minigrad").to(device), operand(second, "minigrad")
        b = b.to(device) if isinstance(b, mg.Tensor) else b
        ours, theirs = a * b, operand(first, "torch") * operand(second, "torch")
        assert str(theirs.dtype) == f"torch.{ours.dtype}", f"{first} * {second}"
        assert str((operand(second, "torch") * operand(first, "torch")).dtype) == f"torch.{(b * a).dtype}"
        assert mg.result_type(a, b) == ours.dtype


def test_promote_types_is_torchs() -> None:
    for a, b in itertools.product(TYPES, TYPES):
        theirs = torch.promote_types(getattr(torch, a), getattr(torch, b))
        ours = mg.promote_types(np.dtype(numpy_name(a)), np.dtype(numpy_name(b)))
        assert str(theirs) == f"torch.{ours}", (a, b)


@pytest.mark.parametrize(
    "data", [1, 1.5, True, [1, 2], [1.0, 2], [[True]], [], [[], []], np.float64(2), np.ones(2, np.int8)]
)
def test_tensor_infers_torchs_type(data) -> None:
    ours, theirs = mg.tensor(data), torch.tensor(data)
    assert str(theirs.dtype) == f"torch.{ours.dtype}" and ours.shape == tuple(theirs.shape)


def test_a_wide_type_asked_for_keeps_every_digit() -> None:
    assert mg.tensor([0.1, 1 / 3], dtype=mg.float64).tolist() == [0.1, 1 / 3]
    assert mg.tensor(2**53 + 1, dtype=mg.int64).item() == 2**53 + 1


def test_tensor_copies_and_from_numpy_shares() -> None:
    a = np.zeros(3, np.float32)
    copied, shared = mg.tensor(a), mg.from_numpy(a)
    a[0] = 1
    assert copied.tolist() == [0, 0, 0] and shared.tolist() == [1, 0, 0]
    shared[1] = 2.0
    assert a.tolist() == [1, 2, 0]
    assert shared.array is a
    with pytest.raises(TypeError):
        mg.from_numpy([1])


def test_ragged_lists_and_strings_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        mg.tensor([[1, 2], [3]])
    with pytest.raises(TypeError):
        mg.tensor(["a"])


def test_asarray_shares_and_respects_graphs() -> None:
    t = mg.tensor([1.0, 2.0])
    assert np.asarray(t) is t.array
    assert np.asarray(t, np.float64).dtype == np.float64
    assert np.array(t) is not t.array
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(t.requires_grad_())
    assert t.numpy(force=True).tolist() == [1.0, 2.0]


def test_dlpack_both_ways() -> None:
    ours = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    theirs = torch.from_dlpack(ours)
    theirs[0, 0] = 7
    assert ours[0, 0].item() == 7
    back = mg.from_dlpack(torch.arange(6).reshape(2, 3).t())
    assert back.tolist() == [[0, 3], [1, 4], [2, 5]] and back.dtype == np.int64
    with pytest.raises(BufferError, match="detach"):
        torch.from_dlpack(mg.tensor([1.0], requires_grad=True))


def test_a_gpu_tensor_does_not_turn_into_numpy_unasked(device: str) -> None:
    t = mg.tensor([1.0], device=device)
    if device == "cpu":
        assert t.numpy() is t.array
        return
    with pytest.raises(TypeError, match="cpu()"):
        t.numpy()
    with pytest.raises(TypeError):
        np.asarray(t)
    assert t.cpu().numpy().tolist() == [1.0]


def test_devices(device: str) -> None:
    t = mg.tensor([1.0], device=device)
    assert t.device == device and t.device == mg.Device(device)
    assert t.is_cuda == (device == "gpu")
    assert mg.Device("cuda:1") == "gpu:1" != mg.Device("gpu") == "cuda"
    assert t.to(device) is t
    assert t.to("cpu").device == "cpu"
    assert mg.zeros(2, device=device).device == device and t.new_zeros(2).device == device


@pytest.mark.parametrize("name", ["tpu", "gpu:x", "", "cpu:0:1", "gpu:-1"])
def test_an_unknown_device_is_one_line(name: str) -> None:
    with pytest.raises(mg.DeviceError, match="use 'cpu', 'gpu' or 'gpu:N'") as error:
        mg.zeros(1, device=name)
    assert "\n" not in str(error.value)


def test_a_gpu_that_is_not_there_is_one_line() -> None:
    with pytest.raises(mg.DeviceError, match="gpu:99") as error:
        mg.zeros(1, device="gpu:99")
    assert "\n" not in str(error.value)


def test_gradients_cross_devices(device: str) -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x.to(device) * 2).sum().to("cpu").backward()
    assert x.grad.device == "cpu" and x.grad.tolist() == [2.0, 2.0]


@pytest.mark.gpu
@pytest.mark.parametrize(
    "op", [lambda a, b: a + b, lambda a, b: a @ b, lambda a, b: mg.where(a > 0, a, b), lambda a, b: mg.cat([a, b])]
)
def test_mixed_devices_are_named(op) -> None:
    a, b = mg.ones(2, 2), mg.ones(2, 2, device="gpu")
    for first, second in ((a, b), (b, a)):
        with pytest.raises(RuntimeError, match=r"same device.*cpu.*gpu:0|same device.*gpu:0.*cpu"):
            op(first, second)


def test_errors_list_shapes_types_and_devices() -> None:
    a, b = mg.ones(2, 3), mg.ones(4)
    with pytest.raises(RuntimeError, match=r"float32\[2, 3\] on cpu.*float32\[4\] on cpu"):
        a + b
    with pytest.raises(RuntimeError, match=r"float32\[2, 3\].*float32\[4\]"):
        a @ b
    with pytest.raises(RuntimeError, match="same dtype"):
        a @ mg.ones(3, 3, dtype=mg.float64)
    with pytest.raises(TypeError):
        a + "x"
    with pytest.raises(IndexError, match="Dimension out of range"):
        a.sum(2)
    with pytest.raises(RuntimeError, match="multiple times"):
        a.sum((0, -2))
    with pytest.raises(IndexError):
        a[2]
    with pytest.raises(IndexError):
        a[[0, 5]]
    with pytest.raises(IndexError, match="must be long, int"):
        a[mg.tensor([0.5])]
    with pytest.raises(ValueError, match="step must be greater than zero"):
        a[::-1]
    with pytest.raises(RuntimeError, match="is invalid for input of size 6"):
        a.reshape(4, 2)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        a.t().view(6)
    with pytest.raises(RuntimeError, match="mean"):
        mg.tensor([1, 2]).mean()
    with pytest.raises(IndexError, match="non-zero size"):
        mg.ones(0, 2).amax(0)
    with pytest.raises(IndexError, match="Target 5 is out of bounds"):
        mg.nn.functional.cross_entropy(a, mg.tensor([0, 5]))
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(a)
    with pytest.raises(RuntimeError, match="Boolean|Subtraction"):
        mg.tensor([True]) - mg.tensor([False])
    with pytest.raises(RuntimeError, match="negative integer powers"):
        mg.tensor([2]) ** -1
    with pytest.raises(RuntimeError, match="boolean tensor"):
        mg.where(a, a, a)


@pytest.mark.gpu
def test_an_index_out_of_range_is_an_error_on_a_gpu_too() -> None:
    """CuPy itself would wrap it around."""
    a = mg.ones(2, 3, device="gpu")
    for index in ([0, 5], (slice(None), [3]), ([-3],)):
        with pytest.raises(IndexError, match="out of"):
            a[index].numpy(force=True)  # where the host waits anyway


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("arange", (5,)), ("arange", (1, 2, 0.3)), ("arange", (5, 0, -2)), ("arange", (0.0, 1.0, 0.1)), ("linspace", (0, 1, 7)),
        ("eye", (3,)), ("eye", (2, 3)), ("zeros", (2, 3)), ("ones", ((2, 3),)), ("full", ((2,), 1.5)), ("full", ((2,), 3)),
        ("full", ((2,), True)), ("zeros", ((),)), ("linspace", (-1, 3, 10)), ("linspace", (2, 3, 1)),
    ],
)  # fmt: skip
def test_creation_is_torchs(name: str, arguments, device: str) -> None:
    ours, theirs = getattr(mg, name)(*arguments, device=device), getattr(torch, name)(*arguments)
    assert str(theirs.dtype) == f"torch.{ours.dtype}"
    np.testing.assert_array_equal(ours.numpy(force=True), theirs.numpy())


def test_random_numbers_come_from_the_seed_alone() -> None:
    draws = []
    for _ in range(2):
        mg.manual_seed(3)
        draws.append(
            [mg.rand(3).tolist(), mg.randn(2, 2).tolist(), mg.randint(0, 9, (4,)).tolist(), mg.randperm(5).tolist()]
        )
    assert draws[0] == draws[1]
    state = mg.get_rng_state()
    first = mg.rand(4).tolist()
    import json

    mg.set_rng_state(json.loads(json.dumps(state)))
    assert mg.rand(4).tolist() == first
    generator = mg.Generator(5)
    assert mg.rand(3, generator=generator).tolist() == mg.rand(3, generator=mg.Generator(5)).tolist()


def test_dropout(device: str) -> None:
    x = mg.ones(1000, device=device, requires_grad=True)
    mg.manual_seed(0)
    y = mg.nn.functional.dropout(x, 0.25)
    kept = y.numpy(force=True) != 0
    assert 650 < kept.sum() < 850
    np.testing.assert_allclose(y.numpy(force=True)[kept], 1 / 0.75, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(force=True), y.numpy(force=True))
    assert mg.nn.functional.dropout(x, 0.25, training=False) is x
    assert not mg.nn.functional.dropout(x, 1.0).numpy(force=True).any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        mg.nn.functional.dropout(x, 1.5)


def test_fill_forgets_what_was_there_nan_included(device: str) -> None:
    x = mg.tensor([float("nan"), 1.0], device=device, requires_grad=True)
    y = x * 2
    y.fill_(3.0)
    y.sum().backward()
    assert y.tolist() == [3.0, 3.0] and x.grad.tolist() == [0.0, 0.0]
    p = mg.nn.Parameter(mg.tensor([float("nan")], device=device))
    assert mg.nn.init.zeros_(p).tolist() == [0.0]


def test_copies(device: str) -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], device=device, requires_grad=True)
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.tolist() == x.tolist() and other.requires_grad and other.device == x.device
        other.data.fill_(0)
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(x * 2)
    assert x.clone().requires_grad and not x.detach().requires_grad


def test_python_protocols() -> None:
    t = mg.tensor([[1, 2], [3, 4]])
    assert len(t) == 2 and [r.tolist() for r in t] == [[1, 2], [3, 4]]
    assert 3 in t and 7 not in t
    assert float(mg.tensor(2.5)) == 2.5 and int(mg.tensor(2)) == 2 and [10, 20, 30][mg.tensor(1)] == 20
    assert {t: 1}[t] == 1
    assert (t == t).all() and (t != 1).sum().item() == 3
    with pytest.raises(TypeError):
        len(mg.tensor(1))
    with pytest.raises(RuntimeError, match="elements"):
        t.item()


def test_element_wise_ops_keep_the_images_layout(device: str) -> None:
    x = mg.randn(2, 3, 4, 5, device=device)
    y = mg.nn.functional.conv2d(x, mg.randn(6, 3, 3, 3, device=device), padding=1)
    channels_last = y.array.strides
    assert channels_last[1] == y.element_size()
    for z in (y.relu(), y * 2, y + y, y.exp(), y.clone(), mg.nn.functional.max_pool2d(y, 2)):
        assert z.stride()[1] == 1


def test_in_place_changes_of_nothing() -> None:
    empty = mg.nn.AvgPool2d(2)(mg.zeros(0, 3, 4, 6))
    assert mg.nn.ReLU(inplace=True)(empty).shape == (0, 3, 2, 3)
