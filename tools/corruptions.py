"""Draws docs/pictures/corruptions.png: an image under each of the 15 corruptions, at 5 strengths.

python tools/corruptions.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from minigrad.data import open_dataset
from minigrad.data.corruptions import KINDS, STRENGTHS, corrupt

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "corruptions.png"
SIDE, GAP, LEFT = 56, 4, 120  # pixels


def main() -> int:
    """Draw it."""
    image = open_dataset(None, "val").load(0, None)[None]
    step = SIDE + GAP
    page = Image.new("L", (LEFT + (len(STRENGTHS) + 1) * step, len(KINDS) * step), 255)
    draw = ImageDraw.Draw(page)
    for row, kind in enumerate(KINDS):
        draw.text((4, row * step + SIDE // 2 - 6), kind.replace("_", " "), fill=0)
        for column, strength in enumerate((0, *STRENGTHS)):
            made = corrupt(image, kind, strength) if strength else image
            drawn = Image.fromarray(made[0, ..., 0]).resize((SIDE, SIDE), Image.Resampling.NEAREST)
            page.paste(drawn, (LEFT + column * step, row * step))
    page.quantize(32).save(PICTURE, optimize=True)
    print(f"wrote {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
