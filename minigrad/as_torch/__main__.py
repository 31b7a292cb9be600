"""python -m minigrad.as_torch script.py ARGUMENTS: runs a script that was written for PyTorch on minigrad."""

from __future__ import annotations

import sys
from pathlib import Path

from minigrad.as_torch.loading import AsTorch


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print("usage: python -m minigrad.as_torch script.py [ARGUMENTS]", file=sys.stderr)
        return 2
    script = Path(sys.argv[1])
    if not script.is_file():
        print(f"as_torch: {script} is no file", file=sys.stderr)
        return 2
    sys.argv = sys.argv[1:]
    sys.path[0] = str(script.resolve().parent)
    with AsTorch() as world:
        world.run(script)
    return 0


if __name__ == "__main__":
    sys.exit(main())
