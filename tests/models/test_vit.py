"""SimpleViT: RECIPE's figures, initialisation, what its attention sees, what it refuses. The proof is test_layerwise.py."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
import models
import models.reference
from minigrad.errors import OptionError
from models.reference.vit import DropPath
from models.reference.vit import SimpleViT as Twin
from models.vit import SimpleViT

SMALL = {"image_size": 32, "patch_size": 4, "dim": 24, "heads": 3}  # 8 x 8 tokens
PACKAGES = pytest.mark.parametrize("package", [models, models.reference])


@PACKAGES
@pytest.mark.parametrize("depth, count", [(4, 1_959_076), (6, 2_848_804)])
def test_parameters(package: Any, depth: int, count: int) -> None:
    assert sum(p.numel() for p in package.create("vit", 100, depth=depth).parameters()) == count


def test_both_tracks_take_the_recipes_settings() -> None:
    ours, theirs = (inspect.signature(cls).parameters for cls in (SimpleViT, Twin))
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]
    assert {name: p.default for name, p in ours.items()} == {
        "num_classes": 100, "channels": 3, "image_size": 128, "patch_size": 16, "dim": 192, "depth": 4, "heads": 4,
        "mlp_ratio": 4.0, "qkv_bias": True, "drop_path": 0.1, "window_size": 4, "window_blocks": (0, 2), "shift": False,
        "relative_positions": False, "absolute_positions": True, "dropout": 0.0, "generator": None,
    }  # fmt: skip
    assert models.MODELS["vit"].head == "head"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"relative_positions": True, "shift": True},
        {"qkv_bias": False, "absolute_positions": False},
        {"channels": 1},
    ],
    ids=str,
)
def test_keys_and_shapes_are_the_same_in_the_same_order(settings: dict[str, Any]) -> None:
    ours, theirs = (package.create("vit", 10, **SMALL, **settings) for package in (models, models.reference))
    found = [(key, tuple(value.shape), str(value.numpy().dtype)) for key, value in ours.state_dict().items()]
    assert found == [(key, tuple(v.shape), str(v.numpy().dtype)) for key, v in theirs.state_dict().items()]
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in theirs.named_parameters()]
    for key, index in ours.named_buffers():
        assert np.array_equal(index.numpy(), theirs.state_dict()[key].numpy()), key


@PACKAGES
def test_initialisation_is_the_recipes(package: Any) -> None:
    """Linear weights, positions and relative positions from a truncated normal of .02, biases 0, the convolution torch's."""
    minigrad.manual_seed(0)
    torch.manual_seed(0)
    model = package.create("vit", 100, relative_positions=True)
    for key, parameter in model.named_parameters():
        values = parameter.detach().numpy()
        if "norm" in key:
            assert (values == float(key.endswith("weight"))).all(), key
        elif "patch_embed" in key:
            bound = 1 / np.sqrt(3 * 16 * 16)
            assert 0.9 * bound < np.abs(values).max() <= bound, key
        elif key.endswith("bias"):
            assert (values == 0).all(), key
        else:
            assert values.std() == pytest.approx(0.02, rel=0.1) and abs(values.mean()) < 0.003, key


def test_one_seed_one_start() -> None:
    def start(seed: int) -> list[bytes]:
        minigrad.manual_seed(seed)
        return [value.numpy().tobytes() for value in models.create("vit", 10, **SMALL).state_dict().values()]

    assert start(1) == start(1) != start(2)


@pytest.mark.parametrize("block", [1, 3])
def test_permuting_the_tokens_permutes_what_a_global_block_makes_of_them(block: int, device: str) -> None:
    """Without positions a block knows tokens, not places. With heads merged the wrong way this fails (RECIPE.md, 2)."""
    model = models.create("vit", 10, **SMALL).double().to(device).eval()
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 8, 8, 24))
    order = random.permutation(64)

    def permuted(x: np.ndarray) -> np.ndarray:
        return x.reshape(2, 64, 24)[:, order].reshape(2, 8, 8, 24)

    y, z = (model.blocks[block](minigrad.tensor(t, device=device)).numpy(force=True) for t in (x, permuted(x)))
    np.testing.assert_allclose(z, permuted(y), rtol=1e-11, atol=1e-13)
    mixed = model.blocks[block].attn(minigrad.tensor(x, device=device)).numpy(force=True)
    assert np.abs(mixed - mixed[:, :1, :1]).max() > 1e-6  # the attention does tell tokens apart


@pytest.mark.parametrize("shift", [False, True])
@PACKAGES
def test_windows_are_where_they_should_be(package: Any, shift: bool) -> None:
    """Which tokens a token's gradient reaches in each block: its window, moved in every second window block, or all."""
    model = package.create("vit", 10, **SMALL, depth=5, window_blocks=(0, 2, 4), shift=shift).double().eval()
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 24))
    for i, block in enumerate(model.blocks):
        if package is models:
            tokens = minigrad.tensor(x, requires_grad=True)
            gradient = minigrad.autograd.grad(block(tokens)[0, 3, 3].sum(), tokens)[0].numpy()
        else:
            input_ = torch.from_numpy(x).requires_grad_()
            gradient = torch.autograd.grad(block(input_)[0, 3, 3].sum(), input_)[0].numpy()
        expected = np.zeros((8, 8), bool)
        seen = slice(None) if i in (1, 3) else slice(2, 6) if shift and i == 2 else slice(0, 4)
        expected[seen, seen] = True
        assert ((np.abs(gradient[0]).max(-1) > 1e-30) == expected).all(), i


@PACKAGES
def test_drop_path_grows_from_0_to_its_value(package: Any) -> None:
    def rates(**settings: Any) -> list[float]:
        return [block.drop_path.p for block in package.create("vit", 10, **SMALL, **settings).blocks]

    np.testing.assert_allclose(rates(), np.linspace(0, 0.1, 4), rtol=1e-14)
    np.testing.assert_allclose(rates(depth=6, drop_path=0.5), np.linspace(0, 0.5, 6), rtol=1e-14)
    assert rates(depth=1, window_blocks=()) == [0.0]


def test_masks_are_drawn_from_the_generator_and_not_in_evaluation() -> None:
    def logits(seed: int, training: bool) -> np.ndarray:
        minigrad.manual_seed(0)
        generator = minigrad.Generator(seed)
        model = models.create("vit", 10, generator=generator, **SMALL, drop_path=0.5, dropout=0.1).train(training)
        before = minigrad.random.get_rng_state(), generator.get_state()
        result = model(x).detach().numpy()
        assert minigrad.random.get_rng_state() == before[0] and (generator.get_state() == before[1]) == (not training)
        return result

    x = minigrad.rand(4, 3, 32, 32)
    assert np.array_equal(logits(1, True), logits(1, True)) and not np.array_equal(logits(1, True), logits(2, True))
    assert np.array_equal(logits(1, False), logits(2, False))


def test_the_twins_own_masks() -> None:
    """Without a generator: torch's, of whole samples, with the right mean."""
    torch.manual_seed(0)
    y = DropPath(0.25, None)(torch.ones(4000, 2, 3))
    assert bool((y == y[:, :1, :1]).all()) and float(y.max()) == pytest.approx(4 / 3)
    assert float((y[:, 0, 0] == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    x = torch.ones(4, 2)
    assert DropPath(0.25, None).eval()(x) is x


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"image_size": 100}, "patch_size has to divide image_size, but is 16 for images of 100"),
        ({"window_size": 33}, "window_size has to be at most 32, four times an image's patches a side, but is 33"),
        ({"patch_size": 24}, "patch_size has to divide image_size, but is 24 for images of 128"),
        ({"heads": 5}, "heads has to divide dim, but is 5 for a dim of 192"),
        ({"window_blocks": (0, 4, 7)}, r"window_blocks has to be among the blocks 0 to 3, but names \[4, 7\]"),
        ({"window_blocks": (-1,)}, r"window_blocks has to be among the blocks 0 to 3, but names \[-1\]"),
        ({"depth": 2}, r"window_blocks has to be among the blocks 0 to 1, but names \[2\]"),
        *(
            ({name: value}, f"{name} has to be positive, but is {value}")
            for name in ("image_size", "patch_size", "dim", "depth", "heads", "window_size", "mlp_ratio")
            for value in (0, -2)
        ),
        ({"mlp_ratio": 0.005}, "mlp_ratio has to leave the MLP a hidden number, but is 0.005 for a dim of 192"),
        ({"drop_path": -0.1}, "drop_path has to be between 0 and 1, but is -0.1"),
        ({"dropout": 1.5}, "dropout has to be between 0 and 1, but is 1.5"),
    ],
)
@PACKAGES
def test_bad_settings_are_one_clear_line(package: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^vit: {message}$"):
        package.create("vit", 10, **settings)


@PACKAGES
@pytest.mark.parametrize("shape", [(2, 3, 32, 28), (2, 1, 32, 32), (3, 32, 32)])
def test_images_of_another_shape_are_refused(package: Any, shape: tuple[int, ...]) -> None:
    framework = minigrad if package is models else torch
    with pytest.raises(ValueError, match=r"expected images \(N, 3, 32, 32\), but got \("):
        package.create("vit", 10, **SMALL)(framework.zeros(*shape))
