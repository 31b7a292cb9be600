"""Writes the stubs (.pyi) that show type checkers and editors the public ops, which minigrad/ops/public.py installs as it runs.

    python tools/stubs.py            writes them
    python tools/stubs.py --check    exit code 1 if they are not what it would write

`__init__.pyi` (minigrad.exp, and all else that `import minigrad` brings), `_methods.pyi` (x.exp(), x.exp_(), x + y),
`nn/functional.pyi`, `linalg.pyi` and `special.pyi`. Signatures, types and docstrings are those of the ops themselves; `axis` and
`keepdims` stand beside `dim` and `keepdim` wherever they are taken.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import minigrad  # noqa: E402
from minigrad import Tensor  # noqa: E402
from minigrad.aliases import ALIASES  # noqa: E402
from minigrad.ops.public import PLACES  # noqa: E402

HEAD = """# Written by tools/stubs.py out of minigrad/ops: change the ops, and run it again.

import builtins
from typing import Any, overload

{imports}
"""
NUMPYS = {name: alias for alias, name in ALIASES.items() if name in ("dim", "keepdim")}


class Stub:
    """One .pyi file: its definitions, and the imports that their annotations need."""

    def __init__(self, module: str, indent: str = "") -> None:
        self.module, self.indent = module, indent
        self.lines: list[str] = []
        self.imports: dict[str, str] = {}

    def add(self, name: str, function: Callable[..., Any], returns: str | None = None) -> None:
        """A definition of this name with the function's parameters."""
        op = inspect.unwrap(function)
        signature = inspect.signature(op)
        parameters = [*signature.parameters.values(), *_of_wrappers(function)]
        result = returns or self._annotation(signature.return_annotation, op)
        if self.indent and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD), *parameters[1:]]
        if name.startswith("__") and len(parameters) > 1 and name != "__setitem__":
            parameters = [parameters[0], parameters[1].replace(name="other", annotation="Any")]
        forms = list(_with_aliases(parameters) if _takes_numpys_names(function) else [parameters])
        for form in forms:
            if len(forms) > 1:
                self.lines.append(f"{self.indent}@overload")
            parts = [self._parameter(p, op) for p in _sorted(form)]
            star = next((i for i, p in enumerate(_sorted(form)) if p.kind is p.KEYWORD_ONLY), None)
            if star is not None and not any(p.kind is p.VAR_POSITIONAL for p in form):
                parts.insert(star, "*")
            self.lines.append(f"{self.indent}def {name}({', '.join(parts)}) -> {result}:{_comment(name)}")
            self.lines.append(f"{self.indent}    {_docstring(function)}")

    def text(self) -> str:
        """The whole file."""
        imports = [*sorted({line for line in self.imports.values() if line})]
        body = "\n".join(self.lines)
        return HEAD.format(imports="\n".join(imports)) + ("\nclass Methods:\n" if self.indent else "\n") + body + "\n"

    def _parameter(self, parameter: inspect.Parameter, op: Any) -> str:
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        text = stars + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {self._annotation(parameter.annotation, op)}"
        if parameter.default is parameter.empty:
            return text
        default = parameter.default
        simple = default is None or type(default) in (bool, int, float, str)
        return f"{text} = {default!r}" if simple else f"{text} = ..."

    def _annotation(self, annotation: Any, op: Any) -> str:
        """An annotation as it stands in the op's file, with what it names imported, and Python's own types by full name."""
        if annotation is inspect.Signature.empty:
            return "Any"
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        tree = ast.parse(text, mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                self._import(node, op)
        return ast.unparse(tree)

    def _import(self, node: ast.Name, op: Any) -> None:
        name, namespace = node.id, getattr(op, "__globals__", {})
        if name not in namespace and hasattr(builtins, name):
            node.id = f"builtins.{name}"
        elif name == "np":
            self.imports[name] = "import numpy as np"
        elif name not in ("Any", "builtins"):
            value = namespace.get(name)
            home = getattr(value, "__module__", None)
            home = home if home and getattr(sys.modules.get(home), name, None) is value else op.__module__
            self.imports[name] = f"from {home} import {name}"


def _of_wrappers(function: Any) -> Iterator[inspect.Parameter]:
    """What the wrappers of an op take by name beyond what it takes itself (layout, pin_memory, memory_format)."""
    while hasattr(function, "__wrapped__"):
        code = function.__code__
        names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        for name in names:
            yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=..., annotation="Any")
        function = function.__wrapped__


def _takes_numpys_names(function: Any) -> bool:
    while hasattr(function, "__wrapped__"):
        if function.__code__.co_filename.endswith("aliases.py"):
            return True
        function = function.__wrapped__
    return False


def _with_aliases(parameters: list[inspect.Parameter]) -> Iterator[list[inspect.Parameter]]:
    """The parameters with NumPy's names of those that may be left out; once more with `axis` where `dim` may not."""
    named = [p for p in parameters if p.name in NUMPYS]
    extra = [
        p.replace(name=NUMPYS[p.name], kind=p.KEYWORD_ONLY, default=...) for p in named if p.default is not p.empty
    ]
    yield [*parameters, *extra]
    if required := [p for p in named if p.default is p.empty]:
        others = [p.replace(name=NUMPYS[p.name], kind=p.KEYWORD_ONLY) if p in required else p for p in parameters]
        at = parameters.index(required[0])
        tail = [p.replace(kind=p.KEYWORD_ONLY) if p.kind is p.POSITIONAL_OR_KEYWORD else p for p in others[at:]]
        yield [*others[:at], *tail, *extra]


def _sorted(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return sorted(parameters, key=lambda p: p.kind)


def _docstring(function: Any) -> str:
    first = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ").replace("\\", "\\\\")
    return f'"""{first}"""' if first else "..."


def _comment(name: str) -> str:
    return "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""


def _functions(module: str, path: str) -> tuple[Path, str]:
    """The stub of the functions that a module was given."""
    stub, found = Stub(path), importlib.import_module(module)
    places = module.removeprefix("minigrad.")
    names = [*PLACES[places], *(f"{name}_" for name in PLACES.get(places + "_", ()))]
    for name in sorted(names):
        stub.add(name, getattr(found, name))
    if module == "minigrad":
        _package(stub)
    else:
        stub.lines.insert(0, f"__all__ = {sorted(names)}\n")
    return ROOT / path, stub.text()


def _package(stub: Stub) -> None:
    """What minigrad/__init__.py imports, defines and promises, beside the ops: exported by name, as strict checkers ask."""
    for node in ast.parse((ROOT / "minigrad" / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("minigrad"):
            for name in (a.asname or a.name for a in node.names if (a.asname or a.name)[0] != "_"):
                stub.imports[name] = f"from {node.module} import {name} as {name}"
        elif isinstance(node, ast.FunctionDef) and node.name[0] != "_":
            stub.add(node.name, getattr(minigrad, node.name))
        elif isinstance(node, ast.Assign):
            for name in (n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)):
                value = getattr(minigrad, name)
                if isinstance(value, type):
                    stub.imports[name] = f"from {value.__module__} import {value.__name__} as {name}"
                elif isinstance(value, np.dtype):
                    stub.lines.append(f"{name}: np.dtype")
    for name in minigrad._MODULES_WHEN_ASKED_FOR:
        stub.imports[name] = f"from minigrad import {name} as {name}"
    for name, module in minigrad._WHEN_ASKED_FOR.items():
        stub.imports[name] = f"from minigrad.{module} import {name} as {name}"
    stub.imports["np"] = "import numpy as np"
    stub.lines.append("__version__: builtins.str")


def _methods(path: str) -> tuple[Path, str]:
    """The stub of the methods that methods.py gives to Tensor: a base class, as far as type checkers know."""
    tree = ast.parse((ROOT / "minigrad" / "tensor.py").read_text())
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Tensor").body
    own = {n.name for n in body if isinstance(n, ast.FunctionDef)}
    own |= {t.id for n in body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    stub = Stub(path, "    ")
    for name, function in sorted(vars(Tensor).items()):
        if inspect.isfunction(function) and name not in own:
            stub.add(
                name, function, "Tensor" if name.endswith("_") and name not in ("__setitem__", "__repr__") else None
            )
    stub.imports["Tensor"] = "from minigrad.tensor import Tensor"
    return ROOT / path, stub.text()


def stubs() -> dict[Path, str]:
    """Every stub: its path and text."""
    return dict(
        [
            _functions("minigrad", "minigrad/__init__.pyi"),
            _functions("minigrad.nn.functional", "minigrad/nn/functional.pyi"),
            _functions("minigrad.linalg", "minigrad/linalg.pyi"),
            _functions("minigrad.special", "minigrad/special.pyi"),
            _methods("minigrad/_methods.pyi"),
        ]
    )


def main() -> int:
    stale = [path for path, text in stubs().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        print("\n".join(f"{path.relative_to(ROOT)} is not what tools/stubs.py writes" for path in stale))
        return 1 if stale else 0
    for path, text in stubs().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
