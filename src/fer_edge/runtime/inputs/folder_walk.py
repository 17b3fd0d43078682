"""Walk through a folder of images: the same for reading faces and for training data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

_SYSTEM = (".", "@", "__")
"""How the names of folders begin that systems make: .thumbnails, @eaDir, __MACOSX."""


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name is made by an operating system or is hidden."""
    return name.startswith(_SYSTEM)


def walk_folder(top: Path, on_error: Callable[[OSError], None]) -> Iterator[tuple[Path, list[str]]]:
    """Walk through a folder and its subfolders, without those of systems and hidden files.

    Links to folders are not followed, except `top` itself: a link upwards would make every image of
    the folders above a part of this one.

    Args:
        top: the folder.
        on_error: called for a folder that can't be listed; it may raise.

    Yields:
        Each folder and the names in it that aren't folders, sorted; a folder before its subfolders.
    """
    for parent, folders, names in os.walk(top, onerror=on_error):
        folders[:] = sorted(name for name in folders if not is_system_folder(name))
        yield Path(parent), sorted(name for name in names if not name.startswith("."))
