"""SimpleViT: a vision transformer, some of whose blocks look at windows only. (N, C, H, W) images in, (N, classes) logits out.

With 100 classes, 3 channels, images of 128 x 128: 1,959,076 parameters at depth 4, 2,848,804 at depth 6. Tokens are kept as
(N, h, w, dim), an image of them. The PyTorch version is models/reference/vit.py; the keys of their state_dicts are the same.
Sources: A. Dosovitskiy et al., An Image is Worth 16x16 Words (2021); Z. Liu et al., Swin Transformer (2021), for windows.
"""

from __future__ import annotations

import argparse
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any

from minigrad import Generator, Tensor, nn, zeros
from minigrad.option import Option, count, number
from models.card import FOLDER, SMALL_IMAGES, Card
from models.vit_settings import check_settings


class Block(nn.Module):
    """x + D(attention(LN x)), then x + D(MLP(LN x)); D drops a sample's branch with probability drop_path."""

    def __init__(
        self,
        dim: int,
        attention: nn.WindowAttention,
        mlp_ratio: float,
        drop_path: float,
        dropout: float,
        generator: Generator | None,
    ) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden),
            nn.GELU(),
            nn.Dropout(dropout, generator=generator),
            nn.Linear(hidden, dim),
            nn.Dropout(dropout, generator=generator),
        )
        self.drop_path = nn.DropPath(drop_path, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (N, h, w, dim) to tokens of the same shape."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class SimpleViT(nn.Module):
    """Patches become tokens, positions are added, blocks mix them; layer norm, mean over all tokens, one linear layer.

    image_size: of the square images; patch_size: of the square patches, h = w = image_size / patch_size. window_size:
    tokens along a window's side in the blocks numbered in window_blocks (zeros are added where it does not divide h);
    all other blocks see the whole image. shift: every second one of the window blocks has its windows moved by half a
    window. relative_positions: a learned number for each offset of two tokens is added to the scores, in every block;
    absolute_positions: a learned vector for each place is added to the tokens. drop_path grows from 0 in the first block
    to its value in the last. dropout: of tokens with their positions, of what attention gives, and in the MLP. Masks are
    drawn from `generator`, from minigrad's default one if it is None.

    Linear weights and positions start in a truncated normal distribution of deviation .02, biases at 0, the convolution
    as in torch. ValueError for numbers that do not fit together.
    """

    def __init__(
        self,
        num_classes: int = 100,
        channels: int = 3,
        image_size: int = 128,
        patch_size: int = 16,
        dim: int = 192,
        depth: int = 4,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.1,
        window_size: int = 4,
        window_blocks: Sequence[int] = (0, 2),
        shift: bool = False,
        relative_positions: bool = False,
        absolute_positions: bool = True,
        dropout: float = 0.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        check_settings(
            image_size, patch_size, dim, depth, heads, mlp_ratio, drop_path, window_size, window_blocks, dropout
        )
        side = image_size // patch_size
        self.image_shape = (channels, image_size, image_size)
        self.patch_embed = nn.Conv2d(channels, dim, kernel_size=patch_size, stride=patch_size)
        self.register_parameter("pos_embed", None)
        if absolute_positions:
            self.pos_embed = nn.Parameter(zeros(1, side, side, dim))
        self.pos_drop = nn.Dropout(dropout, generator=generator)
        self.blocks = nn.ModuleList()
        windowed = sorted(set(window_blocks))
        for i in range(depth):
            size = window_size if i in windowed else side  # a window of the whole image: all tokens see each other
            moved = size // 2 if shift and i in windowed[1::2] else 0
            attention = nn.WindowAttention(
                dim,
                (size, size),
                (moved, moved),
                heads,
                qkv_bias,
                dropout=dropout,
                relative_positions=relative_positions,
                generator=generator,
            )
            rate = drop_path * i / max(depth - 1, 1)
            self.blocks.append(Block(dim, attention, mlp_ratio, rate, dropout, generator))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the linear layers and the positions anew."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.pos_embed is not None:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images x (N, C, image_size, image_size); ValueError for images of another shape."""
        if tuple(x.shape[1:]) != self.image_shape:
            raise ValueError(f"expected images (N, {', '.join(map(str, self.image_shape))}), but got {tuple(x.shape)}")
        x = self.patch_embed(x).permute(0, 2, 3, 1)  # (N, h, w, dim): as a convolution leaves it in memory
        if self.pos_embed is not None:
            x = x + self.pos_embed
        x = self.pos_drop(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean((1, 2)))


def blocks(text: str) -> list[int] | str:
    """An argparse type: the blocks of --window-blocks."""
    if text == "all":
        return text
    parts = [] if text == "none" else text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"block numbers such as 0,2, or none, or all are wanted, not {text!r}")
    return sorted({int(part) for part in parts})


OPTIONS = {
    "patch_size": Option("pixels a side of a patch; it divides the image size (16, small images: 4)", count),
    "dim": Option("features of a token (192)", count),
    "depth": Option("blocks (4)", count),
    "heads": Option("heads of the attention; they divide the features (4)", count),
    "mlp_ratio": Option("hidden features of the MLP, in --dim (4)", number(float, 0, above=True)),
    "qkv_bias": Option("no bias where queries, keys, values are made", default=True),
    "drop_path": Option("rate of the last block, rising from 0 (0.1)", number(float, 0, 1, below=True)),
    "dropout": Option("rate of dropout (0)", number(float, 0, 1, below=True)),
    "window_size": Option("tokens a side of a window (4)", count),
    "window_blocks": Option("the blocks that look at windows, from 0: 0,2 or none or all (0,2)", blocks),
    "shift": Option("every second windowed block shifts its windows by half", default=False),
    "relative_positions": Option("a learned bias for each offset of two tokens", default=False),
    "absolute_positions": Option("no learned positions", default=True),
}


def complete(settings: dict[str, Any], given: Container[str], image_size: int) -> dict[str, Any]:
    """Patches that suit the image size, and windows in those of their blocks that there are, where nothing else is given."""
    depth, windowed = settings["depth"], settings["window_blocks"]
    if "patch_size" not in given:
        settings["patch_size"] = 16 if image_size >= 64 else 4
    if "window_blocks" not in given:
        settings["window_blocks"] = [block for block in windowed if block < depth]
    elif windowed == "all":
        settings["window_blocks"] = list(range(depth))
    return settings


def idle(settings: dict[str, Any]) -> dict[str, str]:
    """Windows that no block has cannot be shifted; of one windowed block alone, none is a second one."""
    found, windowed = {}, len(settings["window_blocks"])
    if windowed < 2:
        found["shift"] = f"of the windowed blocks every second one shifts, and {windowed or 'none'} is windowed"
    if windowed == 0:
        found["window_size"] = "no block is windowed"
    return found


ADAMW: dict[str, Any] = {"optimizer": "adamw", "weight_decay": 0.05, "clip_grad": 1.0}

CARDS = {
    "vit": Card(
        "SimpleViT",
        "SimpleViT",
        parameters=1_959_076,
        layer="norm",
        head="head",
        small_images=replace(SMALL_IMAGES, **ADAMW, lr=1e-3),
        folder=replace(FOLDER, **ADAMW, epochs=90, lr=0.01),
        options=OPTIONS,
        complete=complete,
        idle=idle,
        notes="--patch-size is 16 for images of 64 pixels and more, 4 for smaller ones. --window-blocks are 0,2.",
        small={"image_size": 32, "patch_size": 4, "dim": 24, "heads": 3, "shift": True, "relative_positions": True},
        image_layers=("patch_embed",),
        lockstep=(16, 1),
    )
}
