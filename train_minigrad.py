"""Train an image classifier with minigrad. Its PyTorch version is train_torch.py: read the two through diff.

    python train_minigrad.py                                      SimpleNet on the embedded images
    python train_minigrad.py --data miniplaces                    ... on MiniPlaces, by its own recipe
    python train_minigrad.py --model vit                          the vision transformer; simplenet-bn, resnet18
    python train_minigrad.py --resume runs/...                    go on with a run
    python train_minigrad.py --resume runs/... --evaluate --tta   measure what it has learnt
    python train_minigrad.py --adversarial                         learn from attacked images, too
    python train_minigrad.py --defence trades --epsilon 0.2            learn to resist attacks: docs/defences.md

--help lists all the options.
"""

import copy
import json
import signal
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until main runs: Ctrl-C during the imports leaves no traceback

import numpy as np

import minigrad
from minigrad import attacks, defences, nn
from minigrad.errors import DeviceError, OptionError
from minigrad.tracing.layers import detect_anomaly_in_layers
from minigrad.training import (
    Attacker,
    BatchGenerator,
    Data,
    Feed,
    Meter,
    Options,
    Run,
    Tally,
    current,
    epsilons,
    keep_on,
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
from models import MODELS, create

MOST_STEPS = 1000  # whose loss and hits wait on a GPU to be read
UNREAD = 50  # batches of an evaluation whose logits do


def train(options: Options) -> None:
    """Train, or evaluate, as the options say."""
    device = minigrad.get_device(current().device(options.device, gpus))
    if device.type == "cuda":
        minigrad.cuda.set_device(device)
    elif options.data_on_device:
        raise OptionError("--data-on-device keeps the images in a GPU's memory, and the device is the CPU")
    print(f"device: {device_name(device)}")
    data = Data(options)
    minigrad.manual_seed(options.seed)
    masks = BatchGenerator(options.seed)  # of dropout and drop path: both scripts draw the same ones from it
    model = create(options.model, data.num_classes, data.channels, options.image_size, masks, **options.settings)
    model.to(device)
    convolutions = minigrad.definitions("conv2d") if options.conv == "definition" else nullcontext()
    head = MODELS[options.model].head
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    weights = weights_to_load(options, shapes, head)
    model.load_state_dict({key: minigrad.from_numpy(array) for key, array in weights.items()}, strict=False)
    attack = make_attack(options, attacks, data.val.mean, data.val.std, data.num_classes)
    if not options.evaluate:
        rehearse(model, options, data.channels)
    check_memory(model, options, data, device)
    if options.check_files:
        data.check_files()
    keep_on(data, device)
    if options.evaluate:
        with convolutions:
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
        arrays["random.minigrad"] = np.frombuffer(json.dumps(minigrad.get_rng_state()).encode(), np.uint8)
        return arrays

    def load(arrays: dict[str, np.ndarray]) -> None:
        model_state, optimizer_state = unpack(arrays, minigrad.from_numpy)
        model.load_state_dict(model_state)
        if average is not None:
            average.load_state_dict(model_state)
            model.load_state_dict({key: minigrad.from_numpy(array) for key, array in part(arrays, "latest.").items()})
        optimizer.load_state_dict({**optimizer.state_dict(), "state": optimizer_state})
        if defence is not None:
            defence.load(part(arrays, "defence."))
        if "random.minigrad" in arrays:
            minigrad.set_rng_state(json.loads(arrays["random.minigrad"].tobytes()))

    def symptoms() -> dict[str, Any]:
        if defence is None or options.defence != "fast":
            return {}
        images, labels = (minigrad.from_numpy(array).to(device) for array in data.first_training(options.batch_size))
        return defence.symptoms(average or model, images, labels)

    facts = {
        "framework": f"minigrad {minigrad.__version__}",
        "device": device_name(device),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "loaded": list(weights),
    }
    anomaly = detect_anomaly_in_layers if options.detect_anomaly else nullcontext
    with convolutions, Run(options, data, save, load, masks, facts) as run, run.watching(model, optimizer):
        ranks_model = over_ranks(model)

        feed = Feed(data, device, "train")
        later = device.type == "cuda" and current().size == 1  # loss and hits stay on the GPU until they are printed
        tally = Tally(device, min(options.print_freq, MOST_STEPS)) if later else None

        def gradients(*sent: minigrad.Tensor) -> tuple[minigrad.Tensor, ...]:
            """What is captured: loss, logits, and the length of the gradient, of a step of one batch."""
            images, targets = feed.receive(*sent)
            logits = ranks_model(images)
            loss = loss_function(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            if options.clip_grad:
                return loss, logits, nn.utils.clip_grad_norm_(trained, options.clip_grad)
            return loss, logits, nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])

        forward = ForwardPass(average or model, data, device, capture=options.capture and device.type == "cuda")
        captured = minigrad.cuda.CapturedStep(gradients, optimizer) if can_be_captured(options, device) else None
        for _ in run.epochs():
            model.train(not options.freeze_backbone)  # frozen, it is all in eval mode: running statistics stay
            for batch, lr in run.train_batches():
                for group in optimizer.param_groups:
                    group["lr"] = lr
                sent, norm = feed.send(*run.to_mix(batch)), None
                with run.anomalies(), anomaly():
                    if captured is not None:
                        loss, logits, norm = captured(*sent)
                    else:
                        images, targets = feed.receive(*sent)
                        if attack is not None and run.attacked(attack.generator):
                            images = attack(model, images, sent[1])
                        if defence is not None and run.attacked(defence.generator):
                            inner = defence.inner(model, images, sent[1])
                            loss, logits = defence.loss(ranks_model, images, inner, targets)
                        else:
                            logits = ranks_model(images)
                            loss = loss_function(logits, targets)
                        if run.first_of_update:
                            optimizer.zero_grad()
                        (loss * (batch.share * run.share)).backward()
                        if defence is not None:
                            defence.after()
                if run.last_of_update:
                    if captured is None:
                        norm = clip(trained, options.clip_grad, run.wants_norm)
                        optimizer.step()
                    if average is not None:
                        update_average(average, model, options.ema)
                if tally is not None:
                    tally.add(loss, logits, sent[1], norm)
                    run.record_later(tally, len(batch.labels))
                else:
                    run.record(loss.item(), to_numpy(logits), batch.labels, None if norm is None else norm.item())
            measured = evaluate(average or model, data, run.val_batches(), device, forward=forward)
            run.finish_epoch(measured, minigrad.max_memory_allocated(device), symptoms())


def can_be_captured(options: Options, device: minigrad.Device) -> bool:
    """Whether steps become one CUDA graph: on a GPU, where nobody looks into them or changes them from one to the next."""
    looked_into = options.watch or options.detect_anomaly or options.adversarial or options.defence
    several = options.accumulate > 1 or current().size > 1
    return device.type == "cuda" and options.capture and not (looked_into or several)


def over_ranks(model: nn.Module) -> nn.Module:
    """The model with batch norm over all ranks and gradients that are averaged over them; itself where there is one rank."""
    if current().size == 1:
        return model
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return nn.parallel.DistributedDataParallel(synchronised, forward_sync_buffers=False)


@minigrad.no_grad()
def rehearse(model: nn.Module, options: Options, channels: int) -> None:
    """OptionError if a copy of the network cannot take a step's images: batch norm wants more than one number a channel."""
    count, size = min(options.batch_size, 2), options.image_size
    images = minigrad.zeros(count, channels, size, size).to(next(model.parameters()))
    try:
        copy.deepcopy(model).train(not options.freeze_backbone)(images)
    except (RuntimeError, ValueError) as error:
        given = f"--model {options.model} --batch-size {options.batch_size} --image-size {size}"
        raise OptionError(f"{given}: the network cannot learn from such images: {error}") from error


def check_memory(model: nn.Module, options: Options, data: Data, device: minigrad.Device) -> None:
    """DeviceError if a GPU has less memory free than a step, and the images of --data-on-device, hold at once."""
    if device.type != "cuda":
        return
    images, step = sum(resident.nbytes for resident in data.resident.values()), 0.0
    if not options.evaluate:
        step = memory_of_step(model, options, data.channels, device)
    reserved, allocated = minigrad.cuda.memory_reserved(device), minigrad.memory_allocated(device)
    free = minigrad.cuda.mem_get_info(device)[0] + max(0, reserved - allocated)  # a graph's pool is not reserved
    if images + step <= free:
        return
    need = f"a step with --batch-size {options.batch_size} needs {step / 2**30:.2f} GiB at least"
    if images:
        need = f"the images of --data-on-device take {images / 2**30:.2f} GiB{', ' + need if step else ''}"
        advice = "leave the option out" if step <= free else "it does not suffice without the option either"
    else:
        advice = f"about --batch-size {int(options.batch_size * free / step)} fits"
    raise DeviceError(f"{device} has too little memory: {need}, and {free / 2**30:.2f} GiB are free; {advice}")


def memory_of_step(model: nn.Module, options: Options, channels: int, device: minigrad.Device) -> float:
    """Bytes that a step holds at once, at least: weights, their gradients, the optimizer's arrays, and what the forward pass
    keeps, which is measured on two images."""
    count, size = min(options.batch_size, 2), options.image_size
    copied = copy.deepcopy(model).train(not options.freeze_backbone)
    before = minigrad.memory_allocated(device)
    kept = copied(minigrad.zeros(count, channels, size, size, device=device))
    an_image = (minigrad.memory_allocated(device) - before) / count
    del kept
    weights = sum(parameter.array.nbytes for parameter in model.parameters())
    return an_image * options.batch_size + weights * (3 if options.optimizer == "adamw" else 2)


class ForwardPass:
    """Loss and logits of the validation batches that a feed sends, tta with those of the mirrored images; on a GPU captured."""

    def __init__(
        self, model: nn.Module, data: Data, device: minigrad.Device, tta: bool = False, capture: bool = False
    ) -> None:
        self.model, self.feed, self.tta = model, Feed(data, device, "val"), tta
        self.step = minigrad.cuda.CapturedStep(lambda *sent: self.judge(*self.feed.receive(*sent))) if capture else None
        self.loss_function = nn.CrossEntropyLoss()

    def __call__(self, *sent: minigrad.Tensor) -> tuple[minigrad.Tensor, ...]:
        """What `feed.send` gave, as (loss, logits)."""
        if self.step is None:
            return self.judge(*self.feed.receive(*sent))
        found = self.step(*sent)
        return tuple([x.clone() for x in found]) if self.step.is_captured else found  # the next pass overwrites them

    def judge(self, images: minigrad.Tensor, labels: minigrad.Tensor) -> tuple[minigrad.Tensor, ...]:
        """(loss, logits) of images and labels on the device."""
        logits = self.model(images)
        if self.tta:
            logits = (logits + self.model(images.flip(3))) / 2
        return self.loss_function(logits, labels), logits


@minigrad.no_grad()
def evaluate(
    model: nn.Module,
    data: Data,
    batches: Iterable[Any],
    device: minigrad.Device,
    attack: Any = None,
    keep_images: bool = False,
    forward: ForwardPass | None = None,
) -> Meter:
    """Loss, top-1 and top-5 over the batches, attacked if asked."""
    model.eval()
    forward = forward or ForwardPass(model, data, device)
    meter = Meter(keep_images)
    unread: list[Any] = []

    def read() -> None:
        for (loss, logits), labels, indices in unread:
            meter.update(loss.item(), to_numpy(logits), labels, indices)
        unread.clear()

    for batch in batches:
        sent = forward.feed.send(batch.images, batch.labels)
        if attack is None:
            found = forward(*sent)
        else:
            images, labels = forward.feed.receive(*sent)
            images = attack(model, images, labels)
            found = forward.judge(images, labels)
            if meter.keep_images:
                meter.images_kept.append(to_numpy(images))
        unread.append((found, batch.labels, batch.indices))
        if device.type == "cpu" or len(unread) == UNREAD:
            read()
    read()
    return current().total(meter)


def measure(options: Options, data: Data, model: nn.Module, device: minigrad.Device, attack: Any) -> None:
    """--evaluate: report what the network is worth, with an attack also under it, and draw some images if asked."""
    if options.audit:
        report_audit(options, data, {key: to_numpy(value) for key, value in model.state_dict().items()})
    if hasattr(attack, "fit"):
        parts = data.fitting_batches()
        attack = attack.fit(model, [tuple(minigrad.from_numpy(array).to(device) for array in part) for part in parts])
    capture = options.capture and device.type == "cuda"
    forward = ForwardPass(model, data, device, options.tta, capture)
    clean = evaluate(model, data, data.val_batches(), device, forward=forward)
    more = measures(
        options,
        data,
        defences.Smoothed(model, **sigma_settings(options, data.val.std)) if options.certify else None,
        lambda images: minigrad.from_numpy(images).to(device),
        lambda batches: evaluate(model, data, batches, device),
    )
    if attack is None:
        report_evaluation(options, data, clean, measures=more)
        return
    with attacks.captured() if capture else nullcontext():
        if sizes := epsilons(options):
            curve = {e: evaluate(model, data, data.val_batches(f"epsilon {e:g}"), device, attack.at(e)) for e in sizes}
            report_evaluation(options, data, clean, curve=curve, measures=more)
        else:
            attacker, keep = Attacker(attack), options.save_adversarial is not None
            under_attack = evaluate(model, data, data.val_batches("under attack"), device, attacker, keep_images=keep)
            report_evaluation(options, data, clean, under_attack, attacker.stages(), measures=more)
    if options.visualise:
        batch = data.chosen()
        images = minigrad.from_numpy(data.inputs(batch.images)).to(device)
        perturbed = attack(model, images, minigrad.from_numpy(batch.labels).to(device))
        with minigrad.no_grad():
            before, after = model(images), model(perturbed)
        report_attack(options, data, batch, to_numpy(perturbed), to_numpy(before), to_numpy(after))


def make_optimizer(parameters: list[nn.Parameter], options: Options) -> minigrad.optim.Optimizer:
    """SGD or AdamW over the parameters, weight decay on all of them."""
    if options.optimizer == "adamw":
        return minigrad.optim.AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay)
    return minigrad.optim.SGD(parameters, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay)


def clip(parameters: list[nn.Parameter], longest: float, wanted: bool) -> minigrad.Tensor | None:
    """Shorten the whole gradient to a 2-norm of `longest` (0: any); returns what its norm was, if that is wanted."""
    norm = None
    if longest:
        norm = nn.utils.clip_grad_norm_(parameters, longest)
    elif wanted:
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    return norm if wanted else None


@minigrad.no_grad()
def update_average(average: nn.Module, model: nn.Module, share: float) -> None:
    """average <- share average + (1 - share) weights, after each step; running statistics are the model's."""
    for mean, latest in zip(average.parameters(), model.parameters(), strict=True):
        mean.mul_(share).add_(latest, alpha=1 - share)
    for kept, now in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(now)


def to_numpy(value: minigrad.Tensor) -> np.ndarray:
    """The values on the host."""
    return value.detach().cpu().numpy()


def gpus() -> int:
    """How many GPUs this machine has."""
    return minigrad.cuda.device_count() if minigrad.is_gpu_available() else 0


def device_name(device: minigrad.Device) -> str:
    """The device in words."""
    return f"cpu ({minigrad.get_num_threads()} threads)" if device.type == "cpu" else str(device)


if __name__ == "__main__":
    sys.exit(main(train, list(MODELS)))
