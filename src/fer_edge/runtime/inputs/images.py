"""Where pictures come from: files, folders, patterns, Pillow images and RGB arrays."""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from fer_edge.errors import SourceError
from fer_edge.runtime.preprocess import to_upright

IMAGE_SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
_SMALL = 200_000
"""Bytes of a file below which a picture is hardly large: its header isn't worth a look."""
NAMED = frozenset((".heic", ".heif"))
"""Pictures that can't be read: in a folder they are named rather than left out in silence."""
VIDEO_SUFFIXES = frozenset(
    (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
)
MAX_PIXELS = 89_478_485
"""Pillow's own first limit, 256 MB of RGB; larger pictures are refused before they are decoded."""
_WALKED = IMAGE_SUFFIXES | NAMED | VIDEO_SUFFIXES
HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"))
"""How Apple's and others' H.265 pictures begin, from the fifth byte on."""
Picture = str | Path | Image.Image | npt.NDArray[np.uint8]


def expand_stdin(sources: Iterable[Picture]) -> Iterator[Picture]:
    """The sources, `-` replaced by the lines of standard input as they come."""
    for source in sources:
        if isinstance(source, str) and source == "-":
            yield from _lines()
        else:
            yield source


def _lines() -> Iterator[str]:
    """Standard input's lines, by the file's descriptor: a thread that waits in Python's own reader
    would hold a lock that the interpreter needs to end."""
    if sys.stdin is None:
        raise SourceError("standard input is closed")
    rest, found = b"", False
    descriptor = sys.stdin.fileno()
    while content := os.read(descriptor, 1 << 16):
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            if line.strip():
                found = True
                yield os.fsdecode(line.removesuffix(b"\r"))
    if rest.strip():
        yield os.fsdecode(rest.removesuffix(b"\r"))
    elif not found:
        raise SourceError("standard input names no picture")


def expand_source(source: str | Path) -> Iterator[Path | SourceError]:
    """The pictures and videos that a path, a folder (with those below it) or a pattern names.

    In sorted order, a folder's own before those of the folders in it; hidden ones are left out.
    What can't be looked into, or holds nothing, comes as an error in its place.
    """
    name = str(source)
    path = Path(source)
    try:
        if not name:
            yield SourceError("an empty name is no picture")
        elif path.is_dir():
            yield from _walk(name)
        elif not path.exists() and glob.has_magic(name):
            yield from _matching(name)
        else:
            yield path
    except OSError as error:
        yield SourceError(f"{name}: {error.strerror or error}")


def _walk(folder: str) -> Iterator[Path | SourceError]:
    errors: list[OSError] = []
    found = False
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in _WALKED and name[0] != "." and path.is_file():
                found = True
                yield path
        for error in errors:
            yield SourceError(f"{error.filename}: {error.strerror}")
        found = found or bool(errors)
        errors.clear()
    for error in errors:
        yield SourceError(f"{error.filename}: {error.strerror}")
    if not found and not errors:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        yield SourceError(f"{folder}: no image or video in this folder: it looks for {suffixes}")


def _matching(pattern: str) -> Iterator[Path | SourceError]:
    # Path.glob takes no absolute pattern
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    files = [one for one in map(Path, matches) if one.is_file()]
    yield from files
    if not files:
        yield SourceError(f"{pattern}: no file matches")


def open_image(path: Path) -> Image.Image:
    """A picture file, decoded and turned upright; of an animation the first frame.

    Raises:
        SourceError: it is missing, empty, cut off, too large, no picture, or no file.
    """
    try:
        _check_file(path)
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if image.format == "EPS":  # to read it, Pillow would start Ghostscript
                raise UnidentifiedImageError
            image.load()
            return to_upright(image)
    except SourceError:
        raise
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file") from None
    except UnidentifiedImageError:
        raise SourceError(f"{path}: {_what(path)}") from None
    except Image.DecompressionBombError:
        most = MAX_PIXELS // 1_000_000
        raise SourceError(f"{path}: more than {most} megapixels: shrink it first") from None
    # damaged pictures make Pillow's decoders raise nearly anything: struct.error, TypeError, ...
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SourceError(f"{path}: can't be read ({reason})") from None


def _check_file(path: Path) -> None:
    """Refuse what isn't a file before it is opened: to open a pipe waits for who writes to it."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path}: a folder, not a picture")
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path}: a pipe or device, not a picture")


def _what(path: Path) -> str:
    """What a file is that no picture was found in."""
    with path.open("rb") as stream:
        beginning = stream.read(12)
    if not beginning:
        return "empty"
    if beginning[4:] in HEIC:
        return "HEIC isn't read here: save it as JPEG or PNG"
    return "not a picture"


def pixels(path: Path) -> int:
    """How many a picture has, from its header; 0 where it is small or can't be read."""
    try:
        if path.stat().st_size < _SMALL:
            return 0
        with Image.open(path) as image:
            return image.width * image.height
    except Exception:  # `open_image` says what is wrong with it
        return 0


def array_to_image(array: npt.NDArray[Any]) -> Image.Image:
    """An RGB or gray array as a picture.

    Raises:
        SourceError: it isn't uint8 `[H, W]` or `[H, W, 3]`, or it is empty.
    """
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not fits or 0 in array.shape:
        raise SourceError(
            f"an array of {array.dtype} {list(array.shape)}: expected uint8 [H, W, 3] RGB or [H, W]"
        )
    return Image.fromarray(array)
