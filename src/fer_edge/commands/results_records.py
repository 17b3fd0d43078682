"""What a results file holds already: read strictly, since what is unfinished in it is cut off."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, get_args

from fer_edge.documents import parse_json
from fer_edge.render.faces import FACE_COLUMNS, LAST_COLUMNS
from fer_edge.runtime.results import UNCERTAIN, FacesFrom
from fer_edge.spec import ModelSpec

Record = tuple[str, int, int]
"""Source, first byte and end of a record."""
_MAX_RECORD = 64 << 20
"""Bytes of the longest record: one image with a hundred thousand faces."""
_MAX_ROW = 1 << 16
"""Bytes of the longest row: a name, one face and its probabilities."""
_MAX_JSON_START = 1 << 10
"""Characters of a result before its faces, without the source."""
_JSON_SOURCE = re.compile(r'\{"source": "[^"\\]*(?:\\.[^"\\]*)*')
_JSON_START = re.compile(
    _JSON_SOURCE.pattern + r'", (?:"frame": \d+, "time": -?[\d.e+-]+, )?'
    r'"width": \d+, "height": \d+, "faces_from": "\w+", "faces": \['
)
_JSON_EXAMPLES = tuple(
    f'{{"source": "a", {place}"width": 1, "height": 1, "faces_from": "whole", "faces": ['
    for place in ("", '"frame": 0, "time": 0.0, ')
)


def json_records(stream: BinaryIO, spec: ModelSpec) -> Iterator[Record]:
    """The documents of a file of JSON lines; an unfinished last one is left out.

    Raises:
        ValueError: a line isn't a result of a model with these labels, or the unfinished last one
            doesn't begin as one.
    """
    end = 0
    for number, line in enumerate(_lines(stream, _MAX_RECORD), 1):
        text = line.decode("utf-8", "surrogateescape")
        if not line.endswith(b"\n"):
            if not _begins_json(text):
                raise ValueError(f"line {number} doesn't begin as a result of fer infer")
            return
        start, end = end, end + len(line)
        try:
            document = parse_json(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if not (_JSON_START.match(text) and text.endswith("]}\n") and _is_result(document)):
            raise ValueError(f"line {number} isn't a result of fer infer")
        if any(set(face["probabilities"]) != set(spec.labels) for face in document["faces"]):
            raise ValueError(f"line {number} has other labels: it is of another model")
        yield document["source"], start, end


def csv_records(stream: BinaryIO, spec: ModelSpec) -> Iterator[Record]:
    """The rows after the header, which may span several lines; an unfinished last one is left out.

    Raises:
        ValueError: a row isn't a result of a model with these labels, or the unfinished last one
            doesn't begin as one.
    """
    end = len(stream.readline())
    columns = _columns(spec.labels)
    pending: list[bytes] = []
    is_at_end = False

    def lines() -> Iterator[str]:
        nonlocal is_at_end
        for line in _lines(stream, _MAX_ROW):
            pending.append(line)
            if not line.endswith(b"\n"):
                break
            yield line.decode("utf-8", "surrogateescape")
        is_at_end = True

    rows, number = csv.reader(lines(), strict=True), 1
    while True:
        number += 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            if not is_at_end:  # only an unfinished last row may be invalid
                raise ValueError(f"row {number}: {error}") from None
            break
        if row is None:
            break
        start, end = end, end + sum(map(len, pending))
        pending.clear()
        if len(row) != len(columns) or not _fit(row, columns):
            raise ValueError(f"row {number} isn't a result of fer infer under these labels")
        yield row[0], start, end
    unfinished = b"".join(pending)
    if len(unfinished) > _MAX_ROW or not _begins_row(unfinished, columns):
        raise ValueError(f"row {number} doesn't begin as a result of fer infer")


def _lines(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    while line := stream.readline(limit + 1):
        if len(line) > limit:
            raise ValueError("one of its lines is longer than any result")
        yield line


def _begins_json(text: str) -> bool:
    """Whether a text can be continued to the beginning of a result."""
    if _JSON_START.match(text):
        return True
    if source := _JSON_SOURCE.match(text):  # may be long: scanned once
        text = f'{{"source": "{text[source.end() :]}'
    if len(text) > _MAX_JSON_START:
        return False
    ends = (example[i:] for example in _JSON_EXAMPLES for i in range(len(example)))
    return any(_JSON_START.fullmatch(text + end) for end in ends)


def _is_result(document: Any) -> bool:
    return (
        isinstance(document["faces"], list)
        and document["faces_from"] in get_args(FacesFrom)
        and all(map(_is_face, document["faces"]))
    )


def _is_face(face: Any) -> bool:
    try:
        return (
            isinstance(face["emotion"], str)
            and len(face["box"]) == 4
            and all(type(side) is int for side in face["box"])
            and all(0 <= one <= 1 for one in (face["confidence"], *face["probabilities"].values()))
        )
    except (TypeError, KeyError, AttributeError):
        return False


@dataclass(frozen=True)
class _Column:
    """Regular expressions of the values of a column, and of what such a value may begin with."""

    value: str
    beginning: str

    def holds(self, text: str) -> bool:
        return re.fullmatch(self.value, text, re.DOTALL) is not None

    def begins(self, text: str) -> bool:
        return re.fullmatch(self.beginning, text, re.DOTALL) is not None


def _one_of(texts: Iterable[str]) -> _Column:
    values = sorted(texts)
    return _Column(
        "|".join(map(re.escape, values)),
        "|".join(re.escape(value[:i]) for value in values for i in range(len(value) + 1)),
    )


def _columns(labels: Collection[str]) -> list[_Column]:
    number = _Column(r"|-?\d+(\.\d+)?", r"-?\d*\.?\d*")
    emotion = _one_of(("", *labels, UNCERTAIN))
    others = {
        "source": _Column(".+", ".*"),
        "emotion": emotion,
        "track_emotion": emotion,
        "faces_from": _one_of(get_args(FacesFrom)),
    }
    names = (*FACE_COLUMNS, *("" for _ in labels), *LAST_COLUMNS)
    return [others.get(name, number) for name in names]


def _fit(row: list[str], columns: list[_Column]) -> bool:
    return all(column.holds(text) for text, column in zip(row, columns, strict=False))


def _begins_row(unfinished: bytes, columns: list[_Column]) -> bool:
    """Whether a row that breaks off is one of these columns; its last value may be cut."""
    if not unfinished:
        return True
    text = unfinished.decode("utf-8", "surrogateescape")
    *whole, last = next(csv.reader(io.StringIO(text, newline="")))
    count = len(whole)
    return count < len(columns) and _fit(whole, columns) and columns[count].begins(last)
