"""Every model against its PyTorch version: layer outputs, gradients of parameters and input, in training and evaluation."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import models
import models.reference
from compare.layerwise.networks import build, random_batch
from compare.layerwise.traces import Trace, differences, trace
from minigrad import Generator
from minigrad.errors import MinigradError

SMALL = {"image_size": 32, "patch_size": 4, "dim": 24, "heads": 3}  # 8 x 8 tokens

Case = tuple[str, dict[str, Any]]

# A model that is registered is covered by itself.
CASES: list[Case] = [
    *((name, {"image_size": 48, **card.small}) for name, card in models.MODELS.items()),
    ("vit", SMALL),
    ("vit", {**SMALL, "depth": 6, "window_blocks": (1, 2, 4), "shift": True, "drop_path": 0.5}),
    ("vit", {**SMALL, "window_size": 3, "shift": True, "relative_positions": True}),
    ("vit", {**SMALL, "window_size": 11, "shift": True, "relative_positions": True, "absolute_positions": False}),
    ("vit", {**SMALL, "dropout": 0.2, "qkv_bias": False, "mlp_ratio": 2.5}),
]
WHOLE: list[Case] = [("vit", {}), ("vit", {"depth": 6}), ("simplenet", {})]


def label(case: Case) -> str:
    return "-".join([case[0], *(f"{k}={v}" for k, v in case[1].items() if k not in SMALL)])


def run(case: Case, dtype: Any, training: bool, device: str, layers: bool = True, seed: int = 0) -> Trace:
    """The trace of minigrad's model."""
    name, settings = case
    model = build(models, name, dtype, device, **settings).train(training)
    return trace(model, *random_batch(settings.get("image_size", 128), dtype, seed), layers)


def reference(case: Case, dtype: Any, training: bool, seed: int = 0) -> Trace:
    """The trace of torch's."""
    return _reference(case[0], tuple(case[1].items()), dtype, training, seed)


@lru_cache(maxsize=64)
def _reference(name: str, settings: tuple[tuple[str, Any], ...], dtype: Any, training: bool, seed: int) -> Trace:
    model = build(models.reference, name, dtype, **dict(settings)).train(training)
    return trace(model, *random_batch(dict(settings).get("image_size", 128), dtype, seed))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("case", CASES, ids=label)
def test_every_layer_and_gradient_in_float64(case: Case, training: bool, device: str) -> None:
    """With hooks on every layer; in training without them too, where layers may run fused."""
    expected = reference(case, np.float64, training)
    assert differences(run(case, np.float64, training, device), expected) == []
    if not training:
        return
    plain = run(case, np.float64, training, device, layers=False)
    expected = Trace({"logits": expected.outputs["logits"]}, expected.gradients, expected.buffers)
    assert differences(plain, expected) == []


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("case", CASES, ids=label)
def test_float32_is_no_further_from_float64_than_twice_torchs(case: Case, training: bool, device: str) -> None:
    """A ReLU whose input is 0 but for rounding may open or stay shut, and many gradients change with it, in torch as here.

    Such a batch says nothing: where a model has kinks, one of three has to do.
    """
    for seed in range(1 if case[0] == "vit" else 3):
        exact, theirs = reference(case, np.float64, training, seed), reference(case, np.float32, training, seed)
        found = differences(run(case, np.float32, training, device, seed=seed), theirs, exact)
        if not found:
            break
    assert found == []


@pytest.mark.parametrize("case", WHOLE, ids=label)
def test_at_full_size(case: Case) -> None:
    assert differences(run(case, np.float64, True, "cpu"), reference(case, np.float64, True)) == []


SHIFTED: Case = ("vit", {**SMALL, "shift": True, "drop_path": 0.5})


def broken(change: Callable[[Any], Any], case: Case = SHIFTED) -> list[str]:
    """The differences that a change of minigrad's model makes."""
    model = build(models, case[0], np.float64, **case[1])
    change(model)
    return differences(
        trace(model, *random_batch(case[1]["image_size"], np.float64)), reference(case, np.float64, True)
    )


def test_a_wrong_merge_of_heads_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads, tokens and numbers reshaped as they lie, heads first: the error of the original experiments."""
    from minigrad.nn import functional

    def scrambled(*args: Any, **kwargs: Any) -> Any:
        y = attention(*args, **kwargs)
        b, heads, tokens, d = y.shape
        return y.reshape(b, tokens, heads, d).transpose(1, 2)

    attention = functional.scaled_dot_product_attention
    monkeypatch.setattr(functional, "scaled_dot_product_attention", scrambled)
    assert broken(lambda model: None)[0].startswith("output of blocks.0.attn: off by ")


@pytest.mark.parametrize(
    "change, first",
    [
        (lambda model: None, None),
        (lambda model: setattr(model.blocks[2].attn, "shift_size", (1, 2)), "output of blocks.2.attn:"),
        (lambda model: setattr(model.blocks[1].attn, "window_size", (4, 4)), "output of blocks.1.attn:"),
        (lambda model: setattr(model.blocks[3].drop_path, "generator", Generator(6)), "output of blocks.3.drop_path:"),
        (lambda model: setattr(model.blocks[1].norm2, "eps", 1e-6), "output of blocks.1.norm2:"),
        (lambda model: setattr(model.blocks[2].mlp[1], "approximate", "tanh"), "output of blocks.2.mlp.1:"),
        (lambda model: model.head.weight.register_hook(lambda g: g * (1 + 1e-8)), "gradient of head.weight:"),
        (
            lambda model: model.blocks[1].mlp.register_full_backward_hook(lambda m, gx, gy: (gx[0] * (1 + 1e-8),)),
            "gradient at the output of blocks.1.norm2:",
        ),
    ],
)
def test_the_first_layer_that_differs_is_named(change: Any, first: str | None) -> None:
    found = broken(change)
    assert found[0].startswith(first) if first else found == []


def test_running_statistics_are_compared() -> None:
    found = broken(lambda model: setattr(model.features[2], "momentum", 0.11), ("simplenet-bn", {"image_size": 48}))
    assert [line.split(":")[0] for line in found] == [
        f"buffer of features.2.running_{what}" for what in ("mean", "var")
    ]


def test_a_layer_that_does_not_run_is_found() -> None:
    theirs = reference(SHIFTED, np.float64, True)
    outputs = {name: output for name, output in theirs.outputs.items() if name != "blocks.1.norm1"}
    with pytest.raises(MinigradError, match="only one of the two runs blocks.1.norm1"):
        differences(Trace(outputs, theirs.gradients, theirs.buffers), theirs)


def test_a_larger_error_in_float32_is_found() -> None:
    """A layer three times as far off as torch's; and gradients."""
    exact, theirs = (reference(SHIFTED, dtype, True) for dtype in (np.float64, np.float32))

    def further(arrays: dict[str, np.ndarray], right: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        wrong = {n: (right[n] + 3 * (arrays[n].astype(np.float64) - right[n])).astype(np.float32) for n in names}
        return {**arrays, **wrong}

    outputs = further(theirs.outputs, exact.outputs, ["blocks.2.mlp.1"])
    found = differences(Trace(outputs, theirs.gradients, theirs.buffers), theirs, exact)
    assert len(found) == 1 and found[0].startswith("output of blocks.2.mlp.1: off by")
    gradients = further(theirs.gradients, exact.gradients, list(theirs.gradients))
    found = differences(Trace(theirs.outputs, gradients, theirs.buffers), theirs, exact)
    assert len(found) > 10 and all(line.startswith("gradient of ") for line in found)
