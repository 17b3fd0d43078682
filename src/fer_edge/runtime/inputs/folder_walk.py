"""Walk through a folder of images: the same for reading faces and for training data."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fer_edge.text import printable

LINKED = "linked folder"
SYSTEM = "system or hidden folder"
OUTSIDE = "image outside the classes"
NO_FILE = "that is no file"
NO_SUFFIX = "without a suffix"

_SYSTEM = (".", "@", "__")
"""How the names of folders begin that systems make: .thumbnails, @eaDir, __MACOSX."""
_PLURALS = {
    LINKED: "linked folders",
    SYSTEM: "system or hidden folders",
    OUTSIDE: "images outside the classes",
    NO_FILE: "that are no files",
    "other": "others",
}
_NAMED_KINDS = 8
"""Kinds of what is left out that are named."""


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name is made by an operating system or is hidden."""
    return name.startswith(_SYSTEM)


def walk_folder(
    top: Path,
    on_error: Callable[[OSError], None],
    left_out: Counter[str] | None = None,
) -> Iterator[tuple[Path, list[str]]]:
    """Walk through a folder and its subfolders, without those of systems and hidden files.

    Links to folders are not followed, except `top` itself: a link upwards would make every image of
    the folders above a part of this one.

    Args:
        top: the folder.
        on_error: called for a folder that can't be listed; it may raise.
        left_out: counts the folders that are left out, as `LINKED` or `SYSTEM`.

    Yields:
        Each folder and the names in it that aren't folders, sorted; a folder before its subfolders.
    """
    for parent, folders, names in os.walk(top, onerror=on_error):
        kept = sorted(name for name in folders if not is_system_folder(name))
        if left_out is not None:
            left_out[SYSTEM] += len(folders) - len(kept)
            left_out[LINKED] += sum(Path(parent, name).is_symlink() for name in kept)
        folders[:] = kept
        yield Path(parent), sorted(name for name in names if not name.startswith("."))


def format_left_out(left_out: Mapping[str, int]) -> str:
    """Describe what is left out by kind, the most first: "12 .txt, 1 linked folder"."""
    kinds = sorted(
        ((kind, count) for kind, count in left_out.items() if count),
        key=lambda one: (-one[1], one[0]),
    )
    if others := sum(count for _, count in kinds[_NAMED_KINDS:]):
        kinds[_NAMED_KINDS:] = [("other", others)]
    return ", ".join(
        f"{count:,} {printable(kind if count == 1 else _PLURALS.get(kind, kind))}"
        for kind, count in kinds
    )
