"""How a decoded frame is shown: rotated, mirrored and with square pixels, as players show it."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from PIL import Image

from fer_edge.runtime.inputs.limits import check_pixels

Transpose = Image.Transpose

_TRANSPOSES = {
    (1, 0, 0, 1): None,
    (-1, 0, 0, 1): Transpose.FLIP_LEFT_RIGHT,
    (-1, 0, 0, -1): Transpose.ROTATE_180,
    (1, 0, 0, -1): Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Transpose.TRANSPOSE,
    (0, 1, -1, 0): Transpose.ROTATE_270,
    (0, -1, -1, 0): Transpose.TRANSVERSE,
    (0, -1, 1, 0): Transpose.ROTATE_90,
}
"""The eight orientations: (a, b, c, d) of the display matrix, which shows the pixel (x, y) at
(a x + c y, b x + d y), and the Pillow operation that does so. Pillow counts counter-clockwise.
Source: FFmpeg's libavutil/display.h."""
_CLOCKWISE = (None, Transpose.ROTATE_270, Transpose.ROTATE_180, Transpose.ROTATE_90)


@dataclass(frozen=True)
class Geometry:
    """How a stream's frames are shown.

    Attributes:
        aspect: width of a pixel, divided by its height.
        transpose: for frames that state no orientation of their own.
    """

    aspect: Fraction = Fraction(1)
    transpose: Transpose | None = None

    @classmethod
    def of_stream(cls, stream: Any) -> Geometry:
        """What an open stream of PyAV states."""
        aspect = stream.sample_aspect_ratio
        return cls(aspect if aspect and aspect > 0 else Fraction(1), _tagged_transpose(stream))

    def displayed_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height with square pixels, before rotation: neither side shrinks."""
        if self.aspect > 1:
            return round(width * self.aspect), height
        return width, round(height / self.aspect)


def to_image(frame: Any, geometry: Geometry, name: str, max_pixels: int) -> Image.Image:
    """A decoded frame of PyAV as an upright RGB image with square pixels.

    Args:
        frame: of any size and pixel format.
        geometry: of its stream.
        name: what an error calls the video.
        max_pixels: maximum of width x height, with square pixels.

    Raises:
        SourceError: it has more pixels.
    """
    width, height = geometry.displayed_size(frame.width, frame.height)
    check_pixels(name, width, height, max_pixels)
    image: Image.Image = frame.to_image(width=width, height=height)
    matrix = _display_matrix(frame)
    operation = geometry.transpose if matrix is None else nearest_transpose(*matrix)
    return image if operation is None else image.transpose(operation)


def _display_matrix(frame: Any) -> tuple[int, int, int, int] | None:
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
            return a, b, c, d
    return None


def nearest_transpose(a: float, b: float, c: float, d: float) -> Transpose | None:
    """The operation for a display matrix; of any other angle, that of the nearest orientation."""
    nearest = max(_TRANSPOSES, key=lambda one: a * one[0] + b * one[1] + c * one[2] + d * one[3])
    return _TRANSPOSES[nearest]


def _tagged_transpose(stream: Any) -> Transpose | None:
    """The rotation that older writers state as a tag, in degrees clockwise."""
    tag = next((value for key, value in stream.metadata.items() if key.lower() == "rotate"), "0")
    try:
        degrees = float(tag)
    except ValueError:
        return None
    return _CLOCKWISE[round(degrees / 90) % 4] if math.isfinite(degrees) else None
