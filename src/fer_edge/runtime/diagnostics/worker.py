"""One model timed under one engine, in a process of its own, whose memory is then the model's.

`python -m fer_edge.runtime.diagnostics.worker MODEL BACKEND THREADS BATCH SECONDS` prints one
line of JSON: a `Timed`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from fer_edge.errors import FerEdgeError
from fer_edge.runtime.backends import Backend, open_backend
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.device.cpu import current_core, read_clocks
from fer_edge.runtime.device.system_files import find_values, read_text
from fer_edge.runtime.diagnostics.probe import version
from fer_edge.spec import ModelSpec

NARROW = 0.02
"""The median is known well enough when its interval is narrower than this share of it."""
BEYOND = 40
"""One in so many medians lies beyond either end of the interval: 95 % lie in it."""
FEWEST = 6
"""Of fewer times, not even the smallest and the largest hold the median that often."""
ENOUGH = 100
"""The slowest of a hundred calls isn't known from fewer."""
MOST = 2000
WARM_UP = 5
WARM_UP_SHARE = 0.1
"""Of the seconds: a processor that was idle needs a moment to reach its clock."""
FACES = 16


@dataclasses.dataclass(frozen=True)
class Timed:
    """What one process measured.

    Attributes:
        version: of the engine.
        import_ms: to import the engine, in milliseconds.
        load_ms: to open the model afterwards, up to its first answer, in milliseconds.
        times: of each call after the warm-up, in nanoseconds, `FEWEST` to `MOST` of them.
        peak_memory: of the whole process, in bytes; None: the system doesn't say.
        clocks: of the core that it ran on, in MHz, after the warm-up and after the last call; empty
            where the system doesn't say.
    """

    version: str
    import_ms: float
    load_ms: float
    times: tuple[int, ...]
    peak_memory: int | None
    clocks: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.times) < FEWEST:
            raise ValueError(f"times must be {FEWEST} or more, not {len(self.times)}")


def interval(times: Sequence[int]) -> tuple[int, int]:
    """Two of the times, between which the median lies with 95 % confidence, however they are
    distributed: a time is below the median as often as a coin shows heads.

    Raises:
        ValueError: they are fewer than `FEWEST`.
    """
    ordered = sorted(times)
    outside = _outside(len(ordered))
    return ordered[outside], ordered[-1 - outside]


@functools.cache
def _outside(n: int) -> int:
    """How many times on each side may lie beyond the interval."""
    if n < FEWEST:
        raise ValueError(f"{n} times are too few for an interval of their median: {FEWEST}")
    # of 2**n equally likely throws of n coins: those with exactly, and with at most, so many heads
    heads, exactly, most = 0, 1, 1
    while BEYOND * most <= 2**n:
        exactly = exactly * (n - heads) // (heads + 1)
        heads += 1
        most += exactly
    return heads - 1


def narrow(times: Sequence[int]) -> bool:
    """Whether the median is known to `NARROW`."""
    low, high = interval(times)
    return high - low <= NARROW * median(times)


def batches(spec: ModelSpec, batch: int) -> list[npt.NDArray[np.uint8]]:
    """Different batches, uint8 `[batch, S, S]`, of the golden faces; of noise where there are none.

    They are few, so that the peak of memory is the model's.
    """
    side = spec.input.side
    noise = np.random.default_rng(0).integers(0, 256, (FACES, side, side), np.uint8)
    faces = spec.golden_faces() if spec.golden else noise
    return [
        faces[np.arange(first, first + batch) % len(faces)] for first in range(0, len(faces), batch)
    ]


def sample(
    backend: Backend, given: Sequence[npt.NDArray[np.uint8]], seconds: float
) -> tuple[int, ...]:
    """Nanoseconds of each call, until the median is known or the seconds are over."""
    times: list[int] = []
    look = ENOUGH
    end = time.perf_counter_ns() + round(seconds * 1e9)
    while len(times) < MOST:
        faces = given[len(times) % len(given)]
        start = time.perf_counter_ns()
        backend(faces)
        now = time.perf_counter_ns()
        times.append(now - start)
        if now >= end and len(times) >= FEWEST:
            break
        if len(times) == look:
            if narrow(times):
                break
            look += look // 4  # looking costs time, and a pause lets a processor slow down
    return tuple(times)


def warm_up(backend: Backend, given: Sequence[npt.NDArray[np.uint8]], seconds: float) -> None:
    """Calls that don't count: `WARM_UP` or more, for that many seconds."""
    end = time.perf_counter() + seconds
    calls = 0
    while calls < WARM_UP or time.perf_counter() < end:
        backend(given[calls % len(given)])
        calls += 1


def timed(path: Path, name: str, threads: int, batch: int, seconds: float) -> Timed:
    """Load a model in this process, which hasn't imported the engine yet, and time it.

    Args:
        path: an exported model.
        name: of the engine.
        threads: for one call, 1 or more.
        batch: faces of one call, 1 or more.
        seconds: to measure for at most; the warm-up takes a tenth more.

    Raises:
        FerEdgeError: see `open_backend`.
    """
    start = time.perf_counter()
    importlib.import_module(ENGINES[name].module)
    imported = time.perf_counter()
    backend = open_backend(path, backend=name, threads=threads)
    loaded = time.perf_counter()
    given = batches(backend.spec, batch)
    warm_up(backend, given, WARM_UP_SHARE * seconds)
    before = _clock()
    times = sample(backend, given, seconds)
    return Timed(
        version=version(ENGINES[name]),
        import_ms=1000 * (imported - start),
        load_ms=1000 * (loaded - imported),
        times=times,
        peak_memory=_peak_memory(),
        clocks=(*before, *_clock()),
    )


def _clock() -> tuple[float, ...]:
    mhz = read_clocks().get(current_core())
    return () if mhz is None else (mhz,)


def _peak_memory() -> int | None:
    # not ru_maxrss: a child that is started by vfork inherits its parent's
    text = find_values(read_text(Path("/proc/self/status")), "VmHWM")
    return int(text[0].split()[0]) * 1024 if text else None


def main(arguments: list[str]) -> None:
    """Print what was measured; a failure is one line on standard error and exit code 1."""
    model, name, threads, batch, seconds = arguments
    try:
        found = timed(Path(model), name, int(threads), int(batch), float(seconds))
    except FerEdgeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(dataclasses.asdict(found)))


if __name__ == "__main__":
    main(sys.argv[1:])
