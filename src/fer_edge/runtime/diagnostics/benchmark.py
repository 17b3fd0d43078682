"""What models cost on this machine, under each engine, with so many threads and faces at once."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import fer_edge
from fer_edge.errors import ConfigError
from fer_edge.runtime.backends.registry import ENGINES, file_for
from fer_edge.runtime.device.board import Board, read_board
from fer_edge.runtime.device.throttling import (
    Health,
    clock_drop,
    read_health,
    throttling_reasons,
)
from fer_edge.runtime.diagnostics.self_test import (
    Tell,
    child,
    not_installed,
    not_offered,
    readable,
    silent,
    thread_counts,
)
from fer_edge.runtime.diagnostics.statistics import APART, Speed, pooled
from fer_edge.runtime.diagnostics.worker import NARROW, Timed
from fer_edge.runtime.formats.model_files import model_size
from fer_edge.schema import parse
from fer_edge.spec import Precision

MODULE = "fer_edge.runtime.diagnostics.worker"
BATCHES = (1, 8)
SECONDS, ROUNDS = 3.0, 3


@dataclasses.dataclass(frozen=True)
class Row:
    """One combination: `speed` or `failure` says what came of it.

    Attributes:
        model: the file.
        precision: the model's.
        size: of the file and what belongs to it, in bytes.
        backend: the engine's name.
        threads, batch: of one call.
        accuracy: share of faces that the model answers rightly under this engine, in [0, 1]; None:
            it wasn't asked for, or `accuracy_failure` says why there is none.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Everything that `fer benchmark` found out.

    Attributes:
        board: the machine.
        health: of the machine, before, and after each round.
        rows: by model, engine, threads and batch.
        split, faces: that accuracy was taken on, and how many they are; None: it wasn't asked for.
    """

    version: str
    board: Board
    health: tuple[Health, ...]
    rows: tuple[Row, ...]
    split: str | None = None
    faces: int | None = None

    @property
    def works(self) -> bool:
        """Whether anything could be measured."""
        return any(row.speed is not None for row in self.rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures doubtful, in words."""
        measured = [(row, row.speed) for row in self.rows if row.speed is not None]
        found = []
        if why := throttling_reasons(self.health):
            found.append(f"the machine was slowed down during the run: {', '.join(why)}")
        falls = [(fall, row.name) for row, speed in measured if (fall := clock_drop(speed.clocks))]
        if falls:
            (before, after), name = min(falls, key=lambda one: one[0][1] / one[0][0])
            found.append(f"the clock fell from {before:.0f} to {after:.0f} MHz ({name})")
        if wide := sum(not speed.narrow for _, speed in measured):
            found.append(
                f"{wide} of {len(measured)} medians are known to no better than {NARROW:.0%}: "
                "leave the machine alone, or give more --seconds and --rounds"
            )
        apart, name = max(((speed.apart, row.name) for row, speed in measured), default=(0.0, ""))
        if apart > APART:
            found.append(
                f"the rounds' medians differ by up to {apart:.0%} ({name}): the machine did other "
                "work, or got hot"
            )
        return tuple(found)

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
    tell: Tell = silent,
) -> Benchmark:
    """Time each model under each engine, with each number of threads and faces at once.

    Each time is a process of its own, so that a crash is a row; each round has all of them, so
    that a machine that gets hot favours none.

    Args:
        models: exported files.
        backends: names of engines; none: all that are installed and read the file.
        threads: for one call, each 1 or more; none: 1, 2, 4, ... up to the number of cores.
        batches: faces of one call, each 1 or more.
        seconds: to measure for, at most, in each round; less where the median is known earlier.
        rounds: 1 or more.
        tell: called with a line before each measurement.

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
    if unknown := [name for name in backends if name not in ENGINES]:
        raise ConfigError(f"the backend {unknown[0]!r} is none of {', '.join(ENGINES)}")
    pairs = list(dict.fromkeys(itertools.product(counts, batches)))
    rows = [
        dataclasses.replace(row, threads=count, batch=batch)
        for row in dict.fromkeys(  # a file may be named, and stand in for another one
            row
            for path in models
            for row in _engines(path, tuple(dict.fromkeys(backends)), here.machine)
        )
        for count, batch in pairs
    ]
    found: list[list[Timed]] = [[] for _ in rows]
    seen = [read_health()]
    for turn in range(rounds):
        # there and back, so that what changes evenly favours neither the first nor the last
        for place in range(len(rows))[:: -1 if turn % 2 else 1]:
            row = rows[place]
            if row.failure is not None:
                continue
            tell(f"{row.name} (round {turn + 1} of {rounds})")
            answer, failure = child(
                *(row.model, row.backend, str(row.threads), str(row.batch), str(seconds)),
                module=MODULE,
                seconds=2 * seconds,
            )
            if failure is None:
                found[place].append(parse(Timed, answer, "timing", unknown="reject"))
            rows[place] = dataclasses.replace(row, failure=failure)
        seen.append(read_health())
    return Benchmark(
        version=fer_edge.__version__,
        board=here,
        health=tuple(seen),
        rows=tuple(
            row if row.failure else dataclasses.replace(row, speed=pooled(timed, row.batch))
            for row, timed in zip(rows, found, strict=True)
        ),
    )


def _engines(path: Path, backends: Sequence[str], machine: str) -> list[Row]:
    """A row for each engine that is to be tried, or was asked for and can't be; its model is the
    file that the engine reads."""
    precision = readable(path).quantization.precision
    rows = []
    for name in backends or ENGINES:
        file = file_for(name, path)
        missing = not_installed(name)
        if not backends and (missing or file is None):
            continue
        unread = f"it doesn't read {path.suffix}" if file is None else None
        why = unread or missing or not_offered(name, precision, machine)
        read = file or path
        rows.append(Row(str(read), precision, model_size(read), name, 1, 1, failure=why))
    return rows
