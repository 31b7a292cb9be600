"""SimpleViT: a vision transformer, some of whose blocks look at windows only. (N, C, H, W) images in, (N, classes) logits out.

The PyTorch version of models/vit.py, where the arguments are described; the keys of their state_dicts are the same. It is
written with torch's own attention and layers, so that it is an independent witness; only masks may come from minigrad's
generator, in the same order and by the same calls, so that training can be compared too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigrad.random import Generator
from models.vit_settings import check_settings


def factors(shape: Sequence[int], p: float, like: Tensor, generator: Generator) -> Tensor:
    """Dropout's factors, 0 with probability p and else 1 / (1 - p), as minigrad draws them."""
    kept = torch.from_numpy(generator.uniform(0, 1, shape) >= p).to(like.device, like.dtype)
    return kept * (0.0 if p == 1 else 1 / (1 - p))


class Dropout(nn.Module):
    """torch's dropout, unless a generator of minigrad is given to draw the masks."""

    def __init__(self, p: float, generator: Generator | None) -> None:
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        if self.generator is None or not self.training or self.p == 0:
            return F.dropout(x, self.p, self.training)
        return x * factors(x.shape, self.p, x, self.generator)


class DropPath(Dropout):
    """Whole samples of x (N, ...) become 0 with probability p."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        shape = (len(x), *(1,) * (x.ndim - 1))
        if self.generator is None:
            return x * F.dropout(x.new_ones(shape), self.p)
        return x * factors(shape, self.p, x, self.generator)


class Attention(nn.Module):
    """Attention of heads among the tokens (N, h, w, dim) of each window, or of the whole image (window None)."""

    relative_position_index: Tensor
    apart: Tensor

    def __init__(
        self,
        dim: int,
        side: int,
        window: int | None,
        shift: int,
        heads: int,
        qkv_bias: bool,
        relative_positions: bool,
        dropout: float,
        generator: Generator | None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.relative_positions = relative_positions
        padded = side if window is None else -(-side // window) * window
        self.shift = shift if window is not None and window < padded else 0
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.drop = Dropout(dropout, generator)
        size = side if window is None else window
        if relative_positions:
            self.relative_position_bias_table = nn.Parameter(torch.empty((2 * size - 1) ** 2, heads))
            nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
            place = torch.cartesian_prod(torch.arange(size), torch.arange(size))  # (tokens, 2)
            offset = place[:, None] - place + size - 1
            self.register_buffer(
                "relative_position_index", (offset[..., 0] * (2 * size - 1) + offset[..., 1]).flatten()
            )
        if self.shift:
            # In which stretch of the unshifted image each token lies, numbered along one axis, then along both.
            stretch = torch.zeros(padded, dtype=torch.long)
            stretch[padded - size :] = 1
            stretch[padded - self.shift :] = 2
            region = self._cut((3 * stretch[:, None] + stretch)[None, :, :, None]).squeeze(-1)  # (windows, tokens)
            apart = region[:, :, None] != region[:, None]
            self.register_buffer("apart", torch.zeros(apart.shape).masked_fill(apart, -100.0), persistent=False)

    def _cut(self, x: Tensor) -> Tensor:
        """(N, h, w, C) as windows (N windows, tokens, C)."""
        if self.window is None:
            return x.flatten(1, 2)
        x = x.unfold(1, self.window, self.window).unfold(2, self.window, self.window)  # (N, rows, columns, C, i, j)
        return x.flatten(0, 2).flatten(2).transpose(1, 2)

    def _mask(self, images: int) -> Tensor | None:
        """What is added to the scores, for all the windows of so many images."""
        mask = None
        if self.relative_positions:
            tokens = round(len(self.relative_position_index) ** 0.5)
            bias = self.relative_position_bias_table[self.relative_position_index]
            mask = bias.unflatten(0, (tokens, tokens)).permute(2, 0, 1)[None]
        if self.shift:
            apart = self.apart.repeat(images, 1, 1)[:, None]
            mask = apart if mask is None else mask + apart
        return mask

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, dim = x.shape
        size = self.window or 1
        padded = F.pad(x, (0, 0, 0, -w % size, 0, -h % size))
        rows, columns = padded.shape[1] // size, padded.shape[2] // size
        cut = self._cut(padded.roll((-self.shift, -self.shift), (1, 2)))
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(cut).chunk(3, dim=-1))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=self._mask(n)).transpose(1, 2).flatten(2)
        y = self.drop(self.proj(seen))
        if self.window is None:
            return y.unflatten(1, (h, w))
        y = y.unflatten(1, (size, size)).unflatten(0, (n, rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return y.roll((self.shift, self.shift), (1, 2))[:, :h, :w]


class Block(nn.Module):
    """x + D(attention(LN x)), then x + D(MLP(LN x)); D drops a sample's branch with probability drop_path."""

    def __init__(
        self,
        dim: int,
        attention: Attention,
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
            Dropout(dropout, generator),
            nn.Linear(hidden, dim),
            Dropout(dropout, generator),
        )
        self.drop_path = DropPath(drop_path, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (N, h, w, dim) to tokens of the same shape."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class SimpleViT(nn.Module):
    """Patches become tokens, positions are added, blocks mix them; layer norm, mean over all tokens, one linear layer."""

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
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, dim)) if absolute_positions else None
        self.pos_drop = Dropout(dropout, generator)
        self.blocks = nn.ModuleList()
        windowed = sorted(set(window_blocks))
        for i in range(depth):
            window = window_size if i in windowed else None
            moved = window_size // 2 if shift and i in windowed[1::2] else 0
            attention = Attention(dim, side, window, moved, heads, qkv_bias, relative_positions, dropout, generator)
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
        x = self.patch_embed(x).permute(0, 2, 3, 1)
        if self.pos_embed is not None:
            x = x + self.pos_embed
        x = self.pos_drop(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean((1, 2)))
