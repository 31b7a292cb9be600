"""The base of all learning-rate schedules: what `step()` does, and their state_dict."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from minigrad.arguments import plain
from minigrad.optim.optimizer import Optimizer

Value = TypeVar("Value")

EPOCH_DEPRECATED = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler."
)


class LRScheduler:
    """Base class: subclasses write `get_lr()`, the rates (one a group) at step `last_epoch`.

    Making a scheduler notes each group's rate as its "initial_lr" and takes step 0. With last_epoch other than -1 the
    groups must have an "initial_lr" (KeyError otherwise): that is how a schedule is taken up again in mid-run without
    a state_dict.
    """

    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0: load the optimizer's state first, or start with last_epoch=-1"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        if optimizer._stepped is None:
            optimizer._stepped = False
        self._initial_step()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, plain(value))  # NumPy's numbers would go on into rates and state_dict()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        self.step()
        del self._is_initial  # the class says False again, and the state_dict holds no passing state

    def get_lr(self) -> list[float]:
        """The groups' rates at step `last_epoch`, from the present ones; called by `step()`. See `get_last_lr()`."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Go one step on and set the optimizer's learning rates. `epoch`: the step to go to (deprecated, as in torch).

        The first call warns if the optimizer has made no step yet: the schedule's first rate would never be used.
        """
        if self._step_count == 1 and self.optimizer._stepped is False:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. You should call them in the opposite "
                "order: `optimizer.step()` before `lr_scheduler.step()`. Failure to do this will result in skipping the "
                "first value of the learning rate schedule.",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATED, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = self._get_closed_form_lr() or self.get_lr()
        self._set(rates)

    def _get_closed_form_lr(self) -> list[float] | None:
        """The rates at `last_epoch` computed from `base_lrs` alone, where the schedule has such a formula."""
        return None

    def _set(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = plain(rate)
        self._last_lr = self._present()

    def _present(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The groups' rates that this scheduler set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, by name: numbers, and lists and dictionaries of them, that JSON can hold."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state_dict(). The optimizer's rates are part of the optimizer's own state."""
        self.__dict__.update(state_dict)


def checked(optimizer: Any) -> Optimizer:
    """The optimizer; TypeError if it is none."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def for_each_group(name: str, optimizer: Optimizer, value: Value | list[Value] | tuple[Value, ...]) -> list[Value]:
    """One value for all groups, or a list of one a group (ValueError if it is not as long)."""
    groups, value = len(optimizer.param_groups), plain(value)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {groups}."
        )
    return list(value)


def attributes_of(function: Callable[..., Any] | None) -> dict[str, Any] | None:
    """What a state_dict holds of a function that the user gave: a callable object's attributes, None of a function."""
    return None if function is None or isinstance(function, type(lambda: None)) else dict(vars(function))
