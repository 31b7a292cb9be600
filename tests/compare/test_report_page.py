"""The page of the committed results: it is what they say, it needs no torch, and a real browser opens it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compare.kit.result import RESULTS, ROOT
from compare.report.front import make_front
from compare.report.gather import arrange, read_folder
from compare.report.markdown import BEGIN, END, FOLDER, picture_files, put_into_readme, render_pages
from compare.report.page import render_page
from tests.compare.test_report import assert_links_resolve, assert_whole


def test_without_torch_and_scipy(tmp_path: Path) -> None:
    """In a clean clone with numpy and matplotlib alone."""
    missing = ("torch", "torchvision", "scipy", "cupy", "safetensors", "tensorboardX", "tqdm")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing})); from compare.__main__ import main; "
    code += f"sys.exit(main(['report', '--html', {str(tmp_path / 'x.html')!r}, '--results', 'compare/results', "
    code += f"'--markdown', {str(tmp_path / 'x.md')!r}, '--readme', {str(tmp_path / 'README.md')!r}]))"
    (tmp_path / "README.md").write_text(BEGIN + END)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_whole((tmp_path / "x.html").read_text())
    assert_links_resolve(tmp_path / "x.md")


# the committed page


@pytest.fixture(scope="module")
def committed() -> Any:
    """(front, chapters) of compare/results/."""
    pytest.importorskip("matplotlib")
    entries = read_folder(RESULTS)
    return make_front(entries), arrange(entries)


def test_every_committed_result_has_its_section(committed: Any) -> None:
    shown = {entry.entry.name: chapter.section.name for chapter in committed[1] for entry in chapter.shown}
    assert shown.keys() == {path.stem for path in RESULTS.glob("*.json")}
    assert "others" not in shown.values()


def test_what_is_committed_is_what_the_results_say(committed: Any) -> None:
    """Else: python -m compare report, and commit what it has changed."""
    front, chapters = committed
    docs = ROOT / "docs"
    pages = render_pages(docs / "results.md", front, chapters)
    assert {path: path.read_text() for path in (docs / "results.md", *(docs / "results").iterdir())} == pages
    assert (ROOT / "README.md").read_text() == put_into_readme(ROOT / "README.md", front)
    pictures = {path.name for path in (docs / FOLDER).iterdir()}
    assert pictures == picture_files(front, chapters).keys()
    assert_links_resolve(docs / "results.md")


# in a browser

LOOK = """<script>
addEventListener("error", event => console.error(event.message));
addEventListener("load", () => {
  const found = [...document.images].map(image => image.naturalWidth);
  const wide = [...document.querySelectorAll("body *")].filter(one =>
    one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".wide, .picture"));
  parent.postMessage("LOOK" + JSON.stringify({
    pictures: found, width: innerWidth, scroll: document.documentElement.scrollWidth,
    wide: wide.map(one => one.outerHTML.slice(0, 80)),
  }), "*");
});
</script>"""
FRAME = """<!DOCTYPE html><title></title><link rel="icon" href="data:,">
<script>addEventListener("message", event => { document.title = event.data; });</script>
<iframe src="NAME" style="width: WIDTHpx; height: 900px; border: 0"></iframe>"""  # no window is as narrow as a phone
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def open_in_browser(page: Path, width: int, profile: Path) -> tuple[dict[str, Any], list[str]]:
    """(what LOOK found, lines of the console) of a page seen at that width. Skips where there is no Chromium."""
    names = [os.environ.get("MINIGRAD_BROWSER", ""), *BROWSERS]
    browser = next((found for name in names if name and (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("there is no Chromium here; MINIGRAD_BROWSER can name one")
    quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.replace("NAME", page.name).replace("WIDTH", str(width)))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync", *quiet]
    command += [f"--user-data-dir={profile}", f"--window-size={width + 100},1000", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=10000", "--dump-dom", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r"<title>LOOK(.*?)</title>", done.stdout)
    assert found, done.stderr
    return json.loads(found[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")), [
        line for line in done.stderr.splitlines() if "CONSOLE" in line
    ]


@pytest.mark.parametrize("width", [400, 1280])
def test_in_a_browser(width: int, committed: Any, tmp_path: Path) -> None:
    """All unfolded: no error on the console, all pictures there, nothing wider than the window, on a phone and on a desk."""
    page, text = tmp_path / "page.html", render_page(*committed)
    pictures = text.count("<img ")
    page.write_text(text.replace("<title>", LOOK + "<title>").replace("<details", "<details open"))
    found, console = open_in_browser(page, width, tmp_path / "profile")
    assert console == []
    assert len(found["pictures"]) == pictures > 0 and min(found["pictures"]) > 0
    assert found["width"] == width and found["scroll"] <= width and found["wide"] == []


def test_the_browser_sees_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        f'<!DOCTYPE html><title>x</title>{LOOK}<img src="data:image/png;base64,AAAA"><p style="width:900px">x</p>'
        "<script>nothing()</script>"
    )
    found, console = open_in_browser(page, 400, tmp_path / "profile")
    assert found["pictures"] == [0] and found["scroll"] > 400 and found["wide"] and console
