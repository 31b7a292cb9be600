"""For functions that are made of functions of nn.functional, as torch's of the same names are.

They look those up at each call, where a user may have put another in the place of one: `functional.linear(x, w)`. Ops know
no room above them: nn.functional tells where it is.
"""

from __future__ import annotations

from typing import Any


class Late:
    """Another room's functions, as they are when they are asked for."""

    room: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.room, name)


functional = Late()


def given(**keywords: Any) -> dict[str, Any]:
    """Those that are not None. minigrad's own ones stay away from functions that were written to torch's signature."""
    return {name: value for name, value in keywords.items() if value is not None}
