from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="ray isn't installed")
import pyarrow as pa
import pyarrow.parquet as pq

from fer_edge.cluster.listing import Part, check_sources, image_column, list_parts
from fer_edge.errors import ConfigError, SourceError
from fer_edge.runtime.inputs.listing import expand_source


def parts(*sources: object, size: int = 4, column: str | None = None) -> list[Part]:
    errors: list[SourceError] = []
    found = list(list_parts(map(str, sources), size, column, errors.append))
    assert errors == []
    return found


def test_parts_have_the_order_of_fer_infer(images: Path) -> None:
    found = parts(images)
    assert [part.number for part in found] == list(range(len(found)))
    assert {len(part.names) for part in found[:-1]} == {4}
    names = [name for part in found for name in part.names]
    assert names == list(map(str, expand_source(images)))


def test_rows_of_a_row_group_begin_a_part(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image": [b"x"] * 10}), path, row_group_size=6)
    rows = [[name.removeprefix(f"{path}#") for name in part.names] for part in parts(path)]
    assert rows == [list("0123"), list("45"), list("6789")]


def test_a_column_of_paths_names_files(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table({"label": ["x", "y", "z"], "path": ["a.png", None, "b.png"]}), path)
    assert [part.names for part in parts(path)] == [("a.png", "b.png")]
    assert [part.names for part in parts(path, column="label")] == [("x", "y", "z")]


def test_a_path_that_no_file_can_have_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table({"path": ["a.png", "b\0.png"]}), path)
    errors: list[SourceError] = []
    assert [one.names for one in list_parts([str(path)], 4, None, errors.append)] == [("a.png",)]
    assert "a path with a NUL character" in str(errors[0])


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    ("fields", "given", "expected"),
    [
        ({"id": pa.int64(), "jpg": pa.binary()}, None, ("jpg", False)),
        ({"path": pa.string(), "image": STRUCT}, None, ("image", False)),
        ({"text": pa.string(), "source": pa.large_string()}, None, ("source", True)),
        ({"path": pa.string(), "source": pa.string()}, None, ("path", True)),
        ({"a": pa.binary(), "b": pa.large_binary()}, "b", ("b", False)),
    ],
)
def test_the_column_of_images(
    fields: dict[str, object], given: str | None, expected: tuple[str, bool]
) -> None:
    assert image_column(pa.schema(fields.items()), given) == expected


@pytest.mark.parametrize(
    ("fields", "given", "message"),
    [
        ({"a": pa.binary(), "b": pa.binary()}, None, "It has a, b: choose it with --column"),
        ({"a": pa.int64()}, None, "which column holds the images"),
        ({"a": pa.int64()}, "a", "there is no column 'a' of bytes or paths"),
        ({"a": pa.binary()}, "b", "there is no column 'b' of bytes or paths"),
    ],
)
def test_a_column_that_is_not_clear_is_named(
    fields: dict[str, object], given: str | None, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        image_column(pa.schema(fields.items()), given)


def test_what_cannot_be_listed_is_reported_and_the_rest_is_listed(tmp_path: Path) -> None:
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    sources = [tmp_path / "damaged.parquet", tmp_path / "*.gif", tmp_path / "a.png"]
    sources += [f"file://{tmp_path}/nothing"]
    errors: list[SourceError] = []
    (part,) = list_parts(map(str, sources), 4, None, errors.append)
    assert part.names == (str(tmp_path / "a.png"),)
    damaged, pattern, missing = map(str, errors)
    assert "damaged.parquet: cannot be read" in damaged
    assert "*.gif: no file matches" in pattern
    assert "nothing: there is no such object" in missing


@pytest.mark.parametrize("source", ["-", "0", "/dev/video0", "rtsp://user:secret@host/live"])
def test_what_only_one_process_can_read_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="fer infer reads cameras") as raised:
        check_sources(["a.png", source])
    assert "secret" not in str(raised.value)
