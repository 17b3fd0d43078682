"""A model tried under an engine, each time in a process of its own: a crash is a finding."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fer_edge.errors import ModelError
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.device import packages
from fer_edge.runtime.device.cpu import ARM
from fer_edge.runtime.device.engine_choice import Choice
from fer_edge.runtime.diagnostics.probe import Measured
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.schema import parse
from fer_edge.spec import ModelSpec, Precision

Verdict = Literal["right", "close", "wrong", "untested", "failed", "not offered"]
"""Of the self-test. "close": an int8 file whose rounding fell otherwise here and there."""

BARS: dict[Precision, float] = {"fp32": 1e-4, "fp16": 0.05, "int8": 0.05}
"""Largest |Δlogit| of a right answer. Measured over the golden samples of MobileNetV2 and V3: 9e-6
for float files under either engine, 5e-7 for int8 under ONNX Runtime and 0.13 to 0.18 under
OpenVINO, which rounds elsewhere. Weights that were rounded to fp16 move the answer a little."""
CLOSE = 0.5
"""The same for "close", where one label may differ, as one may when an int8 file is exported."""

WORTH = 0.9
"""Anything but the plainest choice must take at most this share of its time: less is noise."""
MOST_THREADS = 8
"""A face takes a millisecond or so: more threads only wait for each other."""
SECONDS = 0.3
TIMEOUT = 60.0
PROBE = "fer_edge.runtime.diagnostics.probe"

NOT_OFFERED: dict[tuple[str, Precision], str] = {
    ("openvino", "int8"): "OpenVINO's int8 on ARM fails to compile or answers wrongly: "
    "use onnxruntime, or an fp32 or fp16 file",
}
"""On ARM: engine and precision that aren't tried."""

DEATHS: dict[int, str] = {
    signal.SIGILL: "its build asks for an instruction that this CPU lacks; try another version",
    signal.SIGKILL: "most likely the memory ran out",
}

Tell = Callable[[str], None]


def silent(_: str) -> None:
    """Tell nothing."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One try: an engine with so many threads; `measured` or `failure` says what came of it."""

    backend: str
    threads: int
    verdict: Verdict
    measured: Measured | None = None
    failure: str | None = None


def attempts(
    name: str,
    path: Path,
    precision: Precision,
    *,
    machine: str,
    counts: list[int],
    seconds: float,
    tell: Tell,
) -> list[Row]:
    """A model under an engine with each number of threads, up to where it fails.

    Args:
        name: of the engine.
        path: the model's file.
        precision: the model's.
        machine: the architecture, as `platform.machine()` names it.
        counts: of threads.
        seconds: to measure the speed for; 0: only the self-test.
        tell: called with a line before each try.
    """
    if why := not_offered(name, precision, machine):
        return [Row(name, 1, "not offered", failure=why)]
    rows = []
    for threads in counts:
        tell(f"{name}, {threads} thread{'s' if threads > 1 else ''}")
        answer, failure = child(name, str(path), str(threads), str(seconds))
        if failure is not None:
            rows.append(Row(name, threads, "failed", failure=failure))
            break
        measured = parse(Measured, answer, "probe", unknown="reject")
        rows.append(Row(name, threads, judge(measured, precision), measured))
    return rows


def readable(path: Path) -> ModelSpec:
    """The spec of an exported model, read without an engine: this process would die of a bad one.

    Raises:
        ModelError: no engine reads such a file, it isn't there, or it is damaged.
        SpecError: it holds no spec, or one that can't be used.
    """
    suffixes = sorted({suffix for engine in ENGINES.values() for suffix in engine.suffixes})
    if path.suffix not in suffixes:
        raise ModelError(
            f"{path}: no backend reads {path.suffix or 'a file without suffix'}, "
            f"only {', '.join(suffixes)}"
        )
    return read_spec(path)


def not_installed(name: str) -> str | None:
    """How to get an engine that isn't installed; None: it is."""
    engine = ENGINES[name]
    if packages.find_package(engine.package) is not None:
        return None
    return f"not installed: pip install {engine.wanted}"


def not_offered(name: str, precision: Precision, machine: str) -> str | None:
    """Why an engine isn't tried with such a model on a machine; None: it is."""
    return NOT_OFFERED.get((name, precision)) if machine in ARM else None


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4, ... up to the number of cores, and that number, within reason."""
    most = min(cores, MOST_THREADS)
    return sorted({1 << power for power in range(most.bit_length())} | {most})


def judge(measured: Measured, precision: Precision) -> Verdict:
    """What the self-test says."""
    differ, diff = measured.labels_differ, measured.max_abs_logit_diff
    if not measured.samples:
        return "untested"
    if diff is not None and differ == 0 and diff <= BARS[precision]:
        return "right"
    if diff is not None and precision == "int8" and differ <= 1 and diff <= CLOSE:
        return "close"
    return "wrong"


def choose(rows: list[Row]) -> Choice | None:
    """The fastest of the right ones, or, where there are none, of the close ones.

    The first of them, in the order of `ENGINES` and of threads, stays unless another one's gain is
    more than noise.
    """
    for verdict in ("right", "close"):
        usable = [
            Choice(row.backend, row.threads, row.measured.ms)
            for row in rows
            if row.verdict == verdict and row.measured is not None and row.measured.ms
        ]
        if usable:
            fastest = min(usable, key=lambda choice: choice.ms)
            return fastest if fastest.ms <= WORTH * usable[0].ms else usable[0]
    return None


def child(*arguments: str, module: str = PROBE, seconds: float = 0.0) -> tuple[Any, str | None]:
    """Run a module apart from this process: its answer, or what went wrong.

    Args:
        arguments: of the module.
        module: that prints one line of JSON.
        seconds: that it may take beyond `TIMEOUT`.
    """
    # -P: what lies in the current folder is nobody's package
    command = [sys.executable, "-P", "-m", module, *arguments]
    limit = TIMEOUT + seconds
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=limit, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {limit:g} seconds"
    except OSError as error:
        return None, f"no process of its own could be started ({error.strerror or error})"
    if done.returncode < 0:
        return None, _death(-done.returncode)
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode:
        said = done.stderr.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
        return None, f"{last[:300]} (exit code {done.returncode})"
    try:
        return json.loads(lines[-1]), None  # an engine may print lines of its own before
    except (IndexError, ValueError):
        return None, "it ended without an answer"


def _death(number: int) -> str:
    said = f"it crashed: {signal.strsignal(number) or 'unknown'} (signal {number})"
    return f"{said}: {DEATHS[number]}" if number in DEATHS else said
