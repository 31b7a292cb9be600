"""With which Python, and with which versions of the libraries, does the suite pass? An environment a row, one table.

    python tools/versions.py [--python PYTHON]... [--lowest] [--as-it-is] [pytest's arguments]

Each PYTHON (a command or a path) gets an environment of its own, with this project and the newest of all that pip finds for
it; with --lowest, with the lowest versions that pyproject.toml allows instead. By default PYTHON is each `pythonX.Y` in the
PATH or under ~/.pyenv, and the first of them runs with the lowest versions too. --as-it-is: PYTHON is an environment already,
and nothing is installed. The suite then runs in it as `make test` runs it. Where pip finds no torch, the tests that need it
are skipped, and counted so.

The rows are written into the table of docs/versions.md, each in the place of the row with the same Python and libraries. The
exit code is 1 if a test failed. An environment with torch takes about 6 GB of TMPDIR, and is deleted after its row.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "versions.md"
LIBRARIES = "numpy scipy pillow matplotlib safetensors tensorboardX tqdm torch torchvision hypothesis pytest".split()
COLUMNS = ["Python", "libraries", *LIBRARIES, "glibc", "passed", "failed", "skipped", "date"]
LOOK = f"""
import json, platform
from importlib import metadata
def version(name):
    try: return metadata.version(name)
    except metadata.PackageNotFoundError: return "none"
print(json.dumps([platform.python_version(), *map(version, {LIBRARIES}), platform.libc_ver()[1]]))
"""


def pythons() -> list[str]:
    """One executable a minor version that pyproject.toml allows, oldest first."""
    first, end = map(
        int, re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text())[0]
    )
    found = []
    for minor in range(first, end):
        of_pyenv = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3.{minor}"))
        if python := shutil.which(f"python3.{minor}") or of_pyenv[-1:]:
            found.append(str(python[0] if isinstance(python, list) else python))
    return found


def lowest() -> list[str]:
    """What pyproject.toml asks for, `name>=X` as `name==X`; without CuPy, which the suite has a stand-in for."""
    asked = re.findall(r'"([\w-]+)>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    return [f"{name}=={version}" for name, version in asked if name != "setuptools" and not name.startswith("cupy")]


def install(python: str, folder: Path, pins: list[str]) -> str:
    """The Python of a new environment with the project in it, and torch if there is one for this Python."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    new = str(folder / "bin" / "python")
    pip = [new, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--editable"]
    if subprocess.run([*pip, ".[reference,dev]", *pins], cwd=ROOT).returncode:
        print("without torch then", file=sys.stderr)
        pins = [pin for pin in pins if not pin.startswith("torch")]
        subprocess.run([*pip, ".[dev]", *pins], cwd=ROOT, check=True)
    return new


def test(python: str, libraries: str, arguments: list[str]) -> dict[str, str]:
    """A row: what is installed for `python`, and how the suite ends with it."""
    found = json.loads(subprocess.run([python, "-c", LOOK], check=True, capture_output=True, text=True).stdout)
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [python, "-m", "pytest", "-n", "2", "-q", "-m", "not slow", f"--junitxml={report.name}", *arguments]
        command += ["--ignore", "tests/test_versions.py"]  # it reads the table that this makes
        if found[1 + LIBRARIES.index("torch")] == "none":
            command += ["-p", "tools.without_torch", "--continue-on-collection-errors"]
        subprocess.run(command, cwd=ROOT)
        suite = ElementTree.parse(report.name).getroot()[0]
    tests, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    counts = [str(tests - failed - skipped), str(failed), str(skipped)]
    return dict(zip(COLUMNS, [found[0], libraries, *found[1:], *counts, date.today().isoformat()], strict=True))


def write(row: dict[str, str]) -> None:
    """Puts the row into the page's table, in the order of the Pythons."""

    def name(cells: list[str]) -> tuple[int, str]:
        return int(cells[0].split(".")[1]), cells[1]

    head, tail = re.split(r"(?<=<!-- table -->\n).*(?=<!-- end of table -->)", PAGE.read_text(), flags=re.S)
    new = list(row.values())
    old = [re.findall(r"[^| ]+", line) for line in PAGE.read_text().splitlines() if line.startswith("| 3.")]
    rows = sorted([cells for cells in old if name(cells) != name(new)] + [new], key=name)
    lines = ["| " + " | ".join(cells) + " |" for cells in [COLUMNS, ["---"] * len(COLUMNS), *rows]]
    PAGE.write_text("\n".join([head, *lines, "", tail]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append")
    parser.add_argument("--lowest", action="store_true")
    parser.add_argument("--as-it-is", action="store_true")
    options, arguments = parser.parse_known_args()
    rows = [(python, options.lowest) for python in options.python or pythons()]
    if not options.python and not options.lowest:
        rows.append((rows[0][0], True))
    failed = False
    for python, low in rows:
        with tempfile.TemporaryDirectory() as folder:
            if not options.as_it_is:
                python = install(python, Path(folder), lowest() if low else [])
            row = test(python, "lowest" if low else "newest", arguments)
        write(row)
        print(", ".join(f"{column} {cell}" for column, cell in row.items()), flush=True)
        failed |= row["failed"] != "0"
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
