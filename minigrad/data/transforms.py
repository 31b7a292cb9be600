"""The image work on Pillow images: MiniPlaces' augmentation, and its evaluation transform.

For an output of S pixels a side (S = 128 in the original experiments), with R = round(S * 144 / 128):

    training     resize the short side to R; mirror (p = 1/2); each RGB channel times its own U(.85, 1.15);
                 rotate by U(-15, 15) degrees and crop to the largest inscribed rectangle; random sized crop to S
    evaluation   resize the short side to R; centre crop to S

Pillow alone does it, bilinear and antialiased on the way down. Each step gives the very pixels of
torchvision.transforms.functional on Pillow images (the tests compare the two), so no torch is needed.
"""

import math

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image

PILLOW = int(PIL.__version__.split(".")[0])
BILINEAR = Image.Resampling.BILINEAR
FLIP_LEFT_RIGHT = Image.Transpose.FLIP_LEFT_RIGHT

COLOUR = 0.15  # each channel's factor is within 1 +- this
DEGREES = 15.0  # the widest rotation
LEAST_ANGLE = 1.0  # a rotation of no more degrees than this is skipped: it would blur for nothing
AREA = (0.25, 1.0)  # of the random crop, as a part of the image's
ASPECT = (0.8, 1.2)
TRIES = 10


def train_transform(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """The training augmentation, size x size pixels. Draws from rng in the order of the steps."""
    image = resize_short_side(image, resize_size(size))
    if rng.random() < 0.5:
        image = image.transpose(FLIP_LEFT_RIGHT)
    image = scale_channels(image, rng.uniform(1 - COLOUR, 1 + COLOUR, 3))
    image = rotate(image, rng.uniform(-DEGREES, DEGREES))
    return random_sized_crop(image, size, rng)


def eval_transform(image: Image.Image, size: int) -> Image.Image:
    """The evaluation transform, size x size pixels."""
    return center_crop(resize_short_side(image, resize_size(size)), size)


def resize_size(size: int) -> int:
    """The short side before cropping to `size`: 144 for 128."""
    return round(size * 144 / 128)


def resize_short_side(image: Image.Image, short: int) -> Image.Image:
    """Resize so that the short side has `short` pixels; the long side's length is rounded down, as in torchvision."""
    new_size = size_of_short_side(*image.size, short)
    return image if new_size == image.size else image.resize(new_size, BILINEAR)


def size_of_short_side(width: int, height: int, short: int) -> tuple[int, int]:
    """(width, height) of what `resize_short_side` makes."""
    return (short, int(short * height / width)) if width <= height else (int(short * width / height), short)


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """The size x size square in the middle of an image that is no smaller; odd margins are split as in torchvision."""
    left, top = center_of(*image.size, size)
    return image.crop((left, top, left + size, top + size))


def center_of(width: int, height: int, size: int) -> tuple[int, int]:
    """(left, top) of the square that `center_crop` takes."""
    return round((width - size) / 2), round((height - size) / 2)


def scale_channels(image: Image.Image, factors: npt.NDArray[np.float64]) -> Image.Image:
    """Each channel of an RGB image times its own factor, rounded and clipped to 0-255."""
    table = np.clip(np.rint(np.outer(factors, np.arange(256))), 0, 255).astype(np.uint8)
    return image.point(table.ravel().tolist())


def rotate(image: Image.Image, angle: float) -> Image.Image:
    """Rotate about the centre by `angle` degrees and crop to the largest inscribed rectangle: no black border is left.

    Angles of at most 1 degree leave the image as it is.
    """
    box = box_of_rotation(*image.size, angle)
    return image if box is None else image.rotate(angle, BILINEAR).crop(box)


def box_of_rotation(width: int, height: int, angle: float) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of what `rotate` leaves of the turned image; None where it turns nothing."""
    if abs(angle) <= LEAST_ANGLE:
        return None
    inner_width, inner_height = largest_inscribed_rectangle(width, height, math.radians(angle))
    # Only pixels that lie inside the rectangle as a whole: rounding outwards would take in black corners.
    return (
        math.ceil((width - inner_width) / 2),
        math.ceil((height - inner_height) / 2),
        math.floor((width + inner_width) / 2),
        math.floor((height + inner_height) / 2),
    )


def largest_inscribed_rectangle(width: float, height: float, angle: float) -> tuple[float, float]:
    """Width and height of the largest upright rectangle inside a width x height rectangle turned by `angle` radians.

    For |angle| < pi/4, with s = sin|angle|, c = cos|angle| and a result of w' x h'. If the long side is very long
    (short <= 2 s c long), only the two long edges bound the result: across them it measures w' s + h' c = short (for a
    wide rectangle), and its area is largest where both terms are short / 2. Otherwise all four corners touch:
    w' c + h' s = width and w' s + h' c = height.
    """
    s, c = math.sin(abs(angle)), math.cos(angle)
    short, long = min(width, height), max(width, height)
    if short <= 2 * s * c * long:
        along, across = short / (2 * s), short / (2 * c)
        return (along, across) if width >= height else (across, along)
    return (width * c - height * s) / (c * c - s * s), (height * c - width * s) / (c * c - s * s)


def random_sized_crop(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """A random rectangle of the image, resized to size x size.

    Its area A is U(.25, 1) of the image's and its aspect r is U(.8, 1.2): w = sqrt(A r), h = sqrt(A / r), swapped with
    probability 1/2. Ten tries to find one that fits, else the short side is resized to `size` and the centre cropped.
    """
    box = random_box(*image.size, rng)
    if box is None:
        return center_crop(resize_short_side(image, size), size)
    return image.crop(box).resize((size, size), BILINEAR)


def random_box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of the rectangle that `random_sized_crop` draws; None where no try fits."""
    for _ in range(TRIES):
        area = width * height * rng.uniform(*AREA)
        aspect = rng.uniform(*ASPECT)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if rng.random() < 0.5:
            w, h = h, w
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    return None


def resize_array(image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """A square uint8 (H, W, C) array with 1 or 3 channels, resized to (size, size, C), bilinear."""
    channels = image.shape[-1]
    pixels = np.ascontiguousarray(image[:, :, 0] if channels == 1 else image)
    return np.asarray(Image.fromarray(pixels).resize((size, size), BILINEAR)).reshape(size, size, channels)
