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


def walk_folder(
    top: Path,
    on_error: Callable[[OSError], None],
    on_link: Callable[[Path], None] | None = None,
) -> Iterator[tuple[Path, list[str]]]:
    """Walk through a folder and its subfolders, without those of systems and hidden files.

    Links to folders are not followed, except `top` itself: a link upwards would make every image of
    the folders above a part of this one.

    Args:
        top: the folder.
        on_error: called for a folder that can't be listed; it may raise.
        on_link: called for a link to a folder, which isn't followed.

    Yields:
        Each folder and the names in it that aren't folders, sorted; a folder before its subfolders.
    """
    for parent, folders, names in os.walk(top, onerror=on_error):
        folders[:] = sorted(name for name in folders if not is_system_folder(name))
        for name in folders:
            if on_link and (link := Path(parent, name)).is_symlink():
                on_link(link)
        yield Path(parent), sorted(name for name in names if not name.startswith("."))
