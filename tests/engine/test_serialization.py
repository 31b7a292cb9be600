"""minigrad.save and minigrad.load, and torch's: each reads what the other writes, and a bad file is one line."""

from __future__ import annotations

import collections
import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import nn, optim
from tests.test_rooms import ROOT

TYPES = ["float16", "float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]


def contents(fw: Any) -> dict[str, Any]:
    """Tensors of every kind, and plain Python around them."""
    x = fw.arange(120.0).reshape(2, 3, 4, 5)
    found: dict[str, Any] = {
        name: fw.arange(-2 if "u" not in name else 0, 4).to(getattr(fw, name)) for name in TYPES if name != "bool"
    }
    return found | {
        "bool": fw.tensor([True, False]), "number": fw.tensor(2.5), "empty": fw.zeros(0, 3), "view": x[1, :, ::2],
        "channels last": x.to(memory_format=fw.channels_last), "transposed": fw.arange(6.0).reshape(2, 3).t(),
        "repeated": fw.ones(1).expand(4), "leaf": fw.ones(2, requires_grad=True), "parameter": fw.nn.Parameter(fw.zeros(2)),
        "frozen": fw.nn.Parameter(fw.zeros(2), requires_grad=False), "nan": fw.tensor([float("nan"), float("inf"), -0.0]),
        "nested": [x[0], (1, 2.5, "text", None, True, b"\x00\xff", 2**70, -1), {"set": {1, 2}, 3: [[]]}],
        "ordered": collections.OrderedDict(b=1, a=fw.ones(1)), "counted": collections.Counter("abba"), "shape": x.shape,
        "device": fw.device("cpu"), "dtype": fw.float64, "complex": 1 + 2j,
    }  # fmt: skip


def same(ours: Any, theirs: Any, where_from: str = "file") -> None:
    """minigrad's and torch's object are one, layout and all."""
    if isinstance(theirs, torch.Tensor):
        assert type(ours).__name__ == type(theirs).__name__ and ours.requires_grad == theirs.requires_grad
        assert f"torch.{ours.dtype}" == str(theirs.dtype) and ours.is_leaf
        np.testing.assert_array_equal(ours.numpy(force=True), theirs.numpy(force=True))
        if where_from == "file":
            for format in ("contiguous_format", "channels_last"):
                formats = [
                    t.is_contiguous(memory_format=getattr(fw, format)) for fw, t in ((mg, ours), (torch, theirs))
                ]
                assert formats[0] == formats[1] or not ours.numel(), format
    elif isinstance(theirs, dict):
        assert type(ours) is type(theirs) and list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key], where_from)
    elif isinstance(theirs, (list, tuple)) and not isinstance(theirs, torch.Size):
        assert type(ours) is type(theirs) and len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other, where_from)
    elif isinstance(theirs, torch.dtype):
        assert f"torch.{ours}" == str(theirs)
    else:
        assert ours == theirs or str(ours) == str(theirs), (ours, theirs)
        assert type(ours).__name__.lower() == type(theirs).__name__.lower()


def test_torch_reads_ours_and_we_read_torchs(tmp_path: Path) -> None:
    mg.save(contents(mg), tmp_path / "ours.pth")
    torch.save(contents(torch), str(tmp_path / "theirs.pt"))
    expected = contents(torch)
    same(mg.load(tmp_path / "ours.pth"), torch.load(tmp_path / "ours.pth", weights_only=True))
    for path in (tmp_path / "ours.pth", str(tmp_path / "theirs.pt")):
        same(mg.load(path), expected, "another layout")  # of a view, what it shows is written
        same(contents(mg), torch.load(path, weights_only=True), "another layout")


@pytest.mark.parametrize("obj", [None, 3, "text", [1, [2]], {}, mg.ones(2), [mg.tensor(1)] * 2], ids=repr)
def test_anything_may_be_the_whole(obj: Any) -> None:
    file = io.BytesIO()
    mg.save(obj, file)
    file.seek(0)
    assert repr(mg.load(file)) == repr(obj)
    file.seek(0)
    assert repr(torch.load(file, weights_only=True)) == repr(obj)


@pytest.mark.parametrize("legacy, protocol", [(False, 2), (False, 4), (True, 2)])
def test_torchs_other_ways_of_writing(tmp_path: Path, legacy: bool, protocol: int) -> None:
    """The files of before torch 1.6, which are no zips, and other protocols of pickle."""
    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    path = tmp_path / "old.pth"
    torch.save({"state": state}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    same(mg.load(path)["state"], state)


def test_models_and_optimizers_go_on(tmp_path: Path, device: str) -> None:
    mg.manual_seed(0)

    def made() -> tuple[Any, Any]:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).to(device)
        return model, optim.Adam(model.parameters(), lr=0.1)

    def step(model: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        model(mg.arange(15.0, device=device).reshape(5, 3) / 15).square().sum().backward()
        optimizer.step()

    model, optimizer = made()
    step(model, optimizer)
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "rng": mg.get_rng_state(),
    }
    mg.save(checkpoint, tmp_path / "last.pth")
    found = mg.load(tmp_path / "last.pth")
    assert found["epoch"] == 3 and found["model"]._metadata == model.state_dict()._metadata
    assert found["model"]["0.weight"].device == device
    other, again = made()
    other.load_state_dict(found["model"])
    again.load_state_dict(found["optimizer"])
    mg.set_rng_state(found["rng"])
    step(model, optimizer)
    step(other, again)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert p.tolist() == q.tolist()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    theirs.load_state_dict(torch.load(tmp_path / "last.pth", weights_only=True, map_location="cpu")["model"])
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    assert other.load_state_dict(mg.load(tmp_path / "theirs.pth", map_location=device)) is not None


def test_one_memory_stays_one() -> None:
    x = mg.ones(3)
    file = io.BytesIO()
    mg.save({"a": x, "b": x.detach(), "c": x, "d": mg.ones(3)}, file)
    file.seek(0)
    found = mg.load(file)
    found["a"].fill_(5)
    assert found["a"] is found["c"] and found["b"].tolist() == [5.0] * 3 and found["d"].tolist() == [1.0] * 3
    file.seek(0)
    theirs = torch.load(file, weights_only=True)
    assert theirs["a"].data_ptr() == theirs["b"].data_ptr() != theirs["d"].data_ptr()
    with zipfile.ZipFile(file) as archive:
        assert sum("/data/" in name for name in archive.namelist()) == 2
    large = mg.zeros(100_000)
    file = io.BytesIO()
    mg.save(large[:3], file)
    assert len(file.getvalue()) < 5000
    shared = torch.arange(6.0)
    file = io.BytesIO()
    torch.save([shared, shared[2:4], shared.view(2, 3).t()], file)
    file.seek(0)
    whole, part, turned = mg.load(file)
    whole[2] = 9
    assert part.tolist() == [9.0, 3.0] and turned.tolist() == [[0.0, 3.0], [1.0, 4.0], [9.0, 5.0]]


def test_bfloat16_becomes_float32() -> None:
    file = io.BytesIO()
    x = torch.tensor([1.5, -3.0, float("inf"), 1e-30]).bfloat16()
    torch.save(x, file)
    file.seek(0)
    found = mg.load(file)
    assert found.dtype == np.float32 and found.tolist() == x.float().tolist()


def test_a_file_of_the_other_byte_order(tmp_path: Path) -> None:
    from torch.serialization import LoadEndianness, get_default_load_endianness, set_default_load_endianness

    mg.save([mg.arange(3), mg.tensor([1.5])], tmp_path / "little.pth")
    with zipfile.ZipFile(tmp_path / "little.pth") as old, zipfile.ZipFile(tmp_path / "big.pth", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            elif "/data/" in name:
                data = np.frombuffer(data, np.int64 if len(data) == 24 else np.float32).byteswap().tobytes()
            new.writestr(name, data)
    assert [x.tolist() for x in mg.load(tmp_path / "big.pth")] == [[0, 1, 2], [1.5]]
    assert get_default_load_endianness() is None and LoadEndianness.NATIVE and set_default_load_endianness


def archive(pickled: bytes, **parts: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new:
        new.writestr("archive/data.pkl", pickled)
        for name, data in parts.items():
            new.writestr(f"archive/{name}", data)
    file.seek(0)
    return file


def of_a_gpu() -> io.BytesIO:
    """A file whose tensor was on a GPU."""
    file = io.BytesIO()
    mg.save([mg.ones(2)], file)
    with zipfile.ZipFile(file) as old:
        pickled = old.read("archive/data.pkl").replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
        return archive(pickled, **{"data/0": old.read("archive/data/0"), "version": b"3"})


def test_where_tensors_go(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = mg.device(device)
    for where in (device, target, {"cuda:0": device}, lambda x, location: x.to(device), lambda x, location: device):
        assert mg.load(of_a_gpu(), map_location=where)[0].device == device
    assert mg.load(of_a_gpu(), lambda storage, location: storage)[0].device == "cpu"
    assert torch.load(of_a_gpu(), weights_only=True, map_location="cpu")[0].tolist() == [1.0, 1.0]
    monkeypatch.setattr("minigrad.utils.serialization.is_gpu_available", lambda: False)
    for where in (None, {"cuda:1": "cpu"}, lambda storage, location: None):
        with pytest.raises(mg.CheckpointError, match="on cuda:0, which is not here: use map_location='cpu'"):
            mg.load(of_a_gpu(), map_location=where)
    with pytest.raises(mg.DeviceError, match="gpu:99"):
        mg.load(of_a_gpu(), map_location="gpu:99")


@pytest.mark.gpu
def test_from_a_gpu_to_a_gpu() -> None:
    file = io.BytesIO()
    mg.save([mg.ones(2, 3, device="gpu").t()], file)
    for where, expected in ((None, "gpu:0"), ("cpu", "cpu")):
        file.seek(0)
        (found,) = mg.load(file, where)
        assert found.device == expected and found.tolist() == [[1.0, 1.0]] * 3
    file.seek(0)
    assert torch.load(file, weights_only=True, map_location="cpu")[0].shape == (3, 2)


class Mischief:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_is_executed(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for call in (
        (Path.touch, (marker,)), (eval, (f"open({str(marker)!r}, 'w')",)), (getattr, ("", "upper")),
        (print, ("read",)), (np.array, ([1],)),
    ):  # fmt: skip
        for protocol in (2, 4):
            with pytest.raises(
                mg.CheckpointError, match="refused, for loading it could execute code: it asks for"
            ) as error:
                mg.load(archive(pickle.dumps(Mischief(*call), protocol)))
            assert "\n" not in str(error.value)
    assert not marker.exists()
    path = tmp_path / "model.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(mg.CheckpointError, match="model.pth: it is refused.*torch.nn.modules.linear.Linear"):
        mg.load(path)
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=False)
    with pytest.raises(mg.CheckpointError, match="model.pth: it is refused"):
        mg.load(path)
    # What is known cannot be changed from within a pickle.
    state = b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00ad}sb."
    with pytest.raises(mg.CheckpointError):
        mg.load(archive(state))


def test_a_bad_file_is_one_line(tmp_path: Path) -> None:
    good = io.BytesIO()
    mg.save({"x": mg.arange(1000.0)}, good)
    data = good.getvalue()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    reaching = pickle.dumps(1)
    with zipfile.ZipFile(good) as old:
        reaching = old.read("archive/data.pkl")
    bad = {
        "empty": b"", "text": b"hello", "cut": data[: len(data) // 2], "flipped": bytes(flipped), "pickle": pickle.dumps(1),
        "html": b"<!DOCTYPE html>", "half a pickle": b"\x80\x02}q", "half of a zip": data[:100],
        "another zip": zipped({"a.txt": b"a"}), "no storage": archive(reaching).getvalue(),
        "a short storage": archive(reaching, **{"data/0": b"\x00" * 8}).getvalue(),
        "an empty pickle": archive(b"").getvalue(),
    }  # fmt: skip
    for name, content in bad.items():
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content)
        for source in (path, str(path), io.BytesIO(content)):
            with pytest.raises(mg.CheckpointError) as error:
                mg.load(source)
            assert "\n" not in str(error.value) and (name in str(error.value) or not isinstance(source, Path)), name
    for missing in (tmp_path / "missing.pth", tmp_path):
        with pytest.raises(mg.CheckpointError, match=f"{missing.name} cannot be read"):
            mg.load(missing)
    for theirs, what in (
        (torch.ones(2, dtype=torch.complex64), "ComplexFloatStorage"), (torch.eye(2).to_sparse(), "_rebuild_sparse_tensor"),
        (torch.bfloat16, "a type that is not built: bfloat16"),
    ):  # fmt: skip
        file = io.BytesIO()
        torch.save(theirs, file)
        file.seek(0)
        with pytest.raises(mg.CheckpointError, match=what):
            mg.load(file)
    with pytest.raises(TypeError, match="a path or a file object"):
        mg.load(3)


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return file.getvalue()


def test_a_tensor_that_reaches_past_its_storage() -> None:
    file = io.BytesIO()
    torch.save(torch.arange(4.0), file)
    with zipfile.ZipFile(file) as old:
        root = old.namelist()[0].split("/")[0]
        pickled = old.read(f"{root}/data.pkl").replace(b"K\x04\x85", b"K\x05\x85")
        with pytest.raises(mg.CheckpointError, match=r"size \[5\] and stride \[1\] reaches past its storage"):
            mg.load(archive(pickled, **{"data/0": old.read(f"{root}/data/0"), "byteorder": b"little"}))


@pytest.mark.parametrize(
    "obj, message",
    [
        (nn.Linear(2, 2), "not Linear: its state_dict"), (np.ones(2), "not ndarray: minigrad.from_numpy"),
        ({"a": [np.float64(2)]}, "Python's numbers"), (lambda: 1, "not function"), (Path("x"), "not PosixPath"),
        ({"a": object()}, "not object"), (mg.Tensor, "not type"), (mg.from_numpy(np.ones(2, np.uint16)), "no storage for uint16"),
    ],
    ids=["module", "array", "numpy number", "function", "path", "object", "class", "uint16"],
)  # fmt: skip
def test_what_is_not_written(tmp_path: Path, obj: Any, message: str) -> None:
    path = tmp_path / "x.pth"
    with pytest.raises(TypeError, match=message):
        mg.save(obj, path)
    with pytest.raises(TypeError, match="a path or a file object"):
        mg.save(1, 3)
    assert not list(tmp_path.iterdir())


def test_without_torch(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(contents(torch), path)
    code = (
        f"import sys; sys.modules['torch'] = None; import minigrad as mg; x = mg.load({str(path)!r}); "
        f"mg.save(x, {str(path)!r}); print(mg.load({str(path)!r})['number'])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "tensor(2.5000)"
    same(mg.load(path), torch.load(path, weights_only=True))
