"""Where `fer infer` writes: standard output, or a file that a later run can complete."""

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
    """Source, first byte and end of each document; an incomplete last one is ignored."""
    end = 0
    for line in stream:
        if not line.endswith(b"\n"):
            return
        start, end = end, end + len(line)
        yield json.loads(line)["source"], start, end


def _csv_records(stream: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Source, first byte and end of each row, which may span several lines."""
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
        if stream.read(1):  # only an incomplete last row may be invalid
            raise


@dataclass(frozen=True)
class Kind:
    """A format of results.

    Attributes:
        line: formats a result of a model with this spec.
        header: the first line; None: there is none.
        records: reads what a file holds already; None: a file cannot be resumed.
        errors: how a file name that is not UTF-8 is encoded: as its own bytes, or escaped.
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


class ResultsFile(AbstractContextManager["ResultsFile"]):
    """Writes results one by one, each completely or not at all.

    A file is written as `NAME.part` and renamed when the block is left, also after an error or
    Ctrl-C: it then holds every result so far. After `kill -9` the `.part` is left. Either can be
    resumed.

    Args:
        path: the file; None: standard output.
        kind: a name of `KINDS`.
        spec: of the model.
        resume: continue an existing file.

    Raises:
        ConfigError: the file exists and is not to be resumed, or is of another kind.
        OSError: the file cannot be written.
    """

    existing_sources: frozenset[str] = frozenset()
    """Sources in the file when it was opened, without the last one, which may be incomplete."""

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
        existing = [one for one in (path, self._part) if one.exists()]
        if existing and not resume:
            raise ConfigError(f"{existing[0]} exists: continue it with --resume, or remove it")
        if len(existing) == 2:
            raise ConfigError(f"{path} and {self._part} both exist: remove one of them")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = (existing[0] if existing else self._part).open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConfigError(f"{path}: another process is writing it") from None
        if existing:
            try:
                self._size, self.existing_sources = _read_existing(existing[0], self._kind, header)
            except ConfigError:
                self._file.close()
                raise
            existing[0].replace(self._part)
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
        """Rename the file to its final name, without an incomplete last result."""
        if self._file is None or self.path is None:
            return
        self._file.truncate(self._size)
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)


def _read_existing(path: Path, kind: Kind, header: str) -> tuple[int, frozenset[str]]:
    """The number of bytes to keep, and the sources in them.

    The last source is read again: an image with many faces, or a video, may be incomplete.
    """
    assert kind.records
    sources: set[str] = set()
    last, start, end = None, 0, 0
    try:
        with path.open("rb") as stream:
            first = stream.readline()
            if header.startswith(first.decode()) and not first.endswith(b"\n"):
                return 0, frozenset()  # it ends before its first result
            if header and first != header.encode():
                raise ValueError("its columns differ: it may be of another model or version")
            stream.seek(0)
            for source, begin, end in kind.records(stream):  # noqa: B007 - the last one's
                if source != last:
                    sources.update(() if last is None else (last,))
                    last, start = source, begin
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be resumed: {error}") from None
    return start, frozenset(sources)


def choose_kind(path: Path | None, *, as_json: bool, as_csv: bool, resume: bool) -> str:
    """The name of the kind that the options choose.

    Raises:
        ConfigError: they contradict each other.
    """
    if as_json and as_csv:
        raise ConfigError("choose --json or --csv, not both")
    if path is not None and not path.name:
        raise ConfigError(f"--output {path}: not a file name")
    if resume and path is None:
        raise ConfigError("--resume needs --output, the file to continue")
    named = SUFFIXES.get(path.suffix.lower()) if path else None
    if as_json or as_csv:
        chosen = "json" if as_json else "csv"
        if path and named not in (None, chosen):
            raise ConfigError(f"--{chosen} and --output {path} contradict each other")
        return chosen
    if path is None:
        return "text"
    if named is None:
        raise ConfigError(
            f"--output {path}: end it in {', '.join(SUFFIXES)}, or add --json or --csv"
        )
    return named
