"""The tables in the documents are those of the results that are result_tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.lib import result_tables
from benchmarks.lib.result_tables import DOCUMENTS, PLACE, RESULTS, keep, written


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_tables_and_results_agree(document: Path) -> None:
    text = document.read_text("utf-8")
    assert written(text) == text, "python -m benchmarks.lib.result_tables writes the tables anew"


def test_every_result_is_shown() -> None:
    shown = {match[2] for path in DOCUMENTS for match in PLACE.finditer(path.read_text())}
    assert {path.stem for path in RESULTS.glob("*.json")} <= shown


def test_a_place_whose_result_is_not_kept_says_so() -> None:
    text = "<!-- results: no-such -->\nold\n<!-- end -->\n"
    assert written(text) == "<!-- results: no-such -->\nNo run is kept yet.\n<!-- end -->\n"


def test_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(result_tables, "RESULTS", tmp_path)
    path = keep("x", ["a", "b"], [["one", 1.5]], command="python x.py", versions={"p": "1"})
    document = json.loads(path.read_text())
    assert document["commit"]
    before = "# T\n<!-- results: x -->\nold\n<!-- end -->\nrest\n"
    after = written(before)
    assert "| a | b |\n| --- | --- |\n| one | 1.5 |\n" in after
    assert f"`python x.py`, {document['date']}, {document['machine']}; p 1." in after
    assert after.startswith("# T\n<!-- results: x -->\n")
    assert after.endswith("<!-- end -->\nrest\n")
    assert written(after) == after
    keep("x", ["a"], [["one"], ["two"], ["three"]], command="")
    after = written("<!-- results: x\none\nthree\n-->\n<!-- end -->\n")
    assert "| one |\n| three |\n\n" in after
    assert written(after) == after
    with pytest.raises(ValueError, match="'four' is not in list"):
        written("<!-- results: x\nfour\n-->\n<!-- end -->\n")
    for wrong in ("<!-- results: x -->\n", "<!-- results x -->\n<!-- end -->\n"):
        with pytest.raises(ValueError, match="a place for results isn't closed"):
            written(wrong)
    with pytest.raises(ValueError, match="hasn't 2 values"):
        keep("x", ["a", "b"], [["one"]], command="")
