"""The tables in the documents are those of the results that are kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import kept


@pytest.mark.parametrize("document", kept.DOCUMENTS, ids=lambda path: path.name)
def test_tables_and_results_agree(document: Path) -> None:
    text = document.read_text("utf-8")
    assert kept.written(text) == text, (
        "python benchmarks/lib/result_tables.py writes the tables anew"
    )


def test_every_result_is_shown() -> None:
    shown = {match[2] for path in kept.DOCUMENTS for match in kept.PLACE.finditer(path.read_text())}
    assert {path.stem for path in kept.RESULTS.glob("*.json")} <= shown


def test_a_place_whose_result_is_not_kept_says_so() -> None:
    text = "<!-- results: no-such -->\nold\n<!-- end -->\n"
    assert kept.written(text) == "<!-- results: no-such -->\nNo run is kept yet.\n<!-- end -->\n"


def test_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kept, "RESULTS", tmp_path)
    path = kept.keep("x", ["a", "b"], [["one", 1.5]], command="python x.py", versions={"p": "1"})
    document = json.loads(path.read_text())
    assert document["commit"]
    before = "# T\n<!-- results: x -->\nold\n<!-- end -->\nrest\n"
    after = kept.written(before)
    assert "| a | b |\n| --- | --- |\n| one | 1.5 |\n" in after
    assert f"`python x.py`, {document['date']}, {document['machine']}; p 1." in after
    assert after.startswith("# T\n<!-- results: x -->\n")
    assert after.endswith("<!-- end -->\nrest\n")
    assert kept.written(after) == after
    kept.keep("x", ["a"], [["one"], ["two"], ["three"]], command="")
    after = kept.written("<!-- results: x\none\nthree\n-->\n<!-- end -->\n")
    assert "| one |\n| three |\n\n" in after
    assert kept.written(after) == after
    with pytest.raises(ValueError, match="'four' is not in list"):
        kept.written("<!-- results: x\nfour\n-->\n<!-- end -->\n")
    for wrong in ("<!-- results: x -->\n", "<!-- results x -->\n<!-- end -->\n"):
        with pytest.raises(ValueError, match="a place for results isn't closed"):
            kept.written(wrong)
    with pytest.raises(ValueError, match="hasn't 2 values"):
        kept.keep("x", ["a", "b"], [["one"]], command="")
