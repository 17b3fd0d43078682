"""Results of `fer infer` as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable

from fer_edge.runtime.results import UNCERTAIN, Face, Result, Track
from fer_edge.runtime.summary import Summary
from fer_edge.spec import ModelSpec
from fer_edge.text import format_count, format_json, printable

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


def csv_header(spec: ModelSpec) -> str:
    """The header of `--csv`."""
    return _csv_row([*FACE_COLUMNS, *spec.labels, *LAST_COLUMNS])


def result_csv(result: Result, spec: ModelSpec) -> str:
    """One row per face, probabilities with six decimals; an image without a face has one row."""
    place = (
        "" if result.frame is None else result.frame,
        "" if result.time is None else f"{result.time:.3f}",
    )
    if not result.faces:
        empty = [""] * (len(FACE_COLUMNS) - 1 + len(spec.labels))
        return _csv_row([result.source, *empty, *place, "", "", result.faces_from, "", ""])
    return "\n".join(
        _csv_row(
            [
                result.source,
                number,
                *face.box,
                face.emotion,
                f"{face.confidence:.6f}",
                *(f"{probability:.6f}" for probability in face.probabilities.values()),
                *place,
                face.track.number if face.track else "",
                face.track.emotion if face.track else "",
                result.faces_from,
                f"{face.score:.6f}",
                int(face.small),
            ]
        )
        for number, face in enumerate(result.faces)
    )


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


def _csv_row(values: Iterable[object]) -> str:
    line = io.StringIO()
    # with this line end, the writer quotes both \r and \n, which a file name may hold
    csv.writer(line, lineterminator="\r\n").writerow(list(values))
    return line.getvalue().removesuffix("\r\n")
