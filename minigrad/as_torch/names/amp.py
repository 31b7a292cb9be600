"""torch.amp: automatic mixed precision. Types are left as they are, which is said once."""

from __future__ import annotations

import warnings
from typing import Any

from minigrad.grad_mode import Switch

_said = False


class autocast(Switch):
    """A context and a decorator that changes nothing: everything is computed in the types that it has."""

    def __init__(self, *device_type: Any, enabled: bool = True, **options: Any) -> None:
        global _said
        if enabled and not _said:
            _said = True
            warnings.warn("autocast has no effect: minigrad computes in the types that tensors have", stacklevel=2)

    def _on(self) -> Any:
        return None

    def _off(self, before: Any) -> None:
        pass


class GradScaler:
    """Leaves losses and gradients as they are: in float32 none of them underflows."""

    def __init__(self, *device: Any, enabled: bool = True, **options: Any) -> None:
        self._enabled = enabled

    def scale(self, outputs: Any) -> Any:
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        pass

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        pass

    def get_scale(self) -> float:
        return 1.0

    def is_enabled(self) -> bool:
        return False

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


def custom_fwd(fwd: Any = None, **options: Any) -> Any:
    """The function as it is."""
    return fwd if fwd is not None else (lambda f: f)


custom_bwd = custom_fwd
