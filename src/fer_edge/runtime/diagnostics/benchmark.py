"""Time and memory of models on this machine, for each engine, number of threads and batch size."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import fer_edge
from fer_edge.errors import ConfigError
from fer_edge.runtime.backends.registry import ENGINES, find_file, unsupported_reason
from fer_edge.runtime.device.board import Board, read_board
from fer_edge.runtime.device.cpu import MAX_THREADS
from fer_edge.runtime.device.throttling import Health, find_clock_drop, find_throttling, read_health
from fer_edge.runtime.diagnostics.frames import FrameRow, frame_rows
from fer_edge.runtime.diagnostics.self_test import (
    Report,
    missing_advice,
    read_model_spec,
    thread_counts,
)
from fer_edge.runtime.diagnostics.statistics import (
    MAX_INTERVAL_WIDTH,
    MAX_ROUND_SPREAD,
    Speed,
    Timed,
    pool_rounds,
)
from fer_edge.runtime.diagnostics.worker import (
    TIMEOUT,
    Job,
    WorkerError,
    run_in_process,
    time_model,
)
from fer_edge.runtime.formats.model_files import model_size
from fer_edge.spec import Precision

logger = logging.getLogger(__name__)

BATCHES = (1, 8)
SECONDS, ROUNDS = 3.0, 3


@dataclasses.dataclass(frozen=True)
class Row:
    """One combination: its `speed`, or the reason of its `failure`.

    Attributes:
        model: the model's file.
        precision: the model's precision.
        size: bytes of the file and its companions.
        backend: name of the engine.
        threads, batch: threads and faces of one call.
        accuracy: accuracy of the model under this engine, in [0, 1]; None: it wasn't requested, or
            failed for the reason in `accuracy_failure`.
    """

    model: str
    precision: Precision
    size: int
    backend: str
    threads: int
    batch: int
    speed: Speed | None = None
    failure: str | None = None
    accuracy: float | None = None
    accuracy_failure: str | None = None

    @property
    def name(self) -> str:
        """The combination, for a person."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{Path(self.model).name}, {self.backend}, {threads}, batch {self.batch}"

    def job(self) -> Job:
        """What is called in a process of its own, without the seconds."""
        arguments = {"model": self.model, "backend": self.backend, "threads": self.threads}
        return time_model, {**arguments, "batch": self.batch}


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """The result of `fer benchmark`.

    Attributes:
        board: the machine.
        health: the machine before the first round and after each round.
        rows: results by model, engine, threads and batch.
        frames: results of the face detector by engine, threads and size of the frame.
        split, faces: the split that accuracy was measured on, and its number of faces; None: it
            wasn't requested.
    """

    version: str
    board: Board
    health: tuple[Health, ...]
    rows: tuple[Row, ...]
    frames: tuple[FrameRow, ...] = ()
    split: str | None = None
    faces: int | None = None

    @property
    def works(self) -> bool:
        """Whether anything could be measured."""
        return any(row.speed is not None for row in self.rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to doubt the figures."""
        rows: tuple[Row | FrameRow, ...] = (*self.rows, *self.frames)
        measured = [(row, row.speed) for row in rows if row.speed is not None]
        warnings = []
        if reasons := find_throttling(self.health):
            warnings.append(f"the machine was slowed down during the run: {', '.join(reasons)}")
        drops = [
            (drop, row.name) for row, speed in measured if (drop := find_clock_drop(speed.clocks))
        ]
        if drops:
            (before, after), name = min(drops, key=lambda one: one[0][1] / one[0][0])
            warnings.append(f"the clock fell from {before:.0f} to {after:.0f} MHz ({name})")
        if wide := sum(not speed.is_narrow for _, speed in measured):
            warnings.append(
                f"{wide} of {len(measured)} medians are known to no better than "
                f"{MAX_INTERVAL_WIDTH:.0%}: leave the machine alone, or give more --seconds and "
                "--rounds"
            )
        spreads = [(speed.round_spread, row.name) for row, speed in measured]
        spread, name = max(spreads, default=(0.0, ""))
        if spread > MAX_ROUND_SPREAD:
            warnings.append(
                f"the rounds' medians differ by up to {spread:.0%} ({name}): the machine did other "
                "work, or got hot"
            )
        return tuple(warnings)

    def face_ms(self, frame: FrameRow) -> float | None:
        """Milliseconds of reading one face with the first model, in the median, with the engine and
        the threads of a frame's row; None: that wasn't measured."""
        for row in self.rows:
            if (row.backend, row.threads, row.batch) == (frame.backend, frame.threads, 1):
                return row.speed.p50_ms if row.speed else None
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**dataclasses.asdict(self), "warnings": self.warnings, "works": self.works}


def benchmark(
    models: Iterable[Path],
    *,
    backends: Sequence[str] = (),
    threads: Sequence[int] = (),
    batches: Sequence[int] = BATCHES,
    seconds: float = SECONDS,
    rounds: int = ROUNDS,
    report: Report = logger.info,
) -> Benchmark:
    """Time each model under each engine, with each number of threads and faces at once, and the
    face detector with whole frames.

    Each measurement is a process of its own, so that a crash is a row. Each round has all of them,
    so that a machine that gets hot favours none.

    Args:
        models: exported files.
        backends: names of engines; empty: all that are installed and read the file.
        threads: threads of one call, each 1 or more; empty: 1, 2, 4, ... up to the number of cores.
        batches: faces of one call, each 1 or more.
        seconds: seconds of each measurement, at most; it ends when the median is known.
        rounds: number of rounds, 1 or more.
        report: takes a line before each measurement.

    Raises:
        ConfigError: a setting is out of range.
        ModelError: no engine reads such a file, or it isn't there.
        SpecError: it holds no spec, or one that can't be used.
    """
    here = read_board()
    counts = tuple(threads) or tuple(thread_counts(here.cores))
    if not batches or min(*counts, *batches, rounds) < 1 or not seconds > 0:
        raise ConfigError(
            "threads, batches and rounds must be 1 or more, seconds more than 0, and not "
            f"{counts}, {tuple(batches)}, {rounds} and {seconds}"
        )
    if max(counts) > MAX_THREADS:
        raise ConfigError(f"threads must be at most {MAX_THREADS}, not {max(counts)}")
    if unknown := [name for name in backends if name not in ENGINES]:
        raise ConfigError(f"the backend {unknown[0]!r} is none of {', '.join(ENGINES)}")
    names = tuple(dict.fromkeys(backends))
    engine_rows = [row for path in models for row in _engine_rows(path, names, here.machine)]
    rows: list[Row | FrameRow] = [
        dataclasses.replace(row, threads=count, batch=batch)
        # a file may be named, and be read for another one as well
        for row in dict.fromkeys(engine_rows)
        for count, batch in dict.fromkeys(itertools.product(counts, batches))
    ]
    rows += frame_rows([row.backend for row in engine_rows if row.failure is None], counts)
    timed: list[list[Timed]] = [[] for _ in rows]
    health = [read_health()]
    for turn in range(rounds):
        # there and back, so that what changes evenly favours neither the first nor the last
        for i in range(len(rows))[:: -1 if turn % 2 else 1]:
            row = rows[i]
            if row.failure is not None:
                continue
            report(f"{row.name} (round {turn + 1} of {rounds})")
            try:
                function, arguments = row.job()
                result = run_in_process(
                    function, seconds=seconds, timeout=TIMEOUT + 2 * seconds, **arguments
                )
                timed[i].append(result)
            except WorkerError as error:
                rows[i] = dataclasses.replace(row, failure=str(error))
        health.append(read_health())
    done = [
        row if row.failure else dataclasses.replace(row, speed=pool_rounds(results, row.batch))
        for row, results in zip(rows, timed, strict=True)
    ]
    return Benchmark(
        version=fer_edge.__version__,
        board=here,
        health=tuple(health),
        rows=tuple(row for row in done if isinstance(row, Row)),
        frames=tuple(row for row in done if isinstance(row, FrameRow)),
    )


def _engine_rows(path: Path, backends: Sequence[str], machine: str) -> list[Row]:
    """A row for each engine that is measured, or was named and can't be; its model is the file that
    the engine reads."""
    precision = read_model_spec(path).quantization.precision
    rows = []
    for name in backends or ENGINES:
        file = find_file(name, path)
        missing = missing_advice(name)
        if not backends and (missing or file is None):
            continue
        reason = missing or unsupported_reason(name, precision, machine)
        if file is None:
            file, reason = path, f"it doesn't read {path.suffix}"
        rows.append(Row(str(file), precision, model_size(file), name, 1, 1, failure=reason))
    return rows
