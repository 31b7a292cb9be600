"""Writes tests/public_names.txt: every public name of minigrad and of the networks, which no change may lose.

    python tools/public_names.py

tests/test_public_names.py looks each of them up. A name that is given up stays as an alias where users would meet it.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
LIST = ROOT / "tests" / "public_names.txt"

MODULES = """
minigrad minigrad.attacks minigrad.attribution minigrad.autograd minigrad.autograd.functional minigrad.cuda minigrad.data
minigrad.defences minigrad.dtypes minigrad.errors minigrad.linalg minigrad.nn minigrad.nn.functional minigrad.nn.init
minigrad.nn.utils
minigrad.optim minigrad.optim.lr_scheduler minigrad.random minigrad.special minigrad.training minigrad.utils
minigrad.utils.checkpoint minigrad.weights models models.reference
""".split()
"""Where users look for names."""

CLASSES = """
minigrad.Tensor minigrad.Generator minigrad.Device minigrad.Size minigrad.autograd.Function minigrad.attacks.PGD
minigrad.nn.Module minigrad.nn.Parameter minigrad.nn.Sequential minigrad.nn.ModuleDict minigrad.nn.ModuleList
minigrad.optim.Optimizer minigrad.optim.lr_scheduler.LRScheduler
""".split()
"""Classes whose methods users call, or write anew."""

OPERATOR = re.compile(r"__(?!dict|module|weakref|annotations|slots)[a-z]+__")

LAZY = "attacks attribution cuda linalg load nn optim data save special training utils".split()
"""What `import minigrad` finds when it is asked for."""


def names_of(owner: object) -> list[str]:
    """A module's __all__ and the functions and classes of its own; a class's attributes, operators among them."""
    if isinstance(owner, ModuleType):
        own = [n for n, value in vars(owner).items() if not n.startswith("_") and _at_home(value, owner.__name__)]
        return sorted({*getattr(owner, "__all__", ()), *own, *(LAZY if owner.__name__ == "minigrad" else ())})
    return [n for n in dir(owner) if not n.startswith("_") or (OPERATOR.fullmatch(n) and n not in dir(object))]


def _at_home(value: object, module: str) -> bool:
    """Whether a module's name is its own, and not typing's or NumPy's."""
    return callable(value) and getattr(value, "__module__", module).startswith(module)


def resolve(path: str) -> object:
    """The module or class of that dotted name. AttributeError where there is none."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        owner, _, name = path.rpartition(".")
        return getattr(resolve(owner), name)


def public_names() -> list[str]:
    """Every public name, dotted."""
    return [f"{path}.{name}" for path in [*MODULES, *CLASSES] for name in names_of(resolve(path))]


if __name__ == "__main__":
    listed = dict.fromkeys([*LIST.read_text().split(), *public_names()])  # what is listed stays
    LIST.write_text("\n".join(sorted(listed)) + "\n")
    print(f"wrote {LIST}: {len(listed)} names")
