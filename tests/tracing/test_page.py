"""The page of a trace: its data is the trace's, and in a browser it steps, unfolds and breaks without an error."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.tracing.page import packed, payload
from minigrad.tracing.record import Trace
from minigrad.tracing.values import summarise
from models import create

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
browser_wanted = pytest.mark.skipif(
    not (CHROMIUM and DRIVER and importlib.util.find_spec("selenium")), reason="needs Chromium, chromedriver, selenium"
)


def three_lines() -> Trace:
    w, b = mg.tensor(0.5, requires_grad=True), mg.tensor(0.1, requires_grad=True)
    x, y = mg.tensor([1.0, 2.0, 3.0]), mg.tensor([2.0, 4.0, 7.0])
    with mg.trace() as t:
        p = w * x + b
        loss = ((p - y) ** 2).mean() + w.sin() * p.exp().sum()
        loss.backward()
    return t


def simplenet() -> Trace:
    mg.manual_seed(0)
    model, images, labels = create("simplenet", 10, 3, 32), mg.randn(32, 3, 32, 32), mg.randint(10, (32,))
    with mg.trace() as t:
        nn.functional.cross_entropy(model(images), labels).backward()
    return t


def test_the_data_is_the_traces() -> None:
    t = three_lines()
    t.check(3)
    data = json.loads(json.dumps(payload(t, "x", True, t.checks, t.besides), allow_nan=False))
    assert [node["name"] for node in data["nodes"]] == [node.name for node in t.nodes]
    for visit, found in zip(t.visits, data["visits"], strict=True):
        (gradient,) = found["gradients"]
        np.testing.assert_allclose(data["values"][gradient]["norm"], visit.gradients[0].summary.norm, rtol=1e-5)
        assert found["waiting"] == visit.waiting
    assert data["nodes"][3]["check"]["ok"]
    add = next(v for v in data["visits"] if v["node"] == 1)
    assert [data["visits"][s["visit"]]["node"] for s in add["arrived"][0]] == [6, 2]
    assert add["doubled"]["twice"] == [1] and [c["leaf"] for c in add["doubled"]["changes"]] == [0]


def test_what_doubling_does_is_what_t_doubled_measures() -> None:
    t = three_lines()
    for visit, found in zip(t.visits, payload(t, "x", False, {}, None)["visits"], strict=True):
        measured = {t.leaves.index(change.leaf): change for change in t.doubled(visit.node)}
        by_page = {leaf: 2 for leaf in found["doubled"]["twice"]}
        by_page |= {c["leaf"]: c["after"] / c["before"] for c in found["doubled"]["changes"]}
        assert by_page.keys() == measured.keys()
        for leaf, ratio in by_page.items():
            assert math.isclose(ratio, measured[leaf].after / measured[leaf].before, rel_tol=1e-4)


def test_numbers_that_json_lacks_are_words() -> None:
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    with mg.trace() as t:
        x.log().sum().backward()
    data = payload(t, "x", True, t.checks, t.besides)
    json.dumps(data, allow_nan=False)
    assert data["values"][data["nodes"][0]["outputs"][0]]["numbers"] == ["-inf", 0.0]


def test_a_heat_map_shows_the_largest_of_each_block() -> None:
    x = np.zeros((96, 96), np.float32)
    x[50, 70], x[3, 3] = -4.0, 2.0
    found = summarise(x)
    assert found.picture.shape[0] <= 24 and found.picture.min() == -4 and found.picture.max() == 2
    assert packed(found.picture)["scale"] == 4


@pytest.mark.parametrize(
    "shape", [(), (3,), (0, 4), (2, 3), (100,), (60, 70), (5, 6, 7), (2, 3, 20, 20), (2, 1, 1, 1, 3)]
)
def test_summaries_of_every_shape(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    found = summarise(x)
    assert found.shape == shape and math.isclose(found.norm, np.linalg.norm(x), rel_tol=1e-9, abs_tol=0)
    if x.size:
        assert math.isclose(found.mean, x.mean(), rel_tol=1e-9) and (found.low, found.high) == (x.min(), x.max())
        assert math.isclose(found.std, x.std(), rel_tol=1e-6, abs_tol=1e-7)
    assert (found.numbers is None) == (x.size > 48) == bool(found.histogram)


def test_the_page_needs_no_network_and_is_small(tmp_path: Path) -> None:
    simplenet().html(tmp_path / "page.html", "a <title> & more")
    text = (tmp_path / "page.html").read_text()
    assert len(text) < 5e6
    urls = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert urls <= {"http://www.w3.org/2000/svg"}
    assert "<title>a &lt;title> &amp; more</title>" in text


def test_in_a_notebook_it_is_a_frame() -> None:
    shown = three_lines()._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and shown.count('"') == 6


# -- in a browser ---------------------------------------------------------------------------------------------------------


class Page:
    """The page in Chromium."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def text(self, selector: str) -> str:
        return self.run(f"return document.querySelector({selector!r})?.innerText ?? ''")

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield made
    made.quit()


def opened(driver: Any, trace: Trace, path: Path) -> Page:
    trace.html(path / "page.html")
    driver.get((path / "page.html").as_uri())
    return Page(driver)


RIGHT, LEFT, HOME, END = "\ue014", "\ue012", "\ue011", "\ue010"


@browser_wanted
def test_arrow_keys_step_forward_and_backward(driver: Any, tmp_path: Path) -> None:
    page = opened(driver, three_lines(), tmp_path)
    assert page.text("#position") == "step 1 of 21: forward 1 of 10"
    assert "z[2] = x y = 0.5 * 3 = 1.5" in page.text("#detail")
    page.press("b")
    assert page.text("#detail h2") == "Backward: Add #9"
    page.press(RIGHT, RIGHT)
    assert page.text("#detail h2") == "Backward: Sum #7" and "made last" in page.text(".why")
    page.press(LEFT)
    assert page.text("#detail h2") == "Backward: Mul #8"
    page.run("go(state.steps.findIndex(s => s.kind === 'backward' && s.n === 1))")
    assert "|1.322| = |2.911| by Exp #6 + |4.192| by Sub #2" in page.text("#detail")
    assert "gy = sum of gz = -1.225 + (-0.4931) + (-0.05976) = -1.778" in page.text("#detail")
    assert "twice the gradient: b" in page.text("#doubled")
    page.press(END)
    assert "3.86 = 8.582 by Sin #5 + -4.722 by Mul #0" in page.text("#detail")
    page.press(HOME)
    assert page.text("#position").startswith("step 1 of")
    assert page.errors() == []


@browser_wanted
def test_every_step_of_a_network_is_shown_and_unfolds(driver: Any, tmp_path: Path) -> None:
    page = opened(driver, simplenet(), tmp_path)
    count = page.run("return state.steps.length")
    page.run("for (let i = 0; i < state.steps.length; i++) go(i)")
    page.run("go(0)")
    page.press("u")
    assert page.run("return state.steps.length") > count
    assert page.text("#detail h2") == "Forward: Unfold #0" and "by its definition" in page.text("#graph")
    page.run("for (let i = 0; i < state.steps.length; i++) go(i)")
    page.run("go(state.steps.findIndex(s => s.kind === 'backward' && s.key === '0/8'))")
    assert page.text("#detail h2") == "Backward: MaxPool2d #8"
    page.press("u")
    assert page.run("return state.steps.length") == count
    assert page.text("#detail h2") == "Backward: Conv2dReluMaxPool2d #0"
    assert page.run("return [...document.querySelectorAll('.module > span')].map(e => e.innerText)") == ["features"]
    assert page.errors() == []


@browser_wanted
def test_rows_are_clicked_and_coloured_as_gradients_come(driver: Any, tmp_path: Path) -> None:
    page = opened(driver, simplenet(), tmp_path)
    fills = "return state.rows.map(row => row.dot.getAttribute('fill'))"
    assert set(page.run(fills)) == {"var(--none)"}
    page.press(END)
    reached = page.run("return state.rows.filter(row => row.dot.getAttribute('fill') !== 'var(--none)').length")
    assert reached == page.run("return DATA.visits.length")
    page.run("document.querySelector('.row[data-key=\"6\"]').click()")
    assert page.text("#detail h2") == "Backward: Conv2dRelu #6"
    assert page.run("return document.querySelectorAll('#detail canvas').length") >= 2
    assert page.errors() == []


@browser_wanted
def test_breakpoints_stop_where_they_hold(driver: Any, tmp_path: Path) -> None:
    x = mg.tensor([[-1.0, 4.0], [-2.0, 9.0]], requires_grad=True)
    with mg.trace() as t:
        ((x.relu() - 9).sqrt().nan_to_num() * 0).sum().backward()
    page = opened(driver, t, tmp_path)
    page.press("c")
    assert "Breakpoint: NaN" in page.text("#detail") and page.text("#detail h2") == "Forward: Sqrt #2"
    page.press("c")
    assert "a gradient is all zero" in page.text("#detail") and page.text("#detail h2") == "Backward: Mul #4"
    set_field = "{ const f = document.getElementById('%s'); f.%s; f.dispatchEvent(new Event('input')); }"
    page.run(set_field % ("on-nan", "checked = false") + set_field % ("on-zero", "checked = false"))
    assert page.text("#count") == "(none hit)"
    page.run(set_field % ("on-dead", "value = '50'"))
    page.press("c")
    assert page.text("#detail h2") == "Forward: Relu #0" and "50 % dead units" in page.text("#detail")
    page.run(set_field % ("on-norm", "value = '0.5'"))
    assert {hit.step for hit in t.breakpoints(nan=False, zero=False, norm=0.5)} == set(
        page.run("return state.steps.filter((s, i) => s.kind === 'backward' && state.hits[i].length).map(s => s.v)")
    )
    assert page.errors() == []


def odd_traces() -> Iterator[Trace]:
    """Nothing at all; no backward pass; several outputs; a start outside; changes in place; two passes; second order."""
    x = mg.randn(3, 4, requires_grad=True)
    before = x.sin()
    layer = nn.TransformerEncoderLayer(8, 2, 16)

    def second_order() -> None:
        (g,) = mg.autograd.grad((x**3).sum(), x, create_graph=True)
        (g * g).sum().backward()

    def in_place() -> None:
        y = x.clone()
        y[0] = 1
        y[:, 1].mul_(2)
        y.sum().backward()

    def twice() -> None:
        for _ in range(2):
            layer(mg.ones(5, 2, 8)).sum().backward()

    for run in (
        lambda: None,
        lambda: x.exp(),
        lambda: (x.max(1)[0].sum() + x.sort(1)[0][:, 0].sum() + sum(part.sum() for part in x.chunk(2, 1))).backward(),
        lambda: (before.exp() + before).sum().backward(),
        in_place,
        twice,
        second_order,
    ):
        with mg.trace() as t:
            run()
        yield t


@browser_wanted
def test_odd_traces_have_a_page_too(driver: Any, tmp_path: Path) -> None:
    for trace in odd_traces():
        assert max(map(len, str(trace).splitlines())) <= 80
        page = opened(driver, trace, tmp_path)
        page.run("for (const row of [...state.rows]) if (row.node.inner) toggle(row.key)")
        page.run("for (let i = 0; i < state.steps.length; i++) go(i)")
        assert page.errors() == []


def test_show_opens_the_page_in_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    opened_pages: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened_pages.append)
    three_lines().show()
    (url,) = opened_pages
    assert "Mul" in Path(url.removeprefix("file://")).read_text()


def test_show_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel's shell has a `kernel`; that the package is loaded says nothing."""
    shown: list[str] = []
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=shown.append, HTML=str))
    three_lines().show()
    assert len(shown) == 1 and "<iframe" in shown[0]


@browser_wanted
@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_the_screen(driver: Any, tmp_path: Path, width: int) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    page = opened(driver, simplenet(), tmp_path)
    page.press("b", RIGHT, RIGHT, RIGHT)
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.errors() == []
