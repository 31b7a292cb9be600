"""What torch.utils has beyond minigrad.utils."""

from __future__ import annotations

from typing import Any


class _Tree:
    """torch.utils._pytree: nested tuples, lists and dicts."""

    @classmethod
    def tree_map(cls, f: Any, tree: Any) -> Any:
        if isinstance(tree, dict):
            return type(tree)((k, cls.tree_map(f, v)) for k, v in tree.items())
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            return type(tree)(*[cls.tree_map(f, v) for v in tree])
        if isinstance(tree, (list, tuple)):
            return type(tree)(cls.tree_map(f, v) for v in tree)
        return f(tree)

    @classmethod
    def tree_flatten(cls, tree: Any) -> tuple[list[Any], Any]:
        leaves: list[Any] = []
        cls.tree_map(leaves.append, tree)
        return leaves, tree

    @classmethod
    def tree_unflatten(cls, leaves: Any, spec: Any) -> Any:
        rest = iter(leaves)
        return cls.tree_map(lambda _: next(rest), spec)


_pytree = _Tree
