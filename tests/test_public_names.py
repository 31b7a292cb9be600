"""No public name is lost: what tests/public_names.txt lists is found, under the same name or as an alias of a new one."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import defaultdict

import pytest

from tools.public_names import LIST, ROOT, public_names, resolve

NAMES: dict[str, list[str]] = defaultdict(list)
for _path in LIST.read_text().split():
    NAMES[_path.rpartition(".")[0]].append(_path.rpartition(".")[2])


@pytest.mark.parametrize("owner", NAMES)
def test_no_name_is_lost(owner: str) -> None:
    found = resolve(owner)
    assert not [name for name in NAMES[owner] if not hasattr(found, name)]


@pytest.mark.parametrize("owner", [owner for owner in NAMES if hasattr(sys.modules.get(owner), "__all__")])
def test_star_imports_give_what_all_promises(owner: str) -> None:
    module = importlib.import_module(owner)
    assert not [name for name in module.__all__ if not hasattr(module, name)]


def test_names_are_there_after_import_minigrad_alone() -> None:
    top = [name for name in NAMES["minigrad"]]
    code = f"import minigrad; print([n for n in {top} if not hasattr(minigrad, n)])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_list_is_of_the_form_that_the_tool_writes() -> None:
    assert set(NAMES) <= {path.rpartition(".")[0] for path in public_names()}
