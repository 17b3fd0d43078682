"""Which sources are videos, streams and cameras, and what opens them."""

from __future__ import annotations

from pathlib import Path

from fer_edge.runtime.inputs.listing import VIDEO_SUFFIXES

_FILE_SCHEMES = ("file", "ftp", "http", "https", "sftp")
"""Schemes of addresses that may be files."""


def is_video(source: str) -> bool:
    """Whether a source is a video file, a stream's address, or a camera's number or device."""
    return is_live(source) or "://" in source or Path(source).suffix.lower() in VIDEO_SUFFIXES


def is_live(source: str) -> bool:
    """Whether a source is a camera or a stream that doesn't wait for its reader.

    An HTTP address with a video's suffix is a file; without one it is taken for a camera.
    """
    scheme, separator, path = source.partition("://")
    if not separator:
        return camera_device(source) is not None
    is_file = scheme.lower() in _FILE_SCHEMES and Path(path).suffix.lower() in VIDEO_SUFFIXES
    return not is_file


def camera_device(source: str) -> str | None:
    """The device of a camera given by number (`0`) or path (`/dev/video0`); None: not a camera."""
    number = camera_number(source)
    device = source if number is None else f"/dev/video{number}"
    return device if device.startswith("/dev/video") else None


def camera_number(source: str) -> int | None:
    """The number of a camera given by it; None: another source, or a file of that name exists."""
    is_number = source.isascii() and source.isdecimal() and len(source) < 4
    return int(source) if is_number and not Path(source).exists() else None


def av_input(source: str) -> tuple[str, str | None]:
    """What PyAV opens, and the format that it cannot guess."""
    device = camera_device(source)
    return (source, None) if device is None else (device, "v4l2")
