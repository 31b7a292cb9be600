"""tools/website.py: formulas, links to source, pages that are made. Skipped without the dev extra; `make docs` builds it all."""

from __future__ import annotations

import re

import pytest

from tools import tutorial

pytest.importorskip("mkdocs")
pytest.importorskip("latex2mathml")


class Page:
    """As MkDocs hands one to a hook."""

    def __init__(self, source: str) -> None:
        self.file = self
        self.src_uri = source


def test_formulas_become_mathml_and_code_stays() -> None:
    from tools import website

    text = "So $x^2$ is\n\n$$\\frac{1}{2}$$\n\nbut `$x$` and\n\n```sh\necho $HOME $x\n```\n"
    made = website.on_page_markdown(text, Page("derivations/x.md"))
    assert made.count("<math") == 2 and "<mfrac>" in made and 'display="block"' in made
    assert "<span><math" in made  # inline: a bare <math> that begins a line would end the paragraph
    assert "`$x$`" in made and "echo $HOME $x" in made


def test_links_to_source_lead_to_its_page_and_line() -> None:
    from tools import website

    text = '[run](../../minigrad/engine.py#L5-L9 "minigrad.engine.run"), [a](../attacks.md), [b](../../LICENSE)'
    made = website.on_page_markdown(text, Page("tutorial/README.md"))
    assert made == '[run](../source/minigrad/engine.md "line 5"), [a](../attacks.md), b'
    html = website.on_page_content('<a href="../source/minigrad/engine.html" title="line 5">run</a>')
    assert html == '<a href="../source/minigrad/engine.html#__codelineno-0-5">run</a>'


def test_no_formula_is_left_as_text() -> None:
    from tools import website

    for page in [*tutorial.pages(), *tutorial.derivations()]:
        made = website.on_page_markdown(page.read_text(), Page(page.relative_to(tutorial.ROOT / "docs").as_posix()))
        assert "$" not in website.CODE.sub("", made), page.name
        assert not re.search(r"\\[a-z]+", re.sub(r"<math.*?</math>", "", website.CODE.sub("", made), flags=re.S)), (
            page.name
        )


def test_the_api_reference_has_every_module_of_ops_and_layers() -> None:
    from tools import website

    made = website._api_pages()
    for folder, page in (("ops", "api/ops.md"), ("nn", "api/nn.md")):
        for path in (tutorial.ROOT / "minigrad" / folder).glob("[a-z]*.py"):
            assert f"::: minigrad.{folder}.{path.stem}\n" in made[page] + "\n"
