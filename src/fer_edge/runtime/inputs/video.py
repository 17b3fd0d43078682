"""Frames of video files, network streams and cameras: PyAV's, or Picamera2's where it has one."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fer_edge.errors import MissingExtraError, SourceError
from fer_edge.runtime.inputs import picamera
from fer_edge.runtime.inputs.images import VIDEO_SUFFIXES
from fer_edge.runtime.inputs.prefetch import prefetch

_FILES = ("file", "ftp", "http", "https", "sftp")
"""Schemes of addresses under which files lie, too."""
_AHEAD = 4
"""Frames that are decoded while others are read: more would only hold memory."""
_SLACK = 0.5
"""Seconds that a file's stated length may be off."""
_TIMEOUT = 10.0
"""Seconds after which a stream or camera that sends nothing is given up."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        image: RGB, to_upright.
        index: counted from 0 at the video's beginning, also when frames are left out.
        time: seconds from the video's beginning, or from the first frame of a camera.
    """

    image: Image.Image
    index: int
    time: float


@dataclass(frozen=True)
class Cut:
    """Which frames of a video are wanted.

    Attributes:
        every: each so-manieth frame, from the first on.
        max_fps: at most so many frames of each second of the video; 0: all.
        start: seconds that are skipped.
        duration: seconds that are read from there on; 0: to the end.

    Raises:
        ValueError: at construction, when a value is out of range.
    """

    every: int = 1
    max_fps: float = 0.0
    start: float = 0.0
    duration: float = 0.0

    def __post_init__(self) -> None:
        times = (self.max_fps, self.start, self.duration)
        if self.every < 1 or not all(math.isfinite(one) and one >= 0 for one in times):
            raise ValueError(
                f"every {self.every} must be 1 or more; max_fps {self.max_fps}, start "
                f"{self.start} and duration {self.duration} finite and 0 or more"
            )

    def of(self, frames: Iterator[tuple[int, float, Any]]) -> Iterator[tuple[int, float, Any]]:
        """The wanted ones of (index, time, picture); stops reading after the last."""
        end = self.start + self.duration if self.duration else math.inf
        due = -math.inf
        for index, time, picture in frames:
            if time >= end:
                return
            if time < self.start or index % self.every or time < due - 1e-6:
                continue
            if self.max_fps:
                step = 1 / self.max_fps
                due = due + step if due + step > time else time + step
            yield index, time, picture


EVERY_FRAME = Cut()


def is_video(source: str) -> bool:
    """Whether a source is a video file, a stream's address, or a camera's number or device."""
    return is_live(source) or "://" in source or Path(source).suffix.lower() in VIDEO_SUFFIXES


def is_live(source: str) -> bool:
    """Whether it is a camera or a stream that doesn't wait for its reader.

    A video's address by HTTP is a file; without a video's suffix it is taken for a camera's.
    """
    scheme, found, path = source.partition("://")
    if not found:
        return camera(source) is not None
    return scheme.lower() not in _FILES or Path(path).suffix.lower() not in VIDEO_SUFFIXES


def camera(source: str) -> str | None:
    """The device of a camera by number (`0`) or path (`/dev/video0`); None: it is no camera."""
    number = _number(source)
    if number is not None:
        return f"/dev/video{number}"
    return source if source.startswith("/dev/video") else None


def _number(source: str) -> int | None:
    small = source.isascii() and source.isdecimal() and len(source) < 4
    return int(source) if small and not Path(source).exists() else None


def address(source: str) -> tuple[str, str | None]:
    """What PyAV opens, and the format that it must be told."""
    device = camera(source)
    return (source, None) if device is None else (device, "v4l2")


def _named(source: str) -> str:
    return source if camera(source) is None else f"camera {source}"


def video_duration(source: str) -> float | None:
    """Seconds that a video's pictures say they last; None where they don't say.

    Raises:
        SourceError, MissingExtraError: see `frames`.
    """
    with _opened(source) as container:
        video = container.streams.video
        return (_stated(container, video[0]) if video else 0.0) or None


def _stated(container: Any, stream: Any) -> float:
    """Seconds that the pictures last by the file's own word; 0: it doesn't say.

    The container's length is its longest stream's, which may be the sound.
    """
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return 0.0 if container.streams.audio else (container.duration or 0) / 1_000_000


def read_frames(source: str, cut: Cut = EVERY_FRAME) -> Iterator[Frame]:
    """Frames in order, decoded in a thread of their own while earlier ones are read.

    A file waits for its reader and loses no frame; a camera doesn't, and a frame that nobody had
    time for is dropped for the next. A camera by number is one of Picamera2's where that has any,
    else a V4L2 device; a camera never ends by itself, so its end is an error.

    Raises:
        SourceError: it can't be opened, holds no video, or breaks off; the frames before that come
            first.
        MissingExtraError: PyAV isn't installed.
    """
    live = is_live(source)
    index = None
    with prefetch(_decoded(source, cut), size=_AHEAD, drop=live) as waiting:
        for index, time, picture in waiting:
            yield Frame(_upright(picture), index, time)
    if index is None:
        raise SourceError(
            f"{source}: it ends before the first frame that was asked for ({cut.start:g} s)"
        )


def _decoded(source: str, cut: Cut) -> Generator[tuple[int, float, Any]]:
    number = _number(source)
    if number is not None and picamera.is_there(number):
        with closing(picamera.captured(number, _TIMEOUT)) as captured:
            yield from cut.of(captured)
        return
    with _opened(source) as container:
        if not container.streams.video:
            raise SourceError(f"{_named(source)}: holds no video")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from cut.of(_timed(container, stream, source))


def _timed(container: Any, stream: Any, source: str) -> Iterator[tuple[int, float, Any]]:
    """Index, seconds and frame; a frame without a time stamp follows at the mean rate."""
    import av.error

    rate = float(stream.average_rate or stream.guessed_rate or 25)
    first: float | None = None
    index, time, why = -1, 0.0, ""
    decoded = container.decode(stream)
    while True:
        try:
            frame = next(decoded)
        except StopIteration:
            break
        except av.error.FFmpegError as error:
            why = f" ({_brief(error)})"
            break
        index += 1
        if frame.time is None:
            time = index / rate
        else:
            first = frame.time if first is None else first
            if frame.time - first < time:  # recordings that were joined: their stamps begin anew
                first = frame.time - time - 1 / rate
            time = float(frame.time - first)
        yield index, time, frame
    if is_live(source):
        raise picamera.stopped(_named(source), index, time, why)
    if index < 0:
        raise SourceError(f"{source}: holds no frame that can be decoded{why}")
    if why:
        raise SourceError(f"{source}: breaks off after frame {index} at {time:.2f} s{why}")
    # a file that was cut off ends early without an error
    stated = _stated(container, stream)
    if Path(source).is_file() and time + 2 / rate + _SLACK < stated:
        raise SourceError(f"{source}: breaks off at {time:.2f} of {stated:.2f} s")


@contextmanager
def _opened(source: str) -> Iterator[Any]:
    if camera(source) is None and "://" not in source and not Path(source).is_file():
        raise SourceError(f"{source}: there is no such file")
    try:
        import av
        import av.error
    except ModuleNotFoundError:
        raise MissingExtraError("av", "video") from None
    file, kind = address(source)
    try:
        container = av.open(file, format=kind, timeout=_TIMEOUT)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"{_named(source)}: can't be opened ({_brief(error)})") from None
    with container:
        yield container


def _upright(frame: Any) -> Image.Image:
    """A decoded frame as RGB, turned as a phone's video says."""
    if isinstance(frame, np.ndarray):
        return Image.fromarray(frame)
    image: Image.Image = frame.to_image()
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return image.rotate(90 * turns, expand=True) if turns else image


def _brief(error: BaseException) -> str:
    return getattr(error, "strerror", None) or picamera.brief(error)
