"""Where torch's modules are in minigrad: the table of places, and the modules that stand for them."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

PRIVATE = (
    "__main__", "builtins", "compare", "cupy", "cupyx", "matplotlib", "minigrad", "models", "numpy", "PIL", "safetensors",
    "scipy", "sys", "tensorboardX", "tests", "tools", "tqdm",
)  # fmt: skip
"""Packages that are never loaded a second time for somebody's torch code."""

HOMES: dict[str, tuple[str, ...]] = {
    "torch": ("minigrad.as_torch.names", "minigrad", "minigrad.as_torch.names.functions"),
    "torch._C": ("minigrad.as_torch.names._C",),
    "torch._dynamo": ("minigrad.as_torch.names._dynamo",),
    "torch._dynamo.utils": ("minigrad.as_torch.names._dynamo.utils",),
    "torch._jit_internal": ("minigrad.as_torch.names.jit",),
    "torch.accelerator": ("minigrad.as_torch.names.accelerator",),
    "torch.amp": ("minigrad.as_torch.names.amp",),
    "torch.autograd": ("minigrad.autograd",),
    "torch.autograd.functional": ("minigrad.autograd.functional",),
    "torch.backends": ("minigrad.as_torch.names.backends",),
    "torch.backends.cuda": ("minigrad.as_torch.names.backends.cuda",),
    "torch.backends.cudnn": ("minigrad.as_torch.names.backends.cudnn",),
    "torch.backends.mps": ("minigrad.as_torch.names.backends.mps",),
    "torch.backends.opt_einsum": ("minigrad.as_torch.names.backends.opt_einsum",),
    "torch.compiler": ("minigrad.as_torch.names.compiler",),
    "torch.cuda": ("minigrad.cuda", "minigrad.as_torch.names.cuda"),
    "torch.cuda.amp": ("minigrad.as_torch.names.amp",),
    "torch.distributed": ("minigrad.as_torch.names.distributed", "minigrad.distributed"),
    "torch.distributions": ("minigrad.as_torch.names.distributions",),
    "torch.functional": ("minigrad",),
    "torch.fx": ("minigrad.as_torch.names.fx",),
    "torch.hub": ("minigrad.as_torch.names.hub",),
    "torch.jit": ("minigrad.as_torch.names.jit",),
    "torch.jit.annotations": ("minigrad.as_torch.names.jit.annotations",),
    "torch.linalg": ("minigrad.linalg", "minigrad.as_torch.names.linalg"),
    "torch.multiprocessing": ("multiprocessing",),
    "torch.nn._reduction": ("minigrad.as_torch.names.private.reduction",),
    "torch.mps": ("minigrad.as_torch.names.mps",),
    "torch.nn": ("minigrad.nn",),
    "torch.nn.attention": ("minigrad.as_torch.names.backends.attention",),
    "torch.nn.common_types": ("minigrad.as_torch.names.types",),
    "torch.nn.functional": ("minigrad.nn.functional", "minigrad.as_torch.names.private.functional"),
    "torch.nn.init": ("minigrad.nn.init",),
    "torch.nn.modules": ("minigrad.nn",),
    "torch.nn.modules.utils": ("minigrad.as_torch.names.tuples",),
    "torch.nn.parallel": ("minigrad.nn.parallel", "minigrad.as_torch.names.private"),
    "torch.nn.parameter": ("minigrad.nn",),
    "torch.nn.utils": ("minigrad.nn.utils",),
    "torch.nn.utils.rnn": ("minigrad.nn.utils.rnn",),
    "torch.optim": ("minigrad.optim",),
    "torch.optim.lr_scheduler": ("minigrad.optim.lr_scheduler",),
    "torch.optim.optimizer": (
        "minigrad.optim",
        "minigrad.optim.optimizer",
        "minigrad.as_torch.names.private.optimizer",
    ),
    "torch.overrides": ("minigrad.as_torch.names.private.overrides",),
    "torch.random": ("minigrad", "minigrad.random", "minigrad.as_torch.names.functions"),
    "torch.serialization": ("minigrad",),
    "torch.special": ("minigrad.special",),
    "torch.types": ("minigrad.as_torch.names.types",),
    "torch.utils": ("minigrad.utils", "minigrad.as_torch.names.utils"),
    "torch.utils._pytree": ("minigrad.as_torch.names.utils._pytree",),
    "torch.utils.checkpoint": ("minigrad.utils.checkpoint", "minigrad.as_torch.names.checkpoint"),
    "torch.utils.data": ("minigrad.utils.data",),
    "torch.utils.data._utils": ("minigrad.as_torch.names.private.collate",),
    "torch.utils.data._utils.collate": ("minigrad.utils.data",),
    "torch.utils.hooks": ("minigrad.hooks",),
    "torch.utils.model_zoo": ("minigrad.as_torch.names.hub",),
    "torch.utils.tensorboard": ("tensorboardX",),
    "torch.version": ("minigrad.as_torch.names.version",),
    "torch.xpu": ("minigrad.as_torch.names.xpu",),
    "torchvision": ("minigrad.as_torch.names.vision",),
    "torchvision.extension": ("minigrad.as_torch.names.vision.extension",),
    "torchvision.ops._register_onnx_ops": ("minigrad.as_torch.names.vision._register_onnx_ops",),
}
"""torch's module -> where its names are looked for, in order."""

REFUSED = """
torch.ao torch.autograd.forward_ad torch.cuda.Event torch.cuda.Stream torch.cuda.comm torch.cuda.graph torch.cuda.memory_summary
torch.cuda.nccl torch.cuda.nvtx torch.cuda.stream torch.distributed torch.distributions torch.fft torch.func
torch.fx torch.jit.load torch.jit.save torch.nested torch.nn.grad torch.nn.utils.fuse_conv_bn_eval torch.nn.utils.fusion
torch.nn.utils.parametrizations torch.nn.utils.parametrize torch.nn.utils.prune torch.nn.utils.remove_spectral_norm
torch.nn.utils.remove_weight_norm torch.nn.utils.spectral_norm torch.nn.utils.weight_norm torch.onnx torch.optim.ASGD
torch.optim.Adafactor torch.optim.LBFGS torch.optim.Muon torch.optim.RAdam torch.optim.Rprop torch.optim.SparseAdam
torch.optim.swa_utils torch.package torch.profiler torch.quantization torch.sparse torch.sparse_coo_tensor torch.stft
torch.testing torch.utils.benchmark torch.utils.cpp_extension torch.utils.flop_counter torchvision.models.feature_extraction
torchvision.models.quantization
""".split()
"""Modules and names that can be imported and mentioned, with all below them: they refuse in one line when they are called."""

DIVIDED = {
    "torch.autograd": "anomaly_mode function functional grad_mode gradcheck graph profiler variable",
    "torch.distributions": "bernoulli distribution normal uniform",
    "torch.nn.modules": "activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold instancenorm "
    "lazy linear loss module normalization padding pixelshuffle pooling rnn sparse transformer upsampling",
    "torch.nn.utils": "clip_grad convert_parameters",
    "torch.optim": "adadelta adagrad adam adamax adamw asgd lbfgs nadam radam rmsprop rprop sgd",
    "torch.utils.data": "dataloader dataset distributed sampler",
}
"""Packages of torch's that are divided into modules otherwise than here: each of these has the names of all."""

BASES = {
    "activation": "activation", "batchnorm": "batchnorm", "conv": "conv", "dropout": "dropout", "instancenorm": "batchnorm",
    "loss": "loss", "module": "module", "normalization": "normalization", "pooling": "pooling", "transformer": "transformer",
}  # fmt: skip
"""torch.nn.modules' file -> the file of minigrad.nn that has its base classes (_Loss, _BatchNorm ...)."""


PRIVATE_NAMES = ("minigrad.as_torch.names.private",)
"""Where private names of torch.nn.modules are that are those of no class of ours."""


def home_of(name: str) -> tuple[str, ...] | None:
    """Where the names of one of torch's modules are: its entry, or that of the package of DIVIDED above it; () if they refuse."""
    above, _, last = name.rpartition(".")
    if name in HOMES:
        return HOMES[name]
    if refuses(name):
        return ()
    if last not in DIVIDED.get(above, "").split():
        return None
    base = (f"minigrad.nn.{BASES[last]}",) if above == "torch.nn.modules" and last in BASES else ()
    more = {"torch.autograd.function": ("minigrad.autograd.function",)}.get(
        name, PRIVATE_NAMES if above == "torch.nn.modules" else ()
    )
    return *HOMES[above], *base, *more


def refuses(name: str) -> bool:
    """Whether this is one of REFUSED, or below one."""
    return any(f"{name}.".startswith(f"{refused}.") for refused in REFUSED)


def exists(name: str) -> bool:
    """Whether torch's module of that name has a place in minigrad."""
    return home_of(name) is not None


def folders(name: str) -> list[str]:
    """Where the files of one of torchvision's packages lie; nowhere those of torch."""
    if not name.startswith("torchvision"):
        return []
    spec = importlib.machinery.PathFinder.find_spec("torchvision")
    found = list(spec.submodule_search_locations or ()) if spec is not None else []
    return [str(Path(folder, *name.split(".")[1:])) for folder in found]


class Refused(type):
    """A name that can be mentioned and subclassed, and is an error when it is called."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{cls.__module__}.{cls.__name__} is not built in minigrad ({_caller()})")

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Refused(name, (), {"__module__": f"{cls.__module__}.{cls.__name__}"})


class Place(ModuleType):
    """Stands for one of torch's modules: its names are looked up where minigrad has them, at each first use."""

    def __init__(self, name: str, world: Any) -> None:
        super().__init__(name, f"{name}, as minigrad has it.")
        self.__path__ = folders(name)
        self.__world = world
        self.__homes = [_found(home) for home in home_of(name) or ()]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        whole = f"{self.__name__}.{name}"
        for home in self.__homes:
            value = getattr(home, name, self)
            if value is not self and not (isinstance(value, (ModuleType, SimpleNamespace)) and exists(whole)):
                return value
        if refuses(whole) and whole not in HOMES:
            return Refused(name, (), {"__module__": self.__name__})
        try:
            with self.__world:
                found = importlib.import_module(whole)
        except ModuleNotFoundError as error:
            if error.name != whole:
                raise
            raise AttributeError(f"minigrad has no {whole} ({_caller()})") from None
        setattr(self, name, found)
        return found

    @property
    def __all__(self) -> list[str]:
        return sorted({name for home in self.__homes for name in getattr(home, "__all__", dir(home)) if name[0] != "_"})

    def __dir__(self) -> list[str]:
        return self.__all__


def _found(path: str) -> Any:
    """A module, or a name in one."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if error.name is None or not path.startswith(error.name):
                raise
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(f"no module {path}")


def _caller() -> str:
    """file:line of the code that asked."""
    frame: Any = sys._getframe(2)
    while frame.f_back is not None and (
        "importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__
    ):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
