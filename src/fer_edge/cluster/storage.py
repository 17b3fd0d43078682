"""Folders and files that every worker reaches: a shared file system, or object storage."""

from __future__ import annotations

import functools
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyarrow import ArrowInvalid, fs

from fer_edge.atomic import write_bytes
from fer_edge.errors import ConfigError, SourceError
from fer_edge.runtime.inputs.folder_walk import is_system_folder


def is_object(address: str) -> bool:
    """Whether an address is one of object storage (`s3://bucket/key`) rather than a path."""
    return "://" in address


def make_absolute(address: str) -> str:
    """An address that means the same in any current folder."""
    return address if is_object(address) else str(Path(address).absolute())


@functools.cache
def _open_file_system(root: str) -> tuple[fs.FileSystem, str]:
    """The file system of a scheme and a bucket, and the bucket's path in it: S3 looks up where a
    bucket lies, once."""
    try:
        file_system, path = fs.FileSystem.from_uri(root)
    except (ArrowInvalid, NotImplementedError) as error:
        raise ConfigError(f"{root}: {error}") from None
    return file_system, path.rstrip("/")


def find_file_system(address: str) -> tuple[fs.FileSystem, str]:
    """The file system of an address, and the path in it.

    Endpoints and credentials come from the environment (`AWS_ENDPOINT_URL`, `AWS_PROFILE`), so
    that no address in the output holds a secret.

    Raises:
        ConfigError: there is no such scheme, or the address holds a password.
        OSError: the storage can't be reached.
    """
    if not is_object(address):
        return fs.LocalFileSystem(), make_absolute(address)
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    if ":" in bucket.rpartition("@")[0]:
        raise ConfigError(f"{scheme}://***: give credentials in the environment, not in an address")
    file_system, root = _open_file_system(f"{scheme}://{bucket}/")
    return file_system, f"{root}/{key}".rstrip("/")


def list_objects(address: str, suffixes: frozenset[str]) -> Iterator[str]:
    """The addresses below one of object storage that end so, sorted; or itself, if it is a file.

    Hidden files and folders are left out.

    Raises:
        SourceError: there is nothing of that name.
        ConfigError, OSError: see `find_file_system`.
    """
    file_system, path = find_file_system(address)
    found = file_system.get_file_info(path)
    if found.type == fs.FileType.File:
        yield address
        return
    if found.type == fs.FileType.NotFound:
        raise SourceError(f"{address}: there is no such object or folder")
    files = file_system.get_file_info(fs.FileSelector(path, recursive=True))
    for name in sorted(one.path for one in files if one.type == fs.FileType.File):
        below = name.removeprefix(path).lstrip("/")
        is_hidden = any(map(is_system_folder, below.split("/")))
        if not is_hidden and posixpath.splitext(below)[1].lower() in suffixes:
            yield f"{address.rstrip('/')}/{below}"


def open_file(address: str) -> Any:
    """A file, to be read at any place; a `pyarrow.NativeFile`.

    Raises:
        ConfigError, OSError: see `find_file_system`; or there is no such file.
    """
    file_system, path = find_file_system(address)
    return file_system.open_input_file(path)


class Folder:
    """A folder of files that appear complete or not at all.

    Args:
        address: a path, or an address of object storage.
    """

    def __init__(self, address: str) -> None:
        self.address = make_absolute(address)

    def list_names(self) -> list[str]:
        """The names of its files, sorted; none if there is no such folder."""
        file_system, path = find_file_system(self.address)
        selector = fs.FileSelector(path, allow_not_found=True)
        return sorted(
            one.base_name
            for one in file_system.get_file_info(selector)
            if one.type == fs.FileType.File and not one.base_name.startswith(".")
        )

    def open(self, name: str) -> Any:
        """One of its files, to be read at any place."""
        return open_file(self._join(name))

    def write(self, name: str, content: bytes) -> None:
        """Write a file; one of that name is replaced.

        Raises:
            OSError: it can't be written.
        """
        if not is_object(self.address):
            write_bytes(Path(self._join(name)), content)
            return
        file_system, path = find_file_system(self._join(name))
        if isinstance(file_system, fs.LocalFileSystem):  # file:///
            write_bytes(Path(path), content)
            return
        with file_system.open_output_stream(path) as stream:  # it appears when it is closed
            stream.write(content)

    def remove(self, name: str) -> None:
        """Remove one of its files."""
        file_system, path = find_file_system(self._join(name))
        file_system.delete_file(path)

    def _join(self, name: str) -> str:
        return os.path.join(self.address, name)  # noqa: PTH118 - an address is no path
