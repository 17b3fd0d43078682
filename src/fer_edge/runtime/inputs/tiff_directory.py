"""TIFF files (TIFF 6.0 and BigTIFF): how much memory their first directory makes a reader take.

EXIF blocks are TIFF files as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TYPE_BYTES |= {13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _LENGTH, _BITS, _SAMPLES = 256, 257, 258, 277
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH = 278, 322, 323
MAX_FIELDS = 65_535
_DECODED_PIXEL = 4
"""Bytes that a decoder may need for a pixel of fewer bits."""


class _Field(NamedTuple):
    """One field: its tag, the bytes of its values, and the first of these, 0 if not an integer."""

    tag: int
    length: int
    value: int


def read_strip_bytes(file: BinaryIO) -> int:
    """Bytes of one decoded strip or tile of a TIFF file, which a decoder holds as a whole.

    Args:
        file: positioned anywhere.

    Raises:
        ValueError: the directory is damaged.
    """
    fields = {field.tag: field.value for field in _read_directory(file, 0)}
    width, height = fields.get(_WIDTH, 0), fields.get(_LENGTH, 0)
    pixel = max(_DECODED_PIXEL, -(-fields.get(_BITS, 8) * fields.get(_SAMPLES, 1) // 8))
    if _TILE_WIDTH in fields:
        return fields[_TILE_WIDTH] * fields.get(_TILE_LENGTH, 1) * pixel
    return width * min(height, fields.get(_ROWS_PER_STRIP, height)) * pixel


def count_fields(file: BinaryIO, start: int, size: int) -> tuple[int, int]:
    """How many fields the first directory has, and the bytes that they take, which may be shared.

    Args:
        file: holds a TIFF file from `start` on.
        start: in bytes.
        size: of the whole file, in bytes: a field takes no more.

    Raises:
        ValueError: the directory is cut off or has too many fields.
    """
    lengths = [min(field.length, size) for field in _read_directory(file, start)]
    return len(lengths), sum(lengths)


def _read_directory(file: BinaryIO, start: int) -> Iterator[_Field]:
    file.seek(start)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = 43 in head[2:4]
    count_format, entry_format = ("Q", "HHQ8s") if is_big else ("H", "HHI4s")
    entry_format = order + entry_format
    try:
        (offset,) = struct.unpack_from(order + ("Q" if is_big else "I"), head, 8 if is_big else 4)
        file.seek(start + min(offset, 1 << 62))
        (count,) = struct.unpack(
            order + count_format, file.read(struct.calcsize(order + count_format))
        )
    except struct.error:
        raise ValueError("damaged: its directory is cut off") from None
    if count > MAX_FIELDS:
        raise ValueError("damaged: its directory has too many fields")
    step = struct.calcsize(entry_format)
    content = file.read(step * count)
    whole = content[: len(content) // step * step]
    for tag, kind, number, value in struct.iter_unpack(entry_format, whole):
        length = _TYPE_BYTES.get(kind, 1) * number
        first = 0
        if kind in _INTEGERS and number:
            # values that lie elsewhere are not read: of bits per sample, 16 is the most
            is_here = length <= len(value)
            elsewhere = 16 if tag == _BITS else 0
            first = struct.unpack_from(order + _INTEGERS[kind], value)[0] if is_here else elsewhere
        yield _Field(tag, length, first)
