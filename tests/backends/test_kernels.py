"""Both backends have the kernels that minigrad.backends.kernels lists, with its arguments, and the files have the same names."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from minigrad import backends
from minigrad.backends import cpu
from minigrad.backends.kernels import Kernels
from tests import emulator

KERNELS = {
    name: function for name, function in vars(Kernels).items() if inspect.isfunction(function) and name[0] != "_"
}
ONLY_CPU = {"columns", "depthwise", "threads", "windows", "winograd"}
ONLY_GPU = {"capture", "columns", "feeding", "launch"}


@pytest.fixture(scope="module", params=["cpu", "gpu"])
def backend(request: pytest.FixtureRequest) -> Any:
    return cpu if request.param == "cpu" else emulator.import_with(emulator.standin(), "minigrad.backends.gpu")


def arguments(function: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values() if p.name != "self"]


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_has_the_arguments_of_the_list(backend: Any, name: str) -> None:
    assert arguments(getattr(backend, name)) == arguments(KERNELS[name])


@pytest.mark.parametrize("name", KERNELS)
def test_arrays_go_by_position_and_settings_by_keyword(name: str) -> None:
    for parameter in list(inspect.signature(KERNELS[name]).parameters.values())[1:]:
        if name == "check_device":  # has no arrays
            continue
        array = any(kind in parameter.annotation for kind in ("Array", "ndarray", "Any", "Callable"))
        assert (parameter.kind is not parameter.KEYWORD_ONLY) == array, parameter
    assert KERNELS[name].__doc__


def test_the_files_have_the_same_names() -> None:
    folder = Path(backends.__file__).parent
    names = [{path.stem for path in (folder / side).glob("*.py")} for side in ("cpu", "gpu")]
    assert names[0] - ONLY_CPU == names[1] - ONLY_GPU
