"""Short videos that the tests write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
from PIL import Image


def write_video(path: Path, images: Iterable[Image.Image], rate: int = 25) -> Path:
    """Encode images of one size, `rate` a second; the suffix chooses the container."""
    to_frame: Any = av.VideoFrame.from_image
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=rate)
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for i, image in enumerate(images):
            if i == 0:
                stream.width, stream.height = image.size
            container.mux(stream.encode(to_frame(image)))
        container.mux(stream.encode())
    return path


def shaded_image(index: int) -> Image.Image:
    """A frame of 64 x 48 whose brightness, 5 times the index, identifies it."""
    return Image.new("RGB", (64, 48), (5 * index,) * 3)


def write_clip(path: Path, count: int, rate: int = 10) -> Path:
    """A video of `count` shaded images."""
    return write_video(path, map(shaded_image, range(count)), rate)
