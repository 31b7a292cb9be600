"""python -m compare explain: where a trained network looks, as a picture: saliency, SmoothGrad and Grad-CAM of chosen images.

A row of the picture is a validation image with the network's answer; the magnitude of the gradient of a class's logit
with respect to the image (saliency; SmoothGrad takes the mean gradient of noisy copies); and, over the image, Grad-CAM: how
much each place of a layer's maps speaks for that class. docs/attribution.md says how to read them.

--mosaic asks whether a map finds what it is about: four images of four labels make one, twice as large, and each label is
explained. Printed is the share of each map within its label's quarter, of which 25 % would be chance (M. Boehle et al.,
Convolutional Dynamic Alignment Networks, 2021, call it the localisation metric).

With --track both PyTorch computes the same maps from the same weights, and the largest differences are printed; the picture
is minigrad's. Everything is computed on the CPU in float64, in which a difference of the two frameworks is not rounding.

A checkpoint of a run brings model, settings, data and image size along; beside a file of weights alone they have to be given.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compare.explain.measure import LAYERS, compare_frameworks, explain, make_subject, mosaics, own_share
from compare.explain.show import Row, draw
from compare.kit.arguments import Parser, add_trained
from minigrad.errors import OptionError
from minigrad.files import check_target, write_atomically

MOST_ROWS = 32


def run(arguments: Sequence[str]) -> int:
    """Compute the maps, print what the network answers, draw. Returns 0, or 1 if the frameworks differ."""
    options = parse(arguments)
    subject = make_subject(options)
    pixels = np.stack([subject.data.load(row, None) for row in subject.rows])
    labels = subject.data.labels[subject.rows]
    if options.mosaic:
        pixels = mosaics(pixels)
    found, classes = {}, labels if options.of == "label" or options.mosaic else None
    for framework in ["minigrad", "torch"] if options.track == "both" else [options.track]:
        found[framework] = explain(framework, subject, pixels, classes)
        classes = found[framework].classes  # the second framework explains what the first one does
    shown = next(iter(found.values()))
    rows = []
    for i, row in enumerate(subject.rows):
        maps = {name: values[i] for name, values in shown.maps.items()}
        rows.append(Row(row, pixels[i], subject.data.classes, labels[i], shown.classes[i], shown.logits[i], maps))
        print(rows[-1])
    write_atomically(options.out, draw(rows))
    print(f"{options.out}: {', '.join(shown.maps)} at {subject.layer}")
    if options.mosaic:
        shares = ", ".join(f"{100 * own_share(values):.0f} % of {name}" for name, values in shown.maps.items())
        print(f"within the label's own quarter (25 % would be chance): {shares}")
    return 0 if options.track != "both" or compare_frameworks(found["minigrad"], found["torch"]) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. OptionError for what is unknown, out of range, or cannot be written."""
    parser = Parser("explain", __doc__)
    add_trained(parser)
    layers = ", ".join(f"{model}: {name}" for model, name in LAYERS.items())
    add = parser.add
    add("--rows", type=row_numbers, default=[0, 1, 2, 3], help="validation images, counted from 0 (0,1,2,3)")
    add("--of", choices=["prediction", "label"], default="prediction", help="the class that is explained (prediction)")
    parser.flag("--mosaic", help="explain the labels of four images at a time, put together to one")
    add("--layer", help=f"of Grad-CAM ({layers})")
    add("--track", choices=["minigrad", "torch", "both"], default="minigrad", help="the framework (minigrad)")
    add("--out", type=Path, default=Path("explain.png"), metavar="FILE.png", help="the picture (explain.png)")
    options = parser.parse_args(arguments)
    if options.out.suffix.lower() != ".png":
        raise OptionError(f"--out {options.out}: the picture is a PNG, a name that ends in .png is wanted")
    check_target(options.out, "--out")
    return options


def row_numbers(text: str) -> list[int]:
    """An argparse type: numbers of images such as 0,4,17."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len(parts) > MOST_ROWS:
        raise argparse.ArgumentTypeError(f"up to {MOST_ROWS} row numbers such as 0,4,17 are wanted, not {text!r}")
    return [int(part) for part in parts]
