"""MiniPlaces' augmentation against a second implementation of the recipe, in torchvision's functions on Pillow images."""

import math

import numpy as np
import pytest
from PIL import Image

from minigrad.data import transforms

SIZES = [(128, 128), (60, 128), (200, 131), (1000, 97), (33, 400)]  # width, height


def test_evaluation_gives_torchvisions_pixels(random_image):
    F = pytest.importorskip("torchvision.transforms.functional")
    for size in (128, 64, 33):
        for width, height in SIZES:
            image = random_image(width, width, height)
            ours = np.asarray(transforms.eval_transform(image, size))
            theirs = F.center_crop(F.resize(image, round(size * 144 / 128)), size)
            assert ours.shape == (size, size, 3)
            np.testing.assert_array_equal(ours, np.asarray(theirs))


def recipe_in_torchvision(F, image, size, rng):
    """RECIPE's steps, in its order, from the same random numbers."""
    image = F.resize(image, round(size * 144 / 128))
    if rng.random() < 0.5:
        image = F.hflip(image)
    factors = rng.uniform(0.85, 1.15, 3)
    pixels = np.asarray(image, np.float64) * factors
    image = Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8))
    angle = rng.uniform(-15, 15)
    if abs(angle) > 1:
        w, h = transforms.largest_inscribed_rectangle(*image.size, math.radians(angle))  # tested below
        left, top = math.ceil((image.width - w) / 2), math.ceil((image.height - h) / 2)
        right, bottom = math.floor((image.width + w) / 2), math.floor((image.height + h) / 2)
        image = F.rotate(image, angle, F.InterpolationMode.BILINEAR)
        image = F.crop(image, top, left, bottom - top, right - left)
    for _ in range(10):
        area = rng.uniform(0.25, 1.0) * image.width * image.height
        aspect = rng.uniform(0.8, 1.2)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if rng.random() < 0.5:
            w, h = h, w
        if w <= image.width and h <= image.height:
            left, top = rng.integers(0, image.width - w + 1), rng.integers(0, image.height - h + 1)
            return F.resized_crop(image, int(top), int(left), h, w, [size, size])
    return F.center_crop(F.resize(image, size), size)


def test_training_gives_torchvisions_pixels(random_image):
    F = pytest.importorskip("torchvision.transforms.functional")
    for seed in range(40):
        width, height = SIZES[seed % len(SIZES)]
        image = random_image(seed, width, height)
        size = (128, 48)[seed % 2]
        ours = transforms.train_transform(image, size, np.random.default_rng(seed))
        theirs = recipe_in_torchvision(F, image, size, np.random.default_rng(seed))
        assert ours.size == (size, size)
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs), err_msg=f"seed {seed}")


@pytest.mark.parametrize(
    "width, height", [(144, 144), (144, 190), (300, 144), (144, 1000), (2000, 144), (9, 9), (9, 80)]
)
def test_rotation_leaves_no_black_border(width, height):
    white = Image.new("RGB", (width, height), (255, 255, 255))
    for angle in np.linspace(-15, 15, 61):
        pixels = np.asarray(transforms.rotate(white, angle))
        assert pixels.size > 0 and pixels.min() == 255, angle


@pytest.mark.parametrize("width, height", [(144, 144), (190, 144), (144, 190), (144, 1000), (1000, 144)])
@pytest.mark.parametrize("degrees", [-15, -4, 2, 15])
def test_inscribed_rectangle_fits_and_none_larger_does(width, height, degrees):
    """An upright w x h fits in the turned rectangle iff w c + h s <= width and w s + h c <= height."""
    angle = math.radians(degrees)
    s, c = abs(math.sin(angle)), math.cos(angle)
    w, h = transforms.largest_inscribed_rectangle(width, height, angle)
    assert w * c + h * s <= width * (1 + 1e-12) and w * s + h * c <= height * (1 + 1e-12)
    widths = np.linspace(1, width / c, 20001)
    heights = np.minimum((width - widths * c) / s, (height - widths * s) / c)
    best = (widths * heights.clip(0)).max()
    assert best * (1 - 1e-12) <= w * h <= best * 1.001


def test_rotation_is_skipped_up_to_one_degree(random_image):
    image = random_image(0, 50, 40)
    for angle in (0.0, 1.0, -1.0):
        assert transforms.rotate(image, angle) is image
    assert transforms.rotate(image, 1.01).size < image.size


def test_channels_are_scaled_each_by_its_own_factor_and_clipped(random_image):
    image = random_image(1, 30, 20)
    factors = np.array([0.85, 1.0, 1.15])
    expected = np.rint((np.asarray(image) * factors).clip(0, 255))
    np.testing.assert_array_equal(np.asarray(transforms.scale_channels(image, factors)), expected)
    assert (np.asarray(image) * factors > 255).any()


class Recorded:
    """A generator that notes what it was asked for."""

    def __init__(self, seed):
        self.rng, self.areas, self.aspects = np.random.default_rng(seed), [], []

    def random(self):
        return self.rng.random()

    def integers(self, *arguments):
        return self.rng.integers(*arguments)

    def uniform(self, low, high):
        value = self.rng.uniform(low, high)
        (self.areas if (low, high) == (0.25, 1.0) else self.aspects).append(value)
        assert (low, high) in [(0.25, 1.0), (0.8, 1.2)]
        return value


def test_random_sized_crop_draws_from_the_recipes_ranges(random_image):
    image = random_image(2, 160, 120)
    rng = Recorded(0)
    for _ in range(200):
        assert transforms.random_sized_crop(image, 16, rng).size == (16, 16)
    assert 0.25 <= min(rng.areas) < 0.3 and 0.95 < max(rng.areas) <= 1
    assert 0.8 <= min(rng.aspects) < 0.82 and 1.18 < max(rng.aspects) <= 1.2


def test_random_sized_crop_gives_up_after_ten_tries(random_image):
    image = random_image(3, 1000, 20)  # no crop of a quarter of its area is so long
    rng = Recorded(0)
    ours = transforms.random_sized_crop(image, 16, rng)
    assert len(rng.areas) == 10
    expected = transforms.center_crop(transforms.resize_short_side(image, 16), 16)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(expected))


@pytest.mark.parametrize("channels", [1, 3])
def test_resize_array(channels, random_image):
    image = np.asarray(random_image(4, 28, 28)).copy()[..., :channels]
    resized = transforms.resize_array(image, 32)
    assert resized.shape == (32, 32, channels) and resized.dtype == np.uint8
    for channel in range(channels):
        one = Image.fromarray(image[..., channel].copy()).resize((32, 32), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(resized[..., channel], np.asarray(one))
