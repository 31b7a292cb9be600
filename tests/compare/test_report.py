"""python -m compare report: what stands on the page, and what it refuses."""

from __future__ import annotations

import io
import json
import re
import sys
import types
from dataclasses import replace
from html.parser import HTMLParser
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare.__main__ import COMMANDS, main
from compare.kit.command import Command, find
from compare.kit.plots import as_png, new_figure
from compare.kit.result import ROOT
from compare.kit.tables import Table
from compare.report import looks_the_same
from compare.report.front import make_front
from compare.report.gather import Entry, arrange, place, read_folder
from compare.report.markdown import BEGIN, END, FOLDER
from compare.report.outline import SECTIONS, Wanted

EVIL = "<script>alert('x')</script> & \"a|b\" *c*"


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command `madeup`, whose results hold what a test gives them."""
    pytest.importorskip("matplotlib")
    module: Any = types.ModuleType("compare.madeup")
    module.__spec__ = ModuleSpec("compare.madeup", None)
    show: Any = types.SimpleNamespace()
    show.tables = lambda result: [Table(EVIL, ["a", "b"], [["x", result["value"]]] * result.get("rows", 1), [EVIL])]
    show.pictures = lambda result: {f"The curve {i}": draw(i) for i in range(result.get("pictures", 1))}
    show.verdict = lambda result: f"the value is {result['value']}"
    module.COMMAND = Command(
        "madeup", "compare madeup 2", None, lambda parser: None, lambda options, begun: begun, show
    )
    monkeypatch.setitem(sys.modules, "compare.madeup", module)


def draw(number: int) -> bytes:
    figure, panels = new_figure(1, 2, "Title", "a subtitle")
    panels[0, 0].plot([0, number])
    return as_png(figure)


def save(folder: Path, name: str = "madeup-one", **more: Any) -> Path:
    """A result of the made-up command."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"format": "compare madeup 2", "value": EVIL, "command": f"made {name}"} | more))
    return path


def report(capsys: Any, folder: Path, *arguments: Any) -> tuple[int, str]:
    """(exit code, what was printed) of a report on a folder of results, written beside it."""
    out = ["--html", folder.parent / "page.html", "--markdown", folder.parent / "page.md"]
    code = main(["report", "--results", str(folder), *map(str, arguments or out)])
    said = capsys.readouterr()
    return code, said.err or said.out


class Page(HTMLParser):
    """What stands in a page: ids, links, pictures, tags, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.append(tag)
        self.ids += [str(found["id"])] if "id" in found else []
        self.links += [str(found["href"])] if "href" in found else []
        self.sources += [str(found["src"])] if "src" in found else []

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_whole(text: str) -> Page:
    """A page that needs nothing beside it, and whose links lead somewhere."""
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(link == "data:," or (link[0] == "#" and link[1:] in page.ids) for link in page.links)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "script" not in page.tags and "url(" not in text and "@import" not in text
    return page


def assert_links_resolve(path: Path) -> None:
    """In Markdown, on the first page and those of the chapters: what links lead to is there, its anchor once; so are pictures."""
    for page in (path, *path.with_suffix("").glob("*.md")):
        text = page.read_text()
        for link in re.findall(r"(?<!!)\[[^\]\n]*\]\(([^)]*)\)", text):
            file, _, anchor = link.partition("#")
            target = page.parent / file
            if not target.name.endswith(".json"):  # results may lie elsewhere
                assert target.is_file() and (not anchor or target.read_text().count(f'<a id="{anchor}"></a>') == 1), (
                    link
                )
        for picture in re.findall(r"!\[[^\n]*?\]\(([^)]*)\)", text):
            assert (page.parent / picture).read_bytes().startswith(b"\x89PNG"), picture


def all_pages(path: Path) -> str:
    """What stands on the first page and on those of the chapters."""
    return "".join(page.read_text() for page in (path, *sorted(path.with_suffix("").glob("*.md"))))


def test_what_a_result_says_stands_on_the_page_and_is_escaped(tmp_path: Path, capsys: Any) -> None:
    save(tmp_path / "r", "madeup-one", pictures=2, rows=40)
    save(tmp_path / "r", 'a "b" <c>', rows=101)
    code, said = report(capsys, tmp_path / "r")
    assert code == 0 and f"2 results, {7 + len(SECTIONS)} of {7 + len(SECTIONS)} files changed" in said
    text = (tmp_path / "page.html").read_text()
    page = assert_whole(text)
    assert (
        len(page.sources) == 3 and text.count('<details class="long">') == 2 == page.text.count(f"{EVIL}: 40 rows") * 2
    )
    assert page.text.count(f"the value is {EVIL}") == 2 and "made madeup-one" in page.text
    markdown = all_pages(tmp_path / "page.md")
    assert not re.search(r"(?<!\\)<script", markdown) and "\\<script>" in markdown and "a\\|b" in markdown
    assert markdown.count(": 40 rows</summary>") == 1
    (table,) = (tmp_path / "page").glob("*.csv")
    assert f"101 rows, in [{table.name}]({table.name})" in markdown and len(table.read_text().splitlines()) == 102
    assert table.read_text().splitlines()[1] == 'x,"<script>alert(\'x\')</script> & ""a|b"" *c*"'
    assert_links_resolve(tmp_path / "page.md")
    pictures = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    assert pictures == ["a--b---c-.png", "madeup-one-the-curve-0.png", "madeup-one-the-curve-1.png"]


def test_the_same_results_the_same_bytes(tmp_path: Path, capsys: Any) -> None:
    save(tmp_path / "r", "one"), save(tmp_path / "r", "two", pictures=3)
    report(capsys, tmp_path / "r")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    code, said = report(capsys, tmp_path / "r")
    assert code == 0 and f"2 results, 0 of {7 + len(SECTIONS)} files changed" in said
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    save(tmp_path / "r", "two", pictures=2)
    code, said = report(capsys, tmp_path / "r")
    assert (
        f"2 of {6 + len(SECTIONS)} files changed" in said
        and "two-the-curve-2.png: shown no more, to be deleted" in said
    )


def test_a_picture_is_drawn_anew_when_one_sees_a_difference() -> None:
    """Not for what rounding moves by a level or two; for a line that is elsewhere, another size, a file that is damaged."""
    images = pytest.importorskip("matplotlib.image")
    picture = draw(3)
    pixels = images.imread(io.BytesIO(picture))
    row = int(abs(pixels - 1).sum((1, 2)).argmax())  # one in which there is something

    def drawn(change: float) -> bytes:
        other, file = pixels.copy(), io.BytesIO()
        other[row] = np.clip(other[row] - change / 255, 0, 1)
        images.imsave(file, other)
        return file.getvalue()

    assert looks_the_same(picture, picture) and looks_the_same(picture, drawn(2)) and looks_the_same(b"text", b"text")
    for other in (drawn(40), draw(4), picture[:200], b"text"):
        assert not looks_the_same(picture, other) and not looks_the_same(other, picture)


def test_what_is_not_measured_is_named_with_its_command(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "r").mkdir()
    code, said = report(capsys, tmp_path / "r")
    page = assert_whole((tmp_path / "page.html").read_text())
    markdown = all_pages(tmp_path / "page.md")
    assert code == 0 and "0 results" in said
    for section in SECTIONS:
        assert section.title in page.text and f"# {section.title}\n" in markdown
        for wanted in section.wanted:
            for text in (said, page.text, markdown):
                assert f"python -m compare {wanted.measure}" in text
    assert_links_resolve(tmp_path / "page.md")


@pytest.mark.parametrize(
    "wanted", [wanted for section in SECTIONS for wanted in section.wanted], ids=lambda w: w.measure
)
def test_the_commands_that_are_named_exist(wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their own parsers take them; and a result that they make stands where it was missing."""
    command, *arguments = wanted.measure.split()
    assert command == wanted.command and re.search(r" --json compare/results/[\w-]+\.json$", wanted.measure)
    monkeypatch.chdir(tmp_path)
    Path("compare/results").mkdir(parents=True)
    find(command).COMMAND.parse(arguments)
    entry = Entry("x", command, {"command": f"python -m compare {wanted.measure}"}, [], {}, "")
    assert place(entry)[1] == wanted.title


def test_results_find_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the words of their command lines; several alike are distinguished by their files' names."""
    titles = {}
    for name, line in {
        "c": "--model simplenet",
        "b": "--model=simplenet --threads 1",
        "a": "--model simplenet --custom-conv",
        "d": "--model vit",
        "e": "--model other",
    }.items():
        path = save(tmp_path, name, command=f"python -m compare speed {line}")
        monkeypatch.setitem(sys.modules, "compare.speed", sys.modules["compare.madeup"])
        path.write_text(path.read_text().replace("compare madeup 2", "compare speed 2"))
    made = sys.modules["compare.madeup"]
    monkeypatch.setattr(made, "COMMAND", replace(made.COMMAND, name="speed", format="compare speed 2"))
    (costs,) = [chapter for chapter in arrange(read_folder(tmp_path)) if chapter.section.name == "costs"]
    titles = {shown.entry.name: shown.heading for shown in costs.shown}
    assert list(titles) == ["b", "c", "d", "a", "e"]
    assert titles["b"] == "SimpleNet, a step (b)" and titles["d"] == "SimpleViT, a step" and titles["e"] == "e"
    assert "hand-written" in titles["a"]
    missing = [wanted.title for wanted in costs.missing]
    assert "ResNet-18, a step" in missing and "SimpleNet, a step" not in missing


def refused(capsys: Any, folder: Path, message: str, *arguments: Any) -> None:
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    code, said = report(capsys, folder, *arguments)
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1, said
    assert message in said, said
    assert before == {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}


def test_results_that_are_none_are_refused(tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "r"
    refused(capsys, folder, "there is no such folder")
    save(folder, "one")
    assert report(capsys, folder)[0] == 0
    path = save(folder, "two")
    whole = path.read_text()
    for text, message in (
        ("", "two.json is no file of results, or was cut short"),
        (whole[: len(whole) // 2], "two.json is no file of results, or was cut short"),
        ("[1]", "is of format None"),
        (whole.replace("madeup 2", "madeup 1"), "'compare madeup 1', and python -m compare madeup reads"),
        (whole.replace("madeup 2", "nothing 1"), "is of format 'compare nothing 1', which no command here knows"),
        (whole.replace("madeup 2", "tables 1"), "is of format 'compare tables 1', which no command here knows"),
        (whole.replace("madeup 2", "../x 1"), "which no command here knows"),
        ('{"format": "compare madeup 2"}', "two.json is damaged"),
    ):
        path.write_text(text)
        refused(capsys, folder, message)


def test_nothing_of_others_is_overwritten(tmp_path: Path, capsys: Any) -> None:
    folder, mine = tmp_path / "r", tmp_path / "mine"
    save(folder)
    mine.write_text("my own page")
    refused(capsys, folder, "--html", "--html", mine)
    refused(capsys, folder, "is something else than a report: nothing was overwritten", "--markdown", mine)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "costs.md").write_text("my own chapter")
    refused(
        capsys,
        folder,
        "costs.md is something else than a report",
        "--html",
        tmp_path / "x.html",
        "--markdown",
        tmp_path / "other.md",
    )
    refused(capsys, folder, "no file can be written there", "--html", tmp_path / "none" / "x.html")
    common = ["--html", tmp_path / "x.html", "--markdown", tmp_path / "x.md", "--readme"]
    refused(capsys, folder, "has not the marks", *common, mine)
    refused(capsys, folder, "cannot be read", *common, tmp_path / "none.md")


def test_the_readme_around_its_block_stays(tmp_path: Path, capsys: Any) -> None:
    save(tmp_path / "r")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    arguments = ["--html", tmp_path / "x.html", "--markdown", tmp_path / "docs.md", "--readme", readme]
    assert report(capsys, tmp_path / "r", *arguments)[0] == 0
    text = readme.read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n\n") and text.endswith(f"\n\n{END}\n\nafter\n") and "old" not in text


def test_the_list_of_commands_is_what_there_is() -> None:
    packages = {path.parent.name for path in (ROOT / "compare").glob("*/__init__.py")}
    assert packages - {"kit"} == COMMANDS.keys()
    assert all(callable(find(name).run) for name in COMMANDS)


# the front page


def speed(model: str, time: float, memory: float, **job: Any) -> Entry:
    """A result of speed, as far as the front page reads it."""
    result = {
        "job": {"model": model, "batch": 8, "image_size": 64, "device": "cpu"} | job,
        "machine": {"processor": "Some", "usable_cores": 2},
        "ratios": {"torch": {"summary": {"median": time}}, "torch channels-last": {"summary": {"median": 2 * time}}},
        "memory": {"minigrad": {"above_ready": memory}, "torch": {"above_ready": 1.0}},
    }
    return Entry("s", "speed", result, [], {}, "")


def lockstep(model: str) -> Entry:
    drift = {name: [0.0, 1e-7, 2e-7] for name in ("minigrad float32", "torch float32", "minigrad float64")}
    return Entry("l", "lockstep", {"model": model, "steps": 3, "runs": [{"drift": {"weights": drift}}]}, [], {}, "")


def accuracy(experiment: str, scale: str, ours: float, **more: Any) -> Entry:
    summary = {
        framework: {
            "final": {"top1": {"mean": top1, "error": 0.25}},
            "curves": {"val_top1": [{"mean": top1 - 5, "error": 1.0}, {"mean": top1, "error": 0.25}]},
        }
        for framework, top1 in {"minigrad": ours, "torch": 80.0}.items()
    }
    result = {
        "experiment": experiment,
        "scale": scale,
        "complete": True,
        "summary": summary,
        "dataset": {"name": "some", "training_images": 10000, "validation_images": 2000},
        "recipe": {"options": {"epochs": 15}},
        "seeds": [1, 2],
    }
    return Entry("a", "accuracy", result | more, [], {}, "")


def test_the_front_page() -> None:
    """A row a network, a column for what there is; what is unfinished, not a whole training or of another kind is left out."""
    front = make_front(
        [
            speed("simplenet", 0.7, 0.4), speed("vit", 1.3, 0.8), speed("vit", 9, 9, device="gpu:0"), speed("vit", 9, 9),
            lockstep("simplenet-bn"), lockstep("resnet18"),
            accuracy("simplenet-60", "full", 44.0), accuracy("simplenet-60", "default", 81.0), accuracy("vit-d4-90", "small", 1),
            accuracy("simplenet-bn-90", "full", 1, complete=False), accuracy("simplenet-custom-conv-10", "full", 1),
            Entry("g", "gradients", {}, [], {}, "All 7 rows agree."),
        ]
    )  # fmt: skip
    assert list(front.table.head[1:]) == [
        "top-1 %, minigrad", "top-1 %, torch", "time / torch's", "time / torch's, channels_last", "memory / torch's",
    ]  # fmt: skip
    assert front.table.rows == [
        ["SimpleNet", "44.0 ± 0.2", "80.0 ± 0.2", "0.70", "1.40", "0.40"],
        ["SimpleViT", "–", "–", "1.30", "2.60", "0.80"],
    ]
    text = " ".join(front.table.notes)
    for words in (
        "All 7 rows agree.", "2,000 validation images of some", "15 epochs on 10,000", "2 seeds", "lower is better", "SimpleNet 8",
        "SimpleNet-BN and SimpleViT: compared on fewer images alone",
    ):  # fmt: skip
        assert words in text, words
    assert front.picture is not None and front.picture.startswith(b"\x89PNG")
    assert front.caption.count(",") == 1
    only = make_front([speed("vit", 1.3, 0.8)])
    assert list(only.table.head)[1:] == ["time / torch's", "time / torch's, channels_last", "memory / torch's"]
    assert "learns" not in only.caption
    nothing = make_front([])
    assert not nothing.table.rows and nothing.picture is None


def test_the_front_page_shows_training_alone() -> None:
    """Not the run in which an attack was timed too, wherever it stands."""
    attacked = speed("simplenet", 9, 9)
    attacked.result["command"] = "python -m compare speed --model simplenet --attack"
    assert make_front([attacked, speed("simplenet", 0.7, 0.4)]).table.rows == [["SimpleNet", "0.70", "1.40", "0.40"]]
    assert not make_front([attacked]).table.rows


def test_what_results_show_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of all results of a command that has one, and two experiments of one scale in one figure."""
    module: Any = types.ModuleType("compare.accuracy")
    module.__spec__ = ModuleSpec("compare.accuracy", None)
    show = types.SimpleNamespace(
        overview=lambda results: Table("", ["a"], [[result["scale"]] for result in results]),
        picture_of_two=lambda first, second: f"{first['scale']} {second['scale']}".encode(),
    )
    module.COMMAND = types.SimpleNamespace(show=show)
    monkeypatch.setitem(sys.modules, "compare.accuracy", module)

    def entry(name: str, scale: str) -> Entry:
        result = {"command": f"python -m compare accuracy {name} --scale {scale}", "scale": scale}
        return Entry(f"{name}-{scale}", "accuracy", result, [], {}, "")

    entries = [
        entry("simplenet-bn-90", "full"),
        entry("simplenet-bn-90", "small"),
        entry("resnet18-finetune-60", "small"),
    ]
    (chapter,) = [chapter for chapter in arrange(entries) if chapter.section.name == "experiments"]
    assert [table.rows for table in chapter.overviews] == [[["full"], ["small"], ["small"]]]
    assert chapter.pictures == [b"small small"]
    assert not next(c for c in arrange(entries[:2]) if c.section.name == "experiments").pictures
