"""Where an array lives: "cpu", or "gpu", "gpu:1" ("cuda" is torch's name of it)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minigrad import backends
from minigrad.errors import DeviceError


class Device:
    """A device's type, as torch calls it ("cpu" or "cuda"), and number. Compares equal to its name.

    Device("cpu"), Device("gpu:1"), Device("cuda", 1), Device(1): the last three are one GPU.
    """

    __slots__ = ("index", "type")

    def __init__(self, type: str | int | Device, index: int | None = None) -> None:
        if isinstance(type, Device):
            self.type: str = type.type
            self.index: int | None = type.index if index is None else index
            return
        if isinstance(type, int) and not isinstance(type, bool):
            type = f"gpu:{type}"
        match = re.fullmatch(r"(cpu|gpu|cuda)(?::(\d+))?", str(type))
        if not match:
            raise DeviceError(f"unknown device {type!r}: use 'cpu', 'gpu' or 'gpu:N'")
        self.type = "cpu" if match[1] == "cpu" else "cuda"
        number = int(match[2]) if match[2] else index
        self.index = None if self.type == "cpu" else (number or 0)

    @property
    def backend(self) -> str:
        """The backend that computes there: "cpu" or "gpu"."""
        return "cpu" if self.type == "cpu" else "gpu"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            try:
                other = Device(other)
            except DeviceError:
                return False
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return "cpu" if self.type == "cpu" else f"gpu:{self.index}"

    def __repr__(self) -> str:
        return f"device({str(self)!r})"


CPU = Device("cpu")


def get_device(name: str | int | Device | None = None) -> Device:
    """The device of that name, made sure to be there; "auto" is a GPU if there is one, else the CPU.

    Raises DeviceError, in one line, for an unknown name or a GPU that this machine does not have.
    """
    if name is None:
        return CPU
    if name == "auto":
        return Device("gpu") if is_gpu_available() else CPU
    device = Device(name)
    if device.type == "cuda":
        count = backends.get("gpu").device_count()  # raises DeviceError where there is none
        if device.index >= count:  # type: ignore[operator]
            raise DeviceError(
                f"device {device} was asked for, but this machine has {count} GPU(s): gpu:0 to gpu:{count - 1}"
            )
        backends.get("gpu").check_device(device.index or 0)
    return device


def is_gpu_available() -> bool:
    """Whether CuPy is installed and finds a GPU."""
    try:
        return backends.get("gpu").device_count() > 0
    except DeviceError:
        return False


def device_of(array: Any) -> Device:
    """The device that holds an array."""
    return CPU if backends.of(array) is backends.get("cpu") else Device("gpu", array.device.id)


def to_host(array: Any) -> np.ndarray:
    """The array as NumPy's: a copy of a GPU's, which is waited for, and an error if its kernels met a bad index."""
    return backends.of(array).to_host(array)


def to_device(array: Any, device: Device) -> Any:
    """The array on that device; itself if it is there already."""
    here = device_of(array)
    if here == device:
        return array
    host = to_host(array)
    return host if device.type == "cpu" else backends.get("gpu").from_host(host, index=device.index or 0)
