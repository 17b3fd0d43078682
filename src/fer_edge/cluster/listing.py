"""Which images the sources name, and how they are divided into parts."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fer_edge.cluster.storage import is_object, list_objects, open_file
from fer_edge.errors import ConfigError, SourceError
from fer_edge.runtime.inputs.image_formats import HEIC_SUFFIXES, IMAGE_SUFFIXES
from fer_edge.runtime.inputs.listing import expand_source
from fer_edge.runtime.inputs.video_source import camera_device, is_address, mask_credentials

logger = logging.getLogger(__name__)

PARQUET = ".parquet"
PATH_COLUMNS = ("path", "source")
ROW = re.compile(r"(?P<file>.*\.parquet)#(?P<row>\d+)", re.DOTALL | re.IGNORECASE)
"""The name of an image whose bytes are in a row of a Parquet file."""
_LISTED = IMAGE_SUFFIXES | HEIC_SUFFIXES | {PARQUET}
Report = Callable[[SourceError], object]


@dataclass(frozen=True)
class Part:
    """What a worker reads at once, and writes as one file.

    Attributes:
        number: its place among all parts, from 0.
        names: of its images: paths, addresses of object storage, and `FILE.parquet#ROW`.
    """

    number: int
    names: tuple[str, ...]


def check_sources(sources: Iterable[str]) -> None:
    """Refuse what isn't read in any order by many processes.

    Raises:
        ConfigError: a source is a camera, a stream or standard input.
    """
    for source in sources:
        if source == "-" or is_address(source) or camera_device(source) is not None:
            raise ConfigError(
                f"{mask_credentials(source)}: a cluster reads images in files, in Parquet and in "
                "object storage; fer infer reads cameras, streams and standard input"
            )


def list_parts(
    sources: Iterable[str], size: int, column: str | None, report: Report
) -> Iterator[Part]:
    """Divide the images that sources name into parts, in the order of `fer infer`.

    Args:
        sources: files, folders, patterns, addresses of object storage, Parquet files.
        size: images of a part. The rows of one row group of Parquet begin a new part.
        column: see `image_column`.
        report: called with what can't be listed.
    """
    numbers = itertools.count()
    for _, group in itertools.groupby(_list_names(sources, column, report), lambda one: one[1]):
        names = (name for name, _ in group)
        while part := tuple(itertools.islice(names, size)):
            yield Part(next(numbers), part)


def image_column(schema: pa.Schema, given: str | None = None) -> tuple[str, bool]:
    """The column of a Parquet file that holds the images, and whether it holds their paths.

    Args:
        schema: of the file.
        given: its name; None: the only column of bytes, or of a struct with the field `bytes`, as
            Hugging Face writes images; else the column `path` or `source`.

    Raises:
        SourceError: there is none, or there are several.
    """
    kinds = {field.name: _holds(field.type) for field in schema}
    if given is not None:
        if kind := kinds.get(given):
            return given, kind == "paths"
        raise SourceError(f"there is no column {given!r} of bytes or paths")
    found = [name for name, kind in kinds.items() if kind == "bytes"]
    if not found:
        found = [name for name in PATH_COLUMNS if kinds.get(name) == "paths"][:1]
    if len(found) != 1:
        raise SourceError(
            f"which column holds the images? It has {', '.join(kinds) or 'none'}: choose it with "
            "--column"
        )
    return found[0], kinds[found[0]] == "paths"


def is_struct(kind: pa.DataType) -> bool:
    """Whether a column has values such as {"bytes": ..., "path": ...}."""
    return bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def _holds(kind: pa.DataType) -> str:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or is_struct(kind):
        return "bytes"
    return "paths" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else ""


def _list_names(
    sources: Iterable[str], column: str | None, report: Report
) -> Iterator[tuple[str, Any]]:
    """Each image's name, and what it begins a new part with."""
    for file in _list_files(sources, report):
        if not file.lower().endswith(PARQUET):
            yield file, None
            continue
        try:
            yield from _list_rows(file, column)
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            report(SourceError(f"{file}: cannot be read ({error})"))
        except SourceError as error:
            report(SourceError(f"{file}: {error}"))


def _list_files(sources: Iterable[str], report: Report) -> Iterator[str]:
    for source in sources:
        try:
            if is_object(source):
                yield from list_objects(source, _LISTED)
                continue
            for path in expand_source(source, logger.warning):
                if isinstance(path, SourceError):
                    report(path)
                else:
                    yield str(path)
        except SourceError as error:
            report(error)
        except OSError as error:
            report(SourceError(f"{source}: {error}"))


def _list_rows(file: str, column: str | None) -> Iterator[tuple[str, Any]]:
    with open_file(file) as stream:
        table = pq.ParquetFile(stream)
        name, is_paths = image_column(table.schema_arrow, column)
        if is_paths:
            for batch in table.iter_batches(columns=[name]):
                for path in filter(None, batch[0].to_pylist()):
                    if "\0" in path:
                        raise SourceError(f"the column {name!r} has a path with a NUL character")
                    yield path, None
            return
        row = 0
        for group in range(table.metadata.num_row_groups):
            for _ in range(table.metadata.row_group(group).num_rows):
                yield f"{file}#{row}", (file, group)
                row += 1
