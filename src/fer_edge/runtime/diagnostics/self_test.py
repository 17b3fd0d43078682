"""Test and time a model under an engine, in a process of its own: a crash is a result too."""

from __future__ import annotations

import dataclasses
import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Literal

from fer_edge.errors import install_command
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.backends.registry import ENGINES, check_suffix, unsupported_reason
from fer_edge.runtime.backends.verification import Difference, Match, compare_logits, judge
from fer_edge.runtime.device import packages
from fer_edge.runtime.device.engine_choice import Choice
from fer_edge.runtime.diagnostics.worker import (
    TIMEOUT,
    WARM_UP_RATIO,
    WorkerError,
    engine_version,
    make_batches,
    run_in_process,
    time_calls,
    warm_up,
)
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import ModelSpec, Precision

logger = logging.getLogger(__name__)

Verdict = Literal[Match, "failed", "not offered"]
"""Result of the self-test."""

NOISE_RATIO = 0.9
"""A choice must take at most this fraction of the simplest one's time: a smaller gain is noise."""
MAX_THREADS = 8
"""A face takes about a millisecond: more threads only wait for each other."""
SECONDS = 0.3

Report = Callable[[str], None]
"""Takes a line of progress."""


@dataclasses.dataclass(frozen=True)
class Measured(Difference):
    """A model under an engine: its golden samples and its speed.

    Attributes:
        ms: median milliseconds of a call with one face; None: it wasn't measured.
    """

    ms: float | None


@dataclasses.dataclass(frozen=True)
class EngineState:
    """An engine: `version` and `devices` where it works, else `failure` with what to do."""

    name: str
    version: str | None = None
    devices: tuple[str, ...] = ()
    failure: str | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """The result for an engine with one number of threads: `measured` or `failure`."""

    backend: str
    threads: int
    verdict: Verdict
    measured: Measured | None = None
    failure: str | None = None


def try_engine(
    name: str,
    path: Path,
    precision: Precision,
    *,
    machine: str,
    counts: list[int],
    seconds: float,
    report: Report = logger.info,
) -> list[Row]:
    """Test a model under an engine with each number of threads, up to the first failure.

    Args:
        machine: the architecture, as `platform.machine()` names it.
        counts: numbers of threads.
        seconds: seconds to measure the speed for, at most; 0: only the golden samples.
        report: takes a line before each test.
    """
    if reason := unsupported_reason(name, precision, machine):
        return [Row(name, 1, "not offered", failure=reason)]
    rows = []
    for threads in counts:
        report(f"{name}, {threads} thread{'s' if threads > 1 else ''}")
        try:
            measured = run_in_process(
                measure_model,
                model=str(path),
                backend=name,
                threads=threads,
                seconds=seconds,
                timeout=TIMEOUT + seconds,
            )
        except WorkerError as error:
            rows.append(Row(name, threads, "failed", failure=str(error)))
            break
        rows.append(Row(name, threads, judge(measured, precision, name), measured))
    return rows


def measure_model(model: str, backend: str, threads: int, seconds: float) -> Measured:
    """Predict the golden samples, then time single faces for `seconds` at most; 0: not at all.

    Raises:
        FerEdgeError: the model can't be opened; wrong logits are no error here.
    """
    opened = open_backend(Path(model), backend=backend, threads=threads, verify=False)
    expected = opened.spec.golden_logits()
    logits = opened(opened.spec.golden_faces()) if len(expected) else expected
    difference = compare_logits(logits, expected)
    ms = None
    if seconds:
        batches = make_batches(opened.spec, 1)
        warm_up(opened, batches, WARM_UP_RATIO * seconds)
        ms = median(time_calls(opened, batches, seconds)) / 1e6
    return Measured(**dataclasses.asdict(difference), ms=ms)


def describe_engine(backend: str) -> EngineState:
    """The state of an engine that works; what a process of its own runs."""
    devices = importlib.import_module(ENGINES[backend].module).devices()
    return EngineState(backend, engine_version(backend), tuple(devices))


def read_model_spec(path: Path) -> ModelSpec:
    """The spec of an exported model, read without an engine, which might crash this process.

    Raises:
        ModelError: no engine reads such a file, it isn't there, or it is damaged.
        SpecError: it holds no spec, or one that can't be used.
    """
    check_suffix(path)
    return read_spec(path)


def missing_advice(name: str) -> str | None:
    """How to install an engine; None: it is installed."""
    engine = ENGINES[name]
    if packages.find_package(engine.package) is not None:
        return None
    return f"not installed: {install_command(engine.package, engine.extra)}"


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4, ... up to the number of cores, and that number, at most `MAX_THREADS`."""
    largest = min(cores, MAX_THREADS)
    return sorted({1 << power for power in range(largest.bit_length())} | {largest})


def choose_fastest(rows: list[Row]) -> Choice | None:
    """The fastest of the right ones, or, where there are none, of the close ones.

    The first of them, in the order of `ENGINES` and of threads, is kept unless another one gains
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
            return fastest if fastest.ms <= NOISE_RATIO * usable[0].ms else usable[0]
    return None
