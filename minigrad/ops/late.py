"""Functions of nn.functional, looked up at each call: for those that torch makes of others, as its own are.

They look those up at each call, where a user may have put another in the place of one: `functional.linear(x, w)`. Ops know
no package above them: nn.functional registers itself.
"""

from __future__ import annotations

from typing import Any


class Late:
    """Another package's functions, as they are when they are asked for."""

    module: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


functional = Late()


def given(**keywords: Any) -> dict[str, Any]:
    """Those that are not None. minigrad's own ones stay away from functions that were written to torch's signature."""
    return {name: value for name, value in keywords.items() if value is not None}
