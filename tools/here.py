"""Write docs/here.md: which of PyTorch's public names minigrad has, which refuse when they are used, which it has not.

    python tools/here.py

Names are those of the installed torch's modules; a name of minigrad's that raises NotImplementedError as soon as it is
made is one that refuses.
"""

from __future__ import annotations

import sys
import textwrap
import types
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PLACES = {
    "torch": "minigrad", "torch.Tensor": "minigrad.Tensor", "torch.nn": "minigrad.nn",
    "torch.nn.functional": "minigrad.nn.functional", "torch.nn.init": "minigrad.nn.init", "torch.nn.utils": "minigrad.nn.utils",
    "torch.optim": "minigrad.optim", "torch.optim.lr_scheduler": "minigrad.optim.lr_scheduler", "torch.linalg": "minigrad.linalg",
    "torch.special": "minigrad.special", "torch.autograd": "minigrad.autograd", "torch.utils.data": "minigrad.utils.data",
}  # fmt: skip
HEAD = """\
# Here and not here

PyTorch's public names, place by place: `import minigrad as mg` has the same ones under the same names. Under *refuses* stand
names that can be imported and mentioned, and raise NotImplementedError when they are used. `python tools/here.py` writes this
page from an installed PyTorch; `python -m compare gradients` compares what the names compute.

minigrad is made for images on one machine or several: what is missing is mostly for sparse, quantised and complex numbers,
volumes, sequences, compilers and torch's own internals.
"""


def resolve(path: str) -> Any:
    """A module, or a class in one."""
    try:
        return import_module(path)
    except ImportError:
        owner, _, name = path.rpartition(".")
        return getattr(import_module(owner), name)


def public(owner: Any) -> list[str]:
    """The names that a place offers: its __all__, or what does not begin with an underscore and is no module."""
    names = getattr(owner, "__all__", None) or dir(owner)
    return sorted(n for n in names if n[0] != "_" and not isinstance(getattr(owner, n, None), types.ModuleType))


def sorted_out(theirs: Any, ours: Any) -> dict[str, list[str]]:
    """{"here", "refuses", "not here"} -> names of torch's."""
    from minigrad.nn.not_built import CLASSES

    found: dict[str, list[str]] = {"here": [], "refuses": [], "not here": []}
    for name in public(theirs):
        value = getattr(ours, name, None)
        kind = "not here" if value is None else "refuses" if value in CLASSES.values() else "here"
        found[kind].append(name)
    return found


def page() -> str:
    """The page."""
    parts = [HEAD]
    for theirs, ours in PLACES.items():
        found = sorted_out(resolve(theirs), resolve(ours))
        total = sum(map(len, found.values()))
        parts.append(f"## {theirs}\n\n{len(found['here'])} of {total} are here.\n")
        for kind, names in found.items():
            if names:
                listed = textwrap.fill(", ".join(f"`{name}`" for name in names), 130, break_on_hyphens=False)
                parts.append(f"**{kind}**\n\n{listed}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    target = ROOT / "docs" / "here.md"
    target.write_text(page())
    print(f"{target.relative_to(ROOT)} written")
