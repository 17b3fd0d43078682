"""Files that appear complete or not at all.

Each is written in a private folder `.fer-<16 hex digits>` beside its final name, so that no link
which somebody planted leads the writing elsewhere. It is synced to the disk and renamed; a link
under the final name is itself replaced. The folder is locked while it is in use: the next process
that writes there removes one that a killed process left.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import logging
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\.fer-[0-9a-f]{16}")
_LOCK = "lock"
"""In each temporary folder: the file whose lock says that a process is using the folder."""
_UNSUPPORTED = frozenset(
    (
        *(errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP),
        *(errno.ENOLCK, errno.EBADF, errno.ENOTTY),
    )
)
"""What a mount (SMB, FAT, NFS, FUSE) reports for a call that it lacks."""

_LOG = logging.getLogger(__name__)


@contextmanager
def named(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Make an OSError of the block name `path` where it names no file, as "disk full" does not.

    Args:
        path: the file.
        temporary: a folder; an error that names a file in it names `path` instead.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        # libav names a file by its address
        names_other = temporary is None or temporary.name not in str(error.filename)
        if error.filename is not None and names_other:
            raise
        # a new one: the file name of PyAV's errors cannot be set
        raise OSError(error.errno, error.strerror, str(path)) from error


def check_writable(folder: Path) -> None:
    """Check, before long work, that a file can be made in `folder`, which need not exist yet.

    Raises:
        OSError: the folder, or the nearest existing one above it, can't be written to.
    """
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
    with temporary_folder(nearest):  # tried: what the rights say isn't what every mount does
        pass


@contextmanager
def whole_file(path: Path, *companions: str, sync_folder: bool = True) -> Iterator[Path]:
    """Yield a path to write to; rename it to `path` when the block succeeds.

    Args:
        path: the final name.
        companions: suffixes of further files that the block writes next to the yielded path and
            that belong next to `path`; they are renamed first.
        sync_folder: also put the new name on the disk before returning. False: the caller does,
            once for many files.

    The yielded path has the suffix of `path`, since some writers choose the format by it. Missing
    parent folders are created.

    Raises:
        OSError: the folder cannot be created or written to, or the disk is full; it names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    suffixes = (*companions, path.suffix)
    with temporary_folder(path.parent, named_as=path) as folder:
        beside = folder / f"file{path.suffix}"
        mode = _mode_of_new_file(beside)
        yield beside
        for suffix in suffixes:
            _finish(beside.with_suffix(suffix), mode)
        for suffix in suffixes:
            beside.with_suffix(suffix).replace(path.with_suffix(suffix))
        if sync_folder:
            sync(path.parent)


def write_bytes(path: Path, content: bytes, *, sync_folder: bool = True) -> None:
    """Write `content` to `path`, completely or not at all; see `whole_file`."""
    with whole_file(path, sync_folder=sync_folder) as beside:
        beside.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, completely or not at all."""
    write_bytes(path, text.encode("utf-8"))


@contextmanager
def temporary_folder(parent: Path, *, named_as: Path | None = None) -> Iterator[Path]:
    """Yield a new private folder in `parent`, which exists; remove it at the end of the block.

    Args:
        parent: on the file system where the files shall get their final names.
        named_as: what an OSError names in place of the folder and its files.
    """
    _remove_leftovers(parent.absolute())
    folder, lock = _make_locked(parent, named_as or parent)
    try:
        with named(named_as or parent, folder):
            yield folder
    finally:
        try:
            _remove(folder, lock)
        except OSError as error:  # the next process that writes here tries again
            _LOG.warning("%s: not removed: %s", folder, error.strerror)


def sync(path: Path) -> None:
    """Put the content of a file, or the names in a folder, on the disk."""
    with _unless_unsupported():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process; False: another has it.

    Where the mount has no locks, it is True.
    """
    try:
        with _unless_unsupported():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _unless_unsupported() -> Iterator[None]:
    """Do without a call that the mount lacks."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _make_locked(parent: Path, named_as: Path) -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock."""
    while True:
        folder = parent / f".fer-{os.urandom(8).hex()}"
        with named(named_as, folder):
            folder.mkdir(0o700)
            try:
                lock = _open_lock(folder, os.O_CREAT | os.O_EXCL)
            except OSError:
                if not folder.exists():  # another process took it for a leftover
                    continue
                with suppress(OSError):  # the first error is the one to report
                    folder.rmdir()
                raise
            # another process may have taken it for a leftover before the lock was held
            if try_lock(lock) and os.fstat(lock).st_nlink:
                return folder, lock
            os.close(lock)


def _remove(folder: Path, lock: int) -> None:
    """Remove a temporary folder, and close its lock.

    NFS, SMB and FUSE keep an open file in the folder under another name until it is closed.
    """
    try:
        shutil.rmtree(folder)
    except OSError:
        os.close(lock)
        shutil.rmtree(folder)
    else:
        os.close(lock)


def _open_lock(folder: Path, flags: int = 0) -> int:
    return os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600)


@functools.cache
def _remove_leftovers(parent: Path) -> None:
    """Remove what killed processes left in a folder, once per process."""
    try:
        with os.scandir(parent) as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if _TEMPORARY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except OSError as error:
        _LOG.debug("%s: not searched: %s", parent, error.strerror)
        return
    for folder in found:
        try:
            lock = _open_lock(folder)
        except FileNotFoundError:  # empty if a process was killed before it had a lock
            with suppress(OSError):  # no folder of this module's
                folder.rmdir()
            continue
        except OSError:  # another user's
            continue
        try:
            # not `try_lock`: where there are no locks, it may be in use
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            _LOG.debug("%s: in use: %s", folder, error.strerror)
            os.close(lock)
            continue
        try:
            _remove(folder, lock)
        except OSError as error:
            _LOG.debug("%s: not removed: %s", folder, error.strerror)


def _mode_of_new_file(path: Path) -> int:
    """The mode that a new file at `path` gets here: reading the umask would change it for a moment
    in every thread."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        path.unlink()


def _finish(path: Path, mode: int) -> None:
    """Give a written file the mode of any new file, and put its content on the disk."""
    if stat.S_IMODE(path.stat().st_mode) != mode:  # some writers make private files
        with _unless_unsupported():
            path.chmod(mode)
    sync(path)
