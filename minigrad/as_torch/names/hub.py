"""torch.hub and torch.utils.model_zoo: nothing is fetched from the network. Weights come from files."""

from __future__ import annotations

from typing import Any


def _refused(name: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        what = f" ({args[0]})" if args else ""
        raise NotImplementedError(
            f"{name}{what}: minigrad fetches nothing from the network; use minigrad.load on a file"
        )

    call.__name__ = name
    return call


load_state_dict_from_url = _refused("load_state_dict_from_url")
load_url = _refused("load_url")
load = _refused("load")
download_url_to_file = _refused("download_url_to_file")
