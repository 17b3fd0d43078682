"""JPEG files (ITU-T T.81): the segments that the pixels need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from fer_edge.runtime.inputs.spliced_file import Essentials, Part, append_span
from fer_edge.runtime.orientation import read_exif_orientation, read_xmp_orientation

END_OF_IMAGE = b"\xff\xd9"
_SCAN, _END = 0xDA, 0xD9
_STANDALONE = {0x00, 0x01, 0xD8, *range(0xD0, 0xD8)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_METADATA = {*range(0xE0, 0xF0), 0xFE}
_KEPT_METADATA = {0xE0, 0xEE}
"""JFIF and Adobe: they say how colours are stored."""
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_COEFFICIENT_BYTES = 2
_CHUNK = 1 << 20
_SCAN_START, _SCAN_HEADER = re.compile(rb"\xff\xda"), 16
"""How the header of a scan begins, and bytes of the longest."""
_COEFFICIENTS = frozenset(range(64))
_MAX_STEPS = 200_000
"""Bytes read to find all segments: two for each, and those between them, which other decoders skip
as well."""


def read_jpeg_essentials(file: BinaryIO, size: int) -> Essentials:
    """Which parts of a JPEG file its pixels need; of an MPO file, those of its first image.

    A file of several scans is decoded after all of them were read: the decoder holds the
    coefficients of the whole image, at any scale.

    Args:
        file: positioned anywhere.
        size: of the file, in bytes.

    Raises:
        ValueError: it holds no image.
    """
    parts: list[Part] = [(0, 2)]
    orientation = xmp_orientation = None
    components, samples, is_progressive = 0, 0, False
    seen: set[int] = set()
    for place, marker, length in _read_segments(file):
        end = place + length
        if marker == _SCAN:
            is_progressive = is_progressive or int.from_bytes(file.read(1), "big") < components
            append_span(parts, place - 2, size)
            held = _COEFFICIENT_BYTES * samples if is_progressive else 0
            return Essentials(parts, orientation or xmp_orientation or 1, held)
        if marker in _FRAMES:
            components, samples = _count_samples(file.read(length - 2))
            is_progressive = marker in _PROGRESSIVE
        elif marker == 0xE1 and orientation is None:
            content = file.read(length - 2)
            if content.startswith(_EXIF):
                orientation = read_exif_orientation(content)
            elif content.startswith(_XMP) and xmp_orientation is None:
                xmp_orientation = read_xmp_orientation(content)
        if marker not in _METADATA or (marker in _KEPT_METADATA and marker not in seen):
            append_span(parts, place - 2, end)
        seen.add(marker)
    raise ValueError("damaged: no image data")


def _read_segments(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Place behind the marker, marker and length of each segment; `file` is behind the length."""
    place = 2
    steps = iter(range(_MAX_STEPS))
    while True:
        place, marker = _find_marker(file, place, steps)
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(file.read(2), "big")
        if marker == _END or length < 2:
            return
        yield place, marker, length
        place += length


def _find_marker(file: BinaryIO, place: int, steps: Iterator[int]) -> tuple[int, int]:
    """The place behind the next marker, and its code."""
    file.seek(place)
    is_marker = False
    for _ in steps:
        byte = file.read(1)
        if not byte:
            break
        place += 1
        if is_marker and byte != b"\xff":
            return place, byte[0]
        is_marker = byte == b"\xff"
    raise ValueError("damaged: no image data")


def _count_samples(frame: bytes) -> tuple[int, int]:
    """The number of colour components, and of samples of all of them."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    factors = [(byte >> 4, byte & 15) for byte in frame[7::3]]
    if not factors or 0 in (factor for pair in factors for factor in pair):
        raise ValueError("damaged: a frame without components")
    widest, highest = (max(pair[axis] for pair in factors) for axis in (0, 1))
    samples = sum(width * height * x * y for x, y in factors) // (widest * highest)
    return len(factors), samples


def has_all_scans(file: BinaryIO) -> bool:
    """Whether a JPEG's scans state every bit of every coefficient; the last may break off.

    Of a progressive JPEG, each scan adds coefficients or bits to the same pixels (ITU-T T.81,
    annex G): Al = 0 is the last bit.

    Args:
        file: the essentials alone, since metadata may hold another JPEG.
    """
    stated: dict[int, set[int]] = {}
    headers: Iterable[bytes] = ()
    for place, marker, length in _read_segments(file):
        if marker in _FRAMES:
            stated = {component: set() for component in file.read(length - 2)[6::3]}
        if marker == _SCAN:
            headers = _read_scan_headers(file, place - 2)
            break
    for header in headers:
        count = header[4] if len(header) > 4 else 5
        if len(header) < 8 + 2 * count:
            continue
        first, last, bits = header[5 + 2 * count : 8 + 2 * count]
        for component in header[5 : 5 + 2 * count : 2] if bits & 15 == 0 else b"":
            stated.get(component, set()).update(range(first, last + 1))
    return all(found >= _COEFFICIENTS for found in stated.values())


def _read_scan_headers(file: BinaryIO, place: int) -> Iterator[bytes]:
    """What begins as a scan's header from `place` on; some come twice, or cut off as well.

    In a scan's data, 0xFF is followed by 0 or a restart marker.
    """
    file.seek(place)
    block = b""
    while chunk := file.read(_CHUNK):
        block = block[1 - _SCAN_HEADER :] + chunk
        for found in _SCAN_START.finditer(block):
            yield block[found.start() : found.start() + _SCAN_HEADER]
