"""The images of a part: files as they are, objects and rows of Parquet as bytes with a name."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fer_edge.cluster.listing import ROW, image_column
from fer_edge.cluster.storage import is_object, open_file
from fer_edge.errors import ConfigError, SourceError
from fer_edge.runtime.inputs.images import MAX_BYTES
from fer_edge.runtime.inputs.video_source import is_video

_ROWS = 16
"""Rows of Parquet that are in memory at once."""


class NamedBytes(io.BytesIO):
    """An encoded image and what a result calls its source."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def read_images(
    names: Sequence[str], column: str | None
) -> Iterator[tuple[str, str | NamedBytes | SourceError]]:
    """Each name with its path or its bytes, or with an error in their place.

    Raises:
        OSError: object storage can't be reached.
    """
    for file, group in itertools.groupby(names, _parquet_file):
        if file is not None:
            yield from _read_rows(file, list(group), column)
            continue
        for name in group:
            yield name, _read(name)


def _parquet_file(name: str) -> str | None:
    found = ROW.fullmatch(name)
    return found["file"] if found else None


def _read(name: str) -> str | NamedBytes | SourceError:
    if not is_object(name):
        if is_video(name):
            return SourceError(f"{name}: a video: fer infer reads it")
        return name
    try:
        with open_file(name) as stream:
            return NamedBytes(stream.read(MAX_BYTES + 1), name)
    except FileNotFoundError:
        return SourceError(f"{name}: there is no such object")
    except ConfigError as error:  # an address in a table that nothing reads
        return SourceError(str(error))
    except OSError as error:
        if "ACCESS_DENIED" not in str(error):
            raise
        return SourceError(f"{name}: access is denied")


def _read_rows(file: str, names: Sequence[str], column: str | None) -> Iterator[tuple[str, Any]]:
    """The images of rows of one file, in rising order; of a damaged one, errors."""
    left = {int(ROW.fullmatch(name)["row"]): name for name in names}  # type: ignore[index]
    try:
        for row, value in _iterate_rows(file, min(left), max(left), column):
            if name := left.pop(row, None):
                content = value.get("bytes") if isinstance(value, dict) else value
                empty = SourceError(f"{name}: the row holds no bytes")
                yield name, NamedBytes(content, name) if content else empty
        reason = "there is no such row"
    except (OSError, pa.ArrowException, SourceError) as error:
        if isinstance(error, OSError) and is_object(file):
            _check_storage(file)
        reason = f"cannot be read ({error})"
    for name in left.values():
        yield name, SourceError(f"{name}: {reason}")


def _check_storage(file: str) -> None:
    """Raise an OSError where the storage is at fault rather than the file."""
    try:
        with open_file(file) as stream:
            stream.read(1)
    except FileNotFoundError:
        return


def _iterate_rows(
    file: str, first: int, last: int, column: str | None
) -> Iterator[tuple[int, Any]]:
    with open_file(file) as stream:
        # buffered: else the whole column of a row group is read at once
        table = pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
        name, _ = image_column(table.schema_arrow, column)
        groups: list[int] = []
        row = begin = 0
        for group in range(table.metadata.num_row_groups):
            end = begin + table.metadata.row_group(group).num_rows
            if end > first and begin <= last:
                row = row if groups else begin
                groups.append(group)
            begin = end
        for batch in table.iter_batches(_ROWS, row_groups=groups, columns=[name]):
            for value in batch[0]:
                if row > last:
                    return
                if row >= first:
                    yield row, value.as_py()
                row += 1
