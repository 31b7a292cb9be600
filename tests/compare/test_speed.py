"""The benchmark measures what it says, and refuses what it cannot measure. No time is asserted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare import speed
from compare.__main__ import COMMANDS, main
from compare.kit.distances import norm_distance
from compare.kit.job import IMPLEMENTATIONS, Job, Training, make_start, part
from compare.kit.machine import commit, numerical_variables
from compare.kit.result import RESULTS, read_result
from compare.kit.statistics import paired_ratios, summarize
from compare.kit.worker import LOADED_GROUPS, PHASES, ROOT, Server, Worker, load_arrays, save_arrays
from compare.speed.agreement import TOLERANCES, agree, compare_runs
from minigrad.errors import MinigradError, OptionError

JOB = Job("simplenet", batch=2, image_size=32, device="cpu", threads=1, seed=1)


def test_a_small_run_from_end_to_end(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    command = ["speed", "--batch", "2", "--image-size", "32", "--steps", "1", "--rounds", "2", "--threads", "1"]
    command += ["--attack", "--attack-steps", "2", "--loading"]
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
    done = subprocess.run(
        [sys.executable, "-m", "compare", *command, "--clean-env", "--no-channels-last", "--json", str(file)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "all computed the same" in done.stdout
    result = json.loads(file.read_text())
    assert {"format", "command", "started", "commit", "machine", "job", "rounds", "steps"} < result.keys()
    assert result["command"].startswith("python -m compare speed --batch 2")
    assert result["machine"]["variables"] == {}  # --clean-env took OPENBLAS_CORETYPE away
    assert result["job"]["seed"] == 2024 and result["job"]["model"] == "simplenet"
    assert list(result["tracks"]) == ["minigrad", "torch"]
    for name, training in result["tracks"].items():
        assert training["facts"]["threads"] == 1
        assert len(training["losses"]) == speed.measure.CHECKED_STEPS
        assert [len(turn["seconds"]) for turn in training["turns"]] == [1, 1]
        for turn in training["turns"]:
            assert sum(turn["phases"][0]) == pytest.approx(turn["seconds"][0])
        assert training["summary"]["seconds"]["count"] == 2
        assert training["summary"]["phases"].keys() == set(PHASES)
        memory = result["memory"][name]
        assert memory["peak"] - memory["ready"] == memory["above_ready"] > 0
    assert len(result["ratios"]["torch"]["rounds"]) == 2
    assert result["agree"] is True
    assert list(tmp_path.iterdir()) == [file]
    attack = result["attack"]
    assert (attack["preset"], attack["steps"], list(attack["agreement"])) == ("handout", 2, ["minigrad"])
    for name, training in attack["tracks"].items():
        trained = result["tracks"][name]["turns"]
        for turn, under_attack, passes in zip(trained, training["turns"], training["passes"], strict=True):
            assert under_attack["seconds"] / sum(turn["phases"][0][:2]) == pytest.approx(passes)
    assert len(attack["ratios"]["torch"]["rounds"]) == 2
    loading = result["loading"]
    assert (loading["data"], loading["workers"], loading["channels"]) == ("fashion-mnist-small", 0, 1)
    assert all(0 < n < s for n, s in zip(loading["normalising"], loading["seconds"], strict=True))
    assert len(loading["seconds"]) == LOADED_GROUPS


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--model", "nonesuch"], ["nonesuch", "simplenet-bn"]),
        (["--batch", "0"], ["--batch", "from 1", "'0'"]),
        (["--batch", "many"], ["--batch", "'many'"]),
        (["--image-size", "7"], ["--image-size", "8"]),
        (["--rounds", "-1"], ["--rounds"]),
        (["--device", "tpu"], ["tpu", "gpu"]),
        (["--json", "/nonesuch/result.json"], ["/nonesuch/result.json"]),
        (["--json", "."], ["--json"]),
        (["--json", "compare/results/overhead-cpu.json"], ["compare overhead 1", "nothing was overwritten"]),
        (["--picture", "result.pdf"], ["result.pdf", ".png"]),
        (["--picture", "/nonesuch/result.png"], ["/nonesuch/result.png"]),
        (["--attack", "nonesuch"], ["nonesuch", "untargeted"]),
        (["--attack", "--attack-steps", "0"], ["--attack-steps"]),
        (["--data", "CIFAR10"], ["CIFAR10", "--loading"]),
        (["--loading", "--data", "/nonesuch"], ["/nonesuch", "fashion-mnist-small"]),
        (["--set", "depth=6"], ["depth=6", "simplenet has no settings"]),
        (["--model", "vit", "--set", "deep=6"], ["deep=6", "depth", "window_blocks"]),
        (["--model", "vit", "--set", "depth=six"], ["depth=six", "depth=4"]),
        (["--model", "vit", "--set", "depth"], ["--set depth", "depth=4"]),
        (["--model", "vit", "--set", "depth=true"], ["depth=true", "depth=4"]),
        (["--model", "vit", "--set", "shift=1"], ["shift=1", "shift=false"]),
        (["--model", "vit", "--set", 'window_blocks=[0,"1"]'], ["window_blocks=[0, 2]"]),
        (["--model", "vit", "--set", "window_blocks=1"], ["window_blocks=[0, 2]"]),
        (["--model", "vit", "--set", "patch_size=[8,8]"], ["patch_size=16"]),
        (["--model", "vit", "--set", "mlp_ratio=Infinity"], ["mlp_ratio=4.0"]),
        (["--model", "vit", "--set", "heads=5"], ["heads", "192"]),
        (["--model", "vit", "--image-size", "100"], ["patch_size", "100"]),
        (["--nonesuch"], ["--nonesuch"]),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: list[str], capsys: Any) -> None:
    assert main(["speed", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert all(word in printed.err for word in words), printed.err


def test_an_unknown_command_lists_the_known_ones(capsys: Any) -> None:
    assert main(["nonesuch"]) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in ("nonesuch", *COMMANDS))
    assert main([]) == 0
    usage = capsys.readouterr().out
    assert all(name in usage for name in COMMANDS)


def test_no_gpu_is_one_line() -> None:
    """In a process of its own, without the tests' stand-in for CuPy; and in torch's worker."""
    torch = pytest.importorskip("torch")
    code = "import sys; sys.modules['cupy'] = None; from compare.__main__ import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "speed", "--device", "gpu"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "GPU" in done.stderr
    if not torch.cuda.is_available():
        with pytest.raises(MinigradError, match="finds no such GPU"):
            Training("torch", Job("simplenet", 2, 32, "gpu:0", None, 1))


def test_torch_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MinigradError, match="PyTorch cannot be imported"):
        Training("torch", JOB)


def test_a_worker_that_dies_is_named() -> None:
    with Worker("minigrad", JOB, os.environ) as worker:
        worker.process.kill()
        with pytest.raises(MinigradError, match="process of minigrad ended unasked"):
            worker.ask("turn", steps=1, by_phase=True)


def test_only_what_is_needed_is_loaded() -> None:
    code = "import sys, compare.speed; print([m for m in ('torch', 'cupy', 'matplotlib', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr


@pytest.fixture
def start(tmp_path: Path) -> str:
    path = tmp_path / "start.npz"
    save_arrays(path, make_start(JOB))
    return str(path)


def test_each_device_takes_the_same_steps(device: str, start: str, tmp_path: Path) -> None:
    """minigrad on the CPU, and through the stand-in where there is no GPU: timed whole, by phase, and its memory."""
    from minigrad import get_device

    job = Job(**{**JOB.as_dict(), "device": str(get_device(device))})
    server = Server("minigrad", job)
    assert server.build(start)["device"] == job.device
    losses = server.first_steps(2, str(tmp_path / f"{device}.npz"))
    whole, by_phase = server.turn(1, by_phase=False), server.turn(1, by_phase=True)
    assert len(whole["seconds"]) == len(by_phase["seconds"]) == 1
    assert len(whole["seconds"][0]) == 1 and len(by_phase["seconds"][0]) == len(PHASES)
    assert by_phase["loss"] < whole["loss"] < losses[1] < losses[0]  # it learns
    memory = Server("minigrad", job).memory(start, 1)
    assert memory["peak"] >= memory["ready"] > 0 or device == "gpu"
    assert memory["peak"] > 4 * sum(array.size for array in part(load_arrays(start), "model").values())

    other = Server("minigrad", JOB)
    other.build(start)
    expected = other.first_steps(2, str(tmp_path / "expected.npz"))
    after, other = load_arrays(tmp_path / f"{device}.npz"), load_arrays(tmp_path / "expected.npz")
    found = compare_runs(losses, expected, load_arrays(start), after, other)
    assert agree({device: found}), found


def test_a_wrong_gradient_is_noticed(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bias whose gradient is 20 % too large moves no loss by 1e-4 in two steps; the weights tell."""
    runs = {}
    for name in ("right", "wrong"):
        if name == "wrong":
            monkeypatch.setattr(Training, "update", _update_wrongly)
        server = Server("minigrad", JOB)
        server.build(start)
        path = tmp_path / f"{name}.npz"
        runs[name] = server.first_steps(speed.measure.CHECKED_STEPS, str(path)), load_arrays(path)
    before = load_arrays(start)
    (losses, after), (wrong_losses, wrong_after) = runs["right"], runs["wrong"]
    assert agree({"itself": compare_runs(losses, losses, before, after, after)})
    found = compare_runs(wrong_losses, losses, before, wrong_after, after)
    assert found["loss"] < TOLERANCES["loss"]
    assert found["where"] == {"gradient": "features.5.bias", "change": "features.5.bias"}
    assert found["gradient"] == pytest.approx(0.2) and found["change"] > TOLERANCES["change"]
    assert not agree({"right": found})
    assert not agree({"right": compare_runs([losses[0], float("nan")], losses, before, after, after)})


def _update_wrongly(training: Training) -> None:
    training.model.features[5].bias.grad.array *= 1.2
    training.optimizer.step()


def first_steps(
    job: Job, name: str, folder: Path
) -> tuple[Any, list[float], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The first steps of an implementation, in this process: the training, its losses, the start, what is saved."""
    start, after = folder / "start.npz", folder / "after.npz"
    save_arrays(start, make_start(job))
    server = Server(name, job)
    server.build(str(start))
    losses = server.first_steps(speed.measure.CHECKED_STEPS, str(after))
    return server.open, losses, load_arrays(start), load_arrays(after)


@pytest.mark.parametrize("name", [name for name in IMPLEMENTATIONS if name != "torch compiled"])
def test_all_implementations_attack_alike_and_stay_as_they_were(name: str, start: str, tmp_path: Path) -> None:
    found = []
    for who in (name, "torch"):
        server = Server(who, JOB)
        server.build(start)
        before = server.open.weights()
        server.perturbation("handout", 2, str(tmp_path / "ends.npz"))
        taken = server.attack("handout", 2)
        training = server.open
        handout, untargeted = (training.attacked(preset, 1).numpy(force=True) for preset in ("handout", "untargeted"))
        assert (handout != untargeted).any()
        assert taken["seconds"] > 0 and all(
            (before[key] == array).all() for key, array in server.open.weights().items()
        )
        assert server.open.model.training and all(p.grad is None for p in server.open.model.parameters())
        found.append(load_arrays(tmp_path / "ends.npz"))
    ours, theirs = found
    assert np.abs(ours["first"]).max() == pytest.approx(0.01, rel=1e-3)  # alpha
    assert np.abs(ours["last"]).max() == pytest.approx(0.02, rel=1e-3)
    distances = {when: norm_distance(ours[when], theirs[when]) for when in ("first", "last")}
    assert speed.measure.attacks_agree({"agreement": {name: distances}}), distances


@pytest.mark.parametrize("wrong", [{"first": 2.0}, {"last": 0.3}, {"last": float("nan")}])
def test_another_attack_is_noticed(wrong: dict[str, float]) -> None:
    right = {"first": 0.0, "last": 0.06}
    assert speed.measure.attacks_agree({"agreement": {"minigrad": right}})
    assert not speed.measure.attacks_agree({"agreement": {"torch channels-last": right, "minigrad": right | wrong}})


def test_passes_are_of_the_same_implementations_forward_and_backward() -> None:
    """A round in which the machine is half as fast changes nothing; the update is no part of a pass."""
    timed = {name: {"turns": [{"phases": [[1, 2, 9]]}, {"phases": [[2, 4, 9]]}]} for name in ("minigrad", "torch")}
    turns = [{"seconds": 6.0}, {"seconds": 12.0}]
    slower = [{"seconds": 12.0}, {"seconds": 24.0}]
    found = speed.measure.summarize_attack({"minigrad": {"turns": turns}, "torch": {"turns": slower}}, timed)
    assert found["tracks"]["minigrad"]["passes"] == [2, 2] and found["tracks"]["torch"]["passes"] == [4, 4]
    assert found["ratios"]["torch"]["rounds"] == [0.5, 0.5]


def test_the_loader_is_timed_with_its_workers() -> None:
    found = Server("loader", replace(JOB, batch=100, image_size=28)).loading(None, 2)
    assert (found["workers"], found["group"], len(found["seconds"])) == (2, 4, LOADED_GROUPS)
    assert all(0 < n < s for n, s in zip(found["normalising"], found["seconds"], strict=True))


@pytest.mark.parametrize("path", sorted(RESULTS.glob("speed-*.json")), ids=lambda path: path.stem)
def test_what_is_committed_can_be_shown(path: Path) -> None:
    result = read_result(path, speed.COMMAND.format)
    time, *_, agreement = speed.show.tables(result)
    assert [row[0] for row in time.rows] == list(result["tracks"])
    assert {row[0] for row in agreement.rows} == set(result["tracks"]) - {"torch"}
    text = speed.show.verdict(result)
    ours = result["tracks"]["minigrad"]["summary"]["seconds"]["median"]
    assert result["job"]["model"] in text and f"{1000 * ours:.1f} ms" in text and "of torch's time" in text
    (picture,) = speed.show.pictures(result).values()
    assert picture.startswith(b"\x89PNG")


def test_the_vision_transformer_trains_by_its_recipe_with_the_same_masks(tmp_path: Path) -> None:
    """AdamW, clipping, drop path in training mode. The biases of keys go anywhere in both frameworks: the measure knows."""
    arguments = ["--model", "vit", "--batch", "4", "--image-size", "32", "--threads", "1"]
    settings = ["dim=32", "drop_path=0.5", "dropout=0.1"]
    job = speed.measure.make_job(
        speed.COMMAND.parse([*arguments, *(f"--set={setting}" for setting in settings)]), "cpu"
    )
    assert (job.optimizer, job.clip_grad, job.weight_decay) == ("adamw", 1, 0.05)
    assert (job.settings["dim"], job.settings["patch_size"], job.settings["drop_path"]) == (32, 4, 0.5)
    assert Job(**json.loads(json.dumps(job.as_dict()))) == job
    job = replace(job, clip_grad=0.01)
    _, losses, start, after = first_steps(job, "minigrad", tmp_path)
    _, their_losses, _, other = first_steps(job, "torch", tmp_path)
    found = compare_runs(losses, their_losses, start, after, other)
    assert agree({"minigrad": found}), found
    for arrays in (after, other):
        norm = np.sqrt(sum(float((g**2).sum()) for g in part(arrays, "gradient").values()))
        assert norm == pytest.approx(0.01, rel=1e-3)
    key = "model.blocks.1.attn.qkv.bias"  # of queries, keys and values, 32 each

    def turned(part: slice) -> dict[str, np.ndarray]:
        """What torch came to, had these biases gone as far the other way."""
        array = other[key].copy()
        array[part] = 2 * start[key][part] - array[part]
        return {**other, key: array}

    assert agree({"minigrad": compare_runs(losses, their_losses, start, after, turned(slice(32, 64)))})
    assert not agree({"minigrad": compare_runs(losses, their_losses, start, after, turned(slice(64, 96)))})


@pytest.mark.parametrize("name", speed.measure.CUSTOM_CONV)
def test_the_textbooks_convolutions_are_run(name: str, tmp_path: Path) -> None:
    training, losses, start, after = first_steps(JOB, name, tmp_path)
    _, their_losses, _, other = first_steps(JOB, "torch", tmp_path)
    found = compare_runs(losses, their_losses, start, after, other)
    assert agree({name: found}), found
    training.forward()
    nodes, stack = set(), [training.last_loss.grad_fn]
    while stack:
        node = stack.pop()
        nodes.add(type(node).__name__)
        stack += [below for below, _ in getattr(node, "next_functions", ()) if below is not None]
    assert {"minigrad definition": "Unfold"}.get(name, "UnfoldConvolutionBackward") in nodes
    assert not nodes & {"Conv2d", "Conv2dRelu", "Conv2dReluMaxPool2d", "ConvolutionBackward0"}
    if name != "minigrad definition":
        assert training.model.features[0].keep_columns == name.endswith("columns kept")


def test_the_memory_of_the_textbooks_convolutions_is_set_beside_torchs() -> None:
    memory = {"minigrad": {"above_ready": 1}, "torch": {"above_ready": 4}}
    assert speed.show.custom_conv(memory) == []
    (line,) = speed.show.custom_conv(memory | {"torch custom-conv, columns kept": {"above_ready": 8}})
    assert line == "peak above ready / torch's: torch custom-conv, columns kept 2.00"


def test_disagreement_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Whatever was measured, if losses, gradients or changes differ the command fails; NaN agrees with nothing."""
    for what, distance in (("loss", 2e-4), ("loss", float("nan")), ("gradient", 0.2), ("change", float("nan"))):
        zeros = {"loss": 0.0, "gradient": 0.0, "change": 0.0, "where": {"gradient": "fc.bias", "change": "fc.weight"}}
        measured = {
            "tracks": {"minigrad": _timed(1.0), "torch": _timed(2.0)},
            "ratios": {"torch": {"rounds": [0.5], "summary": summarize([0.5])}},
            "agreement": {"minigrad": zeros | {what: distance}},
        }
        monkeypatch.setattr(speed.measure, "measure_time", lambda *_, measured=measured: measured)
        assert main(["speed", "--no-memory"]) == 1
        assert "NOT THE SAME COMPUTATION" in capsys.readouterr().out
        assert agree({"minigrad": zeros})


def _timed(seconds: float) -> dict[str, Any]:
    turn = {"seconds": [seconds], "phases": [[seconds / 4, seconds / 2, seconds / 4]], "processor": [seconds]}
    turns = [{**turn, "idle": 0.0, "loss": 1.0}]
    return {"facts": {"threads": 1}, "losses": [1.0], "turns": turns, "summary": speed.measure.summarize_turns(turns)}


def test_summary() -> None:
    assert summarize([4.0, 1.0, 3.0, 2.0, 5.0]) == {"count": 5, "min": 1, "lower": 2, "median": 3, "upper": 4}
    assert summarize([1.0, 2.0])["lower"] == 1.25
    with pytest.raises(ValueError, match="no values"):
        summarize([])


def test_ratios_are_of_the_same_round() -> None:
    """A machine that halves its speed in the second round does not change them; an outlier does not either."""
    ours, theirs = [[1.0, 1.0, 9.0], [2.0, 2.0, 2.0]], [[4.0, 4.0, 4.0], [8.0, 8.0, 80.0]]
    assert paired_ratios(ours, theirs) == [0.25, 0.25]
    with pytest.raises(ValueError):
        paired_ratios(ours, theirs[:1])


def test_norm_distance() -> None:
    assert norm_distance(np.array([3.0, 4.4]), np.array([3.0, 4.0])) == pytest.approx(0.08)
    assert norm_distance(np.zeros(2), np.zeros(2)) == 0
    assert norm_distance(np.ones(2), np.zeros(2)) == float("inf")


def test_environment_and_commit(tmp_path: Path) -> None:
    environment = {"OMP_NUM_THREADS": "3", "HOME": "/", "OPENBLAS_CORETYPE": "Zen", "MKL_X": "1", "GOMP_SPINCOUNT": "0"}
    assert speed.measure.clean(environment) == {"HOME": "/"}
    assert numerical_variables(environment).keys() == environment.keys() - {"HOME"}
    assert commit(tmp_path) is None


def test_implementations_are_there_when_asked_for() -> None:
    def names(device: str, *arguments: str) -> list[str]:
        return speed.measure.implementations(speed.COMMAND.parse(arguments), device)

    assert names("cpu") == ["minigrad", "torch", "torch channels-last"]
    assert names("cpu", "--compile", "--no-channels-last") == ["minigrad", "torch", "torch compiled"]
    assert names("gpu:0", "--custom-conv") == list(IMPLEMENTATIONS)
    assert names("cpu", "--custom-conv", "--no-channels-last") == ["minigrad", "torch", *speed.measure.CUSTOM_CONV]
    assert "torch compiled" not in names("gpu:0", "--no-compile")
    with pytest.raises(OptionError):
        speed.COMMAND.parse(["--compile=maybe"])


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="processes as Linux lists them"
)
def test_ctrl_c_while_the_workers_work_is_one_line(tmp_path: Path) -> None:
    """One line, exit code 130, and no worker is left."""
    command = [sys.executable, "-m", "compare", "speed", "--batch", "4", "--image-size", "32"]
    process = subprocess.Popen(
        [*command, "--json", str(tmp_path / "result.json")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),  # a shell's background ignores it
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "minigrad: first steps\n"
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "stopped\n")
    assert len(workers) >= 2 and not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    assert not list(tmp_path.iterdir())
