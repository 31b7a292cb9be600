"""What MkDocs cannot do by itself (mkdocs.yml names this file): formulas, source pages, the API reference, notebooks.

- `$...$` becomes MathML, which browsers draw without a script.
- A link out of docs/ to a file of Python leads to a page with that file, at the line that the link names.
- Pages of the API reference are made, for mkdocstrings to fill in from the docstrings.
- Each chapter of the tutorial gets a link to its notebook.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import latex2mathml.converter
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import tutorial  # noqa: E402

CODE = re.compile(r"(^```.*?^```$|^~~~.*?^~~~$|`[^`\n]+`)", re.M | re.S)
MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n][^$]*?)\$", re.S)
OUTSIDE = re.compile(r'\[([^\]]+)\]\(((?:\.\./)+[^)\s#]*)(?:#L(\d+)(?:-L\d+)?)?(?: "[^"]*")?\)')

API = {
    "Tensor and autograd": ["tensor", "autograd", "autograd.calls", "autograd.functional", "autograd.gradcheck",
        "autograd.doctor", "autograd.function", "autograd.graph", "autograd.profiler", "autograd.anomaly", "autograd.guard",
        "op", "fused", "engine", "random"],
    "Ops": "ops",
    "nn": "nn",
    "optim": "optim",
    "data": "data",
    "attacks": "attacks",
    "attribution": "attribution",
    "tracing": "tracing",
}  # fmt: skip
"""The pages of the API reference: modules of minigrad, or a package whose modules they are."""


def on_config(config: Any) -> Any:
    """Adds to the navigation the API reference, and the pages of docs/ that mkdocs.yml does not name, in a section of their own."""
    named = str(config.nav)
    rest = [path.name for path in sorted((ROOT / "docs").glob("*.md")) if f"'{path.name}'" not in named]
    api = ["api/index.md", *[{title: f"api/{_api_file(title)}"} for title in API]]
    config.nav = [*config.nav, {"More": rest}, {"API": api}]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are made."""
    for name, text in {**_api_pages(), **_source_pages(files)}.items():
        files.append(File.generated(config, name, content=text))
    for page in tutorial.pages():
        import jupytext

        text = jupytext.writes(tutorial.notebook(page), fmt="ipynb")
        files.append(File.generated(config, f"tutorial/notebooks/{page.stem}.ipynb", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page's text with formulas and links as the site has them."""
    source = page.file.src_uri
    if source.startswith(("source/", "api/")):
        return markdown
    parts = CODE.split(markdown)
    for i, part in enumerate(parts):
        if not part.startswith(("```", "~~~", "`")):
            parts[i] = _math(part) if source.startswith(("tutorial/", "derivations/")) else part
    text = OUTSIDE.sub(lambda link: _inside(link, source), "".join(parts))
    chapter = re.fullmatch(r"tutorial/(\d\d-[\w-]+)\.md", source)
    return text + f"\n[This chapter as a notebook](notebooks/{chapter[1]}.ipynb)\n" if chapter else text


def _math(text: str) -> str:
    def formula(match: re.Match[str]) -> str:
        if match[1]:
            return f"\n\n{latex2mathml.converter.convert(match[1].strip(), display='block')}\n\n"
        formula = latex2mathml.converter.convert(" ".join(match[2].split()))
        return f"<span>{formula}</span>"  # at the start of a line Markdown would make a block of a bare <math>

    return MATH.sub(formula, text)


def _inside(link: re.Match[str], source: str) -> str:
    """A link out of docs/ as one to a page of the site, or as plain words where there is none."""
    target = (ROOT / "docs" / source).parent.joinpath(link[2]).resolve()
    if target.is_relative_to(ROOT / "docs"):
        return link[0]
    if target.suffix != ".py" or not target.exists():
        return link[1]
    up = "../" * source.count("/")
    line = (
        f' "line {link[3]}"' if link[3] else ""
    )  # becomes an anchor below: MkDocs knows none that is made by a highlighter
    return f"[{link[1]}]({up}source/{target.relative_to(ROOT).with_suffix('.md').as_posix()}{line})"


def on_page_content(html: str, **_: Any) -> str:
    """Links to a line of a source page, with its anchor."""
    return re.sub(r'(href="[^"#]*)" title="line (\d+)"', r'\1#__codelineno-0-\2"', html)


def _source_pages(files: Any) -> dict[str, str]:
    """A page for each file of Python that a page of docs/ links to."""
    pages = {}
    for file in files.documentation_pages():
        for link in OUTSIDE.finditer(file.content_string):
            target = Path(file.abs_src_path).parent.joinpath(link[2]).resolve() if file.abs_src_path else ROOT
            if target.suffix == ".py" and target.exists():
                name = target.relative_to(ROOT)
                head = f"---\ntitle: {name.as_posix()}\nsearch:\n  exclude: true\n---\n\n# {name.as_posix()}\n\n"
                text = f'{head}~~~~python linenums="1"\n{target.read_text()}~~~~\n'
                pages[f"source/{name.with_suffix('.md').as_posix()}"] = text
    return pages


def _api_file(title: str) -> str:
    return f"{title.split()[0].lower()}.md"


def _api_pages() -> dict[str, str]:
    """A page for each group of modules, and one that lists them."""
    pages, listed = {}, []
    for title, modules in API.items():
        if isinstance(modules, str):
            folder = ROOT / "minigrad" / modules
            names = sorted(p.relative_to(ROOT / "minigrad").with_suffix("") for p in folder.rglob("*.py"))
            modules = [".".join(name.parts) for name in names if not name.name.startswith("_")]
        body = "\n\n".join(f"::: minigrad.{module}" for module in modules if tutorial.place(f"minigrad.{module}"))
        file = _api_file(title)
        pages[f"api/{file}"] = f"# {title}\n\n{body}\n"
        listed.append(f"- [{title}]({file})")
    note = "Made from the docstrings. Names, arguments and defaults are torch's."
    pages["api/index.md"] = f"# API reference\n\n{note}\n\n" + "\n".join(listed) + "\n"
    return pages
