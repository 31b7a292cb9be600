"""torch.hub and torch.utils.model_zoo: nothing is fetched from the network. Weights come from files."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlparse

HASH_REGEX = re.compile(r"-([a-f0-9]*)\\.")
__all__ = [
    "HASH_REGEX",
    "download_url_to_file",
    "get_dir",
    "load",
    "load_state_dict_from_url",
    "load_url",
    "tqdm",
    "urlparse",
]


def get_dir() -> str:
    """Where torch keeps what it fetched."""
    return os.path.join(_get_torch_home(), "hub")


def _get_torch_home() -> str:
    return os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "torch")))


def _refused(name: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        what = f" ({args[0]})" if args else ""
        raise NotImplementedError(
            f"{name}{what}: minigrad fetches nothing from the network; use minigrad.load on a file"
        )

    call.__name__ = name
    return call


load_state_dict_from_url, load_url, load = map(_refused, ("load_state_dict_from_url", "load_url", "load"))
download_url_to_file, tqdm = map(_refused, ("download_url_to_file", "tqdm"))
