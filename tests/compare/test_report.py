"""python -m compare report: what stands on the page, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
import types
from dataclasses import replace
from html.parser import HTMLParser
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from compare.__main__ import COMMANDS, main
from compare.kit.command import Command, find
from compare.kit.plots import as_png, new_figure
from compare.kit.result import ROOT
from compare.kit.tables import Table
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


def assert_links_resolve(text: str, folder: Path) -> None:
    """In Markdown: anchors are there, each once, and so are the pictures."""
    anchors = re.findall(r'<a id="([^"]+)"></a>', text)
    anchors += [title.lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", text.replace(",", ""), re.M)]
    for link in re.findall(r"(?<!!)\[[^\]\n]*\]\(([^)]*)\)", text):
        assert link.startswith("#") and anchors.count(link[1:]) == 1, link
    for picture in re.findall(r"!\[[^\n]*?\]\(([^)]*)\)", text):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG"), picture


def test_what_a_result_says_stands_on_the_page_and_is_escaped(tmp_path: Path, capsys: Any) -> None:
    save(tmp_path / "r", "madeup-one", pictures=2, rows=40)
    save(tmp_path / "r", 'a "b" <c>')
    code, said = report(capsys, tmp_path / "r")
    assert code == 0 and "2 results, 5 of 5 files changed" in said
    text = (tmp_path / "page.html").read_text()
    page = assert_whole(text)
    assert len(page.sources) == 3 and text.count('<figure class="long">') == 1
    assert page.text.count(f"the value is {EVIL}") == 2 and "made madeup-one" in page.text
    markdown = (tmp_path / "page.md").read_text()
    assert not re.search(r"(?<!\\)<script", markdown) and "\\<script>" in markdown and "a\\|b" in markdown
    assert markdown.count("<details><summary>40 rows</summary>") == 1
    assert_links_resolve(markdown, tmp_path)
    pictures = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    assert pictures == ["a--b---c-.png", "madeup-one-the-curve-0.png", "madeup-one-the-curve-1.png"]


def test_the_same_results_the_same_bytes(tmp_path: Path, capsys: Any) -> None:
    save(tmp_path / "r", "one"), save(tmp_path / "r", "two", pictures=3)
    report(capsys, tmp_path / "r")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    code, said = report(capsys, tmp_path / "r")
    assert code == 0 and "2 results, 0 of 6 files changed" in said
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    save(tmp_path / "r", "two", pictures=2)
    code, said = report(capsys, tmp_path / "r")
    assert "2 of 5 files changed" in said and "two-the-curve-2.png: shown no more, to be deleted" in said


def test_what_is_not_measured_is_named_with_its_command(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "r").mkdir()
    code, said = report(capsys, tmp_path / "r")
    page = assert_whole((tmp_path / "page.html").read_text())
    markdown = (tmp_path / "page.md").read_text()
    assert code == 0 and "0 results" in said
    for section in SECTIONS:
        assert section.title in page.text and f"## {section.title}\n" in markdown
        for wanted in section.wanted:
            for text in (said, page.text, markdown):
                assert f"python -m compare {wanted.measure}" in text
    assert_links_resolve(markdown, tmp_path)


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
    refused(capsys, folder, "no file can be written there", "--html", tmp_path / "none" / "x.html")
    common = ["--html", tmp_path / "x.html", "--markdown", tmp_path / "x.md", "--readme"]
    refused(capsys, folder, "has not the marks", *common, mine)
    refused(capsys, folder, "cannot be read", *common, tmp_path / "none.md")
    refused(capsys, folder, "name that too", "--html", tmp_path / "x.html", "--readme", mine)


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
        "ratios": {"torch": {"summary": {"median": time}}},
        "memory": {"minigrad": {"above_ready": memory}, "torch": {"above_ready": 1.0}},
    }
    return Entry("s", "speed", result, [], {}, "")


def lockstep(model: str, ratio: float) -> Entry:
    drift = {name: [0.0, 1e-7, 2e-7] for name in ("minigrad float32", "torch float32", "minigrad float64")}
    ratios = {"weights": {"mean": ratio}}
    result = {"model": model, "steps": 3, "ratios": ratios, "runs": [{"drift": {"weights": drift}}]}
    return Entry("l", "lockstep", result, [], {}, "")


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
        "dataset": {"name": "some"},
    }
    return Entry("a", "accuracy", result | more, [], {}, "")


def test_the_front_page() -> None:
    """A row a network, a column for what there is; what is unfinished, of the smallest scale or of another kind is left out."""
    front = make_front(
        [
            speed("simplenet", 0.7, 0.4), speed("vit", 1.3, 0.8), speed("vit", 9, 9, device="gpu:0"), speed("vit", 9, 9),
            lockstep("simplenet", 1.04), lockstep("resnet18", 0.9),
            accuracy("simplenet-60", "full", 44.0), accuracy("simplenet-60", "small", 81.0), accuracy("vit-d4-90", "smoke", 1),
            accuracy("simplenet-bn-90", "small", 1, complete=False), accuracy("simplenet-custom-conv-10", "small", 1),
            Entry("g", "gradients", {}, [], {}, "All 7 rows agree."),
        ]
    )  # fmt: skip
    assert list(front.table.head[1:]) == [
        "drift / torch's", "top-1, minigrad", "top-1, torch", "time / torch's", "memory / torch's",
    ]  # fmt: skip
    assert front.table.rows == [
        ["SimpleNet", "1.04", "44.0 ± 0.2", "80.0 ± 0.2", "0.70", "0.40"],
        ["SimpleViT", "", "", "", "1.30", "0.80"],
        ["ResNet-18", "0.90", "", "", "", ""],
    ]
    text = " ".join(front.table.notes)
    assert (
        "All 7 rows agree." in text and "in 3 steps" in text and "some (full scale)" in text and "SimpleNet 8" in text
    )
    assert front.picture is not None and front.picture.startswith(b"\x89PNG")
    assert front.caption.count(",") == 2
    only = make_front([speed("vit", 1.3, 0.8)])
    assert list(only.table.head) == ["", "time / torch's", "memory / torch's"] and "learns" not in only.caption
    nothing = make_front([])
    assert not nothing.table.rows and nothing.picture is None


def test_the_front_page_shows_training_alone() -> None:
    """Not the run in which an attack was timed too, wherever it stands."""
    attacked = speed("simplenet", 9, 9)
    attacked.result["command"] = "python -m compare speed --model simplenet --attack"
    assert make_front([attacked, speed("simplenet", 0.7, 0.4)]).table.rows == [["SimpleNet", "0.70", "0.40"]]
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
    assert not arrange(entries[:2])[2].pictures
