"""Which images and videos a path, a folder or a pattern names."""

from __future__ import annotations

import fnmatch
import glob
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fer_edge.errors import SourceError
from fer_edge.runtime.inputs.folder_walk import (
    NO_FILE,
    NO_SUFFIX,
    format_left_out,
    walk_folder,
)
from fer_edge.runtime.inputs.image_formats import HEIC_SUFFIXES, IMAGE_SUFFIXES
from fer_edge.runtime.inputs.video_formats import VIDEO_SUFFIXES
from fer_edge.text import printable

_LISTED = IMAGE_SUFFIXES | HEIC_SUFFIXES | VIDEO_SUFFIXES


def expand_source(
    source: str | Path, report: Callable[[str], object] | None = None
) -> Iterator[Path | SourceError]:
    """The image and video files that a path, a folder (with its subfolders) or a pattern names.

    They are sorted, a folder's own files before those of its subfolders, without hidden ones and
    the folders that systems make. What cannot be listed, or holds nothing, comes as an error in its
    place.

    Args:
        source: see `Recognizer.stream`.
        report: called after a folder's files with one line that counts those that are left out.
    """
    name = str(source)
    try:
        if not name:
            yield SourceError("the name of a source is empty: give a path, a folder or a pattern")
        elif Path(name).is_dir():
            yield from _list_folder(Path(name), report)
        elif not Path(name).exists() and glob.has_magic(name):
            yield from _list_matches(name)
        else:
            yield Path(name)
    except OSError as error:
        yield SourceError(f"{name}: {error.strerror or error}")


def _list_matches(pattern: str) -> Iterator[Path | SourceError]:
    errors: list[SourceError] = []

    def report(error: OSError) -> None:
        errors.append(SourceError(f"{error.filename}: {error.strerror}"))

    first, *parts = Path(pattern).parts
    start, parts = (Path(first), parts) if Path(first).is_absolute() else (Path(), [first, *parts])
    files = sorted({path for path in _match(start, parts, report) if path.is_file()})
    yield from files
    yield from errors
    if not files and not errors:
        yield SourceError(f"{pattern}: no file matches")


def _match(
    folder: Path, parts: Sequence[str], on_error: Callable[[OSError], None]
) -> Iterator[Path]:
    """What a pattern's parts name below a folder; glob.glob would follow links in circles.

    As there, `**` names a folder with all below it, and only a dot matches a hidden name's dot.
    """
    head, *rest = parts
    if head == "**":
        while rest[:1] == ["**"]:
            rest = rest[1:]
        for parent, names in walk_folder(folder, on_error):
            yield from _match(parent, rest, on_error) if rest else (parent / one for one in names)
        return
    if glob.has_magic(head):
        try:
            names = fnmatch.filter((one.name for one in folder.iterdir()), head)
        except OSError as error:
            on_error(error)
            return
        found = [folder / one for one in names if head[0] == "." or one[0] != "."]
    else:
        found = [folder / head]
    for path in found:
        if not rest:
            yield path
        elif path.is_dir():
            yield from _match(path, rest, on_error)


def _list_folder(
    folder: Path, report: Callable[[str], object] | None
) -> Iterator[Path | SourceError]:
    errors: list[SourceError] = []
    left_out: Counter[str] = Counter()
    is_empty = True

    def add_error(error: OSError) -> None:
        errors.append(SourceError(f"{error.filename}: {error.strerror}"))

    for parent, names in walk_folder(folder, add_error, left_out):
        for name in names:
            path = parent / name
            suffix = path.suffix.lower()
            if suffix not in _LISTED:
                left_out[suffix or NO_SUFFIX] += 1
            elif not path.is_file():
                left_out[NO_FILE] += 1
            else:
                is_empty = False
                yield path
        while errors:
            is_empty = False
            yield errors.pop(0)
    yield from errors
    if left_out.total() and report:
        report(f"{printable(folder)}: left out: {format_left_out(left_out)}")
    if is_empty and not errors:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        yield SourceError(f"{folder}: no image or video in this folder: it looks for {suffixes}")
