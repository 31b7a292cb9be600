"""Make minigrad/data/embedded/simplenet_bn.safetensors: SimpleNet-BN trained on the embedded images, by its recipe.

    python tools/make_trained_weights.py                 about three minutes on two cores
    python tools/make_trained_weights.py --run runs/...  from a run that is there

The file is the last checkpoint of `train_minigrad.py --model simplenet-bn --seed 2024` without the optimizer: the state after
the last epoch, not the best on the validation images. Commands that are given no --weights use it.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from minigrad.commands.network import EMBEDDED_WEIGHTS  # noqa: E402
from minigrad.training.checkpoints import load_checkpoint, save_checkpoint  # noqa: E402

RECIPE = ("--model", "simplenet-bn", "--seed", "2024", "--device", "cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the network that comes with minigrad.")
    parser.add_argument("--run", type=Path, help="a finished run of that recipe (a new one is made)")
    parser.add_argument("--output", type=Path, default=EMBEDDED_WEIGHTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or Path(folder) / "run"
        if options.run is None:
            subprocess.run([sys.executable, ROOT / "train_minigrad.py", *RECIPE, "--out", run], cwd=ROOT, check=True)
        arrays, state = load_checkpoint(run / "last.safetensors")
    state["options"] |= {"out": None, "resume": None}
    save_checkpoint(options.output, {key: a for key, a in arrays.items() if key.startswith("model.")}, state)
    options.output.with_suffix(".json").unlink()  # for people, who find it in a run folder
    last = state["metrics"][-1]
    print(f"{options.output}: {options.output.stat().st_size} bytes; validation top-1 {last['val_top1']:.2f} %")


if __name__ == "__main__":
    main()
