from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="ray isn't installed")
import pyarrow.parquet as pq

from fer_edge.cluster.output import Output
from fer_edge.cluster.tables import FORMATS, results_schema
from fer_edge.errors import ConfigError
from fer_edge.render.faces import column_names, csv_header, result_csv, result_rows
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.runtime.results import Result
from fer_edge.spec import ModelSpec
from tests.support.files import EXAMPLE, PHOTO, ROOT, write_files

SOURCES = ('with "quotes", commas', "two\r\nlines", "no UTF-8: \udcff", "plain.png")
each_format = pytest.mark.parametrize("format", FORMATS)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture(scope="module")
def results(recognizer: Recognizer) -> list[Result]:
    return [recognizer(EXAMPLE), recognizer(PHOTO), recognizer(ROOT / "docs/pictures/curves.png")]


def output(folder: Path, format: str, spec: ModelSpec) -> Output:
    return Output(str(folder), format, results_schema(spec))


def test_csv_is_what_fer_infer_writes(recognizer: Recognizer, results: list[Result]) -> None:
    spec = recognizer.spec
    rows = [row for result in results for row in result_rows(result, spec)]
    expected = [csv_header(spec), *(result_csv(one, spec) for one in results), ""]
    content = FORMATS["csv"].encode(rows, results_schema(spec))
    assert content.decode() == "\n".join(expected)


def test_parquet_has_the_same_columns_and_values(
    recognizer: Recognizer, results: list[Result]
) -> None:
    spec = recognizer.spec
    rows = [row for result in results for row in result_rows(result, spec)]
    table = pq.read_table(io.BytesIO(FORMATS["parquet"].encode(rows, results_schema(spec))))
    assert table.column_names == column_names(spec)
    assert [list(row.values()) for row in table.to_pylist()] == rows


@each_format
def test_sources_are_read_back(tmp_path: Path, spec: ModelSpec, format: str) -> None:
    width = len(column_names(spec))
    written = output(tmp_path / "results", format, spec)
    assert written.part_names() == frozenset()
    rows = [[name, *[None] * (width - 1)] for name in SOURCES[:2]]
    written.write(written.new_name(0, frozenset()), rows, [[SOURCES[2], "damaged"]])
    written.write(written.new_name(1, frozenset()), [], [[SOURCES[3], "damaged"]])
    expected = set(map(FORMATS[format].to_text, SOURCES))
    assert written.read_sources() == expected
    assert len(written.part_names()) == 2


@each_format
def test_errors_of_a_part_that_was_not_finished_do_not_count(
    tmp_path: Path, spec: ModelSpec, format: str
) -> None:
    written = output(tmp_path, format, spec)
    written.write(f"part-0000001.{format}", [], [["a.png", "damaged"]])
    (tmp_path / "results" / f"part-0000001.{format}").unlink()
    assert written.read_sources() == frozenset()
    assert list((tmp_path / "errors").iterdir()) == []


def test_no_file_of_somebody_else_is_removed(tmp_path: Path, spec: ModelSpec) -> None:
    write_files(tmp_path / "errors", {"part-1.csv": "notes"})
    with pytest.raises(ConfigError, match=r"part-1.csv cannot be resumed: its columns differ"):
        output(tmp_path, "csv", spec).read_sources()
    assert (tmp_path / "errors" / "part-1.csv").read_text() == "notes"


@each_format
def test_parts_of_another_model_are_refused(tmp_path: Path, spec: ModelSpec, format: str) -> None:
    output(tmp_path, format, spec).write(f"part-1.{format}", [], [])
    labels = Output(str(tmp_path), format, results_schema(Recognizer.load().spec))
    other = results_schema(spec).remove(8)
    assert labels.schema != other
    with pytest.raises(ConfigError, match=f"part-1.{format} cannot be resumed: its columns differ"):
        Output(str(tmp_path), format, other).read_sources()


@each_format
@pytest.mark.parametrize("content", [b"\xff", b'"a"b'])
def test_a_damaged_part_is_named(
    tmp_path: Path, spec: ModelSpec, format: str, content: bytes
) -> None:
    written = output(tmp_path, format, spec)
    written.write(f"part-1.{format}", [], [])
    (tmp_path / "results" / f"part-1.{format}").write_bytes(content)
    with pytest.raises(ConfigError, match=f"part-1.{format} cannot be resumed"):
        written.read_sources()


def test_a_folder_of_other_files_is_refused(tmp_path: Path, spec: ModelSpec) -> None:
    output(tmp_path, "csv", spec).write("part-1.csv", [], [])
    with pytest.raises(ConfigError, match=r"part-1.csv isn't a .parquet file"):
        output(tmp_path, "parquet", spec).part_names()


def test_a_taken_name_is_not_used_again(tmp_path: Path, spec: ModelSpec) -> None:
    written = output(tmp_path, "csv", spec)
    taken = frozenset(("part-0000003.csv", "part-0000003-1.csv"))
    assert written.new_name(2, taken) == "part-0000002.csv"
    assert written.new_name(3, taken) == "part-0000003-2.csv"


def test_errors_are_a_table(tmp_path: Path, spec: ModelSpec) -> None:
    output(tmp_path, "csv", spec).write("part-1.csv", [], [["a,b.png", "a,b.png: empty"]])
    with (tmp_path / "errors" / "part-1.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [["source", "error"], ["a,b.png", "a,b.png: empty"]]
