"""Which images and videos a path, a folder or a pattern names."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.folder_walk import walk_folder
from fer_edge.runtime.inputs.image_formats import HEIC_SUFFIXES, IMAGE_SUFFIXES
from fer_edge.runtime.inputs.video_formats import VIDEO_SUFFIXES

_LISTED = IMAGE_SUFFIXES | HEIC_SUFFIXES | VIDEO_SUFFIXES


def expand_source(source: str | Path) -> Iterator[Path | SourceError]:
    """The image and video files that a path, a folder (with its subfolders) or a pattern names.

    They are sorted, a folder's own files before those of its subfolders, without hidden ones and
    the folders that systems make. What cannot be listed, or holds nothing, comes as an error in its
    place.
    """
    name = str(source)
    try:
        if not name:
            yield SourceError("the name of a source is empty: give a path, a folder or a pattern")
        elif Path(name).is_dir():
            yield from _list_folder(Path(name))
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


def _list_folder(folder: Path) -> Iterator[Path | SourceError]:
    errors: list[SourceError] = []
    is_empty = True

    def report(error: OSError) -> None:
        errors.append(SourceError(f"{error.filename}: {error.strerror}"))

    for parent, names in walk_folder(folder, report):
        for name in names:
            path = parent / name
            if path.suffix.lower() in _LISTED and path.is_file():
                is_empty = False
                yield path
        while errors:
            is_empty = False
            yield errors.pop(0)
    yield from errors
    if is_empty and not errors:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        yield SourceError(f"{folder}: no image or video in this folder: it looks for {suffixes}")
