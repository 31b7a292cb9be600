"""Which public names have a gradient: all but those that are listed here, with the reason."""

from __future__ import annotations

import inspect
from typing import Any

import minigrad
import minigrad.linalg
import minigrad.nn
import minigrad.nn.functional
import minigrad.special
from compare.gradients import ops
from compare.gradients.cases import Case, in_place, renamed
from compare.gradients.derivatives import resolve
from minigrad import Tensor
from minigrad.grad_mode import fused_ops

PACKAGES = {
    "": minigrad,
    "nn.functional.": minigrad.nn.functional,
    "linalg.": minigrad.linalg,
    "special.": minigrad.special,
}

_WITHOUT: dict[str, str] = {
    "truths or integers come out": """
        all allclose any argmax argmin argsort argwhere bincount bitwise_and bitwise_not bitwise_or bitwise_xor bucketize
        count_nonzero eq equal ge greater greater_equal gt isclose isfinite isinf isnan isneginf isposinf isreal le less
        less_equal logical_and logical_not logical_or logical_xor lt ne nonzero not_equal searchsorted nn.functional.one_hot
        Tensor.bool Tensor.byte Tensor.char Tensor.int Tensor.long Tensor.short
        Tensor.__and__ Tensor.__or__ Tensor.__xor__ Tensor.__rand__ Tensor.__ror__ Tensor.__rxor__ Tensor.__iand__
        Tensor.__ior__ Tensor.__ixor__ Tensor.__invert__ Tensor.__eq__ Tensor.__ne__ Tensor.__lt__ Tensor.__le__
        Tensor.__gt__ Tensor.__ge__""",
    "makes a new tensor out of no other's numbers": """
        arange empty empty_like eye from_dlpack from_numpy full full_like linspace logspace ones ones_like tensor tril_indices
        triu_indices zeros zeros_like Tensor.new Tensor.new_empty Tensor.new_full Tensor.new_ones Tensor.new_tensor Tensor.new_zeros
        Tensor.ones_like Tensor.zeros_like""",
    "draws random numbers": """
        Tensor.cauchy_ Tensor.exponential_ Tensor.geometric_ Tensor.log_normal_ Tensor.random_ Tensor.uniform_
        bernoulli multinomial normal rand rand_like randint randint_like randn randn_like randperm""",
    "torch has no gradient of it, nor has minigrad": """
        heaviside unique""",
    "cuts the tensor off its graph, or says what the graph is to hold": """
        Tensor.backward Tensor.detach Tensor.detach_ Tensor.register_hook Tensor.register_post_accumulate_grad_hook
        Tensor.requires_grad_ Tensor.retain_grad Tensor.data Tensor.grad detach""",
    "draws random numbers, and passes a gradient on: tests/as_torch/test_names.py": "nn.functional.gumbel_softmax",
    "the tensor itself": """
        Tensor.conj Tensor.conj_physical Tensor.pin_memory Tensor.real Tensor.resolve_conj Tensor.resolve_neg
        Tensor.share_memory_""",
    "writes a file, or reads one": "load save",
    "changes the size of a tensor that has no gradient": "Tensor.resize_ Tensor.resize_as_",
    "no tensor comes out": """
        broadcast_shapes get_device get_num_threads get_rng_state is_gpu_available is_grad_enabled
        load_torch_state_dict manual_seed max_memory_allocated memory_allocated promote_types
        get_default_device get_default_dtype initial_seed is_complex is_floating_point is_nonzero is_same_size is_signed
        is_storage is_tensor numel seed set_default_dtype watch Tensor.storage_offset
        Tensor.is_conj Tensor.is_distributed Tensor.is_inference Tensor.is_neg Tensor.is_pinned Tensor.is_shared
        Tensor.ndimension
        reset_peak_memory_stats result_type set_num_threads set_printoptions set_rng_state synchronize to_torch_state_dict
        Tensor.is_cpu Tensor.get_device Tensor.itemsize Tensor.nbytes Tensor.__format__
        Tensor.data_ptr Tensor.dim Tensor.element_size Tensor.is_contiguous Tensor.is_floating_point
        Tensor.shape Tensor.ndim Tensor.name Tensor.dtype Tensor.device Tensor.is_cuda Tensor.is_leaf Tensor.requires_grad
        Tensor.grad_fn Tensor.version Tensor.item Tensor.nelement Tensor.numel Tensor.numpy Tensor.size
        Tensor.memory Tensor.stride Tensor.tolist Tensor.__array__ Tensor.__bool__ Tensor.__contains__ Tensor.__dlpack__
        Tensor.__dlpack_device__ Tensor.__float__ Tensor.__hash__ Tensor.__index__ Tensor.__int__
        Tensor.__len__ Tensor.__repr__ Tensor.__reduce__ Tensor.__init__""",
    "Tensor.to in other words": "Tensor.half Tensor.type",
    "types that are not built: refused by name": "Tensor.bfloat16 Tensor.chalf Tensor.cfloat Tensor.cdouble",
    "a copy for Python's own use, a leaf": "Tensor.__deepcopy__",
    "wants a GPU; the tests run it through the stand-in for CuPy": "Tensor.cuda Tensor.gpu",
}  # fmt: skip
WITHOUT = {name: reason for reason, names in _WITHOUT.items() for name in names.split()}
"""{name of a function or method: why it has no row}."""

HOLDERS = {
    name: "holds others, or numbers; computes nothing itself"
    for name in ("DataParallel", "Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList")
}
"""{name in minigrad.nn: why it has no row}."""


def functions() -> dict[str, Any]:
    """{dotted name: function} of all that can be called and is no class: in these packages; of Tensor its operators, properties and
    those methods that are not just one of those functions."""
    found = {
        prefix + name: getattr(package, name)
        for prefix, package in PACKAGES.items()
        for name in package.__all__
        if not name.startswith("__") and _is_function(getattr(package, name))
    }
    known = {id(_itself(name, function)) for name, function in found.items()}
    for name, method in vars(Tensor).items():
        operator = name.startswith("__")
        if (
            operator
            and callable(method)
            or not name.startswith("_")
            and (isinstance(method, property) or _is_function(method) and id(_itself(name, method)) not in known)
        ):
            found[f"Tensor.{name}"] = method
    return found


def _itself(name: str, function: Any) -> Any:
    """The function without what takes NumPy's names. A form in place, which wraps the op, is another function."""
    return function if _plain(name) != name else inspect.unwrap(function)


def _is_function(thing: Any) -> bool:
    return callable(thing) and not inspect.isclass(thing) and not inspect.ismodule(thing)


def differentiable() -> list[str]:
    """The names that must have a row, in order."""
    return [name for name in functions() if name not in WITHOUT and _plain(name) not in WITHOUT]


def _plain(name: str) -> str:
    """exp of Tensor.exp_ and nn.functional.relu of nn.functional.relu_: the form that is not in place."""
    return name.removeprefix("Tensor.").removesuffix("_") if name.endswith("_") and not name.endswith("__") else name


def op_cases(name: str) -> list[Case]:
    """The cases of a public name: its own, those of the same function under another name, or of the form in place. []: none."""
    table, known = ops.T.by_name, functions()
    if name in table:
        return table[name]
    same = [other for other in table if name in known and _found(other) is _itself(name, known[name])]
    if same:
        return [renamed(case, name) for case in table[same[0]]]
    if name != (plain := _plain(name)):
        return [in_place(case, name) for case in op_cases(plain)[:1]]
    return []


def _found(name: str) -> Any:
    try:
        return _itself(name, resolve(minigrad, name))
    except AttributeError:
        return None


def fused_names() -> list[str]:
    """The names of minigrad's fused ops, as `minigrad.definitions` takes them. A user's own are not among them."""
    return sorted(name for name in fused_ops if hasattr(minigrad.nn.functional, name) or hasattr(minigrad, name))


def fused_cases(name: str) -> list[Case]:
    """The cases in which that op runs: of its function, and of the longer ones that begin with it."""
    longer = [other for other in ops.T.by_name if other.startswith(f"nn.functional._{name}")]
    first = f"nn.functional.{name}" if hasattr(minigrad.nn.functional, name) else name
    return [case for each in (first, *longer) for case in op_cases(each)]
