"""Train an image classifier with PyTorch, the reference implementation: train_minigrad.py in PyTorch, to be read with diff.

    python train_torch.py                                      SimpleNet on the embedded images
    python train_torch.py --data miniplaces                    ... on MiniPlaces, by its own recipe
    python train_torch.py --model vit                          the vision transformer; simplenet-bn, resnet18
    python train_torch.py --resume runs/...                    go on with a run
    python train_torch.py --resume runs/... --evaluate --tta   measure what it has learnt
    python train_torch.py --adversarial                         learn from attacked images, too
    python train_torch.py --defence trades --epsilon 0.2            learn to resist attacks: docs/defences.md

--help lists all the options.
"""

import copy
import resource
import signal
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until main runs: Ctrl-C during the imports leaves no traceback

import numpy as np

try:
    import torch
    from torch import nn
except ImportError as missing:
    print(f"error: train_torch.py needs PyTorch ({missing}): pip install torch torchvision", file=sys.stderr)
    sys.exit(2)

from minigrad.errors import DeviceError, OptionError
from minigrad.training import (
    Attacker,
    BatchGenerator,
    Data,
    Meter,
    Options,
    Run,
    current,
    epsilons,
    main,
    make_attack,
    make_defence,
    measures,
    pack,
    part,
    report_attack,
    report_audit,
    report_evaluation,
    sigma_settings,
    unpack,
    weights_to_load,
)
from models.reference import MODELS, attacks, create, defences
from models.reference.ranks import join_ranks, synchronise
from models.reference.unfold_conv import use_unfold_convolutions


def train(options: Options) -> None:
    """Train, or evaluate, as the options say."""
    device = find_device(current().device(options.device, torch.cuda.device_count))
    join_ranks(device)
    print(f"device: {device_name(device)}")
    data = Data(options)
    torch.manual_seed(options.seed)
    masks = BatchGenerator(options.seed)  # of dropout and drop path: both scripts draw the same ones from it
    model = create(options.model, data.num_classes, data.channels, options.image_size, masks, **options.settings)
    model.to(device)
    if options.custom_conv:
        use_unfold_convolutions(model)
    head = MODELS[options.model].head
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    weights = weights_to_load(options, shapes, head)
    model.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()}, strict=False)
    attack = make_attack(options, attacks, data.val.mean, data.val.std, data.num_classes)
    if not options.evaluate:
        rehearse(model, options, data.channels)
    if options.check_files:
        data.check_files()
    if options.evaluate:
        measure(options, data, model, device, attack)
        return

    if options.freeze_backbone:
        model.requires_grad_(False)
        model.get_submodule(head).requires_grad_(True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss_function = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
    defence = make_defence(options, defences, attacks, data.val.mean, data.val.std, loss_function)
    average = copy.deepcopy(model) if options.ema else None
    optimizer = make_optimizer(trained, options)

    def save() -> dict[str, np.ndarray]:
        arrays = pack((average or model).state_dict(), optimizer.state_dict()["state"], to_numpy)
        if average is not None:  # the average is the model that others read; training goes on from the latest weights
            arrays |= {f"latest.{key}": to_numpy(value) for key, value in model.state_dict().items()}
        if defence is not None:
            arrays |= {f"defence.{key}": array for key, array in defence.state().items()}
        arrays["random.torch"] = torch.get_rng_state().numpy()
        if device.type == "cuda":
            arrays["random.cuda"] = torch.cuda.get_rng_state(device).numpy()
        return arrays

    def load(arrays: dict[str, np.ndarray]) -> None:
        model_state, optimizer_state = unpack(arrays, torch.from_numpy)
        model.load_state_dict(model_state)
        if average is not None:
            average.load_state_dict(model_state)
            model.load_state_dict({key: torch.from_numpy(array) for key, array in part(arrays, "latest.").items()})
        optimizer.load_state_dict({**optimizer.state_dict(), "state": optimizer_state})
        if defence is not None:
            defence.load(part(arrays, "defence."))
        if "random.torch" in arrays:
            torch.set_rng_state(torch.from_numpy(arrays["random.torch"]))
        if "random.cuda" in arrays and device.type == "cuda":
            torch.cuda.set_rng_state(torch.from_numpy(arrays["random.cuda"]), device)

    def symptoms() -> dict[str, Any]:
        if defence is None or options.defence != "fast":
            return {}
        images, labels = (torch.from_numpy(array).to(device) for array in data.first_training(options.batch_size))
        return defence.symptoms(average or model, images, labels)

    facts = {
        "framework": f"torch {torch.__version__}",
        "device": device_name(device),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "loaded": list(weights),
    }
    anomaly = torch.autograd.detect_anomaly if options.detect_anomaly else nullcontext
    if options.detect_anomaly:
        watch_layers(model)
    with Run(options, data, save, load, masks, facts) as run, run.watching(model, optimizer):
        ranks_model = over_ranks(model, device)
        for _ in run.epochs():
            model.train(not options.freeze_backbone)  # frozen, it is all in eval mode: running statistics stay
            for batch, lr in run.train_batches():
                for group in optimizer.param_groups:
                    group["lr"] = lr
                inputs, mixed = run.mixed(batch)
                images, targets = torch.from_numpy(inputs).to(device), torch.from_numpy(mixed).to(device)
                with run.anomalies(), anomaly():
                    if attack is not None and run.attacked(attack.generator):
                        images = attack(model, images, torch.from_numpy(batch.labels).to(device))
                    if defence is not None and run.attacked(defence.generator):
                        inner = defence.inner(model, images, torch.from_numpy(batch.labels).to(device))
                        loss, logits = defence.loss(ranks_model, images, inner, targets)
                    else:
                        logits = ranks_model(images)
                        loss = loss_function(logits, targets)
                    if run.first_of_update:
                        optimizer.zero_grad()
                    (loss * (batch.share * run.share)).backward()
                    if defence is not None:
                        defence.after()
                norm = None
                if run.last_of_update:
                    norm = clip(trained, options.clip_grad, run.wants_norm)
                    optimizer.step()
                    if average is not None:
                        update_average(average, model, options.ema)
                run.record(loss.item(), to_numpy(logits), batch.labels, norm)
            measured = evaluate(average or model, data, run.val_batches(), device)
            run.finish_epoch(measured, peak_memory(device), symptoms())


def over_ranks(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with batch norm over all ranks and gradients that are averaged over them; itself where there is one rank."""
    if current().size == 1:
        return model
    return nn.parallel.DistributedDataParallel(synchronise(model, device), forward_sync_buffers=False)


@torch.no_grad()
def rehearse(model: nn.Module, options: Options, channels: int) -> None:
    """OptionError if a copy of the network cannot take a step's images: batch norm wants more than one number a channel."""
    count, size = min(options.batch_size, 2), options.image_size
    images = torch.zeros(count, channels, size, size).to(next(model.parameters()))
    try:
        copy.deepcopy(model).train(not options.freeze_backbone)(images)
    except (RuntimeError, ValueError) as error:
        given = f"--model {options.model} --batch-size {options.batch_size} --image-size {size}"
        raise OptionError(f"{given}: the network cannot learn from such images: {error}") from error


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: Data,
    batches: Iterable[Any],
    device: torch.device,
    attack: Any = None,
    tta: bool = False,
    keep_images: bool = False,
) -> Meter:
    """Loss, top-1 and top-5 over the batches, attacked if asked; tta averages in the logits of the mirrored images."""
    model.eval()
    loss_function = nn.CrossEntropyLoss()
    meter = Meter(keep_images)
    for batch in batches:
        images = torch.from_numpy(data.inputs(batch.images)).to(device)
        labels = torch.from_numpy(batch.labels).to(device)
        if attack is not None:
            images = attack(model, images, labels)
        logits = model(images)
        if tta:
            logits = (logits + model(torch.from_numpy(data.mirrored(batch.images)).to(device))) / 2
        loss = loss_function(logits, labels)
        meter.update(loss.item(), to_numpy(logits), batch.labels, batch.indices)
        if attack is not None and meter.keep_images:
            meter.images_kept.append(to_numpy(images))
    return current().total(meter)


def measure(options: Options, data: Data, model: nn.Module, device: torch.device, attack: Any) -> None:
    """--evaluate: report what the network is worth, with an attack also under it, and draw some images if asked."""
    if options.audit:
        report_audit(options, data, {key: to_numpy(value) for key, value in model.state_dict().items()})
    if hasattr(attack, "fit"):
        parts = data.fitting_batches()
        attack = attack.fit(model, [tuple(torch.from_numpy(array).to(device) for array in part) for part in parts])
    clean = evaluate(model, data, data.val_batches(), device, tta=options.tta)
    more = measures(
        options,
        data,
        defences.Smoothed(model, **sigma_settings(options, data.val.std)) if options.certify else None,
        lambda images: torch.from_numpy(images).to(device),
        lambda batches: evaluate(model, data, batches, device),
    )
    if attack is None:
        report_evaluation(options, data, clean, measures=more)
        return
    if sizes := epsilons(options):
        curve = {e: evaluate(model, data, data.val_batches(f"epsilon {e:g}"), device, attack.at(e)) for e in sizes}
        report_evaluation(options, data, clean, curve=curve, measures=more)
    else:
        attacker, keep = Attacker(attack), options.save_adversarial is not None
        under_attack = evaluate(model, data, data.val_batches("under attack"), device, attacker, keep_images=keep)
        report_evaluation(options, data, clean, under_attack, attacker.stages(), measures=more)
    if options.visualise:
        batch = data.chosen()
        images = torch.from_numpy(data.inputs(batch.images)).to(device)
        perturbed = attack(model, images, torch.from_numpy(batch.labels).to(device))
        with torch.no_grad():
            before, after = model(images), model(perturbed)
        report_attack(options, data, batch, to_numpy(perturbed), to_numpy(before), to_numpy(after))


def make_optimizer(parameters: list[nn.Parameter], options: Options) -> torch.optim.Optimizer:
    """SGD or AdamW over the parameters, weight decay on all of them."""
    if options.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay)
    return torch.optim.SGD(parameters, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay)


def watch_layers(model: nn.Module) -> None:
    """Stop at the first layer whose output is not finite: torch's detect_anomaly looks at gradients alone."""

    def watch(name: str, layer: nn.Module) -> None:
        def check(layer: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            if not output.isfinite().all():
                raise FloatingPointError(f"anomaly: {name} ({layer}) returned NaN or Inf")

        layer.register_forward_hook(check)

    for name, layer in model.named_modules():
        watch(name, layer)


def clip(parameters: list[nn.Parameter], longest: float, wanted: bool) -> float | None:
    """Shorten the whole gradient to a 2-norm of `longest` (0: any); returns what its norm was, if that is wanted."""
    if longest:
        norm = nn.utils.clip_grad_norm_(parameters, longest)
    elif wanted:
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    return float(norm.item()) if wanted else None


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, share: float) -> None:
    """average <- share average + (1 - share) weights, after each step; running statistics are the model's."""
    for mean, latest in zip(average.parameters(), model.parameters(), strict=True):
        mean.mul_(share).add_(latest, alpha=1 - share)
    for kept, now in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(now)


def to_numpy(value: torch.Tensor) -> np.ndarray:
    """The values on the host."""
    return value.detach().cpu().numpy()


def find_device(name: str) -> torch.device:
    """The device of a name: auto, cpu, gpu or gpu:1 (cuda is an alias). DeviceError for one that is not there."""
    if name == "auto":
        name = "gpu" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.replace("cuda", "gpu").partition(":")
    if name == "cpu":
        return torch.device("cpu")
    if kind != "gpu" or not (index.isdecimal() or name == kind or name == "cuda"):
        raise DeviceError(f"unknown device {name!r}: there are auto, cpu, gpu and gpu:N")
    if not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: torch finds no GPU on this machine; --device cpu works")
    if int(index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: this machine has {torch.cuda.device_count()} GPUs, counted from 0")
    return torch.device("cuda", int(index or 0))


def device_name(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return f"gpu:{device.index} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def peak_memory(device: torch.device) -> int:
    """Bytes at the highest: of torch's pool on a GPU, of the whole process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    sys.exit(main(train, list(MODELS)))
