"""Standard input: one image, or a list of names, each of which is read as it arrives."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from PIL import UnidentifiedImageError

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.image_formats import START_BYTES, find_format
from fer_edge.runtime.inputs.video_formats import SIGNATURE_BYTES, is_video_content

T = TypeVar("T")

_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Bytes that are in no text; a tab and the ends of lines may be."""
_PLAIN_NETPBM = re.compile(rb"P[1-6]\s+(#.*\s+)*\d+\s+\d+\s")
_NO_NAMES = (b"\0", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 2**16
_LONGEST_NAME = 2**16
"""Bytes: without a name's end in so many, it is no list of names."""
_NEITHER = "standard input holds neither an image nor a list of names"


def expand_stdin(sources: Iterable[T]) -> Iterator[T | str | BinaryIO | SourceError]:
    """The sources, with `"-"` replaced by what standard input holds.

    That is one image, as a file object named "stdin", or names, ended by newlines or, as those of
    `find -print0`, by NUL bytes. If it is closed, empty or neither, an error comes in its place.
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
    """What standard input holds; an error comes last."""
    try:
        yield from _read_sources()
    except SourceError as error:
        yield error


def _read_sources() -> Iterator[str | BinaryIO | SourceError]:
    """Standard input, read from its file descriptor: a thread that waits in Python's own reader
    would hold a lock that the interpreter needs to exit."""
    if sys.stdin is None:
        yield SourceError("standard input is closed: name the sources as arguments")
        return
    descriptor = sys.stdin.fileno()
    start = _read_start(descriptor)
    end = _find_end(start)
    if not start.isspace() and _is_image(start, end):
        yield _StdinImage(start, descriptor)  # type: ignore[misc]
        return
    name = None
    for name in _read_names(start.removeprefix(codecs.BOM_UTF8), descriptor, end):
        yield name
    if name is None:
        yield SourceError(
            "standard input is empty: give it an image, or one path or address on each line"
        )


def _read_start(descriptor: int) -> bytes:
    """Enough to tell what it is, or all: a name with its end, or the first bytes of anything."""
    start = b""
    while len(start) < SIGNATURE_BYTES and not (b"\n" in start.lstrip() and _is_text(start)):
        content = _read_chunk(descriptor)
        if not content:
            break
        start += content
    return start


def _find_end(start: bytes) -> bytes:
    """What ends the names: NUL where it comes first, or where what it ends is a file's name."""
    name, nul, _ = start.partition(b"\0")
    return b"\0" if nul and (b"\n" not in name or _exists(name)) else b"\n"


def _is_text(content: bytes) -> bool:
    """Whether it begins as names do: without control characters, though NUL bytes may end them."""
    content = content[:SIGNATURE_BYTES]
    is_binary = content.startswith(_NO_NAMES) or b"\0\0" in content or _CONTROL.search(content)
    return not is_binary


def _is_image(start: bytes, end: bytes) -> bool:
    """Whether it is an image, rather than names.

    Raises:
        SourceError: it is neither.
    """
    if not start or _exists(start.split(end, 1)[0].removesuffix(b"\r")):
        return False
    try:
        find_format(start[:START_BYTES])
    except UnidentifiedImageError as error:
        text = str(error)
    else:
        # a name may begin as an image does: BMW.jpg
        return not _is_text(start) or bool(_PLAIN_NETPBM.match(start))
    if text != "not an image":
        raise SourceError(f"standard input: {text}")
    if is_video_content(start):
        raise SourceError("standard input holds a video: give its path or address instead")
    if not _is_text(start):
        raise SourceError(f"{_NEITHER}, but other binary data")
    if start.lstrip().startswith(b"<"):
        raise SourceError(f"{_NEITHER}, but HTML or XML")
    return False


def _exists(name: bytes) -> bool:
    try:
        return bool(name) and Path(os.fsdecode(name)).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _read_names(start: bytes, descriptor: int, end: bytes) -> Iterator[str | SourceError]:
    """The names as they arrive; ends with an error where what follows is no name."""
    since_name = 0
    for place, record in enumerate(_read_records(start, descriptor, end), 1):
        since_name += len(record) + 1
        if since_name > _LONGEST_NAME:
            yield SourceError(f"{_NEITHER}: {_LONGEST_NAME} bytes without the end of a name")
            return
        name = record if end == b"\0" else record.removesuffix(b"\r")
        if not name or name.isspace():
            continue
        if (_CONTROL.search(name) or {*b"\0\n"} & {*name}) and not _exists(name):
            yield SourceError(
                f"standard input: name {place} holds control characters, and there is no such "
                "file: the rest is left out"
            )
            return
        since_name = 0
        yield os.fsdecode(name)


def _read_records(start: bytes, descriptor: int, end: bytes) -> Iterator[bytes]:
    """What `end` separates, without waiting for the next; one that is too long comes last."""
    content, rest = start, b""
    while content and len(rest) <= _LONGEST_NAME:
        *whole, rest = (rest + content).split(end)
        yield from whole
        content = _read_chunk(descriptor)
    yield rest


def _read_chunk(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError as error:
        raise SourceError(
            f"standard input can't be read ({error.strerror}): name the sources as arguments"
        ) from error
