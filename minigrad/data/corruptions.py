"""Common corruptions: the 15 kinds of ImageNet-C at 5 strengths, on images of any size, grey or RGB.

An image is x (H, W, C), from 0 to 1; c are a strength's constants. The authors give them for images of 32, 64 and 224 pixels a
side: an image takes those of the largest of the three that its shorter side reaches (28: 32; 128: 64), and lengths in pixels
(radii, widths of Gaussians, how far glass moves a pixel) grow with that side (28: as for 32; 128: twice those for 64). Frost is
there a photograph, which this package has not: here it is a texture made of streaks of noise.

Each image's random numbers follow from (seed, kind, strength, its index): not from the others, nor from their order.

Source: D. Hendrycks and T. Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations (2019),
and the constants of its public code.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Image = np.ndarray
"""float64 (H, W, C), from 0 to 1."""

STRENGTHS = (1, 2, 3, 4, 5)
SIZES = (32, 64, 224)

# Of each kind the constants of the strengths 1 to 5, for images of 32, of 64 and of 224 pixels.
_ZOOM = [(s, 0.01) for s in (1.06, 1.11, 1.16, 1.21, 1.26)]
_ELASTIC = [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)]
_BRIGHT, _PALE = [0.1, 0.2, 0.3, 0.4, 0.5], [0.4, 0.3, 0.2, 0.1, 0.05]
CONSTANTS: dict[str, tuple[list[Any], list[Any], list[Any]]] = {
    "gaussian_noise": ([0.04, 0.06, 0.08, 0.09, 0.1], [0.04, 0.08, 0.12, 0.15, 0.18], [0.08, 0.12, 0.18, 0.26, 0.38]),
    "shot_noise": ([500, 250, 100, 75, 50], [250, 100, 50, 30, 15], [60, 25, 12, 5, 3]),
    "impulse_noise": ([0.01, 0.02, 0.03, 0.05, 0.07], [0.01, 0.02, 0.05, 0.08, 0.14], [0.03, 0.06, 0.09, 0.17, 0.27]),
    "defocus_blur": (  # radius, width of the Gaussian that smooths the disk
        [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
        [(0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)],
        [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
    ),
    "glass_blur": (  # width of the Gaussian, how far a pixel moves, how often
        [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
        [(0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)],
        [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
    ),
    "motion_blur": (  # radius, width of the Gaussian
        [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
        [(10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)],
        [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
    ),
    "zoom_blur": (_ZOOM, _ZOOM, [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)]),  # up to, by
    "snow": (  # mean and deviation of the flakes, their zoom, threshold, blur (radius, width), share of the image
        [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ],
        [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.8), (0.1, 0.2, 1, 0.5, 10, 4, 0.8), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
        ],
        [
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ],
    ),
    "frost": (  # shares of the image and of the frost
        [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
        [(1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)],
        [(1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
    ),
    "fog": (  # how much, and how fast its finer parts fade
        [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
        [(0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)],
        [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
    ),
    "brightness": ([0.05, 0.1, 0.15, 0.2, 0.3], _BRIGHT, _BRIGHT),
    "contrast": ([0.75, 0.5, 0.4, 0.3, 0.15], _PALE, _PALE),
    "elastic_transform": (  # displacement, its smoothness, the affine part; in sides of the image
        _ELASTIC,
        _ELASTIC,
        [tuple(244 / 224 * v for v in c) for c in ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02),
         (0.12, 0.01, 0.02))],
    ),
    "pixelate": ([0.95, 0.9, 0.85, 0.75, 0.65], [0.9, 0.8, 0.7, 0.6, 0.5], [0.6, 0.5, 0.4, 0.3, 0.25]),
    "jpeg_compression": ([80, 65, 58, 50, 40], [65, 58, 50, 40, 25], [25, 18, 15, 10, 7]),
}  # fmt: skip

KINDS = tuple(CONSTANTS)
"""The 15 kinds: noise, blur, weather, digital."""


def corrupt(
    images: np.ndarray, kind: str, strength: int, seed: int = 0, indices: Sequence[int] | None = None
) -> np.ndarray:
    """The images, uint8 (N, H, W, C), corrupted; C is 1 or 3.

    kind: one of KINDS; strength: 1 to 5; indices: the images' own, (N,), which with the seed decide their random numbers; 0, 1,
    ... by default. ValueError for anything else.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(f"images must be uint8 (N, H, W, 1) or (N, H, W, 3), got {images.dtype} {images.shape}")
    if kind not in CONSTANTS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if strength not in STRENGTHS:
        raise ValueError(f"strength must be 1 to 5, got {strength}")
    made = np.empty_like(images)
    for i, index in enumerate(range(len(images)) if indices is None else indices):
        key = (KINDS.index(kind), strength, int(index))
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
        c, scale = constants(kind, strength, min(images.shape[1:3]))
        x = _CORRUPTIONS[kind](images[i] / 255, c, scale, random)
        made[i] = (np.clip(x, 0, 1) * 255 + 1e-6).astype(np.uint8)
    return made


def constants(kind: str, strength: int, size: int) -> tuple[Any, float]:
    """(c, scale): a strength's constants for images whose shorter side is `size`, and what its lengths in pixels are times."""
    table = max((k for k in range(3) if SIZES[k] <= size), default=0)
    return CONSTANTS[kind][table][strength - 1], max(size / SIZES[table], 1.0)


def mean_corruption_error(top1: dict[tuple[str, int], float]) -> float:
    """The mean over kinds of the mean over strengths of 100 - top1, in percent.

    top1: percent, by (kind, strength). The paper divides each kind's error by AlexNet's first, which is of ImageNet alone.
    """
    kinds = {kind for kind, _ in top1}
    errors = [np.mean([100 - value for (k, _), value in top1.items() if k == kind]) for kind in sorted(kinds)]
    return float(np.mean(errors))


# Noise


def _gaussian_noise(x: Image, c: float, scale: float, random: np.random.Generator) -> Image:
    return x + random.normal(0, c, x.shape)


def _shot_noise(x: Image, c: float, scale: float, random: np.random.Generator) -> Image:
    return random.poisson(x * c) / c


def _impulse_noise(x: Image, c: float, scale: float, random: np.random.Generator) -> Image:
    hit, white = random.random(x.shape) < c, random.random(x.shape) < 0.5
    return np.where(hit, white, x)


# Blur


def _defocus_blur(x: Image, c: tuple[float, float], scale: float, random: np.random.Generator) -> Image:
    from scipy.ndimage import correlate

    return correlate(x, _disk(c[0] * scale, c[1])[..., None], mode="mirror")


def _disk(radius: float, width: float) -> np.ndarray:
    """A disk of sum 1, its border smoothed by a Gaussian of 3 taps, of a large one of 5."""
    from scipy.ndimage import correlate1d

    side = np.arange(-max(8, int(np.ceil(radius))), max(8, int(np.ceil(radius))) + 1)
    disk = (side[:, None] ** 2 + side**2 <= radius**2).astype(float)
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    weights = np.exp(-(taps**2) / (2 * width**2))
    for axis in (0, 1):
        disk = correlate1d(disk / disk.sum(), weights / weights.sum(), axis, mode="mirror")
    return disk


def _glass_blur(x: Image, c: tuple[float, int, int], scale: float, random: np.random.Generator) -> Image:
    """Blurred, each pixel swapped with one near it, in turn, and blurred again."""
    reach, times = max(1, round(c[1] * scale)), c[2]
    height, width = x.shape[:2]
    places = np.arange(height * width).tolist()
    moves = random.integers(-reach, reach, (times, height, width, 2)).tolist()
    for move in moves:
        for i in range(height - reach, reach, -1):
            for j in range(width - reach, reach, -1):
                down, right = move[i - 1][j - 1]
                here, there = i * width + j, (i + down) * width + j + right
                places[here], places[there] = places[there], places[here]
    blurred = _blurred(x, c[0] * scale)
    return _blurred(blurred.reshape(-1, x.shape[2])[places].reshape(x.shape), c[0] * scale)


def _blurred(x: Image, width: float, mode: str = "nearest", truncate: float = 4.0) -> Image:
    """A Gaussian over height and width."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(x, (width, width, *[0] * (x.ndim - 2)), mode=mode, truncate=truncate)


def _motion_blur(x: Image, c: tuple[float, float], scale: float, random: np.random.Generator) -> Image:
    return _streaks(x, c[0] * scale, c[1] * scale, random.uniform(-45, 45))


def _streaks(x: Image, radius: float, width: float, degrees: float) -> Image:
    """Each pixel the mean of those that lie from it in one direction, weighed by half a Gaussian; the border goes on outside."""
    count = 2 * int(np.ceil(radius)) + 1
    weights = np.exp(-(np.arange(count) ** 2) / (2 * width**2))
    angle, made = np.deg2rad(degrees), np.zeros_like(x)
    rows, columns = np.arange(x.shape[0]), np.arange(x.shape[1])
    for i, weight in enumerate(weights / weights.sum()):
        down, right = (int(np.ceil(i * part - 0.5)) for part in (np.sin(angle), np.cos(angle)))
        made += weight * x[np.clip(rows + down, 0, len(rows) - 1)][:, np.clip(columns + right, 0, len(columns) - 1)]
    return made


def _zoom_blur(x: Image, c: tuple[float, float], scale: float, random: np.random.Generator) -> Image:
    factors = np.arange(1, *c)
    return (x + sum(_zoomed(x, factor) for factor in factors)) / (len(factors) + 1)


def _zoomed(x: Image, factor: float) -> Image:
    """The middle of an image, enlarged to the whole."""
    from scipy.ndimage import zoom

    height, width = x.shape[:2]
    rows, columns = (int(np.ceil(n / factor)) for n in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    made = zoom(x[top : top + rows, left : left + columns], (factor, factor, 1), order=1)
    top, left = (made.shape[0] - height) // 2, (made.shape[1] - width) // 2
    return made[top : top + height, left : left + width]


# Weather


def _snow(x: Image, c: tuple[float, ...], scale: float, random: np.random.Generator) -> Image:
    mean, deviation, zoom, threshold, radius, width, share = c
    flakes = _zoomed(random.normal(mean, deviation, (*x.shape[:2], 1)), zoom)
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)
    flakes = _streaks(flakes, radius * scale, width * scale, random.uniform(-135, -45))
    pale = share * x + (1 - share) * np.maximum(x, _grey(x) * 1.5 + 0.5)
    return pale + flakes + flakes[::-1, ::-1]


def _grey(x: Image) -> Image:
    """Brightness, (H, W, 1): .299 R + .587 G + .114 B."""
    return x if x.shape[2] == 1 else x @ np.array([[0.299], [0.587], [0.114]])


def _frost(x: Image, c: tuple[float, float], scale: float, random: np.random.Generator) -> Image:
    ice = _ice(x.shape[:2], random)[..., None]
    tint = np.array([0.88, 0.95, 1.0]) if x.shape[2] == 3 else np.ones(1)
    return c[0] * x + c[1] * ice * tint


def _ice(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """A texture of crystals, (H, W), of mean 0.5: streaks of noise in several directions, each where a fractal lets it."""
    length = max(min(shape) / 10, 1.0)
    needles = []
    for degrees in random.uniform(0, 180, 5):
        drawn = random.normal(0, 1, (*shape, 1))
        both = _streaks(drawn, 2 * length, length, degrees) + _streaks(drawn, 2 * length, length, degrees + 180)
        needles.append(both[..., 0] / both.std() * (0.4 + _plasma(shape, 2.0, random)))
    ice = np.max(needles, 0) + 2 * _plasma(shape, 1.7, random)
    return np.clip(0.5 + 0.22 * (ice - ice.mean()) / ice.std(), 0, 1)


def _fog(x: Image, c: tuple[float, float], scale: float, random: np.random.Generator) -> Image:
    most = x.max()
    return (x + c[0] * _plasma(x.shape[:2], c[1], random)[..., None]) * most / (most + c[0])


def _plasma(shape: tuple[int, ...], fading: float, random: np.random.Generator) -> np.ndarray:
    """A fractal, (H, W), from 0 to 1: midpoints get the mean of their four neighbours and a random number, that of a step half as
    wide being 1 / fading as large (diamond and square, on a torus)."""
    side = 1 << int(np.ceil(np.log2(max(*shape, 2))))
    made, step, size = np.zeros((side, side)), side, 100.0

    def middle(total: np.ndarray) -> np.ndarray:
        return total / 4 + size * random.uniform(-size, size, total.shape)

    while step >= 2:
        half = step // 2
        corners = made[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        made[half::step, half::step] = middle(pairs + np.roll(pairs, -1, 1))
        centres, corners = made[half::step, half::step], made[::step, ::step]
        made[::step, half::step] = middle(centres + np.roll(centres, 1, 0) + corners + np.roll(corners, -1, 1))
        made[half::step, ::step] = middle(centres + np.roll(centres, 1, 1) + corners + np.roll(corners, -1, 0))
        step, size = half, size / fading
    made -= made.min()
    return made[: shape[0], : shape[1]] / made.max()


# Digital


def _brightness(x: Image, c: float, scale: float, random: np.random.Generator) -> Image:
    """The V of HSV, the largest channel, rises by c; hue and saturation stay."""
    value = x.max(2, keepdims=True)
    brighter = np.clip(value + c, 0, 1)
    return np.where(value > 0, x * (brighter / np.where(value > 0, value, 1)), brighter)


def _contrast(x: Image, c: float, scale: float, random: np.random.Generator) -> Image:
    mean = x.mean((0, 1), keepdims=True)
    return (x - mean) * c + mean


def _elastic_transform(x: Image, c: tuple[float, ...], scale: float, random: np.random.Generator) -> Image:
    """A random affine map, then displacements that change slowly from pixel to pixel."""
    from scipy.ndimage import affine_transform, map_coordinates

    side = min(x.shape[:2])
    far, smooth, shift = (part * side for part in c)
    centre, third = np.array(x.shape[:2]) // 2, side // 3
    corners = centre + np.array([[third, third], [-third, third], [-third, -third]])  # (row, column)
    moved = corners + random.uniform(-shift, shift, corners.shape)
    back = np.linalg.solve(np.column_stack([moved, np.ones(3)]), corners)  # (row, column, 1) there -> here
    x = np.stack([affine_transform(p, back[:2].T, back[2], order=1, mode="mirror") for p in np.moveaxis(x, 2, 0)], 2)
    drawn = random.uniform(-1, 1, (2, *x.shape[:2]))
    down, right = (_blurred(d, smooth, mode="reflect", truncate=3.0) * far for d in drawn)
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]]
    places = [rows + down, columns + right]
    return np.stack([map_coordinates(p, places, order=1, mode="reflect") for p in np.moveaxis(x, 2, 0)], 2)


def _pixelate(x: Image, c: float, scale: float, random: np.random.Generator) -> Image:
    from PIL import Image as Pillow

    height, width = x.shape[:2]
    small = _as_picture(x).resize((max(int(width * c), 1), max(int(height * c), 1)), Pillow.Resampling.BOX)
    return _from_picture(small.resize((width, height), Pillow.Resampling.BOX), x)


def _jpeg_compression(x: Image, c: int, scale: float, random: np.random.Generator) -> Image:
    from PIL import Image as Pillow

    file = io.BytesIO()
    _as_picture(x).save(file, "JPEG", quality=c)
    return _from_picture(Pillow.open(file), x)


def _as_picture(x: Image) -> Any:
    from PIL import Image as Pillow

    pixels = np.round(x * 255).astype(np.uint8)
    return Pillow.fromarray(pixels[..., 0] if x.shape[2] == 1 else pixels)


def _from_picture(picture: Any, like: Image) -> Image:
    return np.asarray(picture).reshape(like.shape) / 255


_CORRUPTIONS: dict[str, Callable[[Image, Any, float, np.random.Generator], Image]] = {
    "gaussian_noise": _gaussian_noise, "shot_noise": _shot_noise, "impulse_noise": _impulse_noise,
    "defocus_blur": _defocus_blur, "glass_blur": _glass_blur, "motion_blur": _motion_blur, "zoom_blur": _zoom_blur,
    "snow": _snow, "frost": _frost, "fog": _fog, "brightness": _brightness, "contrast": _contrast,
    "elastic_transform": _elastic_transform, "pixelate": _pixelate, "jpeg_compression": _jpeg_compression,
}  # fmt: skip
