"""From an image file to 8-bit RGB pixels: what torchvision's ImageFolder gives, where that is a picture at all.

Pillow's convert("RGB") is right for all that has 8 bits a channel (of 16-bit RGB it keeps the upper 8): grey, palettes,
CMYK, YCbCr, 1 bit. As in torchvision transparency is passed over, of an animation the first image counts, and an EXIF
orientation is not followed. But it clips greater numbers to 255, so that 16-bit grey becomes a white square and floats from
0 to 1 a black one: here such an image is scaled by the range that its file states, or refused by name where none is stated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from minigrad.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

EASY_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")  # that convert("RGB") is right for
# TIFF's tags
BITS, PHOTOMETRIC, FORMAT, LEAST, MOST = 258, 262, 339, (280, 340), (281, 341)
WHITE_IS_ZERO, UNSIGNED = 0, 1
DARK = (
    2**12
)  # of 16 bits: if no pixel reaches it there are 12 or fewer in truth, and scaled to 8 they would be below 16


class _Unusable(Exception):
    """What an image is that no picture of 8 bits can be made of; the file's name belongs before it."""


def read_rgb(path: str, upright: bool = False) -> Image.Image:
    """The picture in a file. DataError, which names it, if there is none, or none that 8 bits can be made of.

    upright: turn it as its EXIF orientation says, which torchvision's ImageFolder does not.
    """
    from PIL import Image, ImageOps

    with _complaints(path), Image.open(path) as image:
        return ImageOps.exif_transpose(to_rgb(image)) if upright else to_rgb(image)


def size_of(path: str) -> tuple[int, int]:
    """(width, height) of the picture in a file, by its header. DataError as read_rgb's."""
    from PIL import Image

    with _complaints(path), Image.open(path) as image:
        return image.size


def check_image(path: str) -> None:
    """DataError where read_rgb would raise it, as far as the header and the end of the file tell.

    Decoded is what seems cut short, and what is rare: greater numbers than 8 bits hold, or a format without a mark at its
    end. Damage in the middle of a file is left for read_rgb to find.
    """
    from PIL import Image

    with _complaints(path), open(path, "rb") as file, Image.open(file) as image:
        if image.mode not in EASY_MODES or not _has_its_end(image.format, file):
            to_rgb(image)


@contextmanager
def _complaints(path: str) -> Iterator[None]:
    """What Pillow and the system say of a file, as a DataError of one line."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except _Unusable as error:
        raise DataError(f"{path} {error}") from None
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image") from None
    except Exception as error:  # Pillow's decoders raise many kinds on broken files
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{path} cannot be read ({error.strerror})") from error
        raise DataError(f"{path} is truncated or broken ({' '.join(str(error).split())})") from error


def _has_its_end(kind: str | None, file: IO[bytes]) -> bool:
    """Whether a file of that format has the mark at its end, or the length, that it should have; False: unknown."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 64))
    tail = file.read()
    if kind == "WEBP":
        file.seek(4)
        return int.from_bytes(file.read(4), "little") + 8 <= size
    return {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}.get(kind or "", b"no mark") in tail


def to_rgb(image: Image.Image) -> Image.Image:
    """An open image as RGB of 8 bits. _Unusable if it has greater numbers, and nothing says which of them is white."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_scaled(image)).convert("RGB")
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    image = image.convert("RGBA")
    colours, opacity = image.convert("RGB"), image.getchannel("A")
    extremes: Any = colours.getextrema()
    if all(low == high for low, high in extremes) and opacity.getextrema() != (255, 255):
        # One colour throughout: the picture is in the transparency alone. It is laid on a colour that it differs from.
        ground = "white" if sum(low for low, _ in extremes) < 3 * 128 else "black"
        colours, picture = Image.new("RGB", image.size, ground), colours
        colours.paste(picture, mask=opacity)
    return colours


def _scaled(image: Image.Image) -> np.ndarray:
    """A grey image of greater numbers than 8 bits hold: v to 255 (v - black) / (white - black), rounded; uint8 (H, W)."""
    black, white, stated = _range(image)
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise _Unusable("holds NaN or infinite numbers")
    pixels = np.rint(np.clip((values - black) * (255 / (white - black)), 0, 255)).astype(np.uint8)
    if not stated and 0 < values.max() < DARK:
        raise _Unusable(
            f"has 16 bits, of which its pixels use the lowest alone (up to {values.max():g}), so that it would be all but "
            "black: scale it to 8 bits"
        )
    return pixels


def _range(image: Image.Image) -> tuple[float, float, bool]:
    """(black, white, whether the file itself says so) of a grey image of more than 8 bits."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
            raise _unknown_range(image)
        return 0, 65535, image.format == "PPM"  # whose greatest number Pillow has made this one

    def tag(*numbers: int) -> float | None:
        found = next((tags[number] for number in numbers if number in tags), None)
        return found[0] if isinstance(found, tuple) else found

    black, white = tag(*LEAST) or 0, tag(*MOST)
    stated = white is not None
    if white is None:
        bits = tag(BITS) or 1
        if bits > 16 or tag(FORMAT) not in (None, UNSIGNED):
            raise _unknown_range(image)
        white = 2**bits - 1
    if not black < white:
        raise _Unusable(f"states a range of numbers that is empty: {black:g} to {white:g}")
    return (white, black, stated) if tag(PHOTOMETRIC) == WHITE_IS_ZERO else (black, white, stated)


def _unknown_range(image: Image.Image) -> _Unusable:
    kind = "floats" if image.mode == "F" else "integers"
    return _Unusable(f"is of {kind}, and does not say which number is white: save it with 8 bits, or 16 unsigned")
