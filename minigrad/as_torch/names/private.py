"""Private names of torch's own files: what copies of those files, which strangers changed, import."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import minigrad as mg
from minigrad.nn import functional as F

overrides = SimpleNamespace(
    has_torch_function=lambda *tensors: False,
    has_torch_function_unary=lambda x: False,
    has_torch_function_variadic=lambda *tensors: False,
    is_tensor_like=mg.is_tensor,
)
"""No class takes over functions of tensors."""

optimizer = SimpleNamespace(
    _use_grad_for_differentiable=lambda step: mg.no_grad()(step),
    _default_to_fused_or_foreach=lambda *args, **kwargs: (False, False),
    _get_capturable_supported_devices=lambda *args: [],
)
"""A step takes one tensor after the other."""


def legacy_get_string(size_average: Any, reduce: Any, emit_warning: bool = True) -> str:
    """The reduction that the old arguments of losses meant."""
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


reduction = SimpleNamespace(
    legacy_get_string=legacy_get_string, get_enum=lambda reduction: ("none", "mean", "sum").index(reduction)
)
functional = SimpleNamespace(_Reduction=reduction, has_torch_function=overrides.has_torch_function)
collate = SimpleNamespace()


def data_parallel(module: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """The module's outputs, on one device."""
    return module(*inputs if isinstance(inputs, tuple) else (inputs,))


def _addindent(text: str, spaces: int) -> str:
    """The text, all its lines but the first moved to the right."""
    return text.replace("\n", "\n" + " " * spaces)


def _get_clones(module: Any, n: int) -> Any:
    return mg.nn.ModuleList([copy.deepcopy(module) for _ in range(n)])


def _get_activation_fn(activation: str) -> Any:
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return getattr(F, activation)


class NonDynamicallyQuantizableLinear(mg.nn.Linear):
    """A linear layer: nothing is quantised."""
