"""Opens video files, streams and cameras with PyAV, and picks the stream to read."""

from __future__ import annotations

import errno
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urldefrag

from fer_edge.errors import MissingExtraError, SourceError
from fer_edge.runtime.inputs.limits import check_pixels
from fer_edge.runtime.inputs.picamera import first_line
from fer_edge.runtime.inputs.video_formats import (
    ADDRESS_FORMATS,
    FILE_FORMATS,
    JPEG_START,
    MOTION_JPEG,
)
from fer_edge.runtime.inputs.video_source import (
    camera_device,
    display_name,
    is_address,
    scheme,
)

TIMEOUT = 10.0
"""Seconds without data after which a stream or camera has failed."""
_NO_PROTOCOL = "none"
"""The name of no protocol: a file never makes libav open another file or an address."""
_NETWORK = "crypto,http,https,httpproxy,rtmp,rtmps,rtp,srt,srtp,tcp,tls,udp"
"""What an address may lead to: never a file."""
_DEFAULT, _STILLS = 0x1, 0x400 | 0x800
"""Flags of a stream: chosen by default; an attached picture, timed thumbnails (avformat.h)."""
_ENOUGH_PACKETS = 50
"""Packets of one stream after which those of every other one have begun."""
_UNKNOWN_CONTENT = (errno.EINVAL, 0x41444E49)
"""Error numbers of libav: a format that isn't among the allowed ones; AVERROR_INVALIDDATA."""
_TIMED_OUT = 0x54495845
"""AVERROR_EXIT: the timeout interrupted it."""
_LIVE_FORMATS = frozenset(("dash", "hls", "live_flv", "mpjpeg"))
"""What a camera sends over HTTP; of a playlist, one without a duration."""


@contextmanager
def open_container(source: str, max_pixels: int) -> Iterator[Any]:
    """Open a video file, an address or a camera.

    A file is handed to libav as an open file, never by its name, in which libav could see an
    address, a protocol or a pattern.

    Raises:
        SourceError: it cannot be opened, or isn't a video.
        MissingExtraError: PyAV isn't installed.
    """
    is_file = camera_device(source) is None and not is_address(source)
    if is_file:
        _check_file(source)
    try:
        import av
        import av.error
    except ModuleNotFoundError:
        raise MissingExtraError("av", "video") from None
    with ExitStack() as stack:
        try:
            file, kind, options = stack.enter_context(av_input(source))
            container = stack.enter_context(
                av.open(
                    file,
                    format=kind,
                    container_options=options,
                    options={"max_pixels": _libav_limit(max_pixels)},
                    metadata_errors="replace",
                    timeout=TIMEOUT,
                )
            )
        except av.error.ProtocolNotFoundError:
            raise SourceError(
                f"{display_name(source)}: this build of PyAV doesn't read {scheme(source)}://"
            ) from None
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = _explain(error, is_file=is_file)
            raise SourceError(f"{display_name(source)}: {reason}") from None
        yield container


def _libav_limit(max_pixels: int) -> str:
    """The limit for libav, which counts the padding of its buffers; frames are checked again."""
    return str(2 * max_pixels + 2**18)


class _VideoFile:
    """A file for libav, which seeks to where a damaged one points.

    An error of Python's would be printed with its traceback.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.name = file, file.name

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            return -(error.errno or errno.EINVAL)


def _explain(error: BaseException, *, is_file: bool) -> str:
    number = getattr(error, "errno", None)
    if number in _UNKNOWN_CONTENT:
        if is_file:
            return "not a video that can be read (damaged, or of another format)"
        return "cannot be opened (no answer, or not a video that can be read)"
    message = f"no data for {TIMEOUT:g} s" if number == _TIMED_OUT else short_message(error)
    return f"cannot be opened ({message})"


@contextmanager
def av_input(source: str) -> Iterator[tuple[Any, str | None, dict[str, str]]]:
    """What PyAV opens, the format that it cannot guess, and libav's options."""
    device = camera_device(source)
    if device is not None:
        yield device, "v4l2", {}
    elif is_address(source):
        address = scheme(source) + urldefrag(source).url[len(scheme(source)) :]
        limits = {"protocol_whitelist": _NETWORK, "format_whitelist": ADDRESS_FORMATS}
        yield address, None, limits
    else:
        with Path(source).open("rb") as content:
            start = content.read(len(JPEG_START))
            if not start:
                raise SourceError(f"{source}: empty")
            kind = MOTION_JPEG if start == JPEG_START else None
            content.seek(0)
            file = _VideoFile(content)
            limits = {"protocol_whitelist": _NO_PROTOCOL, "format_whitelist": FILE_FORMATS}
            yield file, kind, limits


def _check_file(source: str) -> None:
    try:
        found = Path(source).stat()
    except FileNotFoundError:
        raise SourceError(f"{source}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{source}: cannot be opened ({short_message(error)})") from None
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for its writer
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or device"
        raise SourceError(f"{source}: {kind}, not a video file")


def pick_stream(container: Any, source: str, max_pixels: int) -> Any:
    """The video stream that a player shows: no cover, no thumbnail.

    Raises:
        SourceError: there is none, its codec is unknown, or its frames are too large.
    """
    name = display_name(source)
    videos = container.streams.video
    if not videos:
        raise SourceError(f"{name}: holds no video")
    films = [one for one in videos if not _is_still(one)]
    if not films:
        raise SourceError(f"{name}: holds no video, only a cover image")
    decodable = [one for one in films if one.codec_context is not None]
    if not decodable:
        raise SourceError(f"{name}: this build of PyAV has no decoder for its video")
    best = container.streams.best("video")
    if len(decodable) > 1 and not is_address(source):
        moving = _find_moving(source, max_pixels)
        decodable = [one for one in decodable if one.index in moving] or decodable
    if best not in decodable:
        best = max(decodable, key=lambda one: (one.disposition.value & _DEFAULT, one.frames))
    check_pixels(name, best.codec_context.width, best.codec_context.height, max_pixels)
    best.codec_context.options = {"max_pixels": _libav_limit(max_pixels)}
    return best


def _find_moving(source: str, max_pixels: int) -> set[int]:
    """Indices of a file's video streams that have a second frame: a thumbnail has only one."""
    import av.error

    counts: Counter[int] = Counter()
    with open_container(source, max_pixels) as container, suppress(av.error.FFmpegError):
        for packet in container.demux(container.streams.video):
            if packet.size:
                counts[packet.stream_index] += 1
                if counts[packet.stream_index] == _ENOUGH_PACKETS:
                    break
    return {index for index, count in counts.items() if count > 1}


def _is_still(stream: Any) -> bool:
    """Whether a stream is a cover or a thumbnail of another one."""
    return bool(stream.disposition.value & _STILLS)


def is_endless(container: Any, source: str) -> bool:
    """Whether an open source is a camera: it states no duration, and over HTTP its format is live.

    An HTTP server states no size for a file that a program makes or sends in chunks.
    """
    if camera_device(source) is not None:
        return True
    if not is_address(source) or container.duration:
        return False
    return scheme(source) not in ("http", "https") or container.format.name in _LIVE_FORMATS


def stated_duration(container: Any, stream: Any) -> float | None:
    """Seconds that a stream's frames last by the container's statement; None: it states none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and not container.streams.audio:  # it may be that of the sound
        return float(container.duration / 1_000_000)
    return None


def short_message(error: BaseException) -> str:
    """What an error of libav or the system says, in one line."""
    return getattr(error, "strerror", None) or first_line(error)
