"""Networks by name, in either framework: a run folder, a file of weights, `embedded`, or anybody's FILE.py:NAME."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from compare.kit.arguments import Trained, need_torch, read_trained
from compare.kit.frameworks import Framework
from compare.kit.letters import accuracy_error, hits
from minigrad.commands.network import EMBEDDED_WEIGHTS
from minigrad.data.dataset import ImageDataset
from minigrad.errors import CheckpointError, MinigradError, OptionError
from minigrad.testing import build, find_network
from minigrad.training.checkpoints import check_weights, find_checkpoint
from minigrad.training.recipes import model_settings
from minigrad.weights import load_weights

EMBEDDED, TORCH = "embedded", "torch:"
BATCH = 100  # images that a network is asked about at once


def notes_of(settings: Mapping[str, Any]) -> list[str]:
    """What a reader of a table has to know: on which images networks were measured, what they are, how sure a percentage is."""
    images = settings["images"]
    kinds = "; ".join(f"{network['label']}: {network['model']}" for network in settings["networks"])
    return [
        f"{images:,} validation images of {settings['data']}, {settings['image_size']} pixels a side; {kinds}.",
        f"50 % of so many images has a standard error of {accuracy_error(50, images):.1f} points.",
    ]


@dataclass(frozen=True)
class Named:
    """A network that a command line names. trained: what its checkpoint says; None: it comes from a file, `source`."""

    label: str
    trained: Trained | None
    source: str = ""
    weights: Path | None = None
    pytorch: bool = False

    def load(self, framework: Framework, data: ImageDataset, image_size: int) -> Any:
        """The network in evaluation mode, in float32, for these images. OptionError, CheckpointError where it cannot be."""
        if self.trained is not None:
            found = self.trained
            settings = model_settings(found.model, image_size, found.settings)
            shape = (len(data.classes), data.channels, image_size)
            return framework.load(found.checkpoint, found.model, *shape, **settings)
        if framework.name == "minigrad" and self.pytorch:
            from minigrad.attacks import FromTorch

            return FromTorch(self._built("torch")).eval()
        model = self._built(framework.name)
        return model.float().to(framework.device).eval()

    def _built(self, library: str) -> Any:
        """The network of the file. Weights come from `weights`, else from the file itself: those that PyTorch's version drew."""
        need_torch(self.source)
        model = build(self.source, library)
        reference = None if library == "torch" and self.weights is None else build(self.source, "torch")
        if self.weights is not None:
            shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
            arrays = load_weights(self.weights, shapes)
            check_weights(arrays, shapes, self.weights)
        elif reference is None:
            return model
        else:
            arrays = {key: value.numpy() for key, value in reference.state_dict().items()}
        tensor: Any = import_module(library).from_numpy
        model.load_state_dict({key: tensor(np.array(value)) for key, value in arrays.items()}, strict=False)
        return model

    def facts(self) -> dict[str, str]:
        """What tells this network from others: its label, what it is, a hash of its weights or of its file."""
        if self.trained is not None:
            return {"label": self.label, "model": self.trained.model, "sha256": _hash(self.trained.checkpoint)}
        file = Path(self.source.rpartition(":")[0])
        kind = f"{file.name}:{self.source.rpartition(':')[2]}" + ", PyTorch" * self.pytorch
        return {"label": self.label, "model": kind, "sha256": _hash(self.weights or file)}


def read_networks(texts: Sequence[str], options: argparse.Namespace) -> list[Named]:
    """The networks of a command line; --data and --image-size of the options go before what checkpoints say.

    OptionError for one that is not there, or two of one label.
    """
    found = [_read(text, options) for text in texts]
    labels = [network.label for network in found]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise OptionError(f"two networks are called {twice[0]}: give them labels, one={texts[0]}")
    return found


def _read(text: str, options: argparse.Namespace) -> Named:
    label, equals, what = text.partition("=")
    if not equals or "/" in label:
        label, what = "", text
    pytorch, what = what.startswith(TORCH), what.removeprefix(TORCH)
    source, at, weights = what.partition("@")
    if ".py:" in source:
        path, name = find_network(source)
        return Named(label or name, None, f"{path}:{name}", find_checkpoint(weights) if at else None, pytorch)
    if pytorch:
        raise OptionError(f"{text}: torch: belongs before FILE.py:NAME")
    path = EMBEDDED_WEIGHTS if what == EMBEDDED else find_checkpoint(what, "best.safetensors")
    given = argparse.Namespace(weights=path, model=None, set=[], data=options.data, image_size=options.image_size)
    named = Path(what).name or what
    return Named(label or (Path(what).parent.name if named == "best.safetensors" else named), read_trained(given))


def size_of(networks: Sequence[Named], options: argparse.Namespace) -> tuple[str | None, int]:
    """The data, and the pixels a side, that networks are looked at with: the options', else of the first that has a checkpoint."""
    from minigrad.training.recipes import recipe

    known = [network.trained for network in networks if network.trained is not None]
    source = options.data or (known[0].source if known else None)
    usual = known[0].image_size if known else recipe(source, "simplenet", None)["image_size"]
    return source, options.image_size or usual


def load_all(
    networks: Sequence[Named], framework: Framework, data: ImageDataset, image_size: int, images: np.ndarray
) -> dict[str, Any]:
    """{label: network}, each asked about `images` (N, C, H, W): OptionError where it takes none such or knows other classes."""
    found = {}
    for network in networks:
        try:
            model = network.load(framework, data, image_size)
            with framework.library.no_grad():
                logits = model(framework.tensor(images))
        except MinigradError:
            raise
        except (RuntimeError, ValueError, TypeError, NotImplementedError, AttributeError) as error:
            reason = str(error).partition("\n")[0]
            raise OptionError(
                f"{network.label} takes no images {images.shape[1:]} ({framework.name}): {reason}"
            ) from error
        if tuple(logits.shape) != (len(images), len(data.classes)):
            raise OptionError(
                f"{network.label} answers {tuple(logits.shape)} to {len(images)} images of {len(data.classes)} classes"
            )
        if not bool(logits.isfinite().all()):
            raise CheckpointError(f"{network.label}: its answers are NaN or infinite")
        found[network.label] = model
    return found


def answers(framework: Framework, model: Any, inputs: np.ndarray, labels: np.ndarray) -> str:
    """Of each image (N, C, H, W) a letter, whether the network is right about it: see kit.letters."""
    with framework.library.no_grad():
        starts = range(0, len(inputs), BATCH)
        logits = [model(framework.tensor(inputs[i : i + BATCH])).numpy(force=True) for i in starts]
    return hits(np.concatenate(logits), labels)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
