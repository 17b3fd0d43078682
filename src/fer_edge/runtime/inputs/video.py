"""Frames of video files, network streams and cameras, read by PyAV or Picamera2."""

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
from fer_edge.runtime.inputs.prefetch import prefetch
from fer_edge.runtime.inputs.video_source import av_input, camera_device, camera_number, is_live

_PREFETCHED = 4
"""Frames that are decoded ahead: more would only hold memory."""
_DURATION_TOLERANCE = 0.5
"""Seconds by which a file's stated duration may be wrong."""
_TIMEOUT = 10.0
"""Seconds without data after which a stream or camera has failed."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video, RGB and upright.

    `index` counts all frames from the beginning of the video, from 0, and `time` its seconds, or
    those since the first frame of a camera.
    """

    image: Image.Image
    index: int
    time: float


@dataclass(frozen=True)
class Cut:
    """Which frames of a video to read: a time range, thinned out.

    Attributes:
        every: read every Nth frame, from the first on.
        max_fps: maximum number of frames for each second of video; 0: no limit.
        start: seconds of the video to skip.
        duration: seconds of the video to read from there; 0: to the end.

    Raises:
        ValueError: a value is out of range.
    """

    every: int = 1
    max_fps: float = 0.0
    start: float = 0.0
    duration: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be 1 or more, not {self.every}")
        for name in ("max_fps", "start", "duration"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be finite and 0 or more, not {value}")

    def select(self, frames: Iterator[tuple[int, float, Any]]) -> Iterator[tuple[int, float, Any]]:
        """The frames to read of (index, time, image); ends after the last without reading on."""
        end = self.start + self.duration if self.duration else math.inf
        due = -math.inf
        for index, time, image in frames:
            if time >= end:
                return
            if time < self.start or index % self.every or time < due - 1e-6:
                continue
            if self.max_fps:
                step = 1 / self.max_fps
                due = due + step if due + step > time else time + step
            yield index, time, image


EVERY_FRAME = Cut()


def video_duration(source: str) -> float | None:
    """Seconds that a video's frames last by its own statement; None where it states nothing."""
    with _open_container(source) as container:
        return _stated_duration(container)


def _stated_duration(container: Any) -> float | None:
    for stream in container.streams.video[:1]:
        if stream.duration:
            return float(stream.duration * stream.time_base)
        if container.duration and not container.streams.audio:  # it may be that of the sound
            return float(container.duration / 1_000_000)
    return None


def read_frames(source: str, cut: Cut = EVERY_FRAME) -> Iterator[Frame]:
    """Frames in order, decoded in a thread of their own while earlier ones are used.

    A file loses no frame; a camera drops those for which the consumer has no time, and its end is
    an error. A camera given by number is a Picamera2 module where there is one, else a V4L2 device.

    Raises:
        SourceError: it cannot be opened, holds no video, or breaks off; the frames before that come
            first.
        MissingExtraError: PyAV isn't installed.
    """
    index = None
    with prefetch(_decode(source, cut), size=_PREFETCHED, drop=is_live(source)) as decoded:
        for index, time, frame in decoded:
            yield Frame(_to_image(frame), index, time)
    if index is None:
        raise SourceError(f"{source}: no frame to read: it ends before {cut.start:g} s")


def _decode(source: str, cut: Cut) -> Generator[tuple[int, float, Any]]:
    number = camera_number(source)
    if number is not None and picamera.has_module(number):
        with closing(picamera.capture_frames(number, _TIMEOUT)) as captured:
            yield from cut.select(captured)
        return
    with _open_container(source) as container:
        if not container.streams.video:
            raise SourceError(f"{_display_name(source)}: holds no video")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from cut.select(_decode_stream(container, stream, source))


def _decode_stream(container: Any, stream: Any, source: str) -> Iterator[tuple[int, float, Any]]:
    """Index, seconds and frame; a frame without a time stamp follows at the mean rate."""
    import av.error

    rate = float(stream.average_rate or stream.guessed_rate or 25)
    first: float | None = None
    index, time, reason = -1, 0.0, ""
    try:
        for index, frame in enumerate(container.decode(stream)):
            if frame.time is None:
                time = index / rate
            else:
                first = frame.time if first is None else first
                if frame.time - first < time:  # joined recordings: the time stamps start again
                    first = frame.time - time - 1 / rate
                time = float(frame.time - first)
            yield index, time, frame
    except av.error.FFmpegError as error:
        reason = f" ({_short_message(error)})"
    if is_live(source):
        raise picamera.camera_stopped(_display_name(source), index, time, reason)
    if index < 0:
        raise SourceError(f"{source}: holds no frame that can be decoded{reason}")
    if reason:
        raise SourceError(f"{source}: breaks off after frame {index} at {time:.2f} s{reason}")
    # a file that was cut off ends early without an error
    stated = _stated_duration(container) or 0.0
    if Path(source).is_file() and time + 2 / rate + _DURATION_TOLERANCE < stated:
        raise SourceError(f"{source}: breaks off at {time:.2f} of {stated:.2f} s")


@contextmanager
def _open_container(source: str) -> Iterator[Any]:
    if camera_device(source) is None and "://" not in source and not Path(source).is_file():
        raise SourceError(f"{source}: there is no such file")
    try:
        import av
        import av.error
    except ModuleNotFoundError:
        raise MissingExtraError("av", "video") from None
    file, kind = av_input(source)
    try:
        container = av.open(file, format=kind, timeout=_TIMEOUT)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        message = _short_message(error)
        raise SourceError(f"{_display_name(source)}: cannot be opened ({message})") from None
    with container:
        yield container


def _to_image(frame: Any) -> Image.Image:
    """A decoded frame as RGB, rotated as a phone's video states."""
    if isinstance(frame, np.ndarray):
        return Image.fromarray(frame)
    image: Image.Image = frame.to_image()
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return image.rotate(90 * turns, expand=True) if turns else image


def _display_name(source: str) -> str:
    return source if camera_device(source) is None else f"camera {source}"


def _short_message(error: BaseException) -> str:
    return getattr(error, "strerror", None) or picamera.first_line(error)
