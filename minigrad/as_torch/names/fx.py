"""torch.fx: nothing is traced symbolically here, so functions are what they are. All else refuses."""

from __future__ import annotations

from typing import Any


def wrap(fn_or_name: Any) -> Any:
    """The function, or the name, as it is."""
    return fn_or_name


class Proxy:
    """No value here is one."""
