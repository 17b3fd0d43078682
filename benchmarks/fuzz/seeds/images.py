"""Small images in every documented format and many modes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

MODES = ("L", "RGB", "RGBA", "P", "1", "LA", "CMYK", "I;16")
_SIZE = (24, 18)

_OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "jpeg": ({}, {"progressive": True}, {"quality": 30, "subsampling": 0}),
    "png": ({}, {"optimize": True}),
    "gif": ({}, {"interlace": 0}),
    "webp": ({}, {"lossless": True}, {"quality": 40}),
    "tiff": (
        {},
        {"compression": "tiff_lzw"},
        {"compression": "tiff_deflate"},
        {"compression": "jpeg"},
    ),
    "bmp": ({},),
    "ppm": ({},),
    "avif": ({"speed": 10},),
    "mpo": ({"save_all": True},),
}
"""What Pillow is given to write each format; it refuses what a mode can't have."""
_ANIMATED = ("gif", "webp", "png", "tiff")


def make_image(mode: str) -> Image.Image:
    """A gradient with noise, in any mode."""
    width, height = _SIZE
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 40, (height, width))
    gray = (x * 8 + y * 3 + noise).clip(0, 255).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(gray.astype(np.uint16) * 257)
    return Image.fromarray(gray).convert("RGB").convert(mode)


def make_images() -> dict[str, list[bytes]]:
    """Encoded images by format."""
    found: dict[str, list[bytes]] = {}
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    exif[0x010E] = "a description"
    profile = b"\0\0\2\0" + b"lcms\2\x10\0\0mntrRGB XYZ " + bytes(100)
    for name, options in _OPTIONS.items():
        for mode in MODES:
            for chosen in (*options, {"exif": exif.tobytes(), "icc_profile": profile}):
                if (content := _encode(name, mode, chosen)) and content not in found.get(name, ()):
                    found.setdefault(name, []).append(content)
    for name in _ANIMATED:
        frames = [make_image("RGB").rotate(90 * i) for i in range(3)]
        more = {"save_all": True, "append_images": frames[1:]}
        if content := _encode(name, "RGB", more):
            found[name].append(content)
    return found


def _encode(name: str, mode: str, options: dict[str, Any]) -> bytes | None:
    stream = io.BytesIO()
    try:
        make_image(mode).save(stream, name, **options)
    except (OSError, ValueError, KeyError):  # this format has no such mode, or Pillow lacks it
        return None
    return stream.getvalue()
