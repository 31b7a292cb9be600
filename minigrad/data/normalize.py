"""Normalisation: from the loader's bytes to the float32 images that a network takes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def normalize(images: npt.NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> npt.NDArray[np.float32]:
    """x = (v / 255 - mean) / std, channel by channel.

    Args:
        images: uint8 (N, H, W, C).
        mean, std: of each channel, over pixels scaled to [0, 1]; C numbers each.

    Returns:
        float32 (N, C, H, W) with channels-last strides: a view of an (N, H, W, C) array, so that nothing is transposed.

    Raises:
        ValueError: the images are not uint8 (N, H, W, C), or mean and std do not have C numbers.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"images must be uint8 (N, H, W, C), got {images.dtype} {images.shape}")
    count, height, width, channels = images.shape
    if len(mean) != channels or len(std) != channels:
        raise ValueError(f"images have {channels} channels, mean {len(mean)}, std {len(std)}")
    # (v - 255 mean) * (1 / (255 std)), on rows of all the channels of one image line: NumPy's inner loop is then W * C
    # long instead of C. One image at a time, so that the second pass finds it in the cache.
    shift = np.tile(255 * np.asarray(mean, np.float64), width).astype(np.float32)
    scale = np.tile(1 / (255 * np.asarray(std, np.float64)), width).astype(np.float32)
    out = np.empty((count, height, width * channels), np.float32)
    for rows, result in zip(images.reshape(out.shape), out, strict=True):
        np.subtract(rows, shift, out=result)
        result *= scale
    return out.reshape(count, height, width, channels).transpose(0, 3, 1, 2)
