"""Annotated pictures and videos in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from fer_edge.atomic import whole_file
from fer_edge.runtime.results import Result

_TICKS = 90_000
"""A second in the video's time stamps."""
_CODECS = ("libx264", "mpeg4")


class ResultWriter(AbstractContextManager["ResultWriter"]):
    """Writes each result beside the others, never over a file that is there.

    A video appears under its name when its last frame is written, or when the block is left.

    Args:
        folder: made where missing; None: nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._video = ExitStack()
        self._source = ""
        """Of the video that is open, else empty."""
        self._last = -1.0
        self._numbers: dict[str, int] = {}
        """Of each name, the last one that was given: no folder of equal names is searched twice."""

    def add(self, result: Result) -> Path | None:
        """Write one result; the path when a new file was begun."""
        if self.folder is None:
            return None
        if result.frame is None:
            self._end()
            return result.save(self._free(f"{Path(result.source).stem}.png"))
        begun = None
        time = result.time or 0.0
        if self._source != result.source or time <= self._last:
            self._end()
            begun = self._free(f"{Path(result.source).stem or 'stream'}.mp4")
            self._write = self._video.enter_context(video_file(begun))
            self._source = result.source
        self._last = time
        self._write(result.plot(), time)
        return begun

    def __exit__(self, *_: object) -> None:
        """Finish the video that is open: what was read so far is kept."""
        self._end()

    def _free(self, name: str) -> Path:
        assert self.folder
        path, self._numbers[name] = unused_path(self.folder / name, self._numbers.get(name, 1))
        return path

    def _end(self) -> None:
        self._source = ""
        self._video.close()


@contextmanager
def video_file(path: Path) -> Iterator[Any]:
    """Yield a function that takes pictures and their seconds; the file is renamed when done.

    The first picture's size holds for all.
    """
    import av

    codec = next(name for name in _CODECS if name in av.codecs_available)
    with whole_file(path) as beside, av.open(str(beside), "w") as container:
        stream: Any = container.add_stream(codec)
        make: Any = av.VideoFrame.from_image
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, _TICKS)
        stream.codec_context.time_base = stream.time_base
        last = -1

        def write(picture: Image.Image, seconds: float) -> None:
            nonlocal last
            if last < 0:
                stream.width, stream.height = (side // 2 * 2 for side in picture.size)
            frame = make(picture.resize((stream.width, stream.height)))
            last = max(last + 1, round(seconds * _TICKS))
            frame.pts, frame.time_base = last, stream.time_base
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())


def unused_path(path: Path, number: int = 1) -> tuple[Path, int]:
    """The path, or the first with a number from `number` on that is free; and its number."""
    free = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free, number
