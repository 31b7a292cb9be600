"""The picture of an attack: what stands where, in which colours; the factor; what cannot be drawn is said."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minigrad.errors import OptionError
from minigrad.training import pictures
from minigrad.training.pictures import (
    RIGHT,
    WRONG,
    Attacked,
    choose_rows,
    draw_attack,
    magnification,
    readable,
    softmax,
)

CLASSES = ["/a/abbey", "/a/airport_terminal", "T-shirt/top"]


def attacked(count: int = 2, channels: int = 3, change: float = 0.02) -> Attacked:
    """Red squares (grey ones: white) that an attack lightens; the network is right before and wrong after."""
    original = np.zeros((count, 16, 16, channels))
    original[..., 0] = 1.0 if channels == 1 else 0.8
    labels = np.arange(count) % 3
    before = 5.0 * np.eye(3)[labels]
    return Attacked([5 + i for i in range(count)], labels, original, original + change, before, -before)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The matplotlib figures that are saved."""
    from matplotlib.figure import Figure

    found: list[Any] = []
    save = Figure.savefig

    def spy(figure: Any, *arguments: Any, **options: Any) -> None:
        found.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    return found


def test_a_line_for_each_image(tmp_path: Path, drawn: list[Any]) -> None:
    draw_attack(tmp_path / "attack.png", attacked(), CLASSES, "title", "subtitle")
    (figure,) = drawn
    assert len(figure.axes) == 6
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["title", "subtitle", "original", "attacked", "difference × 20 (grey: none)"]
    original, perturbed, difference = figure.axes[:3]
    assert original.get_ylabel() == "row 5: abbey" and figure.axes[3].get_ylabel() == "row 6: airport terminal"
    # softmax of (5, 0, 0) and of (-5, 0, 0)
    assert (original.get_title(), original.title.get_color()) == ("abbey 98.7 %", RIGHT)
    assert (perturbed.get_title(), perturbed.title.get_color()) == ("airport terminal 49.8 %", WRONG)
    assert difference.get_title() == "abbey: 98.7 % → 0.3 %"
    images = attacked()
    shown = [axes.images[0].get_array() for axes in figure.axes[:3]]
    np.testing.assert_allclose(shown[0], images.original[0])
    np.testing.assert_allclose(shown[1], images.perturbed[0])
    np.testing.assert_allclose(shown[2], 0.9)  # 0.5 + 20 * 0.02


def test_the_colours_reach_the_file(tmp_path: Path) -> None:
    draw_attack(tmp_path / "attack.png", attacked(1), CLASSES, "title")
    with Image.open(io.BytesIO((tmp_path / "attack.png").read_bytes())) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    middle = pixels[int(0.65 * len(pixels))]  # a line through all three images
    colours = [middle[int(share * len(middle))] for share in (0.2, 0.5, 0.85)]
    np.testing.assert_allclose(colours, [(204, 0, 0), (209, 5, 5), (230, 230, 230)], atol=1)


def test_grey_images_are_grey(tmp_path: Path, drawn: list[Any]) -> None:
    draw_attack(tmp_path / "attack.png", attacked(1, channels=1, change=-0.5), CLASSES, "title")
    original, perturbed, difference = drawn[0].axes
    for axes, value in ((original, 1.0), (perturbed, 0.5), (difference, 0.0)):
        shown = axes.images[0]
        assert shown.get_array().shape == (16, 16) and shown.get_clim() == (0, 1) and shown.cmap.name == "gray"
        np.testing.assert_allclose(shown.get_array(), value)


def test_beyond_black_and_white_is_black_and_white(tmp_path: Path, drawn: list[Any]) -> None:
    images = attacked(1, change=-0.3)
    draw_attack(tmp_path / "attack.png", images, CLASSES, "title")
    shown = drawn[0].axes[1].images[0].get_array()
    assert images.perturbed.min() < 0 and shown.min() == 0


@pytest.mark.parametrize(
    ("largest", "factor"), [(0.0, 1), (0.0229, 20), (0.05, 10), (0.1, 5), (0.0009, 500), (0.5, 1), (3.0, 1), (0.26, 1)]
)
def test_the_factor_is_round_and_nothing_is_cut(largest: float, factor: float) -> None:
    original = np.full((1, 2, 2, 3), 0.5)
    perturbed = original.copy()
    perturbed[0, 0, 0, 0] -= largest
    assert magnification(original, perturbed) == factor


def test_softmax() -> None:
    np.testing.assert_allclose(softmax(np.array([[0, np.log(3)], [1000, -1000]])), [[0.25, 0.75], [1, 0]])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/a/airport_terminal", "airport terminal"),
        ("b/bar", "bar"),
        ("T-shirt/top", "T-shirt/top"),
        ("apartment_building/outdoor_x", "apartment building/outd…"),
        ("7", "7"),
    ],
)
def test_names_are_readable(name: str, text: str) -> None:
    assert readable(name) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.5, "50.0 %"), (1.0, "100.0 %"), (0.99999, ">99.9 %"), (1e-5, "<0.1 %"), (0.0, "0.0 %")]
)
def test_confidences_are_not_rounded_to_certainty(share: float, text: str) -> None:
    assert pictures._percent(share) == text


def test_which_images_are_drawn() -> None:
    labels = np.array([2, 0, 2, 0, 4, 1])
    assert choose_rows(labels, 3, None) == [0, 1, 5]  # of the classes 2, 0, 1, in the order of the images
    assert choose_rows(labels, 9, None) == [0, 1, 4, 5]
    assert choose_rows(labels, 5, [4, 2]) == [4, 2]
    with pytest.raises(OptionError, match=re.escape("--rows 6: there are 6 validation images, 0 to 5")):
        choose_rows(labels, 5, [0, 6])


def test_without_matplotlib_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match="--visualise needs matplotlib"):
        choose_rows(np.array([0]), 1, None)
