"""Which sources are videos, streams and cameras, and how they are called."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from fer_edge.runtime.inputs.image_formats import HEIC_SUFFIXES, IMAGE_SUFFIXES
from fer_edge.runtime.inputs.video_formats import VIDEO_SUFFIXES, holds_video

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp", "srt")
"""Of the addresses that are read. Only a name that the caller gives is an address: never one that
a folder or a pattern yields."""
HTTP_SCHEMES = ("http", "https")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?P<slashes>//)?")  # one letter is a drive
_DEVICE = re.compile(r"/dev/(video\d+|v4l/.+)")


def is_video(source: str) -> bool:
    """Whether a source is a video file, a stream's address, or a camera's number or device.

    The suffix decides; the content where the suffix is neither an image's nor a video's.
    """
    if is_address(source) or camera_device(source) is not None:
        return True
    suffix = Path(source).suffix.lower()
    if suffix in IMAGE_SUFFIXES or suffix in HEIC_SUFFIXES:
        return False
    return suffix in VIDEO_SUFFIXES or holds_video(Path(source))


def scheme(source: str) -> str:
    """The scheme of an address that is read, in lower case; "": the source is no such address."""
    name, separator, _ = source.partition("://")
    return name.lower() if separator and name.lower() in SCHEMES else ""


def is_address(source: str) -> bool:
    """Whether a source is an address rather than a file or a camera."""
    return bool(scheme(source))


def is_live(source: str) -> bool:
    """Whether a source cannot be read again: a camera, or a stream of any other kind than HTTP."""
    return camera_device(source) is not None or scheme(source) not in ("", *HTTP_SCHEMES)


def name_fault(source: str) -> str | None:
    """What is wrong with a name that the caller gave; None: nothing can be said before reading."""
    if "\0" in source:
        return f"{source!r}: a name cannot hold a NUL byte"
    if is_address(source):
        if source.isprintable() and " " not in source:
            return None
        return f"{mask_credentials(source)!r}: an address cannot hold blanks or control characters"
    found = _SCHEME.match(source)
    if not found or _exists(source) or (glob.has_magic(source) and not found["slashes"]):
        return None
    known = ", ".join(f"{one}://" for one in SCHEMES)
    return f"{mask_credentials(source)}: there is no such file; an address begins with {known}"


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # a name that no file can have
        return False


def mask_credentials(source: str) -> str:
    """An address without its user and password; any other source as it is."""
    found = _SCHEME.match(source)
    if not found or not found["slashes"] or "@" not in source:
        return source
    rest = source[found.end() :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = authority.rpartition(":")[2]
    if "@" not in authority and ":" in authority and not port.isdecimal() and "]" not in port:
        authority = rest.rpartition("@")[0] + "@"  # a password that holds a slash
    if "@" not in authority:
        return source
    return f"{found[0]}***@{rest[authority.rindex('@') + 1 :]}"


def display_name(source: str) -> str:
    """What an error calls a source."""
    return mask_credentials(source) if camera_device(source) is None else f"camera {source}"


def camera_device(source: str) -> str | None:
    """The device of a camera given by number (`0`) or path (`/dev/video0`); None: not a camera."""
    number = camera_number(source)
    device = source if number is None else f"/dev/video{number}"
    return device if _DEVICE.fullmatch(device) else None


def camera_number(source: str) -> int | None:
    """The number of a camera given by it; None: another source, or a file of that name exists."""
    is_number = source.isascii() and source.isdecimal() and len(source) < 4
    return int(source) if is_number and not Path(source).exists() else None
