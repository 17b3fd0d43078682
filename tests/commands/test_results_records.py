"""What `--resume` may cut: a results file that breaks off, and no other file."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from fer_edge.commands import results_records
from fer_edge.commands.results_file import KINDS, ResultsFile
from fer_edge.commands.results_records import csv_records, json_records
from fer_edge.errors import ConfigError
from fer_edge.runtime.results import Face, Result, Track
from fer_edge.spec import ModelSpec
from tests.support.data import LABELS
from tests.support.specs import make_spec

SPEC = replace(make_spec(), labels=tuple(LABELS))
PROBABILITIES = {label: (i + 1) / 28 for i, label in enumerate(LABELS)}
FACE = Face((-3, 4, 50, 60), 0.9, "happy", 0.25, PROBABILITIES, Track(1, "sad", 1.0, PROBABILITIES))
IMAGE = Result('odd "\\\n\r,\udcff☃.png', 64, 48, (FACE, FACE), b"")
RESULTS = (IMAGE, replace(IMAGE, source="b", frame=3, time=0.12), replace(IMAGE, faces=()))
SUFFIX = {"json": ".jsonl", "csv": ".csv"}


def write(path: Path, spec: ModelSpec = SPEC) -> bytes:
    kind = "csv" if path.suffix == ".csv" else "json"
    with ResultsFile(path, kind, spec, resume=False) as output:
        for result in RESULTS:
            output.add(result)
    return path.read_bytes()


def sources(suffix: str, content: bytes) -> set[str]:
    read = csv_records if suffix == ".csv" else json_records
    return {source for source, *_ in read(io.BytesIO(content), SPEC)}


def resume(path: Path) -> frozenset[str]:
    kind = "csv" if path.suffix == ".csv" else "json"
    with ResultsFile(path, kind, SPEC, resume=True) as output:
        return output.existing_sources


@pytest.mark.parametrize("suffix", SUFFIX.values())
def test_a_file_may_break_off_at_any_byte(suffix: str, tmp_path: Path) -> None:
    content = write(tmp_path / f"whole{suffix}")
    begin = content.index(b"\n") + 1 if suffix == ".csv" else 0
    for cut in range(begin, len(content)):
        assert sources(suffix, content[:cut]) <= {IMAGE.source, "b"}
    for cut in (0, begin // 2, begin, begin + 9, len(content)):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(content[:cut])
        found = resume(path)
        assert content.startswith(path.read_bytes())
    assert found == {IMAGE.source, "b"}


LINE = KINDS["json"].line(IMAGE, SPEC)
VIDEO = KINDS["json"].line(RESULTS[1], SPEC)


def changed(**values: object) -> str:
    return json.dumps(json.loads(LINE) | values) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        "a note",
        "a note\n",
        "\n",
        "{}\n",
        '{"source": "a", "text": "mine',
        '{"source": "a"}\n',
        '{"source": "a", "width": "wide"',
        '{"source": 1',
        f"{LINE}\na note",
        f"{LINE}\n\n{LINE}\n",
        f"{LINE}\r\n",
        f" {LINE}\n",
        f"\ufeff{LINE}\n",
        f"{LINE} \n",
        f"{LINE}{LINE}\n",
        changed(more=1),
        changed(faces=[1]),
        changed(faces=[{}]),
        changed(faces=[{**json.loads(LINE)["faces"][0], "box": [1, 2, 3]}]),
        changed(faces=[{**json.loads(LINE)["faces"][0], "confidence": 2}]),
        changed(faces=[{**json.loads(LINE)["faces"][0], "probabilities": {"calm": 1.0}}]),
        changed(faces_from="nowhere"),
        LINE.replace('"width": 64', '"width": 1e999') + "\n",
        LINE.replace('"width": 64', '"width": ' + "9" * 5000) + "\n",
        LINE.replace("0.25", "NaN") + "\n",
        LINE.replace('"score"', '"box": 0, "score"') + "\n",
        LINE.replace("[", "[" * 100_000) + "\n",
    ],
)
def test_another_json_file_is_refused(content: str, tmp_path: Path) -> None:
    refused(tmp_path / "a.jsonl", content.encode("utf-8", "surrogatepass"))


def test_a_long_unfinished_line_is_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = []

    class Recorder:
        match = staticmethod(results_records._JSON_START.match)

        @staticmethod
        def fullmatch(text: str) -> None:
            scanned.append(len(text))

    monkeypatch.setattr(results_records, "_JSON_START", Recorder)
    for content in (b'{"source": "' + b"a" * 10_000, b'{"source": "a", ' + b" " * 10_000):
        with pytest.raises(ValueError, match="line 1 doesn't begin as a result"):
            list(json_records(io.BytesIO(content), SPEC))
    assert sum(scanned) < 200 * 200


def test_a_long_source_may_break_off() -> None:
    for end in (b"", b"\\", b"\\u00e", b'", "wid'):
        assert not list(json_records(io.BytesIO(b'{"source": "' + b"a" * 10_000 + end), SPEC))
    for end in (b'"', b"\\", b'\\"x'):
        assert not list(json_records(io.BytesIO(b'{"source": "' + end), SPEC))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "a.jsonl", b'{"source": "\xff", "width": 1}\n')
    refused(tmp_path / "a.jsonl", bytes(range(256)))
    refused(tmp_path / "a.csv", bytes(range(256)))


HEADER = KINDS["csv"].header(SPEC) if KINDS["csv"].header else ""
ROW = KINDS["csv"].line(replace(IMAGE, source="b", faces=(FACE,)), SPEC)


@pytest.mark.parametrize(
    "content",
    [
        "a note",
        "source,mine\n",
        f"{HEADER}\r\n",
        f"{HEADER}\n\n",
        f"{HEADER}\na note\n",
        f"{HEADER}\na note, with a comma",
        f'{HEADER}\n"a"note\n',
        f"{HEADER}\n{ROW},more\n",
        f"{HEADER}\n{ROW}\nb,first",
        f"{HEADER}\n{ROW}\nb,0,1,2,3,4,hap,",
        f"{HEADER}\n{ROW}\n{ROW},",
        f"{HEADER}\n{ROW.replace('happy', 'calm')}\n",
        f"{HEADER}\n{ROW.replace('0.250000', 'nan')}\n",
        f"{HEADER}\n{ROW.replace('whole', 'mine')}\n",
        f'{HEADER}\n"{"note " * 20_000}',
    ],
)
def test_another_csv_file_is_refused(content: str, tmp_path: Path) -> None:
    refused(tmp_path / "a.csv", content.encode())


def test_a_file_of_other_labels_is_refused(tmp_path: Path) -> None:
    other = replace(SPEC, labels=(*LABELS[:-1], "calm"))
    face = replace(FACE, probabilities=dict.fromkeys(other.labels, 0.1))
    line = KINDS["json"].line(replace(IMAGE, faces=(face,)), other)
    refused(tmp_path / "a.jsonl", f"{line}\n".encode(), "other labels")
    refused(tmp_path / "a.csv", write(tmp_path / "b.csv", other), "its columns differ")


def refused(path: Path, content: bytes, message: str = "cannot be resumed") -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        resume(path)
    assert path.read_bytes() == content
    assert not path.with_name(path.name + ".part").exists()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.part"])
def test_no_link_is_followed(name: str, tmp_path: Path) -> None:
    mine, path = tmp_path / "mine", tmp_path / name
    for target in (mine, tmp_path / "gone"):
        mine.write_text("")  # what may be resumed, were it the file itself
        path.symlink_to(target)
        for is_resumed in (False, True):
            with pytest.raises(ConfigError, match=f"{name}: not a file, but a link"):
                ResultsFile(tmp_path / "a.jsonl", "json", SPEC, resume=is_resumed)
        path.unlink()
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]
    assert mine.read_text() == ""


def test_an_empty_file_is_nobody_s(tmp_path: Path) -> None:
    for suffix in SUFFIX.values():
        path = tmp_path / f"a{suffix}"
        path.touch()
        assert resume(path) == frozenset()
