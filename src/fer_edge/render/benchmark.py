"""The measurements of `fer benchmark` as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.text import Text

from fer_edge.render.table import Table
from fer_edge.runtime.device.throttling import Health
from fer_edge.runtime.diagnostics.benchmark import Benchmark, Row
from fer_edge.runtime.diagnostics.frames import FrameRow
from fer_edge.runtime.diagnostics.statistics import Speed
from fer_edge.text import printable

COLUMNS_EXPLAINED = (
    "ms per call, with the 95 % interval of the median; load: importing the engine + opening "
    "the model; memory: the peak of a process that does only this"
)


FRAMES_EXPLAINED = (
    "+ one face: ms of finding the faces of a frame and of reading one of them; frames/s: how many "
    "of these a second has"
)


def benchmark_tables(found: Benchmark) -> Iterable[Table | Text | str]:
    """A table per model, the machine's state before and after, and warnings."""
    for _, rows in groupby(found.rows, key=lambda row: row.model):
        yield from _model(list(rows), found)
    yield COLUMNS_EXPLAINED
    for _, frames in groupby(found.frames, key=lambda frame: frame.detector):
        yield from _detector(list(frames), found)
    timed: list[Row | FrameRow] = [*found.rows, *found.frames]
    versions = {one.backend: one.speed.engine for one in timed if one.speed is not None}
    yield "engines: " + (", ".join(map(" ".join, versions.items())) or "none worked")
    board = found.board
    yield f"{board.name}: {board.cpu}, {board.cores} core{'s' if board.cores > 1 else ''} usable"
    for when, health in (("before", found.health[0]), ("after", found.health[-1])):
        yield f"{when}: {_health(health)}"
    for warning in found.warnings:
        yield Text(warning, "yellow")


def _model(rows: Sequence[Row], found: Benchmark) -> Iterable[Table | Text]:
    first = rows[0]
    on = f"; accuracy on {found.split}, {found.faces:,} faces" if found.faces else ""
    title = f"{first.model}: {first.precision}, {first.size / 1e6:.1f} MB{on}"
    table = Table("engine", title=title, title_justify="left")
    columns = ("threads", "batch", "ms, median", "p95", "p99", "faces/s", "load ms", "memory MB")
    for column in (*columns, *(["accuracy"] if found.split else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        if row.speed is not None:
            accuracy = "" if row.accuracy is None else f"{row.accuracy:.2%}"
            table.add_row(*_cells(row, row.speed), *([accuracy] if found.split else []))
    if table.rows:
        yield table
    else:
        yield Text(printable(title), "italic")
    yield from (Text(printable(line), "red") for line in _failures(rows))


def _detector(frames: Sequence[FrameRow], found: Benchmark) -> Iterable[Table | Text | str]:
    """Finding the faces of a frame, and reading one of them."""
    first = frames[0]
    title = f"{first.detector or 'no face detector'}: {first.size / 1e6:.2f} MB"
    table = Table("engine", title=title, title_justify="left")
    for column in ("threads", "frame", "ms, median", "p95", "p99", "+ one face", "frames/s"):
        table.add_column(column, justify="right", no_wrap=True)
    for frame in frames:
        if (speed := frame.speed) is None:
            continue
        face = found.face_ms(frame)
        both = None if face is None else speed.p50_ms + face
        table.add_row(
            *(frame.backend, str(frame.threads), f"{frame.width} x {frame.height}"),
            *(_median(speed), _ms(speed.p95_ms), _ms(speed.p99_ms), _ms(both)),
            "" if both is None else f"{1000 / both:,.0f}",
        )
    if table.rows:
        yield table
        yield FRAMES_EXPLAINED
    reasons = dict.fromkeys(f"{row.backend}: {row.failure}" for row in frames if row.failure)
    yield from (Text(f"face detector, {printable(reason)}", "red") for reason in reasons)


def _median(speed: Speed) -> Text:
    low, high = speed.interval_ms
    shown = f"{_ms(speed.p50_ms)} ({_ms(low)}-{_ms(high)})"
    return Text(shown, "" if speed.is_narrow else "yellow")


def _cells(row: Row, speed: Speed) -> Iterable[str | Text]:
    yield from (row.backend, str(row.threads), str(row.batch))
    yield _median(speed)
    yield from (_ms(speed.p95_ms), _ms(speed.p99_ms), f"{speed.faces_per_second:,.0f}")
    yield f"{speed.import_ms:.0f} + {speed.load_ms:.0f}"
    yield "" if speed.peak_memory is None else f"{speed.peak_memory / 1e6:.0f}"


def _ms(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _failures(rows: Sequence[Row]) -> Iterable[str]:
    """One line for an engine that always failed in the same way."""
    for backend, group in groupby(rows, key=lambda row: row.backend):
        tried = list(group)
        reasons = {row.failure for row in tried}
        if len(reasons) == 1 and None not in reasons:
            yield f"{backend}: {tried[0].failure}"
        else:
            yield from (f"{row.name}: {row.failure}" for row in tried if row.failure)
        for failure in dict.fromkeys(row.accuracy_failure for row in tried):
            if failure:
                yield f"{backend}: no accuracy: {failure}"


def _health(health: Health) -> str:
    """Temperature, clocks and throttling, as far as the system reports them."""
    parts = [] if health.temperature is None else [f"{health.temperature:.0f} °C"]
    if clocks := sorted({f"{clock:.0f}" for clock in health.clocks}, key=int):
        parts.append(f"{' to '.join(dict.fromkeys((clocks[0], clocks[-1])))} MHz")
    if health.throttled is not None:
        parts.append(", ".join(health.throttled) or "not throttled")
    return ", ".join(parts) or "the system reports no temperature, clock or throttling"
