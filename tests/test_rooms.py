"""Who may import whom (docs/design.md), and what `import minigrad` brings along."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OUTSIDE = {"compare", "cupy", "cupyx", "matplotlib", "models", "PIL", "safetensors", "scipy", "tensorboardX", "torch"}
OUTSIDE |= {"mpi4py", "torchvision", "tqdm"}

# Folder or file -> which of the names above it may import; a trailing "lazily" means inside functions only.
RULES = {
    "minigrad/backends/cpu": {"scipy lazily"},
    "minigrad/backends/gpu": {"cupy lazily", "cupyx lazily"},
    "minigrad/data/transforms.py": {"PIL"},  # itself imported only where images are read
    "minigrad/data/corruptions.py": {"PIL lazily", "scipy lazily"},
    "minigrad/data": {"PIL lazily", "torchvision lazily"},
    "minigrad/distributed": {"cupy lazily", "mpi4py lazily"},
    "minigrad/commands": {"PIL lazily", "compare lazily", "matplotlib lazily", "models lazily", "torch lazily"},
    "minigrad/training": {
        "matplotlib lazily", "safetensors lazily", "tensorboardX lazily", "torch lazily", "torchvision lazily", "tqdm lazily",
        "models lazily",
    },
    "minigrad/tracing": {"matplotlib lazily", "tensorboardX lazily", "torch lazily"},
    "minigrad/attacks/of_torch.py": {"torch lazily"},
    "minigrad/defences/smoothing.py": {"scipy lazily"},
    "minigrad/weights.py": {"safetensors lazily", "torch lazily"},
    "minigrad": set(),
    "models/reference": {"models", "scipy lazily", "torch", "torchvision", "torchvision lazily"},
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


# The core in the order in which it is read: a file imports only what stands before it, and `backends`, in whatever way.
CORE = """
errors quiet order size arguments arrays files window memory_format device dtypes grad_mode aliases hooks random
tensor op engine fused
ops/public ops/common ops/pointwise ops/arithmetic ops/choice ops/exponential ops/trigonometric ops/rounding
inplace printing
""".split()
IN_TYPES = {"tensor": {"op", "_methods"}}
"""What a file names in types alone, though that imports it."""


def _name(path: Path) -> str:
    """A file of minigrad/ without the folder and the suffix: ops/shape, nn for nn/__init__.py, "" for the package itself."""
    name = path.relative_to(ROOT / "minigrad").with_suffix("").as_posix()
    return name.removesuffix("__init__").rstrip("/")


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


FILES = {_name(path): path for path in ROOT.glob("minigrad/**/*.py")}


def _arrows(name: str) -> set[str]:
    """The files of minigrad/ that a file imports, anywhere: inside functions too, and for types."""
    path = FILES[name]
    package = path.relative_to(ROOT).parent.parts
    tree, found = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = (*start, *(node.module.split(".") if node.module else ()))
            inner = {"/".join([*module[1:], alias.name]) for alias in node.names}
            found |= {(*module, alias.name) for alias in node.names if "/".join([*module[1:], alias.name]) in FILES}
            found |= {module} if inner - FILES.keys() else set()
    return {"/".join(parts[1:]) for parts in found if parts[0] == "minigrad"} - {name}


def test_no_file_imports_one_that_imports_it() -> None:
    arrows = {name: _arrows(name) - IN_TYPES.get(name, set()) for name in FILES}
    finished: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle of imports: {' -> '.join([*way[way.index(name) :], name])}"
        if name not in finished:
            for other in sorted(arrows[name] & FILES.keys()):
                visit(other, (*way, name))
            finished.add(name)

    for name in FILES:
        visit(name, ())


def test_what_a_tensor_names_in_types_it_imports_for_them_alone() -> None:
    parts = [node for node in ast.parse(FILES["tensor"].read_text()).body if _is_for_types(node)]
    imports = [node for part in parts for node in ast.walk(part) if isinstance(node, ast.ImportFrom)]
    assert {f"{node.module}".removeprefix("minigrad.") for node in imports} == IN_TYPES["tensor"]


@pytest.mark.parametrize("name", CORE)
def test_the_core_is_imported_in_its_reading_order(name: str) -> None:
    before = set(CORE[: CORE.index(name)]) | IN_TYPES.get(name, set())
    above = {other for other in _arrows(name) if other not in before and not other.startswith("backends")}
    assert not above, f"minigrad/{name}.py imports {sorted(above)}"


def test_ops_import_nothing_above_them() -> None:
    below = {*CORE[: CORE.index("inplace")]} | {name for name in FILES if name.startswith(("ops", "backends"))}
    for name in sorted(name for name in FILES if name.startswith("ops/")):
        assert _arrows(name) <= below, f"minigrad/{name}.py imports {sorted(_arrows(name) - below)}"


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
