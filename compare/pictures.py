"""--picture FILE.png: checked before anything is measured, written at the end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from compare.plots import need_matplotlib
from minigrad.errors import OptionError
from minigrad.weights import write_atomically


def check_picture(path: Path | None) -> None:
    """OptionError if no picture could be drawn and written there: no matplotlib, another ending, no such folder."""
    if path is None:
        return
    need_matplotlib("--picture")
    if path.suffix.lower() != ".png":
        raise OptionError(f"--picture {path}: a name that ends in .png is wanted")
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise OptionError(f"--picture {path}: no file can be written there")


def write_picture(path: Path, pictures: Mapping[str, bytes]) -> None:
    """Write a command's one picture."""
    (picture,) = pictures.values()
    write_atomically(path, picture)
    print(f"picture: {path}")
