"""Pixels of any type, in Pillow images and arrays, as uint8 gray or RGB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_TILE_PIXELS = 1_000_000
"""Pixels that are converted at once, so that no second copy of a large image is held."""
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0
_STRAIGHT_ALPHA = {"La": "LA", "RGBa": "RGBA"}
"""Modes with premultiplied alpha, and what Pillow converts them to."""
_FLOAT_WHITES = (
    # lowest value, lowest and highest maximum: with what a sharpening filter adds
    (-0.05, 0.0, 1.05, 1.0),
    (-13.0, 16.0, 268.0, 255.0),
    (0.0, 16_384.0, 65_535.0, 65_535.0),
)
_INTEGER_WHITES = ((0, 0, 255, 255), (0, 16_384, 65_535, 65_535))


def to_eight_bits(image: Image.Image, factor: int = 1) -> Image.Image:
    """An image of any mode as L or RGB, reduced by a whole factor; transparency becomes white.

    A mode with more than eight bits is scaled by what its file declares; else by its values: up to
    1 (floating-point), 255 or 65535 is white.

    Args:
        image: loaded; it isn't changed.
        factor: each side becomes ceil(side / factor).

    Returns:
        `image` itself where there is nothing to do.

    Raises:
        ValueError: the values' range is unknown, or Pillow cannot convert the mode.
    """
    is_deep = image.mode.startswith("I") or image.mode == "F"
    is_plain = image.mode in ("L", "RGB") and not image.has_transparency_data
    if is_plain and factor == 1:
        return image
    white = _declared_white(image) if is_deep else 0.0
    is_negative = is_deep and _tiff_tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO
    is_gray = is_deep or (image.mode in ("1", "L") and not image.has_transparency_data)
    size = (-(-image.width // factor), -(-image.height // factor))
    result = Image.new("L" if is_gray else "RGB", size)
    for (left, top), tile in _tiles(image, factor):
        if is_deep:
            values = scale_to_uint8(np.asarray(tile), white)
            tile = Image.fromarray(255 - values if is_negative else values)
        else:
            tile = tile.convert("L") if is_gray else _to_rgb(tile)
        place = (left // factor, top // factor)
        result.paste(tile.reduce(factor) if factor > 1 else tile, place)
    return result


def to_uint8(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Values of any real type as uint8; see `to_eight_bits`.

    Raises:
        ValueError: the values aren't real numbers, or their range is unknown.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype.kind not in "iuf":
        raise ValueError(f"values of type {array.dtype} are no pixels")
    result = np.empty(array.shape, np.uint8)
    axis = int(np.argmax(array.shape))  # an image may be one row or one column
    count = max(1, array.size // _TILE_PIXELS)
    parts = np.array_split(array, count, axis)
    white = _choose_white(parts)
    for part, to in zip(parts, np.array_split(result, count, axis), strict=True):
        to[...] = scale_to_uint8(part, white)
    return result


def scale_to_uint8(values: npt.NDArray[Any], white: float) -> npt.NDArray[np.uint8]:
    """Values in [0, white] as [0, 255], clipped; NaN becomes 0."""
    if values.dtype.kind == "f":
        unit = np.clip(np.nan_to_num(values.astype(np.float32)) / white, 0, 1)
        levels = np.rint(unit * 255)
    else:
        levels = values.astype(np.int64).clip(0, int(white)) * 255 // int(white)
    result: npt.NDArray[np.uint8] = levels.astype(np.uint8)
    return result


def _tiles(image: Image.Image, factor: int) -> Iterator[tuple[tuple[int, int], Image.Image]]:
    """Parts of an image whose places and sizes, but for the last ones', `factor` divides."""
    columns = min(image.width, _TILE_PIXELS // factor * factor)
    rows = max(1, _TILE_PIXELS // max(1, columns) // factor) * factor
    for top in range(0, image.height, rows):
        for left in range(0, image.width, max(1, columns)):
            right, bottom = min(image.width, left + columns), min(image.height, top + rows)
            yield (left, top), image.crop((left, top, right, bottom))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert(_STRAIGHT_ALPHA.get(image.mode, image.mode)).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None  # None only where it converts in place
        return converted
    return image.convert("RGB")


def _declared_white(image: Image.Image) -> float:
    """The value of white: as the file's format declares it, else by the values."""
    has_16_bits = image.mode.startswith("I;16")
    if image.format == "TIFF" and has_16_bits:
        return float(2 ** _tiff_tag(image, _BITS_PER_SAMPLE, 16) - 1)
    if image.format in ("PNG", "PPM") and image.mode != "F":
        return 65_535.0
    return _choose_white(np.asarray(tile) for _, tile in _tiles(image, 1))


def _choose_white(parts: Iterable[npt.NDArray[Any]]) -> float:
    """The value of white by the values of all parts, which are of one type."""
    lows, highs, dtype = [0.0], [0.0], np.dtype(np.uint8)
    for part in parts:
        dtype = part.dtype
        finite = part[np.isfinite(part)]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    low, high = min(lows), max(highs)
    whites = _FLOAT_WHITES if dtype.kind == "f" else _INTEGER_WHITES
    for lowest, at_least, at_most, white in whites:
        if low >= lowest and at_least <= high <= at_most:
            return white
    raise ValueError(
        f"values from {low:g} to {high:g}, of which it is unknown what is white: scale them to "
        "0..255 as uint8"
    )


def _tiff_tag(image: Image.Image, tag: int, default: int = -1) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, default)
    if isinstance(value, tuple):
        value = value[0] if value else default
    return value if isinstance(value, int) else default
