"""Module: registration, looking around, state, hooks, modes, copies. Where torch says how, torch is asked."""

from __future__ import annotations

import copy
import gc
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn

torch.set_num_threads(1)


def host(tensor: mg.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


def build(lib: Any, tensors: Any, parameter: Any) -> Any:
    """The same network on either library: nested, with shared parts, buffers of both kinds, and empty places."""

    class Block(lib.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = lib.Linear(3, 3)
            self.register_buffer("scale", tensors.ones(3))
            self.register_buffer("cache", tensors.zeros(2), persistent=False)
            self.register_buffer("nothing", None)
            self.gain = parameter(tensors.zeros(3))
            self.norm = lib.BatchNorm1d(3)

        def forward(self, x: Any) -> Any:
            return self.norm(self.fc(x) * self.scale + self.gain)

    class Net(lib.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = Block()
            self.again = self.first  # shared
            self.head = lib.Sequential(lib.Linear(3, 2), lib.ReLU())
            self.absent = None
            self.register_parameter("reserved", None)
            self.tied = self.head[0].weight  # shared parameter

        def forward(self, x: Any) -> Any:
            return self.head(self.again(self.first(x)))

    return Net()


def both() -> tuple[Any, Any]:
    return build(nn, mg, nn.Parameter), build(torch.nn, torch, torch.nn.Parameter)


def test_names_and_orders_are_torchs() -> None:
    ours, theirs = both()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for method in ("named_parameters", "named_buffers", "named_modules"):
        for kwargs in ({}, {"remove_duplicate": False}, {"prefix": "net"}):
            found = [name for name, _ in getattr(ours, method)(**kwargs)]
            assert found == [name for name, _ in getattr(theirs, method)(**kwargs)], (method, kwargs)
    assert [n for n, _ in ours.named_parameters(recurse=False)] == ["tied"]
    assert [n for n, _ in ours.named_children()] == [n for n, _ in theirs.named_children()] == ["first", "head"]
    assert len(list(ours.modules())) == len(list(theirs.modules()))
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    assert len(list(ours.buffers())) == len(list(theirs.buffers()))
    assert len(list(ours.children())) == 2
    assert repr(ours) == repr(theirs)
    assert ours.state_dict()._metadata == theirs.state_dict()._metadata
    assert list(ours.state_dict(prefix="a.")) == list(theirs.state_dict(prefix="a."))


def test_attributes_register_and_replace() -> None:
    m = nn.Module()
    m.a = 1
    m.a = nn.Parameter(mg.zeros(2))  # a parameter takes the place of a plain attribute
    assert list(m._parameters) == ["a"] and "a" not in m.__dict__
    m.b = nn.Parameter(mg.ones(2))
    m.a = nn.Parameter(mg.ones(3))  # keeps its place in the order
    assert [name for name, _ in m.named_parameters()] == ["a", "b"]
    m.a = None
    assert [name for name, _ in m.named_parameters()] == ["b"] and m.a is None
    with pytest.raises(TypeError, match="as parameter 'b'"):
        m.b = mg.zeros(2)
    m.b = nn.Linear(2, 2)  # a module takes the place of a parameter
    assert list(m._parameters) == ["a"] and list(m._modules) == ["b"]
    with pytest.raises(TypeError, match="as child module 'b'"):
        m.b = 3
    m.b = None
    assert m.b is None and list(m.children()) == []
    m.register_buffer("c", mg.zeros(1))
    m.c = mg.ones(1)  # a buffer stays a buffer
    assert list(m.state_dict()) == ["c"] and float(m.c) == 1
    with pytest.raises(TypeError, match="buffer 'c'"):
        m.c = 3
    m.plain = mg.zeros(3)  # a Tensor that is no Parameter is an attribute like any other
    assert list(m.state_dict()) == ["c"]
    del m.c
    assert list(m.state_dict()) == []
    del m.plain
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'plain'"):
        _ = m.plain
    with pytest.raises(AttributeError):
        del m.plain
    assert "b" in dir(m)


def test_parameter_is_a_leaf_that_shares_memory() -> None:
    data = mg.zeros(3)
    p = nn.Parameter(data)
    assert p.is_leaf and p.requires_grad and isinstance(p, mg.Tensor)
    assert p.array is data.array
    before = p.version
    data._bump_version()
    assert p.version == before + 1
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert nn.Parameter().numel() == 0
    assert not isinstance(p * 2, nn.Parameter)
    x = mg.ones(3, requires_grad=True)
    assert nn.Parameter(x * 2).is_leaf
    assert repr(p).startswith("Parameter containing:\ntensor(")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda m, t, p: m.register_buffer("a.b", t), KeyError),
        (lambda m, t, p: m.register_buffer("", t), KeyError),
        (lambda m, t, p: m.register_buffer(3, t), TypeError),
        (lambda m, t, p: m.register_buffer("training", t), KeyError),
        (lambda m, t, p: m.register_buffer("a", 3), TypeError),
        (lambda m, t, p: m.register_parameter("a.b", p), KeyError),
        (lambda m, t, p: m.register_parameter("a", t), TypeError),
        (lambda m, t, p: m.register_parameter("forward", p), KeyError),
        (lambda m, t, p: m.add_module("a", t), TypeError),
        (lambda m, t, p: m.add_module("a.b", None), KeyError),
        (lambda m, t, p: m.train("yes"), ValueError),
        (lambda m, t, p: m.get_submodule("a.b"), AttributeError),
        (lambda m, t, p: m.get_parameter("a"), AttributeError),
        (lambda m, t, p: m.get_buffer("training"), AttributeError),
        (lambda m, t, p: m(t), NotImplementedError),
        (lambda m, t, p: m.load_state_dict([]), TypeError),
    ],
)
def test_misuse_is_refused_as_in_torch(call: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        call(torch.nn.Module(), torch.zeros(1), torch.nn.Parameter(torch.zeros(1)))
    with pytest.raises(kind):
        call(nn.Module(), mg.zeros(1), nn.Parameter(mg.zeros(1)))


def test_super_init_forgotten() -> None:
    class Forgetful(nn.Module):
        def __init__(self, what: Any) -> None:
            self.part = what

    for what in (nn.Parameter(mg.zeros(1)), nn.Module()):
        with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
            Forgetful(what)
    assert Forgetful(3).part == 3


def test_get_by_dotted_name() -> None:
    ours, _ = both()
    assert ours.get_submodule("") is ours
    assert ours.get_submodule("head.0") is ours.head[0]
    assert ours.get_parameter("head.0.weight") is ours.tied
    assert ours.get_buffer("first.norm.running_mean") is ours.first.norm.running_mean


# ---- state -----------------------------------------------------------------------------------------------------------


def test_state_dict_shares_memory_and_no_graph() -> None:
    m = nn.Linear(2, 3)
    state = m.state_dict()
    assert not state["weight"].requires_grad
    with mg.no_grad():
        m.weight.fill_(7)
    assert float(state["weight"][0, 0]) == 7
    assert m.state_dict(keep_vars=True)["weight"] is m.weight


@pytest.mark.parametrize("source", ["torch", "numpy", "minigrad"])
def test_load_copies_and_keeps_dtype_and_device(source: str, device: str) -> None:
    _, theirs = both()
    ours = build(nn, mg, nn.Parameter).double().to(device)
    objects = {name: id(p) for name, p in ours.named_parameters()}
    state: Any = theirs.state_dict()
    if source == "numpy":
        state = {key: value.numpy().copy() for key, value in state.items()}
    elif source == "minigrad":
        state = {key: mg.tensor(value.numpy()) for key, value in state.items()}
    result = ours.load_state_dict(state)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    for key, value in ours.state_dict().items():
        np.testing.assert_array_equal(host(value), np.asarray(state[key]))
        assert value.device == device and value.dtype == (np.int64 if "tracked" in key else np.float64)
    assert objects == {name: id(p) for name, p in ours.named_parameters()}
    assert all(p.requires_grad for p in ours.parameters())
    weight = host(ours.tied).copy()
    state["tied"][...] = 99  # a copy, not the same memory
    np.testing.assert_array_equal(host(ours.tied), weight)
    back = torch.nn.Linear(3, 2)
    back.load_state_dict({k: torch.from_numpy(host(v)) for k, v in ours.head[0].state_dict().items()})
    np.testing.assert_array_equal(back.weight.detach().numpy(), weight.astype(np.float32))


def wrong_state(lib_state: dict[str, Any], tensors: Any) -> dict[str, Any]:
    state = dict(lib_state)
    del state["head.0.bias"], state["first.gain"]
    state["first.fc.weight"] = tensors.zeros((4, 3))
    state["tied"] = tensors.zeros((2,))
    state["surplus"] = tensors.zeros((1,))
    state["head.0.surplus"] = tensors.zeros((1,))
    state["head.5.weight"] = tensors.zeros((1,))
    return state


def test_load_reports_everything_in_one_error() -> None:
    ours, theirs = both()
    with pytest.raises(RuntimeError) as report:
        ours.load_state_dict(wrong_state(ours.state_dict(), mg))
    with pytest.raises(RuntimeError) as their_report:
        theirs.load_state_dict(wrong_state(theirs.state_dict(), torch))

    def words(text: str) -> set[str]:
        text = text.replace("torch.Size([4, 3])", "(4, 3)").replace("torch.Size([3, 3])", "(3, 3)")
        text = text.replace("torch.Size([2])", "(2,)").replace("torch.Size([2, 3])", "(2, 3)")
        return set(text.replace(". ", " ").replace(",", " ").split())

    assert words(str(report.value)) == words(str(their_report.value))
    assert str(report.value).startswith("Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: ")
    assert "size mismatch for first.fc.weight" in str(report.value)


def test_nothing_is_loaded_where_something_is_wrong() -> None:
    ours, _ = both()
    before = {key: host(value).copy() for key, value in ours.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    state["tied"] = np.zeros((5, 5), np.float32)
    for strict in (True, False):  # a wrong shape is an error either way, as in torch
        with pytest.raises(RuntimeError, match="size mismatch for tied"):
            ours.load_state_dict(state, strict=strict)
    state["tied"] = "not numbers"
    with pytest.raises(RuntimeError, match='the parameter named "tied"'):
        ours.load_state_dict(state)
    for key, value in ours.state_dict().items():
        np.testing.assert_array_equal(host(value), before[key])


def test_load_not_strict_says_what_it_left_alone() -> None:
    ours, theirs = both()
    our_state, their_state = (wrong_state(m.state_dict(), lib) for m, lib in ((ours, mg), (theirs, torch)))
    for state in (our_state, their_state):
        del state["first.fc.weight"], state["tied"]
    result = ours.load_state_dict(our_state, strict=False)
    their_result = theirs.load_state_dict(their_state, strict=False)
    assert result.missing_keys == their_result.missing_keys
    assert sorted(result.unexpected_keys) == sorted(their_result.unexpected_keys)
    assert result == (result.missing_keys, result.unexpected_keys)


def test_load_assign() -> None:
    m = nn.Linear(2, 3)
    m.bias.requires_grad_(False)
    weight = mg.ones((3, 2), dtype=np.float64)
    m.load_state_dict({"weight": weight, "bias": mg.ones(3)}, assign=True)
    assert m.weight.array is weight.array or np.shares_memory(m.weight.array, weight.array)
    assert isinstance(m.weight, nn.Parameter) and m.weight.dtype == np.float64
    assert m.weight.requires_grad and not m.bias.requires_grad


# ---- modes, devices, gradients ---------------------------------------------------------------------------------------


def test_modes_and_freezing() -> None:
    ours, _ = both()
    assert ours.eval() is ours
    assert not any(m.training for m in ours.modules())
    assert ours.train() is ours and all(m.training for m in ours.modules())
    assert ours.requires_grad_(False) is ours and not any(p.requires_grad for p in ours.parameters())
    visited: list[str] = []
    assert ours.apply(lambda m: visited.append(type(m).__name__)) is ours
    assert visited == ["Linear", "BatchNorm1d", "Block", "Linear", "ReLU", "Sequential", "Net"]


def test_zero_grad(device: str) -> None:
    m = nn.Linear(2, 3).to(device)
    m(mg.ones((1, 2), device=device)).sum().backward()
    gradient = m.weight.grad
    m.zero_grad(set_to_none=False)
    assert m.weight.grad.device == device
    np.testing.assert_array_equal(host(m.weight.grad), 0)
    np.testing.assert_array_equal(host(gradient), 0)  # the same memory
    m.zero_grad()
    assert m.weight.grad is None and m.bias.grad is None


def test_to_moves_everything_and_keeps_the_parameters(device: str) -> None:
    ours, _ = both()
    ours(mg.tensor(np.random.default_rng(0).standard_normal((4, 3)), dtype=np.float32)).sum().backward()
    parameters = list(ours.parameters())
    gradient = host(ours.tied.grad).astype(np.float64)
    assert ours.to(device, np.float64) is ours
    assert all(p is q for p, q in zip(parameters, ours.parameters(), strict=True))
    for t in (*ours.parameters(), *ours.buffers(), *(p.grad for p in ours.parameters())):
        assert t.device == device and t.dtype in (np.float64, np.int64)
    assert ours.first.norm.num_batches_tracked.dtype == np.int64
    np.testing.assert_array_equal(host(ours.tied.grad), gradient)
    ours(mg.zeros((4, 3), dtype=np.float64, device=device)).sum().backward()  # still a working network
    for change, kwargs in ((mg.zeros(1), {}), (None, {"device": "cpu", "dtype": mg.float32})):
        ours.to(change, **kwargs) if change is not None else ours.to(**kwargs)
        assert ours.tied.device == "cpu" and ours.tied.dtype == np.float32
    assert ours.double().tied.dtype == np.float64 and ours.float().tied.dtype == np.float32
    assert ours.cpu().tied.device == "cpu"
    with pytest.raises(TypeError, match="floating point"):
        ours.to(np.int64)


def test_pickle_and_deepcopy(device: str) -> None:
    m = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()).to(device)
    x = mg.tensor(np.random.default_rng(0).standard_normal((2, 2, 5, 5)), dtype=np.float32, device=device)
    m(x).sum().backward()
    m.eval()
    for other in (pickle.loads(pickle.dumps(m)), copy.deepcopy(m)):
        assert repr(other) == repr(m) and not other.training and not other[1].training
        assert list(other.state_dict()) == list(m.state_dict())
        np.testing.assert_array_equal(host(other(x)), host(m(x)))
        assert isinstance(other[0].weight, nn.Parameter) and other[0].weight.requires_grad
        assert other[0].weight is not m[0].weight and other[0].weight.device == device
        with mg.no_grad():
            other[0].weight.zero_()
        assert host(m[0].weight).any()
    tied = nn.Module()
    tied.a = nn.Linear(2, 2)
    tied.b = tied.a.weight
    for other in (pickle.loads(pickle.dumps(tied)), copy.deepcopy(tied)):
        assert other.b is other.a.weight  # what is shared stays shared


# ---- hooks -----------------------------------------------------------------------------------------------------------


def test_forward_hooks() -> None:
    m = nn.Identity()
    calls: list[str] = []
    first = m.register_forward_pre_hook(lambda module, args: calls.append("pre"))
    m.register_forward_pre_hook(lambda module, args: args[0] + 1)
    m.register_forward_hook(lambda module, args, out: calls.append(f"{float(args[0])} {float(out)}"))
    last = m.register_forward_hook(lambda module, args, out: out * 10)
    assert float(m(mg.tensor(1.0))) == 20
    assert calls == ["pre", "2.0 2.0"]
    first.remove()
    first.remove()
    last.remove()
    assert float(m(mg.tensor(1.0))) == 2
    assert calls == ["pre", "2.0 2.0", "2.0 2.0"]
    with m.register_forward_hook(lambda module, args, out: out * 5):
        assert float(m(mg.tensor(1.0))) == 10
    assert float(m(mg.tensor(1.0))) == 2


def run_backward_hooks(lib: Any, tensors: Any, leaf: Any, host: Any) -> list[Any]:
    """Two inputs, two outputs, one of them unused: what the hooks saw, and the gradients after one replaced them."""
    seen: list[Any] = []

    class Two(lib.Module):
        def forward(self, x: Any, y: Any, factor: int) -> Any:
            return x * y * factor, x + 1

    m = Two()

    def look(module: Any, grad_input: tuple, grad_output: tuple) -> None:
        assert module is m
        seen.append([None if g is None else host(g).tolist() for g in (*grad_input, *grad_output)])

    def change(module: Any, grad_input: tuple, grad_output: tuple) -> tuple:
        return (grad_input[0] * 10, grad_input[1], None)

    m.register_full_backward_hook(look)
    handle = m.register_full_backward_hook(change)
    x, y = leaf([1.0, 2.0]), leaf([3.0, 5.0])
    for both_outputs in (False, True):
        product, shifted = m(x, y, 2)
        total = (product * tensors.tensor([1.0, -1.0])).sum()
        (total + (shifted * 3).sum() if both_outputs else total).backward()
    handle.remove()
    m(x.detach(), y, 2)[0].sum().backward()
    return [*seen, host(x.grad).tolist(), host(y.grad).tolist()]


def test_full_backward_hooks_are_torchs() -> None:
    ours = run_backward_hooks(nn, mg, lambda v: mg.tensor(v, requires_grad=True), lambda t: t.detach().numpy())
    theirs = run_backward_hooks(
        torch.nn, torch, lambda v: torch.tensor(v, requires_grad=True), lambda t: t.detach().numpy()
    )
    assert ours == theirs
    assert len(ours) == 5


def test_full_backward_hook_without_differentiable_input() -> None:
    """No gradient reaches the inputs: the hook runs when those of the outputs are there."""
    m = nn.Linear(2, 2)
    seen: list[Any] = []
    m.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        m(mg.ones((1, 2))).sum().backward()
    (grad_input, grad_output) = seen[0]
    assert grad_input == (None,) and host(grad_output[0]).tolist() == [[1, 1]]
    m.register_full_backward_hook(lambda module, grad_input, grad_output: grad_output)
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="no input requires gradient"):
        m(mg.ones((1, 2))).sum().backward()


def test_full_backward_hook_of_the_wrong_length() -> None:
    m = nn.Linear(2, 2)
    m.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0], grad_input[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        m(mg.ones((1, 2), requires_grad=True)).sum().backward()


class Scale(nn.Module):
    def forward(self, x: Any, factor: float = 1.0) -> Any:
        if factor == 0:
            raise ValueError("no factor")
        return x * factor


class TorchScale(torch.nn.Module):
    def forward(self, x: Any, factor: float = 1.0) -> Any:
        if factor == 0:
            raise ValueError("no factor")
        return x * factor


def run_forward_hooks(scale: type, tensor: Any) -> list[Any]:
    """Every kind of hook around a forward: what they saw, in order."""
    seen: list[Any] = []

    def note(name: str, answer: Any = None) -> Any:
        def hook(module: Any, *what: Any) -> Any:
            seen.append([name, *(str([getattr(x, "tolist", lambda x=x: x)() for x in _flat(w)]) for w in what)])
            return answer

        return hook

    m = scale()
    m.register_forward_pre_hook(note("pre"))
    m.register_forward_pre_hook(note("pre, first"), prepend=True)
    m.register_forward_pre_hook(note("pre, keywords"), with_kwargs=True)
    change = m.register_forward_pre_hook(
        note("pre, changing", ((tensor(3.0),), {"factor": 5.0})), with_kwargs=True, prepend=True
    )
    m.register_forward_hook(note("post"))
    m.register_forward_hook(note("post, first"), prepend=True)
    m.register_forward_hook(note("post, keywords", tensor(7.0)), with_kwargs=True)
    seen.append(float(m(tensor(2.0), factor=4.0)))
    change.remove()
    always = m.register_forward_hook(note("always"), always_call=True)
    m.register_forward_hook(note("always, keywords"), always_call=True, with_kwargs=True, prepend=True)
    for factor in (2.0, 0.0):
        try:
            seen.append(float(m(tensor(2.0), factor=factor)))
        except ValueError as error:
            seen.append(str(error))
    always.remove()

    def fails(module: Any, args: Any, output: Any) -> None:
        raise KeyError("of the hook")

    m.register_forward_hook(fails, always_call=True)
    with pytest.warns(UserWarning, match="silenced as another error was raised in forward"):
        with pytest.raises(ValueError, match="no factor"):
            m(tensor(2.0), factor=0.0)
    with pytest.raises(KeyError):
        m(tensor(2.0))
    m.register_forward_pre_hook(lambda module, args, kwargs: args, with_kwargs=True)
    with (
        pytest.warns(UserWarning, match="silenced"),
        pytest.raises(RuntimeError, match="must return None or a tuple of"),
    ):
        m(tensor(2.0))
    return seen


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [x for pair in value.items() for x in pair]
    return list(value) if isinstance(value, tuple) else [value]


def test_forward_hooks_are_torchs() -> None:
    ours, theirs = run_forward_hooks(Scale, mg.tensor), run_forward_hooks(TorchScale, torch.tensor)
    assert ours == theirs
    assert len(ours) > 20


def run_backward_pre_hooks(scale: type, tensor: Any, nothing: Any) -> list[Any]:
    """What the hooks before a backward see and change, with a differentiable input and without one."""
    seen: list[Any] = []
    m = scale()
    m.register_full_backward_pre_hook(lambda module, grads: seen.append(["second", grads[0].tolist()]))
    m.register_full_backward_pre_hook(lambda module, grads: (grads[0] * 10,), prepend=True)
    m.register_full_backward_hook(lambda module, gx, gy: seen.append(["after", gx[0].tolist(), gy[0].tolist()]))
    m.register_full_backward_hook(lambda module, gx, gy: seen.append("after, first"), prepend=True)
    x = tensor([1.0, 2.0], requires_grad=True)
    (m(x, 3.0) * tensor([1.0, -1.0])).sum().backward()
    seen.append(x.grad.tolist())
    m.register_full_backward_pre_hook(lambda module, grads: (grads[0], grads[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_output, got 2, but expected 1"):
        m(x, 3.0).sum().backward()
    m = scale()
    handle = m.register_full_backward_pre_hook(lambda module, grads: (grads[0] * 10,))
    weight = tensor([2.0, 3.0], requires_grad=True)
    m.forward = lambda x: x * weight  # no input that is differentiable: the gradient is the parameter's
    m(tensor([1.0, 1.0])).sum().backward()
    seen.append(weight.grad.tolist())
    handle.remove()
    with nothing():
        seen.append(m(tensor([1.0, 1.0])).tolist())
    return seen


def test_backward_pre_hooks_are_torchs() -> None:
    ours = run_backward_pre_hooks(Scale, mg.tensor, mg.no_grad)
    theirs = run_backward_pre_hooks(TorchScale, torch.tensor, torch.no_grad)
    assert ours == theirs
    assert len(ours) == 7


def test_hooks_that_are_not_built() -> None:
    with pytest.raises(NotImplementedError, match="register_full_backward_hook"):
        nn.Linear(1, 1).register_backward_hook(lambda module, gx, gy: None)


def run_state_hooks(lib: Any, tensors: Any) -> list[Any]:
    """What the hooks around state_dict() and load_state_dict() see and change."""
    seen: list[Any] = []
    m = lib.Sequential(lib.Linear(1, 1), lib.Linear(1, 1, bias=False))
    child = m[0]
    child.register_state_dict_pre_hook(lambda module, prefix, keep: seen.append([module is child, prefix, keep]))

    def rename(module: Any, state: dict, prefix: str, metadata: dict) -> None:
        seen.append([prefix, metadata, list(state)])
        state[prefix + "kernel"] = state.pop(prefix + "weight")

    child.register_state_dict_post_hook(rename)
    state = m.state_dict()
    seen.append(list(state))
    m.register_state_dict_post_hook(lambda module, state, prefix, metadata: state)
    with pytest.raises(RuntimeError, match="state_dict post-hook must return None"):
        m.state_dict()

    def name_back(module: Any, state: dict, prefix: str, metadata: dict, *lists: Any) -> None:
        seen.append([module is child, prefix, metadata, *lists])
        state[prefix + "weight"] = state.pop(prefix + "kernel")

    handle = child.register_load_state_dict_pre_hook(name_back)
    seen.append(str(m.load_state_dict(state)))
    seen.append(list(state))  # the caller's stays as it was
    handle.remove()
    with pytest.raises(RuntimeError, match='Missing key.*"0.weight"'):
        m.load_state_dict(state)

    def forgive(module: Any, keys: Any) -> None:
        seen.append([module is child, list(keys.missing_keys)])
        keys.missing_keys.clear()

    child.register_load_state_dict_post_hook(forgive)
    m.register_load_state_dict_post_hook(lambda module, keys: keys.unexpected_keys.clear())
    state["1.weight"] = tensors.zeros((1, 1))
    seen.append(str(m.load_state_dict(state)))
    seen.append(m[1].weight.tolist())
    m.register_load_state_dict_post_hook(lambda module, keys: 3)
    with pytest.raises(AssertionError, match="not expected to return new values"):
        m.load_state_dict(state)
    return seen


def test_state_hooks_are_torchs() -> None:
    ours, theirs = run_state_hooks(nn, mg), run_state_hooks(torch.nn, torch)
    assert ours == theirs
    assert len(ours) == 12


def test_hooks_after_loading_may_also_complain() -> None:
    m = nn.Linear(1, 1)
    m.register_load_state_dict_post_hook(lambda module, keys: keys.unexpected_keys.append("something"))
    with pytest.raises(RuntimeError, match='Unexpected key.*"something"'):
        m.load_state_dict(m.state_dict())


def test_hooks_leave_no_cycle() -> None:
    m = nn.Linear(2, 2)
    m.register_full_backward_pre_hook(lambda module, grad_output: None)
    m.register_full_backward_hook(lambda module, grad_input, grad_output: None)
    m.register_forward_hook(lambda module, args, out: None)
    m(mg.ones((1, 2), requires_grad=True)).sum().backward()
    gc.collect()
    for _ in range(3):
        m(mg.ones((1, 2), requires_grad=True)).sum().backward()
    assert gc.collect() == 0


def test_state_dict_is_an_ordered_dict() -> None:
    assert isinstance(nn.Linear(1, 1).state_dict(), OrderedDict)
