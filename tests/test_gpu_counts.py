"""tools/gpu_counts.py: what a training step gives a GPU to do, counted on the stand-in."""

from __future__ import annotations

import pytest

from tests import emulator
from tools import gpu_counts

pytestmark = [
    pytest.mark.skipif(emulator.compiler() is None, reason="no g++ to emulate CUDA with"),
    pytest.mark.skipif(emulator.real_cupy() is not None, reason="counted on the stand-in, and CuPy itself is here"),
]


def test_a_dry_step_launches_what_a_step_does() -> None:
    from compare.kit.job import Training, make_start
    from tools.gpu_steps import make_job

    dry = gpu_counts.count("simplenet", 2, 32)
    job = make_job("simplenet", 2, 32)
    training = Training("minigrad", job)
    training.build(make_start(job))
    for _ in range(gpu_counts.WARM_UP):
        training.step()
    with emulator.counted() as launches:
        training.step()
    assert launches == dry.launches and dry.waits == 0


@pytest.mark.parametrize(
    ("model", "most", "share"), [("simplenet", 80, 0.48), ("vit", 150, 1.06), ("resnet18", 250, 1.0)]
)
def test_a_step_of_256_images_has_few_launches(model: str, most: int, share: float) -> None:
    """And its peak of memory is no more than that share of what PyTorch saves."""
    step = gpu_counts.count(model, 256, 128)
    assert emulator.work(step.launches) <= most and step.waits == 0
    assert step.torch_saves is None or step.peak <= share * step.torch_saves


def test_what_torch_saves_is_its_activations() -> None:
    """Of SimpleNet: the batch, a map behind each ReLU, two pooled maps with their 64-bit indices, the weights."""
    pytest.importorskip("torch")
    found = gpu_counts.torch_saves("simplenet", 2, 128)
    maps = (
        64 * 64**2
        + 64 * 32**2 * 5
        + 256 * 32**2
        + 256 * 16**2
        + 2 * (64 * 32**2 + 256 * 16**2)
        + 128 * 16**2 * 2
        + 512 * 16**2
    )
    least = 4 * 2 * (3 * 128**2 + maps - 2 * 64 * 32**2)
    assert found is not None and least <= found <= least + 4 * 365_028 + 4 * 2 * (512 + 100 + 8) + 2**12


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gpu_counts.py", "vit", "--batch", "2", "--image-size", "32", "--names"])
    gpu_counts.main()
    said = capsys.readouterr().out
    assert "| vit |" in said and " x kernel       layer_norm " in said and "launches" in said
    monkeypatch.setattr("sys.argv", ["gpu_counts.py", "lenet"])
    with pytest.raises(SystemExit):
        gpu_counts.main()
    page = f"before\n{gpu_counts.BEGIN}\nold\n{gpu_counts.END}\nafter"
    assert gpu_counts.written(page, "new") == f"before\n{gpu_counts.BEGIN}\n\nnew\n\n{gpu_counts.END}\nafter"
