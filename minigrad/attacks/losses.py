"""The losses that attacks go up or down, by name: cross-entropy, the logits' margin, and its ratio to their spread."""

from __future__ import annotations

from collections.abc import Callable

from minigrad.nn import functional as F
from minigrad.tensor import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits (N, M) and classes (N,) to a loss for each image (N,), or one number, summed or averaged over the images."""

CLASSES = {"dlr": 3, "dlr-targeted": 4}
"""How many classes a loss needs at least, where two are not enough."""

TINY = 1e-12  # what the spread of equal logits is taken for


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """-log softmax(logits)[class] of each image: (N,)."""
    return F.cross_entropy(logits, classes, reduction="none")


def of_class(logits: Tensor, classes: Tensor) -> Tensor:
    """Each image's logit of its class: (N,)."""
    return logits.gather(1, classes.reshape(-1, 1)).squeeze(1)


def cw(logits: Tensor, classes: Tensor) -> Tensor:
    """max_(i != y) z_i - z_y of each image, (N,): above 0 where another class than y is the likeliest.

    Source: N. Carlini and D. Wagner, Towards Evaluating the Robustness of Neural Networks (2017), V.A, f_6.
    """
    need_classes(logits, 2, "cw")
    (first, second), order = _largest(logits, 2)
    return first.where(order[:, 0] != classes, second) - of_class(logits, classes)


def dlr(logits: Tensor, classes: Tensor) -> Tensor:
    """The difference of logits ratio, -(z_y - max_(i != y) z_i) / (z_(1) - z_(3)), of each image: (N,).

    z_(k) is the k-th largest logit. Neither a shift nor a scale of the logits changes it. ValueError for fewer than 3 classes.
    Source: F. Croce and M. Hein, Reliable Evaluation of Adversarial Robustness (2020), eq. 6.
    """
    need_classes(logits, CLASSES["dlr"], "dlr")
    (first, _, third), _ = _largest(logits, 3)
    return cw(logits, classes) / (first - third + TINY)


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2) of each image, (N,): below 0 where the target t is likelier than the label y.

    ValueError for fewer than 4 classes. Source: F. Croce and M. Hein, Reliable Evaluation of Adversarial Robustness (2020),
    eq. 7, with the other sign: as with every loss here, to descend leads to the target.
    """
    need_classes(logits, CLASSES["dlr-targeted"], "dlr-targeted")
    (first, _, third, fourth), _ = _largest(logits, 4)
    return (of_class(logits, labels) - of_class(logits, targets)) / (first - (third + fourth) / 2 + TINY)


LOSSES: dict[str, Loss] = {"ce": cross_entropy, "dlr": dlr, "cw": cw}
"""The losses of one class. "dlr-targeted" is of two: the label and the class that the attack aims at."""

NAMES = (*LOSSES, "dlr-targeted")


def _largest(logits: Tensor, count: int) -> tuple[list[Tensor], Tensor]:
    """The `count` largest logits of each image, each (N,), and their classes (N, count)."""
    values, order = logits.topk(count, 1)
    return [values[:, i] for i in range(count)], order


def need_classes(logits: Tensor, classes: int, name: str) -> None:
    """ValueError where the logits (N, M) have fewer classes than the loss of that name needs."""
    if logits.shape[1] < classes:
        raise ValueError(f"the loss {name!r} needs at least {classes} classes, the model has {logits.shape[1]}")
