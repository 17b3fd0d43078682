"""A file system with little room, for tests of a full disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import run_process


@contextmanager
def small_file_system(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount an empty file system of this size at `folder`; skip where only root may."""
    folder.mkdir()
    if (
        os.geteuid()
        or run_process(
            "mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder
        ).returncode
    ):
        pytest.skip("a file system cannot be mounted here")
    try:
        yield folder
    finally:
        done = run_process("umount", folder)
        assert done.returncode == 0, done.stderr
