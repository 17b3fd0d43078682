"""Which images and videos a path, a folder, a pattern or standard input names."""

from __future__ import annotations

import glob
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.image_formats import HEIC_SUFFIXES, IMAGE_SUFFIXES
from fer_edge.runtime.inputs.video_formats import VIDEO_SUFFIXES

T = TypeVar("T")

_NETPBM = re.compile(rb"P[1-6]\s+\d+\s+\d+\s")
_LISTED = IMAGE_SUFFIXES | HEIC_SUFFIXES | VIDEO_SUFFIXES


def expand_stdin(sources: Iterable[T]) -> Iterator[T | str | BinaryIO | SourceError]:
    """The sources, with `"-"` replaced by what standard input holds: one image, as a file object
    named "stdin", or a list of sources, each line as it arrives. If it is closed or empty, an error
    comes in its place.
    """
    for source in sources:
        is_stdin = isinstance(source, str) and source == "-"
        yield from _read_stdin() if is_stdin else [source]


class _StdinImage(io.RawIOBase):
    """Standard input from its start, of which a part was read already."""

    name = "stdin"

    def __init__(self, start: bytes, descriptor: int) -> None:
        self._start, self._descriptor = start, descriptor

    def read(self, size: int = -1) -> bytes:
        content, self._start = self._start, b""
        return content or os.read(self._descriptor, size)


def _read_stdin() -> Iterator[str | BinaryIO | SourceError]:
    """Standard input, read from its file descriptor: a thread that waits in Python's own reader
    would hold a lock that the interpreter needs to exit."""
    if sys.stdin is None:
        yield SourceError("standard input is closed: name the sources as arguments")
        return
    rest, found = b"", False
    descriptor = sys.stdin.fileno()
    while content := os.read(descriptor, 1 << 16):
        if not (found or rest) and (b"\0" in content or _NETPBM.match(content)):
            # no name holds a zero byte, and every other image format's first bytes do
            yield _StdinImage(content, descriptor)  # type: ignore[misc]
            return
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            if line.strip():
                found = True
                yield os.fsdecode(line.removesuffix(b"\r"))
    if rest.strip():
        yield os.fsdecode(rest.removesuffix(b"\r"))
    elif not found:
        yield SourceError(
            "standard input is empty: give it an image, or one path or address on each line"
        )


def expand_source(source: str | Path) -> Iterator[Path | SourceError]:
    """The image and video files that a path, a folder (with its subfolders) or a pattern names.

    They are sorted, a folder's own files before those of its subfolders, without hidden ones. What
    cannot be listed, or holds nothing, comes as an error in its place.
    """
    name = str(source)
    try:
        if not name:
            yield SourceError("the name of a source is empty: give a path, a folder or a pattern")
        elif Path(name).is_dir():
            yield from _walk_folder(name)
        elif not Path(name).exists() and glob.has_magic(name):
            # Path.glob takes no absolute pattern
            matches = map(Path, sorted(glob.glob(name, recursive=True)))  # noqa: PTH207
            files = [path for path in matches if path.is_file()]
            yield from files
            if not files:
                yield SourceError(f"{name}: no file matches")
        else:
            yield Path(name)
    except OSError as error:
        yield SourceError(f"{name}: {error.strerror or error}")


def _walk_folder(folder: str) -> Iterator[Path | SourceError]:
    errors: list[SourceError] = []
    is_empty = True

    def report(error: OSError) -> None:
        errors.append(SourceError(f"{error.filename}: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=report):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in _LISTED and name[0] != "." and path.is_file():
                is_empty = False
                yield path
        while errors:
            is_empty = False
            yield errors.pop(0)
    yield from errors
    if is_empty and not errors:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        yield SourceError(f"{folder}: no image or video in this folder: it looks for {suffixes}")
