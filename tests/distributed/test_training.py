"""Both training scripts on several ranks: the run of one, one line for what goes wrong, and what is left of it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad.training import load_checkpoint
from tests.distributed.ranks import ROOT, needs_mpi, run

DOUBLE = """
import sys
import numpy as np
import {script} as script
from minigrad.training import Data, folder, main

folder.draw_curves = lambda *args: None  # which takes longer than the training
create, inputs = script.create, Data.inputs
script.create = lambda *args, **settings: create(*args, **settings).double()
Data.inputs = lambda self, images: inputs(self, images).astype(np.float64)
sys.exit(main(script.train, list(script.MODELS)))
"""
SMALL = "--limit-train 72 --limit-val 23 --batch-size 7 --epochs 2 --image-size 12 --workers 0 --no-check-files".split()
RUNS = {
    "batch norm, clipping, mixup": "--model simplenet-bn --clip-grad 0.5 --mixup 0.4",
    "masks, attacks": (
        "--model vit --depth 1 --dim 32 --dropout 0.2 --drop-path 0.2 --optimizer adamw --adversarial 0.5 --attack-steps 2 "
        "--random-start"
    ),
}


@needs_mpi
@pytest.mark.parametrize(
    ("script", "what"),
    [
        *(("train_minigrad", what) for what in RUNS),
        *(pytest.param("train_torch", what, marks=pytest.mark.slow) for what in RUNS),
    ],
)
def test_two_ranks_give_the_run_of_one(script: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "double.py"
    file.write_text(DOUBLE.format(script=script))
    ends = []
    for ranks in (1, 2):
        out = tmp_path / str(ranks)
        done = run(ranks, str(file), *SMALL, *RUNS[what].split(), "--out", str(out))
        assert done.returncode == 0, done.stderr
        ends.append(load_checkpoint(out / "last.safetensors"))
        assert json.loads((out / "config.json").read_text())["ranks"] == ranks
    (one, state), (two, other) = ends
    assert one.keys() == two.keys() and state["epoch"] == 2
    assert all(np.abs(one[key].astype(float) - two[key]).max() < 1e-12 for key in one)
    for row, beside in zip(state["metrics"], other["metrics"], strict=True):
        assert all(
            row[key] == pytest.approx(beside[key], abs=1e-12) for key in row if key.endswith(("loss", "top1", "top5"))
        )


QUICK = [*SMALL, *"--model vit --depth 1 --dim 32".split()]


@needs_mpi
def test_a_run_goes_on_with_another_number_of_ranks(tmp_path: Path) -> None:
    script, out = str(ROOT / "train_minigrad.py"), tmp_path / "run"
    done = run(2, script, *QUICK, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2/2") == 1  # rank 0 alone speaks
    whole = load_checkpoint(out / "last.safetensors")
    # Back to the end of the first epoch, as the best checkpoint has it, and on with one rank.
    shutil.copy(out / "best.safetensors", out / "last.safetensors")
    if load_checkpoint(out / "last.safetensors")[1]["epoch"] == 2:
        pytest.skip("the second epoch was the best")
    done = run(1, script, "--resume", str(out))
    assert done.returncode == 0, done.stderr
    arrays, state = load_checkpoint(out / "last.safetensors")
    assert state["epoch"] == 2
    assert max(float(np.abs(arrays[key] - whole[0][key]).max()) for key in arrays if key.startswith("model.")) < 1e-4
    measured = run(2, script, "--resume", str(out), "--evaluate")
    assert measured.returncode == 0 and measured.stdout.count("vit on") == 1
    by_two = (out / "predictions.csv").read_text()
    assert by_two.count("\n") == 24
    assert run(1, script, "--resume", str(out), "--evaluate").returncode == 0
    one, two = (
        [line.split(",") for line in text.splitlines()] for text in ((out / "predictions.csv").read_text(), by_two)
    )
    for alone, together in zip(one[1:], two[1:], strict=True):
        assert alone[:3] == together[:3] and np.allclose(np.float64(alone[3:5]), np.float64(together[3:5]), atol=2e-6)


def one_line(text: str) -> str:
    """The only line of an error."""
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, text
    return lines[0]


@needs_mpi
@pytest.mark.parametrize("script", ["train_minigrad.py", "train_torch.py"])
def test_what_all_ranks_cannot_do_is_one_line(script: str, tmp_path: Path) -> None:
    done = run(2, str(ROOT / script), *QUICK[:-4], "--batch-size", "1", "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert one_line(done.stderr).startswith("error: --batch-size 1 is less than the 2 ranks")
    assert not (tmp_path / "run").exists()


@needs_mpi
def test_ranks_that_disagree_are_found_at_the_start(tmp_path: Path) -> None:
    out = tmp_path / "run"
    common = [*QUICK, "--out", str(out)]
    mpmd = [str(ROOT / "train_minigrad.py"), *common, ":", "-n", "1"]
    done = run(1, *mpmd, sys.executable, str(ROOT / "train_minigrad.py"), *common, "--lr", "0.5")
    assert done.returncode == 2 and not out.exists()
    assert "--lr 0.5 on rank 1" in one_line(done.stderr)

    other = tmp_path / "other.py"  # on rank 1 an image is another, or a weight
    other.write_text(OTHER)
    for what, message in (("labels", "the ranks have other data: checksum"), ("weights", "head.weight")):
        done = run(2, str(other), what, *common)
        assert done.returncode == 2, done.stderr
        assert message in one_line(done.stderr)


OTHER = """
import sys
import minigrad.training.run as run_module
import train_minigrad as script
from minigrad.training import current, main

WHAT = sys.argv.pop(1)
opened, create = run_module.open_dataset, script.create
def changed(*args, **settings):
    images = opened(*args, **settings)
    if WHAT == "labels" and current().rank == 1:
        images.labels = images.labels[::-1].copy()
    return images
def model(*args, **settings):
    made = create(*args, **settings)
    if WHAT == "weights" and current().rank == 1:
        made.head.weight.data.zero_()
    return made
run_module.open_dataset, script.create = changed, model
sys.exit(main(script.train, list(script.MODELS)))
"""
