"""The tables that a cluster writes: rows as Parquet or CSV, and the sources that a table holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fer_edge.render.faces import FACE_COLUMNS, Value, column_names, csv_row, format_row
from fer_edge.spec import ModelSpec

Rows = Sequence[Sequence[Value]]
ERRORS = pa.schema([("source", pa.string()), ("error", pa.string())])
_INTEGERS = ("face", "x", "y", "w", "h", "frame", "track")
_TYPES = {
    **dict.fromkeys(_INTEGERS, pa.int32()),
    **dict.fromkeys(("source", "emotion", "track_emotion", "faces_from"), pa.string()),
    "small": pa.bool_(),
}


def results_schema(spec: ModelSpec) -> pa.Schema:
    """The columns of `fer infer --csv` with their types."""
    names = column_names(spec)
    labels = range(len(FACE_COLUMNS), len(FACE_COLUMNS) + len(spec.labels))
    return pa.schema(
        (name, pa.float64() if i in labels else _TYPES.get(name, pa.float64()))
        for i, name in enumerate(names)
    )


@dataclass(frozen=True)
class Format:
    """A format of tables.

    Attributes:
        encode: makes a file of rows.
        read_sources: reads the column `source`, the first one; it raises ValueError where the
            columns are not those of the schema.
        to_text: a source as this format holds it.
    """

    encode: Callable[[Rows, pa.Schema], bytes]
    read_sources: Callable[[Any, pa.Schema], Iterator[str]]
    to_text: Callable[[str], str]


def _to_unicode(text: str) -> str:
    """A file name that is not UTF-8 with its bytes as escapes: Parquet holds Unicode alone."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _encode_parquet(rows: Rows, schema: pa.Schema) -> bytes:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [
        pa.array([_to_unicode(one) if isinstance(one, str) else one for one in column], field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _read_parquet_sources(file: Any, schema: pa.Schema) -> Iterator[str]:
    try:
        table = pq.ParquetFile(file)
        if table.schema_arrow.names != schema.names:
            raise ValueError("its columns differ: it may be of another model or version")
        yield from table.read(columns=["source"])["source"].to_pylist()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None


def _encode_csv(rows: Rows, schema: pa.Schema) -> bytes:
    lines = [csv_row(schema.names), *map(format_row, rows)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _read_csv_sources(file: Any, schema: pa.Schema) -> Iterator[str]:
    text = file.read().decode("utf-8", "surrogateescape")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        if next(rows, None) != schema.names:
            raise ValueError("its columns differ: it may be of another model or version")
        yield from (row[0] for row in rows)
    except (csv.Error, IndexError) as error:
        raise ValueError(f"not a table of results: {error}") from None


FORMATS = {
    "parquet": Format(_encode_parquet, _read_parquet_sources, _to_unicode),
    "csv": Format(_encode_csv, _read_csv_sources, str),
}
