"""Where a network looks, as a picture: saliency, SmoothGrad and Grad-CAM of the class that it predicts.

    minigrad explain photo.jpg                    explain.png: a row an image
    minigrad explain -w runs/resnet18-... --layer layer3 photo.jpg

docs/attribution.md says how to read the maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.commands.arguments import Arguments, Parser, add_outputs, check_picture, print_json
from minigrad.commands.images import Photo, add_images, read_photos
from minigrad.commands.network import Network, add_network, read_network
from minigrad.errors import OptionError, did_you_mean
from minigrad.files import write_atomically


def run(arguments: Sequence[str]) -> int:
    """Compute the maps, print what the network answers, draw."""
    parser = Parser("explain", __doc__)
    add_images(parser)
    add_network(parser)
    parser.option("--of", metavar="CLASS", help="the class that is explained: its name or number (the predicted one)")
    parser.option("--layer", help="of Grad-CAM (the last one that keeps places apart)")
    add_outputs(parser, "the picture", "explain.png")
    options = parser.read(arguments)
    picture = check_picture(options.picture)
    network = read_network(options)
    photos = read_photos(options, network)
    rows = explained(options, network, photos)

    from compare.explain.show import draw

    assert picture is not None
    write_atomically(picture, draw(rows))
    if options.json:
        print_json([as_json(row) | {"picture": str(picture)} for row in rows])
    else:
        print("\n".join([*map(str, rows), f"picture: {picture}"]))
    return 0


def explained(options: Arguments, network: Network, photos: Sequence[Photo]) -> list[Any]:
    """The rows of the picture: of each image the logits and the three maps, computed in float64."""
    import minigrad
    from compare.explain.measure import inputs, tokens_to_maps
    from compare.explain.show import Row
    from minigrad import attribution
    from minigrad.training.recipes import models

    card = models()[network.name]
    layer, module = options.layer or card.layer, network.module.double()
    images = minigrad.from_numpy(inputs(np.stack([photo.pixels for photo in photos]), network))
    with minigrad.no_grad():
        logits = module(images)
    classes = logits.argmax(1)
    if options.of is not None:
        classes = minigrad.full_like(classes, class_index(options.of, network.classes, "--of"))
    reshape = None if card.image_layers is None or layer in card.image_layers else tokens_to_maps
    try:
        looked = attribution.grad_cam(module, images, layer, classes, reshape)
    except ValueError as error:
        raise OptionError(f"--layer {layer}: {error}") from error
    maps = {
        "saliency": attribution.saliency(module, images, classes).numpy(),
        "SmoothGrad": attribution.smooth_grad(module, images, classes).numpy(),
        "Grad-CAM": looked.numpy(),
    }
    return [
        Row(
            photo.name, photo.pixels, network.classes, photo.label, int(classes[i].item()), logits[i].numpy(),
            {name: values[i] for name, values in maps.items()},
        )
        for i, photo in enumerate(photos)
    ]  # fmt: skip


def class_index(given: str, classes: Sequence[str], option: str) -> int:
    """The number of a class that is given by its name or number. OptionError for one that the network does not have."""
    names = {name.lower(): k for k, name in enumerate(classes)}
    if given.lower() in names:
        return names[given.lower()]
    if given.isdecimal() and int(given) < len(classes):
        return int(given)
    some = ", ".join(list(classes)[:10]) + (", ..." if len(classes) > 10 else "")
    raise OptionError(f"{option} {given}: no such class{did_you_mean(given, classes)}; the network knows {some}")


def as_json(row: Any) -> dict[str, Any]:
    """A row's answer, and where its Grad-CAM is strongest, as shares of width and height."""
    y, x = np.unravel_index(int(row.maps["Grad-CAM"].argmax()), row.maps["Grad-CAM"].shape)
    height, width = row.maps["Grad-CAM"].shape
    return {
        "image": row.number,
        "predicted": row.classes[row.predicted],
        "probability": row.confidence(row.predicted) / 100,
        "explained": row.classes[row.explained],
        "strongest": [(float(x) + 0.5) / width, (float(y) + 0.5) / height],
    }
