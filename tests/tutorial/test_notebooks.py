"""The tutorial's pages as notebooks, run by Jupyter: in one kernel, emptied before each. Skipped without the dev extra."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools import tutorial

pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")
manager = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = str(tmp_path_factory.mktemp("notebooks"))
    environment = {**os.environ, "PYTHONPATH": str(tutorial.ROOT)}
    started = manager.KernelManager(kernel_name="python3")
    started.start_kernel(cwd=folder, env=environment)
    yield started
    started.shutdown_kernel(now=True)


@pytest.mark.parametrize("page", tutorial.pages(), ids=lambda page: page.stem)
def test_the_notebook_runs_and_prints_what_the_page_shows(page: Path, kernel: Any) -> None:
    notebook = tutorial.notebook(page)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = tutorial.blocks(page.read_text())
    assert [cell.source.strip() for cell in cells] == [block.code.strip() for block in shown]
    cells[0].source = "%reset -f\n" + cells[0].source
    nbclient.NotebookClient(notebook, km=kernel, timeout=120).execute(reset_kc=True)
    for cell, block in zip(cells, shown, strict=True):
        streams = [output.text for output in cell.outputs if output.get("name") == "stdout"]
        assert block.agrees("".join(streams)), f"{page.name}, line {block.line}"
