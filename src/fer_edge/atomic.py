"""Files that appear complete or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Make an OSError of the block name `path` where it names no file, as "disk full" does not."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def check_writable(folder: Path) -> None:
    """Check, before long work, that a file can be made in `folder`, which need not exist yet.

    Raises:
        OSError: the folder, or the nearest existing one above it, can't be written to.
    """
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))


@contextmanager
def whole_file(path: Path, *companions: str) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it to `path` when the block succeeds.

    Args:
        path: the final name.
        companions: suffixes of further files that the block writes next to the yielded path and
            that belong next to `path`; they are renamed first.

    The temporary file keeps the suffix, since some writers choose the format by it, and is removed
    when the block raises. Missing parent folders are created.

    Raises:
        OSError: the folder cannot be created or written to, or the disk is full; it names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".fer-{secrets.token_hex(8)}{path.suffix}")
    suffixes = (*companions, path.suffix)
    try:
        with named(path):
            mode = _mode_of_new_file(beside)
            yield beside
        # some writers make private files; a result gets the mode of any new file
        for suffix in suffixes:
            beside.with_suffix(suffix).chmod(mode)
        for suffix in suffixes:
            beside.with_suffix(suffix).replace(path.with_suffix(suffix))
    finally:
        for suffix in suffixes:
            beside.with_suffix(suffix).unlink(missing_ok=True)


def _mode_of_new_file(path: Path) -> int:
    """The mode that a new file at `path` gets here: reading the umask would change it for a moment
    in every thread."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, completely or not at all."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
