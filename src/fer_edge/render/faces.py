"""What faces were found: as text for people, as rows for tables."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable

from fer_edge.runtime.results import Face, Result
from fer_edge.runtime.summary import Summary
from fer_edge.spec import ModelSpec

BAR = 24
FACE_COLUMNS = ("source", "face", "x", "y", "w", "h", "emotion", "confidence")
VIDEO_COLUMNS = ("frame", "time", "track", "track_emotion")
"""At the end of each row of `--csv`; empty for pictures."""


def bar(share: float) -> str:
    """A share in [0, 1] as a bar of 24 cells, in eighths of a cell."""
    eighths = round(share * BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(BAR, "·")


def result_text(result: Result) -> str:
    """A face with a bar for each label; several with a line each; a video's all in one line."""
    if result.frame is not None:
        shown = ", ".join(_followed(face) for face in result.faces) or "no face"
        return f"{result.source}  frame {result.frame}  {result.time:.2f} s  {shown}"
    lines = [f"{result.source}  ({result.width} x {result.height})"]
    if not result.faces:
        lines.append("  no face")
    if len(result.faces) > 1:
        for number, face in enumerate(result.faces):
            x, y, w, h = face.box
            shown = f"{face.emotion} {face.confidence:.0%}"
            lines.append(f"  face {number:<3} {shown:<14} at {x}, {y} ({w} x {h})")
        return "\n".join(lines)
    for face in result.faces:
        width = max(_cells(label) for label in face.probabilities)
        lines.append(f"  {face.emotion}, {face.confidence:.0%} sure")
        for label, share in face.probabilities.items():
            mark = ">" if label == face.emotion else " "
            gap = " " * (width - _cells(label))
            lines.append(f"  {mark} {label}{gap} {bar(share)} {share:6.1%}")
    return "\n".join(lines)


def _cells(text: str) -> int:
    """Columns of a terminal that a text takes: two for most signs of China, Japan and Korea."""
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 for one in text)


def _followed(face: Face) -> str:
    track = face.track
    if track is None:
        return f"{face.emotion} {face.confidence:.0%}"
    return f"#{track.number} {track.emotion} {track.confidence:.0%}"


def result_json(result: Result) -> str:
    """One document in one line."""
    return json.dumps(result.to_dict(), ensure_ascii=False, allow_nan=False)


def csv_header(spec: ModelSpec) -> str:
    """The header of `--csv`."""
    return _csv_row([*FACE_COLUMNS, *spec.labels, *VIDEO_COLUMNS])


def result_csv(result: Result, spec: ModelSpec) -> str:
    """One row a face, probabilities at six decimals; one without a face where there is none."""
    place = (
        "" if result.frame is None else result.frame,
        "" if result.time is None else f"{result.time:.3f}",
    )
    if not result.faces:
        empty = [""] * (len(FACE_COLUMNS) - 1 + len(spec.labels))
        return _csv_row([result.source, *empty, *place, "", ""])
    return "\n".join(
        _csv_row(
            [
                result.source,
                number,
                *face.box,
                face.emotion,
                f"{face.confidence:.6f}",
                *(f"{share:.6f}" for share in face.probabilities.values()),
                *place,
                face.track.number if face.track else "",
                face.track.emotion if face.track else "",
            ]
        )
        for number, face in enumerate(result.faces)
    )


def summary_text(summary: Summary) -> str:
    """What a run came to, in a few lines."""
    seconds = summary.seconds
    what = "frame" if 0 < summary.frames == summary.images else "image"
    lines = [
        f"{_number(summary.images, what)} in {seconds:.1f} s, "
        f"{summary.images / max(seconds, 1e-9):.1f} a second; to read one took "
        f"{1e3 * summary.durations.percentile(0.5):.1f} ms (median), "
        f"{1e3 * summary.durations.percentile(0.95):.1f} ms (95th percentile)"
    ]
    shares = ", ".join(
        f"{emotion} {count / summary.faces:.0%}"
        for emotion, count in summary.emotions.most_common()
    )
    people = f", {summary.tracked:,} followed" if summary.tracked else ""
    lines.append(
        f"{_number(summary.faces, 'face')}{people}" + (f", of which {shares}" if shares else "")
    )
    if summary.failed:
        lines.append(f"{summary.failed:,} could not be read")
    return "\n".join(lines)


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _csv_row(values: Iterable[object]) -> str:
    line = io.StringIO()
    # the writer quotes what holds a character of its line's end: a file's name may have either
    csv.writer(line, lineterminator="\r\n").writerow(list(values))
    return line.getvalue().removesuffix("\r\n")
