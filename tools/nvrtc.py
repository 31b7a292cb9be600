"""Every CUDA source of minigrad compiled by the real NVRTC, as CuPy does it; no GPU is needed.

    python tools/nvrtc.py            registers, spills and shared memory of each kernel, as the table of docs/gpu.md
    python tools/nvrtc.py --write    writes that table into docs/gpu.md; pooling --write: that source's rows

NVRTC is the library of the wheel nvidia-cuda-nvrtc (the one that torch for CUDA brings along will do), or of a CUDA toolkit.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "minigrad/backends/gpu/cuda"
PAGE = ROOT / "docs/gpu.md"
ARCHITECTURES = (80, 90, 100)
TYPES = ("float", "double")
TAPS = ("unsigned char", "int")
CUPYS = ("-ftz=true", "--device-as-default-execution-space")
"""What CuPy adds to our options (cupy/cuda/compiler.py), but for the architecture."""
BEGIN, END = "<!-- kernels: made by python tools/nvrtc.py --write -->", "<!-- end of kernels -->"


class CompileError(RuntimeError):
    """NVRTC refuses a source; the message is its log."""


@dataclass(frozen=True)
class Cost:
    """What a kernel takes of a multiprocessor: registers a thread, bytes of shared memory a block, bytes spilled a thread."""

    kernel: str
    registers: int
    shared: int
    spilled: int


def _paths() -> Iterator[Path | str]:
    for distribution in metadata.distributions():
        if (distribution.metadata["Name"] or "").startswith("nvidia-cuda-nvrtc"):
            for file in distribution.files or ():
                if re.fullmatch(r"libnvrtc\.so\.\d+", file.name):
                    yield Path(str(distribution.locate_file(file)))
    yield from ("libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12")


@functools.cache
def library() -> ctypes.CDLL | None:
    """NVRTC, or None where it is not installed."""
    for path in _paths():
        try:
            for builtins in path.parent.glob("libnvrtc-builtins.so.*") if isinstance(path, Path) else ():
                ctypes.CDLL(str(builtins))  # NVRTC looks for it by name: what is loaded is found
            return ctypes.CDLL(str(path))
        except OSError:
            continue
    return None


def version() -> str:
    """NVRTC's version."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _nvrtc().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def _nvrtc() -> ctypes.CDLL:
    found = library()
    if found is None:
        raise CompileError("NVRTC is not installed: pip install nvidia-cuda-nvrtc nvidia-cuda-runtime")
    return found


def _text(program: ctypes.c_void_p, what: str) -> bytes:
    """What nvrtcGet{what} gives of a program."""
    size = ctypes.c_size_t()
    getattr(_nvrtc(), f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(max(size.value, 1))
    getattr(_nvrtc(), f"nvrtcGet{what}")(program, buffer)
    return buffer.raw[: size.value]


def compile_source(source: str, architecture: int, options: tuple[str, ...]) -> tuple[bytes, str]:
    """(cubin, log) of a source for sm_`architecture`, ptxas speaking of registers in the log. CompileError if refused."""
    program = ctypes.c_void_p()
    nvrtc = _nvrtc()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    try:
        given = [*options, *CUPYS, f"-arch=sm_{architecture}", "--ptxas-options=-v"]
        array = (ctypes.c_char_p * len(given))(*(option.encode() for option in given))
        code = nvrtc.nvrtcCompileProgram(program, len(given), array)
        log = _text(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if code:
            raise CompileError(log)
        return _text(program, "CUBIN"), log
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def source(name: str) -> str:
    """The source as the GPU backend hands it to CuPy."""
    text = (SOURCES / "common.cuh").read_text() + (SOURCES / f"{name}.cu").read_text()
    return re.sub(r'#include "(\w+\.cuh)"\n', lambda found: (SOURCES / found[1]).read_text(), text)


def names() -> list[str]:
    """The sources, by name."""
    return sorted(path.stem for path in SOURCES.glob("*.cu"))


def forms(name: str, scalar: str) -> tuple[int, ...]:
    """The values of the option TF32 with which a source is compiled: there are tensor cores for products of floats only."""
    return (0, 1, 3) if scalar == "float" and "#if TF32" in source(name) else (0,)


def costs(name: str, architecture: int, scalar: str, tap: str = TAPS[0], tf32: int = 0) -> list[Cost]:
    """What each kernel of a source costs. CompileError where the compiler refuses it or warns."""
    options = ("--std=c++17", f"-Dscalar_t={scalar}", f"-Dtap_t={tap}", f"-DTF32={tf32}")
    _, log = compile_source(source(name), architecture, options)
    if "warning" in log:
        raise CompileError(log)
    found = []
    for part in re.split(r"ptxas info\s*: Compiling entry function ", log)[1:]:
        kernel = re.match(r"'(\w+)'", part)
        registers, spills = (
            re.search(r"Used (\d+) registers", part),
            re.findall(r"(\d+) bytes spill (?:stores|loads)", part),
        )
        shared = re.search(r"(\d+) bytes smem", part)
        if kernel is None or registers is None:
            raise CompileError(f"no registers in NVRTC's log:\n{log}")
        found.append(Cost(kernel[1], int(registers[1]), int(shared[1]) if shared else 0, sum(map(int, spills))))
    return sorted(found, key=lambda cost: cost.kernel)


def table(compiled: Sequence[str], page: str = "") -> str:
    """Registers of each kernel: a column an architecture and type; shared memory, and what is spilled anywhere.

    The sources `compiled` are; the rows of the others are those of the page.
    """
    columns = [(architecture, scalar) for architecture in ARCHITECTURES for scalar in TYPES]
    lines = [
        f"NVRTC {version()}, options of CuPy 14.2; registers a thread, bytes of static shared memory a block (float, double).",
        "",
        "| kernel | source | " + " | ".join(f"sm_{a} {scalar}" for a, scalar in columns) + " | shared | spilled |",
        "| --- | --- |" + " ---: |" * (len(columns) + 2),
    ]
    for name in names():
        if name not in compiled:
            lines += [line for line in page.splitlines() if line.split("|")[2:3] == [f" {name}.cu "]]
            continue
        for tf32 in forms(name, "float"):
            lines += _rows(name, tf32, columns)
    return "\n".join(lines)


def _rows(name: str, tf32: int, columns: list[tuple[int, str]]) -> list[str]:
    """The kernels of a source, compiled with that TF32: a row each."""
    by_column = {
        column: {cost.kernel: cost for cost in costs(name, *column, tf32=tf32)}
        if tf32 in forms(name, column[1])
        else {}
        for column in columns
    }
    lines = []
    for kernel in by_column[columns[0]]:
        row = [by_column[column].get(kernel) for column in columns]
        sizes = [str(cost.shared) for cost in row[:2] if cost is not None]
        shared = " / ".join(sizes) if any(size != "0" for size in sizes) else "-"
        registers = " | ".join("-" if cost is None else str(cost.registers) for cost in row)
        spilled = max(cost.spilled for cost in row if cost is not None)
        title = f"{kernel}:TF32={tf32}" if tf32 else kernel
        lines.append(f"| {title} | {name}.cu | {registers} | {shared} | {spilled} |")
    return lines


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="*", choices=[[], *names()], help="compile these alone (all)", metavar="SOURCE")
    parser.add_argument("--write", action="store_true", help="write the table into docs/gpu.md")
    options = parser.parse_args()
    made = table(options.source or names(), PAGE.read_text() if options.write else "")
    if not options.write:
        print(made)
        return
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
