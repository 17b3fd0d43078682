"""Where `fer infer` writes: standard output, or a file that can be gone on with."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fer_edge.atomic import named
from fer_edge.errors import ConfigError
from fer_edge.render.faces import csv_header, result_csv, result_json, result_text
from fer_edge.runtime.results import Result
from fer_edge.spec import ModelSpec

Records = Callable[[BinaryIO], Iterator[tuple[str, int, int]]]


def _json_records(stream: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Source, first byte and end of each document; stops at one that was cut off."""
    end = 0
    for line in stream:
        if not line.endswith(b"\n"):
            return
        start, end = end, end + len(line)
        yield json.loads(line)["source"], start, end


def _csv_records(stream: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """The same of rows, which may be several lines long."""
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        for line in stream:
            if not line.endswith(b"\n"):
                return
            read += len(line)
            yield line.decode("utf-8", "surrogateescape")

    rows = csv.reader(lines(), strict=True)
    header = next(rows, ["source"])
    if header[0] != "source":
        raise ValueError("its first column isn't source")
    start = read
    try:
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"a row of {len(row)} values under {len(header)} names")
            yield row[0], start, read
            start = read
    except csv.Error:
        if stream.read(1):  # anything but a name of several lines that the file ends in
            raise


@dataclass(frozen=True)
class Kind:
    """A way to write results down.

    Attributes:
        line: a result as text, under a model's spec.
        header: of a file or a whole output; None: it has none.
        records: what a file holds already; None: it can't be gone on with.
        errors: what becomes of a file's name that isn't UTF-8: its own bytes, or an escape.
    """

    line: Callable[[Result, ModelSpec], str]
    header: Callable[[ModelSpec], str] | None = None
    records: Records | None = None
    errors: str = "backslashreplace"


KINDS = {
    "text": Kind(lambda result, _: result_text(result)),
    "json": Kind(lambda result, _: result_json(result), records=_json_records),
    "csv": Kind(result_csv, csv_header, _csv_records, "surrogateescape"),
}
SUFFIXES = {".jsonl": "json", ".ndjson": "json", ".csv": "csv"}


class Output(AbstractContextManager["Output"]):
    """Writes results, one after the other; each is there as a whole or not at all.

    A file grows as `NAME.part` and gets its name when the block is left, be it by an error or by
    Ctrl-C: what it then holds is complete as far as it goes. After `kill -9` the part is left; both
    can be gone on with.

    Args:
        path: of the file; None: standard output.
        kind: a name of `KINDS`.
        spec: of the model that answers.
        resume: go on with the file where it is there already.

    Raises:
        ConfigError: the file is there and wasn't to be gone on with, or isn't of that kind.
        OSError: it can't be written.
    """

    held: frozenset[str] = frozenset()
    """The sources that the file held before, without the last one, which may be incomplete."""

    def __init__(self, path: Path | None, kind: str, spec: ModelSpec, *, resume: bool) -> None:
        self.path = path
        self._kind, self._spec = KINDS[kind], spec
        self._file: io.FileIO | None = None
        self._size = 0
        header = self._kind.header(spec) + "\n" if self._kind.header else ""
        if path is None:
            print(header, end="")
            return
        self._part = path.with_name(path.name + ".part")
        if path.exists() and not path.is_file():
            raise ConfigError(f"--output {path}: not a file")
        there = [one for one in (path, self._part) if one.exists()]
        if there and not resume:
            raise ConfigError(
                f"{there[0]} is there already: --resume goes on with it, or remove it"
            )
        if len(there) == 2:
            raise ConfigError(f"{path} and {self._part} are both there: remove one of them")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = (there[0] if there else self._part).open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConfigError(f"{path}: another run is writing it") from None
        if there:
            try:
                self._size, self.held = _kept(there[0], self._kind, header)
            except ConfigError:
                self._file.close()
                raise
            there[0].replace(self._part)
        self._file.truncate(self._size)
        if not self._size:
            self._append(header)

    def add(self, result: Result) -> None:
        """Write one result."""
        line = self._kind.line(result, self._spec) + "\n"
        if self._file is None:
            print(line, end="", flush=True)
        else:
            self._append(line)

    def _append(self, text: str) -> None:
        assert self._file
        assert self.path
        content = text.encode("utf-8", self._kind.errors)
        rest = memoryview(content)
        with named(self.path):
            while rest:
                rest = rest[self._file.write(rest) :]
        self._size += len(content)

    def __exit__(self, *_: object) -> None:
        """Give the file its name; what was written of the last result only in part goes."""
        if self._file is None or self.path is None:
            return
        self._file.truncate(self._size)
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)


def _kept(path: Path, kind: Kind, header: str) -> tuple[int, frozenset[str]]:
    """How many bytes to go on after, and which sources they hold.

    The last source is done anew: of a picture with many faces, or a video, only a part may be
    there.
    """
    assert kind.records
    held: set[str] = set()
    last, start, end = None, 0, 0
    try:
        with path.open("rb") as stream:
            first = stream.readline()
            if header.startswith(first.decode()) and not first.endswith(b"\n"):
                return 0, frozenset()  # it ended before its first result
            if header and first != header.encode():
                raise ValueError("its columns are others: of another model?")
            stream.seek(0)
            for source, begin, end in kind.records(stream):  # noqa: B007 - the last one's
                if source != last:
                    held.update(() if last is None else (last,))
                    last, start = source, begin
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ConfigError(f"{path} can't be gone on with: {error}") from None
    return start, frozenset(held)


def kind_of(path: Path | None, *, as_json: bool, as_csv: bool, resume: bool) -> str:
    """The name of the kind that the options ask for.

    Raises:
        ConfigError: they contradict each other.
    """
    if as_json and as_csv:
        raise ConfigError("--json or --csv, not both")
    if path is not None and not path.name:
        raise ConfigError(f"--output {path}: not a file's name")
    if resume and path is None:
        raise ConfigError("--resume needs --output: the file to go on with")
    named = SUFFIXES.get(path.suffix.lower()) if path else None
    if as_json or as_csv:
        asked = "json" if as_json else "csv"
        if path and named not in (None, asked):
            raise ConfigError(f"--{asked} and --output {path} contradict each other")
        return asked
    if path is None:
        return "text"
    if named is None:
        raise ConfigError(
            f"--output {path}: end it in {', '.join(SUFFIXES)}, or say --json or --csv"
        )
    return named
