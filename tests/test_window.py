"""Window's arithmetic against counting: how many windows fit, which pixels each offset sees, and what lies around the image."""

from __future__ import annotations

import itertools

import pytest

from minigrad.window import Window

WINDOWS = [
    Window((k, 1), (s, 1), (p, 0), (d, 1), ceil_mode=ceil)
    for k, s, p, d, ceil in itertools.product((1, 2, 3), (1, 2, 3, 5), (0, 1, 2), (1, 2, 3), (False, True))
    if not (ceil and p > k // 2)  # pools refuse those
]


def starts(window: Window, height: int) -> list[int]:
    """The first rows of the windows of an image of `height` rows, counted one by one."""
    (extent, _), (s, _), (p, _) = window.extent, window.stride, window.padding
    found = [r for r in range(-p, height + p, s) if r + extent <= height + p]
    following = found[-1] + s if found else -p
    # ceil_mode: one more, which reaches beyond the end, if rows are left over and it starts before the padding behind.
    left_over = bool(found) and found[-1] + extent < height + p
    return [*found, following] if window.ceil_mode and left_over and following < height else found


@pytest.mark.parametrize("height", [3, 4, 7, 8])
def test_windows_are_counted(height: int) -> None:
    for window in WINDOWS:
        rows = starts(window, height)
        if not rows:
            assert window.ceil_mode or window.output_size((height, 1))[0] < 1, window
            continue
        assert window.output_size((height, 1)) == (len(rows), 1), window
        (above, below), sides = window.border((height, 1))
        assert (above, below) == (-rows[0], max(0, rows[-1] + window.extent[0] - height)) and sides == (0, 0), window
        assert window.output_size(window.input_size((len(rows), 1))) == (len(rows), 1), window
        for k in range(window.kernel[0]):
            pixels, outputs = window.offset(0, k, height, len(rows))
            seen = [(r + k * window.dilation[0], i) for i, r in enumerate(rows)]
            inside = [(pixel, i) for pixel, i in seen if 0 <= pixel < height]
            assert list(zip(range(height)[pixels], range(len(rows))[outputs], strict=True)) == inside, window


def test_a_window_is_a_value() -> None:
    one, same = Window((3, 3), padding=(1, 1)), Window((3, 3), (1, 1), (1, 1), (1, 1), 1, False)
    assert one == same and len({one, same, Window((3, 3))}) == 2
    assert Window((1, 1), groups=2).pointwise and not Window((1, 1), (2, 1)).pointwise
    with pytest.raises(AttributeError):
        one.stride = (2, 2)  # type: ignore[misc]
