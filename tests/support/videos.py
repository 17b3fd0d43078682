"""Short videos that the tests write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
from PIL import Image


def encode_video(
    path: Path,
    images: Iterable[Image.Image],
    codec: str = "mpeg4",
    *,
    rate: int = 25,
    times: Sequence[int] = (),
    metadata: Mapping[str, str] = MappingProxyType({}),
    format: str | None = None,
    **settings: Any,
) -> Path:
    """Encode images of one size.

    Args:
        path: its suffix chooses the container.
        images: one for each frame.
        codec: name of the encoder.
        rate: frames per second.
        times: time stamps of the frames in units of 1 / `rate`; by default 0, 1, 2...
        metadata: tags of the stream.
        format: name of the container, where the suffix doesn't choose it.
        settings: attributes of the codec's context, such as `pix_fmt`.
    """
    to_frame: Any = av.VideoFrame.from_image
    with av.open(str(path), "w", format=format) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.metadata.update(metadata)
        for name, value in {"pix_fmt": "yuv420p", "bit_rate": 4_000_000, **settings}.items():
            setattr(stream, name, value)
        for i, image in enumerate(images):
            if i == 0:
                stream.width, stream.height = image.size
            frame = to_frame(image)
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_video(path: Path, images: Iterable[Image.Image], rate: int = 25) -> Path:
    """Encode images of one size as MPEG-4, `rate` a second; the suffix chooses the container."""
    return encode_video(path, images, rate=rate)


def shaded_image(index: int) -> Image.Image:
    """A frame of 64 x 48 whose brightness, 5 times the index, identifies it."""
    return Image.new("RGB", (64, 48), (5 * index,) * 3)


def write_clip(path: Path, count: int, rate: int = 10) -> Path:
    """A video of `count` shaded images."""
    return write_video(path, map(shaded_image, range(count)), rate)


def lavfi_camera(
    pattern: str = "testsrc=size=320x240:rate=30",
) -> Callable[[str], AbstractContextManager[tuple[Any, str | None, dict[str, str]]]]:
    """FFmpeg's test pattern for `containers.av_input`, in place of a V4L2 camera."""
    return lambda _: nullcontext((pattern, "lavfi", {}))
