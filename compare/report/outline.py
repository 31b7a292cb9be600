"""The order in which the report tells its results, under which headings, and what belongs to a whole report.

A result finds its place by the command that made it: `Wanted` names the words to look for. What a result says is its own
module's business; this page knows the order and the words between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """A result that a whole report has: one of its command's in whose command line all the words stand.

    measure: what makes it, the arguments after `python -m compare`.
    """

    title: str
    measure: str
    words: Sequence[str] = ()

    @property
    def command(self) -> str:
        """The command that makes it."""
        return self.measure.partition(" ")[0]


@dataclass(frozen=True)
class Section:
    """A chapter: its anchor, its title, what a reader has to know (paragraphs), and what it shows, in order.

    two: the titles of two results that are drawn in one figure, where the command can (`picture_of_two`).
    """

    name: str
    title: str
    text: Sequence[str]
    wanted: Sequence[Wanted]
    two: tuple[str, str] | None = None

    @property
    def commands(self) -> list[str]:
        """The commands whose results stand here, in order, each once."""
        return list(dict.fromkeys(wanted.command for wanted in self.wanted))


def _wanted(title: str, command: str, file: str, *words: str) -> Wanted:
    return Wanted(title, f"{command} --json compare/results/{file}.json", words)


def _lockstep(title: str, model: str) -> Wanted:
    return _wanted(title, f"lockstep --model {model}", f"lockstep-{model}", model)


def _experiment(title: str, name: str) -> Wanted:
    return _wanted(title, f"accuracy {name} --scale small", f"accuracy-{name}-small", name)


def _planted(model: str, error: str, title: str) -> Wanted:
    title, kind = f"Planted and found: {title[0].lower()}{title[1:]}", error.partition(":")[0]
    return _wanted(title, f"layerwise {model} --plant {error}", f"bisect-{kind}", error)


def _speed(title: str, model: str, batch: int) -> Wanted:
    return _wanted(title, f"speed --model {model} --batch {batch} --loading", f"speed-{model}-b{batch}-cpu", model)


def _scaling(title: str, axis: str) -> Wanted:
    return _wanted(title, f"scaling --axis {axis}", f"scaling-{axis}-cpu", axis)


NETWORK = "--weights SIMPLENET.safetensors --data path/to/miniplaces"

SECTIONS = (
    Section(
        "gradients",
        "The same gradients",
        (
            "Every public name through which a gradient flows, every module, loss, optimizer and network, computed by minigrad "
            "and by PyTorch from the same numbers: values, first and second gradients. In float64 the two have to agree "
            "almost to the last digit. In float32 no computation is exact: the yardstick is how far PyTorch's own float32 "
            "result is from its float64 one.",
        ),
        (_wanted("Every differentiable name", "gradients", "gradients"),),
    ),
    Section(
        "lockstep",
        "The same training, step by step",
        (
            "Both tracks start from the same weights and see the same batches and the same masks. Rounding then drives any two "
            "programs apart, and what comes of it grows with every step. The yardstick is PyTorch itself: how far its float32 "
            "drifts away from its own float64. minigrad's float32 may drift about as far, and its float64 hardly at all.",
            "Where two programs do not compute the same, the first layer that differs can be found: bisect names it, shown "
            "here on networks into which an error was planted on purpose.",
        ),
        (
            _lockstep("SimpleNet", "simplenet"),
            _lockstep("SimpleNet-BN", "simplenet-bn"),
            _lockstep("SimpleViT", "vit"),
            _lockstep("ResNet-18", "resnet18"),
            _wanted("Layer by layer, nothing planted", "layerwise vit", "bisect-vit"),
            _planted("simplenet", "output:features.5", "An output that is wrong by 1 %"),
            _planted("simplenet", "weight:features.5", "A weight's gradient"),
            _planted("simplenet", "bias:features.12", "A bias's gradient"),
            _planted("vit", "input:blocks.2.attn", "A gradient passed back"),
            _planted("simplenet-bn", "statistics:features.2", "Running statistics"),
        ),
    ),
    Section(
        "experiments",
        "The experiments",
        (
            "The experiments of the original report, in both tracks, over several seeds. Reported: the original's figures, "
            "measured on all of MiniPlaces (100,000 images of 100 classes); beside them those of other teams with the same "
            "recipe. Ours and torch's may be of a smaller scale (fewer classes, images, epochs): each table says of which. "
            "Only figures of the same scale can be held against each other, and they are: minigrad's against torch's.",
        ),
        (
            _experiment("SimpleNet, 60 epochs", "simplenet-60"),
            _experiment("SimpleNet with the hand-written convolution, 10 epochs", "simplenet-custom-conv-10"),
            _experiment("SimpleNet-BN, 90 epochs", "simplenet-bn-90"),
            _experiment("ResNet-18, fine-tuned for 60 epochs", "resnet18-finetune-60"),
            _experiment("SimpleViT of depth 4, 90 epochs", "vit-d4-90"),
            _experiment("SimpleViT of depth 6, 90 epochs", "vit-d6-90"),
        ),
        two=("ResNet-18, fine-tuned for 60 epochs", "SimpleNet-BN, 90 epochs"),
    ),
    Section(
        "attacks",
        "Attacks",
        (
            "Images changed so little that nobody sees it, and so that the network is wrong. The original's attack went up the "
            "loss of the least likely class, away from a class that was far already (the preset report): hence its mild "
            "effect. The assignment asks to go down that loss (handout); the strongest goes up the loss of the true label "
            "(untargeted). All three are here, side by side, each track attacking with its own gradients.",
        ),
        (
            _wanted("The table of attacks", f"attacks {NETWORK}", "attacks-simplenet-cpu"),
            _wanted("Accuracy against epsilon", f"attacks {NETWORK} --sweep", "attacks-sweep-cpu", "--sweep"),
            _experiment("The table of attacks on the experiments' own networks", "attack-table"),
            _experiment("Adversarial training", "adversarial-training-10"),
            _wanted(
                "A network trained on attacked images",
                "attacks --weights PLAIN --defended DEFENDED",
                "attacks-defended-cpu",
                "--defended",
            ),
            _wanted(
                "Images under attack",
                "attacks --weights RUN --presets handout --examples 3",
                "attacks-examples-cpu",
                "--examples",
            ),
            _wanted(
                "What an attack costs",
                "speed --model simplenet --attack --no-memory",
                "attack-time-simplenet-cpu",
                "simplenet",
                "--attack",
            ),
        ),
    ),
    Section(
        "costs",
        "What it costs",
        (
            "One training step: forward, loss, backward, optimizer. Each framework runs in a process of its own, and the "
            "processes are called in turn, so that what slows the machine slows both. Memory is the peak above what a process "
            "needs once its libraries are loaded and used. Where a result says so, the loader was timed too.",
        ),
        (
            _speed("SimpleNet, a step", "simplenet", 32),
            _speed("SimpleNet-BN, a step", "simplenet-bn", 32),
            _speed("SimpleViT, a step", "vit", 32),
            _speed("ResNet-18, a step", "resnet18", 16),
            _wanted(
                "SimpleNet with the hand-written convolution, a step",
                "speed --model simplenet --custom-conv",
                "speed-simplenet-custom-conv-cpu",
                "simplenet",
                "--custom-conv",
            ),
            _scaling("With the batch size", "batch"),
            _scaling("With the image size", "image-size"),
            _scaling("With the depth", "depth"),
            _wanted("Where a step's time goes", "profile --model simplenet", "profile-simplenet-cpu"),
            _wanted("Small ops and long chains", "overhead", "overhead-cpu"),
        ),
    ),
)
