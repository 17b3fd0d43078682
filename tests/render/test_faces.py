"""Results as text."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from fer_edge.render.faces import csv_header, result_csv, result_json, result_text
from fer_edge.runtime.results import Face, Result, Track
from fer_edge.spec import ModelSpec


def test_bars_stand_under_each_other_behind_labels_of_any_script() -> None:
    shares = {"驚き": 0.5, "müde": 0.3, unicodedata.normalize("NFD", "müde!"): 0.2}
    face = Face((0, 0, 9, 9), 1.0, "驚き", 0.5, shares)
    lines = result_text(Result("a.png", 9, 9, (face,), Path("a.png"))).splitlines()[2:]
    starts = [line.index("█") for line in lines]
    # two signs take two columns each, a letter and its accent one together
    assert [starts[0] + 2, starts[1], starts[2] - 1] == [starts[1]] * 3


HARMFUL = ("a\x1b[2J", 'q"uote, comma', "new\r\nline", "\u202egnp", "\x9b1m", "=1+2", " b ")


def _result(label: str, frame: int | None = None, faces: int = 1) -> Result:
    shares = {label: 0.75, "other": 0.25}
    track = None if frame is None else Track(1, label, 0.75, shares)
    face = Face((0, 0, 9, 9), 1.0, label, 0.75, shares, track)
    source = f"{label}.png"
    return Result(source, 9, 9, (face,) * faces, Path(source), frame, frame and 0.1 * frame)


@pytest.mark.parametrize("label", HARMFUL, ids=ascii)
@pytest.mark.parametrize(("frame", "faces"), [(None, 0), (None, 1), (None, 2), (1, 1)])
def test_text_shows_control_characters_as_escapes(label: str, frame: int, faces: int) -> None:
    lines = result_text(_result(label, frame, faces)).split("\n")
    assert all(map(str.isprintable, lines))
    assert len(lines) == (1 if frame else 2 if not faces else 4 if faces == 1 else 3)


@pytest.mark.parametrize("label", HARMFUL, ids=ascii)
def test_json_and_csv_keep_names_and_labels_exactly(label: str, spec: ModelSpec) -> None:
    result = _result(label)
    line = result_json(result)
    assert line.isprintable()
    assert json.loads(line) == json.loads(json.dumps(result.to_dict()))
    spec = replace(spec, labels=(label, "other"), golden=())
    text = f"{csv_header(spec)}\n{result_csv(result, spec)}\n"
    header, row = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert len(header) == len(row)
    assert (row[0], row[6], header[8]) == (f"{label}.png", label, label)
