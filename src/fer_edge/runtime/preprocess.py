"""The only preprocessing: from an image and a box to the face that the graph takes.

Training, calibration, evaluation, parity and the board all call `crop_face`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.orientation import read_orientation, undo_orientation
from fer_edge.runtime.pixel_values import to_eight_bits
from fer_edge.spec import CropSpec

Box = tuple[int, int, int, int]
"""x, y of the upper left corner, width, height, in pixels of the upright image."""

MAX_SQUARE = 9_459
"""Side in pixels: as many pixels as the largest image that Pillow opens without a warning."""
ROTATION_OVERSAMPLING = 6
"""A larger face is shrunk to this many times the result's side before it is rotated: rotating every
pixel takes longer and looks the same after the resize."""
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def to_upright(image: Image.Image) -> Image.Image:
    """A copy of an image of any mode, upright by its metadata, L or RGB, transparency on white.

    Raises:
        ValueError: see `to_eight_bits`.
    """
    return undo_orientation(to_eight_bits(image), read_orientation(image))


def to_gray(image: Image.Image) -> npt.NDArray[np.uint8]:
    """An image of any Pillow mode as uint8 `[height, width]` (ITU-R 601-2 luma).

    Raises:
        SourceError: the range of its values is unknown; see `to_eight_bits`.
    """
    try:
        return np.asarray(to_eight_bits(image).convert("L"))
    except ValueError as error:
        raise SourceError(f"images of mode {image.mode} cannot be read: {error}") from None


def crop_face(
    gray: npt.NDArray[np.uint8], box: Box, crop: CropSpec, side: int, tilt: float = 0.0
) -> npt.NDArray[np.uint8]:
    """Crop the square around `box` and resize it.

    The square's side is the box's longer side, widened by the spec's margin; outside the image, its
    edge pixels are repeated. A box of `side` x `side` is returned unchanged if the margin is 0.

    Args:
        gray: uint8 `[height, width]`.
        box: may extend beyond the image.
        side: of the result, in pixels.
        tilt: degrees of clockwise rotation to undo, about the box's centre.

    Returns:
        uint8 `[side, side]`.

    Raises:
        ValueError: the box is empty or lies outside the image.
        SourceError: the square would be too large for memory: the image is long and thin.
    """
    height, width = gray.shape
    x, y, w, h = box
    if w < 1 or h < 1 or x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise ValueError(f"the box {box} holds nothing of an image of {width} x {height}")
    length = round(max(w, h) * (1 + 2 * crop.margin))
    if length > MAX_SQUARE:
        raise SourceError(
            f"the square around the box {box} would be {length:,} px wide, over {MAX_SQUARE:,}: "
            "shrink the image first"
        )
    left = x + (w - length) // 2
    top = y + (h - length) // 2
    # a rotated square's corners reach further out, by at most (sqrt(2) - 1) / 2 of its side
    padding = math.ceil(length * 0.2072) + 1 if tilt else 0
    square = _crop_square(gray, left - padding, top - padding, length + 2 * padding)
    if tilt:
        square = _rotate_back(square, length, tilt, crop, side)
    if len(square) == side:
        return square.copy()  # a view would keep the whole image in memory
    resized = Image.fromarray(square).resize((side, side), FILTERS[crop.resize])
    return np.asarray(resized)


def _crop_square(
    gray: npt.NDArray[np.uint8], left: int, top: int, length: int
) -> npt.NDArray[np.uint8]:
    """A square of the image: a view where it lies inside, else a copy with repeated edges."""
    height, width = gray.shape
    if min(left, top) >= 0 and left + length <= width and top + length <= height:
        return gray[top : top + length, left : left + length]
    rows = np.clip(np.arange(top, top + length), 0, height - 1)
    columns = np.clip(np.arange(left, left + length), 0, width - 1)
    return gray[np.ix_(rows, columns)]


def _rotate_back(
    square: npt.NDArray[np.uint8], length: int, tilt: float, crop: CropSpec, side: int
) -> npt.NDArray[np.uint8]:
    """The central `length` x `length` of a larger square, rotated back by `tilt` degrees."""
    image = Image.fromarray(square)
    size = min(length, ROTATION_OVERSAMPLING * side)
    if size < length:
        shrunk = round(len(square) * size / length)
        image = image.resize((shrunk, shrunk), FILTERS[crop.resize])
    step = length / len(square) * image.width / size
    cos, sin = step * math.cos(math.radians(tilt)), step * math.sin(math.radians(tilt))
    here, there = size / 2, image.width / 2
    shift = (there - cos * here + sin * here, there - sin * here - cos * here)
    matrix = (cos, -sin, shift[0], sin, cos, shift[1])
    affine, bicubic = Image.Transform.AFFINE, Image.Resampling.BICUBIC
    return np.asarray(image.transform((size, size), affine, matrix, bicubic))
