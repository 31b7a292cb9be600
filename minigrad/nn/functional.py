"""The functions of neural networks, under torch.nn.functional's names: what the files of minigrad/ops offer there."""

import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import minigrad.ops.dropout
import minigrad.ops.embedding
import minigrad.ops.margin_loss
import minigrad.ops.multihead
import minigrad.ops.windows
from minigrad.aliases import numpys_names as _numpys_names
from minigrad.errors import explain_missing as _explain_missing
from minigrad.ops import late
from minigrad.ops.public import PLACES
from minigrad.tensor import Tensor

late.functional.module = sys.modules[__name__]


def _in_place(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return op(input, *args, **kwargs, inplace=True)

    update_wrapper(function, op, assigned=(), updated=())  # it takes op's arguments
    function.__name__, function.__doc__ = op.__name__ + "_", f"{op.__name__} into input's own memory."
    return function


_functions = {**PLACES["nn.functional"], **{f"{name}_": _in_place(op) for name, op in PLACES["nn.functional_"].items()}}
# Of those with a `dim` this one alone takes `axis` too: torch builds it in C++.
_functions["cosine_similarity"] = _numpys_names(_functions["cosine_similarity"], __name__)
globals().update(_functions)

__all__ = sorted(_functions)

_explain_missing(__name__)
