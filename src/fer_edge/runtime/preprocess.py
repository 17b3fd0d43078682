"""The one way from a picture and a box to what the graph takes.

Training, calibration, evaluation, parity and the board all call `crop_face`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from fer_edge.errors import SourceError
from fer_edge.spec import CropSpec

Box = tuple[int, int, int, int]
"""x, y of the upper left corner, width, height, in pixels of the upright picture."""

LONGEST = 9_459
"""The widest square: as many pixels as the largest picture that Pillow opens without a warning."""
FINENESS = 6
"""To turn a large face pixel by pixel takes long, and is not seen once it is small."""
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def to_upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation says, and lay a transparent one on white.

    Of a deep one the transparency is left out: Pillow would clip its values.
    """
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data and not is_deep(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def is_deep(image: Image.Image) -> bool:
    """Whether its values have more than eight bits: Pillow's own conversions clip them."""
    return image.mode.startswith("I") or image.mode == "F"


def to_gray(image: Image.Image) -> npt.NDArray[np.uint8]:
    """A picture of any Pillow mode as uint8 `[height, width]` (ITU-R 601-2 luma).

    Sixteen-bit pictures are scaled from [0, 65535], floating-point ones from [0, 1] to [0, 255];
    what isn't a number is black.

    Raises:
        SourceError: Pillow can't turn the mode into gray.
    """
    if image.mode.startswith("I"):
        deep = np.clip(np.asarray(image, np.int64), 0, 65535)
        return (deep // 257).astype(np.uint8)
    if image.mode == "F":
        shares: npt.NDArray[np.float32] = np.clip(np.nan_to_num(np.asarray(image)), 0, 1)
        return np.rint(shares * 255).astype(np.uint8)
    try:
        return np.asarray(image.convert("L"))
    except ValueError:
        raise SourceError(f"pictures of mode {image.mode} can't be read") from None


def crop_face(
    gray: npt.NDArray[np.uint8], box: Box, crop: CropSpec, side: int, tilt: float = 0.0
) -> npt.NDArray[np.uint8]:
    """Cut the square about `box` out of `gray` and resize it.

    The square's side is the box's longer side, widened by the spec's margin; what lies outside the
    picture repeats its edge. A box that already is `side` x `side` comes back unchanged when the
    margin is 0.

    Args:
        gray: uint8 `[height, width]`.
        box: x, y, width, height in pixels; may reach over the picture's edge.
        crop: the spec's crop rule.
        side: the result's side in pixels.
        tilt: degrees by which the face is turned clockwise about the box's centre; it comes back
            upright.

    Returns:
        uint8 `[side, side]`.

    Raises:
        ValueError: the box is empty or lies wholly outside the picture.
        SourceError: the square would be too large for memory: a long, thin picture.
    """
    height, width = gray.shape
    x, y, w, h = box
    if w < 1 or h < 1 or x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise ValueError(f"the box {box} holds nothing of a picture of {width} x {height}")
    length = round(max(w, h) * (1 + 2 * crop.margin))
    if length > LONGEST:
        raise SourceError(f"the square about the box {box} would be {length:,} px wide")
    left = x + (w - length) // 2
    top = y + (h - length) // 2
    # turned, the square's corners reach further out, by (sqrt(2) - 1) / 2 of its side at most
    more = math.ceil(length * 0.2072) + 1 if tilt else 0
    square = _cut(gray, left - more, top - more, length + 2 * more)
    if tilt:
        square = _turned_back(square, length, tilt, crop, side)
    if len(square) == side:
        return square.copy()  # a cut-out face must not keep the whole picture in memory
    resized = Image.fromarray(square).resize((side, side), FILTERS[crop.resize])
    return np.asarray(resized)


def _cut(gray: npt.NDArray[np.uint8], left: int, top: int, length: int) -> npt.NDArray[np.uint8]:
    """A square of the picture, seen rather than copied where it lies inside."""
    height, width = gray.shape
    if min(left, top) >= 0 and left + length <= width and top + length <= height:
        return gray[top : top + length, left : left + length]
    rows = np.clip(np.arange(top, top + length), 0, height - 1)
    columns = np.clip(np.arange(left, left + length), 0, width - 1)
    return gray[np.ix_(rows, columns)]


def _turned_back(
    square: npt.NDArray[np.uint8], length: int, tilt: float, crop: CropSpec, side: int
) -> npt.NDArray[np.uint8]:
    """The middle `length` x `length` of a larger square that is turned clockwise by `tilt`.

    A large one is shrunk to `FINENESS` times the result's side first.
    """
    picture = Image.fromarray(square)
    size = min(length, FINENESS * side)
    if size < length:
        shrunk = round(len(square) * size / length)
        picture = picture.resize((shrunk, shrunk), FILTERS[crop.resize])
    step = length / len(square) * picture.width / size
    cos, sin = step * math.cos(math.radians(tilt)), step * math.sin(math.radians(tilt))
    here, there = size / 2, picture.width / 2
    matrix = (
        *(cos, -sin, there - cos * here + sin * here),
        *(sin, cos, there - sin * here - cos * here),
    )
    turned = picture.transform(
        (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    return np.asarray(turned)
