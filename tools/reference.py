"""Writes docs/reference.md: a row an op, out of the code and of a run of its tests.

    python tools/reference.py                  runs tests/ops, then writes the page
    python tools/reference.py --records FILE   from what `pytest tests/ops --record FILE` measured before

What the op computes and its gradient come from the docstrings, the shapes from the test's first case, the ops that it is
made of from that case's graph, the errors from all its cases. Nothing in the page is typed by hand.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

HEAD = """# Reference

A row an op, written by `python tools/reference.py` out of the code and of a run of its tests ({cases} cases of {names} names,
minigrad {version}, torch {torch}, NumPy {numpy}, on the CPU).

- **shapes**: of the first test case, inputs to outputs.
- **made of**: a *primitive* has its gradient written in ops; a *fused* op has a definition in primitives and a fast path;
  anything else is composed of the ops named.
- **float64**: the largest error against torch of any case's values, first and second gradients, relative to the largest
  element. It is 0 where the bits are the same.
- **float32**: the largest error of any case's against torch's float64, and torch's own float32 error in that case.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", help="a file that pytest --record wrote")
    parser.add_argument("--out", default=str(ROOT / "docs" / "reference.md"), help="the page (docs/reference.md)")
    arguments = parser.parse_args()
    records = json.loads(Path(arguments.records).read_text()) if arguments.records else measured()
    Path(arguments.out).write_text(page(records))
    print(f"wrote {arguments.out}: {len(records)} names")
    return 0


def measured() -> dict[str, dict[str, Any]]:
    """What a run of the ops' tests on the CPU measures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.json"
        command = [sys.executable, "-m", "pytest", "tests/ops", "-q", "-m", "not gpu", "-p", "no:cacheprovider"]
        subprocess.run([*command, "--record", str(file)], cwd=ROOT, check=True)
        return json.loads(file.read_text())


def page(records: dict[str, dict[str, Any]]) -> str:
    """The whole page, its ops grouped by the file that holds them."""
    import numpy
    import torch

    import minigrad

    groups: dict[str, list[str]] = {}
    for name in sorted(records, key=lambda n: n.split(".")[-1]):
        function = resolved(name)
        if function is not None and records[name].get("cases"):
            groups.setdefault(function.__module__, []).append(row(name, function, records[name]))
    head = HEAD.format(
        cases=sum(r.get("cases", 0) for r in records.values()), names=sum(map(len, groups.values())),
        version=minigrad.__version__, torch=torch.__version__, numpy=numpy.__version__,
    )  # fmt: skip
    parts = [head]
    for module in sorted(groups):
        path = module.replace(".", "/") + ".py"
        about = (importlib.import_module(module).__doc__ or "").strip().split("\n")[0]
        table = "| op | what it computes | shapes | made of | float64 | float32 (torch's) |\n| --- | --- | --- | --- | --- | --- |"
        parts.append(f"## [{path}](../{path})\n\n{about}\n\n{table}\n" + "\n".join(groups[module]))
    return "\n\n".join(parts) + "\n"


def resolved(name: str) -> Any:
    """The function of a dotted name under minigrad; None for checks that are not of one function."""
    import minigrad
    import minigrad.nn.functional

    found: Any = minigrad
    for part in name.split("."):
        found = getattr(found, part, None)
    return inspect.unwrap(found) if callable(found) and hasattr(found, "__module__") else None


def row(name: str, function: Any, record: dict[str, Any]) -> str:
    """One op's line of the table."""
    what = first_sentences(function.__doc__)
    ins, outs = record.get("shapes", [[], []])
    shapes = f"{', '.join(map(shape, ins))} to {', '.join(map(shape, outs))}" if outs else ""
    errors = [record[part] for part in ("value", "first", "second") if part in record]
    double = f"{max(errors):.1e}" if errors and max(errors) else "0" if errors else ""
    single = f"{record['float32']:.1e} ({record['torch float32']:.1e})" if "float32" in record else ""
    cells = (f"`{name}`", what, shapes, made_of(record.get("ops", [])), double, single)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def shape(sizes: list[int]) -> str:
    """(2, 3), (3,), ()."""
    return str(tuple(sizes))


def first_sentences(doc: str | None) -> str:
    """A docstring's first paragraph."""
    return " ".join((doc or "").strip().split("\n\n")[0].split())


def made_of(ops: list[str]) -> str:
    """The kind of op, with its formula where there is one of its own."""
    from minigrad.fused import FusedOp

    classes = []
    for op in ops:
        module, _, name = op.rpartition(".")
        classes.append(getattr(importlib.import_module(module), name, None))
    if len(classes) == 1 and classes[0] is not None:
        kind = "fused" if issubclass(classes[0], FusedOp) else "primitive"
        return f"{kind} {classes[0].__name__}: {first_sentences(classes[0].__doc__)}"
    return ", ".join(op.rpartition(".")[2] for op in ops) or "no gradient"


if __name__ == "__main__":
    sys.exit(main())
