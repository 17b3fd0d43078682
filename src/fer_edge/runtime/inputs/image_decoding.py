"""Image files decoded: within the limits, at the scale that is needed, as far as they are whole."""

from __future__ import annotations

from contextlib import ExitStack
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.image_formats import (
    FORMATS,
    START_BYTES,
    OpenedImage,
    find_format,
    open_header,
    read_webp_size,
    reopen,
)
from fer_edge.runtime.inputs.jpeg_segments import END_OF_IMAGE, has_all_scans
from fer_edge.runtime.inputs.limits import (
    DECODE_BYTES,
    DECODING,
    UPRIGHT_BYTES,
    check_pixels,
    choose_reduction,
)
from fer_edge.runtime.inputs.spliced_file import splice
from fer_edge.runtime.orientation import read_orientation, undo_orientation, upright_size
from fer_edge.runtime.pixel_values import to_eight_bits

MAX_MISSING = 0.02
"""Fraction of a JPEG's pixels that may be missing at its end."""
_SIDE_BYTES = 24
"""Memory for each pixel of both sides: decoders hold some rows twice, and Pillow has pointers to
rows. It matters for an image of one row or column."""
_DIFFERS_ABOVE = 2
"""Levels, of 255."""
_COPIES = ("_decoder", "fp")
"""Where Pillow's WebP and AVIF images hold further copies of the pixels when they are loaded."""
_NOISE = b"".join(bytes([*range(1, 255, 2), 0xFF, 0xD0 + n % 8]) for n in range(512))
"""Image data in which no JPEG goes on, with restart markers: a decoder that waits for one would
leave the rest gray."""
_BAND = 16
"""Rows of pixels that a JPEG stores together, at most."""


class DecodedImage(NamedTuple):
    """An upright image, L or RGB, and its width and height before it was reduced, in pixels."""

    image: Image.Image
    size: tuple[int, int]


def decode_image(
    name: str,
    file: BinaryIO,
    size: int,
    max_pixels: int | None,
    stack: ExitStack,
    *,
    held_bytes: int = 0,
) -> DecodedImage:
    """Decode an image file, reduced by `choose_reduction`, and turn it upright.

    Args:
        name: what errors call the image.
        file: at its start.
        size: of the file, in bytes.
        max_pixels: maximum of width x height; None: that of its format, or fewer where they would
            take more than `DECODE_BYTES`.
        stack: the memory for decoding is reserved until it ends.
        held_bytes: memory that the caller holds for the file.

    Raises:
        SourceError: it has too many pixels.
        UnidentifiedImageError: it isn't an image of a format that is read.
        Exception: whatever Pillow raises where it is damaged.
    """
    start = file.read(START_BYTES)
    kind = find_format(start)
    if kind is FORMATS["WebP"] and (canvas := read_webp_size(start)):
        limit = int((DECODE_BYTES - held_bytes - size) / kind.pixel_bytes)
        check_pixels(name, *canvas, max_pixels or max(1, limit))
    opened = open_header(file, size, kind)
    width, height = opened.image.size
    if 0 in (width, height):
        raise SourceError(f"{name}: an image without pixels")
    pixels = width * height
    factor = choose_reduction(width, height)
    total = _count_bytes(opened, factor, held_bytes)
    while kind is FORMATS["JPEG"] and total > DECODE_BYTES and factor < 8:
        factor *= 2  # to leave room for its coefficients
        total = _count_bytes(opened, factor, held_bytes)
    limit = min(opened.max_pixels, pixels * DECODE_BYTES // total)
    check_pixels(name, width, height, max_pixels or limit)
    upright_bytes = held_bytes + UPRIGHT_BYTES * pixels // factor**2
    stack.enter_context(DECODING.reserve(max(total, upright_bytes)))
    image = _load(file, opened, factor)
    orientation = opened.essentials.orientation if opened.essentials else read_orientation(image)
    reduced = to_eight_bits(image, 1 if kind is FORMATS["JPEG"] else factor)
    del image, opened  # the pixels that were decoded, if they are others
    return DecodedImage(
        undo_orientation(reduced, orientation), upright_size((width, height), orientation)
    )


def _count_bytes(opened: OpenedImage, factor: int, held_bytes: int) -> int:
    """Memory for decoding an image, which is reduced by `factor` while or after it is decoded."""
    pixels = opened.image.width * opened.image.height
    sides = _SIDE_BYTES * (opened.image.width + opened.image.height)
    decoded = pixels // factor**2 if opened.format is FORMATS["JPEG"] else pixels
    return held_bytes + opened.held_bytes + sides + int(opened.pixel_bytes * decoded)


def _load(file: BinaryIO, opened: OpenedImage, factor: int) -> ImageFile.ImageFile:
    """The image decoded, of a JPEG at a reduced scale."""
    if opened.format is not FORMATS["JPEG"]:
        opened.image.load()
        for name in _COPIES:
            if hasattr(opened.image, name):
                setattr(opened.image, name, None)
        return opened.image
    _set_scale(opened.image, factor)
    try:
        opened.image.load()
        return opened.image
    except OSError:
        opened.image.close()
    # outside of the handler: the error holds the pixels
    return _load_without_end(file, opened, factor)


def _load_without_end(file: BinaryIO, opened: OpenedImage, factor: int) -> ImageFile.ImageFile:
    """A JPEG that breaks off, if nearly all of its pixels are there.

    It is decoded with two different ends: pixels that depend on the end are missing.
    """
    assert opened.essentials is not None
    if not has_all_scans(splice(file, opened.essentials.parts)):
        raise OSError("cut off: the scans with its details are missing")
    image, other = (reopen(file, opened, end + END_OF_IMAGE) for end in (b"", _NOISE))
    for one in (image, other):
        _set_scale(one, factor)
        one.load()
    fraction = _count_missing(image, other) / (image.width * image.height)
    if fraction > MAX_MISSING:
        raise OSError(f"cut off: {fraction:.0%} of its pixels are missing")
    return image


def _count_missing(image: Image.Image, other: Image.Image) -> int:
    """Pixels from the first one on that differs: rightwards in its band, and all below that."""
    for top in range(0, image.height, _BAND):
        box = (0, top, image.width, min(image.height, top + _BAND))
        here, there = (np.asarray(one.crop(box), np.int16) for one in (image, other))
        differs = np.abs(here - there) > _DIFFERS_ABOVE
        rows, columns, *_ = np.nonzero(differs)
        if rows.size:
            height = box[3] - top - int(rows.min())
            below = (image.height - box[3]) * image.width
            return below + height * (image.width - int(columns.min()))
    return 0


def _set_scale(image: ImageFile.ImageFile, factor: int) -> None:
    if factor > 1:
        image.draft(None, (max(1, image.width // factor), max(1, image.height // factor)))
