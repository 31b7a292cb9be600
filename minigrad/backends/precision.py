"""How precise products of float32 numbers are on a GPU, by torch's names and defaults.

    minigrad.backends.cudnn.allow_tf32          convolutions may round their operands to TF32, 10 bits: True
    minigrad.backends.cuda.matmul.allow_tf32    so may matrix products: False

Where they may not, the tensor cores multiply both halves of each number, and the result is as precise as float32's.
"""

from __future__ import annotations


class Switch:
    """One kind of products."""

    def __init__(self, allow_tf32: bool) -> None:
        self.allow_tf32 = allow_tf32


class _Cuda:
    """torch.backends.cuda."""

    matmul = Switch(False)


cudnn = Switch(True)
cuda = _Cuda()
