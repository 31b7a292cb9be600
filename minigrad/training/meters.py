"""How good the network is: mean loss, top-1 and top-5."""

from __future__ import annotations

from typing import Any

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """exp(z) / sum exp(z) of each row, in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def target_ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes a network puts before the right one: 0 is a top-1 hit, below 5 a top-5 hit.

    logits: (N, classes) floats; labels: (N,) integers in [0, classes). Returns (N,) integers.
    Among equal logits the lower class comes first, so that the count does not depend on a sorting routine. A NaN is
    before every number: a network that has gone wrong never scores.
    """
    own = logits[np.arange(len(labels)), labels][:, None]
    lower_class = np.arange(logits.shape[1]) < labels[:, None]
    before = ~(logits <= own) | ((logits == own) & lower_class)
    before[np.isnan(own[:, 0])] = True
    return before.sum(axis=1)


TOTALS = ("images", "loss_sum", "top1_hits", "top5_hits")


class Meter:
    """Running totals over the batches of an epoch: images, loss, top-1 and top-5 hits.

    keep_images: whether `images_kept` is to be filled with the inputs, batch by batch.
    """

    def __init__(self, keep_images: bool = False) -> None:
        self.images = 0
        self.loss_sum = 0.0
        self.top1_hits = 0
        self.top5_hits = 0
        self.keep_images = keep_images
        self.images_kept: list[np.ndarray] = []
        self._rows: list[tuple[np.ndarray, ...]] = []

    def update(self, loss: float, logits: np.ndarray, labels: np.ndarray, indices: np.ndarray | None = None) -> None:
        """Count a batch. loss: its mean; logits: (N, classes); labels: (N,); indices: (N,), which `details` then has."""
        ranks = target_ranks(logits, labels)
        self.images += len(labels)
        self.loss_sum += loss * len(labels)
        self.top1_hits += int((ranks < 1).sum())
        self.top5_hits += int((ranks < 5).sum())
        if indices is not None:
            shares = softmax(logits)
            own = shares[np.arange(len(labels)), labels]
            self._rows.append((indices, labels, logits.argmax(1), shares.max(1), own, ranks))

    @property
    def has_details(self) -> bool:
        """Whether `details` has every image that was counted: not what other ranks have counted."""
        return sum(len(rows[0]) for rows in self._rows) == self.images > 0

    def details(self) -> dict[str, np.ndarray]:
        """Of each image (N,): index, label, predicted, probability (of what is predicted), of_label, rank (of the label)."""
        names = ("index", "label", "predicted", "probability", "of_label", "rank")
        return {name: np.concatenate(parts) for name, parts in zip(names, zip(*self._rows, strict=True), strict=True)}

    def table(self, images: int) -> np.ndarray:
        """The details as float64 (7, images), a column an image of the data set, with a 1 in front; of others zeros. So the
        sum of the tables of several meters has the details of all."""
        found = np.zeros((7, images))
        if self._rows:
            index, *columns = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
            inside = index < images
            found[:, index[inside]] = np.stack([np.ones(len(index)), index, *columns])[:, inside]
        return found

    def take(self, table: np.ndarray) -> None:
        """Have the details of such a sum, if it has each image once."""
        if table.size and np.array_equal(table[0], np.ones(table.shape[1])):
            index, label, predicted, probability, of_label, rank = table[1:]
            whole = (column.astype(np.int64) for column in (index, label, predicted, rank))
            rows = dict(zip(("index", "label", "predicted", "rank"), whole, strict=True))
            self._rows = [(rows["index"], rows["label"], rows["predicted"], probability, of_label, rows["rank"])]

    def add(self, other: Meter) -> None:
        """Count what another meter has counted."""
        for name, number in other.state().items():
            setattr(self, name, getattr(self, name) + number)

    @property
    def loss(self) -> float:
        """Mean loss of an image; NaN before the first."""
        return self.loss_sum / self.images if self.images else float("nan")

    @property
    def top1(self) -> float:
        """Percentage of images whose class has the highest logit."""
        return 100 * self.top1_hits / self.images if self.images else float("nan")

    @property
    def top5(self) -> float:
        """Percentage of images whose class is among the five highest logits (or all of them, if there are fewer)."""
        return 100 * self.top5_hits / self.images if self.images else float("nan")

    def state(self) -> dict[str, Any]:
        """The totals, for a checkpoint; JSON keeps a Python float's every bit."""
        return {name: getattr(self, name) for name in TOTALS}

    @classmethod
    def of(cls, images: int, loss: float, top1_hits: float, top5_hits: float) -> Meter:
        """The meter of one batch, whose mean loss and hits were counted elsewhere."""
        return cls.restored(dict(zip(TOTALS, (images, loss * images, int(top1_hits), int(top5_hits)), strict=True)))

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Meter:
        """The meter that `state` came from."""
        meter = cls()
        vars(meter).update(state)
        return meter
