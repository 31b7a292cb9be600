"""Every public function and method that has a gradient has cases, and they hold on both devices and in every layout.

The cases are those of `python -m compare gradients` (compare/gradients/ops.py), which measures them in more draws, float32 too.
An op that is new needs a line there, or in names.WITHOUT with the reason.
"""

from __future__ import annotations

import pytest

from compare.gradients import names
from tests.cases import agree

OPTIONS: dict[str, dict[str, bool]] = {
    "nn.functional.batch_norm": {"differences": False},  # no gradient goes into the running statistics
    "Tensor.float": {"differences": False},  # whose digits are too few
    "Tensor.view": {"layouts": False},  # both refuse a layout that would have to be copied
    "Tensor.view_as": {"layouts": False},
}
"""{name: what of the check is left out}."""
TO_THE_CPU = "Tensor.to", "Tensor.cpu", "Tensor.__rmatmul__"  # whose result, or whose array, lies there


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", names.differentiable())
def test_every_name_with_a_gradient_has_cases_that_agree(name: str, device: str) -> None:
    cases = names.op_cases(name)
    assert cases
    for case in cases:
        agree(case, "cpu" if name in TO_THE_CPU else device, float32=False, **OPTIONS.get(name, {}))
