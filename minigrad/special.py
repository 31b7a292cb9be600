"""torch.special's names."""

from minigrad.aliases import numpys_names as _numpys_names
from minigrad.ops.activation import log_softmax, softmax
from minigrad.ops.elementwise import erf, erfc, exp2, expit, expm1, log1p, logit, round, xlogy
from minigrad.ops.reduction import logsumexp

__all__ = [
    "erf", "erfc", "exp2", "expit", "expm1", "log1p", "log_softmax", "logit", "logsumexp", "round", "softmax", "xlogy",
]  # fmt: skip

for _name in __all__:
    globals()[_name] = _numpys_names(globals()[_name], __name__)
