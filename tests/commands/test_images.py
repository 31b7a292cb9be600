"""One's own photographs: whatever kind they are, the network sees what a person sees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigrad.commands.arguments import Parser
from minigrad.commands.images import add_images, read_photos
from minigrad.commands.network import add_network, read_network
from minigrad.commands.predict import TOP
from tests.commands.conftest import Call


def pixels(path: Path) -> np.ndarray:
    """The photograph as the network that comes with minigrad sees it."""
    parser = Parser("predict", None)
    add_images(parser)
    add_network(parser)
    options = parser.read([str(path)])
    (photo,) = read_photos(options, read_network(options))
    return photo.pixels


def test_exif_orientations_are_followed(scene: np.ndarray, tmp_path: Path) -> None:
    upright = Image.fromarray(scene)
    upright.save(tmp_path / "upright.png")
    expected = pixels(tmp_path / "upright.png")
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    for orientation, turn in turns.items():  # the camera turned, and the mark that says how to turn back
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright.transpose(turn).save(tmp_path / "turned.png", exif=exif)
        np.testing.assert_array_equal(pixels(tmp_path / "turned.png"), expected)
        upright.transpose(turn).save(tmp_path / "unmarked.png")
        assert (pixels(tmp_path / "unmarked.png") != expected).any()


def test_kinds_of_one_picture_are_one_picture(scene: np.ndarray, tmp_path: Path) -> None:
    image = Image.fromarray(scene)
    grey = image.convert("L")
    kinds = {
        "rgb.png": image,
        "grey.png": grey,
        "opaque.png": image.convert("RGBA"),
        "grey-alpha.png": grey.convert("LA"),
        "16-bit.png": Image.fromarray(np.asarray(grey).astype(np.uint16) * 257),
        "16-bit.tif": Image.fromarray(np.asarray(grey).astype(np.uint16) * 257),
        "cmyk.tif": image.convert("CMYK"),
        "lossless.webp": image,
        "few.gif": image.quantize(16),
    }
    expected = pixels(_saved(image, tmp_path / "rgb.png")).astype(int)
    for name, kind in kinds.items():
        found = pixels(_saved(kind, tmp_path / name)).astype(int)
        assert found.shape == (28, 28, 1)
        assert np.abs(found - expected).max() <= 2, name  # grey levels: of rounding twice


def _saved(image: Image.Image, path: Path) -> Path:
    image.save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (3000, 3), (28, 28), (1200, 1600)])
def test_any_size(call: Call, size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size, (10, 20, 30)).save(tmp_path / "any.png")
    code, out, _ = call("predict", "any.png", "--json")
    assert code == 0
    assert len(json.loads(out)[0]["predictions"]) == TOP


def test_a_folder_of_photographs_network_crops_as_its_evaluation_does(scene: np.ndarray, tmp_path: Path) -> None:
    from dataclasses import replace

    from minigrad.commands.images import as_pixels
    from minigrad.data.transforms import eval_transform

    network = read_network(_nothing())
    photographs = replace(network, photographs=True, mean=(0.5,) * 3, std=(0.2,) * 3, image_size=32)
    image = Image.fromarray(scene)
    np.testing.assert_array_equal(as_pixels(image, photographs), np.asarray(eval_transform(image, 32)))
    long = as_pixels(Image.fromarray(np.tile(scene, (1, 60, 1))), photographs)
    assert long.shape == (32, 32, 3)


def _nothing() -> object:
    parser = Parser("predict", None)
    add_network(parser)
    return parser.read([])


def test_dark_things_on_paper_are_noticed_and_inverted(call: Call, scene: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(scene).save(tmp_path / "bright.png")
    Image.fromarray(255 - scene).save(tmp_path / "dark.png")
    assert call("predict", "bright.png")[2] == ""
    assert "--invert" in call("predict", "dark.png")[2]
    code, out, err = call("predict", "dark.png", "--invert", "--json")
    assert err == ""
    expected = json.loads(call("predict", "bright.png", "--json")[1])[0]["predictions"]
    found = json.loads(out)[0]["predictions"]
    assert found[0]["class"] == expected[0]["class"]
    assert abs(found[0]["probability"] - expected[0]["probability"]) < 0.05
