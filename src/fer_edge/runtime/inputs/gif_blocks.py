"""GIF files (GIF89a): the blocks that the first frame needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from fer_edge.runtime.inputs.spliced_file import Essentials, Part

_EXTENSION, _IMAGE = 0x21, 0x2C
_GRAPHIC_CONTROL = 0xF9
"""The extension that states a transparent colour."""
_MAX_STEPS = 200_000
"""Blocks, and bytes between them that belong to none, before the first frame: at 255 bytes a
block, those of 50 MB."""


def read_gif_essentials(file: BinaryIO, size: int) -> Essentials:
    """Which parts of a GIF file its first frame needs: no comments, no application's data.

    Args:
        file: positioned anywhere.
        size: of the file, in bytes.

    Raises:
        ValueError: it holds no frame, or too much before it.
    """
    file.seek(10)
    flags = int.from_bytes(file.read(1), "big")
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    parts: list[Part] = [(0, place)]
    steps = iter(range(_MAX_STEPS))
    for _ in steps:
        if place >= size:
            break
        file.seek(place)
        kind = file.read(1)[0]
        if kind == _IMAGE:
            parts.append((place, size))
            return Essentials(parts)
        start = place
        place += 1
        if kind == _EXTENSION:
            label = file.read(1)
            place = _skip_blocks(file, place + 1, steps)
            if label == bytes([_GRAPHIC_CONTROL]):
                parts[1:] = [(start, place)]
    raise ValueError("damaged: no frame")


def _skip_blocks(file: BinaryIO, place: int, steps: Iterator[int]) -> int:
    for _ in steps:
        length = file.read(1)
        if not length:
            break
        place += 1 + length[0]
        if not length[0]:
            break
        file.seek(place)
    return place
