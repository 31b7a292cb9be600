"""Files of results, tables and pictures: what all commands of compare/ share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compare.kit.plots import as_png, new_figure, quiet
from compare.kit.result import RESULTS, check_target, origin, read_result, write_result
from compare.kit.tables import Table, as_csv, as_html, as_markdown, as_text, markdown_text
from minigrad.errors import OptionError

FORMAT = "compare something 1"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = {"format": FORMAT, "rows": [1, 2.5, None]}
    write_result(path, result)
    assert read_result(path, FORMAT) == read_result(path) == result
    assert list(tmp_path.iterdir()) == [path]  # nothing unfinished is left


def test_of_paths_from_the_root_only_the_name_is_kept() -> None:
    found = origin(
        "speed", ["--json", "/home/someone/a b.json", "--json=/tmp/c.json", "--data", "../data", "--batch", "3"]
    )
    assert found["command"] == "python -m compare speed --json 'a b.json' --json=c.json --data ../data --batch 3"
    named = origin(
        "transfer",
        ["embedded", "b=/home/x/runs/b", "torch:/home/x/n.py:Net", "n.py:Net@/home/x/w.pth", "--rows", "1/.1/.01"],
    )
    assert named["command"].endswith("transfer embedded b=b torch:n.py:Net n.py:Net@w.pth --rows 1/.1/.01")
    assert found["versions"]["minigrad"] and found["machine"]["python"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": "compare something 1", "rows": [1, 2', "cut short"),
        ('{"format": "compare something 2"}', "of format 'compare something 2'"),
        ('{"format": "another program"}', "of format 'another program'"),
        ("[1, 2]", "of format None"),
        ("", "cut short"),
    ],
)
def test_what_is_something_else_is_refused_and_stays(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(OptionError, match=said) as caught:
        check_target(path, FORMAT)
    assert "\n" not in str(caught.value) and "nothing was overwritten" in str(caught.value)
    assert path.read_text() == text


def test_a_target_has_to_be_writable(tmp_path: Path) -> None:
    check_target(None, FORMAT)
    check_target(tmp_path / "new.json", FORMAT)
    for path in (tmp_path, tmp_path / "missing" / "result.json"):
        with pytest.raises(OptionError, match="no file can be written there"):
            check_target(path, FORMAT)


def test_a_result_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_result(path, {"format": FORMAT})
    with pytest.raises(TypeError):
        write_result(path, {"format": FORMAT, "rows": {1, 2}})
    assert json.loads(path.read_text()) == {"format": FORMAT}


def test_committed_results_hold_no_paths_of_a_machine() -> None:
    for path in RESULTS.glob("*.json"):
        read_result(path)
        text = path.read_text()
        assert not any(
            root in text for root in ('"/home/', '"/tmp/', " /home/", " /tmp/", "=/home/", "=/tmp/", "/Users/")
        )


def test_a_table_in_three_ways() -> None:
    table = Table("title", ["name", "a|b"], [["x", "1"], ["long name"], ["<y>", "22"]], ["a note"])
    assert as_text(table) == "title\n\nname       a|b\nx            1\nlong name\n<y>         22\na note"
    assert as_markdown(table).splitlines() == [
        "**title**", "", "| name | a\\|b |", "| --- | ---: |", "| x | 1 |", "| long name |  |", "| \\<y> | 22 |", "", "a note",
    ]  # fmt: skip
    assert markdown_text("__x__ a_b *c* `d`\n[e](f) \\") == "\\__x\\_\\_ a_b \\*c\\* \\`d\\` \\[e\\](f) \\\\"
    page = as_html(table)
    assert "<details" not in page and '<details class="long"><summary>21 rows' in as_html(
        Table("", ["x"], [["1"]] * 21)
    )
    assert as_csv(table) == "name,a|b\nx,1\nlong name\n<y>,22\n"
    assert "<td>&lt;y&gt;</td>" in page and "<td>long name</td><td></td>" in page and "<y>" not in page


def test_a_picture() -> None:
    pytest.importorskip("matplotlib")
    figure, panels = new_figure(2, 1, "Title", "a subtitle")
    for axes in panels.flat:
        axes.plot([1, 2])
        quiet(axes, "a panel", "x", "y")
    picture = as_png(figure)
    assert picture.startswith(b"\x89PNG") and panels.shape == (2, 1)
