"""What a network sees in images: the five likeliest classes of each, with their probabilities.

minigrad predict photo.jpg                      the network that comes with minigrad
minigrad predict -w runs/resnet18-... photos/   a network of one's own, a folder of photographs
minigrad predict -w imagenet photo.jpg          ResNet-18 with torchvision's weights
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.commands.arguments import Parser, add_outputs, check_picture, print_json, table
from minigrad.commands.images import Photo, add_images, inputs_of, read_photos
from minigrad.commands.network import Network, add_network, logits_of, read_network
from minigrad.files import write_atomically
from minigrad.training.pictures import softmax

TOP = 5


def run(arguments: Sequence[str]) -> int:
    """Read all images, ask the network, print, draw."""
    parser = Parser("predict", __doc__)
    add_images(parser)
    add_network(parser)
    parser.option("--top", type=parser.number(1, 1000), default=TOP, metavar="N", help=f"classes of each image ({TOP})")
    add_outputs(parser, "draw the images beside their classes")
    options = parser.read(arguments)
    picture = check_picture(options.picture)
    network = read_network(options)
    photos = read_photos(options, network)
    found = predictions(network, photos, options.top)
    if options.json:
        print_json([{"image": photo.name, "predictions": rows} for photo, rows in zip(photos, found, strict=True)])
    else:
        print("\n\n".join(as_text(photo, rows, network) for photo, rows in zip(photos, found, strict=True)))
    if picture is not None:
        from minigrad.commands.pictures import draw_predictions

        write_atomically(picture, draw_predictions(photos, found))
        if not options.json:
            print(f"\npicture: {picture}")
    return 0


def predictions(network: Network, photos: Sequence[Photo], top: int = TOP) -> list[list[dict[str, Any]]]:
    """Of each image its likeliest classes, the likeliest first: [{"class", "index", "probability"}]."""
    shares = softmax(logits_of(network, inputs_of(photos, network)))
    found = []
    for row in shares:
        best = np.argsort(-row, kind="stable")[:top]
        found.append([{"class": network.classes[k], "index": int(k), "probability": float(row[k])} for k in best])
    return found


def as_text(photo: Photo, rows: Sequence[dict[str, Any]], network: Network) -> str:
    """The image's name, and below it a line a class."""
    truth = "" if photo.label is None else f" (it is {network.classes[photo.label]})"
    lines = [[f"  {100 * row['probability']:5.1f} %", row["class"]] for row in rows]
    return f"{photo.name}{truth}\n{table(lines, left=(1,))}"
