"""The tables in the documents are those of the saved results."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from benchmarks.lib import result_tables
from benchmarks.lib.result_tables import (
    BLOCK,
    DOCUMENTS,
    RESULTS,
    fill_tables,
    format_models,
    save_result,
)

from fer_edge.runtime.formats.model_files import BUNDLED, DETECTOR

NO_MODEL = ("wheels",)
"""Results that are of no model."""
TITLE = re.compile(rf"(the first network of )?({'|'.join((*BUNDLED, DETECTOR))}) \d+")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_tables_and_results_agree(document: Path) -> None:
    text = document.read_text("utf-8")
    assert fill_tables(text) == text, "update it: make benchmark"


def test_every_result_names_the_version_of_its_model() -> None:
    for path in RESULTS.glob("*.json"):
        model = json.loads(path.read_text("utf-8"))["model"]
        models = [model] if isinstance(model, str) else model
        for one in models:
            assert path.stem in NO_MODEL if not one else TITLE.fullmatch(one), path.name
        assert models, path.name


def test_every_result_is_shown() -> None:
    shown = {match[2] for path in DOCUMENTS for match in BLOCK.finditer(path.read_text())}
    assert {path.stem for path in RESULTS.glob("*.json")} <= shown


def test_a_place_whose_result_is_not_kept_says_so() -> None:
    text = "<!-- results: no-such -->\nold\n<!-- end -->\n"
    assert fill_tables(text) == "<!-- results: no-such -->\nNo result is saved.\n<!-- end -->\n"


def test_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(result_tables, "RESULTS", tmp_path)
    given = {"command": "python x.py", "versions": {"p": "1"}}
    path = save_result("x", ["a", "b"], [["one", 1.5]], **given, model="base 2")
    document = json.loads(path.read_text())
    assert document["commit"]
    before = "# T\n<!-- results: x -->\nold\n<!-- end -->\nrest\n"
    after = fill_tables(before)
    assert "| a | b |\n| --- | --- |\n| one | 1.5 |\n" in after
    assert f"`python x.py`, of base 2, {document['date']}, {document['machine']}; p 1." in after
    assert after.startswith("# T\n<!-- results: x -->\n")
    assert after.endswith("<!-- end -->\nrest\n")
    assert fill_tables(after) == after
    save_result("x", ["a"], [["one"], ["two"], ["three"]], command="", model="")
    after = fill_tables("<!-- results: x\none\nthree\n-->\n<!-- end -->\n")
    assert "| one |\n| three |\n\n``, 2" in after
    assert fill_tables(after) == after
    save_result("x", ["a"], [["three"]], command="", model=["base 2", "small 1"])
    assert "of base 2, small 1, " in fill_tables(before)
    with pytest.raises(ValueError, match="'four' is not in list"):
        fill_tables("<!-- results: x\nfour\n-->\n<!-- end -->\n")
    for wrong in ("<!-- results: x -->\n", "<!-- results x -->\n<!-- end -->\n"):
        with pytest.raises(ValueError, match="a block of results isn't closed"):
            fill_tables(wrong)
    with pytest.raises(ValueError, match="has other than 2 values"):
        save_result("x", ["a", "b"], [["one"]], command="", model="")


def test_a_saved_command_has_no_folders() -> None:
    models = [format_models([given]) for given in ("base", "/home/me/m.onnx", "other")]
    assert models == ["", " m.onnx", " other"]
    assert format_models(["base", "a/m"]) == " base m"
    assert format_models(["base", "x"], ["base", "x"]) == ""
