"""The one list of the public ops: each family's file ends with what it offers, and under which of minigrad's names.

    offer("minigrad Tensor Tensor_", exp, log, absolute=abs)

makes minigrad.exp(x), x.exp() and x.exp_(), and x.absolute() of abs. minigrad/__init__.py, methods.py, nn/functional.py,
linalg.py and special.py take their functions from here, and tools/stubs.py their types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.aliases import numpys_names

PLACES: dict[str, dict[str, Callable[..., Any]]] = {
    "minigrad": {},  # minigrad.exp(x)
    "Tensor": {},  # x.exp()
    "Tensor_": {},  # x.exp_(): into x's own memory
    "nn.functional": {},
    "nn.functional_": {},  # nn.functional.relu_(x): with inplace=True
    "linalg": {},
    "special": {},
}
"""Name to op, by the place where users look for it."""


def offer(places: str, *ops: Callable[..., Any], **renamed: Callable[..., Any]) -> None:
    """Makes ops public in these places, under their own names or under those given. ValueError for a name that is taken."""
    for place in places.split():
        for name, op in [*((op.__name__, op) for op in ops), *renamed.items()]:
            if PLACES[place].setdefault(name, op) is not op:
                raise ValueError(f"{place} has {name} from {PLACES[place][name].__module__} and from {op.__module__}")


def functions(place: str) -> dict[str, Any]:
    """What is offered there, taking NumPy's names of arguments too."""
    module = "minigrad" if place == "minigrad" else f"minigrad.{place}"
    return {name: numpys_names(op, module) for name, op in sorted(PLACES[place].items())}
