"""python -m compare report: everything in compare/results/ on one page, and as docs/results.md; README's front page too.

Each file of results says by its format which command made it; that command's module makes tables, pictures and a sentence out
of it. Nothing is measured, and no figure is typed by hand: what is not measured yet is named, with the command that does.

  report.html       one page with all the pictures in it, for a browser, a phone, paper
  docs/results.md   the same for GitHub: what each result comes to; a page a chapter in docs/results/, with long tables as CSV,
                    and the pictures in docs/pictures/results/
  README.md         the table between the two marks

The last two belong to the committed results: with another --results they are written only if they are asked for by name.
Files that would not change are left alone, and so are pictures in which nobody would see a difference: processors round
differently, and change a pixel at the edge of a line by a level or two. It takes some seconds and needs matplotlib, but not
torch.
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Sequence
from pathlib import Path

from compare.kit.arguments import Parser
from compare.kit.plots import need_matplotlib
from compare.kit.result import RESULTS, ROOT
from compare.report.front import make_front
from compare.report.gather import arrange, read_folder
from compare.report.markdown import FOLDER, picture_files, put_into_readme, render_pages
from compare.report.page import MADE, render_page
from minigrad.errors import OptionError
from minigrad.files import check_target, write_atomically

PNG = b"\x89PNG"
SEEN = 8  # levels of 255 by which a pixel may differ before a picture is drawn anew


def run(arguments: Sequence[str]) -> int:
    """Read all results first, then write what has changed. Returns 0."""
    options = parse(arguments)
    need_matplotlib("report")
    entries = read_folder(options.results)
    chapters, front = arrange(entries), make_front(entries)
    files = {options.html: render_page(front, chapters).encode()}
    if options.markdown is not None:
        pictures = options.markdown.parent / FOLDER
        drawn = picture_files(front, chapters)
        pages = render_pages(options.markdown, front, chapters)
        for path in pages:
            if path.exists() and path.suffix == ".md":
                check_ours(path, "--markdown")
        files |= {path: text.encode() for path, text in pages.items()}
        files |= {pictures / name: picture for name, picture in drawn.items()}
    if options.readme is not None:
        files[options.readme] = put_into_readme(options.readme, front).encode()
    changed = [path for path, content in files.items() if write_if_changed(path, content)]

    missing = [wanted for chapter in chapters for wanted in chapter.missing]
    print(f"{len(entries)} results, {len(changed)} of {len(files)} files changed")
    for path in changed:
        print(f"  {os.path.relpath(path)}")
    if options.markdown is not None and pictures.is_dir():
        for path in sorted([*pictures.glob("*.png"), *options.markdown.with_suffix("").glob("*")]):
            if path not in files:
                print(f"  {os.path.relpath(path)}: shown no more, to be deleted")
    if missing:
        print("not measured yet:")
    for wanted in missing:
        print(f"  python -m compare {wanted.measure}")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. OptionError for what is not understood, or for a file that the report did not make."""
    parser = Parser("report", __doc__)
    add = parser.add_argument
    add("--results", type=Path, default=RESULTS, metavar="FOLDER", help="(compare/results)")
    add("--html", type=Path, default=Path("report.html"), metavar="FILE", help="the page (report.html)")
    add(
        "--markdown",
        type=Path,
        metavar="FILE",
        help=f"(docs/results.md); chapters go to results/ beside it, pictures to {FOLDER}/",
    )
    add("--readme", type=Path, metavar="FILE", help="whose front page is to be brought up to date (README.md)")
    options = parser.parse_args(arguments)
    if options.results.resolve() == RESULTS and (ROOT / "pyproject.toml").is_file():  # else it is an installed package
        options.markdown = options.markdown or ROOT / "docs" / "results.md"
        options.readme = options.readme or ROOT / "README.md"
    check_ours(options.html, "--html")
    if options.markdown is not None:
        check_ours(options.markdown, "--markdown")
    return options


def check_ours(path: Path, option: str) -> None:
    """OptionError if no file can be written there, or if there is one that no report made."""
    check_target(path, option)
    if path.exists() and MADE.encode() not in path.read_bytes()[:1000]:
        raise OptionError(f"{option} {path} is something else than a report: nothing was overwritten")


def write_if_changed(path: Path, content: bytes) -> bool:
    """Whether the file is another now; it is written whole or not at all. OptionError where it cannot be written."""
    try:
        if path.exists() and looks_the_same(path.read_bytes(), content):
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}") from error
    return True


def looks_the_same(before: bytes, now: bytes) -> bool:
    """Whether two files are equal, or are pictures of one size whose pixels differ by at most SEEN levels of 255."""
    if before == now or not before.startswith(PNG) or not now.startswith(PNG):
        return before == now
    from matplotlib.image import imread

    try:
        pixels, others = (imread(io.BytesIO(picture), format="png") for picture in (before, now))
    except (OSError, SyntaxError):  # what is there is cut short
        return False
    return pixels.shape == others.shape and float(abs(pixels - others).max()) <= SEEN / 255
