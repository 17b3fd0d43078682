from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="ray isn't installed")
import pyarrow as pa
import pyarrow.parquet as pq

from fer_edge.cluster import reading, worker
from fer_edge.cluster.listing import Part, list_parts
from fer_edge.cluster.output import Output
from fer_edge.cluster.storage import open_file
from fer_edge.cluster.tables import results_schema
from fer_edge.cluster.worker import Job, Worker, decode_part, encode_part, load, recognize
from fer_edge.render.faces import result_rows
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.runtime.results import Result
from tests.support.files import EXAMPLE


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(threads=1)


def rows_and_errors(
    recognizer: Recognizer, names: tuple[str, ...], column: str | None = None
) -> tuple[list[list[object]], list[tuple[str, str]]]:
    rows: list[list[object]] = []
    errors = []
    for one in recognize(recognizer, Part(0, names), column):
        if isinstance(one, Result):
            rows += result_rows(one, recognizer.spec)
        else:
            errors.append(one)
    return rows, errors


def test_rows_and_errors_are_those_of_a_stream(recognizer: Recognizer, images: Path) -> None:
    failed: list[str] = []
    results = recognizer.stream(images, on_error=lambda error: failed.append(str(error)))
    expected = [row for one in results for row in result_rows(one, recognizer.spec)]
    (part,) = list_parts([str(images)], 100, None, pytest.fail)
    rows, errors = rows_and_errors(recognizer, part.names)
    assert rows == expected
    assert [text for _, text in errors] == failed
    assert all(text.startswith(f"{name}: ") for name, text in errors)
    assert len(errors) == 2


@pytest.mark.parametrize("is_struct", [False, True])
def test_rows_of_parquet_are_read_as_files_are(
    recognizer: Recognizer, images: Path, tmp_path: Path, is_struct: bool
) -> None:
    paths = sorted(images.rglob("*.[pj][np]g"))
    contents = [path.read_bytes() for path in paths]
    values = [{"bytes": one, "path": "x"} for one in contents] if is_struct else contents
    file = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image": values}), file, row_group_size=9)
    expected, failed = rows_and_errors(recognizer, tuple(map(str, paths)))
    by_name = {str(path): f"{file}#{i}" for i, path in enumerate(paths)}
    for part in list_parts([str(file)], 5, None, pytest.fail):
        rows, errors = rows_and_errors(recognizer, part.names)
        wanted = [row for row in expected if by_name[str(row[0])] in part.names]
        assert rows == [[by_name[str(row[0])], *row[1:]] for row in wanted]
        expected = [row for row in expected if row not in wanted]
        failed = [one for one in failed if by_name[one[0]] not in [name for name, _ in errors]]
    assert expected == []
    assert failed == []


def test_some_rows_of_parquet(recognizer: Recognizer, tmp_path: Path) -> None:
    """As when a run is resumed; what isn't there is an error in its place."""
    file = tmp_path / "images.parquet"
    content = EXAMPLE.read_bytes()
    pq.write_table(pa.table({"a": [content, b"", None, content]}), file, row_group_size=2)
    names = tuple(f"{file}#{row}" for row in (1, 2, 3, 7))
    rows, errors = rows_and_errors(recognizer, names)
    assert [row[0] for row in rows] == [names[2]]
    assert errors == [
        (names[0], f"{names[0]}: the row holds no bytes"),
        (names[1], f"{names[1]}: the row holds no bytes"),
        (names[3], f"{names[3]}: there is no such row"),
    ]


def test_a_damaged_parquet_file_fails_row_by_row(recognizer: Recognizer, tmp_path: Path) -> None:
    file = tmp_path / "images.parquet"
    pq.write_table(pa.table({"a": [EXAMPLE.read_bytes()] * 3}), file, compression="none")
    content = bytearray(file.read_bytes())
    content[4:40] = bytes(36)
    file.write_bytes(content)
    names = tuple(f"{file}#{row}" for row in range(3))
    rows, errors = rows_and_errors(recognizer, names)
    assert rows == []
    assert [name for name, _ in errors] == list(names)
    assert all("cannot be read" in text for _, text in errors)


def test_objects_are_read_as_files_are(recognizer: Recognizer, images: Path) -> None:
    address = f"file://{images}"
    (part,) = list_parts([address], 100, None, pytest.fail)
    rows, errors = rows_and_errors(recognizer, (*part.names, f"{address}/nothing.png"))
    expected, failed = rows_and_errors(
        recognizer, tuple(name.removeprefix("file://") for name in part.names)
    )
    assert rows == [[f"file://{row[0]}", *row[1:]] for row in expected]
    assert errors[:-1] == [(f"file://{name}", f"file://{text}") for name, text in failed]
    assert errors[-1][1] == f"{address}/nothing.png: there is no such object"


def test_rows_of_a_file_in_capital_letters(recognizer: Recognizer, tmp_path: Path) -> None:
    file = tmp_path / "IMAGES.PARQUET"
    pq.write_table(pa.table({"a": [EXAMPLE.read_bytes()]}), file)
    (part,) = list_parts([str(file)], 4, None, pytest.fail)
    rows, errors = rows_and_errors(recognizer, part.names)
    assert [row[0] for row in rows] == [f"{file}#0"]
    assert errors == []


def test_an_address_that_is_not_read_is_an_error_in_its_place(recognizer: Recognizer) -> None:
    names = ("ftp://example.org/a.png", "s3://user:secret@bucket/a.png", str(EXAMPLE))
    rows, errors = rows_and_errors(recognizer, names)
    assert [row[0] for row in rows] == [str(EXAMPLE)]
    assert [name for name, _ in errors] == list(names[:2])
    assert "secret" not in errors[1][1]


@pytest.mark.parametrize("is_back", [False, True])
def test_rows_of_a_storage_that_cannot_be_reached_are_no_errors(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_back: bool
) -> None:
    """The worker tries the part again; if the file alone is at fault, its rows are errors."""
    file = f"file://{tmp_path}/images.parquet"
    pq.write_table(pa.table({"a": [EXAMPLE.read_bytes()]}), tmp_path / "images.parquet")
    left = [OSError("the connection is lost")] * (1 if is_back else 2)

    def fail(address: str) -> object:
        if left:
            raise left.pop()
        return open_file(address)

    monkeypatch.setattr(reading, "open_file", fail)
    if is_back:
        _, ((_, text),) = rows_and_errors(recognizer, (f"{file}#0",))
        assert "cannot be read (the connection is lost)" in text
    else:
        with pytest.raises(OSError, match="the connection is lost"):
            rows_and_errors(recognizer, (f"{file}#0",))


def test_a_video_is_an_error(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    rows, ((_, text),) = rows_and_errors(recognizer, (str(tmp_path / "clip.mp4"),))
    assert rows == []
    assert text.endswith("clip.mp4: a video: fer infer reads it")


def test_a_part_crosses_as_bytes() -> None:
    part = Part(3, ("a b.png", "no UTF-8: \udcff.png", "two\nlines"))
    assert decode_part(encode_part(part, "part-3.csv")) == (part, "part-3.csv")


def first_attempt(_: int) -> int:
    return 1


def job(tmp_path: Path, options: dict[str, object]) -> Job:
    recognizer, identity = load(options)
    output = Output(str(tmp_path / "out"), "csv", results_schema(recognizer.spec))
    return Job(options, identity, output)


def test_a_worker_with_another_model_writes_nothing(tmp_path: Path) -> None:
    base = job(tmp_path, {"faces": "whole"})
    other = replace(base, options={"faces": "whole", "model": "small"})
    done = Worker(other, first_attempt)(encode_part(Part(0, (str(EXAMPLE),)), "part-0.csv"))
    assert "has another model or face detector" in done["error"]
    assert base.output.part_names() == frozenset()


def test_a_worker_without_the_folder_writes_nothing(tmp_path: Path) -> None:
    base = job(tmp_path, {"faces": "whole"})
    lost = replace(base, folder=str(tmp_path / "nothing"))
    done = Worker(lost, first_attempt)(encode_part(Part(0, ("a.png",)), "part-0.csv"))
    assert "nothing: start the run in a folder that all have" in done["error"]
    assert base.output.part_names() == frozenset()


def test_a_worker_with_another_detector_is_found_out(tmp_path: Path) -> None:
    detector = tmp_path / "detector.onnx"
    detector.write_bytes(b"other")
    assert load({})[1] != load({"faces": "whole"})[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "find_detector", lambda _: detector)
        changed = load({})[1]
    assert load({})[1] != changed


def test_an_output_that_cannot_be_written_is_tried_again_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(worker.time, "sleep", waits.append)
    started = Worker(job(tmp_path, {"faces": "whole"}), first_attempt)
    row = encode_part(Part(0, (str(EXAMPLE),)), "part-0.csv")
    (tmp_path / "out").touch()
    done = started(row)
    assert "NotADirectoryError" in done["error"] or "FileExistsError" in done["error"]
    assert len(waits) == worker.TRIES - 1
    (tmp_path / "out").unlink()
    assert started(row) == {**done, "images": 1, "faces": 1, "error": ""}


def test_a_part_with_which_too_many_workers_ended_is_not_read(tmp_path: Path) -> None:
    started = Worker(job(tmp_path, {"faces": "whole"}), lambda _: worker.MAX_ATTEMPTS + 1)
    done = started(encode_part(Part(0, (str(EXAMPLE),)), "part-0.csv"))
    assert done["is_lost"]
    assert not (tmp_path / "out").exists()
