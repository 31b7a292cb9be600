"""Images changed so little that nobody sees it, until the network is wrong: before, after, and the difference.

    minigrad attack photo.jpg                     attack.png: a row an image
    minigrad attack --epsilon 4/255 --target Bag photo.jpg   towards a class
    minigrad attack --attack apgd --save out/ photos/        the images as files
    minigrad attack --attack deepfool photo.jpg              the smallest change that there is

Epsilon and steps are in units of pixels from 0 to 1, which the attacked images keep to. docs/attacks.md has attacks in Python.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.commands.arguments import Arguments, Parser, add_outputs, check_picture, print_json, table
from minigrad.commands.explain import class_index
from minigrad.commands.images import Photo, add_images, inputs_of, read_photos
from minigrad.commands.network import Network, add_network, logits_of, read_network
from minigrad.errors import OptionError
from minigrad.files import check_folder, write_atomically
from minigrad.option import fraction, number
from minigrad.training.attack_kinds import ALL_NORMS, ATTACKS, build, explained
from minigrad.training.attacks import Within
from minigrad.training.pictures import Attacked, draw_attack, softmax
from minigrad.training.recipes import check_kind

EPSILON = 8 / 255


def run(arguments: Sequence[str]) -> int:
    """Attack, print before and after, draw."""
    parser = Parser("attack", __doc__)
    add_images(parser)
    add_network(parser)
    parser.option(
        "--attack", choices=list(ATTACKS), default="untargeted", metavar="NAME", help=f"(untargeted) {explained()}"
    )
    parser.option("--target", metavar="CLASS", help="towards this class: its name or number (away from what it is)")
    size = number(fraction, 0, 1e38)
    parser.option(
        "--epsilon", type=size, metavar="SIZE", help="the largest change (8/255; of l2 as long as that everywhere)"
    )
    parser.option("--alpha", type=size, metavar="SIZE", help="the size of a step (2.5 epsilon / steps)")
    parser.option(
        "--steps", type=parser.number(1, 100000), help="steps, or of square queries (the attack's own number)"
    )
    parser.option(
        "--norm", choices=list(ALL_NORMS), help="what is largest: a pixel's change, or all (linf, or the attack's)"
    )
    parser.option("--save", metavar="FOLDER", help="write the attacked images there, as PNG")
    add_outputs(parser, "the picture", "attack.png")
    options = parser.read(arguments)
    _check_attack(options)
    picture = check_picture(options.picture)
    if options.save is not None:
        check_folder(Path(options.save), "--save")
    network = read_network(options)
    photos = read_photos(options, network)
    images = attacked(options, network, photos)

    saved = _save(options.save, images.perturbed, photos) if options.save is not None else []
    title = f"{network.name} under attack"
    assert picture is not None
    reach = "the smallest change" if options.epsilon is None else f"epsilon {options.epsilon:.3g}"
    draw_attack(picture, images, network.classes, title, f"{options.attack}, {reach} ({options.norm})")
    rows = as_rows(images, network.classes)
    if options.json:
        print_json([row | {"picture": str(picture)} for row in rows])
        return 0
    print(as_text(rows))
    print("\n".join(["", *([f"images: {len(saved)} in {options.save}"] if saved else []), f"picture: {picture}"]))
    return 0


def attacked(options: Arguments, network: Network, photos: Sequence[Photo]) -> Attacked:
    """The images before and after. They are moved from their label, or of one's own images from the predicted class."""
    import minigrad
    from minigrad import attacks

    inputs = inputs_of(photos, network)
    before = logits_of(network, inputs)
    labels = np.array([before[i].argmax() if p.label is None else p.label for i, p in enumerate(photos)], np.int64)
    kind, classes = ATTACKS[options.attack], len(network.classes)
    if classes < kind.classes:
        raise OptionError(f"--attack {options.attack} needs at least {kind.classes} classes, the network has {classes}")
    steps = options.steps or kind.steps
    if options.epsilon is None and not kind.nearest:
        options.epsilon = EPSILON * (1 if options.norm == "linf" else inputs[0].size ** 0.5)
    settings: dict[str, Any] = {
        "steps": steps, "norm": options.norm, "units": "pixel", "clip": (0.0, 1.0),
        "mean": tuple(network.mean), "std": tuple(network.std),
    }  # fmt: skip
    if options.epsilon is not None:
        settings["epsilon"] = options.epsilon
        largest = 1.0 if options.norm == "l0" else options.epsilon  # of l0 epsilon is a count
        settings["alpha"] = 2.5 * largest / steps if options.alpha is None else options.alpha
    targets = None
    if options.target is not None:
        targets = np.full(len(photos), class_index(options.target, network.classes, "--target"))
        settings |= (
            {"criterion": attacks.Targeted()}
            if kind.target == "criterion"
            else {"target": "given", "direction": "descend"}
        )
    attack = build(attacks, options.attack, settings)
    if options.epsilon is not None and kind.nearest:
        attack = Within(attack)
    tensors = [None if x is None else minigrad.from_numpy(x) for x in (inputs, labels, targets)]
    if hasattr(attack, "run"):
        moved = attack.run(network.module, *tensors[:2], _say).images.numpy()
    else:
        moved = attack(network.module, *tensors).numpy()
    pixels = [x.transpose(0, 2, 3, 1).astype(np.float64) * network.std + network.mean for x in (inputs, moved)]
    names = [photo.name for photo in photos]
    return Attacked(names, labels, pixels[0], pixels[1], before, logits_of(network, moved))


def _say(stage: Any) -> None:
    """A line on stderr for each attack of several, which take their time."""
    print(f"{stage.name}: {stage.right} of {stage.attacked} images stand", file=sys.stderr, flush=True)


def _check_attack(options: Arguments) -> None:
    """The norm filled in. OptionError for options that the attack does not know."""
    given = {"attack_steps": options.steps, "alpha": options.alpha, "norm": options.norm}
    there = {name: value for name, value in given.items() if value is not None}
    kind = ATTACKS[options.attack]
    if options.steps is not None and "attack_steps" not in kind.takes:
        raise OptionError(f"--steps {options.steps} has no effect: --attack {options.attack} has a number of its own")
    options.norm = check_kind(options.attack, there, options.norm or "linf", options.epsilon or 1.0, "pixel")
    if options.norm in ("l1", "l0") and options.epsilon is None and not kind.nearest:
        raise OptionError(
            f"--norm {options.norm} wants an --epsilon: how much all pixels together, or how many, may change"
        )
    if options.target is not None and kind.target is None:
        able = ", ".join(name for name, other in ATTACKS.items() if other.target)
        raise OptionError(f"--target does not go with --attack {options.attack}: it goes with {able}")


def as_rows(images: Attacked, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Of each image what it was taken for before and after, how surely, and the largest change of a pixel."""
    rows = []
    for i, name in enumerate(images.rows):
        row: dict[str, Any] = {"image": name}
        for when, logits in (("before", images.before), ("after", images.after)):
            shares = softmax(logits[i : i + 1])[0]
            row[when] = {"class": classes[int(shares.argmax())], "probability": float(shares.max())}
        rows.append(row | {"largest_change": float(np.abs(images.perturbed[i] - images.original[i]).max())})
    return rows


def as_text(rows: Sequence[dict[str, Any]]) -> str:
    """A table."""
    lines = [["image", "before", "", "after", "", "change"]]
    for row in rows:
        cells = [part for when in ("before", "after") for part in _said(row[when])]
        lines.append([_short(row["image"]), *cells, f"{255 * row['largest_change']:.1f}/255"])
    return table(lines, left=(0, 1, 3))


def _said(answer: dict[str, Any]) -> list[str]:
    return [_short(answer["class"], 16), f"{100 * answer['probability']:.1f} %"]


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"...{name[3 - most :]}"


def _save(folder: str, pixels: np.ndarray, photos: Sequence[Photo]) -> list[Path]:
    """Write images (N, H, W, C) of values from 0 to 1 as PNG files, under their names."""
    import io

    from PIL import Image

    Path(folder).mkdir(parents=True, exist_ok=True)
    written = []
    for image, photo in zip(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8), photos, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, format="PNG")
        stem = Path(photo.name).stem.replace(" ", "-")
        path = Path(folder) / f"{stem}.png"
        for k in range(2, 1000):
            if path not in written:
                break
            path = Path(folder) / f"{stem}-{k}.png"
        write_atomically(path, buffer.getvalue())
        written.append(path)
    return written
