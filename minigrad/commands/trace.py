"""A forward and a backward pass of a network, step by step, as a page for a browser: every op, gradient, and byte.

    minigrad trace                       trace.html: an example, step by step
    minigrad trace photo.jpg --text      the steps on the terminal, too
    minigrad trace -w runs/...  --label Bag photo.jpg

docs/trace.md says how to read the page, and has breakpoints and checks in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigrad.commands.arguments import Arguments, Parser
from minigrad.commands.explain import class_index
from minigrad.commands.images import Photo, add_images, inputs_of, read_photos
from minigrad.commands.network import Network, add_network, read_network
from minigrad.files import check_target


def run(arguments: Sequence[str]) -> int:
    """Record one step on one image, write the page."""
    parser = Parser("trace", __doc__)
    add_images(parser)
    add_network(parser)
    parser.option(
        "--label", metavar="CLASS", help="the class whose loss is followed (the example's, or the predicted one)"
    )
    parser.option("--out", metavar="FILE.html", default="trace.html", help="the page (trace.html)")
    parser.flag("--text", "print the steps as well")
    options = parser.read(arguments)
    page = Path(options.out)
    check_target(page, "--out")
    network = read_network(options)
    photo, *more = read_photos(options, network)
    recorded, label, loss = trace_of(options, network, photo)
    recorded.html(page, f"{network.name} on {photo.name}: {label}")
    if options.text:
        print(recorded)
    ignored = f" (the first of {len(more) + 1} images)" if more and options.images else ""
    print(f"{photo.name}{ignored}: loss {loss:.4f} of {label}")
    print(f"{len(recorded.nodes)} ops forward, {len(recorded.visits)} steps backward, {len(recorded.leaves)} leaves")
    print(f"page: {page}")
    return 0


def trace_of(options: Arguments, network: Network, photo: Photo) -> tuple[Any, str, float]:
    """(the trace, the class, its loss) of one training step on one image, in evaluation mode."""
    import minigrad
    from minigrad.nn import functional as F

    images = minigrad.from_numpy(inputs_of([photo], network))
    images.name = "image"
    if options.label is not None:
        label = class_index(options.label, network.classes, "--label")
    elif photo.label is not None:
        label = photo.label
    else:
        with minigrad.no_grad():
            label = int(network.module(images).argmax(1).item())
    labels = minigrad.tensor([label])
    with minigrad.trace() as recorded:
        loss = F.cross_entropy(network.module(images), labels)
        loss.backward()
    return recorded, network.classes[label], float(loss.item())
