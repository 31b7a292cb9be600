"""--watch in both scripts: a picture and events in the run folder, and the same weights as without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minigrad.training.checkpoints import load_checkpoint

TINY = "--limit-train 60 --limit-val 20 --batch-size 20 --epochs 2 --warmup 1 --print-freq 1 --device cpu".split()


def test_watch_leaves_a_picture_and_changes_nothing(call: Callable[..., int], tmp_path: Path) -> None:
    assert call(*TINY, "--out", str(tmp_path / "plain")) == 0
    assert call(*TINY, "--watch", "1", "--out", str(tmp_path / "watched")) == 0
    assert (tmp_path / "watched" / "watch.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "watched").glob("watch.out.tfevents*"))) == 1
    plain, watched = (load_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("plain", "watched"))
    for key, array in plain.items():
        if key.startswith("model."):
            np.testing.assert_array_equal(watched[key], array, key)


def test_watch_belongs_to_training(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--evaluate", "--resume", str(tmp_path), "--watch") == 2
    assert "--watch belongs to training" in capsys.readouterr().err
