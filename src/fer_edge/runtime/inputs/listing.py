"""Which images and videos a path, a folder or a pattern names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.image_formats import HEIC_SUFFIXES, IMAGE_SUFFIXES
from fer_edge.runtime.inputs.video_formats import VIDEO_SUFFIXES

_LISTED = IMAGE_SUFFIXES | HEIC_SUFFIXES | VIDEO_SUFFIXES


def expand_source(source: str | Path) -> Iterator[Path | SourceError]:
    """The image and video files that a path, a folder (with its subfolders) or a pattern names.

    They are sorted, a folder's own files before those of its subfolders, without hidden ones. What
    cannot be listed, or holds nothing, comes as an error in its place.
    """
    name = str(source)
    try:
        if not name:
            yield SourceError("the name of a source is empty: give a path, a folder or a pattern")
        elif Path(name).is_dir():
            yield from _walk_folder(name)
        elif not Path(name).exists() and glob.has_magic(name):
            # Path.glob takes no absolute pattern
            matches = map(Path, sorted(glob.glob(name, recursive=True)))  # noqa: PTH207
            files = [path for path in matches if path.is_file()]
            yield from files
            if not files:
                yield SourceError(f"{name}: no file matches")
        else:
            yield Path(name)
    except OSError as error:
        yield SourceError(f"{name}: {error.strerror or error}")


def _walk_folder(folder: str) -> Iterator[Path | SourceError]:
    errors: list[SourceError] = []
    is_empty = True

    def report(error: OSError) -> None:
        errors.append(SourceError(f"{error.filename}: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=report):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in _LISTED and name[0] != "." and path.is_file():
                is_empty = False
                yield path
        while errors:
            is_empty = False
            yield errors.pop(0)
    yield from errors
    if is_empty and not errors:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        yield SourceError(f"{folder}: no image or video in this folder: it looks for {suffixes}")
