"""How a decoded frame is shown: rotated, mirrored and with square pixels, as players show it."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from PIL import Image

from fer_edge.runtime.inputs.limits import check_pixels, choose_reduction

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
_SIDES_SWAPPED = frozenset(one for matrix, one in _TRANSPOSES.items() if not matrix[0])
_CLOCKWISE = (None, Transpose.ROTATE_270, Transpose.ROTATE_180, Transpose.ROTATE_90)


@dataclass(frozen=True)
class Geometry:
    """How one frame is shown.

    Attributes:
        aspect: width of a pixel, divided by its height.
        transpose: makes it upright; None: it is.
    """

    aspect: Fraction = Fraction(1)
    transpose: Transpose | None = None

    def displayed_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height with square pixels, before rotation: neither side shrinks."""
        if self.aspect > 1:
            return round(width * self.aspect), height
        return width, round(height / self.aspect)


class GeometryReader:
    """Reads the geometry of a stream's frames, which may change in between.

    Args:
        stream: of PyAV, open.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._tagged = _tagged_transpose(stream.metadata)
        self._rotation: int | None = None
        self._transpose: Transpose | None = None

    def __call__(self, frame: Any) -> Geometry:
        """The geometry of the next frame."""
        # the display matrix is read once for each rotation: PyAV's `side_data` makes a cycle of
        # references, which keeps the frame in memory until the garbage collector runs
        if self._rotation != frame.rotation:
            self._rotation = frame.rotation
            matrix = _display_matrix(frame)
            self._transpose = nearest_transpose(*matrix) if matrix else self._tagged
        aspect = self._stream.sample_aspect_ratio
        return Geometry(aspect if aspect and aspect > 0 else Fraction(1), self._transpose)


class FrameImage(NamedTuple):
    """An upright RGB image, and its width and height before it was reduced, in pixels."""

    image: Image.Image
    size: tuple[int, int]


def to_image(frame: Any, geometry: Geometry, name: str, max_pixels: int) -> FrameImage:
    """A decoded frame of PyAV, upright, with square pixels, reduced by `choose_reduction`.

    Args:
        frame: of any size and pixel format.
        geometry: of this frame.
        name: what an error calls the video.
        max_pixels: maximum of width x height, with square pixels.

    Raises:
        SourceError: it has more pixels.
    """
    width, height = size = geometry.displayed_size(frame.width, frame.height)
    check_pixels(name, width, height, max_pixels)
    factor = choose_reduction(width, height)
    image = _to_rgb(frame, max(1, width // factor), max(1, height // factor))
    if geometry.transpose is not None:
        image = image.transpose(geometry.transpose)
    return FrameImage(image, size[::-1] if geometry.transpose in _SIDES_SWAPPED else size)


def _to_rgb(frame: Any, width: int, height: int) -> Image.Image:
    """PyAV's own `to_image` makes two more copies of the pixels."""
    rgb = frame.reformat(width=width, height=height, format="rgb24")
    plane = rgb.planes[0]
    if plane.line_size < 0:  # stored from the bottom up
        image: Image.Image = rgb.to_image()
        return image
    pixels = memoryview(plane)
    return Image.frombytes("RGB", (width, height), pixels, "raw", "RGB", plane.line_size, 1)


def _display_matrix(frame: Any) -> tuple[int, int, int, int] | None:
    try:
        side_data = frame.side_data
    except ValueError:  # of a type that PyAV doesn't know, as an MJPEG's EXIF is for PyAV 18
        _accept_unknown_types()
        side_data = frame.side_data
    for data in side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
            return a, b, c, d
    return None


def _accept_unknown_types() -> None:
    """Let PyAV list side data of types that its FFmpeg has and its enumeration lacks."""
    from av.sidedata.sidedata import Type

    def make_member(cls: type[Type], value: object) -> Any:
        member: Any = object.__new__(cls)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member

    Type._missing_ = classmethod(make_member)  # type: ignore[assignment, method-assign]


def nearest_transpose(a: float, b: float, c: float, d: float) -> Transpose | None:
    """The operation for a display matrix; of any other angle, that of the nearest orientation."""
    nearest = max(_TRANSPOSES, key=lambda one: a * one[0] + b * one[1] + c * one[2] + d * one[3])
    return _TRANSPOSES[nearest]


def _tagged_transpose(metadata: dict[str, str]) -> Transpose | None:
    """The rotation that older writers state as a tag, in degrees clockwise."""
    tag = next((value for key, value in metadata.items() if key.lower() == "rotate"), "0")
    try:
        degrees = float(tag)
    except ValueError:
        return None
    return _CLOCKWISE[round(degrees / 90) % 4] if math.isfinite(degrees) else None
