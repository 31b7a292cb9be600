"""What a command is: a package of compare/, and the names that it had before."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

ALIASES = {"bisect": "layerwise"}
"""{a command's former name, which its recorded results and command lines still have: its name}."""


def find(name: str) -> Any:
    """The package of a command, by its name or a former one; None if there is none."""
    place = f"compare.{ALIASES.get(name, name)}"
    return import_module(place) if find_spec(place) else None
