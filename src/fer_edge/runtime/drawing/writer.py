"""Annotated images and videos, written to a folder."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from fer_edge.atomic import sync, whole_file, write_bytes
from fer_edge.runtime.inputs.limits import DECODING, FULL_SCALE_PIXELS, UPRIGHT_BYTES
from fer_edge.runtime.results import Result, encode_image

_TICKS = 90_000
"""Time stamps of the video for each second."""
_CODECS = ("libx264", "mpeg4")
_MAX_SIDE = 8_000
"""Pixels: about the limit of the MPEG-4 encoder."""
_KEPT_SUFFIXES = frozenset((".jpeg", ".jpg", ".png", ".webp"))
"""Of sources whose format the annotated image keeps; all others become PNG."""


class ResultWriter(AbstractContextManager["ResultWriter"]):
    """Writes annotated results into one folder and never overwrites a file.

    A video gets its name when its last frame is written, or when the block is left. The folder is
    created if it is missing; if it is None, nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._video = ExitStack()
        self._source = ""  # of the video that is open
        self._last_frame = -1
        # last number of each name, so that many equal names aren't searched again and again
        self._numbers: dict[str, int] = {}

    def add(self, result: Result) -> Path | None:
        """Write one result; returns the path if this starts a new file."""
        if self.folder is None:
            return None
        source = Path(result.source)
        if result.frame is None:
            self._end_video()
            suffix = source.suffix if source.suffix.lower() in _KEPT_SUFFIXES else ".png"
            path = self._unused(f"{source.stem}{suffix}")
            # of thousands of images, the names are synced once
            pixels = min(FULL_SCALE_PIXELS, result.width * result.height)
            with DECODING.reserve(UPRIGHT_BYTES * pixels):
                write_bytes(path, encode_image(result.plot(), suffix), sync_folder=False)
            return path
        started = None
        if self._source != result.source or result.frame <= self._last_frame:
            self._end_video()
            started = self._unused(f"{source.stem or 'stream'}.mp4")
            self._write_frame = self._video.enter_context(video_file(started))
            self._source = result.source
        self._last_frame = result.frame
        self._write_frame(result.plot(), result.time or 0.0)
        return started

    def __exit__(self, *_: object) -> None:
        """Finish the video that is open: the frames so far are kept."""
        self._end_video()
        if self.folder and self._numbers:
            sync(self.folder)

    def _unused(self, name: str) -> Path:
        assert self.folder
        path, self._numbers[name] = unused_path(self.folder / name, self._numbers.get(name, 1))
        return path

    def _end_video(self) -> None:
        self._source = ""
        self._video.close()


@contextmanager
def video_file(path: Path) -> Iterator[Callable[[Image.Image, float], None]]:
    """Yield a function that writes an image at its time in seconds.

    The video has the first image's size, made even. Where a stream changes its size, later images
    are fitted into it, with black beside them.
    """
    import av

    codec = next(name for name in _CODECS if name in av.codecs_available)
    # an address with a scheme: in a bare name, libav could see one
    with (
        whole_file(path) as temporary,
        av.open(f"file:{temporary.absolute()}", "w", format="mp4") as container,
    ):
        stream: Any = container.add_stream(codec)
        to_frame: Any = av.VideoFrame.from_image
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, _TICKS)
        stream.codec_context.time_base = stream.time_base
        last = -1
        first_size = size = (0, 0)

        def write(image: Image.Image, seconds: float) -> None:
            nonlocal last, first_size, size
            if last < 0:
                first_size, size = image.size, _encoded_size(image.size)
                stream.width, stream.height = size
            fit = image.resize if image.size == first_size else partial(ImageOps.pad, image)
            frame = to_frame(fit(size))
            last = max(last + 1, round(seconds * _TICKS))
            frame.pts, frame.time_base = last, stream.time_base
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())


def _encoded_size(size: tuple[int, int]) -> tuple[int, int]:
    """The nearest even sides, which yuv420p needs, within what every encoder takes."""
    factor = min(1.0, _MAX_SIDE / max(size))
    width, height = (max(2, int(side * factor) // 2 * 2) for side in size)
    return width, height


def unused_path(path: Path, number: int = 1) -> tuple[Path, int]:
    """The path, or the first free one with a number from `number` on, and that number.

    A stem is shortened where the name would have more bytes than the file system allows.
    """
    limit = _max_name_bytes(path.parent)
    while True:
        end = f"{'' if number == 1 else f'-{number}'}{path.suffix}"
        stem = path.stem
        while len(os.fsencode(stem + end)) > limit:
            stem = stem[:-1]
        free = path.with_name(stem + end)
        if not os.path.lexists(free):  # a link to nothing is the user's, too
            return free, number
        number += 1


@functools.cache
def _max_name_bytes(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):  # the folder isn't there yet, or its file system doesn't say
        return 255
