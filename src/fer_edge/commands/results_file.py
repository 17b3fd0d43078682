"""Where `fer infer` writes: standard output, or a file that a later run can complete."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fer_edge.atomic import named, sync, try_lock
from fer_edge.commands.interrupts import finish_first
from fer_edge.commands.results_records import Record, csv_records, json_records
from fer_edge.errors import ConfigError
from fer_edge.render.faces import csv_header, result_csv, result_json, result_text
from fer_edge.runtime.results import Result
from fer_edge.spec import ModelSpec

Records = Callable[[BinaryIO, ModelSpec], Iterator[Record]]


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
    "json": Kind(lambda result, _: result_json(result), records=json_records),
    "csv": Kind(result_csv, csv_header, csv_records, "surrogateescape"),
}
SUFFIXES = {".jsonl": "json", ".ndjson": "json", ".csv": "csv"}


class ResultsFile(AbstractContextManager["ResultsFile"]):
    """Writes results one by one, each completely or not at all.

    A file is written as `NAME.part` and renamed when the block is left, also after an error or an
    interruption: it then holds every result so far. After `kill -9` the `.part` is left. Either can
    be resumed. Neither may be a link: no other file is ever written.

    Args:
        path: the file; None: standard output.
        kind: a name of `KINDS`.
        spec: of the model.
        resume: continue an existing file. What is unfinished at its end is cut off, so it must hold
            nothing but results of a model with these labels.

    Raises:
        ConfigError: the file exists and is not to be resumed, or isn't a file of such results.
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
            self._print(header)
            return
        self._part = path.with_name(path.name + ".part")
        existing = _find_existing(path, self._part)
        if existing and not resume:
            raise ConfigError(f"{existing} exists: continue it with --resume, or remove it")
        path.parent.mkdir(parents=True, exist_ok=True)
        with finish_first():
            self._file = _open_locked(existing or self._part, is_new=existing is None)
            try:
                if existing:
                    self._size, self.existing_sources = self._read_existing(existing, header)
                    with named(path):
                        existing.replace(self._part)
                        self._file.truncate(self._size)
                if not self._size:
                    self._append(header)
            except BaseException:
                if existing is None:
                    self._part.unlink()
                self._file.close()
                raise

    def add(self, result: Result) -> None:
        """Write one result."""
        line = self._kind.line(result, self._spec) + "\n"
        if self._file is None:
            self._print(line)
            return
        with finish_first():
            self._append(line)

    @staticmethod
    def _print(text: str) -> None:
        with named(Path("standard output")):
            print(text, end="", flush=True)

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
        with finish_first(), named(self.path), closing(self._file):
            self._file.truncate(self._size)
            sync(self._part)
            self._part.replace(self.path)
            sync(self.path.parent)

    def _read_existing(self, path: Path, header: str) -> tuple[int, frozenset[str]]:
        """The number of bytes to keep, and the sources in them.

        The last source is read again: an image with many faces, or a video, may be incomplete.
        """
        assert self._kind.records
        assert self._file
        sources: set[str] = set()
        last, start, expected = None, len(header.encode()), header.encode()
        try:
            with open(self._file.fileno(), "rb", closefd=False) as stream:
                stream.seek(0)
                first = stream.readline(len(expected) or 1)
                if first != expected and expected.startswith(first):
                    return 0, frozenset()  # it ends before its first result
                if expected and first != expected:
                    raise ValueError("its columns differ: it may be of another model or version")
                stream.seek(0)
                records = self._kind.records(stream, self._spec)
                for source, begin, _ in records:
                    if source != last:
                        sources.update(() if last is None else (last,))
                        last, start = source, begin
        except ValueError as error:
            raise ConfigError(
                f"{path} cannot be resumed: {error}; nothing was changed: choose another --output"
            ) from None
        return start, frozenset(sources)


def _find_existing(path: Path, part: Path) -> Path | None:
    """The file that holds results already: finished, or left by a run that was killed.

    Raises:
        ConfigError: there are both, or a name is that of a link, a folder or a device.
    """
    existing = [one for one in (path, part) if os.path.lexists(one)]
    for one in existing:
        if not stat.S_ISREG(one.lstat().st_mode):
            raise ConfigError(
                f"--output {one}: not a file, but a link, a folder or a device; without --output, "
                "results go to standard output"
            )
    if len(existing) == 2:
        raise ConfigError(f"{path} and {part} both exist: remove one of them")
    return existing[0] if existing else None


def _open_locked(path: Path, *, is_new: bool) -> io.FileIO:
    """Open a file to be continued, or a new one, without following a link.

    Raises:
        ConfigError: another process is writing it.
        OSError: it can't be opened.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    flags |= os.O_CREAT | os.O_EXCL if is_new else 0
    try:
        file = io.FileIO(os.open(path, flags, 0o666), "ab+")
    except FileExistsError:
        file = None
    if file and try_lock(file.fileno()):
        # since then, the process that had the lock may have renamed the file
        with suppress(FileNotFoundError):
            if os.path.samestat(path.lstat(), os.fstat(file.fileno())):
                return file
    if file:
        file.close()
    raise ConfigError(f"{path}: another process is writing it")


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
