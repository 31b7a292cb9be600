"""Normalisation of images against torch's arithmetic: values, types, and what is refused."""

import numpy as np
import pytest

from minigrad.data import normalize


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (3, 4, 4, 1), (1, 1, 1, 3), (0, 4, 4, 3)])
def test_it_is_the_formula_in_channels_last(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    mean, std = (0.485, 0.456, 0.406)[: shape[3]], (0.229, 0.224, 0.225)[: shape[3]]
    x = normalize(images, mean, std)
    expected = ((images / 255 - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)
    assert x.dtype == np.float32 and x.shape == expected.shape
    assert x.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_allclose(x, expected, rtol=0, atol=5e-7)


def test_every_value_of_every_channel_is_within_two_roundings():
    images = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = ((images / 255 - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)
    assert (
        np.abs(normalize(images, mean, std) - expected).max() <= 2 * np.finfo(np.float32).eps * np.abs(expected).max()
    )


def test_images_in_any_memory_order():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 6, 5), np.uint8).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(
        normalize(images, (0.5,) * 3, (0.25,) * 3), normalize(np.ascontiguousarray(images), (0.5,) * 3, (0.25,) * 3)
    )


def test_what_is_not_images_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        normalize(np.zeros((1, 2, 2, 3), np.float32), (0.5,) * 3, (0.5,) * 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 channels"):
        normalize(np.zeros((1, 2, 2, 3), np.uint8), (0.5,), (0.5,))
