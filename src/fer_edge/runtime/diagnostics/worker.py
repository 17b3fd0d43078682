"""Call a function in a process of its own, which may crash, and time a model's calls.

`python -P -m fer_edge.runtime.diagnostics.worker MODULE FUNCTION ARGUMENTS` calls a function with
the keyword arguments of a JSON object, and prints the dataclass that it returns as a line of JSON.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np
import numpy.typing as npt

from fer_edge.errors import FerEdgeError
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.device.cpu import current_core, read_clocks
from fer_edge.runtime.device.system_files import find_values, read_text
from fer_edge.runtime.diagnostics.statistics import MIN_TIMES, Timed, is_median_known
from fer_edge.schema import parse
from fer_edge.spec import ModelSpec

TIMEOUT = 60.0
"""Seconds that a process may take, beside what it measures for."""
DEATHS: dict[int, str] = {
    signal.SIGILL: "its build uses an instruction that this CPU lacks; try another version",
    signal.SIGKILL: "most likely the memory ran out",
}
CHECK_AFTER = 100
"""Number of times after which the median may be known: a slowest percent needs a hundred."""
MAX_TIMES = 2000
WARM_UP_CALLS = 5
WARM_UP_RATIO = 0.1
"""Fraction of the seconds: an idle processor needs a moment to reach its clock."""
FACES = 16
"""Noise faces of a model without golden samples."""

T = TypeVar("T")
Job = tuple[Callable[..., Timed], dict[str, Any]]
"""A function that measures, for `run_in_process`, and its arguments."""


class WorkerError(Exception):
    """A process failed; the text says how."""


def run_in_process(function: Callable[..., T], *, timeout: float = TIMEOUT, **arguments: Any) -> T:
    """Call a function in a process of its own.

    Args:
        function: a function of a module, annotated to return a dataclass.
        timeout: seconds after which the process is killed.
        arguments: its keyword arguments: strings, numbers, booleans.

    Raises:
        WorkerError: the process couldn't be started, crashed, failed, or took too long.
    """
    module, name = function.__module__, function.__qualname__
    # -P: a package in the current folder must not replace an installed one
    command = [sys.executable, "-P", "-m", __name__, module, name, json.dumps(arguments)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise WorkerError(f"no result within {timeout:g} seconds") from None
    except OSError as error:
        raise WorkerError(
            f"no process of its own could be started ({error.strerror or error})"
        ) from None
    if (number := -done.returncode) > 0:
        advice = f": {DEATHS[number]}" if number in DEATHS else ""
        name_of_signal = signal.strsignal(number) or "unknown"
        raise WorkerError(f"it crashed: {name_of_signal} (signal {number}){advice}")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
        raise WorkerError(f"{last[:300]} (exit code {done.returncode})")
    lines = done.stdout.decode(errors="replace").splitlines()
    try:
        document = json.loads(lines[-1])  # an engine may print lines of its own before
    except (IndexError, ValueError):
        raise WorkerError("it ended without a result") from None
    return parse(get_type_hints(function)["return"], document, name, unknown="reject")  # type: ignore[no-any-return]


def main(arguments: list[str]) -> None:
    """Call the function; a named failure is one line on standard error and exit code 1."""
    module, name, keywords = arguments
    function = getattr(importlib.import_module(module), name)
    try:
        result = function(**json.loads(keywords))
    except FerEdgeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(dataclasses.asdict(result)))


def time_calls(call: Callable[[T], object], inputs: Sequence[T], seconds: float) -> tuple[int, ...]:
    """Nanoseconds of each call, until the median is known or the seconds are over."""
    times: list[int] = []
    next_check = CHECK_AFTER
    end = time.perf_counter_ns() + round(seconds * 1e9)
    while len(times) < MAX_TIMES:
        one = inputs[len(times) % len(inputs)]
        start = time.perf_counter_ns()
        call(one)
        now = time.perf_counter_ns()
        times.append(now - start)
        if now >= end and len(times) >= MIN_TIMES:
            break
        if len(times) == next_check:
            if is_median_known(times):
                break
            # a check takes time, and a pause lets a processor slow down
            next_check += next_check // 4
    return tuple(times)


def warm_up(call: Callable[[T], object], inputs: Sequence[T], seconds: float) -> None:
    """Call it without timing, `WARM_UP_CALLS` times or more, for that many seconds."""
    end = time.perf_counter() + seconds
    calls = 0
    while calls < WARM_UP_CALLS or time.perf_counter() < end:
        call(inputs[calls % len(inputs)])
        calls += 1


def make_batches(spec: ModelSpec, batch: int) -> list[npt.NDArray[np.uint8]]:
    """Different batches, uint8 `[batch, S, S]`, of the golden faces; of noise where there are none.

    They are few, so that the peak of memory is the model's.
    """
    side = spec.input.side
    noise = np.random.default_rng(0).integers(0, 256, (FACES, side, side), np.uint8)
    faces = spec.golden_faces() if spec.golden else noise
    return [
        faces[np.arange(first, first + batch) % len(faces)] for first in range(0, len(faces), batch)
    ]


def time_model(model: str, backend: str, threads: int, batch: int, seconds: float) -> Timed:
    """Load a model in this process, which hasn't imported the engine yet, and time it.

    It measures for `seconds` at most, after a warm-up of a tenth of them.

    Raises:
        FerEdgeError: the model can't be opened.
    """
    start = time.perf_counter()
    importlib.import_module(ENGINES[backend].module)
    imported = time.perf_counter()
    opened = open_backend(Path(model), backend=backend, threads=threads)
    loaded = time.perf_counter()
    batches = make_batches(opened.spec, batch)
    return time_prepared(opened, batches, backend, (start, imported, loaded), seconds)


def time_prepared(
    call: Callable[[T], object],
    inputs: Sequence[T],
    backend: str,
    began: tuple[float, float, float],
    seconds: float,
) -> Timed:
    """Time what this process has opened.

    Args:
        call: the model.
        inputs: what it is called with, in turns.
        backend: the engine, which is imported.
        began: when importing and opening began and opening ended, as `time.perf_counter` gives it.
        seconds: seconds to measure for, at most, after a warm-up of a tenth of them.
    """
    start, imported, loaded = began
    warm_up(call, inputs, WARM_UP_RATIO * seconds)
    before = _current_clock()
    times = time_calls(call, inputs, seconds)
    return Timed(
        version=engine_version(backend),
        import_ms=1000 * (imported - start),
        load_ms=1000 * (loaded - imported),
        times=times,
        peak_memory=_peak_memory(),
        clocks=(*before, *_current_clock()),
    )


def engine_version(name: str) -> str:
    """Version of an engine that this process has imported."""
    # OpenVINO's ends in the number of its build and its commit
    return str(sys.modules[ENGINES[name].package].__version__).partition("-")[0]


def _current_clock() -> tuple[float, ...]:
    mhz = read_clocks().get(current_core())
    return () if mhz is None else (mhz,)


def _peak_memory() -> int | None:
    # not ru_maxrss: a child that is started by vfork inherits its parent's
    text = find_values(read_text(Path("/proc/self/status")), "VmHWM")
    return int(text[0].split()[0]) * 1024 if text else None


if __name__ == "__main__":
    main(sys.argv[1:])
