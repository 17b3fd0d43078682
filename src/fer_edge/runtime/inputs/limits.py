"""How large an image may be: the limits that bound the memory of one process."""

from __future__ import annotations

from fer_edge.errors import SourceError

MAX_PIXELS = 50_000_000
"""Default limit of the pixels of one image or one frame of a video."""


def check_pixels(name: str, width: int, height: int, limit: int = MAX_PIXELS) -> None:
    """Refuse an image by the size that its header states, before it is decoded.

    Args:
        name: what the error calls the image.
        width, height: in pixels.
        limit: maximum of width x height.

    Raises:
        SourceError: it has more pixels.
    """
    if width * height > limit:
        raise SourceError(
            f"{name}: {width} x {height} px are {width * height / 1e6:,.1f} megapixels, over the "
            f"limit of {limit / 1e6:,.3g}: shrink it, or raise --max-pixels (max_pixels)"
        )
