"""Images and parts of images, shrunk to be searched for faces."""

from __future__ import annotations

from PIL import Image

from fer_edge.runtime.preprocess import Box


def shrink(image: Image.Image, side: int) -> Image.Image:
    """Shrink an image whose longer side is over `side` pixels; a smaller one stays as it is."""
    size = shrunk_size(image.size, side)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def shrunk_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height of what `shrink` makes of an image of a size, in pixels."""
    ratio = min(1.0, side / max(size))
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def shrink_region(image: Image.Image, region: Box, size: tuple[int, int]) -> Image.Image:
    """A region of an image that is shrunk to a size, in pixels; the rest of it isn't computed.

    Args:
        image: to shrink.
        region: box inside the shrunk image, in its pixels.
        size: width and height of the shrunk image.
    """
    x, y, width, height = region
    across, down = image.width / size[0], image.height / size[1]
    # a rounding error beyond the image would be refused
    right, lower = min(image.width, (x + width) * across), min(image.height, (y + height) * down)
    part = (x * across, y * down, right, lower)
    return image.resize((width, height), Image.Resampling.BILINEAR, box=part, reducing_gap=2.0)
