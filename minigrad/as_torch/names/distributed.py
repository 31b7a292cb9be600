"""torch.distributed: minigrad's, and where no group was made rank 0 of 1."""

from __future__ import annotations

from typing import Any

import minigrad.distributed as dist


def get_rank(group: Any = None) -> int:
    return dist.get_rank(group) if dist.is_initialized() else 0


def get_world_size(group: Any = None) -> int:
    return dist.get_world_size(group) if dist.is_initialized() else 1


def barrier(*args: Any, **kwargs: Any) -> None:
    """Without a group there is nobody to wait for."""
    if dist.is_initialized():
        dist.barrier(*args, **kwargs)
