"""Every public function, method and constructor takes torch's arguments: by the same names, in the same order and defaults.

Compared with what torch's parser, its docstrings and `torch.overrides` say (`torch_signatures.py`), and, for what takes
sizes one by one or several kinds of calls, against torch itself, line by line.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
import minigrad.autograd.functional
import minigrad.linalg
import minigrad.nn.functional
import minigrad.nn.init
import minigrad.nn.utils
import minigrad.optim.lr_scheduler
import minigrad.special
import minigrad.utils.checkpoint
from tests.torch_signatures import REQUIRED, Argument, Signature, documented, signatures, takes

ASIDE = {
    "out": "taken by a wrapper of minigrad's functions: see tests/engine/test_out.py",
    "layout": "taken by a wrapper of all that makes tensors: see LINES",
    "pin_memory": "as layout",
    "memory_format": "as layout, and by clone, contiguous, to",
    "self": "torch's name for input where a number stands first, in some ops alone; input takes the number here",
    "out_dtype": "for products on GPUs; torch refuses it on the CPU",
    "cudnn_enable": "chooses torch's library",
    "cudnn_enabled": "chooses torch's library",
    "implicit": "torch's own use of expand",
    "_stacklevel": "private to torch; torch.softmax has dtype in its place",
    "inplace": "in the docstrings of in-place forms alone",
}
"""Arguments that are not taken, or not looked at here, and why."""

EXCEPTIONS = {
    "device": "written in C, without a schema of its own; see tests/engine/test_moving.py",
    "Size": "a tuple, and torch's docstring is that of tuple",
    **{
        f"{kind}Tensor": "torch's old constructors, written in C; see tests/engine/test_constructors.py"
        for kind in ("Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
    },
    "get_device": "torch's is a tensor's number; minigrad's makes a Device of a name",
    "einsum": "torch's C function of that name is another; see LINES",
    "result_type": "each kind of call has names of its own; see LINES",
    "nn.functional.elu_": "scale and input_scale are for torch's own selu_ and celu_",
    "tensor": "written in C, without a schema of its own; see LINES",
    "as_tensor": "likewise",
    "special.log_softmax": "torch.special's takes dtype by name alone; it is torch.log_softmax here",
    "Tensor.relu": "torch's docstring is that of nn.functional.relu",
    "Tensor.to": "see LINES",
    "Generator": "written in C; see test_generator_takes_a_device",
    "utils.checkpoint.checkpoint": "torch's decorates a function where it is given none; that is not built",
    "utils.checkpoint.CheckpointError": "an exception",
    "autograd.Function": "a base class, whose methods are the user's",
    "Tensor.new": "written in C, several ways to be called; see tests/as_torch/test_names.py",
    **{
        f"nn.init.{name}": "torch's docstring is that of another function of this name"
        for name in ("eye", "normal", "uniform")
    },
    **{f"nn.{name}": "not built: see tests/as_torch/test_names.py" for name in minigrad.nn.not_built.__all__},
    "nn.Parameter": "data is () by default, None in torch: no numbers in both",
}
"""What is not compared with torch's signature, and why."""

DEFAULTS = {
    "avg_pool1d(stride)", "avg_pool2d(stride)", "max_pool1d(stride)", "max_pool2d(stride)",  # None is torch's [], too
    "std(unbiased)", "var(unbiased)", "std_mean(unbiased)", "var_mean(unbiased)",  # None: True, unless correction
    "tril_indices(dtype)", "triu_indices(dtype)",  # None: int64
    "log_softmax(dim)", "softmax(dim)", "softmin(dim)",
    "Transformer(activation)", "TransformerDecoderLayer(activation)",
    "TransformerEncoderLayer(activation)",  # relu, of the one and of the other
    "checkpoint(context_fn)",  # likewise
    "norm(dtype)",  # torch.norm has out before it, torch.Tensor.norm has not
}  # fmt: skip
"""Arguments whose place or default is said otherwise and means the same."""

MODULES: dict[str, tuple[Any, Any]] = {
    "": (minigrad, torch),
    "Tensor.": (minigrad.Tensor, torch.Tensor),
    "linalg.": (minigrad.linalg, torch.linalg),
    "special.": (minigrad.special, torch.special),
    "autograd.": (minigrad.autograd, torch.autograd),
    "autograd.functional.": (minigrad.autograd.functional, torch.autograd.functional),
    "nn.": (minigrad.nn, torch.nn),
    "nn.functional.": (minigrad.nn.functional, torch.nn.functional),
    "nn.init.": (minigrad.nn.init, torch.nn.init),
    "nn.utils.": (minigrad.nn.utils, torch.nn.utils),
    "optim.": (minigrad.optim, torch.optim),
    "optim.lr_scheduler.": (minigrad.optim.lr_scheduler, torch.optim.lr_scheduler),
    "utils.checkpoint.": (minigrad.utils.checkpoint, torch.utils.checkpoint),
}
for _prefix in ("nn.", "optim.", "optim.lr_scheduler."):  # the classes there, for their methods
    _ours_here, _torchs_here = MODULES[_prefix]
    MODULES |= {
        f"{_prefix}{name}.": (getattr(_ours_here, name), getattr(_torchs_here, name))
        for name in dir(_ours_here)
        if isinstance(getattr(_ours_here, name), type) and hasattr(_torchs_here, name)
    }


def _public() -> list[str]:
    """Every callable that torch has under the same name; of a module's or an optimizer's class, what it defines itself."""
    names = []
    for prefix, (ours, theirs) in MODULES.items():
        for name in vars(ours) if isinstance(ours, type) and ours is not minigrad.Tensor else dir(ours):
            function, named = getattr(ours, name), getattr(theirs, name, None)
            if name.startswith("_") or not callable(function) or not callable(named) or prefix + name in EXCEPTIONS:
                continue
            if function is not minigrad.Tensor:
                names.append(prefix + name)
    return names


PUBLIC = _public()


def _found(name: str) -> tuple[Any, Any, str]:
    """(where minigrad has it, where torch has it, its own name)."""
    prefix, _, own = name.rpartition(".")
    return *MODULES[prefix + "." if prefix else ""], own


def _ours(owner: Any, own: str) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(getattr(owner, own)).parameters.values())
    return parameters[isinstance(owner, type) :]  # without a method's self


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two defaults mean the same: () is torch's [], and one number its [2, 2]."""
    if isinstance(theirs, (list, tuple)) and not isinstance(ours, (list, tuple)):
        return len(theirs) > 0 and all(part == ours for part in theirs)
    if isinstance(theirs, (list, tuple)):
        return list(ours) == list(theirs)
    return ours == theirs


def differences(own: str, ours: list[inspect.Parameter], overloads: list[Signature]) -> list[str]:
    """What torch takes and these parameters do not, in words."""
    places = {p.name: i for i, p in enumerate(ours)}
    loose = next((i for i, p in enumerate(ours) if p.kind is p.VAR_POSITIONAL), len(ours))
    found = []

    def elsewhere(i: int) -> bool:
        """Whether our parameter at i has its place in another of torch's signatures."""
        return i < len(ours) and any(len(o) > i and o[i].name == ours[i].name for o in overloads)

    for overload in overloads:
        for i, argument in enumerate(overload):
            label = f"{own}({argument.name})"
            if argument.name in ASIDE or argument.name in ("args", "kwargs", "self"):
                continue
            if argument.name not in places:
                if not any(p.kind is p.VAR_KEYWORD for p in ours):
                    found.append(f"{label} is not taken")
                continue
            place = places[argument.name]
            parameter = ours[place]
            if argument.keyword_only:
                always = all(a.keyword_only for o in overloads for a in o if a.name == argument.name)
                if always and parameter.kind is not parameter.KEYWORD_ONLY:
                    found.append(f"{label} is by name alone in torch")
            elif place != i and i < loose and not elsewhere(i) and label not in DEFAULTS:
                found.append(f"{label} stands at {place}, in torch at {i}")
            elif place == i and parameter.kind is parameter.KEYWORD_ONLY:
                found.append(f"{label} is by name alone")
            if argument.default is not REQUIRED and label not in DEFAULTS:
                said = [a.default for o in overloads for a in o if a.name == argument.name]
                if not any(_same(parameter.default, default) for default in said):
                    found.append(f"{label} is {parameter.default!r} by default, in torch {argument.default!r}")
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_arguments(name: str) -> None:
    ours, theirs, own = _found(name)
    found = differences(own, _ours(ours, own), signatures(theirs, own))
    assert not found, f"{name}{inspect.signature(getattr(ours, own))}: " + "; ".join(found)


@pytest.mark.parametrize("name", [name for name in PUBLIC if not isinstance(getattr(*_found(name)[1:]), type)])
def test_documented_arguments(name: str) -> None:
    """What torch's docstring or torch.overrides name, minigrad takes, or torch itself refuses when called."""
    ours, theirs, own = _found(name)
    parameters = inspect.signature(getattr(ours, own)).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    missing = [n for n in documented(theirs, own) - set(parameters) - set(ASIDE) if takes(theirs, own, n)]
    assert not missing or all(n == "input" and isinstance(ours, type) for n in missing)


def test_the_comparison_finds_what_differs() -> None:
    def ours(x: Any, dims: int = 0, *, keepdim: bool = False) -> None: ...

    theirs = [[Argument("input", REQUIRED, False), Argument("dims", 1, False), Argument("keepdim", False, False)]]
    found = differences("f", list(inspect.signature(ours).parameters.values()), theirs)
    assert [words.partition(" ")[0] for words in found] == ["f(input)", "f(dims)", "f(keepdim)"]


# -- calls ------------------------------------------------------------------------------------------------------------

LINES = """
mg.isnan(input=X)
mg.eq(input=X, other=X)
mg.exp(input=X)
mg.add(input=X, other=X, alpha=2)
mg.subtract(X, 2, 3)
X.subtract(2, alpha=3)
mg.dot(input=I, tensor=I)
mg.vdot(input=I, other=I)
mg.flip(X, dims=(0, 1))
mg.flip(input=X, dims=[0])
X.flip(dims=(0,))
X.flip(0, 1)
X.flip([1])
mg.permute(X, (1, 0))
mg.permute(input=X, dims=(1, 0))
X.permute(dims=(1, 0))
X.permute(1, 0)
X.permute((1, 0))
mg.reshape(X, (3, 2))
mg.reshape(X, shape=(3, 2))
X.reshape(shape=(3, -1))
X.reshape(3, 2)
X.view(size=(3, 2))
X.view(3, 2)
X.view([6])
X.view(dtype=mg.int64)
X.view(mg.int64)
X[:1].expand(size=(4, 3))
X[:1].expand(4, -1)
X.repeat(repeats=(2, 1))
X.repeat(2, 1, 1)
mg.tile(X, dims=(2, 1))
X.tile(dims=(2,))
X.tile(2, 1)
mg.broadcast_to(X, size=(2, 2, 3))
mg.swapaxes(X, axis0=0, axis1=1)
X.swapaxes(axis0=0, axis1=1)
mg.swapdims(X, dim0=0, dim1=1)
mg.transpose(X, dim0=0, dim1=1)
mg.movedim(X, source=0, destination=1)
mg.unflatten(X, dim=1, sizes=(3, 1))
X.split(split_size=2, dim=1)
X.split([1, 2], 1)
mg.split(tensor=X, split_size_or_sections=2, dim=1)
mg.split(X, (1, 2), 1)
mg.tensor_split(X, 2)
mg.tensor_split(X, sections=2, dim=1)
mg.tensor_split(X, indices=(1, 2), dim=1)
mg.tensor_split(X, tensor_indices_or_sections=I, dim=1)
X.hsplit(sections=3)
X.hsplit(indices=(1, 2))
mg.vsplit(X, 2)
mg.vsplit(X, sections=2)
mg.dsplit(X[None], indices=(1,))
mg.repeat_interleave(I)
mg.repeat_interleave(repeats=I)
mg.repeat_interleave(input=I, repeats=2)
mg.repeat_interleave(X, repeats=2, dim=1)
mg.roll(X, shifts=1, dims=0)
mg.rot90(X, k=1, dims=[0, 1])
mg.max(X, other=X + 1)
mg.max(X, X + 1)
mg.max(input=X, dim=0, keepdim=True)[1]
X.min(other=X)
mg.std(X, False)
mg.std(X, unbiased=False)
X.var(1, False, True)
X.var(dim=0, correction=0, keepdim=True)
mg.norm(X, 2, 1, True)
X.norm(2, 1, False, mg.float64)
X.norm(p=1, dim=0, keepdim=False, dtype=mg.float64)
mg.linalg.vector_norm(x=X, ord=1)
mg.linalg.vector_norm(input=X)
mg.linalg.norm(input=X)
mg.linalg.matrix_norm(input=X, ord=1)
mg.sort(X, dim=0, descending=True, stable=True)[0]
X.argsort(dim=0, descending=True, stable=True)
mg.where(X > 1, X, 0.0)
mg.where(condition=X > 1, input=X, other=X + 1)
X.where(condition=X > 1, other=X + 1)
mg.scatter(X, 0, I[:2].reshape(1, 2), 5.0)
mg.scatter(input=X, dim=0, index=I[:2].reshape(1, 2), value=5.0)
mg.scatter(X, dim=0, index=I[:2].reshape(1, 2), src=X + 7)
X.clone().scatter_(dim=0, index=I[:2].reshape(1, 2), value=5.0)
X.clone().index_fill_(dim=0, index=I[:1], value=2.0)
X.clone().add_(other=X, alpha=2)
X.clone().clamp_(min=1)
X.clone().lerp_(end=X + 1, weight=0.5)
X.clone().masked_fill_(mask=X > 1, value=0)
X.clone().copy_(other=X[:1])
X.clone().copy_(X[:1], non_blocking=True)
X.clone().fill_(value=3)
mg.arange(end=3)
mg.arange(start=1, end=7, step=2)
mg.arange(1, end=4)
mg.zeros(size=(2, 3))
mg.zeros(2, 3, layout=mg.strided, pin_memory=False)
mg.zeros([2, 3])
mg.full(size=(2,), fill_value=3.0)
mg.eye(n=2, m=3)
mg.linspace(start=0, end=1, steps=3)
mg.tril_indices(row=3, col=3, offset=0, layout=mg.strided, pin_memory=False)
mg.tensor(data=[1.0], pin_memory=False)
mg.as_tensor(data=[1.0], dtype=mg.float64)
mg.ones_like(input=X, memory_format=mg.preserve_format)
mg.full_like(input=X, fill_value=2.0, layout=mg.strided, pin_memory=False)
mg.randint(high=1, size=(2,))
mg.randint(low=3, high=4, size=(2,))
mg.randint(1, (2,))
mg.randint(3, 4, (2,))
mg.randint_like(X, high=1)
mg.randint_like(X, 1)
mg.randint_like(X, low=3, high=4)
mg.normal(mean=2.0, std=0.0, size=(2,), layout=mg.strided, pin_memory=False)
mg.normal(mean=X, std=0.0 * X)
mg.dropout(input=X, p=0.5, train=False)
X.new_zeros(size=(2,))
X.new_zeros(2, 3)
X.new_ones(size=(2,), dtype=mg.float32, device="cpu", requires_grad=True)
X.new_full(size=(2,), fill_value=3.0)
X.new_full((2,), 3.0, layout=mg.strided, pin_memory=False)
X.new_tensor(data=[1.0, 2.0])
X.new_tensor([1.0], dtype=mg.float32, requires_grad=True)
X.clone(memory_format=mg.contiguous_format)
X.contiguous(memory_format=mg.contiguous_format)
X.to(dtype=mg.float32, non_blocking=True, copy=True)
X.to(mg.float32, False, True)
X.to("cpu", mg.float32, False, True)
X.to(tensor=I)
X.to(I)
X.to(device="cpu", memory_format=mg.preserve_format)
X.float(memory_format=mg.preserve_format)
X.cpu(memory_format=mg.preserve_format)
X.type_as(other=I)
mg.einsum("ij,kj->ik", X, X)
mg.einsum("ij,kj->ik", [X, X])
mg.meshgrid(I, I, indexing="ij")[1]
mg.clamp(X, min=1, max=2)
mg.div(X, other=2, rounding_mode="floor")
mg.nn.functional.gelu(input=X, approximate="tanh")
mg.nn.functional.max_pool1d(input=X, kernel_size=2, stride=1, padding=0, dilation=1, ceil_mode=False, return_indices=True)[1]
mg.nn.functional.adaptive_max_pool1d(X, output_size=2, return_indices=True)[0]
mg.nn.functional.leaky_relu_(input=X.clone(), negative_slope=0.5)
mg.nn.functional.scaled_dot_product_attention(query=X, key=X, value=X, scale=1.0, enable_gqa=False)
mg.nn.utils.get_total_norm(tensors=[X], norm_type=2.0, error_if_nonfinite=False, foreach=None)
mg.from_dlpack(X, copy=True)
"""
"""Lines that both understand, with the same result. X is (2, 3) floats, I three integers."""

REFUSED = """
mg.flip(X, dims=(0,), axes=1)
X.permute(dim=(1, 0))
X.view(shape=(3, 2))
X.repeat(sizes=(2, 1))
X.split(split_size_or_sections=2)
X.new_zeros(shape=(2,))
X.new_zeros(size=(2,), names=None)
X.to(other=I)
X.copy_(source=X)
mg.sort(X, 0, True, True)
mg.argsort(X, 0, True, True)
mg.as_tensor([1.0], mg.float64)
mg.aminmax(X, 0)
mg.nn.functional.gelu(X, "tanh")
mg.nn.functional.scaled_dot_product_attention(X, X, X, None, 0.0, False, 1.0)
mg.hsplit(X)
mg.hsplit(X, sections=3, indices=(1,))
mg.hsplit(X, indices_or_sections=3)
mg.swapaxes(X, dim0=0, dim1=1)
mg.dot(I, other=I)
mg.linalg.norm(A=X)
mg.arange()
mg.randint(3)
mg.result_type(tensor1=X, tensor2=X)
"""
"""Lines that neither takes: a TypeError."""


def _run(line: str, framework: Any) -> Any:
    x = framework.tensor(np.arange(6.0).reshape(2, 3))
    names = {"mg": framework, "X": x, "I": framework.tensor([0, 1, 1])}
    return eval(line, names)


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_call(line: str) -> None:
    ours, theirs = _parts(_run(line, minigrad)), _parts(_run(line, torch))
    assert len(ours) == len(theirs)
    for mine, torchs in zip(ours, theirs, strict=True):
        assert tuple(mine.shape) == tuple(torchs.shape)
        assert (
            str(mine.dtype) == str(torchs.dtype).removeprefix("torch.") and mine.requires_grad == torchs.requires_grad
        )
        np.testing.assert_allclose(mine.detach().numpy(), torchs.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_refused(line: str) -> None:
    for framework in (torch, minigrad):
        with pytest.raises(TypeError):
            _run(line, framework)


@pytest.mark.parametrize(
    "given", [{"tensor": "X", "other": "I"}, {"scalar": "2", "tensor": "I"}, {"scalar1": "2", "scalar2": "2.5"}]
)
def test_result_type(given: dict[str, str]) -> None:
    line = f"mg.result_type({', '.join(f'{k}={v}' for k, v in given.items())})"
    assert str(_run(line, minigrad)) == str(_run(line, torch)).removeprefix("torch.")
    assert str(_run("mg.promote_types(type1=mg.int8, type2=mg.uint8)", minigrad)) == "int16"


def test_what_cannot_mean_anything_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match="pin_memory=True"):
        minigrad.zeros(2, pin_memory=True)
    with pytest.raises(NotImplementedError, match="layout='sparse'"):
        minigrad.rand(2, layout="sparse")
    with pytest.raises(TypeError, match="memory_format"):
        minigrad.zeros(2).clone(memory_format="channels_last")
    with pytest.raises(RuntimeError, match="rank 4"):
        minigrad.zeros(2).clone(memory_format=minigrad.channels_last)


MEMORY = """
X.clone(memory_format=mg.channels_last)
X.clone(memory_format=mg.contiguous_format)
X.contiguous(memory_format=mg.channels_last)
X.contiguous(memory_format=mg.channels_last).contiguous()
X.contiguous(memory_format=mg.channels_last).clone()
X.contiguous(memory_format=mg.channels_last).clone(memory_format=mg.contiguous_format)
X.to(memory_format=mg.channels_last)
X.to(mg.float32, memory_format=mg.channels_last)
X.float(memory_format=mg.channels_last)
mg.ones_like(X, memory_format=mg.channels_last)
mg.ones_like(X.contiguous(memory_format=mg.channels_last), memory_format=mg.contiguous_format)
mg.full_like(X, 2.0, memory_format=mg.channels_last)
mg.randint_like(X, 1, memory_format=mg.channels_last)
mg.empty(2, 3, 4, 5, memory_format=mg.channels_last).fill_(0)
mg.nn.Conv2d(3, 4, 3).to(memory_format=mg.channels_last).weight * 0
"""


@pytest.mark.parametrize("line", MEMORY.strip().splitlines())
def test_memory_formats(line: str) -> None:
    """Values, strides and what is_contiguous says of them."""
    found = []
    for framework in (minigrad, torch):
        x = framework.tensor(np.arange(120.0).reshape(2, 3, 4, 5))
        y = eval(line, {"mg": framework, "X": x})
        last = y.is_contiguous(memory_format=framework.channels_last)
        found.append((y.stride(), y.is_contiguous(), last, y.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("line", ["x.clone(memory_format=f)", "x.contiguous(memory_format=f)", "x.to(memory_format=f)"])
def test_memory_formats_have_gradients(line: str, device: str) -> None:
    x = minigrad.randn(2, 3, 4, 5, device=device, requires_grad=True)
    y = eval(line, {"x": x, "f": minigrad.channels_last})
    assert y.is_contiguous(memory_format=minigrad.channels_last) and minigrad.equal(x, y)
    (y * y).sum().backward()
    assert x.grad.equal(2 * x.detach())


def test_generator_takes_a_device() -> None:
    drawn = [minigrad.Generator(device="cpu").manual_seed(3), minigrad.Generator(3)]
    assert len({float(minigrad.rand(1, generator=g)) for g in drawn}) == 1


@pytest.mark.parametrize("unused", [{}, {"allow_unused": True}, {"materialize_grads": True}])
def test_batched_gradients(unused: dict[str, bool]) -> None:
    """A row of gradients for each row of grad_outputs."""
    found = []
    for framework in (minigrad, torch):
        x = framework.tensor(np.arange(1.0, 4.0), requires_grad=True)
        other = framework.tensor(np.ones(2), requires_grad=True)
        y, rows = x * x, framework.tensor(np.arange(6.0).reshape(2, 3))
        inputs = [x, other] if unused else [x]
        gradients = framework.autograd.grad(y, inputs, rows, is_grads_batched=True, only_inputs=True, **unused)
        found.append([None if g is None else g.tolist() for g in gradients])
        with pytest.raises(RuntimeError):  # the graph is gone, as after any backward pass
            framework.autograd.grad(y, x, rows[0])
    assert found[0] == found[1]


def test_old_names_of_backward() -> None:
    x = minigrad.ones(2, requires_grad=True)
    with pytest.warns(FutureWarning, match="grad_variables"):
        minigrad.autograd.backward(x * 2, grad_variables=minigrad.ones(2))
    assert x.grad.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="grad_variables"):
        minigrad.autograd.backward(x * 2, minigrad.ones(2), grad_variables=minigrad.ones(2))
    with pytest.warns(FutureWarning, match="only_inputs"):
        minigrad.autograd.grad((x * 2).sum(), x, only_inputs=False)
