"""The orientation that an image's metadata states, and the transposition that undoes it.

EXIF is read here, not by Pillow: Pillow reads every field, and the fields of a small damaged file
can claim gigabytes.
"""

from __future__ import annotations

import logging
import re
import struct

from PIL import Image

logger = logging.getLogger(__name__)

_TAG = 0x0112
_FORMATS = {1: "B2x", 3: "H2x", 4: "I"}
"""By the field's type; the standard's is 3, a short."""
_XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_exif_orientation(exif: bytes) -> int | None:
    """The orientation in the first directory of an EXIF block; None where it states none.

    A block that is damaged or cut off states none.
    """
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 10:
        return None
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return None
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for place in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind = struct.unpack_from(f"{order}HH", block, place)
        if tag == _TAG and kind in _FORMATS:
            return _valid(struct.unpack_from(f"{order}{_FORMATS[kind]}", block, place + 8)[0])
    return None


def read_xmp_orientation(xmp: bytes) -> int | None:
    """The orientation in an XMP document; None where it states none."""
    found = _XMP.search(xmp)
    return int(found[1]) if found else None


def read_orientation(image: Image.Image) -> int:
    """The orientation that a Pillow image's metadata states, 1 where it states none."""
    value = getattr(image, "tag_v2", {}).get(_TAG)
    if value is None and isinstance(exif := image.info.get("exif"), bytes):
        value = read_exif_orientation(exif)
    if value is None and isinstance(xmp := image.info.get("xmp"), bytes):
        value = read_xmp_orientation(xmp)
    if value is None:
        try:  # as a program sets it, or as ImageMagick stores it in a PNG file
            value = image.getexif().get(_TAG)
        except Exception as error:  # Pillow raises nearly anything where it is damaged
            logger.debug("metadata without a readable orientation: %s", error)
    return _valid(value) or 1


def _valid(value: object) -> int | None:
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def undo_orientation(image: Image.Image, orientation: int) -> Image.Image:
    """An upright copy of an image that is stored with an orientation, without metadata."""
    turn = _TURNS.get(orientation)
    image = image.copy() if turn is None else image.transpose(turn)
    image.info.clear()
    return image


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of an image after `undo_orientation`."""
    return size[::-1] if orientation >= 5 else size
