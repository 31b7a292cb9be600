"""The order in which the report tells its results, under which headings, and what belongs to a whole report.

A result finds its place by the command that made it: `Wanted` names the words to look for. What a result says is its own
module's business; this page knows the order and the words between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models import MODELS


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


def _lockstep(model: str, *settings: str) -> Wanted:
    measure = " ".join(["lockstep", "--model", model, *settings])
    return _wanted(MODELS[model].title, measure, f"lockstep-{model}", model)


def _learnt(model: str, experiment: str) -> Wanted:
    title, measure = f"{MODELS[model].title} on all embedded images", f"accuracy {experiment} --scale default"
    return _wanted(title, measure, f"accuracy-{experiment}-default", experiment, "default")


def _experiment(title: str, name: str) -> Wanted:
    return _wanted(title, f"accuracy {name} --scale small", f"accuracy-{name}-small", name)


def _planted(model: str, error: str, title: str) -> Wanted:
    title, kind = f"Planted and found: {title[0].lower()}{title[1:]}", error.partition(":")[0]
    return _wanted(title, f"layerwise {model} --plant {error}", f"bisect-{kind}", error)


def _speed(model: str, batch: int) -> Wanted:
    measure = f"speed --model {model} --batch {batch} --loading"
    return _wanted(f"{MODELS[model].title}, a step", measure, f"speed-{model}-b{batch}-cpu", model)


def _scaling(title: str, axis: str) -> Wanted:
    return _wanted(title, f"scaling --axis {axis}", f"scaling-{axis}-cpu", axis)


NETWORK = "--weights SIMPLENET.safetensors --data path/to/miniplaces"
SIMPLENET, BN, RESNET, VIT = (MODELS[name].title for name in ("simplenet", "simplenet-bn", "resnet18", "vit"))
TUNED, PLAIN_BN = f"{RESNET}, fine-tuned, on few images", f"{BN} on few images"

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
            "Both frameworks start from the same weights and see the same batches and the same masks. Rounding then drives any two "
            "programs apart, and what comes of it grows with every step. The distance of a training's weights from those of the "
            "same training in float64 is called its drift here. The yardstick is PyTorch itself: minigrad's float32 may drift "
            "about as far as PyTorch's float32, and its float64 hardly at all. SimpleNet starts from weights that have learnt for "
            "three epochs: its first steps stay near the loss of guessing, where nothing much can differ.",
        ),
        (
            _lockstep("simplenet", "--weights", "RUN", "--steps", "100"),
            *(_lockstep(name) for name in ("simplenet-bn", "vit", "resnet18")),
        ),
    ),
    Section(
        "layerwise",
        "The first layer that differs",
        (
            "Where two networks do not compute the same, the layer at which it begins can be found. The command layerwise names "
            "it, shown here on networks into which an error was planted on purpose, and on one into which none was.",
        ),
        (
            _wanted("Nothing planted", "layerwise vit", "bisect-vit"),
            _planted("simplenet", "output:features.5", "An output that is wrong by 1 %"),
            _planted("simplenet", "weight:features.5", "A weight's gradient"),
            _planted("simplenet", "bias:features.12", "A bias's gradient"),
            _planted("vit", "input:blocks.2.attn", "A gradient passed back"),
            _planted("simplenet-bn", "statistics:features.2", "Running statistics"),
        ),
    ),
    Section(
        "experiments",
        "What the networks learn",
        (
            "minigrad began with a student project: a course's handout asked for an engine, for these networks trained on "
            "MiniPlaces (100,000 images of 100 classes) and for an attack on them, and a report gave the accuracies. They are "
            "the column reported; beside them stand those of other teams with the same recipe.",
            "Ours and PyTorch's are of Fashion-MNIST, whose images come with the package, at two scales. On all embedded images "
            "the networks show how well they learn. On few images, for a few epochs, they do not learn as much: there the two "
            "frameworks are compared, over several seeds. Figures of different images or scales say nothing about each other; "
            "minigrad's and PyTorch's of one line do.",
        ),
        (
            _learnt("simplenet-bn", "simplenet-bn-90"),
            _learnt("simplenet", "simplenet-60"),
            _experiment(PLAIN_BN, "simplenet-bn-90"),
            _experiment(f"{SIMPLENET} on few images", "simplenet-60"),
            _experiment(f"{SIMPLENET} with the hand-written convolution, on few images", "simplenet-custom-conv-10"),
            _experiment(TUNED, "resnet18-finetune-60"),
            _experiment(f"{VIT} of depth 4, on few images", "vit-d4-90"),
            _experiment(f"{VIT} of depth 6, on few images", "vit-d6-90"),
        ),
        two=(TUNED, PLAIN_BN),
    ),
    Section(
        "attacks",
        "Attacks",
        (
            "Images changed so little that nobody sees it, and so that the network is wrong. Three attacks stand side by side, "
            "each framework attacking with its own gradients. The strongest, untargeted, goes up the loss of the true label. "
            "The one named handout goes down the loss of the least likely class, as the handout of the student project asked. "
            "The one named report goes up that loss, away from a class that was far already, as the project's report did: hence "
            "its mild effect.",
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
                "attacks --weights RUN --presets untargeted --examples 3",
                "attacks-examples-cpu",
                "--examples",
            ),
            _wanted(
                "All of it at once: a plain network and six defended ones",
                "robustness embedded pgd=RUN",
                "robustness-simplenet-bn-cpu",
            ),
            _wanted(
                "From one network to another",
                "transfer embedded pgd=RUN",
                "transfer-simplenet-bn-cpu",
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
            _speed("simplenet", 32),
            _speed("simplenet-bn", 32),
            _speed("vit", 32),
            _speed("resnet18", 16),
            _wanted(
                f"{SIMPLENET} with the hand-written convolution, a step",
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
