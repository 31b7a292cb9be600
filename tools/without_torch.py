"""A plugin of pytest, for a Python that has no torch: `pytest -p tools.without_torch` skips what asks for it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest


def _asks_for_torch(call: pytest.CallInfo[Any] | None) -> bool:
    error = call.excinfo.value if call and call.excinfo else None
    while error and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__  # of pytest's own error, when a file of tests cannot be imported
    return error is not None and str(error.name).split(".")[0] in ("torch", "torchvision")


def _skip(report: Any, call: pytest.CallInfo[Any] | None) -> None:
    if _asks_for_torch(call):
        report.outcome, report.longrepr = "skipped", (str(report.fspath), 0, "Skipped: needs torch")


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    report = (yield).get_result()
    _skip(report, getattr(report, "call", None))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    _skip((yield).get_result(), call)
