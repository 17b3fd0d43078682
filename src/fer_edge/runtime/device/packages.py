"""Which Python packages are installed, found without importing them."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def find_package(name: str) -> Path | None:
    """The file that a top-level package starts with; None: it isn't installed."""
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # refused by an import hook, or a stand-in
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def identify_build(name: str) -> str | None:
    """Identity of a package's installed build, from its file's size and time; None: there is none.

    An update changes it.
    """
    start = find_package(name)
    if start is None or not start.is_file():
        return None
    found = start.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"
