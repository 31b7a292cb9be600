"""A plugin of pytest, for a Python that has no torch: `pytest -p tools.without_torch` skips what fails for want of it.

A test, or a file of tests, fails for want of torch if it fails and torch was looked for on the way, here or in a process of
its own that said so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from typing import Any

import pytest

SAID = re.compile(r"No module named 'torch|PyTorch is not installed|PyTorch, which is missing")


class _Finder:
    """Stands first in the places where Python looks for modules: finds none, and notes that torch was looked for."""

    asked = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        self.asked |= name.partition(".")[0] in ("torch", "torchvision")


_finder = _Finder()
sys.meta_path.insert(0, _finder)  # type: ignore[arg-type]


def _skip(report: Any) -> None:
    asked, _finder.asked = _finder.asked, False
    if report.failed and (asked or SAID.search("\n".join([report.longreprtext, report.capstdout, report.capstderr]))):
        report.outcome, report.longrepr = "skipped", (str(report.fspath), 0, "Skipped: needs torch")


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    _skip((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    _skip((yield).get_result())
