"""A plugin of pytest, for a Python that has no torch: `pytest -p tools.without_torch` skips what fails for want of it."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest

WANTED = re.compile(r"No module named 'torch|PyTorch, which is missing")
"""What Python, the scripts and `compare` say where there is no torch."""


def _skip(report: Any) -> None:
    if report.failed and WANTED.search("\n".join([report.longreprtext, report.capstdout, report.capstderr])):
        report.outcome, report.longrepr = "skipped", (str(report.fspath), 0, "Skipped: needs torch")


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    _skip((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    _skip((yield).get_result())
