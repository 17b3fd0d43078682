"""GIF files (GIF89a): the blocks that the first frame needs."""

from __future__ import annotations

from typing import BinaryIO

from fer_edge.runtime.inputs.spliced_file import Essentials, Part

_EXTENSION, _IMAGE = 0x21, 0x2C
_GRAPHIC_CONTROL = 0xF9
"""The extension that states a transparent colour."""


def read_gif_essentials(file: BinaryIO, size: int) -> Essentials:
    """Which parts of a GIF file its first frame needs: no comments, no application's data.

    Args:
        file: positioned anywhere.
        size: of the file, in bytes.

    Raises:
        ValueError: it holds no frame.
    """
    file.seek(10)
    flags = int.from_bytes(file.read(1), "big")
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    parts: list[Part] = [(0, place)]
    while place < size:
        file.seek(place)
        kind = file.read(1)[0]
        if kind == _IMAGE:
            parts.append((place, size))
            return Essentials(parts)
        start = place
        place += 1
        if kind == _EXTENSION:
            label = file.read(1)
            place = _skip_blocks(file, place + 1)
            if label == bytes([_GRAPHIC_CONTROL]):
                parts[1:] = [(start, place)]
    raise ValueError("damaged: no frame")


def _skip_blocks(file: BinaryIO, place: int) -> int:
    while length := file.read(1):
        place += 1 + length[0]
        if not length[0]:
            break
        file.seek(place)
    return place
