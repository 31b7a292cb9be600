"""Words that the project's prose does without: a reader from outside would not know what they mean here.

Prose is what people read: comments, docstrings, messages (strings of several words), Markdown. Names in code are not.
"""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTEAD = {
    r"held against|hold\w* [^.]{1,40}\bagainst\b": "compared with",
    r"roads?": "fast path, kernel",
    r"tracks?": "framework, implementation",
    r"rooms?": "package, module",
    r"twins?": "PyTorch version",
    r"counts where": "say what happens elsewhere, to NaN too",
    r"told": "given, named",
    r"what is said": "the claim",
    r"without a word": "silently, with no message",
}
NAMES = re.compile(r"`[^`\n]*`|--[\w-]+|\{[^{}\n]*\}|\"\w+\"|'\w+'")
"""What is a name within prose: code in backticks, options, keys, places in f-strings."""
WORDS = re.compile("|".join(rf"\b(?:{words})\b" for words in INSTEAD), re.IGNORECASE)
ELSEWHERE = {"docs/design.md", "tests/test_prose.py"}
"""design.md draws the project as a house of rooms."""


def files() -> list[str]:
    """Text of the project that people wrote."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    return [f for f in listed if f.endswith((".py", ".md", ".cu", ".cuh", ".h", ".toml")) and f not in ELSEWHERE]


def prose(name: str, text: str) -> Iterator[tuple[int, str]]:
    """(line number, line) of what people read."""
    if not name.endswith(".py"):
        yield from enumerate(NAMES.sub("", text).split("\n"), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT" or (kind in ("STRING", "FSTRING_MIDDLE") and " " in token.string):
            for i, line in enumerate(NAMES.sub("", token.string).split("\n")):
                yield token.start[0] + i, line


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="asks git which files there are")
def test_words_that_only_we_understand_are_out() -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in files()
        for number, line in prose(name, (ROOT / name).read_text(encoding="utf-8"))
        if WORDS.search(line)
    ]
    assert not found, "\n".join(found) + f"\nSay instead: {INSTEAD}"
