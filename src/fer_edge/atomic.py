"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an OSError of the block name `path` where it names no file, as "disk full" doesn't."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def whole_file(path: Path, *companions: str) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it to `path` when the block ends well.

    Args:
        path: the final name.
        companions: suffixes of further files that the block writes next to the yielded path and
            that belong next to `path`; they are renamed first.

    The temporary name keeps the suffix, since some writers choose the format by it, and is removed
    when the block raises. Missing parent folders are made.

    Raises:
        OSError: the folder can't be made or written to, or the disk is full; it names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".fer-{secrets.token_hex(8)}{path.suffix}")
    suffixes = (*companions, path.suffix)
    try:
        with named(path):
            yield beside
        # some writers make private files; a result is as readable as any new file
        mask = os.umask(0)
        os.umask(mask)
        for suffix in suffixes:
            beside.with_suffix(suffix).chmod(0o666 & ~mask)
        for suffix in suffixes:
            beside.with_suffix(suffix).replace(path.with_suffix(suffix))
    finally:
        for suffix in suffixes:
            beside.with_suffix(suffix).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
