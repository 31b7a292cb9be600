"""Turns files of weights from torch's kind into safetensors and back, bit for bit: python -m minigrad.convert IN OUT

    python -m minigrad.convert resnet18.pth resnet18.safetensors
    python -m minigrad.convert runs/resnet18-.../best.safetensors resnet18.pth      the model's weights alone

The suffix of OUT says what is written: .safetensors, .pth, .pth.tar or .pt; IN is looked at, whatever its name. Keys, shapes
and dtypes stay, but for what torch.compile and DataParallel put before the keys: that is dropped, and said. The keys of a
safetensors file are in the file's order, which is not always the model's; loading does not care.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minigrad import program
from minigrad.errors import CheckpointError, OptionError
from minigrad.ops.creation import as_tensor
from minigrad.option import Parser
from minigrad.tensor import Tensor
from minigrad.weights import (
    STATE_DICT_NAMES,
    check_suffix,
    holds_torch,
    is_torch_file,
    load_weights,
    read_safetensors,
    read_tensors,
    save_weights,
)


def convert(source: str | Path, target: str | Path, force: bool = False) -> int:
    """Write the weights in the file `source`, or the best of a run folder, to the file `target`, whole or not at all;
    returns how many tensors.

    Of {"state_dict": ...} the inner part is taken, of a run's checkpoint the model's.

    OptionError for an unknown suffix, or if `target` is there already (unless `force`) or cannot be written;
    CheckpointError if `source` is missing, damaged, without a state_dict, or would execute code, or if `target` cannot
    hold one of the dtypes.
    """
    source, target = Path(source), check_suffix(target)
    if source.is_dir():
        source = source / "best.safetensors"  # of a run's folder
    if not source.exists():
        check_suffix(source)  # a slip of the pen, likely
    if target.exists() and not force:
        raise OptionError(f"{target} is there already: --force overwrites it")
    with_torch = find_spec("torch") is not None
    tensors: Any = _read(source, with_torch and (is_torch_file(target) or not _is_checkpoint(source)))
    if not tensors:
        raise CheckpointError(f"{source} holds no state_dict: there is no tensor in it")
    try:
        if is_torch_file(target) and not with_torch:
            from minigrad.utils.serialization import save

            save({key: as_tensor(value) for key, value in tensors.items()}, target)
        else:
            save_weights(target, tensors)
    except OSError as error:
        raise OptionError(f"{target} cannot be written ({error.strerror})") from error
    return len(tensors)


def _read(source: Path, by_torch: bool) -> Any:
    """The weights in a file: torch's tensors, which have types that NumPy has not, or arrays, or minigrad's tensors."""
    if by_torch:
        return read_tensors(source)
    if find_spec("torch") is not None or not holds_torch(source):
        return load_weights(source)
    from minigrad.utils.serialization import load

    content = load(source)
    inner = [
        content[name] for name in STATE_DICT_NAMES if isinstance(content, dict) and isinstance(content.get(name), dict)
    ]
    found = inner[0] if inner else content
    return found if isinstance(found, dict) and all(isinstance(value, Tensor) for value in found.values()) else {}


def _is_checkpoint(source: Path) -> bool:
    """Whether it is a run's checkpoint, whose types NumPy has, so that torch is not needed."""
    try:
        return not holds_torch(source) and "minigrad" in read_safetensors(source)[1]
    except CheckpointError:  # of a type that NumPy has not; what else is wrong read_tensors says
        return False


ABOUT = "Convert weights between torch's files (.pth, .pth.tar, .pt) and .safetensors, bit for bit."


def run(arguments: Sequence[str], name: str = "python -m minigrad.convert", about: str | None = ABOUT) -> int:
    """Convert as a command line says, and print how many tensors there were."""
    parser = Parser(prog=name, description=about)
    parser.add_argument("source", metavar="IN", help="weights, or a checkpoint of a run, whose model's part is taken")
    parser.add_argument("target", metavar="OUT", help="the file to write")
    parser.add_argument("--force", action="store_true", default=False, help="overwrite OUT if it is there")
    given = parser.parse_args(arguments)
    count = convert(given.source, given.target, given.force)
    print(f"{given.target}: {count} tensors")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 2, after one line, for what the user can put right."""
    return program.run(lambda: run(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
