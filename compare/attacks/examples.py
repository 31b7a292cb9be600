"""A few images before and after an attack, kept in the results of python -m compare attacks, and their picture.

Kept are the image as a PNG, and of each attack its perturbation, in pixels from 0 to 1, as another: 1 to 255 stand for -limit
to limit. What a network sees is the sum of both, less a rounding that nobody can see.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from compare.attacks.lines import CLEAN, PLAIN, ROWS, Line
from compare.attacks.results import Results
from compare.kit.frameworks import Framework
from compare.kit.letters import FIRST
from compare.kit.plots import as_png, new_figure
from minigrad.data import normalize
from minigrad.data.dataset import ImageDataset
from minigrad.training.pictures import QUIET, RIGHT, WRONG, readable, softmax

SHOWN_ROWS = (ROWS[0], ROWS[2], ROWS[5])  # rows 2, 4 and 7 of the original's table, whose row 1 is no attack

Examples = dict[str, Any]


def make_examples(
    data: ImageDataset, framework: Framework, model: Any, results: Results, number: int, preset: str, rows: list[Any]
) -> Examples:
    """{"preset", "images": [{"index", "label", "png", "says", "attacks": [{"line", "limit", "png", "says"}]}]}.

    Of the first `number` images that the plain network `model` knows, if there are so many; before all others those on which
    the first of the attacks fools it. says: [class, confidence].
    """
    clean, attacked = (
        results.hits.get(line, {}).get(results.frameworks[0], "")
        for line in (Line(PLAIN, CLEAN), Line(PLAIN, preset, *rows[0]))
    )
    known = [i for i, letter in enumerate(clean) if letter == FIRST]
    known.sort(key=lambda i: attacked[i : i + 1] == FIRST)  # stable: each kind in its order
    chosen = known[:number] or list(range(number))
    pixels, labels = np.stack([data.load(i, None) for i in chosen]), data.labels[chosen]
    images, targets = framework.tensor(normalize(pixels, data.mean, data.std)), framework.tensor(labels)

    def says(inputs: Any) -> list[list[Any]]:
        with framework.library.no_grad():
            confidences = softmax(model(inputs).numpy(force=True))
        return [[data.classes[int(row.argmax())], float(row.max())] for row in confidences]

    found: list[dict[str, Any]] = [
        {"index": i, "label": data.classes[int(label)], "png": encode(image), "says": answer, "attacks": []}
        for i, label, image, answer in zip(chosen, labels, pixels, says(images), strict=True)
    ]
    std = np.asarray(data.std, np.float32)
    for steps, epsilon, alpha in rows:
        moved = framework.preset(preset, steps=steps, epsilon=epsilon, alpha=alpha)(model, images, targets)
        deltas = (moved - images).numpy(force=True).transpose(0, 2, 3, 1) * std
        for image, delta, answer in zip(found, deltas, says(moved), strict=True):
            limit = float(np.abs(delta).max()) or 1.0
            levels = np.rint(128 + 127 * delta / limit).astype(np.uint8)
            line = str(Line(PLAIN, preset, steps, epsilon, alpha))
            image["attacks"].append({"line": line, "limit": limit, "png": encode(levels), "says": answer})
    return {"preset": preset, "images": found}


def encode(image: np.ndarray) -> str:
    """A uint8 image (H, W, 1 or 3) as a PNG in base64."""
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(picture, "PNG", optimize=True)
    return base64.b64encode(picture.getvalue()).decode()


def decode(text: str) -> np.ndarray:
    """The image (H, W, 1 or 3) again, in float64."""
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))), np.float64)
    return image[..., None] if image.ndim == 2 else image


def draw_examples(results: Results, examples: Examples) -> bytes:
    """A PNG: a line an image; the image, and for each attack what it makes of it, and the magnified difference."""
    images, attacks = examples["images"], examples["images"][0]["attacks"]
    subtitle = "above each image what the network takes it for; attacks: steps/epsilon/alpha; differences magnified, grey: none"
    title = f"{results.settings['model']} under attack ({examples['preset']})"
    figure, panels = new_figure(len(images), 1 + 2 * len(attacks), title, subtitle, (1.75, 2.1))
    for line, image in zip(panels, images, strict=True):
        original = decode(image["png"]) / 255
        show(line[0], original, image["says"], image["label"])
        line[0].set_ylabel(readable(image["label"]), fontsize=8.5, color=QUIET)
        for attacked, difference, attack in zip(line[1::2], line[2::2], image["attacks"], strict=True):
            delta = (decode(attack["png"]) - 128) / 127
            show(attacked, original + attack["limit"] * delta, attack["says"], image["label"])
            show(difference, 0.5 + 0.5 * delta, None, "")
            attacked.set_xlabel(attack["line"].split()[0], fontsize=8, color=QUIET)
            difference.set_xlabel(f"difference × {0.5 / attack['limit']:.0f}", fontsize=8, color=QUIET)
    return as_png(figure)


def show(axes: Any, image: np.ndarray, says: list[Any] | None, label: str) -> None:
    """An image without axes; above it what the network says of it, green where that is right."""
    shown = np.clip(image, 0, 1)
    axes.imshow(shown[..., 0] if shown.shape[-1] == 1 else shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if says:
        text = f"{readable(says[0], 17)} {100 * says[1]:.0f} %"
        axes.set_title(text, fontsize=8, color=RIGHT if says[0] == label else WRONG, pad=3)
