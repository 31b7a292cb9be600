"""The tutorial's pages: runs their code, writes into them what it prints and draws, and keeps the line numbers they name.

    python tools/tutorial.py [page ...]             run the code; say where a page shows something else
    python tools/tutorial.py --write [page ...]     write what the code prints and draws into the pages
    python tools/tutorial.py --lines                find the lines of source that all pages of docs/ name
    python tools/tutorial.py --notebooks FOLDER     write the pages as notebooks (needs jupytext)

A page is named by its number (3) or its file. Its python blocks run in order, in one namespace and in an empty folder. A text
block right behind one is what it prints. Under the title of VARIES its numbers are those of one machine: only its words are
compared. A picture that the code saves is kept in docs/pictures/tutorial under the same name. A link with a symbol for a
title, [?](? "minigrad.autograd.backward"), is given the file and lines of that symbol.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "tutorial"
PICTURES = ROOT / "docs" / "pictures" / "tutorial"
VARIES = 'title="numbers of one machine"'
FENCE = re.compile(r"^```(python|text)([^\n]*)\n(.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
LINK = re.compile(r'\[[^\]\[]*\]\([^)\s]* "((?:minigrad|models|tests)[\w.]*)"\)')
SHOWN = re.compile(r"!\[[^\]]*\]\(\.\./pictures/tutorial/([\w.-]+)\)")


# -- a page and its code -------------------------------------------------------------------------------------------------


@dataclass
class Block:
    """One python block of a page and the text block behind it, None where there is none."""

    code: str
    line: int
    """The line of the page that the code begins at."""
    end: int
    """Where the page goes on behind the python block, in characters."""
    shown: re.Match[str] | None = None

    @property
    def text(self) -> str:
        """What the page says that the code prints."""
        return self.shown[3] if self.shown else ""

    @property
    def varies(self) -> bool:
        """Whether its numbers depend on the machine."""
        return self.shown is not None and VARIES in self.shown[2]

    def agrees(self, output: str) -> bool:
        """Whether the page shows this output, as far as machines agree on it."""
        return _words(self.text) == _words(output) if self.varies else self.text == output


def blocks(text: str) -> list[Block]:
    """The python blocks of a page's text, in order."""
    found: list[Block] = []
    for fence in FENCE.finditer(text):
        if fence[1] == "python":
            found.append(Block(fence[3], text.count("\n", 0, fence.start(3)) + 1, fence.end()))
        elif found and not text[found[-1].end : fence.start()].strip():
            found[-1].shown = fence
    return found


def _words(text: str) -> list[str]:
    return NUMBER.sub("#", text).split()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(page: Path, folder: Path) -> list[tuple[Block, str]]:
    """Runs a page's code in `folder`; what each block printed."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    namespace: dict[str, Any] = {"__name__": page.stem}
    results = []
    with _inside(folder):
        for block in blocks(page.read_text()):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):  # numbered as in the page, so that an error names its line
                exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)
            results.append((block, printed.getvalue()))
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    return results


def disagreements(page: Path, results: list[tuple[Block, str]], folder: Path) -> list[str]:
    """Where a page shows something else than its code, run in `folder`, prints and draws."""
    name = page.name
    found = [
        f"{name}, line {block.line}: the code prints\n{output}but the page shows\n{block.text}"
        for block, output in results
        if not block.agrees(output)
    ]
    shown = set(SHOWN.findall(page.read_text()))
    made = {path.name for path in folder.glob("*.png")}
    found += [f"{name}: {picture} is shown, but no code saves it" for picture in sorted(shown - made)]
    found += [f"{name}: {picture} is saved, but not shown" for picture in sorted(made - shown)]
    found += [f"{name}: run --write, {p} is not kept" for p in sorted(shown & made) if not (PICTURES / p).exists()]
    return found


def write(page: Path, results: list[tuple[Block, str]], folder: Path) -> None:
    """Writes what the code printed into the page, and keeps its pictures."""
    text = page.read_text()
    for block, output in reversed(results):
        fence = f"```text{block.shown[2] if block.shown else ''}\n{output}```"
        if block.shown:
            text = text[: block.shown.start()] + (fence if output else "") + text[block.shown.end() :]
        elif output:
            text = text[: block.end] + "\n\n" + fence + text[block.end :]
    page.write_text(text)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for picture in folder.glob("*.png"):
        (PICTURES / picture.name).write_bytes(picture.read_bytes())


# -- lines of source ------------------------------------------------------------------------------------------------------


def place(symbol: str) -> tuple[Path, int, int] | None:
    """The file and the first and last line that define a symbol ("minigrad.engine.run"), wherever its module has it from.

    A module is its whole file, its lines (0, 0). None where there is no such symbol.
    """
    parts = symbol.split(".")
    for cut in range(len(parts), 0, -1):
        file = _file_of(parts[:cut])
        if file is not None:
            return (file, 0, 0) if cut == len(parts) else _within(file, parts[cut:])
    return None


def _file_of(parts: list[str]) -> Path | None:
    path = ROOT.joinpath(*parts)
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _within(file: Path, names: list[str]) -> tuple[Path, int, int] | None:
    body: list[ast.stmt] = _tree(file).body
    node = None
    for name in names:
        node = next((n for n in body if _defines(n, name)), None)
        if node is None:
            break
        body = getattr(node, "body", [])
    if node is not None:
        decorators = getattr(node, "decorator_list", [])
        return file, min([node.lineno, *[d.lineno for d in decorators]]), node.end_lineno or node.lineno
    for statement in ast.walk(_tree(file)):  # imported from elsewhere?
        if isinstance(statement, ast.ImportFrom) and statement.module:
            for alias in statement.names:
                if (alias.asname or alias.name) == names[0]:
                    return place(".".join([statement.module, alias.name, *names[1:]]))
    return None


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        return node.name == name
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def moved(symbol: str) -> str | None:
    """Another name of a symbol whose module is gone or has it no longer: where one file of the package alone defines it."""
    package, names = symbol.split(".")[0], symbol.split(".")[1:]
    while names and (names[0][0].islower() and len(names) > 1):
        names = names[1:]  # what is left of a module's path is no definition
    files = [
        f for f in sorted((ROOT / package).rglob("*.py")) if names and any(_defines(n, names[0]) for n in _tree(f).body)
    ]
    if len(files) != 1:
        return None
    return ".".join([*files[0].relative_to(ROOT).with_suffix("").parts, *names])


def with_lines(page: Path) -> str:
    """The page's text with the file and lines of each symbol that it names. LookupError for one that is nowhere."""

    def link(match: re.Match[str]) -> str:
        symbol = match[1] if place(match[1]) else moved(match[1])
        found = symbol and place(symbol)
        if not found:
            raise LookupError(f"{page.relative_to(ROOT)} names {match[1]}, which is nowhere")
        file, first, last = found
        name = file.relative_to(ROOT).as_posix()
        target = os.path.relpath(file, page.parent)
        if not first:
            return f'[`{name}`, {len(file.read_text().splitlines())} lines]({target} "{symbol}")'
        lines = f"line {first}" if first == last else f"lines {first} to {last}"
        return f'[`{name}`, {lines}]({target}#L{first}-L{last} "{symbol}")'

    return LINK.sub(link, page.read_text())


# -- notebooks ------------------------------------------------------------------------------------------------------------


def notebook(page: Path) -> Any:
    """The page as a notebook: its code without what it prints and draws, which the notebook says itself."""
    import jupytext  # in the docs extra

    text = FENCE.sub(lambda fence: "" if fence[1] == "text" else fence[0], page.read_text())
    text = re.sub(r"^!\[.*\)$", "", text, flags=re.M).replace("```sh\n", "```console\n")  # sh would be a cell
    text = re.sub(r"^</?(details|summary).*>$", "", text, flags=re.M)
    made = jupytext.reads(text, fmt="md")
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"  # the same each time
    return made


def write_notebooks(folder: Path) -> None:
    """Every page as folder/NN-name.ipynb."""
    import jupytext

    folder.mkdir(parents=True, exist_ok=True)
    for page in pages():
        jupytext.write(notebook(page), folder / f"{page.stem}.ipynb")


# -- the command ------------------------------------------------------------------------------------------------------------


def pages(names: list[str] | None = None) -> list[Path]:
    """The chapters, or those of these names: a number, or a file."""
    found = sorted(PAGES.glob("[0-9][0-9]-*.md"))
    if not names:
        return found
    found += derivations()
    return [p for name in names for p in found if p.name.startswith(f"{name:0>2}-") or p == Path(name).resolve()]


def derivations() -> list[Path]:
    """The pages of docs/derivations, whose code runs too."""
    return [page for page in sorted((ROOT / "docs" / "derivations").glob("*.md")) if page.stem != "README"]


def with_symbols() -> list[Path]:
    """The pages of docs/ that name symbols."""
    return [page for page in sorted((ROOT / "docs").rglob("*.md")) if LINK.search(page.read_text())]


def main() -> int:
    """The command line; 1 where a page disagrees with its code."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--notebooks", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.notebooks:
        write_notebooks(arguments.notebooks)
        return 0
    if arguments.lines:
        for page in with_symbols():
            page.write_text(with_lines(page))
        return 0
    wrong = 0
    for page in pages(arguments.pages):
        with tempfile.TemporaryDirectory() as name:
            folder, start = Path(name), time.perf_counter()
            results = run(page, folder)
            print(f"{page.name}: {time.perf_counter() - start:.1f} s")
            if arguments.write:
                write(page, results, folder)
                continue
            for words in disagreements(page, results, folder):
                wrong += 1
                print(words)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
