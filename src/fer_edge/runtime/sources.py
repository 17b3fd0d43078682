"""Where pictures come from: files, folders, patterns, Pillow images and RGB arrays."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from fer_edge.errors import SourceError
from fer_edge.runtime.preprocess import upright

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
MOST_PIXELS = 89_478_485
"""Pillow's own first limit, 256 MB of RGB; larger pictures are refused before they are decoded."""
Picture = str | Path | Image.Image | npt.NDArray[np.uint8]


def expand(source: str | Path) -> Iterator[Path]:
    """The picture files that a path, a folder (with those below it) or a pattern names, sorted.

    Raises:
        SourceError: nothing is there.
    """
    if not str(source):
        raise SourceError("an empty name is no picture")
    path = Path(source)
    try:
        yield from _expand(path, str(source))
    except OSError as error:
        raise SourceError(f"{source}: {error.strerror or error}") from None


def _expand(path: Path, source: str) -> Iterator[Path]:
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not found:
            raise SourceError(f"{source}: no picture in this folder ({' '.join(sorted(SUFFIXES))})")
        yield from found
    elif not path.exists() and glob.has_magic(source):
        # Path.glob takes no absolute pattern
        matches = sorted(Path(p) for p in glob.glob(source, recursive=True))  # noqa: PTH207
        files = [p for p in matches if p.is_file()]
        if not files:
            raise SourceError(f"{source}: no file matches")
        yield from files
    else:
        yield path


def open_picture(path: Path) -> Image.Image:
    """A picture file, decoded and turned upright.

    Raises:
        SourceError: it is missing, empty, cut off, too large, or no picture.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            image.load()
            return upright(image)
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file") from None
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise SourceError(f"{path}: {'empty' if empty else 'not a picture'}") from None
    except Image.DecompressionBombError:
        most = MOST_PIXELS // 1_000_000
        raise SourceError(f"{path}: more than {most} megapixels: shrink it first") from None
    # damaged pictures make Pillow's decoders raise nearly anything: struct.error, TypeError, ...
    except Exception as error:
        raise SourceError(f"{path}: can't be read ({error})") from None


def from_array(array: npt.NDArray[Any]) -> Image.Image:
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
