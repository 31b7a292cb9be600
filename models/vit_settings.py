"""What SimpleViT refuses in both frameworks."""

from __future__ import annotations

from collections.abc import Sequence


def check_settings(
    image_size: int,
    patch_size: int,
    dim: int,
    depth: int,
    heads: int,
    mlp_ratio: float,
    drop_path: float,
    window_size: int,
    window_blocks: Sequence[int],
    dropout: float,
) -> None:
    """ValueError, in one line, for settings of SimpleViT that do not fit together."""
    positive = {
        "image_size": image_size,
        "patch_size": patch_size,
        "dim": dim,
        "depth": depth,
        "heads": heads,
        "mlp_ratio": mlp_ratio,
        "window_size": window_size,
    }
    for name, value in positive.items():
        if not value > 0:
            raise ValueError(f"{name} has to be positive, but is {value}")
    if int(dim * mlp_ratio) < 1:
        raise ValueError(f"mlp_ratio has to leave the MLP a hidden number, but is {mlp_ratio} for a dim of {dim}")
    for name, value in {"drop_path": drop_path, "dropout": dropout}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} has to be between 0 and 1, but is {value}")
    if image_size % patch_size:
        raise ValueError(f"patch_size has to divide image_size, but is {patch_size} for images of {image_size}")
    if dim % heads:
        raise ValueError(f"heads has to divide dim, but is {heads} for a dim of {dim}")
    if outside := [i for i in window_blocks if not 0 <= i < depth]:
        raise ValueError(f"window_blocks has to be among the blocks 0 to {depth - 1}, but names {outside}")
    most = 4 * (image_size // patch_size)
    if window_blocks and window_size > most:  # the rest of a window is zeros, and costs time and memory
        raise ValueError(
            f"window_size has to be at most {most}, four times an image's patches a side, but is {window_size}"
        )
