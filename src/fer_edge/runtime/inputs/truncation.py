"""Whether a video file ends before the end that its container states in bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_DATA_BOXES = (b"mdat", b"moov", b"moof")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEADER = 2**16
"""Bytes in which the file properties lie."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def is_cut_off(path: Path) -> bool | None:
    """Whether bytes are missing from a file; None: its container doesn't state its size.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        file.seek(0)
        for matches, stated_end in _CONTAINERS:
            if matches(start):
                end = stated_end(file, size)
                return None if end is None else end > size
    return None


def _iso_end(file: BinaryIO, size: int) -> int:
    """The end of the last box that holds data or says where it is (ISO/IEC 14496-12, 4.2)."""
    place = end = 0
    while place + 8 <= size:
        file.seek(place)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0: to the end of the file
            break
        place += length
        if kind in _DATA_BOXES:
            end = place
    return end


def _riff_end(file: BinaryIO, size: int) -> int | None:
    """The end of the last RIFF chunk; a file over 1 GiB has several (OpenDML)."""
    place = 0
    while place + 12 <= size:
        file.seek(place)
        header = file.read(8)
        length = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF" or not 0 < length < 2**32 - 1:
            break
        place += 8 + length
    return place or None


def _matroska_end(file: BinaryIO, _: int) -> int | None:
    """The end of the segment, unless it was written without one, as live streams are (RFC 8794)."""
    for kind in (_EBML, _SEGMENT):
        if file.read(4) != kind:
            return None
        first = file.read(1)[:1] or b"\0"
        width = 9 - first[0].bit_length()
        if width > 8:
            return None
        content = bytes([first[0] & (0xFF >> width)]) + file.read(width - 1)
        length = int.from_bytes(content, "big")
        if kind == _SEGMENT:
            unknown = 2 ** (7 * width) - 1
            return None if length == unknown else file.tell() + length
        file.seek(length, 1)
    return None


def _flv_end(file: BinaryIO, size: int) -> int:
    """The end of the file, if it ends with the size of a whole tag (FLV 10.1, annex E.3)."""
    file.seek(max(0, size - 4))
    tag = int.from_bytes(file.read(4), "big")
    file.seek(max(0, size - 4 - tag))
    header = file.read(4)
    is_whole = 11 <= tag <= size - 4 and int.from_bytes(header[1:], "big") == tag - 11
    return size if is_whole else size + 1


def _asf_end(file: BinaryIO, _: int) -> int | None:
    """The size in the file properties, which a live recording leaves at 0 (ASF 1.2, 3.2)."""
    header = file.read(_ASF_HEADER)
    place = header.find(_ASF_PROPERTIES)
    return int.from_bytes(header[place + 40 : place + 48], "little") or None if place >= 0 else None


_CONTAINERS: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, int], int | None]], ...] = (
    (lambda start: start[4:8] in (b"ftyp", b"wide", b"free", b"skip", *_DATA_BOXES), _iso_end),
    (lambda start: start[:4] == b"RIFF", _riff_end),
    (lambda start: start[:4] == _EBML, _matroska_end),
    (lambda start: start[:3] == b"FLV", _flv_end),
    (lambda start: start[:4] == b"\x30\x26\xb2\x75", _asf_end),
)
