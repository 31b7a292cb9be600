"""From type to type and device to device in torch's words; devices, and minigrad.cuda."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn

MOVES = [
    "x.to('cpu', non_blocking=True)", "x.to('cpu', fw.float64)", "x.to('cpu', fw.float64, True, True)", "x.to(x.double())",
    "x.to(fw.float32, True, True)", "x.to(fw.float32, True)", "x.to(device='cpu', dtype=fw.half)", "x.to()", "x.to(None)",
    "x.to(float)", "x.to(int)", "x.to(bool)", "x.to(dtype=None)", "x.to(fw.device('cpu'), fw.int32)", "x.to(copy=True)",
    "x.to('cpu', copy=True)", "x.to(memory_format=fw.channels_last)", "x.to(fw.float64, memory_format=fw.channels_last)",
    "x.to(x.double(), non_blocking=True, copy=True)", "x.cpu()", "x.cpu(memory_format=fw.channels_last)",
    "x.contiguous(memory_format=fw.channels_last)", "x.contiguous(memory_format=fw.preserve_format)",
    "x.clone(memory_format=fw.channels_last)", "x.float(memory_format=fw.channels_last)", "x.double()", "x.half()", "x.short()",
    "x.char()", "x.byte()", "x.int()", "x.long()", "x.bool()", "x.type(fw.float64)", "x.type('torch.DoubleTensor')",
    "x.type(fw.LongTensor)", "x.type(dtype=fw.int8)", "x.type_as(x.double())",
    "fw.empty_like(x, memory_format=fw.channels_last).zero_()",
    "fw.zeros_like(x, memory_format=fw.channels_last)", "x.to(memory_format=fw.preserve_format)",
    "x.permute(0, 2, 3, 1).clone()", "x.permute(0, 2, 3, 1).clone(memory_format=fw.contiguous_format)",
    "x.permute(0, 2, 3, 1).contiguous()", "x.to(memory_format=fw.channels_last).contiguous(memory_format=fw.channels_last)",
    "fw.clone(x)", "x.to(memory_format=fw.channels_last).to(fw.float64)",
]  # fmt: skip
REFUSED = [
    "x[0].to(memory_format=fw.channels_last)", "x.to(fw.float64, fw.float32)", "x.to('nonsense')", "x.cuda('cpu')",
    "x.permute(0, 2, 3, 1).contiguous(memory_format=fw.preserve_format)",
]  # fmt: skip


def evaluated(line: str, framework: Any) -> tuple[Any, Any]:
    x = framework.arange(120.0).reshape(2, 3, 4, 5)
    return eval(line, {"fw": framework, "x": x}), x


@pytest.mark.parametrize("line", MOVES)
def test_moves_are_torchs(line: str) -> None:
    (ours, x), (theirs, y) = evaluated(line, mg), evaluated(line, torch)
    assert str(theirs.dtype) == f"torch.{ours.dtype}" and ours.shape == tuple(theirs.shape)
    assert ours.stride() == theirs.stride() and (ours is x) == (theirs is y)
    assert ours.tolist() == theirs.tolist()
    channels_last = [t.is_contiguous(memory_format=f.channels_last) for t, f in ((ours, mg), (theirs, torch))]
    assert channels_last[0] == channels_last[1] and ours.is_contiguous() == theirs.is_contiguous()


@pytest.mark.parametrize("line", REFUSED)
def test_refused_as_by_torch(line: str) -> None:
    with pytest.raises((RuntimeError, TypeError)) as theirs:
        evaluated(line, torch)
    with pytest.raises(theirs.type) as ours:
        evaluated(line, mg)
    assert str(ours.value)


def test_gradients_come_back_through_every_move() -> None:
    x = mg.ones(2, 3, 4, 5, requires_grad=True)
    y = x.to(mg.float64, memory_format=mg.channels_last).clone(memory_format=mg.contiguous_format)
    (y.half().float() * mg.arange(5.0)).sum().backward()
    assert x.grad.dtype == np.float32 and x.grad[1, 2, 3].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("name", ["bfloat16", "complex64", "cfloat", "complex128", "cdouble"])
def test_types_that_are_not_built_are_refused_by_name(name: str) -> None:
    x = mg.ones(2)
    for call in (lambda: x.to(name), lambda: x.to(dtype=name), lambda: nn.Linear(2, 2).to(name), lambda: x.type(name)):
        with pytest.raises(NotImplementedError, match=name):
            call()
    if name in ("bfloat16", "cfloat", "cdouble"):
        with pytest.raises(NotImplementedError, match=name):
            getattr(x, name)()
    assert repr(getattr(mg, name)) == f"minigrad.{name}" and x.dtype != getattr(mg, name)
    with pytest.raises(NotImplementedError, match=name):
        mg.zeros(2, dtype=getattr(mg, name))
    with pytest.raises(NotImplementedError, match="bfloat16"):
        nn.Linear(2, 2).bfloat16()


def test_names_of_types() -> None:
    for name in ("float", "double", "half", "long", "int", "short", "char", "byte", "bool"):
        ours, theirs = getattr(mg.ones(1), name)().type(), getattr(torch.ones(1), name)().type()
        assert ours == theirs.replace("torch", "minigrad") and mg.ones(1).type(ours).type() == ours


def test_modules_move_in_the_same_words(device: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    weight = model[0].weight
    assert model.to(device, non_blocking=True) is model and model[0].weight is weight and weight.device == device
    assert model.half()[0].bias.dtype == np.float16 and model[1].num_batches_tracked.dtype == np.int64
    assert model.to(mg.float64)[1].running_mean.dtype == np.float64
    assert model.type(mg.float32)[1].running_mean.dtype == np.float32
    model.to(memory_format=mg.channels_last)
    assert model[0].weight.is_contiguous(memory_format=mg.channels_last) and model[0].weight is weight
    assert model.to(mg.device(device), mg.float64, True)[0].weight.dtype == np.float64


def test_devices_by_torchs_constructor(device: str) -> None:
    assert mg.device("cpu") == mg.device(type="cpu") == mg.device("cpu", 0) == mg.device(mg.device("cpu")) == "cpu"
    assert mg.device("cuda", 1) == mg.device(type="cuda", index=1) == mg.device(1) == mg.device("cuda:1") == "gpu:1"
    assert mg.device is mg.Device and isinstance(mg.ones(1).device, mg.device)
    assert mg.device("cuda:1").index == 1 and mg.device("cpu").type == "cpu" and mg.device("cpu").index is None
    x = mg.ones(2, 3, device=mg.device(device))
    assert x.is_cpu == (device == "cpu") != x.is_cuda and x.get_device() == (-1 if device == "cpu" else 0)
    assert x.nbytes == 24 and x.itemsize == x.element_size() == 4
    for wrong in ("cuda:-1", "tpu", None):
        with pytest.raises(mg.DeviceError):
            mg.device(wrong)


@pytest.mark.gpu
def test_onto_a_gpu_and_back() -> None:
    x = mg.ones(2, 3, 4, 5)
    for y in (
        x.cuda(), x.cuda(0), x.cuda("cuda:0"), x.cuda(mg.device("cuda")), x.cuda(device=0, non_blocking=True), x.to(0),
        x.cuda(non_blocking=True), x.cuda(memory_format=mg.channels_last), x.to("cuda", mg.float32, True), x.to(x.cuda()),
        mg.zeros(2, 3, 4, 5, device=0) + x.cuda(),
    ):  # fmt: skip
        assert y.device == "cuda:0" and y.cpu().tolist() == x.tolist() and y.cuda() is y
    assert x.cuda(memory_format=mg.channels_last).is_contiguous(memory_format=mg.channels_last)
    assert nn.Linear(2, 2).cuda(mg.device("cuda:0")).weight.is_cuda and nn.Linear(2, 2).cuda(0).bias.is_cuda
    assert x.cuda().type() == "minigrad.cuda.FloatTensor"


@pytest.mark.gpu
def test_cuda_with_a_gpu() -> None:
    cuda = mg.cuda
    assert cuda.is_available() and cuda.device_count() >= 1 and cuda.current_device() == 0
    before = cuda.memory_allocated()
    x = mg.zeros(1000, device="cuda")
    assert cuda.memory_allocated("cuda:0") >= before + 4000 and cuda.max_memory_allocated(0) >= before + 4000
    assert cuda.memory_reserved() >= cuda.memory_allocated(mg.device(0))
    del x
    cuda.reset_peak_memory_stats()
    assert cuda.max_memory_allocated() == cuda.memory_allocated() == before
    cuda.synchronize()
    cuda.synchronize("cuda:0")
    cuda.empty_cache()
    with cuda.device(0):
        assert cuda.current_device() == 0
    assert cuda.get_device_name() and cuda.get_device_properties(0).total_memory == cuda.mem_get_info()[1] > 0
    assert cuda.get_device_capability() >= (5, 0)
    for wrong in (99, "cpu"):
        with pytest.raises(mg.DeviceError):
            cuda.memory_allocated(wrong)


def test_cuda_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrad import backends

    def missing(name: str) -> Any:
        if name == "gpu":
            raise mg.DeviceError("no GPU can be used")
        return cpu

    cpu = backends.get("cpu")
    monkeypatch.setattr(backends, "get", missing)
    cuda = mg.cuda
    assert not cuda.is_available() and cuda.device_count() == 0
    assert cuda.memory_allocated() == cuda.max_memory_allocated() == cuda.memory_reserved() == 0
    cuda.empty_cache()
    cuda.manual_seed(1)
    cuda.manual_seed_all(1)
    for call in (cuda.synchronize, cuda.current_device, cuda.get_device_name, cuda.mem_get_info, mg.ones(1).cuda):
        with pytest.raises(mg.DeviceError, match="no GPU"):
            call()
    assert mg.device("cuda" if cuda.is_available() else "cpu") == "cpu"
