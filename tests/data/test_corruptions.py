"""The 15 corruptions: what their definitions say, on grey and RGB images of several sizes, image by image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import zoom

from minigrad.data import open_dataset
from minigrad.data.corruptions import CONSTANTS, KINDS, STRENGTHS, constants, corrupt, mean_corruption_error


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Three images, (3, 28, 28, 1)."""
    data = open_dataset(None, "val", limit=3)
    return np.stack([data.load(i, None) for i in range(3)])


def rgb(images: np.ndarray, size: int) -> np.ndarray:
    """The images in three different channels, enlarged."""
    many = zoom(images, (1, size / 28, size / 28, 1), order=1)
    return np.concatenate([many, many[:, ::-1], 255 - many], 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_corrupts_images_of_every_kind(kind: str, images: np.ndarray) -> None:
    """uint8 of the same shape, another image at each strength, and on the whole the further the stronger."""
    for some in (images, rgb(images, 40), rgb(images, 64)[:1], rgb(images, 96)[:1], images[:, :20, :24]):
        before = some.copy()
        apart = []
        for strength in STRENGTHS:
            made = corrupt(some, kind, strength)
            assert made.dtype == np.uint8 and made.shape == some.shape
            apart.append(np.abs(made.astype(float) - some).mean())
        assert np.array_equal(some, before) and len(set(apart)) == 5 and min(apart) > 0
        assert apart[4] > apart[0] or kind in ("elastic_transform", "glass_blur", "zoom_blur")


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_corrupted_by_itself(kind: str, images: np.ndarray) -> None:
    """Its random numbers are of (seed, index): others of the batch, and their order, do not matter."""
    whole = corrupt(images, kind, 3, seed=5)
    assert np.array_equal(corrupt(images[[2, 0]], kind, 3, seed=5, indices=[2, 0]), whole[[2, 0]])
    drawn = kind not in ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
    assert np.array_equal(corrupt(images, kind, 3, seed=6), whole) != drawn


def test_noise_is_as_large_as_it_says() -> None:
    grey = np.full((40, 32, 32, 1), 128, np.uint8)
    assert (corrupt(grey, "gaussian_noise", 1) / 255).std() == pytest.approx(0.04, rel=0.03)
    assert (corrupt(grey, "shot_noise", 3) / 255).std() == pytest.approx((128 / 255 / 100) ** 0.5, rel=0.03)
    hit = corrupt(grey, "impulse_noise", 5)
    assert (hit == 0).mean() == pytest.approx(0.035, rel=0.1) and (hit == 255).mean() == pytest.approx(0.035, rel=0.1)


def test_blurs_keep_the_mean_and_spread_a_point() -> None:
    point = np.zeros((1, 65, 65, 1), np.uint8)
    point[0, 32, 32] = 255
    flat = np.full((1, 64, 64, 3), 77, np.uint8)
    for kind in ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"):
        assert np.abs(corrupt(flat, kind, 5).astype(int) - 77).max() <= 1
    disk = corrupt(np.repeat(point, 1, 0), "defocus_blur", 5)[0, ..., 0]  # of radius 3 (65 / 64)
    rows, columns = np.nonzero(disk > 4)
    assert np.hypot(rows - 32, columns - 32).max() == 3 and len(rows) == 29
    streak = corrupt(point, "motion_blur", 5)[0, ..., 0]
    rows, columns = np.nonzero(streak)
    assert len(rows) > 3 and (columns <= 32).all()  # to one side of the point


def test_glass_only_moves_pixels(monkeypatch: pytest.MonkeyPatch, images: np.ndarray) -> None:
    monkeypatch.setattr("minigrad.data.corruptions._blurred", lambda x, *_, **__: x)
    made = corrupt(images, "glass_blur", 5)
    assert np.array_equal(np.sort(made, axis=None), np.sort(images, axis=None)) and not np.array_equal(made, images)


def test_brightness_keeps_hue_and_saturation_contrast_the_mean(images: np.ndarray) -> None:
    some = rgb(images, 32) // 2 + 20
    before, after = (
        np.asarray(Image.fromarray(x[0]).convert("HSV"), int) for x in (some, corrupt(some, "brightness", 3))
    )
    whole = before[..., 2] > 60
    assert np.abs(after - before)[..., 1][whole].max() <= 6
    assert (after - before)[..., 2].mean() == pytest.approx(0.15 * 255, abs=1)
    pale = corrupt(some, "contrast", 5)
    assert pale.mean((1, 2)) == pytest.approx(some.mean((1, 2)), abs=1)
    assert pale.std((1, 2)) == pytest.approx(0.15 * some.std((1, 2)), rel=0.1)


def test_jpeg_and_pixelate_are_pillow_s(images: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(images[0, ..., 0]).save(file, "JPEG", quality=40)
    assert np.array_equal(corrupt(images[:1], "jpeg_compression", 5)[0, ..., 0], np.asarray(Image.open(file)))
    small = Image.fromarray(images[0, ..., 0]).resize((18, 18), Image.Resampling.BOX)
    expected = np.asarray(small.resize((28, 28), Image.Resampling.BOX))
    assert np.array_equal(corrupt(images[:1], "pixelate", 5)[0, ..., 0], expected)


def test_constants_of_a_size() -> None:
    assert constants("defocus_blur", 5, 28) == ((1.5, 0.1), 1) == constants("defocus_blur", 5, 32)
    assert constants("defocus_blur", 5, 64) == ((3, 0.1), 1) and constants("defocus_blur", 5, 128) == ((3, 0.1), 2)
    assert constants("defocus_blur", 5, 448) == ((10, 0.5), 2)
    assert len(KINDS) == 15 and all(len(table) == 5 for tables in CONSTANTS.values() for table in tables)


def test_the_mean_corruption_error() -> None:
    top1 = {("fog", 1): 80.0, ("fog", 2): 60.0, ("snow", 1): 50.0, ("snow", 2): 10.0}
    assert mean_corruption_error(top1) == pytest.approx((30 + 70) / 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "rain"}, "kind must be one of"),
        ({"strength": 0}, "strength"),
        ({"images": np.zeros((2, 8, 8, 2), "u1")}, "uint8"),
    ],
)
def test_what_is_refused(change: dict[str, object], said: str, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=said):
        corrupt(**{"images": images, "kind": "fog", "strength": 1, **change})  # type: ignore[arg-type]
