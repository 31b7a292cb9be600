"""docs/here.md says that names are here which are, and of none that it is not, though it is."""

from __future__ import annotations

import re
from pathlib import Path

from tools.here import PLACES, resolve

PAGE = (Path(__file__).parents[2] / "docs" / "here.md").read_text()


def test_names_that_are_listed_as_here_are() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.M)[1:]
    assert [section.split("\n")[0] for section in sections] == list(PLACES)
    for section in sections:
        ours = resolve(PLACES[section.split("\n")[0]])
        here = re.search(r"\*\*here\*\*\n\n(.*?)\n(\n|$)", section, re.S)
        assert here is not None
        missing = [name for name in re.findall(r"`(\w+)`", here[1]) if not hasattr(ours, name)]
        assert not missing
