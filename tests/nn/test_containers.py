"""Sequential, ModuleList, ModuleDict against torch's, and the fusing that Sequential does."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch.set_num_threads(1)


def host(tensor: mg.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


def sequential_life(lib: Any) -> list[str]:
    """Everything one does to a Sequential, as a list of print-outs."""
    steps = []
    s = lib.Sequential(lib.Linear(1, 2), lib.ReLU())
    steps.append(repr(s.append(lib.Linear(2, 3))))
    steps += [repr(s[0]), repr(s[-1]), repr(s[1:]), repr(s[::2]), str(len(s)), repr(list(s.state_dict()))]
    s[1] = lib.Tanh()
    steps.append(repr(s))
    steps.append(repr(s.insert(1, lib.Sigmoid())))
    steps.append(repr(s.extend([lib.Flatten(), lib.Identity()])))
    steps.append(repr(s.pop(0)))
    del s[0]
    steps.append(repr(s))
    del s[1:3]
    steps.append(repr(s))
    steps.append(repr(s + lib.Sequential(lib.Tanh())))
    named = lib.Sequential(OrderedDict(conv=lib.Conv2d(1, 2, 3), act=lib.ReLU()))
    steps += [repr(named), repr(named.conv), repr(named[0]), repr(named[:1]), repr(list(named.state_dict()))]
    steps += [repr([type(m).__name__ for m in named]), repr(lib.Sequential())]
    return steps


def list_life(lib: Any) -> list[str]:
    steps = []
    m = lib.ModuleList([lib.Linear(2, 2) for _ in range(3)])
    steps += [repr(m), repr(m.append(lib.ReLU())), repr(m.extend([lib.ReLU(), lib.Tanh()]))]
    m.insert(1, lib.Sigmoid())
    m += [lib.Flatten()]
    m[0] = lib.Identity()
    steps += [repr(m), repr(m[-1]), repr(m[2:4]), repr(m + [lib.Tanh()]), repr(list(m.state_dict()))]
    steps.append(repr(m.pop(0)))
    del m[0]
    del m[1:3]
    steps += [repr(m), str(len(m)), repr(lib.ModuleList()), repr(lib.ModuleList([lib.Sequential(lib.ReLU())] * 2))]
    return steps


def dict_life(lib: Any) -> list[str]:
    steps = []
    m = lib.ModuleDict({"b": lib.Linear(1, 2), "a": lib.ReLU()})
    m["c"] = lib.Tanh()
    m.update([("d", lib.Sigmoid()), ("b", lib.Linear(2, 2))])
    m.update(lib.ModuleDict({"e": lib.Identity()}))
    steps += [repr(m), repr(list(m)), repr(list(m.keys())), repr(list(m.values())), repr([k for k, _ in m.items()])]
    steps += [repr(m.pop("d")), str("a" in m), str("z" in m), repr(m["b"]), repr(list(m.state_dict())), str(len(m))]
    del m["a"]
    steps.append(repr(m))
    m.clear()
    steps.append(repr(m))
    return steps


@pytest.mark.parametrize("life", [sequential_life, list_life, dict_life])
def test_container_is_torchs(life: Any) -> None:
    for ours, theirs in zip(life(nn), life(torch.nn), strict=True):
        assert ours == theirs


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda lib: lib.Sequential(lib.ReLU())[1], IndexError),
        (lambda lib: lib.ModuleList([lib.ReLU()])[-2], IndexError),
        (lambda lib: lib.Sequential(3), TypeError),
        (lambda lib: lib.ModuleList([3]), TypeError),
        (lambda lib: lib.ModuleList(3), TypeError),
        (lambda lib: lib.ModuleDict(3), TypeError),
        (lambda lib: lib.ModuleDict({"a": 3}), TypeError),
        (lambda lib: lib.ModuleDict({"a": lib.ReLU()})["b"], KeyError),
        (lambda lib: lib.Sequential() + lib.ReLU(), ValueError),
        (lambda lib: lib.Sequential().insert(3, lib.ReLU()), IndexError),
        (lambda lib: lib.ModuleList([lib.ReLU()])(1), NotImplementedError),
    ],
)
def test_misuse_is_refused_as_in_torch(call: Any, kind: type[Exception]) -> None:
    for lib in (torch.nn, nn):
        with pytest.raises(kind):
            call(lib)


# ---- fusing ----------------------------------------------------------------------------------------------------------


def network(lib: Any) -> Any:
    return lib.Sequential(
        lib.Conv2d(2, 3, 3, stride=(1, 2), padding=(2, 1)),
        lib.ReLU(),
        lib.MaxPool2d(3, 2, 1),
        lib.Conv2d(3, 4, (1, 2), bias=False),
        lib.ReLU(),
        lib.Conv2d(4, 4, 2, groups=2),
        lib.ReLU(),
        lib.MaxPool2d((2, 1), ceil_mode=True),
        lib.Conv2d(4, 2, 1),
    )


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fused ops that were called."""
    calls: list[str] = []

    def spy(name: str, original: Any) -> Any:
        def spied(*args: Any) -> Any:
            calls.append(name)
            return original(*args)

        return spied

    for name in ("_conv2d_relu", "_conv2d_relu_max_pool2d"):
        monkeypatch.setattr(F, name, spy(name, getattr(F, name)))
    return calls


def test_fused_chains_are_torchs(fused: list[str], device: str) -> None:
    rng = np.random.default_rng(0)
    theirs = network(torch.nn).double()
    ours = network(nn).double().to(device)
    ours.load_state_dict(theirs.state_dict())
    x = rng.standard_normal((2, 2, 11, 12))
    their_x = torch.from_numpy(x).requires_grad_()
    their_y = theirs(their_x)
    cotangent = rng.standard_normal(tuple(their_y.shape))
    their_y.backward(torch.from_numpy(cotangent))
    for definitions in (False, True):
        fused.clear()
        ours.zero_grad()
        our_x = mg.tensor(x, device=device, requires_grad=True)
        if definitions:
            with mg.definitions():
                y = ours(our_x)
            assert fused == []
        else:
            y = ours(our_x)
            assert fused == ["_conv2d_relu_max_pool2d", "_conv2d_relu", "_conv2d_relu_max_pool2d"]
        y.backward(mg.tensor(cotangent, device=device))
        np.testing.assert_allclose(host(y), their_y.detach().numpy(), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(host(our_x.grad), their_x.grad.numpy(), rtol=1e-10, atol=1e-10)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(host(p.grad), q.grad.numpy(), rtol=1e-10, atol=1e-10)


class MyReLU(nn.ReLU):
    pass


def hooked(module: nn.Module, kind: str) -> nn.Module:
    getattr(module, f"register_{kind}_hook")(lambda *args: None)
    return module


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: [nn.Conv2d(2, 2, 3), nn.ReLU(), nn.MaxPool2d(2)], ["_conv2d_relu_max_pool2d"]),
        (lambda: [nn.Conv2d(2, 2, 3), nn.ReLU(inplace=True)], ["_conv2d_relu"]),
        (lambda: [nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Identity(), nn.MaxPool2d(2)], ["_conv2d_relu"]),
        (lambda: [nn.Conv2d(2, 2, 3), nn.MaxPool2d(2)], []),
        (lambda: [nn.Conv2d(2, 2, 3), nn.Identity(), nn.ReLU()], []),
        (lambda: [nn.Conv2d(2, 2, 3), MyReLU()], []),
        (lambda: [nn.Conv2d(2, 2, 3, padding="same"), nn.ReLU()], []),
        (lambda: [hooked(nn.Conv2d(2, 2, 3), "forward"), nn.ReLU(), nn.MaxPool2d(2)], []),
        (lambda: [nn.Conv2d(2, 2, 3), hooked(nn.ReLU(), "forward_pre"), nn.MaxPool2d(2)], []),
        (lambda: [nn.Conv2d(2, 2, 3), nn.ReLU(), hooked(nn.MaxPool2d(2), "full_backward")], ["_conv2d_relu"]),
        (lambda: [nn.Conv2d(2, 2, 3), nn.ReLU(), nn.MaxPool2d(2, return_indices=True)], ["_conv2d_relu"]),
    ],
)
def test_what_is_fused(build: Any, expected: list[str], fused: list[str]) -> None:
    modules = build()
    x = mg.tensor(np.random.default_rng(0).standard_normal((2, 2, 6, 6)), dtype=np.float32)
    y = nn.Sequential(*modules)(x)
    assert fused == expected
    one_by_one = x
    for module in modules:
        one_by_one = module(one_by_one)
    for a, b in zip(*((v if isinstance(v, tuple) else (v,)) for v in (y, one_by_one)), strict=True):
        np.testing.assert_allclose(host(a), host(b), rtol=1e-6, atol=1e-6)


def test_own_forward_and_single_images_are_not_fused(fused: list[str]) -> None:
    s = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU())
    assert s(mg.zeros((2, 6, 6))).shape == (2, 4, 4)
    s[1].forward = lambda x: x * 0 + 5
    np.testing.assert_array_equal(host(s(mg.zeros((1, 2, 6, 6)))), 5)
    assert fused == []


def test_fused_pool_that_is_wrong_is_refused_as_alone(fused: list[str]) -> None:
    pool = nn.MaxPool2d(2, padding=2)  # padding may be half the window at most
    x = mg.zeros((1, 2, 6, 6))
    with pytest.raises(RuntimeError):
        pool(x)
    with pytest.raises(RuntimeError):
        nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), pool)(x)


# ---- parameters ------------------------------------------------------------------------------------------------------


def run_parameter_list(lib: Any, tensors: Any) -> list[Any]:
    seen: list[Any] = []
    one, two = lib.Parameter(tensors.ones((2, 3))), tensors.zeros(4)
    p = lib.ParameterList([one, two])
    p += [tensors.ones(1)]
    p.append("text").extend([lib.Parameter(tensors.zeros(()))])
    seen += [len(p), [name for name, _ in p.named_parameters()], list(p.state_dict()), p[0] is one, p[-2]]
    seen += [[type(value).__name__ for value in p], [type(value).__name__ for value in p[1:4:2]], p[1].requires_grad]
    p[1] = tensors.ones(2)
    seen += [p[1].tolist(), [i for i, _ in enumerate(p)], repr(p).replace("torch.", ""), "0" in dir(p)]
    for misuse in (lambda: p[5], lambda: p.extend(tensors.ones(3)), lambda: p.extend(3), lambda: p(1)):
        try:
            misuse()
        except (IndexError, TypeError, RuntimeError) as error:
            seen.append([type(error).__name__, str(error)])
    return seen


def test_parameter_list_is_torchs() -> None:
    assert isinstance(nn.ParameterList(None), nn.Module)
    ours, theirs = run_parameter_list(nn, mg), run_parameter_list(torch.nn, torch)
    assert ours == theirs
    assert len(ours) == 16


def run_parameter_dict(lib: Any, tensors: Any) -> list[Any]:
    seen: list[Any] = []
    p = lib.ParameterDict({"b": tensors.ones(2), "a": lib.Parameter(tensors.zeros((1, 2))), "c": 3})
    seen += [list(p), len(p), "a" in p, "z" in p, [name for name, _ in p.named_parameters()], list(p.state_dict())]
    seen += [repr(p).replace("torch.", "").replace("nn.parameter.", ""), list(reversed(p)), p["c"], p.get("z", 7)]
    p["d"] = tensors.ones(1)
    seen += [p.d.requires_grad, [key for key, _ in p.items()], len(list(p.values())), p.pop("c"), list(p.keys())]
    q = p | lib.ParameterDict([("e", tensors.zeros(1)), ("a", tensors.ones(1))])
    seen += [list(q), q["a"].tolist(), p["a"].tolist(), q["b"] is p["b"], p.copy()["d"] is p["d"]]
    q |= lib.ParameterDict({"f": tensors.zeros(1)})
    seen += [list(q), q.popitem()[0], q.setdefault("g", 5), q.setdefault("b", 5).tolist(), list(q.fromkeys("xy", 1))]
    del q["a"]
    seen.append(list(q))
    q.clear()
    seen += [len(q), list(q.parameters())]
    for misuse in (
        lambda: q["x"], lambda: q[3], lambda: q.update(3), lambda: q.update([3]), lambda: q.update(["abc"]),
        lambda: q.popitem(), lambda: q(1),
    ):  # fmt: skip
        try:
            misuse()
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            seen.append(type(error).__name__)
    return seen


def test_parameter_dict_is_torchs() -> None:
    assert isinstance(nn.ParameterDict(None), nn.Module)
    ours, theirs = run_parameter_dict(nn, mg), run_parameter_dict(torch.nn, torch)
    assert ours == theirs
    assert len(ours) == 35


def test_parameter_containers_move(device: str) -> None:
    p = nn.ParameterList([mg.ones(2)]).to(device).double()
    q = nn.ParameterDict({"a": mg.ones(2)}).to(device).double()
    for t in (p[0], q["a"]):
        assert t.device == device and t.dtype == mg.float64
    assert ("(gpu:0)" in repr(p)) == ("(gpu:0)" in repr(q)) == (device == "gpu")
