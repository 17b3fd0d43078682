"""Frames of video files, network streams and cameras, read by PyAV or Picamera2."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs import picamera
from fer_edge.runtime.inputs.containers import (
    TIMEOUT,
    is_endless,
    open_container,
    pick_stream,
    short_message,
    stated_duration,
)
from fer_edge.runtime.inputs.frame_clock import FrameClock
from fer_edge.runtime.inputs.geometry import FrameImage, GeometryReader, to_image
from fer_edge.runtime.inputs.limits import MAX_PIXELS
from fer_edge.runtime.inputs.prefetch import Flow, prefetch
from fer_edge.runtime.inputs.truncation import is_cut_off
from fer_edge.runtime.inputs.video_formats import DEMUXERS
from fer_edge.runtime.inputs.video_source import (
    camera_device,
    camera_number,
    display_name,
    is_address,
)

_PREFETCHED = 4
"""Frames that are decoded ahead: more would only hold memory."""
_LARGE_PIXELS = 4_000_000
"""Of larger frames one is decoded ahead, in one thread: each takes 1.5 to 3 bytes a pixel."""
_DURATION_TOLERANCE = 0.5
"""Seconds by which a file's stated duration may be wrong."""
_EXACT_DURATIONS = (DEMUXERS[".ivf"], DEMUXERS[".mp4"], DEMUXERS[".mxf"])
"""Formats whose header states how long the frames last, the last one included."""
_SILENCE = 3 * TIMEOUT
"""Seconds without a frame after which a stream or camera has failed, whatever it sends."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video, RGB and upright.

    `size` is its width and height before it was reduced, in pixels. `index` counts all frames from
    the beginning of the video, from 0, and `time` its seconds, or those since the first frame of a
    camera.
    """

    image: Image.Image
    size: tuple[int, int]
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
    with open_container(source, MAX_PIXELS) as container:
        return stated_duration(container, pick_stream(container, source, MAX_PIXELS))


def read_frames(
    source: str, cut: Cut = EVERY_FRAME, max_pixels: int = MAX_PIXELS
) -> Iterator[Frame]:
    """Frames in order, decoded in a thread of their own while earlier ones are used.

    A file loses no frame; a camera drops those for which the consumer has no time, and its end is
    an error. A camera given by number is a Picamera2 module where there is one, else a V4L2 device.

    Args:
        source: a path, an address or a camera.
        cut: which frames to read.
        max_pixels: maximum of width x height.

    Raises:
        SourceError: it cannot be opened, holds no video, sends nothing, or breaks off; the frames
            before that come first.
        MissingExtraError: PyAV isn't installed.
    """
    is_file = camera_device(source) is None and not is_address(source)
    flow = Flow(_PREFETCHED, silence=None if is_file else _SILENCE)
    index = None
    with prefetch(_decode(source, cut, max_pixels, flow), flow) as decoded:
        try:
            for index, time, to_rgb in decoded:
                frame = Frame(*to_rgb(), index, time)
                del to_rgb  # holds the decoded frame, whose memory the next one may take
                yield frame
                del frame
        except TimeoutError:
            raise SourceError(
                f"{display_name(source)}: sends no frame for {_SILENCE:g} s: is it reachable?"
            ) from None
    if index is None:
        raise SourceError(
            f"{display_name(source)}: no frame to read: it ends before {cut.start:g} s"
        )


def _decode(
    source: str, cut: Cut, max_pixels: int, flow: Flow
) -> Generator[tuple[int, float, Callable[[], FrameImage]]]:
    """Index, seconds, and what makes the image, for the consumer to call: of a dropped frame, none
    is made."""
    number = camera_number(source)
    if number is not None and picamera.has_module(number):
        flow.drop = True
        with closing(picamera.capture_frames(number, TIMEOUT)) as captured:
            for index, time, array in cut.select(captured):
                flow.note_progress()
                yield index, time, partial(_array_to_image, array)
        return
    with open_container(source, max_pixels) as container:
        stream = pick_stream(container, source, max_pixels)
        flow.drop = is_endless(container, source)
        if stream.codec_context.width * stream.codec_context.height > _LARGE_PIXELS:
            flow.size = stream.codec_context.thread_count = 1
        else:
            stream.thread_type = "AUTO"
        name = display_name(source)
        geometry = GeometryReader(stream)
        frames = _decode_stream(container, stream, source, max_pixels, flow)
        for index, time, frame in cut.select(frames):
            # the geometry is read now: the consumer may outlive the stream
            yield index, time, partial(to_image, frame, geometry(frame), name, max_pixels)


def _decode_stream(
    container: Any, stream: Any, source: str, max_pixels: int, flow: Flow
) -> Iterator[tuple[int, float, Any]]:
    """Index, seconds and frame. A damaged packet is passed over, as a player does."""
    import av.error

    name = display_name(source)
    clock = FrameClock(float(stream.average_rate or stream.guessed_rate or 25))
    index, damaged, is_partial, reason = -1, 0, False, ""
    longest = clock.interval  # seconds for which a frame is shown
    try:
        for packet in container.demux(stream):
            if packet.size:
                is_partial = packet.is_corrupt
                longest = max(longest, float((packet.duration or 0) * stream.time_base))
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                # a recording that begins between two key frames isn't damaged
                damaged += index >= 0
                continue
            for frame in frames:
                flow.note_progress()
                index += 1
                time = clock(frame.time)
                yield index, time, frame
    except av.error.FFmpegError as error:
        reason = f" ({short_message(error)})"
    time = clock.time
    if flow.drop:
        raise picamera.camera_stopped(name, index, time, reason)
    if index < 0:
        raise SourceError(
            f"{name}: holds no frame that can be decoded{reason}: damaged, or over the limit of "
            f"{max_pixels / 1e6:.3g} megapixels (--max-pixels)"
        )
    if reason:
        raise SourceError(f"{name}: breaks off after frame {index} at {time:.2f} s{reason}")
    stated = stated_duration(container, stream) or 0.0
    is_cut = is_partial or (None if is_address(source) else is_cut_off(Path(source)))
    if is_cut is None and container.format.name in _EXACT_DURATIONS:
        is_cut = time + longest + _DURATION_TOLERANCE < stated
    if is_cut:
        of = f" of {stated:.2f}" if stated > time else ""
        raise SourceError(f"{name}: breaks off at {time:.2f}{of} s: the file is cut off")
    if damaged:
        raise SourceError(f"{name}: frames are missing: packets that are damaged: {damaged}")


def _array_to_image(array: npt.NDArray[np.uint8]) -> FrameImage:
    image = Image.fromarray(array)
    return FrameImage(image, image.size)
