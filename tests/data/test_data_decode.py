"""Every mode of image file: what torchvision gives where that is a picture, else scaled by its own range, or refused by name."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minigrad.data.decode import check_image, read_rgb
from minigrad.errors import DataError

RAMP = np.linspace(0, 65535, 48 * 40).reshape(40, 48).astype(np.uint16)
GREY = (RAMP / 257).round().astype(np.uint8)
COLOURS = np.stack([GREY, GREY.T.reshape(GREY.shape), 255 - GREY], -1)


def tiff(values: np.ndarray, sample_format: int = 1, white_is_zero: bool = False, **tags: int) -> bytes:
    """A TIFF of one grey channel, little-endian, as any program may write it: Pillow writes a few kinds only."""
    (height, width), data, bits = values.shape, values.tobytes(), 8 * values.itemsize
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, int(not white_is_zero))]
    entries += [(273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, sample_format)]
    entries += [(int(tag[1:]), 4, value) for tag, value in tags.items()]
    listed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + listed + bytes(4)


def written(path: Path, content: bytes | Image.Image, **options: Any) -> str:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.save(path, **options)
    return str(path)


def pixels(path: str) -> np.ndarray:
    """What is read; the look into the header found nothing wrong; and no warning came."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_image(path)
        image = read_rgb(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def grey(path: str) -> np.ndarray:
    found = pixels(path)
    assert (found == found[..., :1]).all()
    return found[..., 0]


def refused(path: str, match: str) -> None:
    for read in (read_rgb, check_image):
        with pytest.raises(DataError, match=match) as error:
            read(path)
        assert str(error.value).startswith(path) and "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_of_grey_are_scaled(suffix: str, tmp_path: Path) -> None:
    assert (grey(written(tmp_path / f"a.{suffix}", Image.fromarray(RAMP))) == GREY).all()


def test_sixteen_bits_of_grey_in_other_orders(tmp_path: Path) -> None:
    big = Image.frombytes("I;16B", (48, 40), RAMP.astype(">u2").tobytes())
    assert (grey(written(tmp_path / "a.tif", big)) == GREY).all()
    assert (grey(written(tmp_path / "b.tif", tiff(RAMP, white_is_zero=True))) == 255 - GREY).all()
    portable = b"P5\n48 40\n65535\n" + RAMP.astype(">u2").tobytes()
    assert (grey(written(tmp_path / "a.pgm", portable)) == GREY).all()
    portable = b"P5\n48 40\n4095\n" + (RAMP >> 4).astype(">u2").tobytes()  # the file says that 4095 is white
    assert np.abs(grey(written(tmp_path / "b.pgm", portable)).astype(int) - GREY).max() <= 1


def test_the_range_that_a_file_states_counts(tmp_path: Path) -> None:
    assert np.abs(grey(written(tmp_path / "a.tif", tiff(RAMP >> 4, t281=4095))).astype(int) - GREY).max() <= 1
    offset = (RAMP >> 4) + 1000
    assert np.abs(grey(written(tmp_path / "b.tif", tiff(offset, t280=1000, t281=5095))).astype(int) - GREY).max() <= 1
    wide = tiff(RAMP.astype(np.int32), sample_format=2, t281=65535)
    assert (grey(written(tmp_path / "c.tif", wide)) == GREY).all()
    floats = Image.fromarray((RAMP / 65535).astype(np.float32))
    assert (grey(written(tmp_path / "d.tif", floats, tiffinfo={340: 0.0, 341: 1.0})) == GREY).all()
    refused(written(tmp_path / "e.tif", tiff(RAMP, t280=7, t281=7)), "states a range of numbers that is empty: 7 to 7")


def test_what_no_range_is_known_of_is_refused_by_name(tmp_path: Path) -> None:
    unknown = "does not say which number is white"
    refused(
        written(tmp_path / "a.tif", Image.fromarray((RAMP / 65535).astype(np.float32))), f"is of floats, and {unknown}"
    )
    refused(written(tmp_path / "b.tif", Image.fromarray(RAMP.astype(np.int32))), f"is of integers, and {unknown}")
    refused(written(tmp_path / "c.tif", tiff(RAMP.astype(np.uint32))), f"is of integers, and {unknown}")
    refused(written(tmp_path / "d.tif", tiff(RAMP.astype(np.int16), sample_format=2)), f"is of integers, and {unknown}")
    refused(written(tmp_path / "e.tif", tiff(RAMP.astype(np.float64), sample_format=3)), "is not an image")
    holes = Image.fromarray(np.full((4, 4), np.nan, np.float32))
    refused(written(tmp_path / "f.tif", holes, tiffinfo={341: 1.0}), "holds NaN")


def test_twelve_bits_in_sixteen_are_no_black_square(tmp_path: Path) -> None:
    refused(written(tmp_path / "a.png", Image.fromarray(RAMP >> 4)), "all but black: scale it to 8 bits")
    refused(written(tmp_path / "a.tif", tiff(RAMP >> 4)), "all but black: scale it to 8 bits")
    assert (pixels(written(tmp_path / "b.png", Image.fromarray(0 * RAMP))) == 0).all()  # one that is black, is


OTHERS = {
    "1.png": Image.fromarray(GREY).convert("1"),
    "L.png": Image.fromarray(GREY),
    "LA.png": Image.fromarray(GREY).convert("LA"),
    "P.png": Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE),
    "P.gif": Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE),
    "RGB.webp": Image.fromarray(COLOURS),
    "RGBA.png": Image.fromarray(np.dstack([COLOURS, GREY])),
    "CMYK.jpg": Image.fromarray(COLOURS).convert("CMYK"),
    "CMYK.tif": Image.fromarray(COLOURS).convert("CMYK"),
    "YCbCr.tif": Image.fromarray(COLOURS).convert("YCbCr"),
    "RGB.bmp": Image.fromarray(COLOURS),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_modes_are_what_torchvision_makes_of_them(name: str, tmp_path: Path) -> None:
    folder = pytest.importorskip("torchvision.datasets.folder")
    path = written(tmp_path / name, OTHERS[name])
    try:
        expected = np.asarray(folder.default_loader(path))
    except OSError as error:  # Pillow 12.3 cannot read the YCbCr.tif that it wrote
        pytest.skip(f"this Pillow: {error}")
    assert (pixels(path) == expected).all()


def test_transparency_and_orientation_are_passed_over_as_in_torchvision(tmp_path: Path) -> None:
    folder = pytest.importorskip("torchvision.datasets.folder")
    image = Image.fromarray(COLOURS)
    turned = Image.Exif()
    turned[0x0112] = 6
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    for path in (
        written(tmp_path / "turned.jpg", image, exif=turned),
        written(tmp_path / "one.png", palette, transparency=3),
        written(tmp_path / "some.gif", palette, transparency=3),
        written(tmp_path / "grey.png", Image.fromarray(GREY), transparency=0),
        written(tmp_path / "moving.gif", palette, save_all=True, append_images=[palette.rotate(90)]),
    ):
        assert (pixels(path) == np.asarray(folder.default_loader(path))).all(), path
    shades = written(
        tmp_path / "shades.png", palette, transparency=bytes(range(256))
    )  # of which torchvision's way warns
    assert (pixels(shades) == np.asarray(palette.convert("RGB"))).all()


@pytest.mark.parametrize(("colour", "ground"), [(0, 255), (255, 0), (60, 255)])
def test_a_picture_in_the_transparency_alone_is_no_square(colour: int, ground: int, tmp_path: Path) -> None:
    shape = np.zeros((40, 48), np.uint8)
    shape[10:30, 10:30] = 255
    image = Image.merge("LA", [Image.new("L", (48, 40), colour), Image.fromarray(shape)])
    for mode in ("LA", "RGBA"):
        found = grey(written(tmp_path / f"{mode}.png", image.convert(mode)))
        assert (found == np.where(shape, colour, ground)).all()


def test_sixteen_bits_of_colour_keep_their_upper_eight(tmp_path: Path) -> None:
    portable = b"P6\n48 40\n65535\n" + (COLOURS.astype(np.uint16) * 257).astype(">u2").tobytes()
    assert (pixels(written(tmp_path / "a.ppm", portable)) == COLOURS).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp", "tif", "ppm"])
def test_a_file_that_was_cut_short_is_found_by_the_look_into_it(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    written(path, Image.fromarray(COLOURS))
    pixels(str(path))
    whole = path.read_bytes()
    for length in (len(whole) - 90, len(whole) // 2, 60):
        path.write_bytes(whole[:length])
        refused(str(path), "is truncated or broken|is not an image")


def test_only_suspicious_files_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [written(tmp_path / name, Image.fromarray(COLOURS)) for name in ("a.jpg", "a.png", "a.webp")]
    from minigrad.data import decode

    monkeypatch.setattr(decode, "to_rgb", lambda image: pytest.fail("it was decoded"))
    for path in paths:
        check_image(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    refused(str(tmp_path / "a.jpg"), "cannot be read .Is a directory")
    refused(str(tmp_path / "b.jpg"), "does not exist")
