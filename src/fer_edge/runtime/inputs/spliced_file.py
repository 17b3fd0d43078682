"""A file that is made of parts of another one: what Pillow's decoders are given to read."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, NamedTuple, TypeAlias

Part: TypeAlias = "bytes | tuple[int, int]"
"""Bytes, or the start and the end of a span of the other file."""
_MAX_PARTS = 4_000
"""Neighbours count as one; image files have a dozen."""


class Essentials(NamedTuple):
    """What a decoder needs of an image file: metadata, which may be damaged or huge, is left out.

    Attributes:
        parts: of the file, in order.
        orientation: EXIF's, from 1 to 8.
        decoder_bytes: memory that the decoder takes beside the pixels.
    """

    parts: list[Part]
    orientation: int = 1
    decoder_bytes: int = 0


class SplicedFile(io.RawIOBase):
    """The parts of a file, one after the other, as a file."""

    def __init__(self, file: BinaryIO, parts: Sequence[Part]) -> None:
        self._file, self._parts, self._place = file, parts, 0
        lengths = (len(p) if isinstance(p, bytes) else max(0, p[1] - p[0]) for p in parts)
        self._starts = [*accumulate(lengths, initial=0)]

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from any place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the spliced file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}
        self._place = max(0, base[whence] + offset)
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what follows, of one part at a time."""
        index = bisect_right(self._starts, self._place) - 1
        if index == len(self._parts):
            return 0
        left = self._starts[index + 1] - self._place
        within = self._place - self._starts[index]
        content = self._read_part(self._parts[index], within, min(len(buffer), left))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def _read_part(self, part: Part, within: int, size: int) -> bytes:
        if isinstance(part, bytes):
            return part[within : within + size]
        self._file.seek(part[0] + within)
        return self._file.read(size)


def append_span(parts: list[Part], start: int, end: int) -> None:
    """Add a span to the parts; one that begins where the last one ends is joined to it.

    Raises:
        ValueError: there are more parts than any image needs.
    """
    last = parts[-1]
    if isinstance(last, tuple) and last[1] == start:
        parts[-1] = (last[0], end)
        return
    if len(parts) >= _MAX_PARTS:
        raise ValueError(f"damaged: more than {_MAX_PARTS:,} pieces")
    parts.append((start, end))


def splice(file: BinaryIO, parts: Sequence[Part]) -> BinaryIO:
    """The parts of a file as a buffered file of their own."""
    return io.BufferedReader(SplicedFile(file, parts), 1 << 16)
