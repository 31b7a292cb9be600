"""Who may import whom (docs/design.md), and what `import minigrad` brings along."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OUTSIDE = {"compare", "cupy", "cupyx", "matplotlib", "models", "PIL", "safetensors", "scipy", "tensorboardX", "torch"}
OUTSIDE |= {"torchvision", "tqdm"}

# Folder or file -> which of the names above it may import; a trailing "lazily" means inside functions only.
RULES = {
    "minigrad/backends/cpu": {"scipy lazily"},
    "minigrad/backends/gpu": {"cupy lazily", "cupyx lazily"},
    "minigrad/data/transforms.py": {"PIL"},  # itself imported only where images are read
    "minigrad/data": {"PIL lazily", "torchvision lazily"},
    "minigrad/training": {
        "matplotlib lazily", "safetensors lazily", "tensorboardX lazily", "torch lazily", "torchvision lazily", "tqdm lazily",
        "models lazily",
    },
    "minigrad/tracing": {"matplotlib lazily", "tensorboardX lazily", "torch lazily"},
    "minigrad/weights.py": {"safetensors lazily", "torch lazily"},
    "minigrad": set(),
    "models/reference": {"models", "torch", "torchvision", "torchvision lazily"},
    "models": {"models"},
}  # fmt: skip


def _imports(path: Path) -> set[tuple[str, bool]]:
    """(top-level package, whether only inside a function) of each import of a file."""
    tree = ast.parse(path.read_text())
    found = set()

    def visit(node: ast.AST, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.update((alias.name.split(".")[0], inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
                found.add((child.module.split(".")[0], inside))
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            visit(child, inside or typing_only or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    visit(tree, False)
    return found


def _rule(path: Path) -> set[str]:
    name = path.relative_to(ROOT).as_posix()
    return next(allowed for room, allowed in RULES.items() if name.startswith(room))


@pytest.mark.parametrize("path", sorted([*ROOT.glob("minigrad/**/*.py"), *ROOT.glob("models/**/*.py")]), ids=str)
def test_rooms_import_only_what_they_may(path: Path) -> None:
    allowed = _rule(path)
    for package, lazily in _imports(path):
        if package in OUTSIDE:
            ok = package in allowed or (lazily and f"{package} lazily" in allowed)
            assert ok, f"{path.relative_to(ROOT)} imports {package}{'' if lazily else ' at the top'}"


def test_the_engine_knows_no_room_above_it() -> None:
    rooms = ("nn", "optim", "data", "training", "attacks", "attribution")
    above = tuple(f"minigrad.{room}" for room in rooms)
    for path in [*ROOT.glob("minigrad/*.py"), *ROOT.glob("minigrad/ops/*.py"), *ROOT.glob("minigrad/backends/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith(above), f"{path.relative_to(ROOT)} imports {node.module}"


def test_importing_minigrad_is_light() -> None:
    code = (
        "import sys, minigrad, minigrad.nn, minigrad.optim, minigrad.data; "
        "print([m for m in ('torch', 'torchvision', 'cupy', 'matplotlib', 'scipy', 'PIL', 'tqdm', 'safetensors') "
        "if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_attacks_are_there_when_asked_for() -> None:
    code = (
        "import sys, minigrad; before = 'minigrad.attacks' in sys.modules; "
        "print(before, minigrad.attacks.PGD.__module__)"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False minigrad.attacks.pgd"


def test_the_script_of_the_minigrad_track_does_not_import_torch() -> None:
    code = "import sys; sys.argv = ['x']; import train_minigrad; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_both_backends_export_the_kernels_of_the_design_page() -> None:
    import re

    from minigrad import backends

    table = (ROOT / "docs/design.md").read_text().split("## Kernels")[1].split("## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    names = [name for cell in cells for name in re.findall(r"`(\w+)\(", cell)]
    assert len(names) > 25
    for backend in (backends.get("cpu"), backends.get("gpu")):
        for name in [*names, "xp"]:
            assert hasattr(backend, name), f"{backend.__name__} has no {name}"
