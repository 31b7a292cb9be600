"""The tests as other processors would run them: make test-processors.

    python tools/processors.py [--only WORD ...] [--passes N] [--whole] [--keep FILE] [--write] [-- PYTEST ARGUMENTS]

NumPy, OpenBLAS, oneDNN, MKL and torch choose their kernels by the processor they find, and kernels round in orders of their
own. Each has a variable that makes it choose as on an older one. A **setting** is a few of these variables; the tests run
once under each, in a process of its own, and a table of setting by result is printed, row after row.

Before its tests a setting is **looked at**: a process asks each library which kernels it has chosen, and takes a checksum of
what they compute. A core type that the processor cannot run is left out by the processor's flags; a setting with which all
answers and checksums are those of an earlier one (OpenBLAS without kernels for Zen takes Haswell's) is not run again, and
its row says so.

By default the tests are those that train, attack or compare runs, the slow ones left out; --whole takes all folders, and
arguments after -- go to pytest as they are (folders, -k, -x). --only takes the settings with one of the WORDs in their names.
--keep FILE adds each row to FILE, and takes those rows from it that were measured before on the same commit with the same
tests: a broken matrix goes on. --write puts the table into docs/processors.md, in place of this processor's last one.

Exit code 1 if anything is red or does not come to an end. --look only looks.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from compare.kit.machine import commit, describe_machine  # noqa: E402

PAGE = ROOT / "docs" / "processors.md"
FOLDERS = [
    f"tests/{name}" for name in ("training", "attacks", "attribution", "compare", "models", "backends", "properties")
]
LIMIT = 60
"""Minutes after which a setting's tests count as not coming to an end."""

CORES: dict[str, set[str]] = {
    "Prescott": {"pni"}, "Nehalem": {"sse4_2"}, "Sandybridge": {"avx"}, "Haswell": {"avx2", "fma"}, "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
    "Cooperlake": {"avx512f", "avx512_bf16"}, "SapphireRapids": {"avx512_bf16", "amx_bf16"},
}  # fmt: skip
"""OpenBLAS's core types, and the flags of /proc/cpuinfo that their kernels need."""

VARIABLES = (
    "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "MINIGRAD_NUM_THREADS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS",
)  # fmt: skip
"""What a setting sets, or else leaves unset."""

PROBE = "import runpy; runpy.run_path({path!r})['probe']()"


# -- settings ----------------------------------------------------------------------------------------------------------


def settings() -> dict[str, dict[str, str]]:
    """The variables of each setting, by its name."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    def above(word: str) -> str:
        """What NumPy can do without, from the first group whose name has this word on."""
        found = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
        start = next((i for i, name in enumerate(found) if word in name), len(found))
        return " ".join(found[start:])

    flags = processor_flags()
    wide = "X86_V4" if "X86_V4" in __cpu_dispatch__ else "AVX512"  # NumPy before 2.4 names single features
    known = {"as it comes": {}}
    known |= {f"OpenBLAS {core}": {"OPENBLAS_CORETYPE": core} for core, needs in CORES.items() if needs <= flags}
    known["NumPy at its baseline"] = {"NPY_DISABLE_CPU_FEATURES": above("")}
    known |= {f"threads {n}": {"MINIGRAD_NUM_THREADS": str(n)} for n in (1, 2, 3)}
    if "avx2" in flags:
        known["torch at its baseline"] = {
            "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE",
        }  # fmt: skip
        known["all as with AVX2"] = {
            "OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": above(wide), "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2",
        }  # fmt: skip
        known["all at their baseline"] = (
            {"OPENBLAS_CORETYPE": "Prescott"} | known["NumPy at its baseline"] | known["torch at its baseline"]
        )
    return {name: {k: v for k, v in given.items() if v} for name, given in known.items()}


def processor_flags() -> set[str]:
    try:
        return set(re.findall(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)[0].split())
    except (OSError, IndexError):
        return set()


def environment(given: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in VARIABLES} | given


def look(given: dict[str, str]) -> dict[str, Any] | None:
    """What the libraries chose under a setting, and a checksum of what they compute; None where they do not run."""
    command = [sys.executable, "-W", "ignore", "-c", PROBE.format(path=__file__)]
    done = subprocess.run(command, cwd=ROOT, env=environment(given), capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def probe() -> None:
    """Runs in the process that looks: the last line of its output is what it found."""
    import ctypes

    import numpy as np
    import scipy.linalg
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    import minigrad

    found: dict[str, Any] = {"threads": minigrad.get_num_threads()}
    found["NumPy"] = " ".join(name for name in __cpu_dispatch__ if __cpu_features__[name]) or "baseline"
    for module in (np, scipy):
        folder = Path(module.__file__).parent
        for path in sorted(folder.with_name(f"{folder.name}.libs").glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename", "openblas_get_corename64_"):
                if hasattr(library, name):
                    getattr(library, name).restype = ctypes.c_char_p
                    found[f"{module.__name__}'s OpenBLAS"] = getattr(library, name)().decode()
    x = np.random.default_rng(0).normal(size=(257, 301))
    computed = [np.exp(x), x.sum(1), x @ x.T, scipy.linalg.blas.dgemm(1, x, x.T)]
    computed += [np.exp(x.astype("f")), x.astype("f") @ x.T.astype("f")]
    try:
        import torch

        torch.set_num_threads(1)
        t = torch.from_numpy(x.astype("f"))
        images, kernels = t[:48, :256].reshape(2, 6, 32, 32), t[:6, :54].reshape(6, 6, 3, 3)
        computed += [y.numpy() for y in (t.exp(), t.sum(1), t @ t.T, torch.conv2d(images, kernels))]
        found["torch"] = torch.backends.cpu.get_cpu_capability()
    except ImportError:
        pass
    found["checksum"] = zlib.crc32(b"".join(np.ascontiguousarray(y).tobytes() for y in computed))
    print(json.dumps(found))


# -- rows --------------------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """What came of a setting's tests in one pass."""

    setting: str
    which: int
    """The pass, from 1."""
    chosen: str
    """What the libraries chose, or why there was nothing to run."""
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)

    @property
    def green(self) -> bool:
        return not self.failed


def run(setting: str, which: int, given: dict[str, str], chosen: str, arguments: list[str], minutes: float) -> Row:
    """The tests under a setting, in a process group that ends with them."""
    began = time.monotonic()
    row = Row(setting, which, chosen)
    with tempfile.TemporaryDirectory(prefix="processors-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
        with open(Path(folder) / "said", "w+") as said:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment(given), stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # in the background it is ignored
            )  # fmt: skip
            try:
                code = process.wait(minutes * 60)
            except BaseException as stopped:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(stopped, subprocess.TimeoutExpired):
                    raise
                code = None
            said.seek(0)
            output = said.read()
        if report.exists():
            row.counts, row.failed = read_report(report)
    row.seconds = time.monotonic() - began
    if code is None:
        row.failed.append(f"no end within {minutes:g} minutes")
    elif code and not row.failed:  # no test at all, a wrong argument, a crash
        row.failed.append(f"pytest ended with {code}: {(output.strip().splitlines() or ['no word'])[-1]}")
    if not row.green:
        print(output, file=sys.stderr)
    return row


def read_report(path: Path) -> tuple[dict[str, int], list[str]]:
    """({passed, failed, skipped}, the names of the failed) of pytest's JUnit report."""
    counts, failed = Counter(passed=0, failed=0, skipped=0), []
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        kind = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[kind] += 1
        if kind == "failed":
            failed.append(f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}")
    return dict(counts), failed


# -- the table ---------------------------------------------------------------------------------------------------------

HEADER = ["| setting | chosen | passes | passed | failed | skipped | seconds | red |",
          "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |"]  # fmt: skip


def line(rows: list[Row]) -> str:
    """A setting's line of the table, over all its passes."""
    ran = [row for row in rows if row.counts or row.failed]
    if not ran:
        return f"| {rows[0].setting} | {rows[0].chosen} | | | | | | |"

    def each(name: str) -> str:
        values = [row.counts.get(name, 0) for row in ran]
        return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))

    red = "; ".join(dict.fromkeys(name.replace("|", "\\|") for row in ran for name in row.failed))
    cells = [ran[0].setting, ran[0].chosen, f"{sum(row.green for row in ran)} of {len(ran)} green"]
    cells += [each("passed"), each("failed"), each("skipped"), ", ".join(f"{row.seconds:.0f}" for row in ran), red]
    return "| " + " | ".join(cells) + " |"


def machine_name() -> str:
    """The processor's name; family and model too, since "AMD EPYC" is many."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    numbers = [re.search(rf"^{name}\s*: (\d+)$", info, re.M) for name in ("cpu family", "model")]
    name = str(describe_machine()["processor"])
    return f"{name}, family {numbers[0][1]} model {numbers[1][1]}" if all(numbers) else name


def section(name: str, rows: dict[str, list[Row]], arguments: list[str]) -> str:
    """A processor's part of the page."""
    machine = describe_machine()
    packages = []
    for package in ("numpy", "scipy", "torch"):
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            packages.append(f"no {package}")
    flags = sorted({flag for needs in CORES.values() for flag in needs} & processor_flags())
    return "\n".join(
        [
            f"## {name}", "",
            f"{machine['usable_cores']} cores; flags {', '.join(flags) or 'unknown'}. "
            f"{datetime.date.today()}, commit {str(commit(ROOT))[:7]}, Python {machine['python']}, {', '.join(packages)}, "
            f"{machine['system']}. Tests: `pytest {' '.join(arguments)}`.",
            "", *HEADER, *map(line, rows.values()), "",
        ]
    )  # fmt: skip


def put(page: str, name: str, text: str) -> str:
    """The page with this processor's part replaced, or added at the end."""
    parts = re.split(r"(?m)^(?=## )", page)
    kept = [part for part in parts if part.split("\n")[0] != f"## {name}"]
    return "\n\n".join(part.strip() for part in [*kept, text]) + "\n"


# -- the command -------------------------------------------------------------------------------------------------------


def main() -> int:
    """Parses the command line, looks, runs, reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="settings with one of these words in their names")
    parser.add_argument("--passes", type=int, default=1, help="how many times over")
    parser.add_argument("--whole", action="store_true", help="all folders of tests")
    parser.add_argument("--look", action="store_true", help="only say what the libraries choose under each setting")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="rows are kept there, and not measured again")
    parser.add_argument("--write", action="store_true", help="write the table to docs/processors.md")
    parser.add_argument("--minutes", type=float, default=LIMIT, help=f"for one setting ({LIMIT})")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --: folders and options")
    options = parser.parse_args()
    arguments = options.pytest or ["-n", "2", "-m", "not slow", *(["tests"] if options.whole else FOLDERS)]
    wanted = {
        name: given
        for name, given in settings().items()
        if not options.only or any(word.lower() in name.lower() for word in options.only)
    }
    of = {"commit": commit(ROOT), "arguments": arguments, "machine": machine_name()}
    kept = {}
    if options.keep and options.keep.exists():
        entries = [json.loads(text) for text in options.keep.read_text().splitlines()]
        kept = {(row["setting"], row["which"]): Row(**row) for of_, row in entries if of_ == of}

    print(f"{of['machine']}: pytest {' '.join(arguments)}\n", *HEADER, sep="\n", flush=True)
    rows: dict[str, list[Row]] = {name: [] for name in wanted}
    first: dict[str, str] = {}
    plans = []
    for name, given in wanted.items():
        found = look(given)
        seen = first.setdefault(json.dumps(found), name)
        if found is None or seen != name:
            why = "does not run here" if found is None else f"the same kernels as {seen}: not run again"
            rows[name].append(Row(name, 1, why))
            print(line(rows[name]), flush=True)
            continue
        found.pop("checksum")
        plans.append((name, given, "; ".join(f"{key}: {value}" for key, value in found.items())))
    if options.look:
        print(*(f"| {name} | {chosen} |" for name, _, chosen in plans), sep="\n")
        return 0
    for which in range(1, options.passes + 1):
        for name, given, chosen in plans:
            row = kept.get((name, which)) or run(name, which, given, chosen, arguments, options.minutes)
            rows[name].append(row)
            print(line([row]), flush=True)
            if options.keep and (name, which) not in kept:
                with open(options.keep, "a") as file:
                    file.write(json.dumps([of, asdict(row)]) + "\n")
    if options.write:
        PAGE.write_text(put(PAGE.read_text(), of["machine"], section(of["machine"], rows, arguments)))
    red = [row for these in rows.values() for row in these if not row.green]
    ran = sum(len(these) for these in rows.values()) - (len(rows) - len(plans))
    print(f"\n{len(red)} of {ran} runs are red." if red else f"\nAll {ran} runs are green.")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
