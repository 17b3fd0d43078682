"""Text files of data as lines of bytes, plain or packed, in bounded memory and time.

What a file holds decides how it is read, not its name (but for a tar without its mark).
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import logging
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fer_edge.errors import DataError

MAX_BYTES = 2 << 30
"""Most bytes that are unpacked: FER2013 has 301 MB."""
MAX_LINE = 1 << 16
"""Most bytes of a line; what is longer is cut off. A row of FER2013 has at most 9.3 kB."""
_MAX_HEADER = 1 << 20
"""Most bytes of an archive's header, which is held in memory."""
_LFS_POINTER = b"version https://git-lfs.github.com/"
_UNPACKERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
"""By a file's first bytes."""
_TAR_SUFFIXES = (".tar", ".tgz", ".tbz", ".txz")
_BROKEN = (
    *(EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(OverflowError, UnicodeError),
)
_LOCKED = (RuntimeError, NotImplementedError)  # zipfile: encrypted, or unknown compression

_LOG = logging.getLogger(__name__)


class _Limited(io.RawIOBase):
    """A stream of at most `MAX_BYTES`."""

    def __init__(self, stream: Any, path: Path) -> None:
        self.stream, self.path = stream, path
        self.count, self.is_over = 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self.is_over:
            return 0
        try:
            # one piece: `read` would lose those before what can't be unpacked
            content = self.stream.read1(len(buffer))
        except gzip.BadGzipFile as error:
            if not self.count or not str(error).startswith("Not a gzipped file"):
                raise  # a wrong checksum
            _LOG.warning("%s: what follows the packed file is ignored", self.path)
            content, self.is_over = b"", True
        self.count += len(content)
        if self.count > MAX_BYTES:
            raise DataError(f"{self.path}: unpacks to more than {MAX_BYTES >> 30} GB of text")
        buffer[: len(content)] = content
        return len(content)


class _TarHeader(tarfile.TarInfo):
    """Refuses headers that would fill the memory: names and attributes of many megabytes."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarHeader:
        header = super().frombuf(buf, encoding, errors)
        if header.type not in tarfile.REGULAR_TYPES and header.size > _MAX_HEADER:
            raise tarfile.ReadError("a header of many megabytes")
        return header


@contextmanager
def open_lines(path: Path, names: Collection[str]) -> Iterator[Iterator[bytes]]:
    """Open a text file: plain, packed by gzip, bzip2 or xz, or in a tar or zip archive.

    Args:
        path: the file.
        names: of the text file in an archive, in any of its folders; the first is preferred.

    Yields:
        The lines with their ends, each of at most `MAX_LINE` bytes.

    Raises:
        DataError: the file is damaged or locked, unpacks to more than `MAX_BYTES`, or is an archive
            that holds none or several files of these names. Also while lines are read.
        OSError: the file can't be read.
    """
    count = 0

    def read(stream: io.BufferedReader) -> Iterator[bytes]:
        nonlocal count
        while line := stream.readline(MAX_LINE):
            count += 1
            yield line
            while len(line) == MAX_LINE and not line.endswith(b"\n"):  # skip the rest of it
                line = stream.readline(MAX_LINE)

    try:
        with _open_text(path, names) as stream:
            yield read(stream)
    except _BROKEN as error:
        raise _damaged(path, count, error) from None
    except _LOCKED as error:
        raise DataError(f"{path}: can't be unpacked ({error}): unpack it first") from None
    except OSError as error:
        # of an unpacker, which has no number, or which looks for data before the file's start
        if error.errno in (None, errno.EINVAL):
            raise _damaged(path, count, error) from None
        raise


def _damaged(path: Path, count: int, error: Exception) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{path}: damaged or cut off after line {count} ({reason}): download it again")


@contextmanager
def _open_text(path: Path, names: Collection[str]) -> Iterator[io.BufferedReader]:
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: a folder, pipe or device, not a file")
    with path.open("rb") as file:
        start = file.read(len(_LFS_POINTER))
        if start.startswith(_LFS_POINTER):
            raise DataError(f"{path}: a Git LFS pointer, not the file itself: git lfs pull")
        file.seek(0)
        if start.startswith(b"PK\3\4"):
            with _open_zip_member(file, path, names) as stream:
                yield _limit(stream, path)
            return
        unpack = next((u for magic, u in _UNPACKERS.items() if start.startswith(magic)), None)
        with unpack(file) if unpack else file as stream:
            limited = _limit(stream, path)
            # an old or damaged tar has no mark
            has_tar_name = any(suffix in path.name.lower() for suffix in _TAR_SUFFIXES)
            if limited.peek()[257:262] != b"ustar" and not has_tar_name:
                yield limited
                return
            files = [one.name for one in _open_tar(limited) if one.isreg()]
            name = _choose(files, names, path)
            stream.seek(0)
            tar = _open_tar(_limit(stream, path))
            member = next(one for one in tar if one.name == name and one.isreg())
            content = tar.extractfile(member)
            assert content is not None
            with content:
                yield _limit(content, path)


def _limit(stream: IO[bytes], path: Path) -> io.BufferedReader:
    return io.BufferedReader(_Limited(stream, path), 1 << 16)


def _open_tar(stream: IO[bytes]) -> tarfile.TarFile:
    """A tar that is read in one pass, never back."""
    return tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarHeader)


def _open_zip_member(file: IO[bytes], path: Path, names: Collection[str]) -> IO[bytes]:
    archive = zipfile.ZipFile(file)
    return archive.open(_choose(archive.namelist(), names, path))


def _choose(members: list[str], names: Collection[str], path: Path) -> str:
    """The member of an archive with the first of `names` that there is."""
    for name in names:
        found = [one for one in members if one.rsplit("/", 1)[-1].lower() == name]
        if len(found) > 1:
            raise DataError(f"{path}: holds {found[0]} and {found[1]}: unpack the one you mean")
        if found:
            return found[0]
    raise DataError(f"{path}: holds no file {' or '.join(names)} (unpack class folders first)")
