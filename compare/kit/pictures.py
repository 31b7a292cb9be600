"""--picture FILE.png: checked before anything is measured, written at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from compare.kit.plots import need_matplotlib
from compare.kit.result import check_writable
from minigrad.errors import OptionError
from minigrad.files import write_atomically


def check_picture(path: Path | None) -> None:
    """OptionError if no picture could be drawn and written there: no matplotlib, another ending, no such folder."""
    if path is None:
        return
    need_matplotlib("--picture")
    if path.suffix.lower() != ".png":
        raise OptionError(f"--picture {path}: a name that ends in .png is wanted")
    check_writable(path, "--picture")


def write_picture(path: Path, pictures: Mapping[str, bytes]) -> None:
    """Write a command's one picture."""
    (picture,) = pictures.values()
    write_atomically(path, picture)
    print(f"picture: {path}")
