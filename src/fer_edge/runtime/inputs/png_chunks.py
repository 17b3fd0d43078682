"""PNG files (W3C PNG, third edition): the chunks that the pixels need."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from fer_edge.runtime.inputs.spliced_file import Essentials, Part, append_span
from fer_edge.runtime.orientation import read_exif_orientation, read_xmp_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_PIXELS = (b"IHDR", b"PLTE", b"IDAT")
_TEXTS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_MAX_TEXT = 1 << 20
"""Bytes of a text that are looked through for an orientation, after decompression."""
_MAX_TEXTS = 16
"""Texts that are looked through; a file has three at most."""
_XMP = b"XML:com.adobe.xmp"
_RAW_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1")
_KEYWORDS = tuple(keyword + b"\0" for keyword in (_XMP, *_RAW_PROFILES))


def read_png_essentials(file: BinaryIO, size: int) -> Essentials:
    """Which parts of a PNG file its pixels need; of an animation, those of its default image.

    An ancillary chunk with a wrong checksum is left out, and a missing end is added.

    Args:
        file: positioned anywhere.
        size: of the file, in bytes.
    """
    parts: list[Part] = [(0, len(SIGNATURE))]
    orientation, texts = None, 0
    place = len(SIGNATURE)
    while place + 8 <= size:
        file.seek(place)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        end = place + 12 + length
        if kind == b"IEND":
            break
        if kind in _PIXELS:
            if end <= size:
                append_span(parts, place, end)
            else:  # cut off: as long as it is; of pixels, Pillow checks no checksum
                body = min(length, size - place - 8)
                parts += [body.to_bytes(4, "big") + kind, (place + 8, place + 8 + body), bytes(4)]
        elif kind == b"tRNS" and length <= 768 and _is_intact(kind, file.read(length + 4)):
            append_span(parts, place, end)
        elif kind in _TEXTS and orientation is None and length <= _MAX_TEXT and texts < _MAX_TEXTS:
            content = file.read(length + 4)
            is_known = kind == b"eXIf" or content.startswith(_KEYWORDS)
            if is_known and _is_intact(kind, content):
                texts += 1
                orientation = _find_orientation(kind, content[:-4])
        place = end
    return Essentials([*parts, _END], orientation or 1)


def _is_intact(kind: bytes, content: bytes) -> bool:
    return zlib.crc32(kind + content[:-4]) == int.from_bytes(content[-4:], "big")


def _find_orientation(kind: bytes, content: bytes) -> int | None:
    """The orientation in a chunk: as EXIF, as XMP, or as ImageMagick stores EXIF."""
    if kind == b"eXIf":
        return read_exif_orientation(content)
    keyword, _, text = content.partition(b"\0")
    is_compressed = kind == b"zTXt"
    text = text[1:] if is_compressed else text
    if kind == b"iTXt":
        is_compressed = text[:1] == b"\1"
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    if is_compressed:
        try:
            text = zlib.decompressobj().decompress(text, _MAX_TEXT)
        except zlib.error:
            return None
    if keyword == _XMP:
        return read_xmp_orientation(text)
    if keyword in _RAW_PROFILES:
        # a line break, a name, a number of bytes, then these in hexadecimal
        try:
            return read_exif_orientation(bytes.fromhex(b"".join(text.split()[2:]).decode("ascii")))
        except ValueError:
            return None
    return None
