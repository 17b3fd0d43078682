"""Results of `fer infer` as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from fer_edge.runtime.results import UNCERTAIN, Face, Result, Track
from fer_edge.runtime.summary import Summary
from fer_edge.spec import ModelSpec
from fer_edge.text import format_count, format_json, printable

Value: TypeAlias = str | int | float | bool | None
"""In a table of results; None: an empty cell."""
BAR = 24
_SMALL = " (too small to rely on)"
FACE_COLUMNS = ("source", "face", "x", "y", "w", "h", "emotion", "confidence")
LAST_COLUMNS = ("frame", "time", "track", "track_emotion", "faces_from", "score", "small")
"""After the probabilities in each row of `--csv`; the first four are empty for images."""


def bar(fraction: float) -> str:
    """A fraction in [0, 1] as a bar of 24 cells, in eighths of a cell."""
    eighths = round(fraction * BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(BAR, "·")


def result_text(result: Result) -> str:
    """One face with a bar per label, several with a line each, those of a video frame in a line."""
    source = printable(result.source)
    if result.frame is not None:
        shown = ", ".join(_track_text(face) for face in result.faces) or "no face found"
        return f"{source}  frame {result.frame}  {result.time:.2f} s  {shown}"
    whole = ", taken as one face" if result.faces_from == "whole" else ""
    lines = [f"{source}  ({result.width} x {result.height}{whole})"]
    if not result.faces:
        lines.append("  no face found")
    elif len(result.faces) > 1:
        for number, face in enumerate(result.faces):
            x, y, w, h = face.box
            shown = _emotion_text(face)
            note = _SMALL if face.small else ""
            lines.append(f"  face {number:<3} {shown:<14} at {x}, {y} ({w} x {h}){note}")
    else:
        face = result.faces[0]
        width = max(_cells(printable(label)) for label in face.probabilities)
        sure = f"{printable(face.emotion)}, {face.confidence:.0%} sure"
        shown = _emotion_text(face) if face.emotion == UNCERTAIN else sure
        lines.append(f"  {shown}{_SMALL if face.small else ''}")
        for label, probability in face.probabilities.items():
            mark, shown = ">" if label == face.emotion else " ", printable(label)
            gap = " " * (width - _cells(shown))
            lines.append(f"  {mark} {shown}{gap} {bar(probability)} {probability:6.1%}")
    return "\n".join(lines)


def _cells(text: str) -> int:
    """Columns that a text takes in a terminal: two for each East Asian wide character."""
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 for one in text)


def _emotion_text(one: Face | Track) -> str:
    """The label and its probability; where it is uncertain, the likeliest label as well."""
    if one.emotion != UNCERTAIN:
        return f"{printable(one.emotion)} {one.confidence:.0%}"
    likeliest = max(one.probabilities, key=one.probabilities.__getitem__)
    return f"{UNCERTAIN} ({printable(likeliest)} {one.confidence:.0%})"


def _track_text(face: Face) -> str:
    track = face.track
    small = _SMALL if face.small else ""
    shown = _emotion_text(face) if track is None else f"#{track.number} {_emotion_text(track)}"
    return shown + small


def result_json(result: Result) -> str:
    """One document on one line."""
    return format_json(result.to_dict())


def column_names(spec: ModelSpec) -> list[str]:
    """The columns of a table of results: one row per face."""
    return [*FACE_COLUMNS, *spec.labels, *LAST_COLUMNS]


def result_rows(result: Result, spec: ModelSpec) -> Iterator[list[Value]]:
    """The values of `column_names`, one row per face; an image without a face has one row."""
    place = (result.frame, None if result.time is None else float(result.time))
    if not result.faces:
        empty = [None] * (len(FACE_COLUMNS) - 1 + len(spec.labels))
        yield [result.source, *empty, *place, None, None, result.faces_from, None, None]
    for number, face in enumerate(result.faces):
        yield [
            result.source,
            number,
            *face.box,
            face.emotion,
            face.confidence,
            *face.probabilities.values(),
            *place,
            face.track.number if face.track else None,
            face.track.emotion if face.track else None,
            result.faces_from,
            face.score,
            face.small,
        ]


def csv_header(spec: ModelSpec) -> str:
    """The header of `--csv`."""
    return csv_row(column_names(spec))


def result_csv(result: Result, spec: ModelSpec) -> str:
    """`result_rows` as lines of CSV."""
    return "\n".join(map(format_row, result_rows(result, spec)))


def format_row(row: Sequence[Value]) -> str:
    """A row of values as a line of CSV: numbers with six decimals, a result's time with three."""
    time_at = len(row) - len(LAST_COLUMNS) + LAST_COLUMNS.index("time")
    return csv_row(_cell(value, 3 if i == time_at else 6) for i, value in enumerate(row))


def _cell(value: Value, decimals: int) -> str:
    if isinstance(value, float):
        return f"{value:.{decimals}f}"
    return "" if value is None else str(int(value) if isinstance(value, bool) else value)


def summary_text(summary: Summary) -> str:
    """Counts, speed and emotions of a run, in a few lines."""
    seconds = summary.seconds
    unit = "frame" if 0 < summary.frames == summary.images else "image"
    lines = [
        f"{format_count(summary.images, unit)} in {seconds:.1f} s, "
        f"{summary.images / max(seconds, 1e-9):.1f} {unit}s/s; per {unit} "
        f"{1e3 * summary.durations.percentile(0.5):.1f} ms (median), "
        f"{1e3 * summary.durations.percentile(0.95):.1f} ms (95th percentile)"
    ]
    emotions = summary.emotions.most_common()
    fractions = ", ".join(
        f"{printable(emotion)} {count / summary.faces:.0%}" for emotion, count in emotions
    )
    tracks = f", {format_count(summary.tracked, 'track')}" if summary.tracked else ""
    faces = f"{format_count(summary.faces, 'face')}{tracks}"
    lines.append(f"{faces}: {fractions}" if fractions else faces)
    if summary.failed:
        lines.append(f"{summary.failed:,} could not be read")
    return "\n".join(lines)


def csv_row(values: Iterable[object]) -> str:
    """One row of CSV, without the end of its line."""
    line = io.StringIO()
    # with this line end, the writer quotes both \r and \n, which a file name may hold
    csv.writer(line, lineterminator="\r\n").writerow(list(values))
    return line.getvalue().removesuffix("\r\n")
